//! The three requests of the service.

use crate::error::{Failure, failure};
use dns01_provider::http::HttpClient;
use dns01_provider::{Fqdn, ProviderError, TxtValue, ZoneName};
use serde::{Deserialize, Serialize};

/// A TXT record as the service has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) value: String,
    pub(crate) ttl: u32,
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Record>,
    next: Option<String>,
}

#[derive(Serialize)]
struct New<'a> {
    name: &'a str,
    value: &'a str,
    ttl: u32,
}

/// The records at `name`, page by page.
pub(crate) async fn records(
    client: &HttpClient,
    zone: &ZoneName,
    name: &Fqdn,
) -> Result<Vec<Record>, ProviderError> {
    let (mut records, mut next) = (Vec::new(), None::<String>);
    loop {
        let mut request = client.get(&format!("zones/{zone}/txt")).query("name", name.as_str());
        if let Some(page) = &next {
            request = request.query("page", page);
        }
        let page: Page = request.send().await?.success_or(failure)?.json()?;
        records.extend(page.records);
        next = page.next;
        if next.is_none() {
            return Ok(records);
        }
    }
}

/// Adds a record.
pub(crate) async fn create(
    client: &HttpClient,
    zone: &ZoneName,
    name: &Fqdn,
    value: &TxtValue,
    ttl: u32,
) -> Result<(), Failure> {
    let body = New { name: name.as_str(), value: value.as_str(), ttl };
    client.post(&format!("zones/{zone}/txt")).json(&body)?.send().await?.success_or(failure)?;
    Ok(())
}

/// Removes the record `id`.
pub(crate) async fn delete(client: &HttpClient, zone: &ZoneName, id: &str) -> Result<(), Failure> {
    client.delete(&format!("zones/{zone}/txt/{id}")).send().await?.success_or(failure)?;
    Ok(())
}

//! The calls of the API that are used, within the service's rates.

use crate::error;
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Fqdn, Pace, ProviderError, ProviderErrorKind, Rate, TxtValue, ZoneName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// Entries of a page: the most that the service gives.
const PER_PAGE: &str = "500";
/// Pages that are read at most.
const MOST_PAGES: u32 = 100;
/// 200 pages of lists a minute are allowed to a token; some are left to others.
pub(crate) const LISTS: Rate = Rate::new(170, Duration::from_secs(62));
/// 1,600 other requests a minute are allowed to a token.
const OTHERS: Rate = Rate::new(1400, Duration::from_secs(62));

/// The service, seen with one token.
#[derive(Debug)]
pub(crate) struct Api {
    client: HttpClient,
    lists: Pace,
    others: Pace,
}

/// A domain as the service lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedDomain {
    pub(crate) id: u64,
    pub(crate) domain: String,
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) status: String,
}

/// A record as the service shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    /// Relative to the domain; some versions have answered absolute names.
    #[serde(default)]
    name: String,
    #[serde(default)]
    target: String,
    /// Seconds; 0 is the domain's own.
    #[serde(default)]
    pub(crate) ttl_sec: u32,
    #[serde(default, rename = "type")]
    kind: String,
}

/// What the user of a token may do.
#[derive(Debug, Deserialize)]
pub(crate) struct Grants {
    #[serde(default)]
    pub(crate) domain: Vec<DomainGrant>,
    #[serde(default)]
    pub(crate) global: GlobalGrants,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DomainGrant {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) label: String,
    /// `read_only`, `read_write` or none.
    pub(crate) permissions: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct GlobalGrants {
    #[serde(default)]
    pub(crate) add_domains: bool,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    pages: u32,
}

#[derive(Serialize)]
struct NewRecord<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    target: &'a str,
    ttl_sec: u32,
}

impl Record {
    pub(crate) fn is_at(&self, zone: &ZoneName, name: &Fqdn) -> bool {
        let listed = self.name.strip_suffix('.').unwrap_or(&self.name);
        let relative = name.relative_to(zone).unwrap_or_default();
        let is_txt = self.kind.eq_ignore_ascii_case("TXT");
        is_txt && (listed.eq_ignore_ascii_case(relative) || listed.eq_ignore_ascii_case(name.as_str()))
    }

    /// What it holds, if it can be ours: bare, or quoted as other tools write it.
    pub(crate) fn value(&self) -> Option<TxtValue> {
        TxtValue::from_presentation(&self.target).or_else(|| TxtValue::parse(&self.target).ok())
    }

    pub(crate) fn holds(&self, value: &TxtValue) -> bool {
        self.target == value.as_str() || self.value().as_ref() == Some(value)
    }
}

impl Api {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self { client, lists: Pace::new(&[LISTS]), others: Pace::new(&[OTHERS]) }
    }

    /// The domains that the token sees, only that called `name` where one is given; and its
    /// scopes, where the service tells them.
    pub(crate) async fn domains(
        &self,
        name: Option<&ZoneName>,
    ) -> Result<(Vec<ListedDomain>, Option<String>), ProviderError> {
        let filter = name.map(|name| json!({ "domain": name.as_str() }));
        self.all_pages("domains", filter.as_ref()).await
    }

    /// The TXT records of the domain `id`, only those at `subname` where one is given.
    pub(crate) async fn records(
        &self,
        id: &str,
        subname: Option<&str>,
    ) -> Result<Vec<Record>, ProviderError> {
        let filter = match subname {
            Some(subname) => json!({ "type": "TXT", "name": subname }),
            None => json!({ "type": "TXT" }),
        };
        Ok(self.all_pages(&format!("domains/{id}/records"), Some(&filter)).await?.0)
    }

    /// Creates a record.
    pub(crate) async fn create(
        &self,
        id: &str,
        subname: &str,
        value: &TxtValue,
        ttl: u32,
    ) -> Result<Record, ProviderError> {
        let record = NewRecord { kind: "TXT", name: subname, target: value.as_str(), ttl_sec: ttl };
        self.other(self.client.post(&format!("domains/{id}/records")).json(&record)?).await?.json()
    }

    pub(crate) async fn set_ttl(&self, id: &str, record: u64, ttl: u32) -> Result<(), ProviderError> {
        let request = self.client.put(&format!("domains/{id}/records/{record}"));
        self.other(request.json(&json!({ "ttl_sec": ttl }))?).await.map(drop)
    }

    pub(crate) async fn delete(&self, id: &str, record: &str) -> Result<(), ProviderError> {
        self.other(self.client.delete(&format!("domains/{id}/records/{record}"))).await.map(drop)
    }

    /// What the token's user may do; `None` where there are no bounds to it.
    pub(crate) async fn grants(&self) -> Result<Option<Grants>, ProviderError> {
        let reply = self.other(self.client.get("profile/grants")).await?;
        if reply.status() == 204 { Ok(None) } else { reply.json().map(Some) }
    }

    async fn all_pages<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: Option<&serde_json::Value>,
    ) -> Result<(Vec<T>, Option<String>), ProviderError> {
        let mut found = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut request =
                self.client.get(path).query("page", &page.to_string()).query("page_size", PER_PAGE);
            if let Some(filter) = filter {
                request = request.header("x-filter", &filter.to_string());
            }
            self.lists.turn().await;
            let reply = request.send().await?.success_or(error::refused)?;
            let Page { data, pages } = reply.json()?;
            found.extend(data);
            if page >= pages {
                return Ok((found, reply.header("x-oauth-scopes").map(str::to_owned)));
            }
        }
        let message = format!("a list has more than {MOST_PAGES} pages");
        Err(ProviderError::new(ProviderErrorKind::Invalid, message))
    }

    async fn other(&self, request: Request<'_>) -> Result<Reply, ProviderError> {
        self.others.turn().await;
        request.send().await?.success_or(error::refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_its_name_type_and_text_however_it_is_written() {
        let (zone, name) =
            (ZoneName::parse("example.com").unwrap(), Fqdn::parse("_acme-challenge.example.com").unwrap());
        let record = |kind: &str, name: &str, target: &str| -> Record {
            let record = json!({
                "id": 7, "type": kind, "name": name, "target": target, "ttl_sec": 300, "priority": 0, "tag": null,
            });
            serde_json::from_value(record).unwrap()
        };
        assert!(record("TXT", "_acme-challenge", "v").is_at(&zone, &name));
        assert!(record("TXT", "_ACME-challenge.example.com", "v").is_at(&zone, &name));
        assert!(record("TXT", "", "v").is_at(&zone, zone.apex()));
        assert!(!record("TXT", "", "v").is_at(&zone, &name));
        assert!(!record("CNAME", "_acme-challenge", "v").is_at(&zone, &name));
        let value = TxtValue::parse("v").unwrap();
        assert!(record("TXT", "", "v").holds(&value) && record("TXT", "", "\"v\"").holds(&value));
        assert!(!record("TXT", "", "w").holds(&value));
    }
}

//! The calls of the server's HTTP API that are used, and how it writes TXT records.

use crate::error;
use dns01_provider::http::{HttpClient, Request};
use dns01_provider::{Fqdn, ProviderError, Rrset, RrsetRecord, TxtValue, Zone};
use serde::{Deserialize, Serialize};

/// `…/servers/<id>/`.
#[derive(Clone, Debug)]
pub(crate) struct Api(HttpClient);

/// A zone as the server shows it, in parts.
#[derive(Deserialize)]
pub(crate) struct ZoneDocument {
    pub(crate) kind: String,
    pub(crate) rrsets: Vec<RrSet>,
}

#[derive(Deserialize)]
pub(crate) struct RrSet {
    name: String,
    #[serde(rename = "type")]
    record_type: String,
    ttl: u32,
    pub(crate) records: Vec<Record>,
}

/// One record. Somebody else's is written back exactly as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    content: String,
    /// Kept by the server and not served.
    #[serde(default)]
    disabled: bool,
}

/// A change to one whole RRset.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "changetype", rename_all = "UPPERCASE")]
pub(crate) enum RrSetChange {
    Replace {
        name: String,
        #[serde(rename = "type")]
        record_type: &'static str,
        ttl: u32,
        records: Vec<Record>,
    },
    Delete {
        name: String,
        #[serde(rename = "type")]
        record_type: &'static str,
    },
}

#[derive(Serialize)]
struct Patch<'a> {
    rrsets: &'a [RrSetChange],
}

#[derive(Deserialize)]
struct ZoneHead {
    id: String,
    name: String,
}

impl Api {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self(client)
    }

    /// The zone with the TXT records at `name`, or with all its records.
    pub(crate) async fn zone(&self, zone: &Zone, name: Option<&Fqdn>) -> Result<ZoneDocument, ProviderError> {
        let mut request = self.0.get(&path(zone));
        if let Some(name) = name {
            request = request.query("rrset_name", &name.absolute()).query("rrset_type", "TXT");
        }
        let mut document: ZoneDocument = sent(request).await?.json()?;
        // Servers before 4.6 send the whole zone all the same.
        document.rrsets.retain(|set| set.record_type.eq_ignore_ascii_case("TXT"));
        Ok(document)
    }

    /// Carries out `changes` in one transaction.
    pub(crate) async fn patch(&self, zone: &Zone, changes: &[RrSetChange]) -> Result<(), ProviderError> {
        sent(self.0.patch(&path(zone)).json(&Patch { rrsets: changes })?).await.map(drop)
    }

    /// Every zone of the server. The API has no pages.
    pub(crate) async fn zones(&self) -> Result<Vec<Zone>, ProviderError> {
        let heads: Vec<ZoneHead> = sent(self.0.get("zones")).await?.json()?;
        // A name that is no host's (an RFC 2317 zone with `/`) can hold no challenge.
        let zone = |head: ZoneHead| Some(Zone { name: head.name.parse().ok()?, id: Some(head.id) });
        Ok(heads.into_iter().filter_map(zone).collect())
    }
}

async fn sent(request: Request<'_>) -> Result<dns01_provider::http::Reply, ProviderError> {
    request.send().await?.success_or(error::refused)
}

fn path(zone: &Zone) -> String {
    let id = zone.id.clone().unwrap_or_else(|| zone.name.apex().absolute());
    format!("zones/{}", id.replace('/', "=2F"))
}

impl RrSet {
    pub(crate) fn is_at(&self, name: &Fqdn) -> bool {
        self.name.strip_suffix('.').unwrap_or(&self.name).eq_ignore_ascii_case(name.as_str())
    }

    pub(crate) fn content(&self) -> Rrset<Record> {
        Rrset { ttl: self.ttl, records: self.records.clone() }
    }
}

impl RrSetChange {
    /// All of `wanted` at `name`, or nothing if it is empty.
    pub(crate) fn to(name: &Fqdn, wanted: Rrset<Record>) -> Self {
        let (name, record_type) = (name.absolute(), "TXT");
        if wanted.records.is_empty() {
            Self::Delete { name, record_type }
        } else {
            Self::Replace { name, record_type, ttl: wanted.ttl, records: wanted.records }
        }
    }
}

impl RrsetRecord for Record {
    fn holding(value: &TxtValue) -> Self {
        Self { content: value.presentation(), disabled: false }
    }

    fn value(&self) -> Option<TxtValue> {
        TxtValue::from_presentation(&self.content)
    }

    fn is_served(&self) -> bool {
        !self.disabled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_sent_in_the_documented_form() {
        let name = Fqdn::parse("_acme-challenge.example.org").unwrap();
        let records = vec![Record::holding(&TxtValue::parse("v\"1").unwrap())];
        let sent = serde_json::to_value(RrSetChange::to(&name, Rrset { ttl: 60, records })).unwrap();
        let expected = serde_json::json!({
            "changetype": "REPLACE", "name": "_acme-challenge.example.org.", "type": "TXT", "ttl": 60,
            "records": [{ "content": "\"v\\\"1\"", "disabled": false }],
        });
        assert_eq!(sent, expected);
        let gone =
            serde_json::to_value(RrSetChange::to(&name, Rrset { ttl: 60, records: Vec::new() })).unwrap();
        let expected = serde_json::json!({
            "changetype": "DELETE", "name": "_acme-challenge.example.org.", "type": "TXT",
        });
        assert_eq!(gone, expected);
    }
}

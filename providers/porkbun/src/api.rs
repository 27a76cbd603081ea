//! The calls of the API that are used, one after the other at the pace that the service asks
//! for.

use crate::error::{self, Failure, Refusal};
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Fqdn, Pace, ProviderError, ProviderErrorKind, Rate, TxtValue, ZoneName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Domains of one page.
const DOMAINS_PER_PAGE: usize = 1000;
/// Pages that are read at most: a service that ignores `start` would be asked for ever.
const MOST_PAGES: usize = 50;

/// The service, seen with one key pair.
#[derive(Debug)]
pub(crate) struct Api {
    client: HttpClient,
    pace: Pace,
}

/// A record as the service lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedRecord {
    /// Text in lists, a number where it was created.
    #[serde(deserialize_with = "id")]
    pub(crate) id: String,
    /// Absolute.
    name: String,
    #[serde(rename = "type")]
    kind: String,
    content: String,
}

#[derive(Serialize)]
struct NewRecord<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    content: &'a str,
    ttl: u32,
    /// Everything is checked and nothing created.
    #[serde(rename = "dryRun", skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default, deserialize_with = "optional_id")]
    id: Option<String>,
    #[serde(default, rename = "wouldSucceed")]
    would_succeed: Option<bool>,
}

#[derive(Deserialize)]
struct Records {
    #[serde(default)]
    records: Vec<ListedRecord>,
}

#[derive(Deserialize)]
struct Domains {
    #[serde(default)]
    domains: Vec<ListedDomain>,
}

#[derive(Deserialize)]
struct ListedDomain {
    domain: String,
}

impl ListedRecord {
    pub(crate) fn is_at(&self, name: &Fqdn) -> bool {
        let listed = self.name.strip_suffix('.').unwrap_or(&self.name);
        self.kind == "TXT" && listed.eq_ignore_ascii_case(name.as_str())
    }

    /// What it holds, if it can be ours: bare, or quoted as other tools write it.
    pub(crate) fn value(&self) -> Option<TxtValue> {
        let quoted = TxtValue::from_presentation(&self.content);
        quoted.or_else(|| TxtValue::parse(&self.content).ok())
    }

    fn holds(&self, value: &TxtValue) -> bool {
        self.content == value.as_str() || self.value().as_ref() == Some(value)
    }
}

impl Api {
    pub(crate) fn new(client: HttpClient, pause: Duration) -> Self {
        let rate = (!pause.is_zero()).then(|| Rate::new(1, pause));
        Self { client, pace: Pace::new(rate.as_slice()) }
    }

    /// Creates a record and returns its id, where the service tells it.
    pub(crate) async fn create(
        &self,
        zone: &ZoneName,
        subname: &str,
        value: &TxtValue,
        ttl: u32,
    ) -> Result<Option<String>, Failure> {
        let record = NewRecord { kind: "TXT", name: subname, content: value.as_str(), ttl, dry_run: false };
        let request = self.client.post(&format!("dns/create/{zone}")).json(&record)?;
        Ok(self.send::<Created>(request).await?.id)
    }

    /// Whether `create` would be allowed; nothing is created.
    pub(crate) async fn may_create(
        &self,
        zone: &ZoneName,
        subname: &str,
        ttl: u32,
    ) -> Result<bool, ProviderError> {
        let record = NewRecord { kind: "TXT", name: subname, content: "dns01-asks", ttl, dry_run: true };
        let request = self.client.post(&format!("dns/create/{zone}")).json(&record)?;
        match self.send::<Created>(request).await {
            Ok(Created { would_succeed: Some(would), .. }) => Ok(would),
            Ok(Created { id: Some(id), .. }) => {
                // A service that does not know `dryRun` has created it.
                self.delete(zone, &id).await?;
                Ok(true)
            }
            Ok(_) => Ok(true),
            Err(Failure { refusal: Refusal::NotAllowed, .. }) => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }

    pub(crate) async fn delete(&self, zone: &ZoneName, id: &str) -> Result<(), Failure> {
        let request = self.client.post(&format!("dns/delete/{zone}/{id}"));
        self.send::<serde::de::IgnoredAny>(request).await.map(drop)
    }

    /// The TXT records at `name`.
    pub(crate) async fn at(&self, zone: &ZoneName, name: &Fqdn) -> Result<Vec<ListedRecord>, ProviderError> {
        let subname = name.relative_to(zone).unwrap_or_default();
        let path = format!("dns/retrieveByNameType/{zone}/TXT/{subname}");
        let listed = self.send::<Records>(self.client.get(path.trim_end_matches('/'))).await?.records;
        // Some answers have been seen that were about other names.
        if listed.iter().all(|record| record.is_at(name)) {
            return Ok(listed);
        }
        self.in_whole_zone(zone, name).await
    }

    /// The TXT records at `name` that hold `value`, found with certainty: where the short answer
    /// shows none, the whole zone is looked through.
    pub(crate) async fn holding(
        &self,
        zone: &ZoneName,
        name: &Fqdn,
        value: &TxtValue,
    ) -> Result<Vec<ListedRecord>, ProviderError> {
        let mut found = self.at(zone, name).await?;
        found.retain(|record| record.holds(value));
        if found.is_empty() {
            found = self.in_whole_zone(zone, name).await?;
            found.retain(|record| record.holds(value));
        }
        Ok(found)
    }

    async fn in_whole_zone(&self, zone: &ZoneName, name: &Fqdn) -> Result<Vec<ListedRecord>, ProviderError> {
        let request = self.client.get(&format!("dns/retrieve/{zone}"));
        let mut listed = self.send::<Records>(request).await?.records;
        listed.retain(|record| record.is_at(name));
        Ok(listed)
    }

    /// The domains that the key can see and that have API access.
    pub(crate) async fn domains(&self) -> Result<Vec<ZoneName>, ProviderError> {
        let mut found = Vec::new();
        for page in 0..MOST_PAGES {
            let start = (page * DOMAINS_PER_PAGE).to_string();
            let request = self.client.get("domain/listAll").query("start", &start).query("apiAccess", "yes");
            let some = self.send::<Domains>(request).await?.domains;
            let full = some.len() >= DOMAINS_PER_PAGE;
            found.extend(some.into_iter().filter_map(|one| ZoneName::parse(&one.domain).ok()));
            if !full {
                return Ok(found);
            }
        }
        let message = format!("a list has more than {MOST_PAGES} pages");
        Err(ProviderError::new(ProviderErrorKind::Invalid, message))
    }

    async fn send<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Failure> {
        self.pace.turn().await;
        let reply: Reply = request.send().await?;
        match error::refused(&reply) {
            Some(failure) => Err(failure),
            None => Ok(reply.json()?),
        }
    }
}

/// An id, which is a number in some answers and a text in others.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_id(deserializer)?.ok_or_else(|| serde::de::Error::custom("no id"))
}

fn optional_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Id>::deserialize(deserializer)? {
        Some(Id::Number(number)) => Some(number.to_string()),
        // It becomes part of a path.
        Some(Id::Text(text))
            if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric()) =>
        {
            Some(text)
        }
        Some(Id::Text(_)) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_a_number_or_a_text_and_never_a_path() {
        let created = |value: serde_json::Value| serde_json::from_value::<Created>(value).unwrap().id;
        assert_eq!(created(json!({ "status": "SUCCESS", "id": 123 })).as_deref(), Some("123"));
        assert_eq!(created(json!({ "id": "123" })).as_deref(), Some("123"));
        for none in [json!({}), json!({ "id": null }), json!({ "id": "1/../2" }), json!({ "id": "" })] {
            assert_eq!(created(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn a_record_is_known_by_its_name_type_and_text_however_it_is_written() {
        let name = Fqdn::parse("_acme-challenge.example.com").unwrap();
        let record = |kind: &str, name: &str, content: &str| -> ListedRecord {
            let record = json!({
                "id": "1", "name": name, "type": kind, "content": content, "ttl": "600", "prio": "0", "notes": "",
            });
            serde_json::from_value(record).unwrap()
        };
        let value = TxtValue::parse("v").unwrap();
        assert!(record("TXT", "_ACME-challenge.example.com", "v").is_at(&name));
        assert!(!record("CNAME", name.as_str(), "v").is_at(&name));
        assert!(!record("TXT", "x.example.com", "v").is_at(&name));
        assert!(record("TXT", name.as_str(), "v").holds(&value));
        assert!(record("TXT", name.as_str(), "\"v\"").holds(&value));
        assert!(!record("TXT", name.as_str(), "vv").holds(&value));
    }
}

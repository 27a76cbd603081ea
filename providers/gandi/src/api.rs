//! The API, as far as it is used: domains, TXT RRsets, and what is told about tokens.

use crate::config::Config;
use crate::error;
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Pace, ProviderError, ProviderErrorKind, Rate, Rrset, RrsetRecord, TxtValue, Zone};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Entries of one page: what the service gives unless asked otherwise.
const PER_PAGE: usize = 100;
/// Pages that are read at most: a service that ignores `page` would be asked for ever.
const MOST_PAGES: usize = 400;
/// 1,000 requests a minute are allowed to one address; the rest is left to others behind it.
const RATE: Rate = Rate::per_minute(600);
/// Waiting for the minute is part of a call.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One credential's clients, within the service's rate.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: HttpClient,
    identity: Option<HttpClient>,
    pace: Arc<Pace>,
}

/// An RRset as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ListedRrset {
    /// Relative to the zone, `@` at its apex; paths must have it in the same letter case.
    #[serde(rename = "rrset_name")]
    pub(crate) name: String,
    #[serde(rename = "rrset_type")]
    kind: String,
    #[serde(rename = "rrset_ttl")]
    ttl: u32,
    #[serde(rename = "rrset_values")]
    values: Vec<Record>,
}

/// One record: quoted in replies, quoted or bare in requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Record(String);

/// A whole RRset, as it is to be.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Content {
    rrset_ttl: u32,
    rrset_values: Vec<Record>,
}

/// What the service says about a token.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenInfo {
    #[serde(default)]
    pub(crate) scope: Vec<String>,
    /// What it is kept to; nothing is everything of the organization.
    pub(crate) entities: Option<Vec<Value>>,
    /// Seconds.
    pub(crate) expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Domain {
    fqdn: String,
}

impl Api {
    pub(crate) fn new(config: Config) -> Self {
        let pace = Arc::new(Pace::new(&[RATE]));
        Self { client: config.client, identity: config.identity, pace }
    }

    /// The TXT RRset at `name`, if there is one. A list, not the RRset itself: "not found" is then
    /// about the zone.
    pub(crate) async fn rrset(&self, zone: &Zone, name: &str) -> Result<Option<ListedRrset>, ProviderError> {
        let request = self.client.get(&path(zone)).query("rrset_name", name).query("rrset_type", "TXT");
        let found: Vec<ListedRrset> = self.send(request).await?.json()?;
        Ok(found.into_iter().find(|rrset| rrset.is_at(name)))
    }

    /// All TXT RRsets of the zone.
    pub(crate) async fn rrsets(&self, zone: &Zone) -> Result<Vec<ListedRrset>, ProviderError> {
        self.all_pages(|| self.client.get(&path(zone)).query("rrset_type", "TXT")).await
    }

    /// Makes an RRset where there is none. If somebody was quicker nothing is done: the next look
    /// shows what stands there.
    pub(crate) async fn create(
        &self,
        zone: &Zone,
        name: &str,
        content: &Content,
    ) -> Result<(), ProviderError> {
        let reply = self.ask(self.client.post(&rrset_path(zone, name)).json(content)?).await?;
        if reply.status() == 409 { Ok(()) } else { reply.success_or(error::refused).map(drop) }
    }

    /// Puts `content` in place of whatever stands there.
    pub(crate) async fn replace(
        &self,
        zone: &Zone,
        name: &str,
        content: &Content,
    ) -> Result<(), ProviderError> {
        self.send(self.client.put(&rrset_path(zone, name)).json(content)?).await.map(drop)
    }

    /// Takes the RRset away, if it is there.
    pub(crate) async fn delete(&self, zone: &Zone, name: &str) -> Result<(), ProviderError> {
        let reply = self.ask(self.client.delete(&rrset_path(zone, name))).await?;
        if reply.status() == 404 { Ok(()) } else { reply.success_or(error::refused).map(drop) }
    }

    /// The names of all domains that the credential sees.
    pub(crate) async fn domains(&self) -> Result<Vec<String>, ProviderError> {
        let domains: Vec<Domain> = self.all_pages(|| self.client.get("livedns/domains")).await?;
        Ok(domains.into_iter().map(|domain| domain.fqdn).collect())
    }

    /// What the service says about the token; `None` where there is nobody to ask.
    pub(crate) async fn token_info(&self) -> Result<Option<TokenInfo>, ProviderError> {
        match &self.identity {
            Some(identity) => Ok(Some(self.send(identity.get("tokeninfo")).await?.json()?)),
            None => Ok(None),
        }
    }

    /// Whether another part of the API is shown to the credential.
    pub(crate) async fn may_read(&self, path: &str) -> Result<bool, ProviderError> {
        use ProviderErrorKind as Kind;
        match self.send(self.client.get(path)).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), Kind::Auth | Kind::Permission | Kind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn all_pages<'a, T: DeserializeOwned>(
        &self,
        list: impl Fn() -> Request<'a>,
    ) -> Result<Vec<T>, ProviderError> {
        let mut found = Vec::new();
        for page in 1..=MOST_PAGES {
            let request = list().query("page", &page.to_string()).query("per_page", &PER_PAGE.to_string());
            let reply = self.send(request).await?;
            let some: Vec<T> = reply.json()?;
            let count = some.len();
            found.extend(some);
            let total = reply.header("total-count").and_then(|text| text.parse::<usize>().ok());
            let more = match (total, reply.header("link")) {
                _ if count == 0 => false,
                (Some(total), _) => found.len() < total,
                // The page itself is counted: the address in the header may be any host's.
                (None, Some(link)) => link.contains("next"),
                (None, None) => count >= PER_PAGE,
            };
            if !more {
                return Ok(found);
            }
        }
        let message = format!("a list has more than {MOST_PAGES} pages");
        Err(ProviderError::new(ProviderErrorKind::Invalid, message))
    }

    async fn send(&self, request: Request<'_>) -> Result<Reply, ProviderError> {
        self.ask(request).await?.success_or(error::refused)
    }

    async fn ask(&self, request: Request<'_>) -> Result<Reply, ProviderError> {
        self.pace.turn_within(LONGEST_WAIT).await?;
        request.send().await
    }
}

impl ListedRrset {
    /// Whether it is the TXT RRset at `name`, whatever the letter case.
    pub(crate) fn is_at(&self, name: &str) -> bool {
        self.kind == "TXT" && self.name.eq_ignore_ascii_case(name)
    }

    pub(crate) fn content(&self) -> Rrset<Record> {
        Rrset { ttl: self.ttl, records: self.values.clone() }
    }

    /// The values that are printable text: others could not be ours.
    pub(crate) fn texts(&self) -> Vec<TxtValue> {
        self.values.iter().filter_map(RrsetRecord::value).collect()
    }
}

impl Content {
    pub(crate) fn new(rrset: Rrset<Record>, ttls: (u32, u32)) -> Self {
        Self { rrset_ttl: rrset.ttl.clamp(ttls.0, ttls.1), rrset_values: rrset.records }
    }
}

impl RrsetRecord for Record {
    fn holding(value: &TxtValue) -> Self {
        Self(value.presentation())
    }

    /// Should one come back bare it is the same value: written twice, the RRset would grow each time.
    fn value(&self) -> Option<TxtValue> {
        TxtValue::from_presentation(&self.0).or_else(|| TxtValue::parse(&self.0).ok())
    }
}

/// A domain has no other identifier than its name.
fn path(zone: &Zone) -> String {
    let name = zone.id.as_deref().unwrap_or(zone.name.as_str());
    format!("livedns/domains/{}/records", name.replace('/', "%2F"))
}

fn rrset_path(zone: &Zone, name: &str) -> String {
    format!("{}/{name}/TXT", path(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_quoted_and_bare() {
        let value = TxtValue::parse("v1").unwrap();
        assert_eq!(Record::holding(&value).0, "\"v1\"");
        for form in ["\"v1\"", "v1", "\"v\" \"1\""] {
            assert_eq!(Record(form.to_owned()).value().as_ref(), Some(&value), "{form}");
        }
    }

    #[test]
    fn a_set_is_written_in_the_documented_form_with_a_ttl_that_is_allowed() {
        let records = vec![Record::holding(&TxtValue::parse("v").unwrap())];
        let content = Content::new(Rrset { ttl: 60, records }, (300, 2_592_000));
        let expected = serde_json::json!({ "rrset_ttl": 300, "rrset_values": ["\"v\""] });
        assert_eq!(serde_json::to_value(content).unwrap(), expected);
    }
}

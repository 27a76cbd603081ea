//! The API, as far as it is used: TXT records of a zone, one a call, and its publication.

use crate::config::Config;
use crate::error::{Failure, failure};
use crate::identity::Identity;
use dns01_provider::http::{HttpClient, Reply, Request, is_segment};
use dns01_provider::{ProviderError, ProviderErrorKind, TxtValue};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The largest list of ids that is read record by record.
const MOST_RECORDS: usize = 1000;

/// A record as the service shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) sub_domain: Option<String>,
    target: String,
    /// Seconds; 0 is the zone's own.
    #[serde(default)]
    pub(crate) ttl: u32,
}

impl Record {
    /// The text of the record, whichever way somebody wrote it: the service shows targets in
    /// quotes since 2025, as they came before.
    pub(crate) fn value(&self) -> Option<TxtValue> {
        if self.target.starts_with('"') {
            TxtValue::from_presentation(&self.target)
        } else {
            TxtValue::parse(&self.target).ok()
        }
    }
}

/// A text as it is written: one quoted string, which the service cuts itself.
fn quoted(value: &TxtValue) -> String {
    format!("\"{}\"", value.as_str().replace('\\', "\\\\").replace('"', "\\\""))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewRecord<'a> {
    field_type: &'static str,
    sub_domain: &'a str,
    target: String,
    ttl: u32,
}

/// What a consumer key is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CredentialState {
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    #[serde(default, rename = "allowedIPs")]
    pub(crate) allowed_ips: Option<Vec<String>>,
}

/// One thing that a consumer key may do; `*` in a path stands for anything.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Rule {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// One identity at the service.
#[derive(Debug)]
pub(crate) struct Api {
    client: HttpClient,
    second: HttpClient,
    identity: Identity,
    region: String,
}

impl Api {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            client: config.client.clone(),
            second: config.second.clone(),
            identity: Identity::new(config),
            region: config.region.clone(),
        }
    }

    /// True for an application with rules, false for an account with a policy.
    pub(crate) fn has_rules(&self) -> bool {
        self.identity.has_rules()
    }

    /// The names of the account's zones.
    pub(crate) async fn zones(&self) -> Result<Vec<String>, ProviderError> {
        self.sent(|| Ok(self.client.get("domain/zone"))).await?.json()
    }

    /// The TXT records at the relative name `sub_domain`.
    pub(crate) async fn records(&self, zone: &str, sub_domain: &str) -> Result<Vec<Record>, ProviderError> {
        let path = path(zone, "record")?;
        let list = || Ok(self.client.get(&path).query("fieldType", "TXT").query("subDomain", sub_domain));
        let ids: Vec<u64> = self.sent(list).await?.json()?;
        if ids.len() > MOST_RECORDS {
            let message = format!("more than {MOST_RECORDS} records stand at one name");
            return Err(ProviderError::new(ProviderErrorKind::Invalid, message));
        }
        let mut records = Vec::new();
        for id in ids {
            let path = format!("{path}/{id}");
            match self.sent(|| Ok(self.client.get(&path))).await {
                Ok(reply) => records.push(reply.json::<Record>()?),
                // It went between the list and the look.
                Err(Failure::Gone(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        // The question is a pattern, in which `_` stands for any character.
        let here = |record: &Record| {
            record.sub_domain.as_deref().unwrap_or_default().eq_ignore_ascii_case(sub_domain)
        };
        records.retain(here);
        Ok(records)
    }

    /// Adds a record, which is not served before [`Self::publish`].
    pub(crate) async fn add(
        &self,
        zone: &str,
        sub_domain: &str,
        value: &TxtValue,
        ttl: u32,
    ) -> Result<u64, ProviderError> {
        let path = path(zone, "record")?;
        let record = NewRecord { field_type: "TXT", sub_domain, target: quoted(value), ttl };
        let reply = self.sent(|| self.client.post(&path).json(&record)).await?;
        Ok(reply.json::<Record>()?.id)
    }

    /// Removes a record; false if it was gone. It is served until [`Self::publish`].
    pub(crate) async fn remove(&self, zone: &str, id: u64) -> Result<bool, ProviderError> {
        let path = path(zone, &format!("record/{id}"))?;
        match self.sent(|| Ok(self.client.delete(&path))).await {
            Ok(_) => Ok(true),
            Err(Failure::Gone(_)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Lets the servers have the zone as it stands.
    pub(crate) async fn publish(&self, zone: &str) -> Result<(), ProviderError> {
        let path = path(zone, "refresh")?;
        self.sent(|| Ok(self.client.post(&path))).await?;
        Ok(())
    }

    /// The rules of the consumer key that asks.
    pub(crate) async fn credential(&self) -> Result<CredentialState, ProviderError> {
        self.sent(|| Ok(self.client.get("auth/currentCredential"))).await?.json()
    }

    /// Which of `actions` on the zone the account's policies allow.
    pub(crate) async fn authorized(
        &self,
        zone: &str,
        actions: &[&str],
    ) -> Result<Vec<String>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Checked {
            #[serde(default)]
            authorized_actions: Vec<String>,
        }
        let path = format!("iam/resource/urn:v1:{}:resource:dnsZone:{zone}/authorization/check", self.region);
        let body = json!({ "actions": actions });
        let checked: Checked = self.sent(|| self.second.post(&path).json(&body)).await?.json()?;
        Ok(checked.authorized_actions)
    }

    /// Sends what `request` makes. What the service does not accept as a proof is proven anew
    /// once; nothing was done then.
    async fn sent<'a>(
        &'a self,
        request: impl Fn() -> Result<Request<'a>, ProviderError>,
    ) -> Result<Reply, Failure> {
        let mut again = true;
        loop {
            let reply = self.identity.prove(request()?).await?.send().await?;
            if reply.is_success() {
                return Ok(reply);
            }
            let failure = failure(&reply);
            if !matches!(failure, Failure::Unproven(_)) {
                return Err(failure);
            }
            self.identity.forget().await;
            if !std::mem::take(&mut again) {
                return Err(failure);
            }
        }
    }
}

/// A zone's id is its name; a configured one is checked before it becomes part of a path.
fn path(zone: &str, rest: &str) -> Result<String, ProviderError> {
    if !is_segment(zone, "-_.") {
        let message = format!("`{zone}` is not a zone's id");
        return Err(ProviderError::new(ProviderErrorKind::NotFound, message)
            .with_hint("zones have no ids here: leave it out"));
    }
    Ok(format!("domain/zone/{zone}/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_with_and_without_quotes_and_written_as_one_string() {
        let value = |target: &str| {
            let record = json!({ "id": 1, "subDomain": "x", "target": target, "ttl": 60 });
            serde_json::from_value::<Record>(record).unwrap().value().map(|value| value.to_string())
        };
        assert_eq!(value("bare").as_deref(), Some("bare"));
        assert_eq!(value("\"a \\\" b\"").as_deref(), Some("a \" b"));
        assert_eq!(value("\"ab\" \"c\"").as_deref(), Some("abc"));
        assert_eq!(value("\"open"), None);
        let long = TxtValue::parse(&format!("\"\\{}", "x".repeat(300))).unwrap();
        assert_eq!(value(&quoted(&long)), Some(long.to_string()));
        assert_eq!(quoted(&long).matches(' ').count(), 0, "one string");
    }

    #[test]
    fn a_strange_id_makes_no_path() {
        assert_eq!(path("example.com", "refresh").unwrap(), "domain/zone/example.com/refresh");
        for wrong in ["", "..", "a/b", "a?b", "a%2fb"] {
            assert_eq!(path(wrong, "x").unwrap_err().kind(), ProviderErrorKind::NotFound, "{wrong}");
        }
    }
}

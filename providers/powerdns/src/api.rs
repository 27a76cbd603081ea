//! The calls of the server's HTTP API that are used, and how it writes TXT records.

use crate::error;
use dns01_provider::http::{HttpClient, Request};
use dns01_provider::{Fqdn, ProviderError, TxtValue, Zone};
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
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) record_type: String,
    pub(crate) ttl: u32,
    pub(crate) records: Vec<Record>,
}

/// One record. Somebody else's is written back exactly as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    content: String,
    /// Kept by the server and not served.
    #[serde(default)]
    pub(crate) disabled: bool,
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
    let reply = request.send().await?;
    if (200..300).contains(&reply.status()) { Ok(reply) } else { Err(error::refused(&reply)) }
}

fn path(zone: &Zone) -> String {
    let id = zone.id.clone().unwrap_or_else(|| zone.name.apex().absolute());
    format!("zones/{}", id.replace('/', "=2F"))
}

impl RrSet {
    pub(crate) fn is_at(&self, name: &Fqdn) -> bool {
        self.name.strip_suffix('.').unwrap_or(&self.name).eq_ignore_ascii_case(name.as_str())
    }
}

impl RrSetChange {
    /// All of `records` at `name`, or none if there are none.
    pub(crate) fn to(name: &Fqdn, ttl: u32, records: Vec<Record>) -> Self {
        let (name, record_type) = (name.absolute(), "TXT");
        if records.is_empty() {
            Self::Delete { name, record_type }
        } else {
            Self::Replace { name, record_type, ttl, records }
        }
    }
}

impl Record {
    /// The record that holds `value`: character-strings in quotes, one blank between them.
    pub(crate) fn holding(value: &TxtValue) -> Self {
        let quoted = value.character_strings().map(|octets| {
            let text = String::from_utf8_lossy(octets).replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"")
        });
        Self { content: quoted.collect::<Vec<_>>().join(" "), disabled: false }
    }

    /// What is served, unquoted; `None` where it is no printable text, and so not ours.
    pub(crate) fn value(&self) -> Option<TxtValue> {
        TxtValue::parse(&String::from_utf8(unquoted(&self.content)?).ok()?).ok()
    }

    /// True if this is served as `value`.
    pub(crate) fn shows(&self, value: &TxtValue) -> bool {
        !self.disabled && self.value().as_ref() == Some(value)
    }
}

/// The character-strings of `content` (RFC 1035 §5.1) in one; `None` if it is malformed.
fn unquoted(content: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut rest = content.bytes();
    let mut inside = false;
    while let Some(octet) = rest.next() {
        match octet {
            b'"' => inside = !inside,
            b'\\' if inside => octets.push(escaped(&mut rest)?),
            _ if inside => octets.push(octet),
            b' ' | b'\t' => {}
            _ => return None,
        }
    }
    (!inside).then_some(octets)
}

/// What stands behind a backslash: three decimal digits, or the octet itself.
fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = rest.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, rest.next()?, rest.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(content: &str) -> Record {
        Record { content: content.to_owned(), disabled: false }
    }

    #[test]
    fn a_value_is_read_from_every_form_that_others_write() {
        let read = |content: &str| record(content).value().map(|value| value.to_string());
        assert_eq!(read(r#""abc""#).as_deref(), Some("abc"));
        assert_eq!(read(r#""ab"  "c""#).as_deref(), Some("abc"));
        assert_eq!(read(r#""a\"\\\065""#).as_deref(), Some("a\"\\A"));
        for foreign in ["abc", r#""abc"#, r#""\9""#, r#""\300""#, r#""a\195\164""#, r#""""#] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_change_is_sent_in_the_documented_form() {
        let name = Fqdn::parse("_acme-challenge.example.org").unwrap();
        let records = vec![Record::holding(&TxtValue::parse("v\"1").unwrap())];
        let sent = serde_json::to_value(RrSetChange::to(&name, 60, records)).unwrap();
        let expected = serde_json::json!({
            "changetype": "REPLACE", "name": "_acme-challenge.example.org.", "type": "TXT", "ttl": 60,
            "records": [{ "content": "\"v\\\"1\"", "disabled": false }],
        });
        assert_eq!(sent, expected);
        let gone = serde_json::to_value(RrSetChange::to(&name, 60, Vec::new())).unwrap();
        let expected = serde_json::json!({
            "changetype": "DELETE", "name": "_acme-challenge.example.org.", "type": "TXT",
        });
        assert_eq!(gone, expected);
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was_written(text in "[ -~]{1,1024}") {
            let value = TxtValue::parse(&text).unwrap();
            prop_assert_eq!(Record::holding(&value).value(), Some(value));
        }
    }
}

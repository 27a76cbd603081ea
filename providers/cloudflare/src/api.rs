//! The API, as far as it is used: zones, TXT records, and batches of changes.
//!
//! Endpoints are described by the `cloudflare` crate's types and sent by the sdk's client.

use crate::config::Config;
use crate::error::{Complaint, Failure, failure};
use cloudflare::endpoints::dns::dns::CreateDnsRecordParams;
use cloudflare::endpoints::zones::zone::{ListZones, ListZonesParams};
use cloudflare::framework::endpoint::spec::EndpointSpec;
use cloudflare::framework::endpoint::{Method, RequestBody, serialize_query};
use dns01_provider::http::{HttpClient, Request};
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, TxtValue, ZoneName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Zones of one page: the most that the service gives.
const ZONES_PER_PAGE: u32 = 50;
/// Records of one page.
const RECORDS_PER_PAGE: u32 = 100;
/// Pages that are read at most: a service that ignores `page` would be asked for ever.
const MOST_PAGES: u32 = 200;

/// A zone as the service lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedZone {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) status: String,
}

/// A TXT record as the service lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) content: String,
    /// Seconds; 1 is "automatic".
    pub(crate) ttl: u32,
}

/// Which TXT records of a zone are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Those at one name.
    At(Fqdn),
    /// Those whose names begin with these labels, dot included.
    Beginning(String),
    /// All of them.
    Anywhere,
}

/// Changes that take effect together or not at all, deletions first.
#[derive(Debug, Default, Serialize)]
pub(crate) struct BatchChanges<'a> {
    pub(crate) deletes: Vec<Deletion>,
    pub(crate) posts: Vec<CreateDnsRecordParams<'a>>,
}

/// The record that goes.
#[derive(Debug, Serialize)]
pub(crate) struct Deletion {
    pub(crate) id: String,
}

/// What the service says of a token.
#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) status: String,
    /// Told only to those who may read tokens.
    #[serde(default)]
    pub(crate) policies: Vec<Policy>,
}

/// One thing that a token may do.
#[derive(Debug, Deserialize)]
pub(crate) struct Policy {
    #[serde(default)]
    pub(crate) permission_groups: Vec<PermissionGroup>,
    /// What it may be done to, by name.
    #[serde(default)]
    pub(crate) resources: BTreeMap<String, serde::de::IgnoredAny>,
}

/// A permission as the dashboard calls it.
#[derive(Debug, Deserialize)]
pub(crate) struct PermissionGroup {
    #[serde(default)]
    pub(crate) name: String,
}

/// A record's id that no record has.
const NOBODYS_RECORD: &str = "ffffffffffffffffffffffffffffffff";

/// Both clients of one credential.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    records: HttpClient,
    zones: HttpClient,
}

impl Api {
    pub(crate) fn new(config: &Config) -> Self {
        Self { records: config.records.clone(), zones: config.zones.clone() }
    }

    /// The zones that the credential can see; only those called `name` where one is given.
    pub(crate) async fn zones(&self, name: Option<&ZoneName>) -> Result<Vec<ListedZone>, ProviderError> {
        let page = |page| ListZones {
            params: ListZonesParams {
                name: name.map(ToString::to_string),
                page: Some(page),
                per_page: Some(ZONES_PER_PAGE),
                ..ListZonesParams::default()
            },
        };
        Ok(all_pages(&self.zones, ZONES_PER_PAGE, page).await?)
    }

    /// The TXT records of the zone `id` that `place` means.
    pub(crate) async fn records(&self, id: &str, place: &Place) -> Result<Vec<ListedRecord>, ProviderError> {
        Ok(all_pages(&self.records, RECORDS_PER_PAGE, |page| TxtRecordsOf { id, place, page }).await?)
    }

    /// The zones that the credential which writes can see; `None` where it may not ask.
    pub(crate) async fn zones_of_writer(&self) -> Result<Option<Vec<ListedZone>>, ProviderError> {
        let page = |page| ListZones {
            params: ListZonesParams {
                page: Some(page),
                per_page: Some(ZONES_PER_PAGE),
                ..ListZonesParams::default()
            },
        };
        unless_refused(all_pages(&self.records, ZONES_PER_PAGE, page).await)
    }

    /// What is at `path`, if the credential which writes may see it.
    pub(crate) async fn sight<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ProviderError> {
        Ok(unless_refused(received(self.records.get(path)).await)?.and_then(|envelope| envelope.result))
    }

    /// Whether records of the zone `id` may be changed, found by the removal of one that does
    /// not exist. The service looks at permissions first.
    pub(crate) async fn may_change(&self, id: &str) -> Result<bool, ProviderError> {
        let path = format!("zones/{id}/dns_records/{NOBODYS_RECORD}");
        match received::<serde::de::IgnoredAny>(self.records.delete(&path)).await {
            Ok(_) | Err(Failure::Gone(_)) => Ok(true),
            refused => Ok(unless_refused(refused)?.is_some()),
        }
    }

    /// Carries out `changes` in the zone `id`.
    pub(crate) async fn change(&self, id: &str, changes: &BatchChanges<'_>) -> Result<(), Failure> {
        // What the service made of each record is not needed: the next look tells.
        send::<_, serde::de::IgnoredAny>(&self.records, &BatchOf { id, changes }).await.map(drop)
    }
}

/// The crate's own list cannot ask for TXT without a content, nor for names by their beginning.
struct TxtRecordsOf<'a> {
    id: &'a str,
    place: &'a Place,
    page: u32,
}

#[derive(Serialize)]
struct TxtRecordsQuery<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "name.exact", skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "name.startswith", skip_serializing_if = "Option::is_none")]
    beginning: Option<&'a str>,
    page: u32,
    per_page: u32,
}

impl EndpointSpec for TxtRecordsOf<'_> {
    type JsonResponse = ();
    type ResponseType = ();

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records", self.id)
    }

    fn query(&self) -> Option<String> {
        let (name, beginning) = match self.place {
            Place::At(name) => (Some(name.as_str()), None),
            Place::Beginning(labels) => (None, Some(labels.as_str())),
            Place::Anywhere => (None, None),
        };
        let (page, per_page) = (self.page, RECORDS_PER_PAGE);
        serialize_query(&TxtRecordsQuery { kind: "TXT", name, beginning, page, per_page })
    }
}

/// The crate does not know the batch endpoint.
struct BatchOf<'a> {
    id: &'a str,
    changes: &'a BatchChanges<'a>,
}

impl EndpointSpec for BatchOf<'_> {
    type JsonResponse = ();
    type ResponseType = ();

    fn method(&self) -> Method {
        Method::POST
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records/batch", self.id)
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        let body = serde_json::to_string(self.changes).expect("texts and numbers have a form in JSON");
        Some(RequestBody::Json(body))
    }
}

/// What every reply is wrapped in.
#[derive(Deserialize)]
struct Envelope<T> {
    success: bool,
    #[serde(default)]
    errors: Vec<Complaint>,
    result: Option<T>,
    result_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct PageInfo {
    total_pages: Option<u32>,
}

async fn all_pages<E: EndpointSpec, T: DeserializeOwned>(
    client: &HttpClient,
    per_page: u32,
    page: impl Fn(u32) -> E,
) -> Result<Vec<T>, Failure> {
    let mut found = Vec::new();
    for number in 1..=MOST_PAGES {
        let reply: Envelope<Vec<T>> = send(client, &page(number)).await?;
        let some = reply.result.unwrap_or_default();
        let full = some.len() >= per_page as usize;
        found.extend(some);
        let more = match reply.result_info.and_then(|info| info.total_pages) {
            Some(pages) => number < pages,
            None => full,
        };
        if !more {
            return Ok(found);
        }
    }
    let message = format!("a list has more than {MOST_PAGES} pages");
    Err(ProviderError::new(ProviderErrorKind::Invalid, message).into())
}

async fn send<E: EndpointSpec, T: DeserializeOwned>(
    client: &HttpClient,
    endpoint: &E,
) -> Result<Envelope<T>, Failure> {
    let path = endpoint.path();
    let mut request = if endpoint.method() == Method::POST { client.post(&path) } else { client.get(&path) };
    for (name, value) in url::form_urlencoded::parse(endpoint.query().unwrap_or_default().as_bytes()) {
        request = request.query(&name, &value);
    }
    if let Some(RequestBody::Json(body)) = endpoint.body() {
        let body = RawValue::from_string(body).expect("the endpoint wrote JSON");
        request = request.json(&body)?;
    }
    received(request).await
}

/// `None` where the credential may not do this.
fn unless_refused<T>(result: Result<T, Failure>) -> Result<Option<T>, ProviderError> {
    use ProviderErrorKind::{Auth, NotFound, Permission};
    match result.map_err(ProviderError::from) {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if matches!(error.kind(), Auth | Permission | NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn received<T: DeserializeOwned>(request: Request<'_>) -> Result<Envelope<T>, Failure> {
    let reply = request.send().await?;
    if reply.is_success() {
        let envelope: Envelope<T> = reply.json()?;
        return if envelope.success { Ok(envelope) } else { Err(failure(&reply, &envelope.errors)) };
    }
    // The edge of the service answers in HTML; then the status is all there is.
    let complaints = reply.json::<Envelope<serde::de::IgnoredAny>>().map(|envelope| envelope.errors);
    Err(failure(&reply, &complaints.unwrap_or_default()))
}

/// The text of a record, whichever way somebody wrote it: quoted character-strings are joined,
/// anything else is taken as it stands.
pub(crate) fn unquoted(content: &str) -> String {
    TxtValue::from_presentation(content).map_or_else(|| content.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_without_their_quotes() {
        for (content, text) in [
            ("bare", "bare"),
            ("\"quoted\"", "quoted"),
            ("\"two \" \"strings\"", "two strings"),
            (r#""a \" b \\ c""#, r#"a " b \ c"#),
            (r#""\065\066""#, "AB"),
            (r#"say "x""#, r#"say "x""#),
            ("\"open", "\"open"),
        ] {
            assert_eq!(unquoted(content), text, "{content}");
        }
    }

    #[test]
    fn a_question_for_records_names_their_type_and_place() {
        let name = Fqdn::parse("_acme-challenge.example.com").unwrap();
        let query = |place: &Place| TxtRecordsOf { id: "z", place, page: 2 }.query().unwrap();
        assert_eq!(
            query(&Place::At(name)),
            "type=TXT&name.exact=_acme-challenge.example.com&page=2&per_page=100"
        );
        assert_eq!(
            query(&Place::Beginning("_acme-challenge.".to_owned())),
            "type=TXT&name.startswith=_acme-challenge.&page=2&per_page=100"
        );
    }
}

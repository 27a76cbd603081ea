//! The resource manager, as far as it is used: zones and TXT record sets.

use crate::config::{Config, is_segment};
use crate::error::{self, Failure, failure};
use crate::identity::Identity;
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, Rrset, RrsetRecord, TxtValue, Zone, ZoneName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

/// The version of the DNS API that is spoken.
const VERSION: &str = "2018-05-01";
/// The version of the API that tells permissions.
const PERMISSIONS_VERSION: &str = "2022-04-01";
/// Pages that are read at most: a service that gives a next page each time would be asked for ever.
const MOST_PAGES: usize = 200;

/// The resource id of a zone, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ZoneId(String);

impl ZoneId {
    /// Checks `id` against the zone that it is said to be of. Ids come in any spelling of upper
    /// and lower case.
    pub(crate) fn parse(id: &str, zone: &ZoneName) -> Result<Self, ProviderError> {
        let segments: Vec<&str> = id.trim_matches('/').split('/').collect();
        let [subscriptions, _, groups, _, providers, network, zones, name] = segments[..] else {
            return Err(error::not_a_zone(id));
        };
        let fixed = [subscriptions, groups, providers, network, zones];
        let wanted = ["subscriptions", "resourceGroups", "providers", "Microsoft.Network", "dnsZones"];
        let same = fixed.iter().zip(wanted).all(|(one, other)| one.eq_ignore_ascii_case(other));
        if same && segments.iter().all(|one| is_segment(one)) && name.eq_ignore_ascii_case(zone.as_str()) {
            Ok(Self(segments.join("/")))
        } else {
            Err(error::not_a_zone(id))
        }
    }

    /// The zone in this subscription and group.
    pub(crate) fn new(subscription: &str, group: &str, zone: &ZoneName) -> Self {
        Self(format!(
            "subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/dnsZones/{zone}"
        ))
    }

    /// The path of the zone, without a slash in front.
    pub(crate) fn path(&self) -> &str {
        &self.0
    }

    /// The path of the subscription, of its group, and of the zone, widest first.
    pub(crate) fn scopes(&self) -> [String; 3] {
        let up_to = |count| self.0.split('/').take(count).collect::<Vec<_>>().join("/");
        [up_to(2), up_to(4), self.0.clone()]
    }

    /// The path of the TXT set at `name`.
    pub(crate) fn txt(&self, zone: &ZoneName, name: &Fqdn) -> Result<String, ProviderError> {
        let relative = name.relative_to(zone).ok_or_else(|| {
            let message = format!("`{name}` is not in the zone `{zone}`");
            ProviderError::new(ProviderErrorKind::Invalid, message)
        })?;
        Ok(format!("{}/TXT/{}", self.0, if relative.is_empty() { "@" } else { relative }))
    }
}

/// One TXT record: its character-strings. Somebody else's is written back exactly so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    value: Vec<String>,
}

impl RrsetRecord for Record {
    fn holding(value: &TxtValue) -> Self {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Self { value: value.character_strings().map(text).collect() }
    }

    fn value(&self) -> Option<TxtValue> {
        TxtValue::parse(&self.value.concat()).ok()
    }
}

/// A TXT set as it was read.
#[derive(Debug, Deserialize)]
pub(crate) struct RecordSet {
    etag: String,
    properties: Properties,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Properties {
    /// The user's own notes on the set, written back as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    #[serde(rename = "TTL")]
    ttl: u32,
    #[serde(default, rename = "TXTRecords")]
    records: Vec<Record>,
}

impl RecordSet {
    pub(crate) fn content(&self) -> Rrset<Record> {
        Rrset { ttl: self.properties.ttl, records: self.properties.records.clone() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    value: Vec<T>,
    next_link: Option<String>,
}

/// A zone as the service lists it.
#[derive(Debug, Deserialize)]
struct ListedZone {
    id: String,
    name: String,
    #[serde(default)]
    properties: ZoneProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZoneProperties {
    zone_type: Option<String>,
}

/// What one role allows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Permission {
    #[serde(default)]
    pub(crate) actions: Vec<String>,
    #[serde(default)]
    pub(crate) not_actions: Vec<String>,
}

/// One identity at the service.
#[derive(Debug)]
pub(crate) struct Api {
    client: HttpClient,
    identity: Identity,
}

impl Api {
    pub(crate) fn new(config: &Config) -> Self {
        Self { client: config.client.clone(), identity: Identity::new(config) }
    }

    /// The public zones of a subscription that the identity can see.
    pub(crate) async fn zones(&self, subscription: &str) -> Result<Vec<Zone>, ProviderError> {
        let path = format!("subscriptions/{subscription}/providers/Microsoft.Network/dnszones");
        let listed: Vec<ListedZone> = self.pages(&path).await?;
        let public = listed.into_iter().filter(|one| {
            one.properties.zone_type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("Public"))
        });
        let zone = |one: ListedZone| Some(Zone { name: ZoneName::parse(&one.name).ok()?, id: Some(one.id) });
        Ok(public.filter_map(zone).collect())
    }

    /// The TXT set at `path`.
    pub(crate) async fn set(&self, path: &str) -> Result<Option<RecordSet>, ProviderError> {
        match self.sent(|| Ok(self.client.get(path).query("api-version", VERSION))).await {
            Ok(reply) => Ok(Some(reply.json()?)),
            Err(Failure::Absent(_)) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Puts `wanted` in place of `present`, if that still stands there; without records the set
    /// is deleted.
    pub(crate) async fn exchange(
        &self,
        path: &str,
        present: Option<&RecordSet>,
        wanted: Rrset<Record>,
    ) -> Result<(), Failure> {
        if wanted.records.is_empty() {
            let etag = present.map_or("*", |set| &set.etag);
            return match self.delete(path, etag).await {
                // Gone already.
                Err(Failure::Absent(_)) => Ok(()),
                result => result,
            };
        }
        let metadata = present.and_then(|set| set.properties.metadata.clone());
        let properties = Properties { metadata, ttl: wanted.ttl, records: wanted.records };
        let body = serde_json::json!({ "properties": properties });
        let put = || {
            let request = self.client.put(path).query("api-version", VERSION).json(&body)?;
            Ok(match present {
                Some(set) => request.header("if-match", &set.etag),
                None => request.header("if-none-match", "*"),
            })
        };
        self.sent(put).await.map(drop)
    }

    /// Deletes the set at `path` if it is the one with this ETag.
    pub(crate) async fn delete(&self, path: &str, etag: &str) -> Result<(), Failure> {
        let request = || Ok(self.client.delete(path).query("api-version", VERSION).header("if-match", etag));
        self.sent(request).await.map(drop)
    }

    /// What the identity may do at `scope` (the path of a resource, a group or a subscription).
    pub(crate) async fn permissions(&self, scope: &str) -> Result<Vec<Permission>, ProviderError> {
        let path = format!("{scope}/providers/Microsoft.Authorization/permissions");
        let request = || Ok(self.client.get(&path).query("api-version", PERMISSIONS_VERSION));
        let page: Page<Permission> = self.sent(request).await?.json()?;
        Ok(page.value)
    }

    async fn pages<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ProviderError> {
        let mut found = Vec::new();
        let mut next = (path.to_owned(), vec![("api-version".to_owned(), VERSION.to_owned())]);
        for _ in 0..MOST_PAGES {
            let (path, query) = &next;
            let request = || {
                let request = self.client.get(path);
                Ok(query.iter().fold(request, |request, (name, value)| request.query(name, value)))
            };
            let page: Page<T> = self.sent(request).await?.json()?;
            found.extend(page.value);
            match page.next_link.filter(|link| !link.is_empty()) {
                Some(link) => next = parts(&link)?,
                None => return Ok(found),
            }
        }
        let message = format!("a list has more than {MOST_PAGES} pages");
        Err(ProviderError::new(ProviderErrorKind::Invalid, message))
    }

    /// Sends what `request` makes.
    async fn sent<'a>(
        &'a self,
        request: impl Fn() -> Result<Request<'a>, ProviderError>,
    ) -> Result<Reply, Failure> {
        self.identity.send(request).await?.success_or(failure)
    }
}

/// Path and query of the address of the next page. The host is not looked at: the token goes to
/// the configured one only.
fn parts(link: &str) -> Result<(String, Vec<(String, String)>), ProviderError> {
    let url = Url::parse(link).map_err(|error| {
        ProviderError::new(ProviderErrorKind::Invalid, "the next page has no address").with_source(error)
    })?;
    let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    Ok((url.path().trim_start_matches('/').to_owned(), query))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str =
        "/subscriptions/s-1/resourceGroups/my(group)/providers/Microsoft.Network/dnsZones/example.com";

    fn zone() -> ZoneName {
        ZoneName::parse("example.com").unwrap()
    }

    #[test]
    fn a_zones_id_is_checked_and_compared_without_case() {
        let id = ZoneId::parse(&ID.to_uppercase().replace("S-1", "s-1"), &zone()).unwrap();
        assert_eq!(id.scopes()[0], "SUBSCRIPTIONS/s-1");
        let id = ZoneId::parse(ID, &zone()).unwrap();
        assert_eq!(id, ZoneId::new("s-1", "my(group)", &zone()));
        assert_eq!(id.scopes()[1], "subscriptions/s-1/resourceGroups/my(group)");
        for wrong in [
            "example.com",
            "",
            &ID.replace("example.com", "example.org"),
            &ID.replace("dnsZones", "privateDnsZones"),
            &ID.replace("my(group)", ".."),
            &ID.replace("my(group)", "a?b"),
            &format!("{ID}/TXT/x"),
        ] {
            let error = ZoneId::parse(wrong, &zone()).unwrap_err();
            assert_eq!(
                (error.kind(), error.hint().is_some()),
                (ProviderErrorKind::NotFound, true),
                "{wrong}"
            );
        }
    }

    #[test]
    fn names_are_relative_and_the_apex_has_a_sign_of_its_own() {
        let id = ZoneId::new("s", "g", &zone());
        let path = |name: &str| id.txt(&zone(), &Fqdn::parse(name).unwrap());
        assert!(path("_acme-challenge.www.example.com").unwrap().ends_with("/TXT/_acme-challenge.www"));
        assert!(path("example.com").unwrap().ends_with("/TXT/@"));
        assert!(path("example.org").is_err());
    }

    #[test]
    fn a_record_is_its_character_strings() {
        let long = TxtValue::parse(&"x".repeat(256)).unwrap();
        let record = Record::holding(&long);
        assert_eq!(record.value.iter().map(String::len).collect::<Vec<_>>(), [255, 1]);
        assert_eq!(record.value(), Some(long));
        let strange: Record = serde_json::from_str(r#"{"value":["ä"]}"#).unwrap();
        assert_eq!(strange.value(), None);
    }

    #[test]
    fn the_next_page_is_asked_at_the_same_host() {
        let (path, query) =
            parts("https://elsewhere.test/subscriptions/s/x?api-version=1&$skiptoken=a%20b").unwrap();
        assert_eq!(path, "subscriptions/s/x");
        assert_eq!(query[1], ("$skiptoken".to_owned(), "a b".to_owned()));
        assert!(parts("nowhere").is_err());
    }
}

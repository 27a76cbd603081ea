//! The API, as far as it is used: zones, record sets, and changes of them.

use crate::config::{Config, is_plain};
use crate::error::{Failure, failure};
use crate::identity::Identity;
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, Rrset, ZoneName};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Entries of a page that are asked for; the service may give fewer.
const PER_PAGE: &str = "1000";
/// Pages that are read at most: a service that gives a next page each time would be asked for ever.
const MOST_PAGES: usize = 200;

/// A zone as the service lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedZone {
    /// What the project calls it.
    pub(crate) name: String,
    pub(crate) dns_name: String,
    #[serde(default)]
    visibility: Option<String>,
}

impl ListedZone {
    /// False for a zone that only networks of the project see.
    pub(crate) fn is_public(&self) -> bool {
        self.visibility.as_deref().is_none_or(|visibility| visibility.eq_ignore_ascii_case("public"))
    }
}

/// A record set. Somebody else's is named in a change exactly as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordSet {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) ttl: u32,
    #[serde(default)]
    pub(crate) rrdatas: Vec<String>,
    /// Several sets behind one name, chosen by weight or place.
    #[serde(default, skip_serializing, deserialize_with = "is_there")]
    pub(crate) routing_policy: bool,
}

fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|policy| policy.is_some())
}

impl RecordSet {
    /// The TXT set at `name` with this content.
    pub(crate) fn txt(name: &Fqdn, content: Rrset) -> Self {
        Self {
            name: name.absolute(),
            kind: "TXT".to_owned(),
            ttl: content.ttl,
            rrdatas: content.records,
            routing_policy: false,
        }
    }

    pub(crate) fn is_txt_at(&self, name: &Fqdn) -> bool {
        self.kind == "TXT" && self.name.trim_end_matches('.').eq_ignore_ascii_case(name.as_str())
    }

    pub(crate) fn content(&self) -> Rrset {
        Rrset { ttl: self.ttl, records: self.rrdatas.clone() }
    }
}

/// Whole record sets that go and come together or not at all. One that goes must stand there
/// exactly so.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) deletions: Vec<RecordSet>,
    pub(crate) additions: Vec<RecordSet>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.deletions.is_empty() && self.additions.is_empty()
    }
}

/// A change as the service tells of it.
#[derive(Debug, Deserialize)]
pub(crate) struct ChangeState {
    pub(crate) id: String,
    #[serde(default)]
    status: String,
}

impl ChangeState {
    /// True once the servers have been told.
    pub(crate) fn is_done(&self) -> bool {
        self.status == "done"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZonePage {
    #[serde(default)]
    managed_zones: Vec<ListedZone>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetPage {
    #[serde(default)]
    rrsets: Vec<RecordSet>,
    next_page_token: Option<String>,
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

    /// The zones of the project; only those of the DNS name `name` where one is given.
    pub(crate) async fn zones(&self, name: Option<&ZoneName>) -> Result<Vec<ListedZone>, ProviderError> {
        let path = format!("projects/{}/managedZones", self.identity.project().await?);
        let name = name.map(|name| name.apex().absolute());
        let mut query = vec![("maxResults", PER_PAGE)];
        query.extend(name.as_deref().map(|name| ("dnsName", name)));
        let page = |page: ZonePage| (page.managed_zones, page.next_page_token);
        let found = self.pages(&path, &query, MOST_PAGES, page).await?;
        found.ok_or_else(|| too_many("the list of zones"))
    }

    /// The TXT set at `name`.
    pub(crate) async fn set(&self, zone: &str, name: &Fqdn) -> Result<Option<RecordSet>, ProviderError> {
        let path = self.path(zone, "rrsets").await?;
        let absolute = name.absolute();
        let query = [("name", absolute.as_str()), ("type", "TXT")];
        let reply = self.sent(|| Ok(with(self.client.get(&path), &query))).await?;
        let page: SetPage = reply.json()?;
        Ok(page.rrsets.into_iter().find(|set| set.is_txt_at(name)))
    }

    /// All sets of the zone, unless they fill more than `most` pages.
    pub(crate) async fn sets(
        &self,
        zone: &str,
        most: usize,
    ) -> Result<Option<Vec<RecordSet>>, ProviderError> {
        let path = self.path(zone, "rrsets").await?;
        let page = |page: SetPage| (page.rrsets, page.next_page_token);
        self.pages(&path, &[("maxResults", PER_PAGE)], most.min(MOST_PAGES), page).await.map_err(Into::into)
    }

    /// Carries out `change`.
    pub(crate) async fn change(&self, zone: &str, change: &Change) -> Result<ChangeState, Failure> {
        let path = self.path(zone, "changes").await?;
        let reply = self.posted(&path, change).await?;
        Ok(reply.json()?)
    }

    /// What became of the change `id`.
    pub(crate) async fn state(&self, zone: &str, id: &str) -> Result<ChangeState, ProviderError> {
        let path = self.path(zone, &format!("changes/{id}")).await?;
        self.sent(|| Ok(self.client.get(&path))).await?.json()
    }

    /// Which of `permissions` on the zone the identity has.
    pub(crate) async fn held(&self, zone: &str, permissions: &[&str]) -> Result<Vec<String>, ProviderError> {
        #[derive(Deserialize)]
        struct Held {
            #[serde(default)]
            permissions: Vec<String>,
        }
        let path = self.path(&format!("{zone}:testIamPermissions"), "").await?;
        let held: Held = self.posted(&path, &json!({ "permissions": permissions })).await?.json()?;
        Ok(held.permissions)
    }

    async fn path(&self, zone: &str, rest: &str) -> Result<String, ProviderError> {
        if !is_plain(zone) {
            let message = format!("`{zone}` is not a zone's id");
            return Err(ProviderError::new(ProviderErrorKind::NotFound, message)
                .with_hint("a zone's id is its own name (or number) in the project, not its DNS name"));
        }
        let project = self.identity.project().await?;
        Ok(format!("projects/{project}/managedZones/{zone}/{rest}").trim_end_matches('/').to_owned())
    }

    /// All entries of a list; `None` if it has more than `most` pages.
    async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        most: usize,
        entries: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Option<Vec<T>>, Failure> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..most {
            let reply = self
                .sent(|| {
                    let request = with(self.client.get(path), query);
                    Ok(match &next {
                        Some(token) => request.query("pageToken", token),
                        None => request,
                    })
                })
                .await?;
            let (some, token) = entries(reply.json()?);
            found.extend(some);
            match token.filter(|token| !token.is_empty()) {
                Some(token) => next = Some(token),
                None => return Ok(Some(found)),
            }
        }
        Ok(None)
    }

    async fn posted(&self, path: &str, body: &impl Serialize) -> Result<Reply, Failure> {
        self.sent(|| self.client.post(path).json(body)).await
    }

    /// Sends what `request` makes.
    async fn sent<'a>(
        &'a self,
        request: impl Fn() -> Result<Request<'a>, ProviderError>,
    ) -> Result<Reply, Failure> {
        self.identity.send(request).await?.success_or(failure)
    }
}

fn with<'a>(request: Request<'a>, query: &[(&str, &str)]) -> Request<'a> {
    query.iter().fold(request, |request, (name, value)| request.query(name, value))
}

fn too_many(what: &str) -> ProviderError {
    let message = format!("{what} has more than {MOST_PAGES} pages");
    ProviderError::new(ProviderErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_sent_in_the_documented_form() {
        let name = Fqdn::parse("_acme-challenge.example.com").unwrap();
        let set = |records: &[&str]| {
            let records = records.iter().map(|&record| record.to_owned()).collect();
            RecordSet::txt(&name, Rrset { ttl: 60, records })
        };
        let change =
            Change { deletions: vec![set(&["\"v1\""])], additions: vec![set(&["\"v1\"", "\"v2\""])] };
        let documented = json!({
            "deletions": [{ "name": "_acme-challenge.example.com.", "type": "TXT", "ttl": 60, "rrdatas": ["\"v1\""] }],
            "additions": [
                { "name": "_acme-challenge.example.com.", "type": "TXT", "ttl": 60, "rrdatas": ["\"v1\"", "\"v2\""] },
            ],
        });
        assert_eq!(serde_json::to_value(change).unwrap(), documented);
    }

    #[test]
    fn a_private_zone_and_a_set_with_a_policy_are_told_apart() {
        let zone = |more: &str| -> ListedZone {
            serde_json::from_str(&format!(r#"{{"name":"z","dnsName":"example.com."{more}}}"#)).unwrap()
        };
        assert!(zone("").is_public() && zone(r#","visibility":"public""#).is_public());
        assert!(!zone(r#","visibility":"private""#).is_public());
        let set = r#"{"name":"n.","type":"TXT","ttl":60,"routingPolicy":{"wrr":{"items":[]}}}"#;
        let set: RecordSet = serde_json::from_str(set).unwrap();
        assert!(set.routing_policy && set.rrdatas.is_empty());
    }
}

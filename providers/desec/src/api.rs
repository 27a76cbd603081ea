//! The calls of the API that are used. Every path ends with a slash: the service redirects
//! what does not.

use crate::error;
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{ProviderError, ProviderErrorKind, Rrset, ZoneName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

/// Pages that are read at most, of 500 entries each.
const MOST_PAGES: usize = 100;

/// The service, seen with one token.
#[derive(Clone, Debug)]
pub(crate) struct Api(HttpClient);

/// A TXT RRset as the service lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedSet {
    /// Relative to the domain; empty at its apex.
    pub(crate) subname: String,
    ttl: u32,
    records: Vec<String>,
}

/// What one RRset shall be. No records: it goes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SetChange {
    pub(crate) subname: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// Needed where the RRset is new; otherwise it keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<u32>,
    pub(crate) records: Vec<String>,
}

/// One rule of what a token may write; what is `None` fits everything.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Policy {
    pub(crate) domain: Option<String>,
    pub(crate) subname: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) perm_write: bool,
}

#[derive(Deserialize)]
struct ListedDomain {
    name: String,
}

impl ListedSet {
    pub(crate) fn content(&self) -> Rrset {
        Rrset { ttl: self.ttl, records: self.records.clone() }
    }
}

impl Api {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self(client)
    }

    /// The TXT RRsets of `zone`, or that at `subname` only. Unlike a question for the RRset
    /// itself, a list tells an absent RRset from an absent domain.
    pub(crate) async fn sets(
        &self,
        zone: &ZoneName,
        subname: Option<&str>,
    ) -> Result<Vec<ListedSet>, ProviderError> {
        let path = rrsets(zone);
        self.all_pages(|| {
            let request = self.0.get(&path).query("type", "TXT");
            match subname {
                Some(subname) => request.query("subname", subname),
                None => request,
            }
        })
        .await
    }

    /// Carries out all of `changes`, or none.
    pub(crate) async fn change(&self, zone: &ZoneName, changes: &[SetChange]) -> Result<(), ProviderError> {
        let reply = self.0.patch(&rrsets(zone)).json(&changes)?.send().await?;
        // Writes are counted by domain: the day's last one of one must not stop the others.
        checked(reply, changes).map(drop).map_err(ProviderError::with_zone_only)
    }

    /// The names of the account's domains. Every token may ask.
    pub(crate) async fn domains(&self) -> Result<Vec<ZoneName>, ProviderError> {
        let listed: Vec<ListedDomain> = self.all_pages(|| self.0.get("domains/")).await?;
        Ok(listed.into_iter().filter_map(|one| ZoneName::parse(&one.name).ok()).collect())
    }

    /// Whether the token may manage tokens, and so give itself every other right.
    pub(crate) async fn may_manage_tokens(&self) -> Result<bool, ProviderError> {
        let reply = self.0.get("auth/tokens/").send().await?;
        if reply.status() == 403 {
            return Ok(false);
        }
        checked(reply, &[]).map(|_| true)
    }

    /// The policies of the token with this id, which must be the one that asks.
    pub(crate) async fn policies(&self, token_id: &str) -> Result<Vec<Policy>, ProviderError> {
        let path = format!("auth/tokens/{token_id}/policies/rrsets/");
        checked(self.0.get(&path).send().await?, &[])?.json()
    }

    /// Whether the token may write `sets`, found without writing them: their records are such
    /// that the service refuses them, which it does only after it has looked at the policies.
    pub(crate) async fn may_write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<bool, ProviderError> {
        let reply = self.0.post(&rrsets(zone)).json(&sets)?.send().await?;
        match reply.status() {
            403 => Ok(false),
            400 => Ok(true),
            _ => {
                // A service that takes them all the same keeps nothing of it.
                checked(reply, sets)?;
                let gone: Vec<SetChange> = sets.iter().map(SetChange::gone).collect();
                self.change(zone, &gone).await.map(|()| true)
            }
        }
    }

    async fn all_pages<'a, T: DeserializeOwned>(
        &self,
        request: impl Fn() -> Request<'a>,
    ) -> Result<Vec<T>, ProviderError> {
        let mut found = Vec::new();
        // An empty cursor is the first page; without one, long lists are refused.
        let mut cursor = String::new();
        for _ in 0..MOST_PAGES {
            let reply = checked(request().query("cursor", &cursor).send().await?, &[])?;
            found.extend(reply.json::<Vec<T>>()?);
            match reply.header("link").and_then(next_cursor) {
                Some(next) => cursor = next,
                None => return Ok(found),
            }
        }
        let message = format!("a list has more than {MOST_PAGES} pages");
        Err(ProviderError::new(ProviderErrorKind::Invalid, message))
    }
}

impl SetChange {
    fn gone(&self) -> Self {
        Self { subname: self.subname.clone(), kind: self.kind, ttl: None, records: Vec::new() }
    }
}

fn rrsets(zone: &ZoneName) -> String {
    format!("domains/{zone}/rrsets/")
}

fn checked(reply: Reply, sent: &[SetChange]) -> Result<Reply, ProviderError> {
    reply.success_or(|reply| error::refused(reply, sent))
}

/// The cursor of the next page in a Link header (RFC 8288): only that is taken of the address,
/// which could lead to another host.
fn next_cursor(link: &str) -> Option<String> {
    let next = link.split(',').find(|one| one.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    let url = Url::parse(address).ok()?;
    let cursor = url.query_pairs().find(|(name, _)| name == "cursor")?.1;
    (!cursor.is_empty()).then(|| cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let link = "<https://desec.io/api/v1/domains/?cursor=>; rel=\"first\", \
                    <https://desec.io/api/v1/domains/?cursor=cD0x%3D&type=TXT>; rel=\"next\"";
        assert_eq!(next_cursor(link).as_deref(), Some("cD0x="));
        for none in ["", "<https://desec.io/?cursor=x>; rel=\"prev\"", "<nonsense>; rel=\"next\""] {
            assert_eq!(next_cursor(none), None, "{none}");
        }
    }

    #[test]
    fn a_set_that_stays_sends_no_ttl() {
        let records = vec!["\"v\"".to_owned()];
        let change = SetChange { subname: String::new(), kind: "TXT", ttl: None, records };
        let sent = serde_json::to_value(&change).unwrap();
        assert_eq!(sent, serde_json::json!({ "subname": "", "type": "TXT", "records": ["\"v\""] }));
        assert_eq!(change.gone().records, Vec::<String>::new());
    }
}

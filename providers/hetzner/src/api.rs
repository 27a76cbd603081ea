//! The API, as far as it is used: zones, TXT RRsets, changes, and the actions that they become.

use crate::error::{self, Complaint, Failure};
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Pace, ProviderError, ProviderErrorKind, Rate, TxtValue, Zone};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// RRsets of one page: the most that the service gives.
const RRSETS_PER_PAGE: usize = 100;
/// Zones and actions of one page.
const PER_PAGE: usize = 50;
/// Pages that are read at most: a service that ignores `page` would be asked for ever.
const MOST_PAGES: u64 = 400;
/// With fewer requests left than these, they are sent as they come back: one a second.
const RESERVE: u64 = 60;
/// The first wait for actions under way; it doubles up to [`LONGEST_POLL`].
const FIRST_POLL: Duration = Duration::from_millis(200);
const LONGEST_POLL: Duration = Duration::from_secs(2);
/// Actions are waited for at most this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One credential's client, within the service's rate.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: HttpClient,
    /// The service counts down to nothing and gives one request back every second.
    scarce: AtomicBool,
    refill: Pace,
}

/// A TXT RRset as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ListedRrset {
    /// Relative to the zone; `@` at its apex.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) records: Vec<Record>,
}

/// One record, in the presentation format.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) value: String,
}

/// What is asked for at one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) records: Vec<Record>,
    /// Seconds, for a new RRset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<u32>,
}

/// A change under way or done.
#[derive(Debug, Deserialize)]
pub(crate) struct Action {
    pub(crate) id: u64,
    status: String,
    error: Option<Complaint>,
}

/// A zone as the service shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedZone {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) status: String,
}

#[derive(Deserialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<u64>,
    total_entries: Option<usize>,
}

#[derive(Deserialize)]
struct RrsetPage {
    rrsets: Vec<ListedRrset>,
    meta: Meta,
}

#[derive(Deserialize)]
struct ZonePage {
    zones: Vec<ListedZone>,
    meta: Meta,
}

#[derive(Deserialize)]
struct ZoneDocument {
    zone: ListedZone,
}

#[derive(Deserialize)]
struct ActionDocument {
    action: Action,
}

#[derive(Deserialize)]
struct ActionPage {
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Counted {
    meta: Meta,
}

impl Api {
    pub(crate) fn new(client: HttpClient) -> Self {
        let refill = Pace::new(&[Rate::per_second(1)]);
        Self(Arc::new(Shared { client, scarce: AtomicBool::new(false), refill }))
    }

    /// The TXT RRset at `name`, if there is one. A list, not the RRset itself: "not found" is then
    /// about the zone.
    pub(crate) async fn rrset(&self, zone: &Zone, name: &str) -> Result<Option<ListedRrset>, ProviderError> {
        let request = self.0.client.get(&format!("{}/rrsets", path(zone)));
        let request = request.query("name", name).query("type", "TXT").query("per_page", "100");
        let page: RrsetPage = self.read(request).await?;
        Ok(page.rrsets.into_iter().find(|rrset| rrset.name.eq_ignore_ascii_case(name)))
    }

    /// All TXT RRsets of the zone; `None` where that is more than `most_pages`.
    pub(crate) async fn rrsets(
        &self,
        zone: &Zone,
        most_pages: usize,
    ) -> Result<Option<Vec<ListedRrset>>, ProviderError> {
        let (mut found, mut next) = (Vec::new(), Some(1));
        while let Some(number) = next {
            let request = self.0.client.get(&format!("{}/rrsets", path(zone))).query("type", "TXT");
            let page: RrsetPage = self.read(numbered(request, number, RRSETS_PER_PAGE)).await?;
            found.extend(page.rrsets);
            let total = page.meta.pagination.total_entries.unwrap_or_default();
            if total.div_ceil(RRSETS_PER_PAGE) > most_pages {
                return Ok(None);
            }
            next = after(&page.meta, number)?;
        }
        Ok(Some(found))
    }

    /// Adds values at `name`, making the RRset where there is none.
    pub(crate) async fn add(&self, zone: &Zone, name: &str, change: &Change) -> Result<Action, Failure> {
        self.change(zone, name, "add_records", change).await
    }

    /// Removes values at `name`; the RRset goes with its last one.
    pub(crate) async fn remove(&self, zone: &Zone, name: &str, change: &Change) -> Result<Action, Failure> {
        self.change(zone, name, "remove_records", change).await
    }

    async fn change(&self, zone: &Zone, name: &str, verb: &str, change: &Change) -> Result<Action, Failure> {
        let path = format!("{}/rrsets/{name}/TXT/actions/{verb}", path(zone));
        let reply = self.send(self.0.client.post(&path).json(change)?).await?;
        Ok(reply.json::<ActionDocument>()?.action)
    }

    /// Waits until all of `actions` are carried out.
    pub(crate) async fn wait(&self, actions: Vec<Action>) -> Result<(), ProviderError> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_POLL;
        let mut running = under_way(actions)?;
        while !running.is_empty() {
            if Instant::now() + pause >= deadline {
                let message = format!("the service is still at it after {} s", PATIENCE.as_secs());
                return Err(ProviderError::new(ProviderErrorKind::Unavailable, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_POLL);
            let mut left = Vec::new();
            for some in running.chunks(PER_PAGE) {
                let mut request = self.0.client.get("actions");
                for id in some {
                    request = request.query("id", &id.to_string());
                }
                let page: ActionPage = self.read(request.query("per_page", &PER_PAGE.to_string())).await?;
                left.extend(under_way(page.actions)?);
            }
            running = left;
        }
        Ok(())
    }

    /// The zone as it is now.
    pub(crate) async fn zone(&self, zone: &Zone) -> Result<ListedZone, ProviderError> {
        Ok(self.read::<ZoneDocument>(self.0.client.get(&path(zone))).await?.zone)
    }

    /// All zones of the token's project.
    pub(crate) async fn zones(&self) -> Result<Vec<ListedZone>, ProviderError> {
        let (mut found, mut next) = (Vec::new(), Some(1));
        while let Some(number) = next {
            let page: ZonePage = self.read(numbered(self.0.client.get("zones"), number, PER_PAGE)).await?;
            found.extend(page.zones);
            next = after(&page.meta, number)?;
        }
        Ok(found)
    }

    /// How many `things` the project holds.
    pub(crate) async fn count(&self, things: &str) -> Result<usize, ProviderError> {
        let counted: Counted = self.read(numbered(self.0.client.get(things), 1, 1)).await?;
        Ok(counted.meta.pagination.total_entries.unwrap_or_default())
    }

    async fn read<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, ProviderError> {
        self.send(request).await?.json()
    }

    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        if self.0.scarce.load(Ordering::Relaxed) {
            self.0.refill.turn().await;
        }
        let reply = request.send().await?;
        let remaining = reply.header("ratelimit-remaining").and_then(|text| text.parse::<u64>().ok());
        if let Some(remaining) = remaining {
            self.0.scarce.store(remaining < RESERVE, Ordering::Relaxed);
        }
        reply.success_or(error::failure)
    }
}

/// The ids of those that are not done; one that failed is an error.
fn under_way(actions: Vec<Action>) -> Result<Vec<u64>, ProviderError> {
    let mut running = Vec::new();
    for action in actions {
        match action.status.as_str() {
            "success" => {}
            "error" => return Err(error::action_failed(action.error.as_ref())),
            _ => running.push(action.id),
        }
    }
    Ok(running)
}

fn numbered(request: Request<'_>, page: u64, per_page: usize) -> Request<'_> {
    request.query("page", &page.to_string()).query("per_page", &per_page.to_string())
}

/// The number of the page after `number`.
fn after(meta: &Meta, number: u64) -> Result<Option<u64>, ProviderError> {
    if number >= MOST_PAGES {
        let message = format!("a list has more than {MOST_PAGES} pages");
        return Err(ProviderError::new(ProviderErrorKind::Invalid, message));
    }
    Ok(meta.pagination.next_page.map(|_| number + 1))
}

/// Every path takes a zone's id as well as its name.
fn path(zone: &Zone) -> String {
    let id = zone.id.as_deref().unwrap_or(zone.name.as_str());
    format!("zones/{}", id.replace('/', "%2F"))
}

impl Record {
    pub(crate) fn holding(value: &TxtValue) -> Self {
        Self { value: value.presentation() }
    }

    /// Whether it holds `value`, however that was cut and escaped.
    pub(crate) fn holds(&self, value: &TxtValue) -> bool {
        TxtValue::from_presentation(&self.value).as_ref() == Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::ZoneName;

    #[test]
    fn zones_are_known_by_id_or_name() {
        let mut zone = Zone::named(ZoneName::parse("example.com").unwrap());
        assert_eq!(path(&zone), "zones/example.com");
        zone.id = Some("42".to_owned());
        assert_eq!(path(&zone), "zones/42");
    }

    #[test]
    fn actions_are_done_under_way_or_failed() {
        let action = |status: &str| {
            serde_json::from_value(serde_json::json!({ "id": 7, "status": status, "error": null })).unwrap()
        };
        assert_eq!(under_way(vec![action("success"), action("running")]).unwrap(), [7]);
        assert!(under_way(vec![action("error")]).is_err());
    }
}

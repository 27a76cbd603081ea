//! The plugin: single records, published together.

use crate::api::{Api, Record};
use crate::config::Config;
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, ScopeNeed,
    ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneName, rrset,
};
use futures_util::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Changes that one call may hold: two or three requests each, and one for all.
const LARGEST_BATCH: usize = 100;
/// Requests under way at once within a call; the service cuts off who asks for too much.
const AT_ONCE: usize = 4;
/// A whole batch may take long.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);
/// The smallest TTL that is served, in seconds.
const SMALLEST_TTL: u32 = 60;

/// Where a record stands: its zone, its relative name and its text.
type Place = (String, String, TxtValue);

/// OVHcloud's zones with one credential.
#[derive(Debug)]
pub struct Ovh {
    api: Api,
    /// The ids of records that this process has made, so that they need not be looked for.
    made: Mutex<HashMap<Place, u64>>,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Ovh::new(&Config::new(settings)?)))
}

impl Ovh {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { api: Api::new(config), made: Mutex::default() }
    }

    /// Carries out the changes at the relative name `at`.
    async fn change(&self, zone: &str, at: &str, changes: &[&TxtChange]) -> Result<(), ProviderError> {
        // The last word on a value counts.
        let last: BTreeMap<&TxtValue, &TxtChange> =
            changes.iter().map(|change| (change.value(), *change)).collect();
        let place = |value: &TxtValue| (zone.to_owned(), at.to_owned(), value.clone());
        let mut rest = Vec::new();
        for (value, change) in last {
            let known = match change {
                TxtChange::Remove { .. } => self.made().remove(&place(value)),
                TxtChange::Add { .. } => None,
            };
            let removed = match known {
                Some(id) => self.api.remove(zone, id).await?,
                None => false,
            };
            if !removed {
                rest.push(change);
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let present = self.api.records(zone, at).await?;
        for change in rest {
            let value = change.value();
            let mut same = Vec::new();
            for record in &present {
                if record.value().as_ref() == Some(value) {
                    same.push(record.id);
                }
            }
            match change {
                TxtChange::Add { ttl, .. } => {
                    let id = match same.first() {
                        Some(id) => *id,
                        None => self.api.add(zone, at, value, ttl_beside(&present, *ttl)).await?,
                    };
                    self.made().insert(place(value), id);
                }
                TxtChange::Remove { .. } => {
                    for id in same {
                        self.api.remove(zone, id).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn made(&self) -> MutexGuard<'_, HashMap<Place, u64>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records of one name are served with one TTL (RFC 2181 §5.2).
fn ttl_beside(present: &[Record], wanted: u32) -> u32 {
    present.first().map_or(wanted.max(SMALLEST_TTL), |record| record.ttl)
}

/// A zone's id is its name.
fn id_of(zone: &Zone) -> &str {
    zone.id.as_deref().unwrap_or(zone.name.as_str())
}

fn relative<'a>(zone: &Zone, name: &'a Fqdn) -> Result<&'a str, ProviderError> {
    name.relative_to(&zone.name).ok_or_else(|| {
        let message = format!("`{name}` is not in the zone `{}`", zone.name);
        ProviderError::new(ProviderErrorKind::Invalid, message)
    })
}

#[async_trait]
impl DnsProvider for Ovh {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.in_flight = 2;
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = SMALLEST_TTL;
        limits
    }

    /// Each change is a request of its own; the servers have them when the zone is published at
    /// the end. That is done also where nothing was left to change: an earlier call may have
    /// ended before it came so far.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let id = id_of(zone);
        let mut work = Vec::new();
        for (name, changes) in rrset::by_name(changes) {
            let at = relative(zone, name)?;
            work.push(async move { self.change(id, at, &changes).await });
        }
        // All of them come to an end, so that the ids of what was made are known.
        let results: Vec<Result<(), ProviderError>> =
            stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().collect::<Result<(), _>>()?;
        self.api.publish(id).await?;
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let records = self.api.records(id_of(zone), relative(zone, name)?).await?;
        Ok(Listing::Listed(records.iter().filter_map(Record::value).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let zone = |name: String| Some(Zone::named(ZoneName::parse(&name).ok()?));
        let names = self.api.zones().await;
        Listing::if_permitted(names.map(|names| names.into_iter().filter_map(zone).collect()))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, needs).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_record_takes_the_ttl_of_those_beside_it_or_one_that_is_served() {
        let record = |ttl: u32| -> Record {
            let record = serde_json::json!({ "id": 1, "subDomain": "x", "target": "v", "ttl": ttl });
            serde_json::from_value(record).unwrap()
        };
        assert_eq!(ttl_beside(&[record(3607)], 60), 3607);
        assert_eq!(ttl_beside(&[record(0)], 60), 0, "the zone's own");
        assert_eq!(ttl_beside(&[], 1), 60);
        assert_eq!(ttl_beside(&[], 300), 300);
    }
}

//! The plugin: the provider contract over an API that adds and removes single values itself.

use crate::api::{Action, Api, Change, ListedRrset, Record};
use crate::config::Config;
use crate::error::Failure;
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Published, Receipt,
    ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneName, rrset,
};
use futures_util::future::join_all;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Changes of one call. Names are changed one by one, but share one list and the wait at the end.
const LARGEST_BATCH: usize = 100;
/// Names of one call that are changed at once.
const AT_ONCE: usize = 6;
/// Names that are listed one by one; for more, the zone's TXT RRsets are.
const FEW_NAMES: usize = 2;
/// Values of one request.
const MOST_VALUES: usize = 50;
/// The smallest and the largest TTL, in seconds.
const TTLS: (u32, u32) = (60, 2_147_483_647);
/// How often a name is changed anew because of others who change the zone.
const ATTEMPTS: u32 = 8;
/// The first wait for another change that is under way; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A full call may have to wait for requests that come back one a second.
const CALL_TIMEOUT: Duration = Duration::from_secs(240);

/// Hetzner DNS with one credential.
#[derive(Clone, Debug)]
pub struct Hetzner {
    api: Api,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Hetzner::new(Config::new(settings)?)))
}

/// What is still to be done at one name.
#[derive(Debug, PartialEq, Eq)]
struct Work {
    add: Vec<Change>,
    remove: Vec<Change>,
}

impl Hetzner {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { api: Api::new(config.client) }
    }

    /// At least the TXT RRsets at `names`, by name.
    async fn look(&self, zone: &Zone, names: &[&str]) -> Result<HashMap<String, ListedRrset>, ProviderError> {
        let mut found = Vec::new();
        let whole = if names.len() > FEW_NAMES { self.api.rrsets(zone, names.len()).await? } else { None };
        match whole {
            Some(rrsets) => found = rrsets,
            None => {
                for some in names.chunks(AT_ONCE) {
                    for rrset in join_all(some.iter().map(|name| self.api.rrset(zone, name))).await {
                        found.extend(rrset?);
                    }
                }
            }
        }
        Ok(found.into_iter().map(|rrset| (rrset.name.to_ascii_lowercase(), rrset)).collect())
    }

    /// Makes `changes` hold at `name`, where `present` stood a moment ago.
    async fn settle(
        &self,
        zone: &Zone,
        name: &str,
        changes: &[&TxtChange],
        present: Option<&ListedRrset>,
    ) -> Result<Vec<Action>, ProviderError> {
        let mut work = plan(changes, present);
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let error = match self.carry_out(zone, name, &work).await {
                Ok(actions) => return Ok(actions),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Busy(error)) => {
                    tracing::debug!(%error, name, "another change is under way");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    None
                }
                Err(Failure::Stale(error)) => Some(error),
            };
            // Somebody else may have done the same meanwhile, or a part of it may be done.
            let anew = plan(changes, self.api.rrset(zone, name).await?.as_ref());
            match error {
                Some(error) if anew == work => return Err(error),
                _ => work = anew,
            }
        }
        Ok(self.carry_out(zone, name, &work).await?)
    }

    /// Values come before others go, so that an RRset that stays is never gone.
    async fn carry_out(&self, zone: &Zone, name: &str, work: &Work) -> Result<Vec<Action>, Failure> {
        let mut actions = Vec::new();
        for change in &work.add {
            actions.push(self.api.add(zone, name, change).await?);
        }
        for change in &work.remove {
            actions.push(self.api.remove(zone, name, change).await?);
        }
        Ok(actions)
    }
}

#[async_trait]
impl DnsProvider for Hetzner {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = TTLS.0;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let mut places = Vec::new();
        for (name, changes) in rrset::by_name(changes) {
            places.push((zone.relative(name)?, changes));
        }
        let names: Vec<&str> = places.iter().map(|(name, _)| *name).collect();
        let present = self.look(zone, &names).await?;
        let mut actions = Vec::new();
        for some in places.chunks(AT_ONCE) {
            let settled =
                some.iter().map(|(name, changes)| self.settle(zone, name, changes, present.get(*name)));
            for one in join_all(settled).await {
                actions.extend(one?);
            }
        }
        let Some(last) = actions.iter().map(|action| action.id).max() else {
            return Ok(Applied::default());
        };
        self.api.wait(actions).await?;
        Ok(Applied::with_receipt(Receipt(last.to_string())))
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let rrset = self.api.rrset(zone, zone.relative(name)?).await?;
        let records = rrset.map(|rrset| rrset.records).unwrap_or_default();
        // Somebody else's value may be no printable text, and is then none that we could hold.
        let values = records.iter().filter_map(|record| TxtValue::from_presentation(&record.value));
        Ok(Listing::Listed(values.collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let zones = self.api.zones().await?.into_iter().filter_map(|one| {
            Some(Zone { name: ZoneName::parse(&one.name).ok()?, id: Some(one.id.to_string()) })
        });
        Ok(Listing::Listed(zones.collect()))
    }

    /// The changes are carried out already: what is left is that the zone reaches the name servers.
    async fn published(&self, zone: &Zone, _: &Receipt) -> Result<Published, ProviderError> {
        match self.api.zone(zone).await?.status.as_str() {
            "ok" => Ok(Published::Yes),
            "updating" => Ok(Published::NotYet),
            other => {
                let message = format!("the service cannot publish the zone: its status is `{other}`");
                Err(ProviderError::new(ProviderErrorKind::Unavailable, message)
                    .with_context("zone", &zone.name))
            }
        }
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, needs).await
    }
}

/// What is still to be done, given the RRset that is there. The last word on a value counts.
fn plan(changes: &[&TxtChange], present: Option<&ListedRrset>) -> Work {
    let there = present.map_or(&[][..], |rrset| rrset.records.as_slice());
    let last: BTreeMap<&TxtValue, &TxtChange> =
        changes.iter().map(|change| (change.value(), *change)).collect();
    let (mut added, mut removed, mut ttl) = (Vec::new(), Vec::new(), None);
    for (value, change) in last {
        // The form that stands there is the one to be named.
        let mut same = there.iter().filter(|record| record.holds(value)).cloned().peekable();
        match change {
            TxtChange::Add { ttl: wanted, .. } if same.peek().is_none() => {
                added.push(Record::holding(value));
                // An RRset that is there keeps its own: another one in the request is refused.
                ttl = ttl
                    .or((!there.is_empty()).then_some(None))
                    .or(Some(Some((*wanted).clamp(TTLS.0, TTLS.1))));
            }
            TxtChange::Add { .. } => {}
            TxtChange::Remove { .. } => removed.extend(same),
        }
    }
    let requests = |records: &[Record], ttl: Option<u32>| -> Vec<Change> {
        records.chunks(MOST_VALUES).map(|some| Change { records: some.to_vec(), ttl }).collect()
    };
    Work { add: requests(&added, ttl.flatten()), remove: requests(&removed, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(value: &str, ttl: u32) -> TxtChange {
        let name = Fqdn::parse("_acme-challenge.a.test").unwrap();
        TxtChange::Add { name, value: TxtValue::parse(value).unwrap(), ttl }
    }

    fn remove(value: &str) -> TxtChange {
        let name = Fqdn::parse("_acme-challenge.a.test").unwrap();
        TxtChange::Remove { name, value: TxtValue::parse(value).unwrap() }
    }

    fn rrset(values: &[&str]) -> ListedRrset {
        let records = values.iter().map(|&value| Record { value: value.to_owned() }).collect();
        ListedRrset { name: "_acme-challenge".to_owned(), records }
    }

    fn planned(changes: &[TxtChange], present: Option<&ListedRrset>) -> serde_json::Value {
        let Work { add, remove } = plan(&changes.iter().collect::<Vec<_>>(), present);
        serde_json::json!([add, remove])
    }

    #[test]
    fn a_new_rrset_gets_a_ttl_that_is_allowed_and_one_that_is_there_none() {
        let alone = planned(&[add("v", 5), add("w", 5)], None);
        let records = serde_json::json!([{ "value": "\"v\"" }, { "value": "\"w\"" }]);
        assert_eq!(alone, serde_json::json!([[{ "records": records, "ttl": 60 }], []]));
        let beside = planned(&[add("v", 5)], Some(&rrset(&["\"x\""])));
        assert_eq!(beside, serde_json::json!([[{ "records": [{ "value": "\"v\"" }] }], []]));
    }

    #[test]
    fn what_is_done_already_is_not_asked_for_again() {
        let present = rrset(&["\"v\"", "\"two \" \"strings\""]);
        let done = [add("v", 60), add("two strings", 60), remove("w")];
        assert_eq!(planned(&done, Some(&present)), serde_json::json!([[], []]));
    }

    #[test]
    fn a_removal_names_its_value_as_it_stands_there_and_the_last_word_counts() {
        let present = rrset(&["\"two \" \"strings\"", "\"w\""]);
        let changes = [remove("two strings"), remove("w"), add("w", 60)];
        let removed = serde_json::json!([{ "value": "\"two \" \"strings\"" }]);
        assert_eq!(planned(&changes, Some(&present)), serde_json::json!([[], [{ "records": removed }]]));
    }

    #[test]
    fn no_request_has_more_than_fifty_values() {
        let many: Vec<TxtChange> = (0..101).map(|number| add(&format!("v{number}"), 60)).collect();
        let work = plan(&many.iter().collect::<Vec<_>>(), None);
        let sizes: Vec<usize> = work.add.iter().map(|change| change.records.len()).collect();
        assert_eq!(sizes, [50, 50, 1]);
    }
}

//! The plugin: single records, looked at once for many changes.

use crate::api::{Api, LISTS, Record};
use crate::config::Config;
use crate::{error, scope};
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, RecordIds,
    ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneIds, ZoneName,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Changes that one call may hold. Each is a request of its own, after one look at all.
const LARGEST_BATCH: usize = 100;
/// Requests of one call that are under way at once.
const AT_ONCE: usize = 4;
/// A hundred requests and a look.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// TTLs that the service has and a new record is not given: the domain's own, and those that not
/// all of the vendor's tools know.
const OTHER_TTLS: [u32; 3] = [0, 30, 120];
/// The TTLs that the service has; it rounds others, upwards or to the nearest.
const TTLS: [u32; 12] =
    [300, 3600, 7200, 14_400, 28_800, 57_600, 86_400, 172_800, 345_600, 604_800, 1_209_600, 2_419_200];

/// Linode's DNS Manager with one token.
#[derive(Debug)]
pub struct Linode {
    api: Api,
    zones: ZoneIds,
    records: RecordIds,
}

/// What is still to be done with single records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan<'a> {
    creations: Vec<(&'a Fqdn, &'a TxtValue, u32)>,
    deletions: Vec<u64>,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Linode::new(Config::new(settings)?)))
}

impl Linode {
    /// A provider with the token of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { api: Api::new(config.client), zones: ZoneIds::default(), records: RecordIds::default() }
    }

    /// The id of `zone`, which is checked where it is looked up.
    async fn id(&self, zone: &Zone) -> Result<String, ProviderError> {
        self.zones.of(zone, || self.look_up(&zone.name)).await
    }

    async fn look_up(&self, zone: &ZoneName) -> Result<String, ProviderError> {
        let (listed, _) = self.api.domains(Some(zone)).await?;
        let mut fitting = listed.into_iter().filter(|one| ZoneName::parse(&one.domain).as_ref() == Ok(zone));
        let found = fitting.next().ok_or_else(|| error::unseen(zone))?;
        match (found.kind.as_str(), found.status.as_str()) {
            ("slave", _) => Err(error::secondary(zone)),
            (_, "active" | "") => Ok(found.id.to_string()),
            (_, status) => Err(error::not_served(zone, status)),
        }
    }

    /// Removes by their ids those records that this process has created; returns the changes
    /// for which a look is needed.
    async fn remove_known<'a>(
        &self,
        id: &str,
        zone: &ZoneName,
        changes: Vec<&'a TxtChange>,
    ) -> Result<Vec<&'a TxtChange>, ProviderError> {
        let tasks: Vec<_> =
            changes.into_iter().map(|change| self.remove_if_known(id, zone, change)).collect();
        let rest: Vec<Option<&TxtChange>> = stream::iter(tasks).buffered(AT_ONCE).try_collect().await?;
        Ok(rest.into_iter().flatten().collect())
    }

    /// The change, if it is still to be made.
    async fn remove_if_known<'a>(
        &self,
        id: &str,
        zone: &ZoneName,
        change: &'a TxtChange,
    ) -> Result<Option<&'a TxtChange>, ProviderError> {
        let TxtChange::Remove { name, value } = change else { return Ok(Some(change)) };
        let Some(record) = self.records.take(zone, name, value) else { return Ok(Some(change)) };
        // Gone is success, unless somebody made the record anew.
        Ok((!self.delete(id, record).await?).then_some(change))
    }

    /// Whether there was such a record to remove.
    async fn delete(&self, id: &str, record: String) -> Result<bool, ProviderError> {
        match self.api.delete(id, &record).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ProviderErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn create(
        &self,
        id: &str,
        zone: &ZoneName,
        (name, value, ttl): (&Fqdn, &TxtValue, u32),
    ) -> Result<(), ProviderError> {
        self.records.begin(zone, name, value);
        let record = self.api.create(id, subname(zone, name)?, value, ttl).await?;
        self.records.made(zone, name, value, record.id.to_string());
        // The TTL of a creation has been seen to be dropped, which leaves the domain's own: a day.
        if record.ttl_sec != ttl
            && let Err(error) = self.api.set_ttl(id, record.id, ttl).await
        {
            tracing::warn!(%error, %zone, %name, "the record stands with another TTL than wanted");
        }
        Ok(())
    }

    async fn look_and_change(
        &self,
        id: &str,
        zone: &ZoneName,
        changes: &[&TxtChange],
    ) -> Result<(), ProviderError> {
        let first = changes[0].name();
        let alone = changes.iter().all(|change| change.name() == first);
        let only = if alone { Some(subname(zone, first)?) } else { None };
        let present = self.api.records(id, only).await?;
        let Plan { creations, deletions } = planned(zone, &present, changes);
        let gone: Vec<_> = deletions.into_iter().map(|record| self.delete(id, record.to_string())).collect();
        stream::iter(gone).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        let made: Vec<_> = creations.into_iter().map(|creation| self.create(id, zone, creation)).collect();
        stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn carry_out(&self, id: &str, zone: &ZoneName, changes: &[TxtChange]) -> Result<(), ProviderError> {
        // The last word on a value counts.
        let mut last: BTreeMap<(&Fqdn, &TxtValue), &TxtChange> = BTreeMap::new();
        for change in changes {
            subname(zone, change.name())?;
            last.insert((change.name(), change.value()), change);
        }
        let rest = self.remove_known(id, zone, last.into_values().collect()).await?;
        if rest.is_empty() { Ok(()) } else { self.look_and_change(id, zone, &rest).await }
    }
}

#[async_trait]
impl DnsProvider for Linode {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.rates = vec![LISTS];
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = TTLS[0];
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let id = self.id(zone).await?;
        let done = self.carry_out(&id, &zone.name, changes).await;
        if done.as_ref().is_err_and(|error| error.kind() == ProviderErrorKind::NotFound) {
            self.zones.forget(zone);
        }
        done.map(|()| Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let subname = subname(&zone.name, name)?;
        let id = self.id(zone).await?;
        let records = self.api.records(&id, Some(subname)).await?;
        let here = records.iter().filter(|record| record.is_at(&zone.name, name));
        Ok(Listing::Listed(here.filter_map(Record::value).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let (domains, _) = self.api.domains(None).await?;
        let zone = |one: crate::api::ListedDomain| {
            Some(Zone { name: ZoneName::parse(&one.domain).ok()?, id: Some(one.id.to_string()) })
        };
        Ok(Listing::Listed(domains.into_iter().filter_map(zone).collect()))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, needs).await
    }
}

/// What is to be done so that `changes` hold, given all records at their names.
fn planned<'a>(zone: &ZoneName, present: &[Record], changes: &[&'a TxtChange]) -> Plan<'a> {
    let mut plan = Plan::default();
    for change in changes {
        let here: Vec<&Record> = present.iter().filter(|record| record.is_at(zone, change.name())).collect();
        let mut same = here.iter().filter(|record| record.holds(change.value())).peekable();
        match change {
            TxtChange::Add { .. } if same.peek().is_some() => {}
            TxtChange::Add { name, value, ttl } => {
                // One RRset has one TTL (RFC 2181 §5.2): that of those which are there.
                let ttl = match here.first() {
                    Some(record) if OTHER_TTLS.contains(&record.ttl_sec) => record.ttl_sec,
                    Some(record) => rounded(record.ttl_sec),
                    None => rounded(*ttl),
                };
                plan.creations.push((name, value, ttl));
            }
            TxtChange::Remove { .. } => plan.deletions.extend(same.map(|record| record.id)),
        }
    }
    plan
}

/// The smallest TTL of the service that is not below `ttl`.
fn rounded(ttl: u32) -> u32 {
    TTLS.into_iter().find(|one| *one >= ttl).unwrap_or(TTLS[TTLS.len() - 1])
}

/// `name` as requests have it: without the domain, empty at its apex.
fn subname<'a>(zone: &ZoneName, name: &'a Fqdn) -> Result<&'a str, ProviderError> {
    name.relative_to(zone)
        .ok_or_else(|| ProviderError::new(ProviderErrorKind::Invalid, format!("`{name}` is not in `{zone}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.org").unwrap()
    }

    fn add(value: &str, ttl: u32) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl }
    }

    fn remove(value: &str) -> TxtChange {
        TxtChange::Remove { name: name(), value: TxtValue::parse(value).unwrap() }
    }

    fn record(id: u64, target: &str, ttl: u32) -> Record {
        let record =
            json!({ "id": id, "type": "TXT", "name": "_acme-challenge", "target": target, "ttl_sec": ttl });
        serde_json::from_value(record).unwrap()
    }

    fn planned<'a>(present: &[Record], changes: &'a [TxtChange]) -> (Vec<(&'a str, u32)>, Vec<u64>) {
        let zone = ZoneName::parse("example.org").unwrap();
        let Plan { creations, deletions } =
            super::planned(&zone, present, &changes.iter().collect::<Vec<_>>());
        (creations.into_iter().map(|(_, value, ttl)| (value.as_str(), ttl)).collect(), deletions)
    }

    #[test]
    fn an_add_has_a_ttl_of_the_services_list_or_that_of_the_others() {
        assert_eq!(planned(&[], &[add("v", 30), add("w", 301)]).0, [("v", 300), ("w", 3600)]);
        for (theirs, ours) in [(0, 0), (30, 30), (7200, 7200), (3607, 7200)] {
            assert_eq!(planned(&[record(1, "theirs", theirs)], &[add("v", 30)]).0, [("v", ours)]);
        }
        assert_eq!(rounded(u32::MAX), 2_419_200);
    }

    #[test]
    fn what_is_there_is_not_added_and_every_record_with_the_value_goes() {
        let present = [record(1, "v", 300), record(2, "\"v\"", 300), record(3, "w", 300)];
        assert_eq!(planned(&present, &[add("v", 300), remove("x")]), (vec![], vec![]));
        assert_eq!(planned(&present, &[remove("v")]), (vec![], vec![1, 2]));
    }
}

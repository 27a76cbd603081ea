//! The plugin: the provider contract over an API of single records.

use crate::api::{Api, ListedRecord, NewRecord, Records};
use crate::config::Config;
use crate::{error, scope};
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, ScopeNeed,
    ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneName, rrset,
};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Changes of one call. There is no batch request: they share one list, and each is a request.
const LARGEST_BATCH: usize = 50;
/// Requests of one call under way at once.
const AT_ONCE: usize = 8;
/// Names that are listed one by one; for more, the zone's TXT records are.
const FEW_NAMES: usize = 2;
/// The TTLs that the service takes, in seconds.
const TTLS: (u32, u32) = (30, 2_147_483_647);
/// A full call may have to wait for the next minute's requests.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);

/// DigitalOcean DNS with one credential.
#[derive(Clone, Debug)]
pub struct DigitalOcean {
    api: Api,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(DigitalOcean::new(Config::new(settings)?)))
}

/// One request that changes something.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    Add(NewRecord),
    Remove(u64),
}

impl DigitalOcean {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { api: Api::new(config.client) }
    }

    /// At least the TXT records at `names`.
    async fn look(&self, zone: &Zone, names: &[&Fqdn]) -> Result<Records, ProviderError> {
        if names.len() > FEW_NAMES
            && let Some(records) = self.api.records(zone, names.len()).await?
        {
            return Ok(records);
        }
        let mut all = Records { records: Vec::new(), paged: false };
        for some in names.chunks(AT_ONCE) {
            for found in join_all(some.iter().map(|name| self.api.records_at(zone, name))).await {
                let found = found?;
                all.records.extend(found.records);
                all.paged |= found.paged;
            }
        }
        Ok(all)
    }

    /// Removals of values that no page showed: the records may have slipped from one page to another.
    async fn unseen(
        &self,
        zone: &Zone,
        changes: &[TxtChange],
        seen: &Records,
    ) -> Result<Vec<Work>, ProviderError> {
        let mut work = Vec::new();
        if !seen.paged {
            return Ok(work);
        }
        for change in changes {
            let TxtChange::Remove { name, .. } = change else { continue };
            if plan(zone, std::slice::from_ref(change), &seen.records)?.is_empty() {
                let found = self.api.records_at(zone, name).await?;
                work.extend(plan(zone, std::slice::from_ref(change), &found.records)?);
            }
        }
        Ok(work)
    }

    async fn carry_out(&self, zone: &Zone, work: &Work) -> Result<(), ProviderError> {
        match work {
            Work::Add(record) => self.api.add(zone, record).await,
            // The zone is there, it has just been listed: what was not found is the record.
            Work::Remove(id) => match self.api.remove(zone, *id).await {
                Err(error) if error.kind() == ProviderErrorKind::NotFound => Ok(()),
                answer => answer,
            },
        }
    }
}

#[async_trait]
impl DnsProvider for DigitalOcean {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = TTLS.0;
        limits.refused_characters = &['\\'];
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let names: Vec<&Fqdn> = rrset::by_name(changes).into_keys().collect();
        let seen = self.look(zone, &names).await?;
        let mut work = plan(zone, changes, &seen.records)?;
        work.extend(self.unseen(zone, changes, &seen).await?);
        for some in work.chunks(AT_ONCE) {
            // None is dropped half-way: whether a record was made would not be known.
            let answers = join_all(some.iter().map(|one| self.carry_out(zone, one))).await;
            answers.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let found = self.api.records_at(zone, name).await?;
        let wanted = zone.relative(name)?;
        let at_name = found.records.iter().filter(|record| record.name.eq_ignore_ascii_case(wanted));
        // Somebody else's value may be no printable text, and is then none that we could hold.
        Ok(Listing::Listed(at_name.filter_map(|record| TxtValue::parse(&record.data).ok()).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let zone = |name: String| Some(Zone::named(ZoneName::parse(&name).ok()?));
        let names = self.api.domains().await;
        Listing::if_permitted(names.map(|names| names.into_iter().filter_map(zone).collect()))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, needs).await
    }
}

/// What is still to be done, given the records that are there. The last word on a value counts.
fn plan(zone: &Zone, changes: &[TxtChange], present: &[ListedRecord]) -> Result<Vec<Work>, ProviderError> {
    let mut standing: BTreeMap<String, Vec<&ListedRecord>> = BTreeMap::new();
    for record in present {
        standing.entry(record.name.to_ascii_lowercase()).or_default().push(record);
    }
    let last: BTreeMap<(&Fqdn, &TxtValue), &TxtChange> =
        changes.iter().map(|change| ((change.name(), change.value()), change)).collect();
    let mut work = Vec::new();
    for ((name, value), change) in last {
        let place = zone.relative(name)?;
        let there = standing.get(place).map_or(&[][..], Vec::as_slice);
        let mut same = there.iter().filter(|record| record.data == value.as_str()).peekable();
        match change {
            TxtChange::Add { ttl, .. } if same.peek().is_none() => {
                if value.as_str().contains('\\') {
                    return Err(error::backslash());
                }
                let kept = there.iter().find_map(|record| record.ttl);
                let ttl = kept.unwrap_or((*ttl).clamp(TTLS.0, TTLS.1));
                work.push(Work::Add(NewRecord {
                    kind: "TXT",
                    name: place.to_owned(),
                    data: value.as_str().to_owned(),
                    ttl,
                }));
            }
            TxtChange::Add { .. } => {}
            // The service takes a record twice.
            TxtChange::Remove { .. } => work.extend(same.map(|record| Work::Remove(record.id))),
        }
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone::named(ZoneName::parse("a.test").unwrap())
    }

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).unwrap()
    }

    fn add(at: &str, value: &str, ttl: u32) -> TxtChange {
        TxtChange::Add { name: name(at), value: TxtValue::parse(value).unwrap(), ttl }
    }

    fn remove(at: &str, value: &str) -> TxtChange {
        TxtChange::Remove { name: name(at), value: TxtValue::parse(value).unwrap() }
    }

    fn record(id: u64, at: &str, data: &str) -> ListedRecord {
        ListedRecord { id, name: at.to_owned(), data: data.to_owned(), ttl: Some(3607) }
    }

    fn added(name: &str, data: &str, ttl: u32) -> Work {
        Work::Add(NewRecord { kind: "TXT", name: name.to_owned(), data: data.to_owned(), ttl })
    }

    fn planned(changes: &[TxtChange], present: &[ListedRecord]) -> Vec<Work> {
        plan(&zone(), changes, present).unwrap()
    }

    #[test]
    fn an_add_beside_others_takes_their_ttl_and_one_of_its_own_the_smallest_allowed() {
        let changes = [add("x.a.test", "v", 5), add("a.test", "v", 5)];
        let work = planned(&changes, &[record(1, "X", "w")]);
        assert_eq!(work, [added("@", "v", 30), added("x", "v", 3607)]);
    }

    #[test]
    fn what_is_done_already_is_not_asked_for_again() {
        let present = [record(1, "x", "v")];
        assert_eq!(planned(&[add("x.a.test", "v", 60), remove("x.a.test", "w")], &present), []);
    }

    #[test]
    fn a_removal_takes_every_record_of_its_own_value_and_the_last_word_counts() {
        let present = [record(1, "x", "v"), record(2, "x", "v"), record(3, "x", "w"), record(4, "y", "v")];
        let changes = [
            add("x.a.test", "v", 60),
            remove("x.a.test", "v"),
            remove("x.a.test", "w"),
            add("x.a.test", "w", 60),
        ];
        assert_eq!(planned(&changes, &present), [Work::Remove(1), Work::Remove(2)]);
    }

    #[test]
    fn what_the_service_would_change_or_misplace_is_refused() {
        for change in [add("x.a.test", "a\\b", 60), add("x.b.test", "v", 60)] {
            let error = plan(&zone(), std::slice::from_ref(&change), &[]).unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Invalid, false), "{error}");
        }
    }
}

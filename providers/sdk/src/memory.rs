//! The reference provider: a DNS service in memory, able to misbehave on request.

use crate::conformance::Observer;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::{Fqdn, ZoneName};
use crate::provider::{Applied, Batch, DnsProvider, Limits, Listing};
use crate::record::{TxtChange, TxtRecords, TxtValue, Zone};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A DNS service in memory: what a correct provider does, in few lines.
///
/// Clones share one service, so that a test keeps one to look from outside ([`records`] and
/// [`write`](Self::write)) and to make it misbehave ([`misbehave`]).
///
/// [`records`]: Self::records
/// [`misbehave`]: Self::misbehave
#[derive(Clone, Debug)]
pub struct MemoryProvider {
    service: Arc<Mutex<Service>>,
    limits: Limits,
    refusal: Option<fn() -> ProviderError>,
}

/// What the service does with one of its next calls instead of answering properly.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Does nothing and answers with this error.
    Refuse(ProviderError),
    /// Does the work and never answers: the caller's time for one call runs out.
    LoseReply,
    /// Does the work and answers with this error.
    DoAndFail(ProviderError),
    /// Answers properly, this much later.
    Slow(Duration),
}

#[derive(Debug, Default)]
struct Service {
    zones: BTreeMap<ZoneName, BTreeMap<Fqdn, TxtRecords>>,
    forbidden: BTreeSet<Fqdn>,
    faults: VecDeque<Fault>,
    applied: u64,
    listings: u64,
}

impl MemoryProvider {
    /// A service that holds `zones`, all empty, in batches of up to 1,000 changes.
    pub fn new(zones: impl IntoIterator<Item = ZoneName>) -> Self {
        let zones = zones.into_iter().map(|zone| (zone, BTreeMap::new())).collect();
        let mut limits = Limits::new(Batch::Zone(1000));
        limits.atomic = true;
        Self { service: Arc::new(Mutex::new(Service { zones, ..Service::default() })), limits, refusal: None }
    }

    /// The same service under other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// The same service seen by somebody whom it answers with `refusal` always: a wrong token,
    /// or one call too many.
    #[must_use]
    pub fn refusing(&self, refusal: fn() -> ProviderError) -> Self {
        Self { refusal: Some(refusal), ..self.clone() }
    }

    /// Refuses every batch that touches `name`, as a scoped credential does.
    pub fn forbid(&self, name: Fqdn) {
        self.service().forbidden.insert(name);
    }

    /// The next call meets `fault`; several faults meet the next calls in turn.
    pub fn misbehave(&self, fault: Fault) {
        self.service().faults.push_back(fault);
    }

    /// What stands at `name` in `zone`, as the world sees it; empty where nothing does.
    #[must_use]
    pub fn records(&self, zone: &ZoneName, name: &Fqdn) -> TxtRecords {
        self.service().zones.get(zone).and_then(|names| names.get(name)).cloned().unwrap_or_default()
    }

    /// Everything that stands in `zone`.
    #[must_use]
    pub fn everything(&self, zone: &ZoneName) -> Vec<(Fqdn, TxtValue)> {
        let service = self.service();
        let names = service.zones.get(zone).into_iter().flatten();
        names.flat_map(|(name, set)| set.values.iter().map(|value| (name.clone(), value.clone()))).collect()
    }

    /// Puts somebody else's records at `name`, in place of all that stand there.
    pub fn write(&self, zone: &ZoneName, name: &Fqdn, records: TxtRecords) {
        let mut service = self.service();
        let names = service.zones.entry(zone.clone()).or_default();
        if records.values.is_empty() {
            names.remove(name);
        } else {
            names.insert(name.clone(), records);
        }
    }

    /// Batches that were carried out.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.service().applied
    }

    /// How often the zones were listed.
    #[must_use]
    pub fn listings(&self) -> u64 {
        self.service().listings
    }

    fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` the way the next fault wants it.
    async fn serve<T>(
        &self,
        work: impl FnOnce(&mut Service) -> Result<T, ProviderError> + Send,
    ) -> Result<T, ProviderError> {
        if let Some(refusal) = self.refusal {
            return Err(refusal());
        }
        let fault = self.service().faults.pop_front();
        match fault {
            None => work(&mut self.service()),
            Some(Fault::Refuse(error)) => Err(error),
            Some(Fault::Slow(wait)) => {
                tokio::time::sleep(wait).await;
                work(&mut self.service())
            }
            Some(Fault::DoAndFail(error)) => work(&mut self.service()).and(Err(error)),
            Some(Fault::LoseReply) => {
                work(&mut self.service()).map(drop)?;
                std::future::pending().await
            }
        }
    }
}

impl Service {
    fn zone(&mut self, zone: &Zone) -> Result<&mut BTreeMap<Fqdn, TxtRecords>, ProviderError> {
        self.zones.get_mut(&zone.name).ok_or_else(|| {
            ProviderError::new(ProviderErrorKind::NotFound, format!("there is no zone `{}`", zone.name))
        })
    }

    fn check(&mut self, zone: &Zone, changes: &[TxtChange], limits: &Limits) -> Result<(), ProviderError> {
        let refuse = |kind, message: String| Err(ProviderError::new(kind, message));
        if !limits.batch.allows(changes) {
            return refuse(ProviderErrorKind::Invalid, format!("{} changes are too many", changes.len()));
        }
        self.zone(zone)?;
        for change in changes {
            let name = change.name();
            if self.forbidden.contains(name) {
                return refuse(ProviderErrorKind::Permission, format!("`{name}` may not be written"));
            }
            if !zone.name.contains(name) {
                return refuse(ProviderErrorKind::Invalid, format!("`{name}` is not in `{}`", zone.name));
            }
        }
        Ok(())
    }

    fn apply(&mut self, zone: &Zone, changes: &[TxtChange], limits: &Limits) -> Result<(), ProviderError> {
        self.check(zone, changes, limits)?;
        let names = self.zone(zone)?;
        for change in changes {
            match change {
                TxtChange::Add { name, value, ttl } => {
                    let set = names.entry(name.clone()).or_insert_with(|| TxtRecords {
                        ttl: (*ttl).max(limits.smallest_ttl),
                        values: Vec::new(),
                    });
                    if !set.values.contains(value) {
                        set.values.push(value.clone());
                    }
                    if limits.values_per_name.is_some_and(|most| set.values.len() > most) {
                        set.values.remove(0);
                    }
                }
                TxtChange::Remove { name, value } if limits.can_remove => {
                    if let Some(set) = names.get_mut(name) {
                        set.values.retain(|present| present != value);
                    }
                }
                TxtChange::Remove { .. } => {}
            }
        }
        names.retain(|_, set| !set.values.is_empty());
        self.applied += 1;
        Ok(())
    }
}

#[async_trait]
impl DnsProvider for MemoryProvider {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.serve(|service| service.apply(zone, changes, &self.limits)).await?;
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.serve(|service| {
            let values = service.zone(zone)?.get(name).map(|set| set.values.clone());
            Ok(Listing::Listed(values.unwrap_or_default()))
        })
        .await
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        self.serve(|service| {
            service.listings += 1;
            Ok(Listing::Listed(service.zones.keys().cloned().map(Zone::named).collect()))
        })
        .await
    }
}

#[async_trait]
impl Observer for MemoryProvider {
    async fn records(&self, zone: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        Ok(Self::records(self, &zone.name, name))
    }

    async fn write(&self, zone: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String> {
        Self::write(self, &zone.name, name, records.clone());
        Ok(())
    }

    async fn zone_listings(&self) -> Option<u64> {
        Some(self.listings())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> ZoneName {
        ZoneName::parse("example.test").unwrap()
    }

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.test").unwrap()
    }

    fn add(value: &str) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl: 60 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_reply_means_work_done_and_no_answer() {
        let service = MemoryProvider::new([zone()]);
        service.misbehave(Fault::LoseReply);
        let changes = [add("a")];
        let zone = Zone::named(zone());
        let call = service.apply(&zone, &changes);
        assert!(tokio::time::timeout(Duration::from_secs(3600), call).await.is_err());
        assert_eq!(service.everything(&zone.name).len(), 1);
    }

    #[tokio::test]
    async fn faults_meet_the_next_calls_in_turn() {
        let service = MemoryProvider::new([zone()]);
        let zone = Zone::named(zone());
        let error = |kind| ProviderError::new(kind, "on request");
        service.misbehave(Fault::Refuse(error(ProviderErrorKind::Unavailable)));
        service.misbehave(Fault::DoAndFail(error(ProviderErrorKind::Invalid)));
        let first = service.apply(&zone, &[add("a")]).await.unwrap_err();
        assert_eq!((first.kind(), service.applied()), (ProviderErrorKind::Unavailable, 0));
        let second = service.apply(&zone, &[add("a")]).await.unwrap_err();
        assert_eq!((second.kind(), service.applied()), (ProviderErrorKind::Invalid, 1));
        assert!(service.apply(&zone, &[add("b")]).await.is_ok());
        assert_eq!(service.records(&zone.name, &name()).values.len(), 2);
    }

    #[tokio::test]
    async fn a_batch_over_the_limit_or_outside_the_zone_is_refused_whole() {
        let service = MemoryProvider::new([zone()]).with_limits(Limits::new(Batch::Zone(1)));
        let zone = Zone::named(zone());
        assert!(service.apply(&zone, &[add("a"), add("b")]).await.is_err());
        let elsewhere = Fqdn::parse("_acme-challenge.other.test").unwrap();
        let change = TxtChange::Remove { name: elsewhere, value: TxtValue::parse("a").unwrap() };
        assert!(service.apply(&zone, &[change]).await.is_err());
        assert_eq!(service.applied(), 0);
    }

    #[tokio::test]
    async fn a_service_of_few_values_drops_the_oldest() {
        let mut limits = Limits::new(Batch::Record);
        limits.values_per_name = Some(2);
        let service = MemoryProvider::new([zone()]).with_limits(limits);
        let zone = Zone::named(zone());
        for value in ["a", "b", "c"] {
            service.apply(&zone, &[add(value)]).await.unwrap();
        }
        let values = service.records(&zone.name, &name()).values;
        assert_eq!(values.iter().map(TxtValue::as_str).collect::<Vec<_>>(), ["b", "c"]);
    }
}

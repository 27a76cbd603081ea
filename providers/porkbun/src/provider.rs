//! The plugin: single records over an API that has no batches and little patience.

use crate::api::{Api, ListedRecord};
use crate::config::Config;
use crate::error::Refusal;
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Rate, RecordIds,
    ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneName,
};
use std::sync::Arc;
use std::time::Duration;

/// One call is one request as a rule, and a few where something was lost before.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Porkbun DNS with one key pair.
#[derive(Debug)]
pub struct Porkbun {
    api: Api,
    ids: RecordIds,
    minimum_ttl: u32,
    pause: Duration,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Porkbun::new(Config::new(settings)?)))
}

impl Porkbun {
    /// A provider with the keys of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { minimum_ttl, pause, client } = config;
        Self { api: Api::new(client, pause), ids: RecordIds::default(), minimum_ttl, pause }
    }

    async fn add(
        &self,
        zone: &ZoneName,
        name: &Fqdn,
        value: &TxtValue,
        ttl: u32,
    ) -> Result<(), ProviderError> {
        let subname = subname(zone, name)?;
        self.ids.begin(zone, name, value);
        let failure = match self.api.create(zone, subname, value, ttl.max(self.minimum_ttl)).await {
            Ok(id) => {
                if let Some(id) = id {
                    self.ids.made(zone, name, value, id);
                }
                return Ok(());
            }
            Err(failure) => failure,
        };
        // One answer for everything: that it is there already is success.
        let not_created = failure.refusal == Refusal::NotCreated;
        if not_created && !self.api.holding(zone, name, value).await?.is_empty() {
            return Ok(());
        }
        Err(failure.into())
    }

    async fn remove(&self, zone: &ZoneName, name: &Fqdn, value: &TxtValue) -> Result<(), ProviderError> {
        subname(zone, name)?;
        if let Some(id) = self.ids.take(zone, name, value) {
            match self.api.delete(zone, &id).await {
                Ok(()) => return Ok(()),
                // Gone, or made anew under another id.
                Err(failure) if failure.refusal == Refusal::NoSuchRecord => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        for record in self.api.holding(zone, name, value).await? {
            match self.api.delete(zone, &record.id).await {
                Err(failure) if failure.refusal != Refusal::NoSuchRecord => return Err(failure.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DnsProvider for Porkbun {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Record);
        limits.in_flight = 1;
        if !self.pause.is_zero() {
            limits.rates = vec![Rate::new(1, self.pause)];
        }
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = self.minimum_ttl;
        limits.atomic = true;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        for change in changes {
            match change {
                TxtChange::Add { name, value, ttl } => self.add(&zone.name, name, value, *ttl).await?,
                TxtChange::Remove { name, value } => self.remove(&zone.name, name, value).await?,
            }
        }
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        subname(&zone.name, name)?;
        let records = self.api.at(&zone.name, name).await?;
        Ok(Listing::Listed(records.iter().filter_map(ListedRecord::value).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        Ok(Listing::Listed(self.api.domains().await?.into_iter().map(Zone::named).collect()))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, self.minimum_ttl, needs).await
    }
}

/// `name` as requests have it: without the domain, empty at its apex.
fn subname<'a>(zone: &ZoneName, name: &'a Fqdn) -> Result<&'a str, ProviderError> {
    name.relative_to(zone)
        .ok_or_else(|| ProviderError::new(ProviderErrorKind::Invalid, format!("`{name}` is not in `{zone}`")))
}

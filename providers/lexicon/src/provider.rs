//! The plugin: a look and a change, one after the other.

use crate::api;
use crate::config::Config;
use crate::error::RunError;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, Settings, SettingsError, TxtChange,
    TxtValue, Zone,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Added to the runs' own limits, whose errors say more.
const GRACE: Duration = Duration::from_secs(1);

/// A service that an installed lexicon knows.
#[derive(Debug)]
pub struct Lexicon {
    config: Config,
    /// One run at a time: lexicon reads and writes whole RRsets where the service has no more.
    turn: Semaphore,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Lexicon::new(Config::new(settings)?)))
}

impl Lexicon {
    /// A provider for the service that `config` names; nothing is run yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, turn: Semaphore::new(1) }
    }

    async fn carry_out(&self, zone: &Zone, change: &TxtChange) -> Result<(), RunError> {
        // lexicon quotes nothing, and some services read what they are given as a zone file.
        if !change.value().is_challenge() {
            return Err(RunError::NotAChallenge);
        }
        let _turn = self.turn.acquire().await.expect("it is never closed");
        match change {
            TxtChange::Add { name, value, ttl } => {
                let present = api::list(&self.config, zone, name).await?;
                if present.iter().any(|one| one.value.as_ref() == Some(value)) {
                    return Ok(());
                }
                // What is there keeps its TTL.
                let ttl = present.iter().find_map(|one| one.ttl).unwrap_or(*ttl);
                api::create(&self.config, zone, name, value, ttl).await
            }
            TxtChange::Remove { name, value } => api::delete(&self.config, zone, name, value).await,
        }
    }

    fn told(&self, zone: &Zone, error: RunError) -> ProviderError {
        error.into_provider_error(&self.config, zone.name.as_str())
    }
}

#[async_trait]
impl DnsProvider for Lexicon {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Record);
        limits.in_flight = 1;
        limits.call_timeout = 2 * self.config.program.timeout + GRACE;
        limits.challenges_only = true;
        limits
    }

    /// Dropped half-way, lexicon is killed; what it had done by then stays done.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        for change in changes {
            self.carry_out(zone, change).await.map_err(|error| self.told(zone, error))?;
        }
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let present = api::list(&self.config, zone, name).await.map_err(|error| self.told(zone, error))?;
        Ok(Listing::Listed(present.into_iter().filter_map(|one| one.value).collect()))
    }
}

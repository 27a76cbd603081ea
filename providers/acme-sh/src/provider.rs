//! The plugin: one run of the script at a time.

use crate::api;
use crate::config::Config;
use crate::error::RunError;
use crate::holds::{self, Holds};
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, Settings, SettingsError, TxtChange,
    TxtValue, Zone,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Added to the run's own limit, whose error says more.
const GRACE: Duration = Duration::from_secs(1);

/// A DNS script of an acme.sh that is installed here.
#[derive(Debug)]
pub struct AcmeSh {
    config: Config,
    holds: Holds,
    /// One run at a time: scripts read and write whole RRsets, and some of them whole zones.
    turn: Semaphore,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(AcmeSh::new(Config::new(settings)?)))
}

impl AcmeSh {
    /// A provider for the script that `config` names; nothing is run yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let holds = Holds::new(config.lock_directory.clone());
        Self { config, holds, turn: Semaphore::new(1) }
    }

    async fn carry_out(&self, change: &TxtChange) -> Result<(), RunError> {
        if !change.value().is_challenge() {
            return Err(RunError::NotAChallenge);
        }
        let _turn = self.turn.acquire().await.expect("it is never closed");
        if !self.config.whole_rrset {
            return api::run(&self.config, change).await;
        }
        match change {
            TxtChange::Add { name, value, .. } => {
                self.holds.hold(name, value).await?;
                api::run(&self.config, change).await
            }
            TxtChange::Remove { name, value } => match self.holds.release(name, value)? {
                // The lock lasts until the script has ended.
                Some(_removal) => api::run(&self.config, change).await,
                None => Ok(()),
            },
        }
    }
}

#[async_trait]
impl DnsProvider for AcmeSh {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Record);
        limits.in_flight = 1;
        limits.call_timeout = self.config.shell.timeout + GRACE;
        if self.config.whole_rrset {
            limits.call_timeout += holds::PATIENCE;
        }
        limits.challenges_only = true;
        limits.chooses_ttl = true;
        limits.removes_whole_rrsets = self.config.whole_rrset;
        limits
    }

    /// Dropped half-way, the script is killed; what it had done by then stays done.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        for change in changes {
            let result = self.carry_out(change).await;
            result.map_err(|error| error.into_provider_error(&self.config, zone.name.as_str()))?;
        }
        Ok(Applied::default())
    }

    async fn values(&self, _zone: &Zone, _name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        Ok(Listing::NotAvailable)
    }
}

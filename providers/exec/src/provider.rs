//! The plugin: one run of the program at a time.

use crate::api;
use crate::config::{Config, Form};
use crate::error::RunError;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, Settings, SettingsError, TxtChange,
    TxtValue, Zone,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Changes that one JSON document may hold.
const LARGEST_BATCH: usize = 100;
/// Added to the run's own limit, whose error says more.
const GRACE: Duration = Duration::from_secs(1);

/// A program of one's own.
#[derive(Clone, Debug)]
pub struct Exec {
    config: Arc<Config>,
    /// One run at a time, so that a program may read, merge and write.
    turn: Arc<Semaphore>,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Exec::new(Config::new(settings)?)))
}

impl Exec {
    /// A provider for the program that `config` names; nothing is run yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config), turn: Arc::new(Semaphore::new(1)) }
    }

    async fn carry_out(&self, zone: &Zone, changes: &[TxtChange]) -> Result<(), RunError> {
        if self.config.form == Form::Json {
            return api::apply(&self.config, zone, changes).await;
        }
        for change in changes {
            api::lego(&self.config, change).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl DnsProvider for Exec {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(match self.config.form {
            Form::Json => Batch::Zone(LARGEST_BATCH),
            Form::Lego => Batch::Record,
        });
        limits.in_flight = 1;
        limits.call_timeout = self.config.program.timeout + GRACE;
        limits
    }

    /// Dropped half-way, the program is killed; what it had done by then stays done.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if !changes.is_empty() {
            let _turn = self.turn.acquire().await.expect("it is never closed");
            let result = self.carry_out(zone, changes).await;
            result.map_err(|error| error.into_provider_error(&self.config, zone.name.as_str()))?;
        }
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        if self.config.form == Form::Lego {
            return Ok(Listing::NotAvailable);
        }
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let values = api::values(&self.config, zone, name).await;
        let values = values.map_err(|error| error.into_provider_error(&self.config, zone.name.as_str()))?;
        Ok(values.map_or(Listing::NotAvailable, Listing::Listed))
    }
}

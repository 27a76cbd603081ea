//! The plugin: one request a value.

use crate::api;
use crate::config::Config;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, Settings, SettingsError, TxtChange,
    TxtValue, Zone,
};
use std::sync::Arc;
use std::time::Duration;

/// Added to the request's own limit, whose error says more.
const GRACE: Duration = Duration::from_secs(1);

/// A service of one's own that takes lego's HTTP requests.
#[derive(Clone, Debug)]
pub struct HttpReq {
    config: Config,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(HttpReq::new(Config::new(settings)?)))
}

impl HttpReq {
    /// A provider for the service that `config` names; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

#[async_trait]
impl DnsProvider for HttpReq {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Record);
        // lego asks for one value after the other, so that is what such services were made for.
        limits.in_flight = 1;
        limits.call_timeout = self.config.timeout + GRACE;
        limits.atomic = true;
        limits
    }

    async fn apply(&self, _zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        for change in changes {
            api::send(&self.config.client, change).await?;
        }
        Ok(Applied::default())
    }

    async fn values(&self, _zone: &Zone, _name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        Ok(Listing::NotAvailable)
    }
}

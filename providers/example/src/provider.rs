//! The plugin: the provider contract over the service's API.

use crate::api;
use crate::config::Config;
use crate::error::Failure;
use async_trait::async_trait;
use dns01_provider::http::HttpClient;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, Settings, SettingsError, TxtChange,
    TxtValue, Zone,
};
use std::sync::Arc;

/// The smallest TTL that the service takes, in seconds.
const SMALLEST_TTL: u32 = 60;

/// The service of the tutorial.
#[derive(Clone, Debug)]
pub struct Example {
    client: HttpClient,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Example::new(Config::new(settings)?)))
}

impl Example {
    /// A provider with the token of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { client: config.client }
    }

    async fn carry_out(&self, zone: &Zone, change: &TxtChange) -> Result<(), Failure> {
        let present = api::records(&self.client, &zone.name, change.name()).await?;
        let same = present.iter().filter(|record| record.value == change.value().as_str());
        match change {
            TxtChange::Add { name, value, ttl } => {
                if same.count() > 0 {
                    return Ok(());
                }
                // An existing RRset keeps its TTL.
                let ttl = present.first().map_or(*ttl, |record| record.ttl);
                api::create(&self.client, &zone.name, name, value, ttl).await
            }
            TxtChange::Remove { .. } => {
                for record in same {
                    api::delete(&self.client, &zone.name, &record.id).await?;
                }
                Ok(())
            }
        }
    }
}

#[async_trait]
impl DnsProvider for Example {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Record);
        limits.smallest_ttl = SMALLEST_TTL;
        limits.atomic = true;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        for change in changes {
            match self.carry_out(zone, change).await {
                // Somebody else was faster, or an answer was lost and the call repeated.
                Ok(()) | Err(Failure::Done) => {}
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let records = api::records(&self.client, &zone.name, name).await?;
        // Somebody else's value may be none that we could hold.
        let values = records.iter().filter_map(|record| TxtValue::parse(&record.value).ok());
        Ok(Listing::Listed(values.collect()))
    }
}

//! The fake's memory as the observer of the conformance suite.

use async_trait::async_trait;
use dns01_provider::conformance::Observer;
use dns01_provider::{Fqdn, TxtRecords, TxtValue, Zone};
use dns01_tests::fake_dns_api::{FakeDnsApi, HeldRecord, Service};
use std::sync::Arc;

/// A fake's memory: what an observer sees who needs no API.
#[derive(Debug)]
pub(super) struct Memory<S: Service> {
    pub(super) api: Arc<FakeDnsApi<S>>,
    /// The request that lists zones, such as `GET /zones`.
    pub(super) listing: &'static str,
    /// The forms in which others write a value through the API; they are used in turn.
    pub(super) forms: &'static [fn(&TxtValue) -> String],
}

impl<S: Service> Memory<S> {
    /// The fake's own id of `zone`, whatever the provider knows it by.
    fn id(&self, zone: &Zone) -> String {
        self.api.edit(|held| {
            let named = held.zones.iter().find(|one| one.name == zone.name.as_str());
            named.expect("the run made the zone").id.clone()
        })
    }
}

#[async_trait]
impl<S: Service> Observer for Memory<S> {
    async fn records(&self, zone: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        let (ttl, texts) = self.api.txt(&self.id(zone), name.as_str());
        let values = texts.iter().map(|text| TxtValue::parse(text)).collect::<Result<_, _>>();
        Ok(TxtRecords { ttl, values: values.map_err(|error| error.to_string())? })
    }

    async fn write(&self, zone: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String> {
        let id = self.id(zone);
        let identifier = |number| self.api.service().identifier(number);
        self.api.edit(|held| {
            let ids: Vec<String> = records.values.iter().map(|_| identifier(held.next_number())).collect();
            let zone = held.zone_mut(&id).ok_or("no zone")?;
            zone.records.retain(|record| record.name != name.as_str());
            for ((id, value), form) in ids.into_iter().zip(&records.values).zip(self.forms.iter().cycle()) {
                zone.records.push(HeldRecord {
                    id,
                    name: name.as_str().to_owned(),
                    kind: "TXT".to_owned(),
                    ttl: records.ttl,
                    data: value.as_str().to_owned(),
                    form: form(value),
                });
            }
            Ok(())
        })
    }

    async fn zone_listings(&self) -> Option<u64> {
        Some(self.api.count(self.listing) as u64)
    }
}

//! The plugin: single values over record sets that are compared and exchanged whole.

use crate::api::{Api, Record, RecordSet, ZoneId};
use crate::config::Config;
use crate::error::Failure;
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Rate, Rrset,
    RrsetRecord, ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneIds, rrset,
};
use std::sync::Arc;
use std::time::Duration;

/// How often a change is made anew because somebody else changed the same set meanwhile.
const ATTEMPTS: usize = 5;
/// What stands in a set that is kept without a value. No challenge looks like it.
const PLACEHOLDER: &str = "-";
/// A zone takes 200 new, 200 changed and 200 deleted sets a minute.
const ZONE_RATE: Rate = Rate::per_minute(200);
/// A subscription takes 200 writes at once and 10 a second from then on.
const RATE: Rate = Rate::new(200, Duration::from_secs(20));

/// Azure DNS with one credential.
#[derive(Debug)]
pub struct Azure {
    api: Api,
    ids: ZoneIds,
    subscription: Option<String>,
    group: Option<String>,
    keep: bool,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Azure::new(Config::new(settings)?)))
}

impl Azure {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let api = Api::new(&config);
        let Config { subscription, group, keep_record_sets, .. } = config;
        Self { api, ids: ZoneIds::default(), subscription, group, keep: keep_record_sets }
    }

    /// The zone's resource id: configured, made of subscription and group, or looked up.
    async fn id(&self, zone: &Zone) -> Result<ZoneId, ProviderError> {
        if zone.id.is_none()
            && let (Some(subscription), Some(group)) = (&self.subscription, &self.group)
        {
            return Ok(ZoneId::new(subscription, group, &zone.name));
        }
        let id = self.ids.of(zone, || self.look_up(zone)).await?;
        ZoneId::parse(&id, &zone.name)
    }

    async fn look_up(&self, zone: &Zone) -> Result<String, ProviderError> {
        let wrong =
            |kind, message: String, hint: &str| Err(ProviderError::new(kind, message).with_hint(hint));
        let Some(subscription) = &self.subscription else {
            return wrong(
                ProviderErrorKind::Invalid,
                format!("nothing tells where the zone `{}` is", zone.name),
                "configure the zone with its resource id, or set `subscription_id` and `resource_group`",
            );
        };
        let listed = self.api.zones(subscription).await?;
        let mut ids = listed.into_iter().filter(|one| one.name == zone.name).filter_map(|one| one.id);
        match (ids.next(), ids.next()) {
            (Some(id), None) => Ok(id),
            (Some(id), Some(other)) => wrong(
                ProviderErrorKind::Invalid,
                format!("several zones are called `{}`: `{id}`, `{other}`", zone.name),
                "configure the zone with the resource id of the one that is delegated to",
            ),
            (None, _) => wrong(
                ProviderErrorKind::NotFound,
                format!("the credential sees no zone `{}` in the subscription", zone.name),
                "set `resource_group`, so that the zone need not be looked up, or let it read the zone",
            ),
        }
    }

    /// What must stand in the set so that `changes` hold; `None` if they do.
    fn wanted(&self, present: Option<&RecordSet>, changes: &[&TxtChange]) -> Option<Rrset<Record>> {
        let present = present.map(RecordSet::content);
        if !self.keep {
            return rrset::merged(present.as_ref(), changes);
        }
        kept(present.as_ref(), changes)
    }
}

/// The same where a set may not be deleted, since the right to write it would go with it: a
/// placeholder takes the place of the last value, and goes when another one comes.
fn kept(present: Option<&Rrset<Record>>, changes: &[&TxtChange]) -> Option<Rrset<Record>> {
    let placeholder = TxtValue::parse(PLACEHOLDER).expect("it is printable");
    let is_placeholder = |record: &Record| record.value().as_ref() == Some(&placeholder);
    let mut real = present.cloned();
    if let Some(set) = &mut real {
        set.records.retain(|record| !is_placeholder(record));
    }
    let mut wanted = rrset::merged(real.as_ref(), changes)?;
    if let Some(present) = present {
        wanted.ttl = present.ttl;
    }
    if wanted.records.is_empty() {
        wanted.records.push(Record::holding(&placeholder));
    }
    Some(wanted)
}

#[async_trait]
impl DnsProvider for Azure {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Name);
        limits.in_flight = 8;
        limits.rates = vec![RATE];
        limits.zone_rates = vec![ZONE_RATE];
        limits.atomic = true;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let Some(first) = changes.first() else { return Ok(Applied::default()) };
        let path = self.id(zone).await?.txt(&zone.name, first.name())?;
        let changes: Vec<&TxtChange> = changes.iter().collect();
        let mut attempt = 1;
        loop {
            let present = self.api.set(&path).await?;
            let Some(wanted) = self.wanted(present.as_ref(), &changes) else { return Ok(Applied::default()) };
            match self.api.exchange(&path, present.as_ref(), wanted).await {
                Ok(()) => return Ok(Applied::default()),
                Err(Failure::Stale(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, zone = %zone.name, "somebody else changed the same records");
                    attempt += 1;
                }
                Err(Failure::Stale(error)) => return Err(error.with_retryable(true)),
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let path = self.id(zone).await?.txt(&zone.name, name)?;
        let records = self.api.set(&path).await?.map(|set| set.content().records).unwrap_or_default();
        let values = records.iter().filter_map(Record::value);
        Ok(Listing::Listed(values.filter(|value| !self.keep || value.as_str() != PLACEHOLDER).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let Some(subscription) = &self.subscription else { return Ok(Listing::NotAvailable) };
        Listing::if_permitted(self.api.zones(subscription).await)
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let mut places = Vec::new();
        for need in needs {
            match self.id(&need.zone).await {
                Ok(id) => places.push((need, id)),
                Err(error) if error.is_out_of_reach() => {
                    let finding = format!("it cannot find the zone `{}`: {error}", need.zone.name);
                    return Ok(ScopeReport::NotEnough { findings: vec![finding] });
                }
                Err(error) => return Err(error),
            }
        }
        scope::audit(&self.api, &places, self.keep).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> TxtValue {
        TxtValue::parse(text).unwrap()
    }

    fn change(text: &str, added: bool) -> TxtChange {
        let name = Fqdn::parse("_acme-challenge.example.com").unwrap();
        match added {
            true => TxtChange::Add { name, value: value(text), ttl: 60 },
            false => TxtChange::Remove { name, value: value(text) },
        }
    }

    fn set(texts: &[&str]) -> Rrset<Record> {
        Rrset { ttl: 300, records: texts.iter().map(|text| Record::holding(&value(text))).collect() }
    }

    #[test]
    fn a_placeholder_takes_the_last_values_place_and_goes_when_another_comes() {
        let kept = |present: &[&str], text: &str, added: bool| {
            super::kept(Some(&set(present)), &[&change(text, added)])
        };
        assert_eq!(kept(&["a"], "a", false), Some(set(&["-"])));
        assert_eq!(kept(&["-"], "a", true), Some(set(&["a"])));
        assert_eq!(kept(&["a", "b"], "a", false), Some(set(&["b"])));
        assert_eq!(kept(&["-"], "a", false), None);
        assert_eq!(kept(&["a"], "a", true), None);
    }
}

//! The plugin: single values over an API that knows whole RRsets, by compare-and-set.

use crate::api::{Api, Replacement, Standing};
use crate::config::Config;
use crate::error::{Failure, MULTIVALUE_HINT};
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Published, Receipt,
    Rrset, ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneIds, rrset,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Changes of one batch. A change beside one other value is three records of 45 characters, of
/// which one request carries 1,000 and 32,000.
const LARGEST_BATCH: usize = 200;
/// How often a change is made anew because somebody else changed the same sets meanwhile.
const ATTEMPTS: usize = 4;
/// One call reads a page for each name at worst, and then writes.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Route 53 with one credential.
#[derive(Debug)]
pub struct Route53 {
    api: Api,
    ids: ZoneIds,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Route53::new(Config::new(settings)?)))
}

impl Route53 {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { api: Api::new(config), ids: ZoneIds::default() }
    }

    async fn id(&self, zone: &Zone) -> Result<String, ProviderError> {
        if zone.id.is_none()
            && let Some(id) = &self.api.config().hosted_zone_id
        {
            return Ok(id.clone());
        }
        let id = self.ids.of(zone, || self.look_up(zone)).await?;
        Ok(id.trim_start_matches("/hostedzone/").to_owned())
    }

    /// The id of the one public zone of this name.
    async fn look_up(&self, zone: &Zone) -> Result<String, ProviderError> {
        let listed = match self.api.zones_named(&zone.name).await {
            Err(error) if error.kind() == ProviderErrorKind::Permission => {
                return Err(error.with_hint(
                    "write the zone's id beside its name, or allow `route53:ListHostedZonesByName`",
                ));
            }
            listed => listed?,
        };
        let ids: Vec<String> = listed.into_iter().filter_map(|zone| zone.id).collect();
        match &ids[..] {
            [id] => Ok(id.clone()),
            [] => {
                let message = format!("the account has no public zone `{}`", zone.name);
                Err(ProviderError::new(ProviderErrorKind::NotFound, message)
                    .with_hint("look whether the key belongs to the account that has the zone"))
            }
            _ => {
                let message =
                    format!("the account has several public zones `{}`: {}", zone.name, ids.join(", "));
                Err(ProviderError::new(ProviderErrorKind::Conflict, message).with_hint(
                    "write the id of the one whose name servers the parent zone names beside the zone's name",
                ))
            }
        }
    }

    /// What a call in `zone` came to; an id that is no longer right is looked up anew.
    fn in_zone<T>(&self, zone: &Zone, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        result.map_err(|error| {
            if error.kind() == ProviderErrorKind::NotFound {
                self.ids.forget(zone);
            }
            error.with_context("zone", &zone.name)
        })
    }

    async fn write(&self, id: &str, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let by_name = rrset::by_name(changes);
        let mut attempt = 1;
        loop {
            let present = self.api.standing(id, by_name.keys().copied()).await?;
            let replacements = plan(&by_name, &present)?;
            if replacements.is_empty() {
                return Ok(Applied::default());
            }
            match self.api.change(id, &replacements).await {
                Ok(receipt) => return Ok(Applied::with_receipt(receipt)),
                Err(Failure::Raced(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, "somebody else changed the same records");
                    attempt += 1;
                }
                // It was not for good: in a while the other one may be done.
                Err(Failure::Raced(error)) => return Err(error.with_retryable(true)),
                Err(Failure::Other(error)) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl DnsProvider for Route53 {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = 0;
        limits.atomic = true;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let id = self.id(zone).await?;
        self.in_zone(zone, self.write(&id, changes).await)
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let id = self.id(zone).await?;
        self.in_zone(zone, self.api.values(&id, name).await.map(Listing::Listed))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        Listing::if_permitted(self.api.zones().await)
    }

    async fn published(&self, zone: &Zone, receipt: &Receipt) -> Result<Published, ProviderError> {
        self.api.status(receipt).await.map_err(|error| error.with_context("zone", &zone.name))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let mut zones: BTreeMap<String, Vec<&ScopeNeed>> = BTreeMap::new();
        for need in needs {
            zones.entry(self.id(&need.zone).await?).or_default().push(need);
        }
        scope::audit(&self.api, &zones).await
    }
}

/// What is still to be done, given what stands there.
fn plan<'a>(
    by_name: &BTreeMap<&'a Fqdn, Vec<&TxtChange>>,
    present: &BTreeMap<Fqdn, Standing>,
) -> Result<Vec<Replacement<'a>>, ProviderError> {
    let mut replacements = Vec::new();
    for (name, changes) in by_name {
        let old = match present.get(*name) {
            None => None,
            Some(Standing::Plain(set)) => Some(set),
            Some(Standing::Special(values)) => {
                let served = Rrset { ttl: 0, records: values.clone() };
                if rrset::merged(Some(&served), changes).is_some() {
                    return Err(special(name));
                }
                continue;
            }
        };
        if let Some(new) = rrset::merged(old, changes) {
            replacements.push(Replacement { name, old: old.cloned(), new });
        }
    }
    Ok(replacements)
}

fn special(name: &Fqdn) -> ProviderError {
    let message =
        format!("TXT sets with identifiers or an alias stand at `{name}`, beside which no plain one can be");
    ProviderError::new(ProviderErrorKind::Conflict, message).with_hint(MULTIVALUE_HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.a.test").unwrap()
    }

    fn add(value: &str) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl: 60 }
    }

    fn remove(value: &str) -> TxtChange {
        TxtChange::Remove { name: name(), value: TxtValue::parse(value).unwrap() }
    }

    fn set(records: &[&str]) -> Rrset {
        Rrset { ttl: 3607, records: records.iter().map(|&record| record.to_owned()).collect() }
    }

    fn planned(
        present: Option<Standing>,
        changes: &[TxtChange],
    ) -> Result<Vec<(Option<Rrset>, Rrset)>, ProviderError> {
        let present = present.into_iter().map(|standing| (name(), standing)).collect();
        let replacements = plan(&rrset::by_name(changes), &present)?;
        Ok(replacements.into_iter().map(|one| (one.old, one.new)).collect())
    }

    #[test]
    fn a_change_names_the_set_that_it_replaces_exactly() {
        let present = set(&["\"a\"  \"b\"", "\"mine\""]);
        let one = planned(Some(Standing::Plain(present.clone())), &[add("new"), remove("mine")]).unwrap();
        assert_eq!(one, [(Some(present), set(&["\"a\"  \"b\"", "\"new\""]))]);
        let fresh = planned(None, &[add("new")]).unwrap();
        assert_eq!(fresh, [(None, Rrset { ttl: 60, records: vec!["\"new\"".to_owned()] })]);
        assert_eq!(planned(None, &[remove("new")]).unwrap(), []);
    }

    #[test]
    fn beside_sets_with_identifiers_only_what_holds_already_succeeds() {
        let special = || Some(Standing::Special(vec!["\"theirs\"".to_owned()]));
        assert_eq!(planned(special(), &[add("theirs"), remove("mine")]).unwrap(), []);
        for change in [add("mine"), remove("theirs")] {
            let error = planned(special(), &[change]).unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, false));
            assert!(error.hint().unwrap().contains("CNAME"), "{error}");
        }
    }
}

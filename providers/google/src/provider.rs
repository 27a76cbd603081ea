//! The plugin: single values over record sets that are compared and exchanged whole.

use crate::api::{Api, Change, ListedZone, RecordSet};
use crate::config::Config;
use crate::error::Failure;
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Published, Receipt,
    ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneIds, ZoneName, rrset,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Changes that one call may hold. The service takes 1,000 sets and 100,000 octets of data in a
/// change; the sets that are exchanged count twice, and hold other people's values too.
const LARGEST_BATCH: usize = 400;
/// Names that are read one by one; for more, the zone is read whole.
const FEW_NAMES: usize = 4;
/// How often a change is made anew because somebody else changed the same sets meanwhile.
const ATTEMPTS: usize = 5;
/// A large zone is read in many pages.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Google Cloud DNS with one credential.
#[derive(Debug)]
pub struct Google {
    api: Api,
    ids: ZoneIds,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Google::new(&Config::new(settings)?)))
}

impl Google {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { api: Api::new(config), ids: ZoneIds::default() }
    }

    async fn id(&self, zone: &Zone) -> Result<String, ProviderError> {
        self.ids.of(zone, || self.look_up(zone)).await
    }

    /// What the project calls the zone.
    async fn look_up(&self, zone: &Zone) -> Result<String, ProviderError> {
        let listed = self.api.zones(Some(&zone.name)).await?;
        let mut fitting = listed
            .into_iter()
            .filter(|one| one.is_public() && ZoneName::parse(&one.dns_name).as_ref() == Ok(&zone.name));
        let wrong =
            |kind, message: String, hint: &str| Err(ProviderError::new(kind, message).with_hint(hint));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one.name),
            (Some(one), Some(other)) => wrong(
                ProviderErrorKind::Invalid,
                format!("several public zones are called `{}`: `{}`, `{}`", zone.name, one.name, other.name),
                "configure the zone with the id of the one that is delegated to",
            ),
            (None, _) => wrong(
                ProviderErrorKind::NotFound,
                format!("the project has no public zone `{}`", zone.name),
                "check `project`, or configure the zone with its id",
            ),
        }
    }

    /// The TXT sets that stand at `names`.
    async fn present(&self, id: &str, names: &[&Fqdn]) -> Result<Vec<RecordSet>, ProviderError> {
        if names.len() > FEW_NAMES
            && let Some(mut sets) = self.api.sets(id, names.len()).await?
        {
            sets.retain(|set| set.kind == "TXT");
            return Ok(sets);
        }
        let mut found = Vec::new();
        for name in names {
            found.extend(self.api.set(id, name).await?);
        }
        Ok(found)
    }
}

#[async_trait]
impl DnsProvider for Google {
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
        let by_name = rrset::by_name(changes);
        let names: Vec<&Fqdn> = by_name.keys().copied().collect();
        let id = self.id(zone).await?;
        let mut attempt = 1;
        loop {
            let change = planned(&by_name, &self.present(&id, &names).await?)?;
            if change.is_empty() {
                return Ok(Applied::default());
            }
            match self.api.change(&id, &change).await {
                Ok(state) => return Ok(Applied::with_receipt(Receipt(state.id))),
                Err(Failure::Stale(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, zone = %zone.name, "somebody else changed the same records");
                    attempt += 1;
                }
                Err(Failure::Stale(error)) => return Err(error.with_retryable(true)),
                Err(Failure::Other(error)) => {
                    if error.kind() == ProviderErrorKind::NotFound {
                        self.ids.forget(zone);
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let set = self.api.set(&self.id(zone).await?, name).await?;
        let records = set.map(|set| set.rrdatas).unwrap_or_default();
        Ok(Listing::Listed(records.iter().filter_map(|record| TxtValue::from_presentation(record)).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let zone =
            |one: ListedZone| Some(Zone { name: ZoneName::parse(&one.dns_name).ok()?, id: Some(one.name) });
        let listed = self.api.zones(None).await;
        Listing::if_permitted(
            listed.map(|all| all.into_iter().filter(ListedZone::is_public).filter_map(zone).collect()),
        )
    }

    /// `done` means that the servers have been told; they may still lag behind for seconds.
    async fn published(&self, zone: &Zone, receipt: &Receipt) -> Result<Published, ProviderError> {
        let state = self.api.state(&self.id(zone).await?, &receipt.0).await?;
        Ok(if state.is_done() { Published::Yes } else { Published::NotYet })
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let mut ids = BTreeMap::new();
        for need in needs {
            match self.id(&need.zone).await {
                Ok(id) => drop(ids.insert(&need.zone.name, id)),
                Err(error) if error.is_out_of_reach() => {
                    let finding = format!("it cannot find the zone `{}`: {error}", need.zone.name);
                    return Ok(ScopeReport::NotEnough { findings: vec![finding] });
                }
                Err(error) => return Err(error),
            }
        }
        scope::audit(&self.api, needs, &ids).await
    }
}

/// What is still to be done, given the sets that are there. A set that changes goes as it was
/// listed and comes anew, so that the service refuses the change if anything else happened.
fn planned(
    by_name: &BTreeMap<&Fqdn, Vec<&TxtChange>>,
    present: &[RecordSet],
) -> Result<Change, ProviderError> {
    let mut change = Change::default();
    for (name, changes) in by_name {
        let set = present.iter().find(|set| set.is_txt_at(name));
        if set.is_some_and(|set| set.routing_policy) {
            let message = format!("the TXT records at `{name}` have a routing policy");
            return Err(ProviderError::new(ProviderErrorKind::Conflict, message)
                .with_hint("a challenge must be answered alike everywhere: remove the set with the policy"));
        }
        let Some(wanted) = rrset::merged(set.map(RecordSet::content).as_ref(), changes) else { continue };
        change.deletions.extend(set.cloned());
        if !wanted.records.is_empty() {
            change.additions.push(RecordSet::txt(name, wanted));
        }
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.com").unwrap()
    }

    fn add(value: &str) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl: 60 }
    }

    fn remove(value: &str) -> TxtChange {
        TxtChange::Remove { name: name(), value: TxtValue::parse(value).unwrap() }
    }

    fn set(more: &Value) -> RecordSet {
        let mut set = json!({ "name": "_acme-challenge.example.com.", "type": "TXT", "ttl": 3607 });
        set.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(set).unwrap()
    }

    fn plan(changes: &[TxtChange], present: &[RecordSet]) -> Result<Change, ProviderError> {
        planned(&rrset::by_name(changes), present)
    }

    #[test]
    fn a_set_that_changes_goes_exactly_as_it_was_listed() {
        let present =
            set(&json!({ "rrdatas": ["\"a\"  \"b\"", "\"mine\""], "signatureRrdatas": [], "kind": "x" }));
        let change = plan(&[add("new"), remove("mine")], std::slice::from_ref(&present)).unwrap();
        assert_eq!(change.deletions, [present]);
        assert_eq!((change.additions[0].ttl, change.additions.len()), (3607, 1));
        assert_eq!(change.additions[0].rrdatas, ["\"a\"  \"b\"", "\"new\""]);
    }

    #[test]
    fn the_last_value_takes_its_set_along_and_nothing_to_do_is_an_empty_change() {
        let present = [set(&json!({ "rrdatas": ["\"mine\""] }))];
        let change = plan(&[remove("mine")], &present).unwrap();
        assert_eq!((change.deletions.len(), change.additions.len()), (1, 0));
        assert!(plan(&[add("mine"), remove("absent")], &present).unwrap().is_empty());
        assert_eq!(plan(&[add("v")], &[]).unwrap().additions[0].ttl, 60);
    }

    #[test]
    fn a_set_with_a_routing_policy_is_left_alone() {
        let present = [set(&json!({ "routingPolicy": { "wrr": {} } }))];
        let error = plan(&[add("v")], &present).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, false), "{error}");
    }
}

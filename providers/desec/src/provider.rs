//! The plugin: single values over an API that knows whole RRsets.

use crate::api::{Api, ListedSet, SetChange};
use crate::config::{Config, MAXIMUM_TTL};
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Rate, RrsetRecord,
    ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneName, ZoneTurns, rrset,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Changes that one call may hold: one list of RRsets, which is one write to the service.
const LARGEST_BATCH: usize = 250;
/// 2 writes a second, 15 a minute, 100 an hour and 300 a day are allowed to a domain. The spans
/// are a little longer here, since the service counts a write when it arrives.
const ZONE_RATES: [Rate; 4] = [
    Rate::new(2, Duration::from_millis(1500)),
    Rate::new(15, Duration::from_secs(62)),
    Rate::new(100, Duration::from_secs(3610)),
    Rate::new(300, Duration::from_secs(86_460)),
];
/// 10 reads a second, 50 a minute and 2,000 requests a day are allowed to the account, and a
/// call is two reads and a write.
const RATES: [Rate; 3] = [
    Rate::per_second(3),
    Rate::new(24, Duration::from_secs(62)),
    Rate::new(660, Duration::from_secs(86_460)),
];
/// How often the changes are written before somebody else is said to undo them each time.
const ROUNDS: usize = 3;

/// deSEC with one token.
#[derive(Debug)]
pub struct Desec {
    api: Api,
    token_id: Option<String>,
    minimum_ttl: u32,
    turns: ZoneTurns,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Desec::new(Config::new(settings)?)))
}

impl Desec {
    /// A provider with the token of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { token_id, minimum_ttl, client } = config;
        Self { api: Api::new(client), token_id, minimum_ttl, turns: ZoneTurns::default() }
    }

    /// What is still to be written so that `changes` hold.
    async fn missing(
        &self,
        zone: &ZoneName,
        changes: &[(&str, Vec<&TxtChange>)],
    ) -> Result<Vec<SetChange>, ProviderError> {
        let only = if let [(subname, _)] = changes { Some(*subname) } else { None };
        let present = self.api.sets(zone, only).await?;
        let there: HashMap<&str, &ListedSet> =
            present.iter().map(|set| (set.subname.as_str(), set)).collect();
        let change = |(subname, changes): &(&str, Vec<&TxtChange>)| {
            planned(subname, there.get(subname).copied(), changes, self.minimum_ttl)
        };
        Ok(changes.iter().filter_map(change).collect())
    }

    async fn written(
        &self,
        zone: &ZoneName,
        changes: &[(&str, Vec<&TxtChange>)],
    ) -> Result<(), ProviderError> {
        let mut missing = self.missing(zone, changes).await?;
        for round in 1..=ROUNDS {
            if missing.is_empty() {
                return Ok(());
            }
            // What an earlier round wrote is there, whatever becomes of this one.
            let written = self.api.change(zone, &missing).await;
            written.map_err(|error| if round > 1 { error.with_retryable(true) } else { error })?;
            missing = match self.missing(zone, changes).await {
                Ok(missing) => missing,
                Err(error) => {
                    // The service has said that it is written; the look was for others' sake.
                    tracing::debug!(%error, %zone, "what was written could not be read again");
                    return Ok(());
                }
            };
        }
        if missing.is_empty() { Ok(()) } else { Err(rrset::overwritten(zone)) }
    }
}

#[async_trait]
impl DnsProvider for Desec {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.rates = RATES.to_vec();
        limits.zone_rates = ZONE_RATES.to_vec();
        limits.call_timeout = Duration::from_secs(90);
        limits.smallest_ttl = self.minimum_ttl;
        limits.atomic = true;
        limits
    }

    /// Reads, merges and writes until there is nothing left to write, so that what another
    /// program overwrote in between is written again.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let changes = rrset::by_name(changes)
            .into_iter()
            .map(|(name, changes)| Ok((subname(zone, name)?, changes)))
            .collect::<Result<Vec<_>, ProviderError>>()?;
        let _turn = self.turns.turn(&zone.name).await;
        self.written(&zone.name, &changes).await?;
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let subname = subname(zone, name)?;
        let sets = self.api.sets(&zone.name, Some(subname)).await?;
        let records = sets.iter().filter(|set| set.subname == subname).flat_map(|set| set.content().records);
        Ok(Listing::Listed(records.filter_map(|record| record.value()).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        Ok(Listing::Listed(self.api.domains().await?.into_iter().map(Zone::named).collect()))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, self.token_id.as_deref(), self.minimum_ttl, needs).await
    }
}

/// `name` as the service writes it in `zone`: empty at the apex.
pub(crate) fn subname<'a>(zone: &Zone, name: &'a Fqdn) -> Result<&'a str, ProviderError> {
    name.relative_to(&zone.name).ok_or_else(|| {
        ProviderError::new(ProviderErrorKind::Invalid, format!("`{name}` is not in `{}`", zone.name))
    })
}

/// What must be written at `subname` so that `changes` hold; `None` if they hold already.
fn planned(
    subname: &str,
    present: Option<&ListedSet>,
    changes: &[&TxtChange],
    minimum_ttl: u32,
) -> Option<SetChange> {
    let wanted = rrset::merged(present.map(ListedSet::content).as_ref(), changes)?;
    // An RRset that is there keeps its TTL, which may be one that is no longer allowed.
    let ttl =
        (present.is_none() && !wanted.records.is_empty()).then(|| wanted.ttl.clamp(minimum_ttl, MAXIMUM_TTL));
    Some(SetChange { subname: subname.to_owned(), kind: "TXT", ttl, records: wanted.records })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.org").unwrap()
    }

    fn add(value: &str, ttl: u32) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl }
    }

    fn remove(value: &str) -> TxtChange {
        TxtChange::Remove { name: name(), value: TxtValue::parse(value).unwrap() }
    }

    fn set(records: &[&str]) -> ListedSet {
        let set = json!({ "subname": "_acme-challenge", "type": "TXT", "ttl": 60, "records": records, "touched": "x" });
        serde_json::from_value(set).unwrap()
    }

    fn planned(present: Option<&ListedSet>, changes: &[TxtChange]) -> Option<serde_json::Value> {
        let changes: Vec<&TxtChange> = changes.iter().collect();
        super::planned("_acme-challenge", present, &changes, 3600)
            .map(|change| serde_json::to_value(change).unwrap())
    }

    #[test]
    fn a_new_rrset_has_a_ttl_within_the_limits_and_an_old_one_keeps_its_own() {
        for (wanted, ttl) in [(30, 3600), (7200, 7200), (1_000_000, 86_400)] {
            assert_eq!(planned(None, &[add("v", wanted)]).unwrap()["ttl"], ttl);
        }
        let written = planned(Some(&set(&["\"other\""])), &[add("v", 30)]).unwrap();
        assert_eq!(written["records"], json!(["\"other\"", "\"v\""]));
        assert!(written.get("ttl").is_none(), "{written}");
    }

    #[test]
    fn the_last_value_leaves_an_empty_list_which_deletes() {
        let written = planned(Some(&set(&["\"v\""])), &[remove("v")]).unwrap();
        assert_eq!(written, json!({ "subname": "_acme-challenge", "type": "TXT", "records": [] }));
        assert_eq!(planned(None, &[remove("v")]), None);
        assert_eq!(
            planned(Some(&set(&["\"\\118\""])), &[add("v", 60)]),
            None,
            "it is there, in another form"
        );
    }

    #[test]
    fn a_name_outside_the_zone_is_refused_and_the_apex_has_no_subname() {
        let zone = |text: &str| Zone::named(ZoneName::parse(text).unwrap());
        assert_eq!(subname(&zone("example.org"), &name()).unwrap(), "_acme-challenge");
        assert_eq!(subname(&zone("_acme-challenge.example.org"), &name()).unwrap(), "");
        let error = subname(&zone("example.net"), &name()).unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Invalid);
    }
}

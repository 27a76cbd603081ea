//! The plugin: single values over an API that knows whole RRsets.

use crate::api::{Api, RrSet, RrSetChange, ZoneDocument};
use crate::config::Config;
use crate::error;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, RrsetRecord,
    ScopeNeed, ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneName, rrset,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Changes that one call may hold; far below what the server takes in one body (2 MB).
const LARGEST_BATCH: usize = 256;
/// Names that are read one by one; for more, the zone is read whole.
const FEW_NAMES: usize = 4;
/// How often the changes are written before somebody else is said to undo them each time.
const ROUNDS: usize = 4;
/// Zone kinds whose content comes from another server.
const SECONDARY_KINDS: [&str; 3] = ["slave", "secondary", "consumer"];

/// A PowerDNS server, by its HTTP API.
#[derive(Clone, Debug)]
pub struct PowerDns {
    api: Api,
    timeout: Duration,
    /// One writer at a time: the server has no compare-and-set, and on SQLite it answers 500
    /// when two writes meet, even in different zones.
    turn: Arc<Semaphore>,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(PowerDns::new(Config::new(settings)?)))
}

impl PowerDns {
    /// A provider for the server that `config` names; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { api: Api::new(config.client), timeout: config.timeout, turn: Arc::new(Semaphore::new(1)) }
    }

    /// The zone with at least the TXT records at `names`.
    async fn read(&self, zone: &Zone, names: &[&Fqdn]) -> Result<ZoneDocument, ProviderError> {
        if names.len() > FEW_NAMES {
            match self.api.zone(zone, None).await {
                // Too long to be read whole, or a record in it that the server cannot show.
                Err(error) if error.kind() == ProviderErrorKind::Invalid => {}
                answer => return answer,
            }
        }
        let mut whole: Option<ZoneDocument> = None;
        for name in names {
            let part = self.api.zone(zone, Some(name)).await?;
            match &mut whole {
                Some(whole) => whole.rrsets.extend(part.rrsets),
                None => whole = Some(part),
            }
        }
        Ok(whole.expect("there is at least one name"))
    }
}

#[async_trait]
impl DnsProvider for PowerDns {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.in_flight = 1;
        limits.call_timeout = self.timeout;
        limits.smallest_ttl = 0;
        limits.atomic = true;
        limits
    }

    /// Reads, merges and writes until there is nothing left to write, so that what another
    /// program overwrote in between is written again.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let by_name = rrset::by_name(changes);
        let names: Vec<&Fqdn> = by_name.keys().copied().collect();
        for _ in 0..ROUNDS {
            let document = self.read(zone, &names).await?;
            if SECONDARY_KINDS.contains(&document.kind.to_ascii_lowercase().as_str()) {
                return Err(error::secondary(zone, &document.kind));
            }
            let present = |name: &Fqdn| document.rrsets.iter().find(|set| set.is_at(name));
            let writes: Vec<RrSetChange> =
                by_name.iter().filter_map(|(name, changes)| written(name, present(name), changes)).collect();
            if writes.is_empty() {
                return Ok(Applied::default());
            }
            self.api.patch(zone, &writes).await?;
        }
        Err(rrset::overwritten(&zone.name))
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let document = self.api.zone(zone, Some(name)).await?;
        let records = document.rrsets.iter().filter(|set| set.is_at(name)).flat_map(|set| &set.records);
        let served = records.filter(|record| record.is_served());
        Ok(Listing::Listed(served.filter_map(RrsetRecord::value).collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        Ok(Listing::Listed(self.api.zones().await?))
    }

    /// The API has one kind of key, which may do everything: it is enough or it is too much.
    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let seen: BTreeSet<ZoneName> = self.api.zones().await?.into_iter().map(|zone| zone.name).collect();
        Ok(scope(needs, &seen))
    }
}

fn scope(needs: &[ScopeNeed], seen: &BTreeSet<ZoneName>) -> ScopeReport {
    let needed: BTreeSet<&ZoneName> = needs.iter().map(|need| &need.zone.name).collect();
    let missing: Vec<String> = needed
        .iter()
        .filter(|name| !seen.contains(**name))
        .map(|name| format!("the server does not have the zone `{name}`"))
        .collect();
    if !missing.is_empty() {
        return ScopeReport::NotEnough { findings: missing };
    }
    let mut findings = vec![
        "the key may write every name and type, make and delete zones, and read the server's settings"
            .to_owned(),
    ];
    findings.extend(
        seen.iter()
            .filter(|name| !needed.contains(name))
            .map(|name| format!("it reaches the zone `{name}`, which is not needed")),
    );
    ScopeReport::MoreThanNeeded { findings }
}

/// What must be written at `name` so that `changes` hold; `None` if they hold already.
fn written(name: &Fqdn, present: Option<&RrSet>, changes: &[&TxtChange]) -> Option<RrSetChange> {
    let wanted = rrset::merged(present.map(RrSet::content).as_ref(), changes)?;
    Some(RrSetChange::to(name, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.org").unwrap()
    }

    fn add(value: &str) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl: 60 }
    }

    fn remove(value: &str) -> TxtChange {
        TxtChange::Remove { name: name(), value: TxtValue::parse(value).unwrap() }
    }

    fn set(records: &Value) -> RrSet {
        let set = json!({
            "name": "_ACME-challenge.example.org.", "type": "TXT", "ttl": 3600, "records": records, "comments": [],
        });
        serde_json::from_value(set).unwrap()
    }

    fn written(present: Option<&RrSet>, changes: &[TxtChange]) -> Option<Value> {
        let changes: Vec<&TxtChange> = changes.iter().collect();
        super::written(&name(), present, &changes).map(|change| serde_json::to_value(change).unwrap())
    }

    #[test]
    fn an_add_keeps_the_ttl_and_the_records_of_others_exactly() {
        let present = set(&json!([
            { "content": "\"a\"  \"b\"", "disabled": false },
            { "content": "unreadable", "disabled": true },
        ]));
        assert!(present.is_at(&name()));
        let written = written(Some(&present), &[add("new")]).unwrap();
        assert_eq!(written["ttl"], 3600);
        assert_eq!(written["records"][0]["content"], "\"a\"  \"b\"");
        assert_eq!(written["records"][1], json!({ "content": "unreadable", "disabled": true }));
        assert_eq!(written["records"][2]["content"], "\"new\"");
    }

    #[test]
    fn a_disabled_record_is_not_served_and_gives_way_to_an_add_of_its_value() {
        let present = set(&json!([{ "content": "\"mine\"", "disabled": true }]));
        assert_eq!(written(Some(&present), &[remove("mine")]), None);
        let written = written(Some(&present), &[add("mine")]).unwrap();
        assert_eq!(written["records"], json!([{ "content": "\"mine\"", "disabled": false }]));
    }

    #[test]
    fn a_key_is_never_just_enough() {
        let zone = |name: &str| ZoneName::parse(name).unwrap();
        let need = ScopeNeed { zone: Zone::named(zone("example.org")), name: name() };
        let only = scope(std::slice::from_ref(&need), &BTreeSet::from([zone("example.org")]));
        assert!(matches!(only, ScopeReport::MoreThanNeeded { .. }), "{only:?}");
        let both = BTreeSet::from([zone("example.org"), zone("example.net")]);
        let ScopeReport::MoreThanNeeded { findings } = scope(std::slice::from_ref(&need), &both) else {
            panic!("a key that reaches another zone")
        };
        assert!(findings.iter().any(|finding| finding.contains("`example.net`")), "{findings:?}");
        let lacking = scope(&[need], &BTreeSet::from([zone("example.net")]));
        assert!(matches!(lacking, ScopeReport::NotEnough { .. }), "{lacking:?}");
    }
}

//! The plugin: single values over an API that knows whole RRsets and no compare-and-set.

use crate::api::{Api, Content, ListedRrset};
use crate::config::{Authorization, Config};
use crate::scope;
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ScopeNeed, ScopeReport, Settings,
    SettingsError, TxtChange, TxtValue, Zone, ZoneName, ZoneTurns, rrset,
};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// Changes of one call. Names are written one by one, but share the looks before and after.
const LARGEST_BATCH: usize = 100;
/// Names of one call that are written at once.
const AT_ONCE: usize = 8;
/// Names that are read one by one; for more, the zone's TXT RRsets are.
const FEW_NAMES: usize = 2;
/// How often the changes are written before somebody else is said to undo them each time.
const ROUNDS: usize = 4;
/// The smallest and the largest TTL, in seconds.
const TTLS: (u32, u32) = (300, 2_592_000);
/// A full call may have to wait for the next minute's requests.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);

/// Gandi LiveDNS with one credential.
#[derive(Debug)]
pub struct Gandi {
    api: Api,
    unscoped: bool,
    turns: ZoneTurns,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Gandi::new(Config::new(settings)?)))
}

/// A change to one whole RRset.
#[derive(Debug, PartialEq, Eq)]
enum Write {
    /// Nothing stands there.
    Create(Content),
    /// Other values stand there, and stay.
    Replace(Content),
    /// Nothing is left.
    Delete,
}

impl Gandi {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let unscoped = matches!(config.authorization, Authorization::Key(_));
        Self { api: Api::new(config), unscoped, turns: ZoneTurns::default() }
    }

    /// At least the TXT RRsets at `names`.
    async fn look(&self, zone: &Zone, names: &[&str]) -> Result<Vec<ListedRrset>, ProviderError> {
        if names.len() > FEW_NAMES {
            return self.api.rrsets(zone).await;
        }
        let found = join_all(names.iter().map(|name| self.api.rrset(zone, name))).await;
        Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Makes `changes` hold at `name`, where `present` stood a moment ago.
    async fn write(
        &self,
        zone: &Zone,
        name: &str,
        changes: &[&TxtChange],
        present: Option<&ListedRrset>,
        fresh: bool,
    ) -> Result<(), ProviderError> {
        // Paths compare letter case exactly.
        let name = present.map_or(name, |rrset| &rrset.name);
        let mut write = written(present, changes);
        if let (Some(Write::Replace(_)), false) = (&write, fresh) {
            // Somebody else's values are at stake: the look before a whole batch is too old for them.
            write = written(self.api.rrset(zone, name).await?.as_ref(), changes);
        }
        match &write {
            None => Ok(()),
            Some(Write::Create(content)) => self.api.create(zone, name, content).await,
            Some(Write::Replace(content)) => self.api.replace(zone, name, content).await,
            Some(Write::Delete) => self.api.delete(zone, name).await,
        }
    }
}

#[async_trait]
impl DnsProvider for Gandi {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.call_timeout = CALL_TIMEOUT;
        limits.smallest_ttl = TTLS.0;
        limits
    }

    /// Reads, merges and writes until there is nothing left to write, so that what another
    /// program overwrote in between is written again.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let mut places = Vec::new();
        for (name, changes) in rrset::by_name(changes) {
            places.push((zone.relative(name)?, changes));
        }
        let names: Vec<&str> = places.iter().map(|(name, _)| *name).collect();
        let _turn = self.turns.turn(&zone.name).await;
        for _ in 0..ROUNDS {
            let present = self.look(zone, &names).await?;
            let at = |name: &str| present.iter().find(|rrset| rrset.is_at(name));
            let open: Vec<_> =
                places.iter().filter(|(name, changes)| written(at(name), changes).is_some()).collect();
            if open.is_empty() {
                return Ok(Applied::default());
            }
            let fresh = open.len() <= FEW_NAMES;
            for some in open.chunks(AT_ONCE) {
                let writes =
                    some.iter().map(|(name, changes)| self.write(zone, name, changes, at(name), fresh));
                join_all(writes).await.into_iter().collect::<Result<(), _>>()?;
            }
        }
        Err(rrset::overwritten(&zone.name))
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let rrset = self.api.rrset(zone, zone.relative(name)?).await?;
        Ok(Listing::Listed(rrset.map(|rrset| rrset.texts()).unwrap_or_default()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let zone = |name: String| Some(Zone::named(ZoneName::parse(&name).ok()?));
        let names = self.api.domains().await;
        Listing::if_permitted(names.map(|names| names.into_iter().filter_map(zone).collect()))
    }

    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        scope::audit(&self.api, self.unscoped, needs).await
    }
}

/// What must be written so that `changes` hold; `None` if they hold already.
fn written(present: Option<&ListedRrset>, changes: &[&TxtChange]) -> Option<Write> {
    let wanted = rrset::merged(present.map(ListedRrset::content).as_ref(), changes)?;
    Some(match present {
        _ if wanted.records.is_empty() => Write::Delete,
        Some(_) => Write::Replace(Content::new(wanted, TTLS)),
        None => Write::Create(Content::new(wanted, TTLS)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(value: &str, added: bool) -> TxtChange {
        let (name, value) = (Fqdn::parse("_acme-challenge.a.test").unwrap(), TxtValue::parse(value).unwrap());
        if added { TxtChange::Add { name, value, ttl: 60 } } else { TxtChange::Remove { name, value } }
    }

    fn rrset(values: &[&str]) -> ListedRrset {
        let rrset = json!({
            "rrset_name": "_ACME-challenge", "rrset_type": "TXT", "rrset_ttl": 3607, "rrset_values": values, "rrset_href": "…",
        });
        serde_json::from_value(rrset).unwrap()
    }

    fn planned(present: Option<&ListedRrset>, changes: &[TxtChange]) -> Option<serde_json::Value> {
        let content = |verb: &str, content: Content| json!({ verb: serde_json::to_value(content).unwrap() });
        super::written(present, &changes.iter().collect::<Vec<_>>()).map(|write| match write {
            Write::Create(new) => content("create", new),
            Write::Replace(new) => content("replace", new),
            Write::Delete => json!("delete"),
        })
    }

    #[test]
    fn a_first_value_is_created_and_another_merged_with_ttl_and_form_of_the_others_kept() {
        let first = planned(None, &[change("v", true)]);
        let expected = json!({ "create": { "rrset_ttl": 300, "rrset_values": ["\"v\""] } });
        assert_eq!(first, Some(expected));
        let second = planned(Some(&rrset(&["\"two \"  \"strings\""])), &[change("v", true)]);
        let values = ["\"two \"  \"strings\"", "\"v\""];
        assert_eq!(second, Some(json!({ "replace": { "rrset_ttl": 3607, "rrset_values": values } })));
    }

    #[test]
    fn the_last_value_takes_the_set_with_it_and_what_holds_already_is_not_written() {
        let present = rrset(&["\"v\""]);
        assert_eq!(planned(Some(&present), &[change("v", false)]), Some(json!("delete")));
        assert_eq!(planned(Some(&present), &[change("v", true), change("w", false)]), None);
        assert_eq!(planned(None, &[change("v", false)]), None);
        assert!(present.is_at("_acme-challenge"));
    }
}

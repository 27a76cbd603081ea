//! Which credential writes to which zone.

use crate::config::{PropagationConfig, Quorum as ConfiguredQuorum, ZoneConfig};
use crate::dns::{CheckMode, ConfiguredZone, ConfiguredZones, PropagationRules, Quorum};
use dns01_provider::{Credential, Fqdn, Zone, ZoneName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A credential with the zones that it is for.
#[derive(Clone, Debug)]
pub struct BoundCredential {
    /// What is called.
    pub credential: Credential,
    /// Its zones; empty (by flags only) where it is for every zone it serves.
    pub zones: Vec<ZoneConfig>,
    /// Seconds that new TXT records live; `None` is the smallest that the service takes.
    pub ttl: Option<u32>,
    /// Names that are known to be aliases into its zones.
    pub aliases: BTreeMap<Fqdn, Fqdn>,
}

/// Where a record goes: one zone, through one credential.
#[derive(Clone, Debug)]
pub struct Route {
    /// What is called.
    pub credential: Credential,
    /// The zone, with its id at the provider where one is configured.
    pub zone: Zone,
    /// Seconds that new TXT records live.
    pub ttl: u32,
    /// Who has to show its values.
    pub check: CheckMode,
    /// How long nobody is asked after they were written.
    pub wait: Duration,
    /// By which rules it is waited for them.
    pub rules: PropagationRules,
}

/// All credentials, and with them all zones that records can be written to.
#[derive(Clone, Debug)]
pub struct Routes {
    bound: Arc<[BoundCredential]>,
    zones: ConfiguredZones,
}

impl Routes {
    /// The routes that `bound` credentials make.
    #[must_use]
    pub fn new(bound: Vec<BoundCredential>) -> Self {
        let zones = bound.iter().flat_map(|one| &one.zones).map(configured).collect();
        let any = bound.iter().any(|one| one.zones.is_empty());
        let zones =
            if any { ConfiguredZones::or_served(zones, |_| true) } else { ConfiguredZones::new(zones) };
        let aliases = bound.iter().flat_map(|one| one.aliases.clone());
        let zones = zones.with_aliases(aliases);
        Self { bound: bound.into(), zones }
    }

    /// The zones as the DNS room wants them.
    #[must_use]
    pub fn zones(&self) -> &ConfiguredZones {
        &self.zones
    }

    /// Every credential.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.bound.iter().map(|one| &one.credential)
    }

    /// The credential called `name`.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials().find(|credential| credential.name().as_str() == name)
    }

    /// The route to the zone `apex`: through the credential it is configured for, else through
    /// one that is for every zone it serves.
    #[must_use]
    pub fn to(&self, apex: &ZoneName) -> Option<Route> {
        let configured = self.bound.iter().find_map(|one| {
            let zone = one.zones.iter().find(|zone| zone.zone.name == *apex)?;
            Some(route(one, zone.zone.clone(), &zone.propagation))
        });
        configured.or_else(|| {
            let any = self.bound.iter().find(|one| one.zones.is_empty())?;
            Some(route(any, Zone::named(apex.clone()), &PropagationConfig::default()))
        })
    }
}

fn route(bound: &BoundCredential, zone: Zone, propagation: &PropagationConfig) -> Route {
    let smallest = bound.credential.limits().smallest_ttl;
    Route {
        credential: bound.credential.clone(),
        zone,
        // As short as may be: a resolver that saw the values of one order must not serve them
        // to the CA in the next.
        ttl: bound.ttl.unwrap_or(smallest).max(smallest),
        check: propagation.check.clone(),
        wait: propagation.wait,
        rules: PropagationRules {
            timeout: propagation.timeout,
            quorum: quorum(propagation.quorum),
            settle: propagation.settle,
        },
    }
}

fn quorum(configured: ConfiguredQuorum) -> Quorum {
    match configured {
        ConfiguredQuorum::Half => Quorum::Half,
        ConfiguredQuorum::All => Quorum::All,
        ConfiguredQuorum::Servers(count) => Quorum::Servers(count.get()),
    }
}

fn configured(zone: &ZoneConfig) -> ConfiguredZone {
    ConfiguredZone {
        name: zone.zone.name.clone(),
        name_servers: zone.name_servers.clone(),
        resolvers: zone.resolvers.clone(),
        alias_resolvers: zone.propagation.alias_resolvers.clone(),
        check: zone.propagation.check.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::CredentialName;
    use dns01_provider::memory::MemoryProvider;

    fn bound(name: &str, zones: &[&str]) -> BoundCredential {
        let zones = zones.iter().map(|zone| ZoneConfig::new(Zone::named(ZoneName::parse(zone).unwrap())));
        BoundCredential {
            zones: zones.collect(),
            credential: Credential::new(
                CredentialName::parse(name).unwrap(),
                Arc::new(MemoryProvider::new([])),
            ),
            ttl: None,
            aliases: BTreeMap::new(),
        }
    }

    fn through(routes: &Routes, apex: &str) -> Option<String> {
        let route = routes.to(&ZoneName::parse(apex).unwrap())?;
        Some(format!("{} {}", route.credential.name(), route.zone.name))
    }

    #[test]
    fn each_zone_goes_through_its_own_credential() {
        let routes = Routes::new(vec![bound("one", &["a.test"]), bound("two", &["b.test", "c.a.test"])]);
        assert_eq!(through(&routes, "a.test").as_deref(), Some("one a.test"));
        assert_eq!(through(&routes, "c.a.test").as_deref(), Some("two c.a.test"));
        assert_eq!(through(&routes, "d.test"), None);
    }

    #[test]
    fn a_credential_without_zones_takes_what_no_other_has() {
        let routes = Routes::new(vec![bound("any", &[]), bound("one", &["a.test"])]);
        assert_eq!(through(&routes, "a.test").as_deref(), Some("one a.test"));
        assert_eq!(through(&routes, "d.test").as_deref(), Some("any d.test"));
    }
}

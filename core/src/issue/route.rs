//! Which credential writes to which zone.

use crate::config::{CredentialConfig, PropagationConfig, Quorum as ConfiguredQuorum, ZoneConfig};
use crate::dns::{CheckMode, ConfiguredZone, ConfiguredZones, PropagationRules, Quorum};
use crate::records::Record;
use dns01_provider::{Credential, Fqdn, TxtValue, Zone, ZoneName};
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
    /// When values count as seen everywhere in a zone that is not among [`Self::zones`].
    pub propagation: PropagationConfig,
    /// Names that are known to be aliases into its zones.
    pub aliases: BTreeMap<Fqdn, Fqdn>,
}

/// Where a record goes: one zone, at every provider that serves it.
#[derive(Clone, Debug)]
pub struct Route {
    /// The zone at each provider: one, unless the configuration says that there are several.
    pub sites: Vec<Site>,
    /// Who has to show its values.
    pub check: CheckMode,
    /// How long nobody is asked after they were written.
    pub wait: Duration,
    /// By which rules it is waited for them.
    pub rules: PropagationRules,
}

/// A zone at one provider.
#[derive(Clone, Debug)]
pub struct Site {
    /// What is called.
    pub credential: Credential,
    /// The zone, with its id at the provider where one is configured.
    pub zone: Zone,
    /// Seconds that new TXT records live.
    pub ttl: u32,
}

impl Route {
    /// What makes `value` stand at `name`: a record for each provider.
    #[must_use]
    pub fn records(&self, name: &Fqdn, value: &TxtValue) -> Vec<Record> {
        let record = |site: &Site| Record {
            credential: site.credential.name().clone(),
            zone: site.zone.clone(),
            name: name.clone(),
            value: value.clone(),
            ttl: site.ttl,
            persistent: false,
        };
        self.sites.iter().map(record).collect()
    }

    /// The names of the credentials that write, for people: `lab`, or `one and other`.
    #[must_use]
    pub fn through(&self) -> String {
        self.sites.iter().map(|site| site.credential.name().as_str()).collect::<Vec<_>>().join(" and ")
    }

    /// The longest that a record may live in caches.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        self.sites.iter().map(|site| site.ttl).max().unwrap_or_default()
    }
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
        let zones = configured_zones(&bound);
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

    /// The route to the zone `apex`: through the credential it is configured for (through each,
    /// where it is at several providers), else through one that is for every zone it serves.
    #[must_use]
    pub fn to(&self, apex: &ZoneName) -> Option<Route> {
        let bindings = bindings(&self.bound, apex);
        let said = bindings.iter().map(|(_, zone)| zone.propagation.clone());
        if let Some(propagation) = said.reduce(strictest) {
            let sites = bindings.iter().map(|(one, zone)| site(one, zone.zone.clone())).collect();
            return Some(route(sites, &propagation));
        }
        let any = self.bound.iter().find(|one| one.zones.is_empty())?;
        Some(route(vec![site(any, Zone::named(apex.clone()))], &any.propagation))
    }
}

/// Whoever has zones of its own: a credential, or what the configuration says of one.
pub(crate) trait HasZones {
    fn zones(&self) -> &[ZoneConfig];

    /// Names that are known to be aliases into these zones.
    fn aliases(&self) -> &BTreeMap<Fqdn, Fqdn>;
}

impl HasZones for BoundCredential {
    fn zones(&self) -> &[ZoneConfig] {
        &self.zones
    }

    fn aliases(&self) -> &BTreeMap<Fqdn, Fqdn> {
        &self.aliases
    }
}

impl HasZones for CredentialConfig {
    fn zones(&self) -> &[ZoneConfig] {
        &self.zones
    }

    fn aliases(&self) -> &BTreeMap<Fqdn, Fqdn> {
        &self.aliases
    }
}

/// Somebody who writes to a zone, with what is said of it there.
type Binding<'a, T> = (&'a T, &'a ZoneConfig);

/// The credentials that write to the zone `apex`.
pub(crate) fn bindings<'a, T: HasZones>(all: &'a [T], apex: &ZoneName) -> Vec<Binding<'a, T>> {
    let of = |one: &'a T| Some((one, one.zones().iter().find(|zone| zone.zone.name == *apex)?));
    writers(all.iter().filter_map(of).collect())
}

/// Of those who have a zone, who writes to it: the first, or all that say that it is at several
/// providers.
fn writers<T>(having: Vec<Binding<'_, T>>) -> Vec<Binding<'_, T>> {
    if having.iter().any(|(_, zone)| zone.multi_provider) {
        return having.into_iter().filter(|(_, zone)| zone.multi_provider).collect();
    }
    having.into_iter().take(1).collect()
}

/// All zones that `all` together can write to, as the DNS room wants them.
pub(crate) fn configured_zones<T: HasZones>(all: &[T]) -> ConfiguredZones {
    let mut having: BTreeMap<&ZoneName, Vec<Binding<'_, T>>> = BTreeMap::new();
    for one in all {
        for zone in one.zones() {
            having.entry(&zone.zone.name).or_default().push((one, zone));
        }
    }
    let zones = having.into_iter().map(|(name, having)| configured(name, &writers(having))).collect();
    let zones = match all.iter().any(|one| one.zones().is_empty()) {
        true => ConfiguredZones::or_served(zones, |_| true),
        false => ConfiguredZones::new(zones),
    };
    zones.with_aliases(all.iter().flat_map(|one| one.aliases().clone()))
}

fn site(bound: &BoundCredential, zone: Zone) -> Site {
    let smallest = bound.credential.limits().smallest_ttl;
    Site {
        credential: bound.credential.clone(),
        zone,
        // As short as may be: a resolver that saw the values of one order must not serve them
        // to the CA in the next.
        ttl: bound.ttl.unwrap_or(smallest).max(smallest),
    }
}

fn route(sites: Vec<Site>, propagation: &PropagationConfig) -> Route {
    Route {
        sites,
        check: propagation.check.clone(),
        wait: propagation.wait,
        rules: PropagationRules {
            timeout: propagation.timeout,
            quorum: quorum(propagation.quorum),
            settle: propagation.settle,
        },
    }
}

/// What holds for a zone of which two tables say something: the longer wait, the larger quorum,
/// and of two check modes the one that asks the name servers themselves, if any does.
fn strictest(one: PropagationConfig, other: PropagationConfig) -> PropagationConfig {
    use ConfiguredQuorum::{All, Half, Servers};
    let quorum = match (one.quorum, other.quorum) {
        (All, _) | (_, All) => All,
        (Servers(one), Servers(other)) => Servers(one.max(other)),
        (Servers(count), Half) | (Half, Servers(count)) => Servers(count),
        (Half, Half) => Half,
    };
    let mut alias_resolvers = one.alias_resolvers;
    extend(&mut alias_resolvers, &other.alias_resolvers);
    PropagationConfig {
        check: if other.check == CheckMode::Authoritative { other.check } else { one.check },
        wait: one.wait.max(other.wait),
        settle: one.settle.max(other.settle),
        timeout: one.timeout.max(other.timeout),
        quorum,
        alias_resolvers,
    }
}

/// Adds what is not there yet.
fn extend<T: Clone + PartialEq>(known: &mut Vec<T>, said: &[T]) {
    for one in said {
        if !known.contains(one) {
            known.push(one.clone());
        }
    }
}

fn quorum(configured: ConfiguredQuorum) -> Quorum {
    match configured {
        ConfiguredQuorum::Half => Quorum::Half,
        ConfiguredQuorum::All => Quorum::All,
        ConfiguredQuorum::Servers(count) => Quorum::Servers(count.get()),
    }
}

/// What is known beforehand of the zone `name`, from every table that has it.
fn configured<T>(name: &ZoneName, bindings: &[Binding<'_, T>]) -> ConfiguredZone {
    let mut zone = ConfiguredZone::named(name.clone());
    for (_, binding) in bindings {
        extend(&mut zone.name_servers, &binding.name_servers);
        extend(&mut zone.resolvers, &binding.resolvers);
    }
    if let Some(propagation) = bindings.iter().map(|(_, zone)| zone.propagation.clone()).reduce(strictest) {
        zone.check = propagation.check;
        zone.alias_resolvers = propagation.alias_resolvers;
    }
    zone
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
            propagation: PropagationConfig::default(),
            aliases: BTreeMap::new(),
        }
    }

    fn through(routes: &Routes, apex: &str) -> Option<String> {
        let route = routes.to(&ZoneName::parse(apex).unwrap())?;
        Some(format!("{} {}", route.through(), route.sites[0].zone.name))
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

    /// A credential for `a.test`, which is at several providers.
    fn one_of_several(name: &str, propagation: PropagationConfig, server: &str) -> BoundCredential {
        let mut one = bound(name, &["a.test"]);
        one.zones[0].multi_provider = true;
        one.zones[0].propagation = propagation;
        one.zones[0].name_servers = vec![server.parse().unwrap()];
        one
    }

    #[test]
    fn a_zone_at_several_providers_goes_through_each_by_the_stricter_rules() {
        let minute = Duration::from_secs(60);
        let one = PropagationConfig { timeout: 3 * minute, ..PropagationConfig::default() };
        let other = PropagationConfig {
            timeout: minute,
            quorum: ConfiguredQuorum::All,
            settle: minute,
            ..PropagationConfig::default()
        };
        let routes = Routes::new(vec![
            one_of_several("one", one, "192.0.2.1:53"),
            one_of_several("other", other, "192.0.2.2:53"),
        ]);
        assert_eq!(through(&routes, "a.test").as_deref(), Some("one and other a.test"));
        let apex = ZoneName::parse("a.test").unwrap();
        let route = routes.to(&apex).unwrap();
        assert_eq!((route.rules.timeout, route.rules.quorum), (3 * minute, Quorum::All));
        assert_eq!((&route.check, route.rules.settle), (&CheckMode::Authoritative, minute));
        let servers = &routes.zones().containing(apex.apex()).unwrap().name_servers;
        assert_eq!(servers.len(), 2, "the servers of both are watched");
        let name = Fqdn::parse("_acme-challenge.a.test").unwrap();
        let records = route.records(&name, &TxtValue::parse("v").unwrap());
        let credentials: Vec<&str> = records.iter().map(|record| record.credential.as_str()).collect();
        assert_eq!(credentials, ["one", "other"]);
    }

    #[test]
    fn a_zone_of_two_credentials_that_does_not_say_so_goes_through_the_first() {
        let routes = Routes::new(vec![bound("one", &["a.test"]), bound("other", &["a.test"])]);
        assert_eq!(through(&routes, "a.test").as_deref(), Some("one a.test"));
    }

    #[test]
    fn a_zone_that_nobody_named_keeps_the_rules_of_its_credential() {
        let propagation = PropagationConfig {
            timeout: Duration::from_secs(7),
            quorum: ConfiguredQuorum::All,
            ..PropagationConfig::default()
        };
        let routes = Routes::new(vec![BoundCredential { propagation, ..bound("any", &[]) }]);
        let rules = routes.to(&ZoneName::parse("d.test").unwrap()).unwrap().rules;
        assert_eq!((rules.timeout, rules.quorum), (Duration::from_secs(7), Quorum::All));
    }
}

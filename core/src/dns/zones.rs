//! The zones that records can be written to, with what is known of them beforehand.

use super::CheckMode;
use super::resolver::Resolver;
use dns01_provider::name::{Fqdn, ZoneName};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// More aliases than this in the configuration are a circle, which is told elsewhere.
const LONGEST_CHAIN: usize = 16;

type Served = Arc<dyn Fn(&ZoneName) -> bool + Send + Sync>;

/// The zones that records can be written to.
#[derive(Clone, Default)]
pub struct ConfiguredZones {
    zones: Vec<ConfiguredZone>,
    served: Option<Served>,
    aliases: HashMap<Fqdn, Fqdn>,
}

/// A zone of the configuration, with what is known of it beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredZone {
    /// The apex.
    pub name: ZoneName,
    /// The servers to ask instead of those the delegation names; empty: look them up.
    pub name_servers: Vec<SocketAddr>,
    /// The recursive resolvers that see this zone as the public does; empty: the usual ones.
    pub resolvers: Vec<Resolver>,
    /// The recursive resolvers to look for aliases with where the zone's own servers are not
    /// asked; empty: only the configuration knows of aliases.
    pub alias_resolvers: Vec<Resolver>,
    /// Who has to show its values. Its own servers are asked for nothing unless this names them.
    pub check: CheckMode,
}

impl ConfiguredZone {
    /// A zone without overrides.
    #[must_use]
    pub fn named(name: ZoneName) -> Self {
        Self {
            name,
            name_servers: Vec::new(),
            resolvers: Vec::new(),
            alias_resolvers: Vec::new(),
            check: CheckMode::default(),
        }
    }

    /// The resolvers that tell what the public sees of this zone: its own, else those that check.
    fn public_view(&self) -> &[Resolver] {
        match &self.check {
            CheckMode::Recursive(resolvers) if self.resolvers.is_empty() => resolvers,
            _ => &self.resolvers,
        }
    }
}

impl ConfiguredZones {
    /// Exactly these zones.
    #[must_use]
    pub fn new(zones: Vec<ConfiguredZone>) -> Self {
        Self { zones, served: None, aliases: HashMap::new() }
    }

    /// These zones, and any other real zone that `served` says yes to: for a credential given
    /// by flags, which writes to whatever zones it has.
    #[must_use]
    pub fn or_served(
        zones: Vec<ConfiguredZone>,
        served: impl Fn(&ZoneName) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { zones, served: Some(Arc::new(served)), aliases: HashMap::new() }
    }

    /// These aliases are taken as given and not looked for in the DNS.
    #[must_use]
    pub fn with_aliases(mut self, aliases: impl IntoIterator<Item = (Fqdn, Fqdn)>) -> Self {
        self.aliases.extend(aliases);
        self
    }

    /// What the configuration says that `name` is an alias of.
    pub(super) fn alias_of(&self, name: &Fqdn) -> Option<&Fqdn> {
        self.aliases.get(name)
    }

    /// The zone in which the challenge for the host `name` is written: the one that contains it,
    /// else the one that an alias of the configuration leads to.
    pub(super) fn zone_of_host(&self, name: &Fqdn) -> Option<&ConfiguredZone> {
        let below = |alias: &Fqdn| {
            alias.ancestors().find(|one| !one.as_str().starts_with('_')).as_ref() == Some(name)
        };
        let by_alias = || {
            let mut end = self.aliases.iter().find(|(alias, _)| below(alias))?.1;
            for _ in 0..LONGEST_CHAIN {
                end = self.aliases.get(end).unwrap_or(end);
            }
            self.containing(end)
        };
        self.containing(name).or_else(by_alias)
    }

    /// The resolvers that tell what the public sees at the host `name`; empty: the usual ones.
    pub(super) fn public_view(&self, name: &Fqdn) -> &[Resolver] {
        self.zone_of_host(name).map_or(&[], ConfiguredZone::public_view)
    }

    /// The longest zone that contains `name`.
    #[must_use]
    pub fn containing(&self, name: &Fqdn) -> Option<&ConfiguredZone> {
        self.zones.iter().filter(|zone| zone.name.contains(name)).max_by_key(|zone| zone.name.as_str().len())
    }

    /// True if zones that are not configured by name may be written to at all.
    pub(super) fn serves_others(&self) -> bool {
        self.served.is_some()
    }

    /// True if the zone, found by walking the delegations, may be written to without being
    /// configured by name.
    pub(super) fn serves(&self, zone: &ZoneName) -> bool {
        self.served.as_ref().is_some_and(|served| served(zone))
    }
}

impl fmt::Debug for ConfiguredZones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredZones")
            .field("zones", &self.zones)
            .field("or_served", &self.served.is_some())
            .finish()
    }
}

//! Zone cuts, and the servers of a zone.

use dns01_provider::name::{Fqdn, ZoneName};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The zones that records can be written to.
#[derive(Clone, Default)]
pub struct ConfiguredZones {
    zones: Vec<ConfiguredZone>,
    served: Option<Arc<dyn Fn(&ZoneName) -> bool + Send + Sync>>,
}

/// A zone of the configuration, with what is known of it beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredZone {
    /// The apex.
    pub name: ZoneName,
    /// The servers to ask instead of those the delegation names; empty: look them up.
    pub name_servers: Vec<SocketAddr>,
    /// The recursive resolvers that see this zone as the public does; empty: the usual ones.
    pub resolvers: Vec<SocketAddr>,
}

impl ConfiguredZone {
    /// A zone without overrides.
    #[must_use]
    pub fn named(name: ZoneName) -> Self {
        Self { name, name_servers: Vec::new(), resolvers: Vec::new() }
    }
}

impl ConfiguredZones {
    /// Exactly these zones.
    #[must_use]
    pub fn new(zones: Vec<ConfiguredZone>) -> Self {
        Self { zones, served: None }
    }

    /// These zones, and any other real zone that `served` says yes to: for a credential given
    /// by flags, which writes to whatever zones it has.
    #[must_use]
    pub fn or_served(
        zones: Vec<ConfiguredZone>,
        served: impl Fn(&ZoneName) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { zones, served: Some(Arc::new(served)) }
    }

    /// The longest zone that contains `name`.
    #[must_use]
    pub fn containing(&self, name: &Fqdn) -> Option<&ConfiguredZone> {
        self.zones.iter().filter(|zone| zone.name.contains(name)).max_by_key(|zone| zone.name.as_str().len())
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

/// The authoritative servers of a zone: the union of the parent's delegation and the zone's
/// own NS records, since resolvers use both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneServers {
    /// The zone.
    pub zone: ZoneName,
    /// The zone that delegates it, as a name without its last dot (`.` is the root); `None`
    /// where the servers come from the configuration.
    pub parent: Option<String>,
    /// The servers, each with its addresses.
    pub servers: Vec<NameServer>,
}

/// One name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its name, or its address where the configuration gave only that.
    pub name: String,
    /// Every address it has.
    pub addresses: Vec<SocketAddr>,
}

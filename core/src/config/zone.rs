//! `[dns.*]`: named credentials and the zones they are for.

use dns01_provider::{Fqdn, Plugin, Settings, Zone};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A named credential, bound to zones.
#[derive(Clone, Debug)]
pub struct CredentialConfig {
    /// The name of its table.
    pub name: String,
    /// The plugin it belongs to.
    pub plugin: Plugin,
    /// The zones it is for. Empty (by flags only) where it is for every zone it serves.
    pub zones: Vec<ZoneConfig>,
    /// The plugin's own keys.
    pub settings: Settings,
    /// Seconds that new TXT records live; `None` is the smallest that the service takes.
    pub ttl: Option<u32>,
}

/// A zone that a credential may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneConfig {
    /// Its name, and its id at the provider where one is given.
    pub zone: Zone,
    /// The servers to watch, instead of the delegated ones.
    pub name_servers: Vec<SocketAddr>,
    /// The recursive resolvers to find things out with, instead of the machine's.
    pub resolvers: Vec<SocketAddr>,
    /// When its values count as seen everywhere.
    pub propagation: PropagationConfig,
}

impl ZoneConfig {
    /// A zone with nothing but its name.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self {
            zone,
            name_servers: Vec::new(),
            resolvers: Vec::new(),
            propagation: PropagationConfig::default(),
        }
    }
}

/// When a zone's values count as seen everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropagationConfig {
    /// The time it may take.
    pub timeout: Duration,
    /// The name servers that must confirm.
    pub quorum: Quorum,
}

impl Default for PropagationConfig {
    /// Three minutes; at least half of the name servers.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(180), quorum: Quorum::Half }
    }
}

/// The name servers that must confirm before the CA is told to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// Every one that answers for the zone, and at least half of all.
    #[default]
    Half,
    /// Every one, whether it answers or not.
    All,
    /// This many.
    Servers(NonZeroUsize),
}

impl CredentialConfig {
    /// Of its zones, the longest that contains `name`.
    #[must_use]
    pub fn zone_for(&self, name: &Fqdn) -> Option<&ZoneConfig> {
        self.zones
            .iter()
            .filter(|zone| zone.zone.name.contains(name))
            .max_by_key(|zone| zone.zone.name.as_str().len())
    }
}

//! Where a challenge record has to stand: aliases (CNAME, DNAME) followed by asking the
//! authoritative servers directly.

use super::delegation::{ConfiguredZones, ZoneServers};
use super::{Dns, DnsError};
use dns01_provider::name::{Fqdn, ZoneName};
use std::fmt;
use std::sync::Arc;

/// Where a challenge record has to be written, and who must show it.
#[derive(Clone, Debug)]
pub struct Location {
    /// The name the CA asks for.
    pub challenge_name: Fqdn,
    /// The name the record is written at: the end of the aliases.
    pub target: Fqdn,
    /// The aliases in between, in order; empty without an alias.
    pub hops: Vec<Hop>,
    /// The zone that is written to.
    pub zone: ZoneName,
    /// The servers of that zone.
    pub servers: Arc<ZoneServers>,
    /// What a person should hear of.
    pub warnings: Vec<LocationWarning>,
}

/// One alias on the way.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The alias.
    pub from: Fqdn,
    /// What it stands for.
    pub to: Fqdn,
    /// The servers of the zone the alias is in.
    pub servers: Arc<ZoneServers>,
}

/// Something odd about a location that does not stop anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationWarning {
    /// The host exists only through a wildcard; a record below it makes it vanish for as long
    /// as the record stands (RFC 4592 §2.2.2).
    HostFromWildcard {
        /// The host that will not be found meanwhile.
        host: Fqdn,
    },
    /// A wildcard gives the challenge name an alias, which is not followed: the record written
    /// at the name itself takes precedence.
    WildcardAliasNotFollowed {
        /// Where the wildcard's alias leads.
        target: Fqdn,
    },
}

impl fmt::Display for LocationWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostFromWildcard { host } => write!(
                f,
                "`{host}` exists only through a wildcard record and is not found while the challenge record stands below it; a wildcard certificate avoids this"
            ),
            Self::WildcardAliasNotFollowed { target } => {
                write!(f, "the alias to `{target}` comes from a wildcard record and is not followed")
            }
        }
    }
}

pub(super) async fn locate(_dns: &Dns, name: &Fqdn, _zones: &ConfiguredZones) -> Result<Location, DnsError> {
    Err(DnsError::NotConfigured { name: name.clone(), zone: name.clone().into() })
}

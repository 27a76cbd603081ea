//! Where a challenge record has to stand: aliases (CNAME, DNAME) followed by asking the
//! authoritative servers directly.

use super::answer::{Alias, plain_name, shown_name};
use super::configured;
use super::delegation::ZoneServers;
use super::place::Place;
use super::zones::ConfiguredZones;
use super::{CheckMode, DnsError, Inner};
use dns01_provider::name::{Fqdn, ZoneName};
use std::fmt;
use std::sync::Arc;

/// Longer chains are a mistake; resolvers stop at about as many.
const LONGEST_CHAIN: usize = 8;

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
    /// Who has to show the values.
    pub check: CheckMode,
    /// The servers of that zone, where they are the ones.
    pub servers: Option<Arc<ZoneServers>>,
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
    /// The servers of the zone the alias is in, where they were asked.
    pub servers: Option<Arc<ZoneServers>>,
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

pub(super) async fn locate(dns: &Inner, name: &Fqdn, zones: &ConfiguredZones) -> Result<Location, DnsError> {
    let mut hops: Vec<Hop> = Vec::new();
    let mut current = name.clone();
    loop {
        match configured::look(dns, &current, zones).await? {
            configured::Found::Alias(target) => {
                current = follow(name, &mut hops, current, target, None)?;
                continue;
            }
            configured::Found::End(zone) => return Ok(configured::location(name, current, hops, zone)),
            configured::Found::Nothing => {}
        }
        let place = match Place::find(dns, &current, zones).await {
            // An alias into the unknown is the alias's fault, whatever is wrong there.
            Err(_) if !hops.is_empty() && zones.containing(&current).is_none() && !zones.serves_others() => {
                return Err(DnsError::AliasNotConfigured { name: name.clone(), target: current });
            }
            found => found?,
        };
        let Some(alias) = place.alias.clone() else {
            return finish(dns, name, place, hops, None, zones).await;
        };
        let target = target(&current, &alias)?;
        if place.writable && !alias.by_tree && place.is_from_wildcard(dns, &alias).await? {
            return finish(dns, name, place, hops, Some(target), zones).await;
        }
        current = follow(name, &mut hops, current, target, Some(place.servers))?;
    }
}

/// Takes one step along the aliases of `name`; returns where it leads.
fn follow(
    name: &Fqdn,
    hops: &mut Vec<Hop>,
    from: Fqdn,
    to: Fqdn,
    servers: Option<Arc<ZoneServers>>,
) -> Result<Fqdn, DnsError> {
    if hops.len() + 1 == LONGEST_CHAIN || hops.iter().any(|hop| hop.from == to) || from == to {
        let chain = hops.iter().map(|hop| &hop.from).chain([&from, &to]);
        let chain = chain.map(Fqdn::as_str).collect::<Vec<_>>().join(" → ");
        return Err(DnsError::AliasLoop { name: name.clone(), chain });
    }
    hops.push(Hop { from, to: to.clone(), servers });
    Ok(to)
}

/// The location at the end of the aliases.
async fn finish(
    dns: &Inner,
    challenge_name: &Fqdn,
    place: Place,
    hops: Vec<Hop>,
    not_followed: Option<Fqdn>,
    zones: &ConfiguredZones,
) -> Result<Location, DnsError> {
    if !place.writable {
        return Err(match hops.is_empty() {
            true => {
                DnsError::NotConfigured { name: challenge_name.clone(), zone: place.servers.zone.clone() }
            }
            false => DnsError::AliasNotConfigured { name: challenge_name.clone(), target: place.name },
        });
    }
    let mut warnings = Vec::new();
    // Only a name that is there, or seems to be, can be a wildcard's work.
    if (place.exists || not_followed.is_some())
        && let Some(host) = place.host_from_wildcard(dns).await?
    {
        warnings.push(LocationWarning::HostFromWildcard { host });
    }
    warnings.extend(not_followed.map(|target| LocationWarning::WildcardAliasNotFollowed { target }));
    let zone =
        zones.containing(&place.name).map_or_else(|| place.servers.zone.clone(), |zone| zone.name.clone());
    Ok(Location {
        challenge_name: challenge_name.clone(),
        target: place.name,
        hops,
        zone,
        check: CheckMode::Authoritative,
        servers: Some(place.servers),
        warnings,
    })
}

/// The target as a name that a record can be written at.
pub(super) fn target(name: &Fqdn, alias: &Alias) -> Result<Fqdn, DnsError> {
    plain_name(&alias.to).ok_or_else(|| DnsError::AliasTarget {
        name: name.clone(),
        target: shown_name(&alias.to),
        reason: "it is not a name that a host or a challenge can have".to_owned(),
    })
}

#[cfg(test)]
mod tests;

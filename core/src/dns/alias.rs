//! Where a challenge record has to stand: aliases (CNAME, DNAME) followed by asking the
//! authoritative servers directly.

use super::answer::{Alias, TxtAnswer, code_name, plain_name, shown_name, wire_name};
use super::delegation::{ConfiguredZone, ConfiguredZones, ZoneServers, cut_in};
use super::query::Question;
use super::survey::{Heard, ask_every, ask_first, said, said_of_alias};
use super::{DnsError, Inner};
use dns01_provider::name::{Fqdn, ZoneName};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use std::fmt;
use std::sync::Arc;

/// Longer chains are a mistake; resolvers stop at about as many.
const LONGEST_CHAIN: usize = 8;
/// More zones than labels cannot lie between a name and the top.
const LONGEST_DESCENT: usize = 16;

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

pub(super) async fn locate(dns: &Inner, name: &Fqdn, zones: &ConfiguredZones) -> Result<Location, DnsError> {
    let mut hops: Vec<Hop> = Vec::new();
    let mut current = name.clone();
    loop {
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
        let chain = || hops.iter().map(|hop| &hop.from).chain([&current, &target]);
        if hops.len() + 1 == LONGEST_CHAIN || hops.iter().any(|hop| hop.from == target) || current == target {
            let chain = chain().map(Fqdn::as_str).collect::<Vec<_>>().join(" → ");
            return Err(DnsError::AliasLoop { name: name.clone(), chain });
        }
        hops.push(Hop { from: current, to: target.clone(), servers: place.servers });
        current = target;
    }
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
        servers: place.servers,
        warnings,
    })
}

/// The target as a name that a record can be written at.
fn target(name: &Fqdn, alias: &Alias) -> Result<Fqdn, DnsError> {
    plain_name(&alias.to).ok_or_else(|| DnsError::AliasTarget {
        name: name.clone(),
        target: shown_name(&alias.to),
        reason: "it is not a name that a host or a challenge can have".to_owned(),
    })
}

/// A name in its zone, as the zone's servers show it.
struct Place {
    name: Fqdn,
    servers: Arc<ZoneServers>,
    /// Whether the zone is configured, or served by the credential.
    writable: bool,
    alias: Option<Alias>,
    exists: bool,
}

impl Place {
    async fn find(dns: &Inner, name: &Fqdn, zones: &ConfiguredZones) -> Result<Self, DnsError> {
        let configured = zones.containing(name);
        let servers = match configured {
            Some(zone) => dns.delegations.of_configured(zone).await?,
            None => descend(dns, name).await?,
        };
        let question = Question::new(wire_name(name), RecordType::TXT);
        let heard = ask_every(&dns.client, &servers, &question).await;
        let answers = usable(&servers.zone, name, &question.name, &heard)?;
        if let Some(zone) = configured {
            check_cut(dns, zone, &servers, name, &answers).await?;
        }
        let alias = agreed_alias(&servers.zone, name, &answers)?;
        let exists = answers.iter().any(|(_, answer)| answer.code == ResponseCode::NoError);
        let writable = configured.is_some() || zones.serves(&servers.zone);
        Ok(Self { name: name.clone(), servers, writable, alias, exists })
    }

    /// True if a sibling that nobody made has the same alias.
    async fn is_from_wildcard(&self, dns: &Inner, alias: &Alias) -> Result<bool, DnsError> {
        let Some(parent) = self.name.parent().filter(|parent| self.servers.zone.contains(parent)) else {
            return Ok(false);
        };
        let sibling = self.ask(dns, &stranger_below(&parent)).await?;
        Ok(sibling.aliases.first().is_some_and(|other| other.to == alias.to))
    }

    /// The host above this name, if only a wildcard makes it exist: then a name below it that
    /// nobody made exists too, and so does such a name beside it.
    async fn host_from_wildcard(&self, dns: &Inner) -> Result<Option<Fqdn>, DnsError> {
        let apex = self.servers.zone.apex();
        let Some(host) = self.name.parent().filter(|host| host != apex && host.is_at_or_below(apex)) else {
            return Ok(None);
        };
        let Some(above) = host.parent() else { return Ok(None) };
        if !self.ask(dns, &stranger_below(&host)).await?.shows_something() {
            return Ok(None);
        }
        let beside = self.ask(dns, &stranger_below(&above)).await?.shows_something();
        Ok(beside.then_some(host))
    }

    async fn ask(&self, dns: &Inner, name: &Name) -> Result<TxtAnswer, DnsError> {
        ask_one(dns, &self.servers, name).await
    }
}

impl TxtAnswer {
    fn shows_something(&self) -> bool {
        self.code == ResponseCode::NoError || !self.aliases.is_empty()
    }

    /// True if the answer is about the name, from somebody who knows it.
    fn is_usable(&self) -> bool {
        let known =
            matches!(self.code, ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain);
        known || !self.aliases.is_empty()
    }
}

/// A name below `parent` that nobody has made.
fn stranger_below(parent: &Fqdn) -> Name {
    let label = format!("dns01-{:016x}", rand::random::<u64>());
    // A name too long for this has no room for a challenge label either.
    wire_name(parent).prepend_label(label).unwrap_or_else(|_| wire_name(parent))
}

async fn ask_one(dns: &Inner, servers: &ZoneServers, name: &Name) -> Result<TxtAnswer, DnsError> {
    let question = Question::new(name.clone(), RecordType::TXT);
    let addresses = servers.addresses().map(|(server, address)| (server.to_owned(), address));
    ask_first(&dns.client, servers.zone.as_str(), addresses, &question, |reply| {
        Some(TxtAnswer::read(name, &reply.message)).filter(TxtAnswer::is_usable)
    })
    .await
}

/// Follows referrals from a zone above `name` to the one it is in.
async fn descend(dns: &Inner, name: &Fqdn) -> Result<Arc<ZoneServers>, DnsError> {
    let mut servers = dns.delegations.above(name).await?;
    for _ in 0..LONGEST_DESCENT {
        let answer = ask_one(dns, &servers, &wire_name(name)).await?;
        let Some(cut) = cut_below(dns, &servers, name, &answer).await? else {
            break;
        };
        servers = dns.delegations.of(&ZoneName::from(cut), &[]).await?;
    }
    Ok(servers)
}

/// The answers that say something of the name, by server.
fn usable<'a>(
    zone: &ZoneName,
    name: &Fqdn,
    wire: &Name,
    heard: &'a [Heard],
) -> Result<Vec<(&'a Heard, TxtAnswer)>, DnsError> {
    let answers: Vec<_> = heard
        .iter()
        .filter_map(|heard| {
            let reply = heard.result.as_ref().ok()?;
            let answer = TxtAnswer::read(wire, &reply.message);
            answer.is_usable().then_some((heard, answer))
        })
        .collect();
    if answers.is_empty() {
        let details = heard
            .iter()
            .map(|heard| format!("{} {}: {}", heard.server, heard.address.ip(), said(&heard.result)))
            .collect::<Vec<_>>()
            .join("; ");
        return Err(DnsError::NoAnswer { zone: zone.to_string(), name: name.to_string(), details });
    }
    if let Some((_, answer)) = answers.iter().find(|(_, answer)| answer.code == ResponseCode::YXDomain) {
        return Err(DnsError::AliasTarget {
            name: name.clone(),
            target: answer.aliases.first().map_or_else(String::new, |alias| shown_name(&alias.to)),
            reason: format!("the redirected name is too long ({})", code_name(answer.code)),
        });
    }
    Ok(answers)
}

/// Refuses a real zone cut between the configured zone and the name.
async fn check_cut(
    dns: &Inner,
    zone: &ConfiguredZone,
    servers: &ZoneServers,
    name: &Fqdn,
    answers: &[(&Heard, TxtAnswer)],
) -> Result<(), DnsError> {
    // A server that answers for the zone knows its cuts; one that does not may refer anywhere.
    let telling = answers.iter().find(|(_, answer)| answer.authoritative).or(answers.first());
    let Some((_, answer)) = telling else { return Ok(()) };
    match cut_below(dns, servers, name, answer).await? {
        Some(cut) => Err(DnsError::DeeperCut { name: name.clone(), configured: zone.name.clone(), cut }),
        None => Ok(()),
    }
}

/// The zone cut nearest below `servers`' zone on the way to `name`. Where the answer does not
/// prove its zone by a SOA record or a referral, NS records are asked for at each name between.
async fn cut_below(
    dns: &Inner,
    servers: &ZoneServers,
    name: &Fqdn,
    answer: &TxtAnswer,
) -> Result<Option<Fqdn>, DnsError> {
    if let Ok(proven) = cut_in(&servers.zone, answer.zone.as_ref(), answer.referral.as_ref()) {
        return Ok(proven);
    }
    let apex = servers.zone.apex();
    let mut between: Vec<Fqdn> = name.ancestors().take_while(|ancestor| ancestor != apex).collect();
    between.reverse();
    for ancestor in between {
        if is_apex(dns, servers, &ancestor).await? {
            return Ok(Some(ancestor));
        }
    }
    Ok(None)
}

async fn is_apex(dns: &Inner, servers: &ZoneServers, name: &Fqdn) -> Result<bool, DnsError> {
    let wire = wire_name(name);
    let question = Question::new(wire.clone(), RecordType::NS);
    let addresses = servers.addresses().map(|(server, address)| (server.to_owned(), address));
    ask_first(&dns.client, servers.zone.as_str(), addresses, &question, |reply| {
        let message = &reply.message;
        let known = matches!(message.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        let records = message.answers.iter().chain(&message.authorities);
        let mut owned =
            records.filter(|record| record.record_type() == RecordType::NS && record.name == wire);
        known.then(|| owned.next().is_some())
    })
    .await
}

/// The alias that all answers give, or none. Answers without authority count only when there
/// are no others.
fn agreed_alias(
    zone: &ZoneName,
    name: &Fqdn,
    answers: &[(&Heard, TxtAnswer)],
) -> Result<Option<Alias>, DnsError> {
    let any_authoritative = answers.iter().any(|(_, answer)| answer.authoritative);
    let mut counting = answers
        .iter()
        .filter(|(_, answer)| answer.authoritative || !any_authoritative)
        .map(|(_, answer)| answer);
    let Some(first) = counting.next() else { return Ok(None) };
    let target = |answer: &TxtAnswer| answer.aliases.first().map(|alias| alias.to.clone());
    if counting.all(|answer| target(answer) == target(first)) {
        return Ok(first.aliases.first().cloned());
    }
    let answers = answers
        .iter()
        .map(|(heard, answer)| format!("{} {}: {}", heard.server, heard.address.ip(), said_of_alias(answer)))
        .collect::<Vec<_>>()
        .join("; ");
    Err(DnsError::AliasDisagreement { zone: zone.clone(), name: name.clone(), answers })
}

//! Where a challenge record has to stand: aliases (CNAME, DNAME) followed by asking the
//! authoritative servers directly.

use super::answer::{Alias, TxtAnswer, code_name, plain_name, shown_name, wire_name};
use super::configured;
use super::delegation::{ZoneServers, cut_in};
use super::message::Question;
use super::survey::{Heard, ask_every, ask_first, said, said_of_alias};
use super::zones::{ConfiguredZone, ConfiguredZones};
use super::{CheckMode, DnsError, Inner};
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
    let addresses =
        servers.addresses().map(|(server, address)| (server.to_owned(), address)).collect::<Vec<_>>();
    ask_first(&dns.client, servers.zone.as_str(), addresses, &question, |reply| {
        Some(TxtAnswer::read(name, &reply.message)).filter(TxtAnswer::is_usable)
    })
    .await
}

/// Follows referrals from a zone above `name` to the one it is in.
pub(super) async fn descend(dns: &Inner, name: &Fqdn) -> Result<Arc<ZoneServers>, DnsError> {
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
            .collect::<Vec<_>>();
        let details = match details.is_empty() {
            true => "it has no name server with an address".to_owned(),
            false => details.join("; "),
        };
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
    let addresses =
        servers.addresses().map(|(server, address)| (server.to_owned(), address)).collect::<Vec<_>>();
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

#[cfg(test)]
mod tests {
    use super::super::scripted::{Act, ScriptedServer, ZoneData, answer};
    use super::super::{Dns, DnsSettings};
    use super::*;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    /// A top-level zone `test` on server 0, `example.test` on servers 1 and 2 (and 3, which
    /// only the zone itself names), `foreign.test` on server 4.
    struct World {
        servers: Vec<ScriptedServer>,
        resolver: ScriptedServer,
        dns: Dns,
    }

    const DELEGATION: &str = "example.test NS ns1.test\nexample.test NS ns2.test\nforeign.test NS ns4.test";

    impl World {
        async fn with(example: &str) -> Self {
            Self::of(ZoneData::new("example.test", &format!("{example}\n{OWN}")), Vec::new()).await
        }

        /// `beside` are further zones on the servers of `example.test`.
        async fn of(example: ZoneData, mut beside: Vec<ZoneData>) -> Self {
            beside.push(example);
            let test = ZoneData::new("test", DELEGATION);
            let foreign = ZoneData::new(
                "foreign.test",
                "x.foreign.test CNAME _acme.example.test\nforeign.test NS ns4.test",
            );
            let servers = ScriptedServer::crowd(vec![
                vec![test],
                beside.clone(),
                beside.clone(),
                beside,
                vec![foreign],
            ])
            .await;
            let mut known = "test NS ns0.test\n".to_owned();
            for (index, server) in servers.iter().enumerate() {
                known.push_str(&format!("ns{index}.test A {}\n", server.address.ip()));
            }
            let resolver = ScriptedServer::recursive(&known).await;
            let settings =
                DnsSettings { resolvers: vec![resolver.address.into()], port: servers[0].address.port() };
            let dns = Dns::new(settings, TaskTracker::new(), CancellationToken::new());
            Self { servers, resolver, dns }
        }

        async fn locate(&self, name: &str, zones: &[&str]) -> Result<Location, DnsError> {
            let zones =
                zones.iter().map(|zone| ConfiguredZone::named(ZoneName::parse(zone).unwrap())).collect();
            self.dns.locate(&Fqdn::parse(name).unwrap(), &ConfiguredZones::new(zones)).await
        }
    }

    const OWN: &str = "example.test NS ns1.test\nexample.test NS ns3.test";

    #[tokio::test]
    async fn the_servers_are_the_union_of_delegation_and_apex() {
        let world = World::with("www.example.test A 192.0.2.1").await;
        let location = world.locate("_acme-challenge.example.test", &["example.test"]).await.unwrap();
        let servers = location.servers.clone().unwrap();
        let mut names: Vec<_> = servers.servers.iter().map(|server| server.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["ns1.test", "ns2.test", "ns3.test"]);
        assert_eq!(servers.parent.as_deref(), Some("test"));
        let negative = world.dns.negative_ttl(&location).await;
        assert_eq!(negative, Some(std::time::Duration::from_secs(1)), "the minimum, not the TTL of 60");
        assert_eq!(location.target.as_str(), "_acme-challenge.example.test");
        assert!(location.hops.is_empty() && location.warnings.is_empty());
    }

    #[tokio::test]
    async fn a_zone_is_looked_for_once_and_no_challenge_is_asked_of_the_resolver() {
        let world = World::with("").await;
        let names: Vec<String> = (0..20).map(|n| format!("_acme-challenge.h{n}.example.test")).collect();
        let located = names.iter().map(|name| world.locate(name, &["example.test"]));
        for location in futures_util::future::join_all(located).await {
            location.unwrap();
        }
        assert_eq!(world.servers[0].asked().len(), 1, "the parent is asked once");
        for asked in world.resolver.asked() {
            assert_ne!(asked.record_type(), RecordType::TXT);
            assert!(!asked.name().to_ascii().to_lowercase().contains("example"), "{}", asked.name());
        }
    }

    #[tokio::test]
    async fn an_explicit_alias_is_followed_into_a_configured_zone() {
        let world = World::with("_acme-challenge.example.test CNAME x.foreign.test").await;
        let location = world.locate("_acme-challenge.example.test", &["example.test"]).await.unwrap();
        let hops: Vec<_> = location
            .hops
            .iter()
            .map(|hop| (hop.from.as_str(), hop.servers.as_ref().unwrap().zone.as_str()))
            .collect();
        assert_eq!(
            hops,
            [("_acme-challenge.example.test", "example.test"), ("x.foreign.test", "foreign.test")],
            "through a zone that is not configured and back"
        );
        assert_eq!(
            (location.target.as_str(), location.zone.as_str()),
            ("_acme.example.test", "example.test")
        );
    }

    #[tokio::test]
    async fn an_alias_from_a_zone_that_is_not_configured_is_followed_too() {
        let world = World::with("").await;
        let location = world.locate("x.foreign.test", &["example.test"]).await.unwrap();
        assert_eq!(location.target.as_str(), "_acme.example.test");
        let alone = world.locate("y.foreign.test", &["example.test"]).await;
        assert!(
            matches!(&alone, Err(DnsError::NotConfigured { zone, .. }) if zone.as_str() == "foreign.test"),
            "{alone:?}"
        );
    }

    #[tokio::test]
    async fn an_alias_into_a_zone_that_is_not_configured_is_refused_and_named() {
        for target in ["y.foreign.test", "nowhere.invalid"] {
            let world = World::with(&format!("_acme-challenge.example.test CNAME {target}")).await;
            let refused = world.locate("_acme-challenge.example.test", &["example.test"]).await;
            assert!(
                matches!(&refused, Err(DnsError::AliasNotConfigured { target: named, .. }) if named.as_str() == target),
                "{refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_tree_redirected_by_dname_is_followed() {
        let world = World::with("old.example.test DNAME new.example.test").await;
        let location = world.locate("_acme-challenge.old.example.test", &["example.test"]).await.unwrap();
        assert_eq!(location.target.as_str(), "_acme-challenge.new.example.test");
    }

    #[tokio::test]
    async fn an_alias_made_by_a_wildcard_is_not_followed() {
        for target in ["y.foreign.test", "web.example.test"] {
            let world = World::with(&format!("*.example.test CNAME {target}")).await;
            let location = world.locate("_acme-challenge.example.test", &["example.test"]).await.unwrap();
            assert_eq!(location.target.as_str(), "_acme-challenge.example.test");
            let target = Fqdn::parse(target).unwrap();
            assert_eq!(location.warnings, [LocationWarning::WildcardAliasNotFollowed { target }]);
        }
    }

    #[tokio::test]
    async fn a_host_that_only_a_wildcard_makes_is_warned_of() {
        let world = World::with("*.example.test A 192.0.2.1\nreal.example.test A 192.0.2.1").await;
        let host = Fqdn::parse("host.example.test").unwrap();
        let location = world.locate("_acme-challenge.host.example.test", &["example.test"]).await.unwrap();
        assert_eq!(location.warnings, [LocationWarning::HostFromWildcard { host }]);
        for fine in ["_acme-challenge.real.example.test", "_acme-challenge.example.test"] {
            assert!(world.locate(fine, &["example.test"]).await.unwrap().warnings.is_empty(), "{fine}");
        }
    }

    #[tokio::test]
    async fn aliases_that_do_not_end_are_refused() {
        let circle = "a.example.test CNAME b.example.test\nb.example.test CNAME a.example.test";
        let world = World::with(circle).await;
        let refused = world.locate("a.example.test", &["example.test"]).await;
        assert!(matches!(&refused, Err(DnsError::AliasLoop { .. })), "{refused:?}");
        let chain: String =
            (0..20).map(|n| format!("c{n}.example.test CNAME c{}.example.test\n", n + 1)).collect();
        let refused = World::with(&chain).await.locate("c0.example.test", &["example.test"]).await;
        assert!(matches!(&refused, Err(DnsError::AliasLoop { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn servers_that_do_not_agree_on_the_alias_are_named() {
        let world = World::with("").await;
        let other = ZoneData::new("example.test", "_acme-challenge.example.test CNAME _acme.example.test");
        world.servers[2].now_serves(vec![other]);
        let refused = world.locate("_acme-challenge.example.test", &["example.test"]).await;
        let Err(DnsError::AliasDisagreement { answers, .. }) = refused else { panic!("{refused:?}") };
        assert!(
            answers.contains("ns2.test") && answers.contains("alias of `_acme.example.test`"),
            "{answers}"
        );
    }

    #[tokio::test]
    async fn a_real_cut_below_the_configured_zone_is_refused_and_named() {
        let referred = World::with("sub.example.test NS ns4.test").await;
        // The same servers have the child: no referral tells of the cut, but SOA or NS do.
        let child = ZoneData::new("sub.example.test", "sub.example.test NS ns1.test");
        let example = ZoneData::new("example.test", OWN);
        let hidden = World::of(example.clone(), vec![child.clone()]).await;
        let hidden_without_soa = World::of(example.without_soa(), vec![child.without_soa()]).await;
        for world in [referred, hidden, hidden_without_soa] {
            let refused = world.locate("_acme-challenge.a.sub.example.test", &["example.test"]).await;
            assert!(
                matches!(&refused, Err(DnsError::DeeperCut { cut, .. }) if cut.as_str() == "sub.example.test"),
                "{refused:?}"
            );
            assert!(refused.unwrap_err().hint().unwrap().contains("`sub.example.test`"));
        }
    }

    #[tokio::test]
    async fn a_configured_zone_that_is_none_is_refused() {
        let world = World::with("").await;
        let refused = world.locate("_acme-challenge.other.test", &["other.test"]).await;
        assert!(
            matches!(&refused, Err(DnsError::NotDelegated { parent, .. }) if parent == "test"),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn any_zone_a_credential_serves_can_be_accepted_without_configuration() {
        let world = World::with("").await;
        let serves = |served: &'static str| {
            ConfiguredZones::or_served(Vec::new(), move |zone| zone.as_str() == served)
        };
        let name = Fqdn::parse("_acme-challenge.a.b.example.test").unwrap();
        let location = world.dns.locate(&name, &serves("example.test")).await.unwrap();
        assert_eq!(location.zone.as_str(), "example.test");
        assert!(world.dns.locate(&name, &serves("other.test")).await.is_err());
    }

    #[tokio::test]
    async fn configured_name_servers_are_asked_and_nobody_else() {
        let world = World::with("").await;
        let mut zone = ConfiguredZone::named(ZoneName::parse("example.test").unwrap());
        zone.name_servers = vec![world.servers[2].address];
        let name = Fqdn::parse("_acme-challenge.example.test").unwrap();
        let location = world.dns.locate(&name, &ConfiguredZones::new(vec![zone])).await.unwrap();
        assert_eq!(location.servers.unwrap().addresses().count(), 1);
        assert!(world.resolver.asked().is_empty() && world.servers[0].asked().is_empty());
    }

    #[tokio::test]
    async fn a_dead_server_costs_a_location_little_and_a_dead_zone_says_so() {
        let world = World::with("").await;
        world.servers[2].now(|_| Act::Silence);
        let started = tokio::time::Instant::now();
        world.locate("_acme-challenge.example.test", &["example.test"]).await.unwrap();
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
        for server in &world.servers[1..4] {
            server.now(|asked| Act::Reply(answer(&[], asked)));
        }
        let failed = world.locate("_acme-challenge.b.example.test", &["example.test"]).await;
        let Err(DnsError::NoAnswer { details, .. }) = failed else { panic!("{failed:?}") };
        assert!(details.contains("REFUSED"), "{details}");
    }
}

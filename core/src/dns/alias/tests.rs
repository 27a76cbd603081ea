//! Locations, as a small world of name servers gives them.

use super::*;
use crate::dns::scripted::{Act, ScriptedServer, ZoneData, answer};
use crate::dns::zones::ConfiguredZone;
use crate::dns::{Dns, DnsSettings};
use hickory_proto::rr::RecordType;
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
        let servers =
            ScriptedServer::crowd(vec![vec![test], beside.clone(), beside.clone(), beside, vec![foreign]])
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
        let zones = zones.iter().map(|zone| ConfiguredZone::named(ZoneName::parse(zone).unwrap())).collect();
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
    assert_eq!((location.target.as_str(), location.zone.as_str()), ("_acme.example.test", "example.test"));
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
    assert!(answers.contains("ns2.test") && answers.contains("alias of `_acme.example.test`"), "{answers}");
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
    let serves =
        |served: &'static str| ConfiguredZones::or_served(Vec::new(), move |zone| zone.as_str() == served);
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

#[tokio::test]
async fn a_server_that_follows_an_alias_into_a_zone_below_does_not_make_a_cut_of_it() {
    let world = World::with("").await;
    let proofs = ZoneData::new("proofs.example.test", "proofs.example.test NS ns1.test");
    let example = ZoneData::new(
        "example.test",
        "_acme-challenge.example.test CNAME x.proofs.example.test\n\
         proofs.example.test NS ns1.test\nexample.test NS ns1.test",
    );
    for server in &world.servers[1..4] {
        let (zones, soa) = ([example.clone(), proofs.clone()], proofs.soa());
        server.now(move |asked| {
            let mut reply = answer(&zones, asked);
            // RFC 1034 §4.3.2, step 3a: on with the target, in the zone that it is in.
            if matches!(reply.answers.last(), Some(alias) if alias.record_type() == RecordType::CNAME) {
                reply.authorities = vec![soa.clone()];
            }
            Act::Reply(reply)
        });
    }
    let zones = ["example.test", "proofs.example.test"];
    let location = world.locate("_acme-challenge.example.test", &zones).await.unwrap();
    assert_eq!(location.zone.as_str(), "proofs.example.test");
    assert_eq!(location.target.as_str(), "x.proofs.example.test");
}

//! The rig itself: every server answers, delegations are real, changes travel.

use dns01_tests::rig::{Algorithm, Grant, Primary, Rig, Secondary, address, query};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_delegation_leads_from_the_root_over_test_to_a_zone_of_ours() {
    let zone = Rig::get().zone().create();

    let root = query::ask(address::dns(address::ROOT), zone.name(), RecordType::TXT).unwrap();
    assert!(!root.metadata.authoritative && root.answers.is_empty(), "the root refers: {root}");
    assert_eq!(root.authorities[0].name.to_ascii(), "test.");

    let tld = query::ask(address::dns(address::TLD), zone.name(), RecordType::TXT).unwrap();
    assert!(!tld.metadata.authoritative && tld.answers.is_empty(), "test. refers: {tld}");
    assert_eq!(tld.authorities[0].name.to_ascii(), format!("{}.", zone.name()));

    for server in zone.servers_of_ours() {
        assert!(query::serial(server, zone.name()).is_some(), "{server} is authoritative");
    }
}

#[test]
fn the_resolver_walks_to_a_fresh_zone() {
    let zone = Rig::get().zone().record("www A 192.0.2.7").create();
    let answer = query::resolve(address::dns(address::RESOLVER), &zone.host("www"), RecordType::A).unwrap();
    assert!(matches!(&answer.answers[0].data, RData::A(a) if a.to_string() == "192.0.2.7"), "{answer}");
}

#[test]
fn the_resolv_conf_of_the_rig_names_its_resolver() {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(text.trim(), format!("nameserver {}", address::RESOLVER));
}

#[test]
fn a_zone_is_there_within_a_moment() {
    let _first = Rig::get().zone().create();
    let start = Instant::now();
    let _second = Rig::get().zone().create();
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn a_signed_update_reaches_both_secondaries() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let zone = Rig::get().zone().algorithm(algorithm).create();
        let name = zone.challenge();
        let start = Instant::now();
        assert!(nsupdate(&zone, &format!("update add {name}. 60 TXT one\nupdate add {name}. 60 TXT two\n")));
        zone.wait_txt(&name, "one", SOON);
        zone.wait_txt(&name, "two", SOON);
        assert!(start.elapsed() < SOON, "{algorithm:?} took {:?}", start.elapsed());
        zone.add("www A 192.0.2.1");
        assert_eq!(zone.updates(), 1, "one message carried both; the rig's own do not count");
    }
}

#[test]
fn a_key_writes_in_its_own_zone_and_within_its_grant_only() {
    let mine = Rig::get().zone().create();
    let other = Rig::get().zone().create();
    let script = format!("zone {0}\nupdate add _acme-challenge.{0}. 60 TXT x\n", other.name());
    assert!(!nsupdate(&mine, &script), "a foreign zone takes no update");

    let zone = Rig::get().zone().grant(Grant::Names(vec!["_acme-challenge".to_owned()])).create();
    assert!(nsupdate(&zone, &format!("update add {}. 60 TXT x\n", zone.challenge())));
    assert!(!nsupdate(&zone, &format!("update add {}. 60 TXT x\n", zone.host("www"))));
    assert_eq!(zone.all_txt(), [(zone.challenge(), "x".to_owned())]);
}

#[test]
fn one_key_can_write_in_several_zones_and_be_kept_from_a_name() {
    for primary in [Primary::Bind, Primary::Knot, Primary::PowerDns] {
        let parent = Rig::get().zone().primary(primary);
        let parent = parent.grant(Grant::AnyTxtBut(vec!["kept".to_owned()])).create();
        let child = Rig::get().zone().primary(primary).below(&parent).same_key(&parent).create();
        for zone in [&parent, &child] {
            let name = zone.challenge();
            assert!(nsupdate(zone, &format!("update add {name}. 60 TXT x\n")), "{primary:?}");
            assert_eq!(zone.all_txt(), [(name, "x".to_owned())], "{primary:?}");
        }
        if primary == Primary::Bind {
            assert!(!nsupdate(&parent, &format!("update add {}. 60 TXT x\n", parent.host("kept"))));
        }
    }
}

#[test]
fn a_held_secondary_lags_until_it_is_released() {
    for held in Secondary::ALL {
        let zone = Rig::get().zone().hold(held).create();
        let other = Secondary::ALL.into_iter().find(|other| *other != held).unwrap();
        zone.add("_acme-challenge TXT late");
        let seen = |secondary: Secondary| query::txt(secondary.address(), &zone.challenge());
        dns01_tests::rig::wait_until("the value on the other", SOON, || seen(other) == ["late"]);
        assert!(seen(held).is_empty(), "{held:?} has not heard of it");
        zone.release(held);
        dns01_tests::rig::wait_until("the value on the held one", SOON, || seen(held) == ["late"]);
    }
}

#[test]
fn a_sub_zone_is_delegated_from_its_parent() {
    let parent = Rig::get().zone().create();
    let child = Rig::get().zone().below(&parent).record("www TXT inside").create();
    assert!(child.name().ends_with(parent.name()));
    let answer =
        query::resolve(address::dns(address::RESOLVER), &child.host("www"), RecordType::TXT).unwrap();
    assert_eq!(query::text(&answer.answers[0]).as_deref(), Some("inside"));
    let cut = query::transfer(parent.primary(), parent.name()).unwrap();
    let delegated = format!("{}.", child.name());
    assert!(cut.iter().any(|r| r.record_type() == RecordType::NS && r.name.to_ascii() == delegated));
}

#[test]
fn a_made_up_name_server_stands_in_the_delegation_and_at_the_apex() {
    let rig = Rig::get();
    let nobody = rig.network().address(1);
    let zone = rig.zone().server("ns3", [nobody]).create();
    let tld = query::ask(address::dns(address::TLD), zone.name(), RecordType::NS).unwrap();
    let apex = query::ask(Secondary::Nsd.address(), zone.name(), RecordType::NS).unwrap();
    assert_eq!((tld.authorities.len(), apex.answers.len()), (3, 3));
    assert!(query::ask(address::dns(nobody), zone.name(), RecordType::SOA).is_err(), "nobody answers there");
}

#[test]
fn knot_and_powerdns_take_updates_as_primaries() {
    for primary in [Primary::Knot, Primary::PowerDns] {
        let zone = Rig::get().zone().primary(primary).create();
        let name = zone.challenge();
        assert!(nsupdate(&zone, &format!("update add {name}. 60 TXT one\nupdate add {name}. 60 TXT two\n")));
        assert_eq!(zone.txt(&name), ["one", "two"], "{primary:?}");
        zone.add("_acme-challenge TXT theirs");
        assert!(nsupdate(&zone, &format!("update delete {name}. TXT one\n")));
        assert_eq!(zone.txt(&name), ["theirs", "two"], "{primary:?}");
        zone.remove("_acme-challenge TXT");
        assert_eq!(zone.all_txt(), [], "{primary:?}");
        let resolved = query::resolve(address::dns(address::RESOLVER), zone.name(), RecordType::SOA).unwrap();
        assert_eq!(resolved.metadata.response_code, ResponseCode::NoError, "{primary:?} is delegated to");
    }
}

#[test]
fn powerdns_opens_its_http_api_to_its_key_only() {
    let (url, key) = Rig::get().powerdns_api();
    let status = |key: &str| {
        let header = format!("X-API-Key: {key}");
        let arguments = [
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            &header,
            &format!("{url}/servers/localhost"),
        ];
        let output = std::process::Command::new("curl").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!((status(key).as_str(), status("another").as_str()), ("200", "401"));
}

#[test]
fn many_zones_can_be_made_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Rig::get().zone().create());
        }
    });
}

#[test]
fn networks_do_not_overlap() {
    let rig = Rig::get();
    let (one, two) = (rig.network(), rig.network());
    assert_ne!(one.address(1), two.address(1));
    std::net::UdpSocket::bind((one.address(1), 53)).unwrap();
}

#[test]
fn every_pebble_is_as_ordered() {
    let rig = Rig::get();
    if !rig.has_current_pebble("rig_stands: profiles and external accounts") {
        return;
    }
    let month = Duration::from_secs(30 * 86_400);
    let pebble = rig
        .pebble()
        .strict()
        .alternate_roots(1)
        .external_account("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")
        .profile("monthly", month)
        .start();
    let offers = pebble.offers();
    assert_eq!(offers["meta"]["externalAccountRequired"], true);
    assert!(offers["meta"]["profiles"]["monthly"].is_string(), "{offers}");
    assert_eq!(offers["meta"]["caaIdentities"][0], "ca.test");
    assert_ne!(pebble.root(0), pebble.root(1));
    assert!(pebble.intermediate(0).contains("BEGIN CERTIFICATE"));
    assert_eq!(pebble.requests(), [("GET".to_owned(), "/dir".to_owned())]);
}

#[test]
fn the_shared_pebble_is_open_to_everybody() {
    let rig = Rig::get();
    let mut lines = rig.ca_directory().split('/');
    assert_eq!(lines.next(), Some("https:"));
    assert!(rig.log("pebble").contains("ACME directory available"));
}

/// Runs nsupdate over TCP with the zone's own key; whether the server took it.
fn nsupdate(zone: &dns01_tests::rig::Zone, lines: &str) -> bool {
    use std::io::Write as _;
    let directory = Rig::get().directory();
    let key = zone.key().file(directory);
    let mut child = std::process::Command::new("nsupdate")
        .args(["-v", "-t", "5", "-k"])
        .arg(key)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let server = zone.primary();
    let zone_line =
        if lines.starts_with("zone ") { String::new() } else { format!("zone {}\n", zone.name()) };
    let script = format!("server {} {}\n{zone_line}{lines}send\n", server.ip(), server.port());
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

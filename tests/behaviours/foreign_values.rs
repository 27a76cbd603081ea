//! Somebody else's TXT values at the challenge name.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Primary, Rig, Zone, query};
use hickory_proto::rr::RecordType;

const TTL: u32 = 300;

/// The values at the challenge name, and the TTL that they have in common.
fn seen(zone: &Zone) -> (Vec<String>, Option<u32>) {
    let answer = query::ask(zone.primary(), &zone.challenge(), RecordType::TXT).unwrap();
    let ttl = answer.answers.first().map(|record| record.ttl);
    let mut values: Vec<String> = answer.answers.iter().filter_map(query::text).collect();
    values.sort();
    (values, ttl)
}

fn values_of_others_survive(primary: Primary) {
    let rig = Rig::get();
    let zone = rig.zone().primary(primary).create();
    let theirs = ["another client's", "with spaces; and \"quotes\""];
    for value in theirs {
        zone.add(&format!("_acme-challenge {TTL} TXT \"{}\"", value.replace('"', "\\\"")));
    }
    let before = (theirs.map(str::to_owned).to_vec(), Some(TTL));
    assert_eq!(seen(&zone), before);
    let (apex, wildcard) = (zone.name(), zone.host("*"));
    let program = dns01(rig).credentials(&zone);
    let running = program.start(Authority::shared(rig).issue(&[apex, &wildcard]));
    let mut most = 0;
    let outcome = running.watch(|| {
        let (values, ttl) = seen(&zone);
        assert!(theirs.iter().all(|value| values.iter().any(|there| there == value)), "{values:?}");
        assert_eq!(ttl, Some(TTL), "the RRset keeps its TTL with {values:?}");
        most = most.max(values.len());
    });
    let _ = outcome.succeeded();
    assert_eq!(most, 4, "ours stood beside theirs");
    assert_eq!(seen(&zone), before);
    Live::of(&program, apex).verified(&[apex, &wildcard], &rig.ca_root());
}

#[test]
fn values_of_others_survive_with_their_ttl_at_bind() {
    values_of_others_survive(Primary::Bind);
}

#[test]
fn values_of_others_survive_with_their_ttl_at_knot() {
    values_of_others_survive(Primary::Knot);
}

#[test]
fn values_of_others_survive_with_their_ttl_at_powerdns() {
    values_of_others_survive(Primary::PowerDns);
}

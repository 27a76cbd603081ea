//! `issue --pre-authorize`: names are proved ahead of the order (RFC 8555 §7.4.1).

use super::bench::{Bench, pebble};
use dns01_tests::fault_ca::{Endpoint, Proof, Setup};
use dns01_tests::rig::address::{RESOLVER, dns};

fn bench() -> Bench {
    Bench::with(&Setup::before(pebble()).preauthorization(Proof::LookedUp(dns(RESOLVER))))
}

#[test]
fn names_are_proved_before_they_are_ordered() {
    let bench = bench();
    let host = bench.zone.host("www");
    let _ = bench.issue(&["-d", &host, "--pre-authorize"]).succeeded();
    let kinds: Vec<_> = bench.ca.requests().iter().map(|asked| asked.endpoint).collect();
    let first = |wanted| kinds.iter().position(|kind| *kind == wanted).expect("it was asked");
    let last = |wanted| kinds.iter().rposition(|kind| *kind == wanted).expect("it was asked");
    assert_eq!(bench.ca.count(Endpoint::NewAuthz), 2);
    assert!(first(Endpoint::NewAuthz) < first(Endpoint::Challenge));
    assert!(last(Endpoint::Challenge) < first(Endpoint::NewOrder), "{kinds:?}");
    assert_eq!((bench.ca.orders(), bench.ca.certificates(), bench.ca.challenges_answered()), (1, 1, 2));
    assert_eq!(bench.files().len(), 4);
    bench.nothing_left();
}

#[test]
fn wildcards_are_proved_with_the_order() {
    let bench = bench();
    let wildcard = bench.zone.host("*");
    let _ = bench.issue(&["-d", &wildcard, "--pre-authorize"]).succeeded();
    assert_eq!(bench.ca.count(Endpoint::NewAuthz), 1);
    assert_eq!(bench.ca.certificates(), 1);
    bench.nothing_left();
}

#[test]
fn a_ca_without_pre_authorization_is_told_before_anything_is_written() {
    let bench = Bench::new();
    let outcome = bench.issue(&["--pre-authorize"]).failed_with(1);
    let _ = outcome.says("the CA does not offer pre-authorization").says("hint: ");
    assert_eq!((bench.zone.updates(), bench.ca.orders()), (0, 0));
}

//! A record below a host that exists only through a wildcard makes that host vanish
//! (RFC 4592 §2.2.2): it is said, with the way out.

use crate::stand::Stand;
use dns01_tests::rig::{Rig, Secondary, query};
use hickory_proto::rr::RecordType;
use std::time::Duration;

const ADVICE: &str = "a wildcard certificate avoids this";

fn stand() -> Stand {
    Stand::in_zone(Rig::get().zone().record("* A 192.0.2.1").record("real A 192.0.2.2"), [])
}

fn addresses(host: &str) -> usize {
    let answer = query::ask(Secondary::Nsd.address(), host, RecordType::A).unwrap();
    answer.answers.len()
}

#[test]
fn a_host_that_vanishes_is_warned_about_and_it_does_vanish() {
    let stand = stand();
    let (host, name) = (stand.zone.host("host"), stand.zone.host("_acme-challenge.host"));
    let provider = &stand.corridor()[..4];
    let warning = format!("`{host}` exists only through a wildcard record");
    assert_eq!(addresses(&host), 1);
    let _ = stand
        .program
        .run([&["txt", "add", &name, "value"], provider].concat())
        .succeeded()
        .says(&warning)
        .says(ADVICE);
    stand.zone.wait_txt(&name, "value", Duration::from_secs(5));
    assert_eq!(addresses(&host), 0, "the warning is true");
    let _ = stand.program.run([&["txt", "remove", &name, "value"], provider].concat()).succeeded();
}

#[test]
fn issue_and_check_advise_the_wildcard_certificate() {
    let stand = stand();
    let host = stand.zone.host("host");
    let warning = format!("`{host}` exists only through a wildcard record");
    let provider = &stand.corridor()[..4];
    let _ = stand.program.run([&["check", "-d", &host], provider].concat()).succeeded().says(&warning);
    let issued = stand.program.run([&["issue", "-d", &host], stand.corridor().as_slice()].concat());
    let _ = issued.succeeded().says(&warning).says(ADVICE);
}

#[test]
fn hosts_of_their_own_and_the_wildcard_itself_are_not_warned_about() {
    let stand = stand();
    let wildcard = format!("*.{}", stand.zone.name());
    let outcome = stand.issue(&["-d", &stand.zone.host("real"), "-d", &wildcard]).succeeded();
    assert!(!outcome.stderr.contains("exists only through"), "{outcome}");
}

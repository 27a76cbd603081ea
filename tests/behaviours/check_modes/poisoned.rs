//! A resolver that was asked too early remembers that there is nothing.

use super::{program, waits, wildcard};
use dns01_tests::rig::address::{RESOLVER, dns};
use dns01_tests::rig::{Rig, Zone, query};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use std::time::Duration;

/// A zone of whose challenge name the resolver says for `seconds` that it does not exist.
fn poisoned(seconds: u32) -> Zone {
    let zone = Rig::get().zone().negative_ttl(seconds).create();
    let name = format!("{}.", zone.challenge());
    let answer = query::resolve(dns(RESOLVER), &name, RecordType::TXT).unwrap();
    assert_eq!(answer.response_code, ResponseCode::NXDomain);
    zone
}

#[test]
fn a_negative_answer_is_waited_out_for_all_to_see() {
    let zone = poisoned(8);
    let resolver = RESOLVER.to_string();
    let flags =
        ["--propagation-check", "recursive", "--propagation-resolver", &resolver, "--propagation-wait", "0s"];
    let outcome = wildcard(&program(&zone), &zone, &[&flags[..], &["--json"]].concat()).succeeded();
    assert!(outcome.elapsed > Duration::from_secs(5), "{outcome}");
    let waits = waits(&outcome);
    let counted = |left: u32| format!("{resolver}, which says there is no such name for another {left} s");
    for left in [5, 3, 1] {
        assert!(waits.iter().any(|text| text.ends_with(&counted(left))), "{left}: {waits:#?}");
    }
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn a_memory_that_outlasts_the_wait_fails_it_at_once_with_a_table() {
    let zone = poisoned(50);
    let resolver = RESOLVER.to_string();
    let flags = [
        "--propagation-check",
        "recursive",
        "--propagation-resolver",
        &resolver,
        "--propagation-wait",
        "0s",
        "--propagation-timeout",
        "5s",
    ];
    let outcome = wildcard(&program(&zone), &zone, &flags).failed_with(1);
    assert!(outcome.elapsed < Duration::from_secs(5), "{outcome}");
    let outcome = outcome.says("id=propagation").says("a resolver remembers").says("looked at by 1 resolver");
    let _ = outcome.says("  resolver     address").says("no such name for another").says("hint: ");
    assert_eq!(zone.all_txt(), []);
}

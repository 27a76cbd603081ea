//! CAA is decided before anything is ordered or written, as the CA would decide it.

use crate::stand::Stand;
use dns01_tests::fault_names::{Behaviour, Conduct};
use dns01_tests::rig::{Rig, query, wait_until};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use std::time::Duration;

/// A zone with these CAA records at its apex; the rig's CA goes by `ca.test`.
fn zone_with(records: &[&str]) -> Stand {
    let zone = records.iter().fold(Rig::get().zone(), |zone, record| zone.record(&format!("@ CAA {record}")));
    Stand::in_zone(zone, [])
}

/// Nothing is ordered or written, and what is said names the records, the reason and the remedy.
#[track_caller]
fn forbids(stand: &Stand, more: &[&str], said: &[&str]) {
    let outcome = stand.issue(more).failed_with(1).says("id=caa-forbids");
    let _ = said.iter().fold(outcome, |outcome, text| outcome.says(text)).says("hint: ");
    stand.nothing_was_tried();
}

#[track_caller]
fn allows(records: &[&str], more: &[&str]) {
    let _ = zone_with(records).issue(more).succeeded();
}

#[test]
fn another_cas_record_forbids_and_the_hint_says_which_record_to_add() {
    let stand = zone_with(&["0 issue \"other.test\""]);
    let add = format!("add `{}. CAA 0 issue \"ca.test\"`", stand.zone.name());
    forbids(&stand, &[], &[&format!("CAA at `{}`", stand.zone.name()), "0 issue \"other.test\"", &add]);
}

#[test]
fn an_empty_issue_record_forbids_everybody() {
    forbids(&zone_with(&["0 issue \";\""]), &[], &["0 issue \";\""]);
}

#[test]
fn issuewild_forbids_the_wildcard_alone() {
    let records = ["0 issue \"ca.test\"", "0 issuewild \"other.test\""];
    let stand = zone_with(&records);
    let wildcard = format!("*.{}", stand.zone.name());
    forbids(&stand, &["-d", &wildcard], &["0 issuewild \"other.test\""]);
    let _ = stand.issue(&[]).succeeded();
}

#[test]
fn another_account_another_method_and_an_unknown_critical_tag_forbid() {
    let uri = "0 issue \"ca.test; accounturi=https://ca.test/acct/another\"";
    forbids(&zone_with(&[uri]), &[], &["accounturi"]);
    let method = "0 issue \"ca.test; validationmethods=http-01\"";
    forbids(&zone_with(&[method]), &[], &["add `dns-01` to its `validationmethods`"]);
    let unknown = ["128 unheardof \"x\"", "0 issue \"ca.test\""];
    forbids(&zone_with(&unknown), &[], &["128 unheardof \"x\""]);
}

#[test]
fn a_record_at_a_parent_counts_where_the_name_has_none() {
    let stand = zone_with(&["0 issue \"other.test\""]);
    let host = stand.zone.host("a.b.c");
    let outcome = stand.program.run([&["issue", "-d", &host], stand.corridor().as_slice()].concat());
    let _ = outcome.failed_with(1).says(&format!("CAA at `{}`", stand.zone.name()));
    stand.nothing_was_tried();
}

#[test]
fn records_that_name_the_ca_the_account_or_the_method_allow() {
    allows(&["0 issue \"other.test\"", "0 issue \"ca.test\""], &[]);
    allows(&["0 issue \"ca.test; validationmethods=http-01,dns-01\""], &[]);
    allows(&["0 iodef \"mailto:a@example.test\"", "0 unheardof \"x\""], &[]);
}

#[test]
fn the_own_account_allows() {
    let stand = zone_with(&[]);
    let account = [&["account", "register", "--json"], &stand.corridor()[4..]].concat();
    let registered = stand.program.run(account).succeeded();
    let document: serde_json::Value = serde_json::from_str(&registered.stdout).unwrap();
    let url = document["url"].as_str().unwrap();
    stand.zone.add(&format!("@ CAA 0 issue \"ca.test; accounturi={url}\""));
    for server in stand.zone.servers_of_ours() {
        let seen = || query::ask(server, stand.zone.name(), RecordType::CAA).unwrap();
        wait_until("the CAA record", Duration::from_secs(5), || !seen().answers.is_empty());
    }
    let _ = stand.issue(&[]).succeeded();
}

#[test]
fn a_lookup_that_fails_forbids_as_at_the_ca() {
    let broken = Stand::in_zone(
        Rig::get().zone().secondaries(&[]),
        [(Behaviour::of(Conduct::code(ResponseCode::ServFail)), Duration::ZERO)],
    );
    // Only the look-up of the host's CAA comes to the broken servers.
    let alias = format!("www CNAME www.{}.", broken.zone.name());
    let stand = Stand::in_zone(Rig::get().zone().record(&alias), []);
    let host = stand.zone.host("www");
    let outcome = stand.program.run([&["issue", "-d", &host], stand.corridor().as_slice()].concat());
    let said = format!("CAA cannot be looked up at `{host}`: it answers SERVFAIL");
    let _ = outcome.failed_with(1).says("id=caa-lookup").says(&said).says("hint: the CA would meet the same");
    stand.nothing_was_tried();
}

#[test]
fn a_silent_resolver_forbids_within_its_time() {
    let nobody = Rig::get().network().address(1).to_string();
    let stand = zone_with(&[]);
    let outcome = stand.issue(&["--resolver", &nobody]).failed_with(1);
    assert!(outcome.elapsed < Duration::from_secs(15), "it took {:?}", outcome.elapsed);
    let _ = outcome.says("hint: ");
    stand.nothing_was_tried();
}

//! A server that answers without the value blocks, however many others have confirmed.

use crate::stand::Stand;
use dns01_tests::fault_names::{Behaviour, Conduct};

const SOON: [&str; 2] = ["--propagation-timeout", "2s"];

#[track_caller]
fn blocks(conduct: Conduct, answer: &str) {
    let stand = Stand::with([Behaviour::of(conduct), Behaviour::good(), Behaviour::good()]);
    let outcome = stand.issue(&[SOON.as_slice(), &["--quorum", "1"]].concat()).failed_with(1);
    let name = stand.zone.host("ns3");
    let _ = outcome
        .says("not every authoritative name server")
        .says(answer)
        .says(&format!("hint: {name} serves serial"))
        .says("nothing was counted against you");
    stand.nothing_was_risked();
}

#[test]
fn a_server_that_answers_without_the_value_blocks_whatever_the_quorum_is() {
    blocks(Conduct::good().without_text(), "no such name");
}

#[test]
fn a_server_that_lacks_the_value_and_answers_without_authority_blocks_as_well() {
    blocks(Conduct::good().without_text().without_authority(), "no such name");
}

#[test]
fn one_value_of_two_is_not_enough() {
    let stand = Stand::with([]);
    stand.zone.add("_acme-challenge TXT \"somebody-elses\"");
    let name = stand.zone.challenge();
    let wait = |values: &[&str]| {
        let zone = ["--dns", "rfc2136", "--zone", stand.zone.name()];
        stand.program.run([&["txt", "wait", &name], values, &zone, &SOON].concat())
    };
    let _ = wait(&["somebody-elses"]).succeeded();
    let _ = wait(&["somebody-elses", "another"]).failed_with(1).says("1 of 2 values");
}

//! `dns01 check`: everything but the CA.

use crate::stand::Stand;
use dns01_tests::fault_names::Behaviour;
use dns01_tests::program::Outcome;
use dns01_tests::rig::Rig;
use serde_json::{Value, json};
use std::time::Duration;

fn check(stand: &Stand, more: &[&str]) -> Outcome {
    stand.program.run([&["check", "-d", stand.zone.name()], &stand.corridor()[..4], more].concat())
}

/// The steps of the name in a JSON document.
fn steps(outcome: &Outcome) -> Vec<Value> {
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome}"));
    document["checks"][1]["steps"].as_array().unwrap().clone()
}

#[test]
fn a_zone_that_works_has_a_tick_at_every_step_and_nothing_stays() {
    let stand = Stand::with([]);
    let outcome = check(&stand, &[]).succeeded();
    let zone = format!(
        "{} through rfc2136, delegated by test to 2 name servers with 2 addresses",
        stand.zone.name()
    );
    let steps =
        ["✓ credential", "✓ CAA", "✓ zone", "✓ written", "✓ seen          by 2 addresses", "✓ removed"];
    let outcome = steps.into_iter().fold(outcome, Outcome::says);
    let outcome = outcome.says(&zone);
    assert!(!outcome.stdout.contains('✗'), "{outcome}");
    assert_eq!(stand.zone.all_txt(), []);
    assert_eq!(stand.ca.requests().len(), 0, "the CA is not asked");
}

#[test]
fn its_json_has_every_step_with_its_seconds() {
    let stand = Stand::with([]);
    let outcome = check(&stand, &["--json"]).succeeded();
    let steps = steps(&outcome);
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["CAA", "zone", "written", "seen", "removed"]);
    assert!(steps.iter().all(|step| step["good"] == json!(true)), "{outcome}");
    assert!(steps[3]["seconds"].is_f64(), "{outcome}");
}

#[test]
fn a_stale_secondary_is_a_cross_with_the_table_and_the_value_is_removed() {
    let stand = Stand::in_zone(Rig::get().zone(), [(Behaviour::good(), Duration::from_secs(3600))]);
    let soon = ["--propagation-timeout", "1s"];
    let outcome = check(&stand, &soon).failed_with(1);
    let _ = outcome.says("✗ seen").says(&stand.zone.host("ns3")).says("hint: ").says("✓ removed");
    let outcome = check(&stand, &[soon.as_slice(), &["--json"]].concat()).failed_with(1);
    let seen = steps(&outcome).into_iter().find(|step| step["step"] == "seen").unwrap();
    assert_eq!((&seen["good"], &seen["error"]["id"]), (&json!(false), &json!("propagation")));
    assert_eq!(stand.zone.all_txt(), []);
}

#[test]
fn a_forbidding_caa_and_a_refused_key_are_crosses() {
    let stand = Stand::in_zone(Rig::get().zone().record("@ CAA 0 issue \";\""), []);
    let other = Rig::get().zone().create();
    let _ = check(&stand, &["--server", "letsencrypt"]).failed_with(1).says("✗ CAA").says("✓ seen");
    let program = dns01_tests::program::dns01(Rig::get()).credentials(&stand.zone);
    let outcome = program.run(["check", "-d", other.name(), "--dns", "rfc2136"]).failed_with(1);
    let _ = outcome.says("✗ written").says("hint: ");
}

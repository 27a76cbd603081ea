//! `dns01 txt`: single values, through the same writers and the same ledger.

use crate::stand::Stand;
use dns01_tests::fault_names::Behaviour;
use dns01_tests::program::Outcome;
use dns01_tests::rig::Rig;
use serde_json::{Value, json};
use std::time::Duration;

impl Stand {
    /// `txt` with this zone's credential.
    fn txt(&self, arguments: &[&str]) -> Outcome {
        self.program.run([&["txt"], arguments, &self.corridor()[..4]].concat())
    }
}

#[track_caller]
fn document(outcome: Outcome) -> Value {
    let outcome = outcome.succeeded();
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}:\n{outcome}"))
}

#[test]
fn a_value_is_added_waited_for_listed_and_removed() {
    let stand = Stand::in_zone(Rig::get().zone(), [(Behaviour::good(), Duration::from_secs(1))]);
    let (zone, name) = (stand.zone.name(), stand.zone.challenge());
    let added = document(stand.txt(&["add", &name, "one", "--json"]));
    assert_eq!(
        added,
        json!({ "name": name, "value": "one", "zone": zone, "credential": "rfc2136", "credentials": ["rfc2136"] })
    );
    let waited = stand.txt(&["wait", &name, "one"]).succeeded();
    let _ = waited.says(&format!("waiting for {}", stand.server(3))).says("every server that counts has it");
    let waited = document(stand.txt(&["wait", &name, "one", "--json"]));
    assert_eq!((&waited["name"], &waited["warnings"]), (&json!(name), &json!([])));

    let listed = document(stand.program.run(["txt", "list", "--json"]));
    let row = &listed["values"][0];
    assert_eq!(listed["values"].as_array().unwrap().len(), 1);
    assert_eq!((&row["name"], &row["value"], &row["zone"]), (&json!(name), &json!("one"), &json!(zone)));
    assert_eq!(row["held_by"], json!(["`txt add`"]));
    assert!(row["confirmed"].is_string(), "{row}");
    let _ = stand.program.run(["txt", "list"]).succeeded().says(&name).says("`txt add`");

    let refused = stand.program.run(["txt", "remove", &name, "one"]).failed_with(1);
    let _ = refused.says("hint: name it with `--dns rfc2136`");
    let removed = document(stand.txt(&["remove", &name, "one", "--json"]));
    assert_eq!(removed, json!({ "name": name, "value": "one", "removed": true }));
    assert_eq!(stand.zone.all_txt(), []);
    let _ = stand.program.run(["txt", "list"]).succeeded().says("the ledger is empty");
}

#[test]
fn what_was_added_outlives_an_order_and_gc() {
    let stand = Stand::with([]);
    let name = stand.zone.challenge();
    let _ = stand.txt(&["add", &name, "ours"]).succeeded();
    let _ = stand.issue(&[]).succeeded();
    let swept = document(stand.program.run(["txt", "gc", "--json"]));
    assert_eq!(swept, json!({ "removed": 0, "left": [] }));
    assert_eq!(stand.zone.all_txt(), [(name, "ours".to_owned())]);
}

#[test]
fn only_what_the_ledger_knows_is_removed() {
    let stand = Stand::with([]);
    let name = stand.zone.challenge();
    stand.zone.add("_acme-challenge 300 TXT theirs");
    let refused = stand.txt(&["remove", &name, "theirs"]).failed_with(1);
    let _ = refused.says("the ledger has no such value").says("hint: only what dns01 has written");
    assert_eq!(stand.zone.txt(&name), ["theirs"]);
    let _ = stand.txt(&["add", &name, "ours"]).succeeded();
    let _ = stand.txt(&["remove", &name, "ours"]).succeeded();
    assert_eq!(stand.zone.txt(&name), ["theirs"]);
}

#[test]
fn gc_removes_what_a_killed_run_left_through_the_credential_it_remembers() {
    let stand = Stand::in_zone(Rig::get().zone(), [(Behaviour::good(), Duration::from_secs(3600))]);
    let name = stand.zone.challenge();
    let running = stand.program.start(stand.issue_arguments(&[]));
    let written = || !stand.zone.txt(&name).is_empty();
    dns01_tests::rig::wait_until("the value of the order", Duration::from_secs(10), written);
    running.signal(rustix::process::Signal::KILL);
    let _ = running.wait();
    let _ = stand.program.run(["txt", "list"]).succeeded().says("a run that crashed");
    let swept = document(stand.program.run(["txt", "gc", "--json"]));
    assert_eq!(swept["removed"], 1);
    assert_eq!(stand.zone.all_txt(), []);
}

#[test]
fn a_wait_that_fails_shows_the_table_and_in_json_its_fields() {
    let stand = Stand::in_zone(Rig::get().zone(), [(Behaviour::good(), Duration::from_secs(3600))]);
    let name = stand.zone.challenge();
    let _ = stand.txt(&["add", &name, "one"]).succeeded();
    let soon = ["--propagation-timeout", "1s"];
    let failed = stand.txt(&[&["wait", &name, "one"], soon.as_slice()].concat()).failed_with(1);
    let third = stand.zone.host("ns3");
    let _ = failed.says("name server").says(&third).says("hint: ");
    let failed = stand.txt(&[&["wait", &name, "one", "--json"], soon.as_slice()].concat()).failed_with(1);
    let line = failed.stderr.lines().last().unwrap();
    let error: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&error["event"], &error["id"]), (&json!("error"), &json!("propagation")));
    assert!(error["hint"].as_str().unwrap().starts_with(&third), "{error}");
    let details = error["details"].as_array().unwrap();
    assert!(details.iter().any(|row| row.as_str().unwrap().starts_with(&third)), "{error}");
    let _ = stand.txt(&["remove", &name, "one"]).succeeded();
}

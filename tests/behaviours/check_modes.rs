//! Who has to show the values before the CA is told to look: each check mode from start to end.

mod aliases;
mod closed_network;
mod poisoned;
mod resolvers;
mod settle;
mod waiting;
mod zones;

use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone};

/// `issue` for the zone and all names in it, from the shared Pebble.
fn wildcard(program: &Program, zone: &Zone, more: &[&str]) -> Outcome {
    let names = [zone.name().to_owned(), format!("*.{}", zone.name())];
    let fixed = ["issue", "-d", &names[0], "-d", &names[1], "--dns", "rfc2136", "--zone", zone.name()];
    program.run(fixed.iter().chain(more))
}

/// A program that may write to `zone`, with the shared Pebble.
fn program(zone: &Zone) -> Program {
    let rig = Rig::get();
    dns01(rig).credentials(zone).ca(rig, rig.ca_directory())
}

/// The texts of the `waits` events that a run with `--json` printed.
fn waits(outcome: &Outcome) -> Vec<String> {
    let lines =
        outcome.stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let waits = lines.filter(|line| line["event"] == "waits");
    waits.filter_map(|line| line["text"].as_str().map(str::to_owned)).collect()
}

//! The modes in which nobody in the DNS is asked.

use super::{program, waits, wildcard};
use dns01_tests::authority::Authority;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use std::time::Duration;

#[test]
fn a_fixed_wait_is_counted_down_and_enough() {
    let zone = Rig::get().zone().create();
    let outcome = wildcard(&program(&zone), &zone, &["--propagation-wait", "3s", "--json"]).succeeded();
    assert!(outcome.elapsed >= Duration::from_secs(3), "{outcome}");
    let waits = waits(&outcome);
    for left in [3, 2, 1] {
        let wanted = format!("waiting another {left} s, as configured");
        assert!(waits.contains(&wanted), "{wanted}: {waits:#?}");
    }
    let finished = outcome.stderr.lines().find(|line| line.contains("\"waited\"")).unwrap();
    assert!(finished.contains("\"waited\":3") && finished.contains("\"addresses\":0"), "{finished}");
}

#[test]
fn a_service_without_a_status_is_told_before_anything_is_ordered_or_written() {
    let rig = Rig::get();
    let pebble = rig.pebble().start();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let mut command = Authority::own(rig, &pebble).issue(&[zone.name()]);
    command.extend(["--zone", zone.name(), "--propagation-check", "provider"].map(str::to_owned));
    let outcome = program.run(command).failed_with(1).says("id=no-provider-status");
    let _ = outcome.says("`rfc2136` does not tell when").says("hint: give the zone another check");
    assert_eq!(zone.updates(), 0);
    assert!(!pebble.requests().iter().any(|(_, kind)| kind == "/order-plz"), "no order was made");
}

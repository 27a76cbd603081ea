//! After `kill -9` with records out: they are listed, and `txt gc` or any next command that
//! writes removes them.

use crate::one_order::{OneOrder, SOON};
use dns01_tests::fault_ca::{Endpoint, Moment};
use dns01_tests::rig::{Rig, Secondary};
use rustix::process::Signal;

/// A run killed when its record was out and the CA had not been told to look.
fn killed() -> OneOrder {
    let order = OneOrder::of(Rig::get().zone().secondaries(&[Secondary::Nsd]).create());
    let pause = order.ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let running = order.start();
    pause.reached(SOON).unwrap();
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    pause.discard();
    assert_eq!(order.zone.all_txt().len(), 1, "the record is out");
    order
}

#[test]
fn what_a_crash_left_is_listed_and_collected() {
    let order = killed();
    let [(owner, value)] = order.zone.all_txt().try_into().unwrap();
    let listed = order.ledger();
    assert_eq!((&listed[0]["name"], &listed[0]["value"]), (&owner.into(), &value.clone().into()));
    assert_eq!(listed[0]["held_by"][0], "a run that crashed");
    let _ = order.program.run(["txt", "list"]).succeeded().says(&value).says("a run that crashed");
    assert_eq!(order.zone.all_txt().len(), 1, "looking changes nothing");

    let _ = order.program.run(["txt", "gc"]).succeeded().says("1 value removed, 0 left");
    order.nothing_is_left();
    // The order itself is not garbage.
    let _ = order.run().succeeded().says("resumed=true");
    order.one_certificate_is_there();
}

#[test]
fn any_next_command_that_writes_collects_it_too() {
    for command in [
        &["issue"][..],
        &["renew"],
        &["check"],
        &["txt", "add", "kept", "a value that stays", "--dns", "rfc2136"],
    ] {
        let order = killed();
        let [(_, left)] = order.zone.all_txt().try_into().unwrap();
        let host = order.zone.host("kept");
        let arguments: Vec<String> = match command {
            ["issue"] => order.arguments_for(&host, &[]),
            ["check"] => ["check", "-d", &host, "--dns", "rfc2136"].map(str::to_owned).into(),
            other => other
                .iter()
                .map(|word| if *word == "kept" { host.clone() } else { (*word).to_owned() })
                .collect(),
        };
        let outcome = order.program.run(&arguments).succeeded();
        let values: Vec<String> = order.zone.all_txt().into_iter().map(|(_, value)| value).collect();
        assert!(!values.contains(&left), "after {command:?}: {values:?}\n{outcome}");
        let kept = usize::from(command.contains(&"add"));
        assert_eq!((values.len(), order.ledger().len()), (kept, kept), "after {command:?}\n{outcome}");
    }
}

#[test]
fn a_record_of_a_run_that_lives_is_not_collected() {
    let order = OneOrder::of(Rig::get().zone().secondaries(&[Secondary::Nsd]).create());
    let pause = order.ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let running = order.start();
    pause.reached(SOON).unwrap();
    let _ = order.program.run(["txt", "gc"]).succeeded().says("0 values removed, 0 left");
    assert_eq!(order.zone.all_txt().len(), 1);
    pause.release();
    let _ = running.wait().succeeded();
    order.one_certificate_is_there();
}

//! After `kill -9` with records out: they are listed, and `txt gc` or any next command that
//! writes removes them.

use crate::one_order::{OneOrder, SOON};
use dns01_tests::fault_ca::{ConnectProxy, Endpoint, Fault, FaultCa, Moment, Nth, Setup};
use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Rig, Secondary, Zone, address};
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

/// A run with `--dry-run`, killed when its record was out.
fn killed_dry_run() -> (Zone, Program) {
    const STAGING: &str = "acme-staging-v02.api.letsencrypt.org";
    let rig = Rig::get();
    let zone = rig.zone().secondaries(&[Secondary::Nsd]).create();
    let program = dns01(rig).credentials(&zone);
    let ca = FaultCa::start(&Setup::before((address::PEBBLE, 14000).into()).name(STAGING)).unwrap();
    let port = ca.directory().trim_end_matches("/dir").rsplit(':').next().unwrap().parse().unwrap();
    let proxy = ConnectProxy::start_for(&format!("{STAGING}:443"), ([127, 0, 0, 1], port).into()).unwrap();
    // Pebble's directory has another path than that of Let's Encrypt.
    ca.fault(Endpoint::Directory, Nth::First, Fault::Redirect(307, format!("https://127.0.0.1:{port}/dir")));

    let pause = ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let (bundle, proxy) = (ca.root_file().to_str().unwrap(), proxy.url());
    let what = ["issue", "-d", zone.name(), "--dns", "rfc2136", "--dry-run"];
    let at = ["--agree-tos", "--server", "letsencrypt-staging", "--ca-bundle", bundle, "--proxy", &proxy];
    let running = program.start([&what[..], &at].concat());
    pause.reached(SOON).unwrap();
    running.signal(Signal::KILL);
    let _ = running.wait();
    pause.discard();
    assert_eq!(zone.all_txt().len(), 1, "the record is out");
    (zone, program)
}

/// A dry run has a state of its own, but what it writes is as real as any record.
#[test]
fn what_a_killed_dry_run_left_is_listed_and_collected_as_well() {
    for command in [&["txt", "gc"][..], &["renew"]] {
        let (zone, program) = killed_dry_run();
        let _ = program.run(["txt", "list"]).succeeded().says("a run that crashed");
        let _ = program.run(command).succeeded();
        assert_eq!(zone.all_txt(), [], "after {command:?}");
        let _ = program.run(["txt", "list"]).succeeded().says("the ledger is empty");
        assert!(!program.live(zone.name(), "cert.pem").exists());
    }
}

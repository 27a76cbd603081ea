//! A CA that serves only whom it knows already (RFC 8555 §7.3.4).

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Pebble, Rig};

const KID: &str = "customer-7";
const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

fn bound(rig: &Rig) -> Pebble {
    rig.pebble().external_account(KID, KEY).start()
}

#[test]
fn an_account_is_bound_where_the_ca_requires_it() {
    let rig = Rig::get();
    let (pebble, zone) = (bound(rig), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    let file = program.state().join("eab.key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let mut command = Authority::own(rig, &pebble).issue(&[zone.name()]);
    command.extend(["--eab-kid", KID, "--eab-hmac-key-file", file.to_str().unwrap()].map(str::to_owned));
    let outcome = program.run(command).succeeded();
    Live::of(&program, zone.name()).verified(&[zone.name()], &pebble.root(0));
    assert!(!outcome.to_string().contains(KEY), "the MAC key is never shown");
}

#[test]
fn without_a_binding_it_says_what_is_missing_and_writes_nothing() {
    let rig = Rig::get();
    let (pebble, zone) = (bound(rig), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    let outcome = program.run(Authority::own(rig, &pebble).issue(&[zone.name()]));
    let _ = outcome.failed_with(1).says("external-account-required").says("--eab-kid");
    assert_eq!(zone.updates(), 0);
}

#[test]
fn a_wrong_mac_key_is_the_cas_refusal_and_not_shown() {
    let rig = Rig::get();
    let (pebble, zone) = (bound(rig), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    let wrong: String = KEY.chars().rev().collect();
    let file = program.state().join("eab.key");
    std::fs::write(&file, &wrong).unwrap();
    let mut command = Authority::own(rig, &pebble).issue(&[zone.name()]);
    command.extend(["--eab-kid", KID, "--eab-hmac-key-file", file.to_str().unwrap()].map(str::to_owned));
    command.extend(["--log", "trace"].map(str::to_owned));
    let outcome = program.run(command).failed_with(1).says("ca-refused").says("hint:");
    assert!(!outcome.to_string().contains(&wrong));
    assert_eq!(zone.updates(), 0);
}

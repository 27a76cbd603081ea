//! Profiles: kinds of certificates that one CA offers.

use dns01_tests::authority::Authority;
use dns01_tests::fault_ca::{Endpoint, FaultCa, Setup};
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Pebble, Rig};
use std::time::Duration;

const DAY: u64 = 86_400;

fn offering(rig: &Rig) -> Pebble {
    let days = |days| Duration::from_secs(days * DAY);
    rig.pebble().profile("short", days(6)).profile("usual", days(45)).profile("long", days(200)).start()
}

#[test]
fn each_profile_gives_its_own_kind_of_certificate() {
    let rig = Rig::get();
    if !rig.has_current_pebble("profiles") {
        return;
    }
    let (pebble, zone) = (offering(rig), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    for (profile, days) in [("short", 6), ("usual", 45), ("long", 200)] {
        let name = zone.host(profile);
        let profile = ["--profile", profile].map(str::to_owned).to_vec();
        let _ = program.run([Authority::own(rig, &pebble).issue(&[&name]), profile].concat()).succeeded();
        let live = Live::of(&program, &name);
        live.verified(&[&name], &pebble.root(0));
        assert!(live.is_valid_in((days - 1) * DAY) && !live.is_valid_in((days + 1) * DAY), "{days} days");
    }
}

#[test]
fn the_profile_of_a_table_is_kept_when_what_flags_asked_for_is_renewed() {
    let rig = Rig::get();
    if !rig.has_current_pebble("profiles") {
        return;
    }
    let (pebble, zone) = (offering(rig), rig.zone().create());
    let ca = FaultCa::start(&Setup::before(pebble.address())).unwrap();
    let program = dns01(rig).credentials(&zone);
    let file = program.state().join("dns01.toml");
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\nagree_tos = true\nprofile = \"short\"\n",
        ca.directory(),
        ca.root_file().display()
    );
    std::fs::write(&file, text).unwrap();
    let issue = ["issue", "-d", zone.name(), "--dns", "rfc2136", "--server", "lab"];
    for line in [&issue[..], &["renew", zone.name(), "--force"]] {
        let _ = program.run([line, &["--config", file.to_str().unwrap()]].concat()).succeeded();
    }
    let orders = ca.requests().into_iter().filter(|asked| asked.endpoint == Endpoint::NewOrder);
    let profiles: Vec<_> = orders.map(|order| order.jws.unwrap().payload["profile"].clone()).collect();
    assert_eq!(profiles, ["short", "short"]);
}

#[test]
fn a_profile_that_the_ca_does_not_have_is_named_with_those_it_has() {
    let rig = Rig::get();
    if !rig.has_current_pebble("profiles that the CA does not have") {
        return;
    }
    let (pebble, zone) = (offering(rig), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    let mut command = Authority::own(rig, &pebble).issue(&[zone.name()]);
    command.extend(["--profile", "shrot"].map(str::to_owned));
    let outcome = program.run(command).failed_with(1).says("no-such-profile").says("`shrot`");
    let _ = outcome.says("`long`, `short`, `usual`");
    assert_eq!(zone.updates(), 0);
}

//! Authorizations that the CA gives again to a new order, or does not.

use super::count;
use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Pebble, Rig, Zone};

/// The names of the certificate.
const NAMES: usize = 16;

/// Obtains a certificate for all the names twice; returns the challenges answered each time.
fn twice(rig: &Rig, pebble: &Pebble, zone: &Zone) -> [usize; 2] {
    let program = dns01(rig).credentials(zone);
    let hosts = (2..NAMES).map(|number| zone.host(&format!("host{number}")));
    let names: Vec<String> = [zone.name().to_owned(), zone.host("*")].into_iter().chain(hosts).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let command = Authority::own(rig, pebble).issue(&names);
    let _ = program.run(&command).succeeded();
    let (first, live) = (count(pebble, "/chalZ/"), Live::of(&program, zone.name()));
    let serial = live.serial();
    let _ = program.run([command, vec!["--force".to_owned()]].concat()).succeeded();
    live.verified(&names, &pebble.root(0));
    assert_ne!(live.serial(), serial, "it is a new certificate");
    assert_eq!(zone.all_txt(), []);
    [first, count(pebble, "/chalZ/") - first]
}

#[test]
fn what_the_ca_reuses_is_not_proved_again() {
    let rig = Rig::get();
    let (pebble, zone) = (rig.pebble().reuse_authorizations(100).start(), rig.zone().create());
    assert_eq!(twice(rig, &pebble, &zone), [NAMES, 0]);
    assert_eq!(zone.updates(), 2, "the second order wrote nothing");
}

#[test]
fn what_the_ca_does_not_reuse_is_proved_again() {
    let rig = Rig::get();
    let (pebble, zone) = (rig.pebble().reuse_authorizations(0).start(), rig.zone().create());
    let [first, second] = twice(rig, &pebble, &zone);
    assert_eq!(first, NAMES);
    // Pebble's dice has a hundred sides, and 0 is "at most 0": it reuses one in a hundred.
    assert!(second + 3 >= NAMES, "{second} of {NAMES} proved again");
    assert_eq!(zone.updates(), 4);
}

#[test]
fn an_order_may_have_some_names_proved_and_others_not() {
    let rig = Rig::get();
    let (pebble, zone) = (rig.pebble().reuse_authorizations(50).start(), rig.zone().create());
    let [first, second] = twice(rig, &pebble, &zone);
    assert_eq!(first, NAMES);
    // That a fair coin falls on one side sixteen times is no reason to worry.
    assert!((1..NAMES).contains(&second), "{second} of {NAMES} proved again");
}

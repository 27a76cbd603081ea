//! A CA that rejects half of the nonces, and one that takes the protocol at its word.

use super::count;
use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn a_ca_that_rejects_half_of_the_nonces_still_issues() {
    let rig = Rig::get();
    let pebble = rig.pebble().reject_nonces(50).start();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let names: Vec<String> = (0..12).map(|number| zone.host(&format!("host{number}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _ = program.run(Authority::own(rig, &pebble).issue(&names)).succeeded();
    Live::of(&program, names[0]).verified(&names, &pebble.root(0));
    assert!(count(&pebble, "/chalZ/") > names.len(), "some were rejected and sent again");
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn a_strict_ca_finds_nothing_to_complain_about() {
    let rig = Rig::get();
    let pebble = rig.pebble().strict().start();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let names = [zone.name(), &zone.host("*")];
    let _ = program.run(Authority::own(rig, &pebble).issue(&names)).succeeded();
    Live::of(&program, zone.name()).verified(&names, &pebble.root(0));
}

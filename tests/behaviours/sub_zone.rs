//! A name in a zone that is delegated below the configured one.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn a_name_in_a_sub_zone_is_proved_in_the_sub_zone() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let sub = rig.zone().below(&zone).create();
    let name = sub.host("host");
    let program = dns01(rig);
    let command = Authority::shared(rig).issue_all(&program, &[&zone, &sub], &[("host", &[&name])]);
    let _ = program.run(command).succeeded();
    Live::of(&program, "host").verified(&[&name], &rig.ca_root());
    assert_eq!((zone.updates(), sub.updates()), (0, 2));
    assert_eq!(sub.all_txt(), []);
}

#[test]
fn a_credential_without_zones_finds_the_sub_zone_by_itself() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let sub = rig.zone().below(&zone).same_key(&zone).create();
    let program = dns01(rig).credentials(&zone);
    let _ = program.run(Authority::shared(rig).issue(&[sub.name(), &zone.host("www")])).succeeded();
    Live::of(&program, sub.name()).verified(&[sub.name(), &zone.host("www")], &rig.ca_root());
    assert_eq!((zone.updates(), sub.updates()), (2, 2));
}

#[test]
fn a_sub_zone_that_is_not_configured_is_named_before_anything_is_written() {
    let rig = Rig::get();
    let pebble = rig.pebble().start();
    let zone = rig.zone().create();
    let sub = rig.zone().below(&zone).create();
    let program = dns01(rig);
    let ca = Authority::own(rig, &pebble);
    let command = ca.issue_all(&program, &[&zone], &[("host", &[&sub.host("host")])]);
    let outcome = program.run(command).failed_with(1).says("deeper-zone-cut").says("hint:");
    let _ = outcome.says(&format!("`{}`", sub.name()));
    assert_eq!((zone.updates(), sub.updates()), (0, 0));
    assert!(!pebble.requests().iter().any(|(_, kind)| kind == "/order-plz"), "no order was made");
}

#[test]
fn a_misspelt_domain_is_not_taken_for_a_name_of_the_top_level_domain() {
    let rig = Rig::get();
    let pebble = rig.pebble().start();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let command = Authority::own(rig, &pebble).issue(&["www.exmaple.test"]);
    let outcome = program.run(command).failed_with(1).says("`exmaple.test` is not delegated");
    let _ = outcome
        .says("the servers of `test` know of no such zone")
        .says("hint: is `exmaple.test` spelt right");
    assert!(!pebble.requests().iter().any(|(_, kind)| kind == "/order-plz"), "no order was made");
}

//! A name and its wildcard: one certificate, proved by two values at one name.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn a_wildcard_and_its_apex_share_one_certificate_and_two_values_at_one_name() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let (apex, wildcard) = (zone.name(), zone.host("*"));
    let program = dns01(rig).credentials(&zone);
    let running = program.start(Authority::shared(rig).issue(&[apex, &wildcard]));
    let mut most = 0;
    let _ = running.watch(|| most = most.max(zone.txt(&zone.challenge()).len())).succeeded();
    assert_eq!(most, 2, "both values stood there at the same time");
    assert_eq!(zone.updates(), 2, "one message wrote both, one removed both");
    assert_eq!(zone.all_txt(), []);
    Live::of(&program, apex).verified(&[apex, &wildcard], &rig.ca_root());
}

#[test]
fn asked_again_it_says_that_nothing_is_due_and_asks_nobody() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let pebble = rig.pebble().start();
    let command = Authority::own(rig, &pebble).issue(&[zone.name()]);
    let _ = program.run(&command).succeeded();
    let live = Live::of(&program, zone.name());
    let (requests, serial) = (pebble.requests().len(), live.serial());
    let _ = program.run(&command).succeeded().says("not due");
    assert_eq!(pebble.requests().len(), requests, "the CA was left alone");
    assert_eq!((live.serial(), zone.updates()), (serial, 2));
}

//! Two processes of one machine, asked for the same names at the same time.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn two_processes_asked_for_the_same_names_make_one_order_and_both_succeed() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let pebble = rig.pebble().start();
    let program = dns01(rig).credentials(&zone);
    let (apex, wildcard) = (zone.name(), zone.host("*"));
    let command = Authority::own(rig, &pebble).issue(&[apex, &wildcard]);
    let both = [program.start(&command), program.start(&command)];
    let outcomes = both.map(|running| running.wait().succeeded());
    let waited = outcomes.iter().filter(|outcome| outcome.stderr.contains("another process is obtaining"));
    assert_eq!(waited.count(), 1, "one waited for the other: {outcomes:?}");
    let count = |kind: &str| pebble.requests().iter().filter(|(_, asked)| asked == kind).count();
    assert_eq!((count("/order-plz"), count("/finalize-order/")), (1, 1));
    Live::of(&program, apex).verified(&[apex, &wildcard], &pebble.root(0));
    assert_eq!((zone.updates(), zone.all_txt()), (2, vec![]));
}

#[test]
fn two_processes_in_one_zone_leave_each_others_values_alone() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let (apex, wildcard) = (zone.name(), zone.host("*"));
    let ca = Authority::shared(rig);
    // Both prove the same challenge name, with different values.
    let both = [
        program.start(ca.issue(&[apex])),
        program.start([ca.issue(&[&wildcard]), ["--cert-name", "wild"].map(str::to_owned).to_vec()].concat()),
    ];
    for running in both {
        let _ = running.wait().succeeded();
    }
    Live::of(&program, apex).verified(&[apex], &rig.ca_root());
    Live::of(&program, "wild").verified(&[&wildcard], &rig.ca_root());
    assert_eq!(zone.all_txt(), []);
}

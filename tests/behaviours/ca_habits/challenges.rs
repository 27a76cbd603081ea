//! Offers that no client can know, before the one that can be used.

use dns01_tests::authority::Authority;
use dns01_tests::fault_ca::{Endpoint, Fault, FaultCa, Nth, Setup};
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn offers_of_unknown_types_and_without_a_token_are_ignored() {
    let rig = Rig::get();
    let (pebble, zone) = (rig.pebble().start(), rig.zone().create());
    let ca = FaultCa::start(&Setup::before(pebble.address())).unwrap();
    ca.fault(Endpoint::Authz, Nth::Every, Fault::UnknownChallengesFirst);
    let program = dns01(rig).credentials(&zone);
    let names = [zone.name(), &zone.host("*")];
    let _ = program.run(Authority::faulty(&ca).issue(&names)).succeeded();
    Live::of(&program, zone.name()).verified(&names, &pebble.root(0));
    assert_eq!((ca.orders(), ca.challenges_answered()), (1, 2));
    assert!(ca.requests().iter().any(|request| request.fault == Some(Fault::UnknownChallengesFirst)));
}

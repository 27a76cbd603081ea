//! A CA that offers several chains for one certificate.

use dns01_tests::authority::Authority;
use dns01_tests::live::{Live, subject};
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn the_preferred_chain_is_taken() {
    let rig = Rig::get();
    let (pebble, zone) = (rig.pebble().alternate_roots(2).start(), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    for number in 0..3 {
        let root = pebble.root(number);
        let name = zone.host(&format!("root{number}"));
        let preference = ["--preferred-chain".to_owned(), subject(&root)];
        let command = [Authority::own(rig, &pebble).issue(&[&name]), preference.to_vec()].concat();
        let _ = program.run(command).succeeded();
        Live::of(&program, &name).verified(&[&name], &root);
    }
}

#[test]
fn without_the_preferred_chain_the_default_is_taken_and_said() {
    let rig = Rig::get();
    let (pebble, zone) = (rig.pebble().alternate_roots(1).start(), rig.zone().create());
    let program = dns01(rig).credentials(&zone);
    let preference = ["--preferred-chain", "No Such Root"].map(str::to_owned).to_vec();
    let command = [Authority::own(rig, &pebble).issue(&[zone.name()]), preference].concat();
    let _ = program.run(command).succeeded().says("No Such Root");
    Live::of(&program, zone.name()).verified(&[zone.name()], &pebble.root(0));
}

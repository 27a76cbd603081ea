//! One order over many zones, each with a credential of its own.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Rig, Zone};

#[test]
fn twenty_five_names_over_five_zones_and_five_keys_make_one_order() {
    let rig = Rig::get();
    let pebble = rig.pebble().start();
    let zones: Vec<Zone> = (0..5).map(|_| rig.zone().create()).collect();
    let of_zone = |zone: &Zone| {
        let hosts = ["*", "www", "deep.down.in", "*.lab"].map(|label| zone.host(label));
        [vec![zone.name().to_owned()], hosts.to_vec()].concat()
    };
    let names: Vec<String> = zones.iter().flat_map(of_zone).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let program = dns01(rig);
    let keys: Vec<&Zone> = zones.iter().collect();
    let command = Authority::own(rig, &pebble).issue_all(&program, &keys, &[("many", &names)]);
    let _ = program.run(command).succeeded();
    assert_eq!(names.len(), 25);
    Live::of(&program, "many").verified(&names, &pebble.root(0));
    let orders = pebble.requests().iter().filter(|(_, kind)| kind == "/order-plz").count();
    assert_eq!(orders, 1);
    for zone in &zones {
        assert_eq!((zone.updates(), zone.all_txt()), (2, vec![]), "{}", zone.name());
    }
}

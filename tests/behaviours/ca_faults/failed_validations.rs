//! A CA that does not see the records: each order ends soon, and with the CA's reason.

use dns01_tests::fault_ca::{FaultCa, Setup};
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use dns01_tests::rig::address::{ROOT, dns};
use std::fmt::Write as _;
use std::time::Duration;

#[test]
fn a_hundred_failed_validations_end_soon_each_with_its_reason() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    // The root servers know nothing of the zone, so neither does this CA.
    let pebble = rig.pebble().resolver(dns(ROOT)).start();
    // The fault CA plays no fault here; it keeps Pebble from locking up under so many at once.
    let ca = FaultCa::start(&Setup::before(pebble.address())).unwrap();
    let program = dns01(rig);
    let mut file = zone.table("lab", &[&zone]);
    let (directory, bundle) = (ca.directory(), ca.root_file());
    let _ = write!(file, "[ca.blind]\ndirectory = {directory:?}\nca_bundle = {bundle:?}\nagree_tos = true\n");
    for number in 0..100 {
        let _ =
            write!(file, "[[certificate]]\ndomains = [\"h{number}.{}\"]\nca = [\"blind\"]\n", zone.name());
    }
    let path = program.state().join("dns01.toml");
    std::fs::write(&path, file).unwrap();
    let outcome = program.run(["issue", "--all", "--config", path.to_str().unwrap()]);
    let outcome = outcome.failed_with(1).says("0 issued · 0 not due · 0 waiting · 100 failed");
    assert_eq!(outcome.stderr.matches("id=validation-failed").count(), 100);
    assert!(outcome.elapsed < Duration::from_secs(30), "{:?}", outcome.elapsed);
    assert_eq!(zone.all_txt(), []);
}

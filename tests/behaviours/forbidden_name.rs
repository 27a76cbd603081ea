//! One name of a batch that the key may not write.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Grant, Rig};

#[test]
fn a_name_that_the_key_may_not_write_fails_alone() {
    let rig = Rig::get();
    let grant = Grant::AnyTxtBut(vec!["_acme-challenge.kept".to_owned()]);
    let zone = rig.zone().grant(grant).create();
    let pebble = rig.pebble().start();
    let program = dns01(rig);
    let names = ["one", "two", "three", "kept"].map(|label| zone.host(label));
    let domains = names.each_ref().map(|name| [name.as_str()]);
    let labels = ["one", "two", "three", "kept"];
    let certificates: Vec<(&str, &[&str])> =
        labels.into_iter().zip(&domains).map(|(label, domains)| (label, domains.as_slice())).collect();
    let command = Authority::own(rig, &pebble).issue_all(&program, &[&zone], &certificates);

    let outcome = program.run(command).failed_with(1).says("3 issued");
    let _ = outcome.says(&format!("`_acme-challenge.{}`", zone.host("kept"))).says("hint:");
    for (label, domains) in &certificates[..3] {
        Live::of(&program, label).verified(domains, &pebble.root(0));
    }
    assert!(!program.live("kept", "cert.pem").exists());
    assert_eq!(zone.all_txt(), []);
    let answered = pebble.requests().iter().filter(|(_, kind)| kind == "/chalZ/").count();
    assert_eq!(answered, 3, "the CA was not told to look where nothing stands");
}

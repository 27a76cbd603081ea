//! Challenge names that are aliases: CNAME, DNAME, and those that a wildcard makes up.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Pebble, Rig};

fn has_no_order(pebble: &Pebble) -> bool {
    !pebble.requests().iter().any(|(_, kind)| kind == "/order-plz")
}

#[test]
fn a_cname_and_a_dname_lead_into_another_zone_with_another_key() {
    let rig = Rig::get();
    let other = rig.zone().create();
    let zone = rig
        .zone()
        .record(&format!("_acme-challenge.shop CNAME shop.proofs.{}.", other.name()))
        .record(&format!("legacy DNAME moved.{}.", other.name()))
        .create();
    let names = [zone.host("shop"), zone.host("*.shop"), zone.host("host.legacy"), zone.host("www")];
    let names = names.each_ref().map(String::as_str);
    let program = dns01(rig);
    let command = Authority::shared(rig).issue_all(&program, &[&zone, &other], &[("host", &names)]);
    let mut seen = Vec::new();
    let outcome = program.start(command).watch(|| {
        let now = other.all_txt();
        if now.len() > seen.len() {
            seen = now;
        }
    });
    let _ = outcome.succeeded();
    Live::of(&program, "host").verified(&names, &rig.ca_root());
    let owners: Vec<String> = seen.into_iter().map(|(owner, _)| owner).collect();
    let shop = other.host("shop.proofs");
    assert_eq!(owners, [other.host("_acme-challenge.host.moved"), shop.clone(), shop]);
    assert_eq!((zone.updates(), other.updates()), (2, 2), "`www` is proved in its own zone");
    assert_eq!((zone.all_txt(), other.all_txt()), (vec![], vec![]));
}

#[test]
fn an_alias_into_a_zone_that_is_not_ours_is_refused_before_anything_is_written() {
    let rig = Rig::get();
    let pebble = rig.pebble().start();
    let theirs = rig.zone().create();
    let target = theirs.host("elsewhere");
    let zone = rig.zone().record(&format!("_acme-challenge.shop CNAME {target}.")).create();
    let program = dns01(rig);
    let (shop, www) = (zone.host("shop"), zone.host("www"));
    let command = Authority::own(rig, &pebble).issue_all(&program, &[&zone], &[("host", &[&www, &shop])]);
    let outcome = program.run(command).failed_with(1).says("alias-not-configured").says("hint:");
    let _ = outcome.says(&format!("`{target}`"));
    assert_eq!((zone.updates(), theirs.updates()), (0, 0));
    assert!(has_no_order(&pebble));
}

#[test]
fn an_alias_into_nowhere_is_refused_naming_its_target() {
    let rig = Rig::get();
    let pebble = rig.pebble().start();
    let zone = rig.zone().record("_acme-challenge.shop CNAME gone.nowhere.test.").create();
    let program = dns01(rig);
    let shop = zone.host("shop");
    let command = Authority::own(rig, &pebble).issue_all(&program, &[&zone], &[("host", &[&shop])]);
    let _ = program.run(command).failed_with(1).says("alias-not-configured").says("`gone.nowhere.test`");
    assert_eq!(zone.updates(), 0);
    assert!(has_no_order(&pebble));
}

#[test]
fn an_alias_that_a_wildcard_makes_up_is_not_followed() {
    let rig = Rig::get();
    let theirs = rig.zone().record("landing A 192.0.2.1").create();
    let zone = rig.zone().record(&format!("* CNAME landing.{}.", theirs.name())).create();
    let program = dns01(rig);
    let name = zone.host("www");
    let command = Authority::shared(rig).issue_all(&program, &[&zone], &[("host", &[&name])]);
    let outcome = program.run(command).succeeded().says("comes from a wildcard record and is not followed");
    // `www` itself is there by the wildcard only, and is gone while the record stands below it.
    let _ = outcome.says(&format!("`{name}` exists only through a wildcard record"));
    Live::of(&program, "host").verified(&[&name], &rig.ca_root());
    assert_eq!((zone.updates(), theirs.updates()), (2, 0));
    assert_eq!(zone.all_txt(), []);
}

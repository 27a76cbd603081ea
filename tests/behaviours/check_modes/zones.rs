//! Two zones in one certificate, each with a mode of its own.

use dns01_tests::authority::Authority;
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use dns01_tests::rig::address::RESOLVER;

#[test]
fn each_zone_of_a_certificate_is_watched_in_its_own_mode() {
    let rig = Rig::get();
    let [by_servers, by_resolver, by_time] = [(); 3].map(|()| rig.zone().create());
    let bundle = rig.ca_bundle();
    let modes = [
        "propagation = { settle = \"1s\" }".to_owned(),
        format!(
            "propagation = {{ check = \"recursive\", wait = \"1s\", resolvers = [\"{RESOLVER}\", \
             {{ url = \"https://{RESOLVER}/dns-query\", ca_bundle = {bundle:?} }}] }}"
        ),
        "propagation = { wait = \"2s\" }".to_owned(),
    ];
    let zones = [&by_servers, &by_resolver, &by_time];
    let tables = zones.iter().zip(modes).zip(1..);
    let tables: String = tables
        .map(|((zone, mode), number)| format!("{}{mode}\n", zone.table(&format!("key{number}"), &[zone])))
        .collect();
    let names: Vec<String> = zones.iter().map(|zone| format!("*.{}", zone.name())).collect();
    let program = dns01(rig);
    let path = program.state().join("dns01.toml");
    let certificate = format!("[[certificate]]\nname = \"three\"\nca = \"rig\"\ndomains = {names:?}\n");
    std::fs::write(&path, Authority::shared(rig).table("rig") + &tables + &certificate).unwrap();
    let outcome = program.run(["issue", "--all", "--config", path.to_str().unwrap()]).succeeded();
    let _ = outcome.says("confirmed=2 addresses=2 resolvers=2 waited=2");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Live::of(&program, "three").verified(&names, &rig.ca_root());
    assert!(zones.iter().all(|zone| zone.all_txt().is_empty()));
}

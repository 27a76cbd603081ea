//! A network where only an HTTPS proxy gets out: Tinyproxy, at the one address that can be
//! reached. The CA, the DNS provider's API and the resolver are all behind it.

use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::address::{PEBBLE, RESOLVER};
use dns01_tests::rig::{ClosedNetwork, Primary, Rig, Zone};

fn inside(network: &ClosedNetwork) -> Program {
    let rig = Rig::get();
    let (api, key) = rig.powerdns_api();
    dns01(rig)
        .ca(rig, rig.ca_directory())
        .env("PDNS_API_URL", api)
        .env("PDNS_API_KEY", key)
        .env("https_proxy", network.proxy())
        .env("http_proxy", network.proxy())
        .through(network.entrance())
}

fn issue(program: &Program, zone: &Zone, more: &[&str]) -> Outcome {
    let wildcard = format!("*.{}", zone.name());
    let fixed = ["issue", "-d", zone.name(), "-d", &wildcard, "--dns", "powerdns", "--zone", zone.name()];
    program.run(fixed.iter().chain(more))
}

#[test]
fn a_wildcard_is_issued_through_the_proxy_alone_and_seen_by_a_resolver_over_https() {
    let rig = Rig::get();
    let network = rig.closed_network();
    let zone = rig.zone().primary(Primary::PowerDns).create();
    let program = inside(&network);
    let (bundle, resolver) = (rig.ca_bundle(), format!("https://{RESOLVER}/dns-query"));
    let flags = ["--propagation-check", "recursive", "--propagation-resolver", &resolver];
    let more = ["--propagation-wait", "1s", "--resolver-ca-bundle", bundle.to_str().unwrap()];
    let outcome = issue(&program, &zone, &[flags, more].concat()).succeeded().says("resolvers=1");
    assert!(!outcome.stderr.contains("warning"), "{outcome}");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    assert_eq!(zone.all_txt(), []);
    let log = network.proxy_log();
    for target in [format!("CONNECT {RESOLVER}:443"), format!("CONNECT {PEBBLE}:14000")] {
        assert!(log.contains(&target), "{target} is not in:\n{log}");
    }
}

#[test]
fn by_default_the_error_names_the_settings_that_would_work_and_the_fixed_wait_does() {
    let rig = Rig::get();
    let network = rig.closed_network();
    let zone = rig.zone().primary(Primary::PowerDns).create();
    let program = inside(&network);
    let outcome = issue(&program, &zone, &[]).failed_with(1);
    let outcome = outcome.says("propagation = { check = \"recursive\", resolvers = [\"https://");
    let _ = outcome.says("propagation = { check = \"provider\" }").says("propagation = { wait = \"60s\" }");
    assert_eq!(zone.all_txt(), []);
    // No resolver can be reached: CAA is left to the CA, with a word about it.
    let outcome = issue(&program, &zone, &["--propagation-wait", "2s"]).succeeded();
    let _ = outcome.says("could not be looked up from here, and is left to the CA").says("waited=2");
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn where_name_servers_are_named_the_table_shows_them_and_the_hint_the_other_modes() {
    let rig = Rig::get();
    let network = rig.closed_network();
    let zone = rig.zone().primary(Primary::PowerDns).create();
    let (bundle, resolver) = (rig.ca_bundle(), format!("https://{RESOLVER}/dns-query"));
    let server = zone.primary().ip().to_string();
    let finding = ["--resolver", &resolver, "--resolver-ca-bundle", bundle.to_str().unwrap()];
    let outcome = issue(&inside(&network), &zone, &[&finding[..], &["--name-server", &server]].concat());
    let outcome = outcome.failed_with(1).says("port 53 looks blocked from here");
    let _ = outcome.says(&server).says("propagation = { check = \"recursive\"");
}

//! Wildcards from Pebble for zones whose records are written through APIs that are played here.

use dns01_tests::fake_dns_api::digitalocean::DigitalOcean;
use dns01_tests::fake_dns_api::gandi::Gandi;
use dns01_tests::fake_dns_api::hetzner::{Access, Hetzner};
use dns01_tests::fake_dns_api::{FakeDnsApi, Service};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use hickory_proto::rr::RecordType;

/// Issues a wildcard and its apex through `api`, the environment giving the credential. Somebody
/// else's value at the name survives, and `secret` is never shown. Returns the zone's name.
#[track_caller]
fn a_wildcard_through<S: Service>(
    provider: &str,
    api: &FakeDnsApi<S>,
    environment: &[(&str, String)],
    secret: &str,
) -> String {
    let rig = Rig::get();
    let address = rig.network().address(53);
    let zone = rig.zone().secondaries(&[]).server("ns", [address]).create();
    let names = FaultServer::start((address, 53).into(), Behaviour::good()).unwrap();
    names.zone(zone.name());
    names.add(zone.name(), RecordType::NS, &format!("{}.", zone.host("ns")));
    names.add(&zone.host("ns"), RecordType::A, &address.to_string());
    let id = api.zone(zone.name());
    api.add(&id, &zone.challenge(), "TXT", 300, "somebody else's");
    api.serve(names);

    let mut program = dns01(rig).ca(rig, rig.ca_directory());
    for (name, value) in environment {
        program = program.env(name, value);
    }
    let wildcard = format!("*.{}", zone.name());
    let arguments = ["issue", "-d", zone.name(), "-d", &wildcard, "--dns", provider, "--json"];
    let outcome = program.run(arguments).succeeded();
    assert_eq!(outcome.document()["certificates"][0]["outcome"], "issued", "{outcome}");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    assert!(!format!("{outcome}").contains(secret), "the secret is shown");
    assert_eq!(api.txt(&id, &zone.challenge()), (300, vec!["somebody else's".to_owned()]));
    zone.name().to_owned()
}

#[test]
fn a_wildcard_is_issued_with_a_digitalocean_token_alone() {
    let api = FakeDnsApi::start(DigitalOcean::new()).unwrap();
    let token = api.service().token(&DigitalOcean::SMALLEST);
    let environment = [("DO_AUTH_TOKEN", token.clone()), ("DO_API_URL", api.url())];
    let zone = a_wildcard_through("digitalocean", &api, &environment, &token);
    assert_eq!(api.count(&format!("POST /domains/{zone}/records")), 2, "{:?}", api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_gandi_token_alone() {
    let api = FakeDnsApi::start(Gandi::new()).unwrap();
    let token = api.service().token(&Gandi::SMALLEST, &[]);
    let environment = [("GANDIV5_PERSONAL_ACCESS_TOKEN", token.clone()), ("GANDI_URL", api.url())];
    a_wildcard_through("gandi", &api, &environment, &token);
    assert_eq!(api.count("GET /v5/livedns/domains"), 0, "{:?}", api.requests());
    let changes = api.requests().iter().filter(|line| !line.starts_with("GET")).count();
    assert_eq!(changes, 2, "both values at once, each way: {:?}", api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_hetzner_token_alone() {
    let api = FakeDnsApi::start(Hetzner::new()).unwrap();
    let token = api.service().token(Access::Write);
    let environment = [("HETZNER_API_TOKEN", token.clone()), ("HCLOUD_ENDPOINT", api.url())];
    a_wildcard_through("hetzner", &api, &environment, &token);
    assert_eq!(api.count("GET /zones"), 0, "{:?}", api.requests());
    let changes = api.requests().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(changes, 2, "both values at once, each way: {:?}", api.requests());
}

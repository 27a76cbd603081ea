//! Wildcards from Pebble, for zones whose records are written through a provider's API.

use dns01_tests::fake_dns_api::{FakeDnsApi, HeldRecord, Service, azure, google, ovh};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use hickory_proto::rr::RecordType;

/// Issues `*.ZONE` beside `ZONE` with `provider` at a fake that holds somebody else's value at
/// the challenge name, `environment` being all that the program is told. What was asked is given
/// back, with the zone's id.
///
/// # Panics
/// No certificate comes, somebody else's value is lost, one of ours is left, or a secret shows.
fn a_wildcard_is_issued<S: Service>(
    provider: &str,
    service: S,
    environment: impl FnOnce(&FakeDnsApi<S>, &str) -> Vec<(&'static str, String)>,
    secrets: &[&str],
) -> (Vec<String>, String) {
    let rig = Rig::get();
    let address = rig.network().address(53);
    let zone = rig.zone().secondaries(&[]).server("ns", [address]).create();
    let names = FaultServer::start((address, 53).into(), Behaviour::good()).unwrap();
    names.zone(zone.name());
    names.add(zone.name(), RecordType::NS, &format!("{}.", zone.host("ns")));
    names.add(&zone.host("ns"), RecordType::A, &address.to_string());

    let api = FakeDnsApi::start(service).unwrap();
    let id = api.zone(zone.name());
    api.edit(|held| {
        let zone_held = held.zone_mut(&id).unwrap();
        zone_held.records.push(HeldRecord {
            id: "1000001".to_owned(),
            name: zone.challenge(),
            kind: "TXT".to_owned(),
            ttl: 300,
            data: "somebody else's".to_owned(),
            form: "\"somebody else's\"".to_owned(),
        });
    });
    let mut program = dns01(rig).ca(rig, rig.ca_directory());
    for (name, value) in environment(&api, &id) {
        program = program.env(name, value);
    }
    api.serve(names);

    let wildcard = format!("*.{}", zone.name());
    let outcome =
        program.run(["issue", "-d", zone.name(), "-d", &wildcard, "--dns", provider, "--json"]).succeeded();
    assert_eq!(outcome.document()["certificates"][0]["outcome"], "issued", "{outcome}");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    let shown = format!("{outcome}");
    assert!(!secrets.iter().any(|secret| shown.contains(secret)), "a secret is shown");
    assert_eq!(api.txt(&id, &zone.challenge()).1, ["somebody else's"]);
    (api.requests(), id)
}

fn count(requests: &[String], line: &str) -> usize {
    requests.iter().filter(|one| *one == line).count()
}

#[test]
fn a_wildcard_is_issued_with_an_azure_application_alone() {
    let environment = |api: &FakeDnsApi<azure::Azure>, id: &str| {
        let zone = api.edit(|held| held.zone_mut(id).unwrap().name.clone());
        let who = api.service().principal(&[(&azure::zone_path(&zone), azure::CHALLENGES)]);
        vec![
            ("AZURE_SUBSCRIPTION_ID", azure::SUBSCRIPTION.to_owned()),
            ("AZURE_RESOURCE_GROUP", azure::GROUP.to_owned()),
            ("AZURE_TENANT_ID", azure::TENANT.to_owned()),
            ("AZURE_CLIENT_ID", who.client_id),
            ("AZURE_CLIENT_SECRET", who.secret),
            ("AZURE_AUTHORITY_HOST", api.url()),
            ("AZURE_RESOURCE_MANAGER_URL", api.url()),
        ]
    };
    let secrets = ["secret~0+of/an=application", "eyJ0eXAi"];
    let (requests, _) = a_wildcard_is_issued("azure", azure::Azure::new(), environment, &secrets);
    let writes = requests.iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(writes, 2, "both values at once, each way, beside somebody else's: {requests:?}");
    assert!(requests.iter().all(|line| !line.ends_with("/dnszones")), "no zone is looked up: {requests:?}");
}

#[test]
fn a_wildcard_is_issued_with_a_google_service_account_alone() {
    let key = tempfile::NamedTempFile::new().unwrap();
    let environment = |api: &FakeDnsApi<google::Google>, id: &str| {
        let access = [google::Access::List, google::Access::Zone(id.to_owned())];
        let file = api.service().key_file(api.service().account(&access), &api.url());
        std::fs::write(key.path(), file).unwrap();
        vec![
            ("GOOGLE_APPLICATION_CREDENTIALS", key.path().display().to_string()),
            ("GOOGLE_DNS_CUSTOM_ENDPOINT", format!("{}/dns/v1/", api.url())),
        ]
    };
    let (requests, id) =
        a_wildcard_is_issued("google", google::Google::new(), environment, &["PRIVATE KEY", "ya29"]);
    let zones = format!("/dns/v1/projects/{}/managedZones", google::PROJECT);
    assert_eq!(count(&requests, "POST /token"), 1, "{requests:?}");
    assert_eq!(count(&requests, &format!("GET {zones}")), 1, "{requests:?}");
    let changes = count(&requests, &format!("POST {zones}/{id}/changes"));
    assert_eq!(changes, 2, "both values at once, each way: {requests:?}");
}

#[test]
fn a_wildcard_is_issued_with_ovhs_application_keys_alone() {
    let environment = |api: &FakeDnsApi<ovh::Ovh>, id: &str| {
        let zone = api.edit(|held| held.zone_mut(id).unwrap().name.clone());
        let keys = api.service().keys(&ovh::rules(&zone), ovh::State::Validated);
        vec![
            ("OVH_ENDPOINT", format!("{}/1.0", api.url())),
            ("OVH_APPLICATION_KEY", keys.application),
            ("OVH_APPLICATION_SECRET", keys.secret),
            ("OVH_CONSUMER_KEY", keys.consumer),
        ]
    };
    let secrets = ["application-secret-0", "consumer-key-0"];
    let (requests, _) = a_wildcard_is_issued("ovh", ovh::Ovh::new(), environment, &secrets);
    let refreshes = requests.iter().filter(|line| line.ends_with("/refresh")).count();
    assert_eq!(refreshes, 2, "both values are published together, each way: {requests:?}");
}

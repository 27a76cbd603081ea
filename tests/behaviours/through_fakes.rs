//! Wildcards from Pebble, for zones whose records are written through a provider's API.

use crate::fake_zone::served;
use dns01_tests::fake_dns_api::cloudflare::{Access, Cloudflare};
use dns01_tests::fake_dns_api::desec::{Desec, Policy};
use dns01_tests::fake_dns_api::digitalocean::DigitalOcean;
use dns01_tests::fake_dns_api::gandi::Gandi;
use dns01_tests::fake_dns_api::hetzner::{self, Hetzner};
use dns01_tests::fake_dns_api::linode::Linode;
use dns01_tests::fake_dns_api::porkbun::Porkbun;
use dns01_tests::fake_dns_api::{FakeDnsApi, Service, azure, google, ovh};
use dns01_tests::program::dns01;
use dns01_tests::rig::{Rig, Zone};

const FOREIGN: &str = "somebody else's";

/// A fake that holds one zone with somebody else's value at the challenge name.
struct Through<S: Service> {
    api: FakeDnsApi<S>,
    zone: Zone,
    id: String,
}

impl<S: Service> Through<S> {
    /// The value is kept in the form `form`.
    fn with(service: S, form: &str) -> Self {
        let api = FakeDnsApi::start(service).unwrap();
        let (zone, id) = served(&api);
        api.add(&id, &zone.challenge(), "TXT", 3600, FOREIGN);
        api.edit(|held| held.zone_mut(&id).unwrap().records[0].form = form.to_owned());
        Self { api, zone, id }
    }

    /// At a service that keeps values bare.
    fn bare(service: S) -> Self {
        Self::with(service, FOREIGN)
    }

    /// At a service that keeps values quoted.
    fn quoted(service: S) -> Self {
        Self::with(service, &format!("\"{FOREIGN}\""))
    }

    /// Issues a certificate for the zone and its wildcard with `provider`, told nothing but
    /// `environment`. None of ours is left, somebody else's value survives, and none of `secrets`
    /// is shown.
    #[track_caller]
    fn issue(&self, provider: &str, environment: &[(&str, &str)], secrets: &[&str]) {
        let rig = Rig::get();
        let mut program = dns01(rig).ca(rig, rig.ca_directory());
        for (name, value) in environment {
            program = program.env(name, value);
        }
        let wildcard = format!("*.{}", self.zone.name());
        let arguments = ["issue", "-d", self.zone.name(), "-d", &wildcard, "--dns", provider, "--json"];
        let outcome = program.run(arguments).succeeded();
        assert_eq!(outcome.document()["certificates"][0]["outcome"], "issued", "{outcome}");
        assert!(program.live(self.zone.name(), "fullchain.pem").exists());
        let shown = format!("{outcome}");
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "a secret is shown");
        assert_eq!(self.api.txt(&self.id, &self.zone.challenge()), (3600, vec![FOREIGN.to_owned()]));
    }

    /// How many requests so far fit.
    fn count(&self, fits: impl Fn(&str) -> bool) -> usize {
        self.api.requests().iter().filter(|line| fits(line)).count()
    }
}

#[test]
fn a_wildcard_is_issued_with_an_azure_application_alone() {
    let through = Through::quoted(azure::Azure::new());
    let (api, zone) = (&through.api, through.zone.name());
    let who = api.service().principal(&[(&azure::zone_path(zone), azure::CHALLENGES)]);
    let environment = [
        ("AZURE_SUBSCRIPTION_ID", azure::SUBSCRIPTION),
        ("AZURE_RESOURCE_GROUP", azure::GROUP),
        ("AZURE_TENANT_ID", azure::TENANT),
        ("AZURE_CLIENT_ID", &who.client_id),
        ("AZURE_CLIENT_SECRET", &who.secret),
        ("AZURE_AUTHORITY_HOST", &api.url()),
        ("AZURE_RESOURCE_MANAGER_URL", &api.url()),
    ];
    through.issue("azure", &environment, &[&who.secret, "eyJ0eXAi"]);
    let writes = through.count(|line| line.starts_with("PUT"));
    assert_eq!(writes, 2, "both values at once, each way, beside somebody else's: {:?}", api.requests());
    assert_eq!(through.count(|line| line.ends_with("/dnszones")), 0, "no zone is looked up");
}

#[test]
fn a_wildcard_is_issued_with_a_cloudflare_token_alone() {
    let through = Through::bare(Cloudflare::new());
    let (api, id) = (&through.api, &through.id);
    let token = api.service().token(&[Access::Edit(id.clone()), Access::Read(id.clone())]);
    let environment = [("CF_DNS_API_TOKEN", token.as_str()), ("CLOUDFLARE_BASE_URL", &api.url())];
    through.issue("cloudflare", &environment, &[&token]);
    assert_eq!(api.count("GET /zones"), 1);
    let batches = api.count(&format!("POST /zones/{id}/dns_records/batch"));
    assert_eq!(batches, 2, "both values at once, each way: {:?}", api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_desec_token_for_one_name() {
    let through = Through::bare(Desec::new());
    let (token, _) = through.api.service().token(&[Policy::txt(through.zone.name(), "_acme-challenge")]);
    through.issue("desec", &[("DESEC_TOKEN", &token), ("DESEC_BASE_URL", &through.api.url())], &[&token]);
    let writes = through.api.count(&format!("PATCH /domains/{}/rrsets/", through.zone.name()));
    assert_eq!(writes, 2, "both values at once, each way: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_digitalocean_token_alone() {
    let through = Through::bare(DigitalOcean::new());
    let token = through.api.service().token(&DigitalOcean::SMALLEST);
    let environment = [("DO_AUTH_TOKEN", token.as_str()), ("DO_API_URL", &through.api.url())];
    through.issue("digitalocean", &environment, &[&token]);
    let creations = through.api.count(&format!("POST /domains/{}/records", through.zone.name()));
    assert_eq!(creations, 2, "{:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_gandi_token_alone() {
    let through = Through::bare(Gandi::new());
    let token = through.api.service().token(&Gandi::SMALLEST, &[]);
    let environment = [("GANDIV5_PERSONAL_ACCESS_TOKEN", token.as_str()), ("GANDI_URL", &through.api.url())];
    through.issue("gandi", &environment, &[&token]);
    assert_eq!(through.api.count("GET /v5/livedns/domains"), 0, "{:?}", through.api.requests());
    let changes = through.count(|line| !line.starts_with("GET"));
    assert_eq!(changes, 2, "both values at once, each way: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_google_service_account_alone() {
    let through = Through::quoted(google::Google::new());
    let api = &through.api;
    let access = [google::Access::List, google::Access::Zone(through.id.clone())];
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), api.service().key_file(api.service().account(&access), &api.url())).unwrap();
    let endpoint = format!("{}/dns/v1/", api.url());
    let environment = [
        ("GOOGLE_APPLICATION_CREDENTIALS", key.path().to_str().unwrap()),
        ("GOOGLE_DNS_CUSTOM_ENDPOINT", &endpoint),
    ];
    through.issue("google", &environment, &["PRIVATE KEY", "ya29"]);
    let zones = format!("/dns/v1/projects/{}/managedZones", google::PROJECT);
    assert_eq!(api.count("POST /token"), 1, "{:?}", api.requests());
    assert_eq!(api.count(&format!("GET {zones}")), 1, "{:?}", api.requests());
    let changes = api.count(&format!("POST {zones}/{}/changes", through.id));
    assert_eq!(changes, 2, "both values at once, each way: {:?}", api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_hetzner_token_alone() {
    let through = Through::bare(Hetzner::new());
    let token = through.api.service().token(hetzner::Access::Write);
    let environment = [("HETZNER_API_TOKEN", token.as_str()), ("HCLOUD_ENDPOINT", &through.api.url())];
    through.issue("hetzner", &environment, &[&token]);
    assert_eq!(through.api.count("GET /zones"), 0, "{:?}", through.api.requests());
    let changes = through.count(|line| line.starts_with("POST"));
    assert_eq!(changes, 2, "both values at once, each way: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_linode_token_for_one_domain() {
    let through = Through::bare(Linode::new());
    let token = through.api.service().token("domains:read_write", Some(&[(&through.id, true)]));
    let root = through.api.url().trim_end_matches("/v4").to_owned();
    through.issue("linode", &[("LINODE_TOKEN", &token), ("LINODE_URL", &root)], &[&token]);
    let lists = through.api.count(&format!("GET /domains/{}/records", through.id));
    assert_eq!(lists, 1, "what was created is removed by its id: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_ovhs_application_keys_alone() {
    let through = Through::quoted(ovh::Ovh::new());
    let keys = through.api.service().keys(&ovh::rules(through.zone.name()), ovh::State::Validated);
    let environment = [
        ("OVH_ENDPOINT", &*format!("{}/1.0", through.api.url())),
        ("OVH_APPLICATION_KEY", &keys.application),
        ("OVH_APPLICATION_SECRET", &keys.secret),
        ("OVH_CONSUMER_KEY", &keys.consumer),
    ];
    through.issue("ovh", &environment, &[&keys.secret, &keys.consumer]);
    let refreshes = through.count(|line| line.ends_with("/refresh"));
    assert_eq!(refreshes, 2, "both values are published together, each way: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_porkbun_keys_for_one_domain() {
    let through = Through::bare(Porkbun::new());
    let (key, secret) = through.api.service().keys(Some(&[through.zone.name()]));
    let environment = [
        ("PORKBUN_API_KEY", key.as_str()),
        ("PORKBUN_SECRET_API_KEY", &secret),
        ("PORKBUN_BASE_URL", &through.api.url()),
    ];
    through.issue("porkbun", &environment, &[&secret]);
    assert_eq!(through.api.requests().len(), 4, "one for each value, each way: {:?}", through.api.requests());
}

//! A wildcard from Pebble, for a zone whose records are written through Route 53's API, and each
//! place where AWS programs find their keys.

use crate::fake_zone::served;
use dns01_tests::fake_dns_api::FakeDnsApi;
use dns01_tests::fake_dns_api::route53::{Key, Metadata, Route53, Statement};
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone};

struct Stand {
    api: FakeDnsApi<Route53>,
    zone: Zone,
    id: String,
    policy: Vec<Statement>,
}

/// A zone, and the smallest policy for its challenge name.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Route53::new()).unwrap();
    let (zone, id) = served(&api);
    let find = Statement::of(&["ListHostedZonesByName"]);
    let policy = [Statement::smallest(&id, &[&zone.challenge()]), vec![find]].concat();
    Stand { api, zone, id, policy }
}

impl Stand {
    fn program(&self) -> Program {
        let endpoint = self.api.url();
        let endpoint = endpoint.trim_end_matches("/2013-04-01");
        let program = dns01(Rig::get()).env("AWS_ENDPOINT_URL_ROUTE_53", endpoint);
        program.env("AWS_REGION", "us-east-1")
    }

    /// Adds a value and removes it again.
    fn adds_and_removes(&self, program: &Program) {
        let name = self.zone.challenge();
        let value = |verb: &str| program.run(["txt", verb, &name, "v", "--dns", "route53"]).succeeded();
        let _ = value("add");
        assert_eq!(self.api.txt(&self.id, &name).1, ["v"]);
        let _ = value("remove");
        assert!(self.api.txt(&self.id, &name).1.is_empty());
    }

    fn refuses(&self, program: &Program) -> Outcome {
        program.run(["txt", "add", &self.zone.challenge(), "v", "--dns", "route53"]).failed_with(1)
    }
}

fn with(program: Program, key: &Key) -> Program {
    let program = program.env("AWS_ACCESS_KEY_ID", &key.id).env("AWS_SECRET_ACCESS_KEY", &key.secret);
    match &key.token {
        Some(token) => program.env("AWS_SESSION_TOKEN", token),
        None => program,
    }
}

/// Name servers are asked for nothing: the service says when a change is served everywhere.
#[test]
fn the_services_own_status_can_be_waited_for() {
    let stand = stand();
    let rig = Rig::get();
    let policy = [stand.policy.clone(), vec![Statement::of(&["GetChange"])]].concat();
    let key = stand.api.service().key(&policy);
    let program = with(stand.program(), &key).ca(rig, rig.ca_directory());
    let zone = format!("{}={}", stand.zone.name(), stand.id);
    let wildcard = format!("*.{}", stand.zone.name());
    let line =
        ["issue", "-d", &wildcard, "--dns", "route53", "--zone", &zone, "--propagation-check", "provider"];
    let _ = program.run(line).succeeded().says("published=1");
    let asked = stand.api.requests().iter().filter(|line| line.starts_with("GET /change/")).count();
    assert!(asked >= 2, "under way at first: {:?}", stand.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_policy_for_one_name_and_txt_alone() {
    let stand = stand();
    let (api, zone) = (&stand.api, &stand.zone);
    let rig = Rig::get();
    api.add(&stand.id, &zone.challenge(), "TXT", 300, "somebody else's");
    api.edit(|held| {
        let record = held.zone_mut(&stand.id).unwrap().records.last_mut().unwrap();
        record.form = "\"somebody \" \"else's\"".to_owned();
    });
    let key = api.service().temporary_key(&stand.policy);
    let program = with(stand.program(), &key).ca(rig, rig.ca_directory());
    let wildcard = format!("*.{}", zone.name());
    let outcome =
        program.run(["issue", "-d", zone.name(), "-d", &wildcard, "--dns", "route53", "--json"]).succeeded();
    assert_eq!(outcome.document()["certificates"][0]["outcome"], "issued", "{outcome}");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    let shown = format!("{outcome}");
    assert!(
        !shown.contains(&key.secret) && !shown.contains(key.token.as_ref().unwrap()),
        "a secret is shown"
    );

    let left = api.edit(|held| held.zone_mut(&stand.id).unwrap().records.clone());
    assert_eq!((left.len(), left[0].ttl), (1, 300));
    assert_eq!(left[0].form, "\"somebody \" \"else's\"", "in its own form");
    assert_eq!(api.count("GET /hostedzonesbyname"), 1);
    let changes = api.count(&format!("POST /hostedzone/{}/rrset", stand.id));
    assert_eq!(changes, 2, "both values at once, each way: {:?}", api.requests());
}

#[test]
fn keys_are_found_in_files_and_in_profiles_with_roles() {
    let stand = stand();
    let key = stand.api.service().key(&stand.policy);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [id, secret] = [("id", &key.id), ("secret", &key.secret)].map(|(name, text)| file(name, text));
    let program = stand.program().env("AWS_ACCESS_KEY_ID_FILE", id).env("AWS_SECRET_ACCESS_KEY_FILE", secret);
    stand.adds_and_removes(&program);

    let sts = FakeDnsApi::start(stand.api.service().token_service()).unwrap();
    let base = stand.api.service().key(&[]);
    let role = sts.service().role(&base, Some("outside"), &stand.policy);
    let keys = file(
        "credentials",
        &format!(
            "[plain]\naws_access_key_id = {}\naws_secret_access_key = {}\n[base]\naws_access_key_id = {}\n\
             aws_secret_access_key = {}\n",
            key.id, key.secret, base.id, base.secret
        ),
    );
    let config = file(
        "config",
        &format!("[profile through]\nrole_arn = {role}\nexternal_id = outside\nsource_profile = base\n"),
    );
    let profile = |name: &str| {
        let program =
            stand.program().env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", &keys);
        program.env("AWS_PROFILE", name).env("AWS_ENDPOINT_URL_STS", sts.url())
    };
    stand.adds_and_removes(&profile("plain"));
    stand.adds_and_removes(&profile("through"));
    assert!(!sts.service().given().is_empty());
    let _ = stand.refuses(&profile("base")).says("not authorized").says("hint:");
}

#[test]
fn keys_are_found_by_web_identity_and_in_the_metadata_of_containers_and_instances() {
    let stand = stand();
    let sts = FakeDnsApi::start(stand.api.service().token_service()).unwrap();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "header.payload.signature").unwrap();
    let role = sts.service().web_identity_role("header.payload.signature", &stand.policy);
    let program = stand
        .program()
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .env("AWS_ROLE_ARN", role)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.path());
    stand.adds_and_removes(&program);

    let key = stand.api.service().temporary_key(&stand.policy);
    let metadata = FakeDnsApi::start(Metadata::new(&key, "container-token")).unwrap();
    let container = stand
        .program()
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/keys", metadata.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token");
    stand.adds_and_removes(&container);
    let instance = stand.program().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url());
    stand.adds_and_removes(&instance);
    assert!(metadata.count("PUT /latest/api/token") > 0);

    let nowhere = stand.program().env("AWS_EC2_METADATA_DISABLED", "true");
    let _ = stand.refuses(&nowhere).says("there are no credentials").says("hint: give `access_key_id`");
}

//! Google Cloud DNS against its fake, which Google's own client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, adds, assert_refused, exactly_enough, literal, name, named, names, printed_by,
    removals, too_little, too_much, zone,
};
use super::table;
use dns01_provider::{
    DnsProvider, Listing, ProviderError, ProviderErrorKind, Published, Settings, TxtValue, Zone,
};
use dns01_provider_google::PLUGIN;
use dns01_tests::fake_dns_api::google::{Access, Google, PROJECT};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, clients};
use std::sync::Arc;

type Stand = super::fake::Stand<Google, str>;

/// The fake with one zone and an account that may write its records and see no zone.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Google::new()).unwrap();
    let id = api.zone(ZONE);
    let key = key(&api, &[Access::Zone(id.clone())]);
    Stand::new(api, id, key, provider)
}

fn key(api: &FakeDnsApi<Google>, access: &[Access]) -> String {
    api.service().key_file(api.service().account(access), &api.url())
}

fn settings(api: &FakeDnsApi<Google>) -> Settings {
    let host = api.url().trim_start_matches("http://").to_owned();
    Settings::default().with("base_url", format!("{}/dns/v1/", api.url())).with("metadata_host", host)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Google>, key: &str) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(settings(api).with("service_account", literal(key))).unwrap()
}

/// The private key in a key file, line breaks written as in JSON.
fn private_key(file: &str) -> String {
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let pem = file["private_key"].as_str().unwrap();
    pem.lines().nth(3).unwrap().to_owned()
}

impl Stand {
    fn changes(&self) -> usize {
        self.api.count(&format!("POST /dns/v1/projects/{PROJECT}/managedZones/{}/changes", self.id))
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_googles_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    let (service, url) = (stand.api.service(), stand.api.url());
    let sub_zone = zone(&stand.api, SUB_ZONE);
    let ids = [stand.id.clone(), sub_zone.id.clone().unwrap()];
    let account = service.account(&ids.map(Access::Zone));
    let wrong = service.wrong_key_file(account, &url);
    stand.key = service.key_file(account, &url);
    let run = Run {
        stand,
        sub_zone,
        wrong,
        busy,
        listing: "GET /dns/v1/projects/proj-1/managedZones",
        forms: &[TxtValue::presentation],
    };
    // The fake's tokens are numbered, so that those to come are known.
    let secrets = [&*private_key(&run.stand.key), &private_key(&run.wrong), "ya29.fake"];
    table::assert_all_kept(&run.proven_by("google-api-python-client 2.202.0", "google", &secrets)).await;
}

/// Google's Python client adds two values, lists them and removes one, with a service account's
/// key as with the machine's identity.
#[test]
fn googles_own_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import json, os, sys
from google.oauth2 import service_account
from google.auth import compute_engine
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
url, zone, name = sys.argv[1:]
scopes = ["https://www.googleapis.com/auth/ndev.clouddns.readwrite"]
key = service_account.Credentials.from_service_account_info(json.loads(os.environ["KEY"]), scopes=scopes)
machine = compute_engine.Credentials(scopes=scopes)
client = lambda who: build("dns", "v1", credentials=who, client_options={"api_endpoint": url}, cache_discovery=False)
dns, other = client(key), client(machine)
txt = lambda *values: {"name": name, "type": "TXT", "ttl": 60, "rrdatas": [f'"{v}"' for v in values]}
where = {"project": "proj-1", "managedZone": zone}
change = lambda who=dns, **body: who.changes().create(**where, body=body).execute()
first = change(additions=[txt("one")])
print(first["status"], [dns.changes().get(**where, changeId=first["id"]).execute()["status"] for _ in "ab"])
change(deletions=[txt("one")], additions=[txt("one", "two")])
listed = other.resourceRecordSets().list(**where, name=name, type="TXT").execute()["rrsets"]
print([(s["ttl"], s["rrdatas"]) for s in listed])
change(other, deletions=[txt("two", "one")], additions=[txt("two")])
bad = dict(txt("x"), rrdatas=['"' + "x" * 256 + '"'])
for body in (dict(additions=[txt("three")]), dict(deletions=[txt("one")]), dict(deletions=[dict(txt("two"), ttl=61)]),
             dict(deletions=[dict(txt("two"), name="absent." + name)]), dict(deletions=[txt("two")], additions=[bad]),
             dict(), dict(additions=[dict(txt("x"), name="example.org.")])):
    try:
        change(**body)
        print("done")
    except HttpError as error:
        print(error.status_code, error.error_details[0]["reason"])
for attempt in (lambda: dns.managedZones().list(project="proj-1"),
                lambda: dns.resourceRecordSets().list(project="proj-1", managedZone="absent"),
                lambda: dns.managedZones().testIamPermissions(resource=f"projects/proj-1/managedZones/{zone}", body={"permissions": ["dns.changes.create"]}),
                lambda: other.managedZones().list(project="proj-1", dnsName="example.test.")):
    try:
        print([z["name"] == zone for z in attempt().execute()["managedZones"]])
    except HttpError as error:
        print(error.status_code, error.error_details[0]["reason"])
    except Exception as error:
        print(type(error).__name__, error)
"#;
    let Some(python) = clients("the proof of Google's fake by its client") else { return };
    let stand = stand();
    let machine = [Access::List, Access::Zone(stand.id.clone())];
    stand.api.service().runs_as(stand.api.service().account(&machine));
    let name = name("independent");
    let host = stand.api.url().trim_start_matches("http://").to_owned();
    let environment = [("KEY", &*stand.key), ("GCE_METADATA_HOST", &host), ("NO_GCE_CHECK", "true")];
    let lines = printed_by(&python, SCRIPT, &[&stand.api.url(), &stand.id, &name.absolute()], &environment);
    assert_eq!(
        lines,
        [
            "pending ['pending', 'done']",
            r#"[(60, ['"one"', '"two"'])]"#,
            "409 alreadyExists",
            "412 conditionNotMet",
            "412 conditionNotMet",
            "404 notFound",
            "400 invalid",
            "400 required",
            "400 invalid",
            "403 forbidden",
            "403 forbidden",
            "403 forbidden",
            "[True]",
        ]
    );
    assert_eq!(stand.values(&name), ["two"]);
}

#[tokio::test]
async fn two_hundred_names_cost_two_calls_to_add_and_four_to_remove() {
    let stand = stand();
    let provider = stand.provider();
    let names = names(200);
    provider.apply(&stand.zone, &adds(&names, "v")).await.unwrap();
    assert_eq!(stand.api.requests().len(), 1 + 2, "a token, a list and a change: {:?}", stand.api.requests());
    assert!(stand.all_hold(&names, &["v"]));
    for number in 0..150 {
        stand.api.add(&stand.id, &format!("h{number}.{ZONE}"), "A", 300, "192.0.2.1");
    }
    provider.apply(&stand.zone, &removals(&names, "v")).await.unwrap();
    assert_eq!(stand.api.requests().len(), 3 + 4 + 1, "{:?}", stand.api.requests());
    assert!(stand.all_hold(&names, &[]));
}

#[tokio::test]
async fn a_zone_of_more_pages_than_names_is_not_read_whole() {
    let stand = stand();
    for number in 0..600 {
        stand.api.add(&stand.id, &format!("h{number}.{ZONE}"), "A", 300, "192.0.2.1");
    }
    let names = names(5);
    stand.provider().apply(&stand.zone, &adds(&names, "v")).await.unwrap();
    assert_eq!(stand.api.requests().len(), 1 + 5 + 5 + 1, "{:?}", stand.api.requests());
    assert!(stand.all_hold(&names, &["v"]));
}

#[tokio::test]
async fn what_another_writer_did_in_between_is_kept() {
    let stand = stand();
    let provider = stand.provider();
    // The service says 409 where nothing stood, and 412 beside a value.
    stand.keep_what_others_write(provider.as_ref(), |value| stand.api.service().intrude(value)).await;
    assert_eq!(stand.changes(), 6, "each is made anew once");
}

#[tokio::test]
async fn a_zone_without_an_id_is_looked_up_once_by_an_account_that_may() {
    let stand = stand();
    let reader = key(&stand.api, &[Access::List, Access::Zone(stand.id.clone())]);
    let provider = stand.with(&reader);
    stand.write_by_name(provider.as_ref()).await;
    assert_eq!(stand.api.count("GET /dns/v1/projects/proj-1/managedZones"), 1);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![stand.zone.clone()]));
    assert_eq!(stand.provider().zones().await.unwrap(), Listing::NotAvailable);

    let error = provider.apply(&named("other.test"), &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    assert!(error.hint().unwrap().contains("id"), "{error}");

    let _twin = stand.api.zone(ZONE);
    let error = stand.with(&reader).apply(&named(ZONE), &[add(&name("x"), "v")]).await.unwrap_err();
    assert!(error.to_string().contains("several public zones"), "{error}");
}

#[tokio::test]
async fn the_service_says_when_a_change_is_served() {
    let stand = stand();
    let provider = stand.provider();
    let applied = provider.apply(&stand.zone, &[add(&name("served"), "v")]).await.unwrap();
    let receipt = applied.receipt.unwrap();
    assert_eq!(provider.published(&stand.zone, &receipt).await.unwrap(), Published::NotYet);
    assert_eq!(provider.published(&stand.zone, &receipt).await.unwrap(), Published::Yes);
    let again = provider.apply(&stand.zone, &[add(&name("served"), "v")]).await.unwrap();
    assert_eq!(again.receipt, None, "nothing was changed");
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let provider = stand.provider();
    provider.values(&stand.zone, &name("lost")).await.unwrap();
    let empty = Answer::json(200, &serde_json::json!({ "rrsets": [] }));
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(empty)).await;
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn a_token_lives_long_and_is_fetched_anew_when_it_is_refused() {
    let stand = stand();
    let provider = stand.provider();
    for value in ["v", "w"] {
        provider.apply(&stand.zone, &[add(&name("token"), value)]).await.unwrap();
    }
    assert_eq!(stand.api.count("POST /token"), 1);
    stand.api.service().end_tokens();
    provider.apply(&stand.zone, &[add(&name("token"), "x")]).await.unwrap();
    assert_eq!((stand.api.count("POST /token"), stand.values(&name("token")).len()), (2, 3));
}

#[tokio::test]
async fn the_machines_identity_and_a_token_made_elsewhere_do_as_well() {
    let stand = stand();
    let service = stand.api.service();
    let machine = (PLUGIN.build)(settings(&stand.api)).unwrap();
    let error = machine.apply(&stand.zone, &[add(&name("machine"), "v")]).await.unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (ProviderErrorKind::Auth, true), "{error}");
    service.runs_as(service.account(&[Access::Zone(stand.id.clone())]));
    machine.apply(&stand.zone, &[add(&name("machine"), "v")]).await.unwrap();
    assert_eq!(stand.values(&name("machine")), ["v"]);

    let token = &service.tokens()[0];
    let made = settings(&stand.api).with("access_token", literal(token)).with("project", PROJECT);
    let made = (PLUGIN.build)(made).unwrap();
    made.apply(&stand.zone, &[add(&name("made"), "v")]).await.unwrap();
    assert_eq!(stand.values(&name("made")), ["v"]);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_key() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let strange = zone(&stand.api, "strange.test");
    let account = stand.api.service().account(&[Access::Zone(stand.id.clone())]);
    let other = vec![("_acme-challenge.other.example.test".to_owned(), "TXT".to_owned())];
    let refusal = async |key: &str, zone: &Zone| -> ProviderError {
        stand.with(key).apply(zone, &[add(&name("refused"), "v")]).await.unwrap_err()
    };
    for (key, kind, words) in [
        (stand.api.service().wrong_key_file(account, &stand.api.url()), Kind::Auth, "invalid_grant"),
        (key(&stand.api, &[Access::Zone(strange.id.unwrap())]), Kind::Permission, "forbidden"),
        (key(&stand.api, &[Access::Sets(stand.id.clone(), other)]), Kind::Permission, "forbidden"),
        ("no key".to_owned(), Kind::Auth, "no key of a service account"),
    ] {
        assert_refused(&refusal(&key, &stand.zone).await, kind, words, "ya29");
    }
    let all = key(&stand.api, &[Access::Project]);
    for wrong in ["absent", "../proj-2", ""] {
        let wrong_id = Zone { id: Some(wrong.to_owned()), ..stand.zone.clone() };
        let error = refusal(&all, &wrong_id).await;
        assert_eq!((error.kind(), error.hint().is_some()), (Kind::NotFound, true), "{error}");
    }

    let provider = stand.provider();
    provider.values(&stand.zone, &name("warm")).await.unwrap();
    let token = stand.api.service().tokens().pop().unwrap();
    stand.troubles_are_clear_errors(provider.as_ref(), &token).await;
}

#[tokio::test]
async fn an_audit_tells_exact_wide_and_narrow_credentials_apart() {
    let stand = stand();
    let other = stand.api.zone("other.test");
    let id = &stand.id;
    let needs = ["a", "b"].map(|host| stand.need(host));
    let set = |host: &str, kind: &str| (name(host).as_str().to_owned(), kind.to_owned());
    let exact = vec![set("a", "TXT"), set("b", "TXT")];
    let types = [&exact[..], &[set("a", "MX")]].concat();
    stand.api.add(id, name("a").as_str(), "TXT", 300, "\"somebody else's\"");
    let before = stand.set(&name("a"));
    let audit = async |access: &[Access]| stand.audit(&key(&stand.api, access), &needs).await;

    let probed = exactly_enough(audit(&[Access::Sets(id.clone(), exact.clone())]).await);
    assert_eq!(probed.len(), 5, "{probed:?}");
    exactly_enough(audit(&[Access::List, Access::Sets(id.clone(), exact.clone())]).await);

    let findings = too_little(audit(&[Access::Sets(id.clone(), exact[..1].to_vec())]).await);
    assert!(findings[0].contains(name("b").as_str()), "{findings:?}");
    too_little(audit(&[Access::Zone(other.clone())]).await);

    let more = async |access: &[Access]| too_much(audit(access).await).join("; ");
    assert!(more(&[Access::Sets(id.clone(), types)]).await.contains("other types"));
    assert!(more(&[Access::Zone(id.clone())]).await.contains("any name of the zone"));
    let all = more(&[Access::Project]).await;
    assert!(all.contains("delete the zone") && all.contains("`other.test`"), "{all}");
    assert_eq!(stand.set(&name("a")), before, "nothing was changed");
}

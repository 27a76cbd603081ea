//! Google Cloud DNS against its fake, which Google's own client has proven.

use super::fake::{Memory, ZONE, add, name, printed_by, remove, troubles_are_clear_errors, zone};
use super::table;
use dns01_provider::conformance::Subject;
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderError, ProviderErrorKind, Published, ScopeNeed, ScopeReport,
    Settings, TxtValue, Zone, ZoneName,
};
use dns01_provider_google::PLUGIN;
use dns01_tests::fake_dns_api::google::{Access, Google, PROJECT};
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::Duration;

/// A name in the zone where a CNAME stands.
const ALIASED: &str = "_acme-challenge.aliased.example.test";

struct Stand {
    api: Arc<FakeDnsApi<Google>>,
    zone: Zone,
    key: String,
}

/// The fake with one zone and an account that may write its records and see no zone.
fn stand() -> Stand {
    let api = Arc::new(FakeDnsApi::start(Google::new()).unwrap());
    let zone = zone(&api, ZONE);
    let key = key(&api, &[Access::Zone(zone.id.clone().unwrap())]);
    Stand { api, zone, key }
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
    let secret = serde_json::json!({ "literal": key });
    (PLUGIN.build)(settings(api).with("service_account", secret)).unwrap()
}

/// The private key in a key file, line breaks written as in JSON.
fn private_key(file: &str) -> String {
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let pem = file["private_key"].as_str().unwrap();
    pem.lines().nth(3).unwrap().to_owned()
}

impl Stand {
    fn provider(&self) -> Arc<dyn DnsProvider> {
        provider(&self.api, &self.key)
    }

    fn id(&self) -> &str {
        self.zone.id.as_deref().unwrap()
    }

    fn values(&self, name: &Fqdn) -> Vec<String> {
        self.api.txt(self.id(), name.as_str()).1
    }

    fn changes(&self) -> usize {
        self.api.count(&format!("POST /dns/v1/projects/{PROJECT}/managedZones/{}/changes", self.id()))
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_googles_fake() {
    let Stand { api, zone, .. } = stand();
    let sub_zone = super::fake::zone(&api, &format!("sub.{ZONE}"));
    let ids = [&zone, &sub_zone].map(|zone| zone.id.clone().unwrap());
    api.add(&ids[0], ALIASED, "CNAME", 300, "elsewhere.test.");
    let account = api.service().account(&ids.map(Access::Zone));
    let key = api.service().key_file(account, &api.url());
    let wrong = api.service().wrong_key_file(account, &api.url());

    let busy = stand();
    busy.api.limit(0, Duration::from_secs(300));

    let memory = Memory {
        api: Arc::clone(&api),
        listing: "GET /dns/v1/projects/proj-1/managedZones",
        forms: &[TxtValue::presentation],
    };
    let subject = Subject::new("google", provider(&api, &key), zone)
        .with_peer("strict fake, proven by google-api-python-client 2.202.0 (PyPI)")
        .with_sub_zone(sub_zone)
        .with_observer(Arc::new(memory))
        .with_wrong_token(Ok(provider(&api, &wrong)))
        .with_rate_limited(Ok(provider(&busy.api, &busy.key)))
        .with_forbidden(Fqdn::parse(ALIASED).unwrap())
        // The fake's tokens are numbered, so that those to come are known.
        .with_secrets([private_key(&key).into(), private_key(&wrong).into(), "ya29.fake".into()]);
    table::assert_all_kept(&subject).await;
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
    let machine = [Access::List, Access::Zone(stand.id().to_owned())];
    stand.api.service().runs_as(stand.api.service().account(&machine));
    let name = name("independent");
    let host = stand.api.url().trim_start_matches("http://").to_owned();
    let environment = [("KEY", &*stand.key), ("GCE_METADATA_HOST", &host), ("NO_GCE_CHECK", "true")];
    let lines = printed_by(&python, SCRIPT, &[&stand.api.url(), stand.id(), &name.absolute()], &environment);
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
    let names: Vec<Fqdn> = (0..200).map(|number| name(&format!("host{number}"))).collect();
    let adds: Vec<_> = names.iter().map(|name| add(name, "v")).collect();
    provider.apply(&stand.zone, &adds).await.unwrap();
    assert_eq!(stand.api.requests().len(), 1 + 2, "a token, a list and a change: {:?}", stand.api.requests());
    assert!(names.iter().all(|name| stand.values(name) == ["v"]));
    for number in 0..150 {
        stand.api.add(stand.id(), &format!("h{number}.{ZONE}"), "A", 300, "192.0.2.1");
    }
    let removals: Vec<_> = names.iter().map(|name| remove(name, "v")).collect();
    provider.apply(&stand.zone, &removals).await.unwrap();
    assert_eq!(stand.api.requests().len(), 3 + 4 + 1, "{:?}", stand.api.requests());
    assert!(names.iter().all(|name| stand.values(name).is_empty()));
}

#[tokio::test]
async fn a_zone_of_more_pages_than_names_is_not_read_whole() {
    let stand = stand();
    for number in 0..600 {
        stand.api.add(stand.id(), &format!("h{number}.{ZONE}"), "A", 300, "192.0.2.1");
    }
    let names: Vec<Fqdn> = (0..5).map(|number| name(&format!("host{number}"))).collect();
    let adds: Vec<_> = names.iter().map(|name| add(name, "v")).collect();
    stand.provider().apply(&stand.zone, &adds).await.unwrap();
    assert_eq!(stand.api.requests().len(), 1 + 5 + 5 + 1, "{:?}", stand.api.requests());
    assert!(names.iter().all(|name| stand.values(name) == ["v"]));
}

#[tokio::test]
async fn what_another_writer_did_in_between_is_kept() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("contended"));
    // Where nothing stood (409), beside a value (412), and where the last value goes.
    for (change, intruder, expected) in [
        (add(&here, "v"), "a", &["a", "v"][..]),
        (add(&here, "w"), "b", &["a", "v", "b", "w"]),
        (remove(&here, "v"), "c", &["a", "b", "w", "c"]),
    ] {
        stand.api.service().intrude(intruder);
        provider.apply(&stand.zone, &[change]).await.unwrap();
        assert_eq!(stand.values(&here), expected);
    }
    assert_eq!(stand.changes(), 6, "each is made anew once");
}

#[tokio::test]
async fn a_zone_without_an_id_is_looked_up_once_by_an_account_that_may() {
    let stand = stand();
    let reader = key(&stand.api, &[Access::List, Access::Zone(stand.id().to_owned())]);
    let provider = provider(&stand.api, &reader);
    let zone = Zone::named(stand.zone.name.clone());
    for value in ["v", "w"] {
        provider.apply(&zone, &[add(&name("looked-up"), value)]).await.unwrap();
    }
    assert_eq!(stand.values(&name("looked-up")), ["v", "w"]);
    assert_eq!(stand.api.count("GET /dns/v1/projects/proj-1/managedZones"), 1);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![stand.zone.clone()]));
    assert_eq!(stand.provider().zones().await.unwrap(), Listing::NotAvailable);

    let strange = Zone::named(ZoneName::parse("other.test").unwrap());
    let error = provider.apply(&strange, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    assert!(error.hint().unwrap().contains("id"), "{error}");

    let _twin = stand.api.zone(ZONE);
    let fresh = super::google::provider(&stand.api, &reader);
    let error = fresh.apply(&zone, &[add(&name("x"), "v")]).await.unwrap_err();
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
    let (provider, here) = (stand.provider(), name("lost"));
    provider.values(&stand.zone, &here).await.unwrap();
    let list = serde_json::json!({ "rrsets": [] });
    stand.api.fault(Fault::Instead(dns01_tests::fake_dns_api::Answer::json(200, &list)));
    stand.api.fault(Fault::ReplyLost);
    let error = provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"]);
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
    service.runs_as(service.account(&[Access::Zone(stand.id().to_owned())]));
    machine.apply(&stand.zone, &[add(&name("machine"), "v")]).await.unwrap();
    assert_eq!(stand.values(&name("machine")), ["v"]);

    let token = serde_json::json!({ "literal": service.tokens()[0] });
    let made = settings(&stand.api).with("access_token", token).with("project", PROJECT);
    let made = (PLUGIN.build)(made).unwrap();
    made.apply(&stand.zone, &[add(&name("made"), "v")]).await.unwrap();
    assert_eq!(stand.values(&name("made")), ["v"]);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_key() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let strange = zone(&stand.api, "strange.test");
    let account = stand.api.service().account(&[Access::Zone(stand.id().to_owned())]);
    let other = vec![("_acme-challenge.other.example.test".to_owned(), "TXT".to_owned())];
    let refusal = async |key: &str, zone: &Zone| -> ProviderError {
        provider(&stand.api, key).apply(zone, &[add(&name("refused"), "v")]).await.unwrap_err()
    };
    for (key, kind, words) in [
        (stand.api.service().wrong_key_file(account, &stand.api.url()), Kind::Auth, "invalid_grant"),
        (key(&stand.api, &[Access::Zone(strange.id.unwrap())]), Kind::Permission, "forbidden"),
        (key(&stand.api, &[Access::Sets(stand.id().to_owned(), other)]), Kind::Permission, "forbidden"),
        ("no key".to_owned(), Kind::Auth, "no key of a service account"),
    ] {
        let error = refusal(&key, &stand.zone).await;
        assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
        assert!(!format!("{error} {error:?}").contains("ya29"), "{error}");
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
    troubles_are_clear_errors(&stand.api, provider.as_ref(), &stand.zone, &token).await;
}

#[tokio::test]
async fn an_audit_tells_exact_wide_and_narrow_credentials_apart() {
    let stand = stand();
    let other = stand.api.zone("other.test");
    let id = stand.id().to_owned();
    let need = |host: &str| ScopeNeed { zone: stand.zone.clone(), name: name(host) };
    let needs = [need("a"), need("b")];
    let set = |host: &str, kind: &str| (name(host).as_str().to_owned(), kind.to_owned());
    let exact = vec![set("a", "TXT"), set("b", "TXT")];
    let types = [&exact[..], &[set("a", "MX")]].concat();
    stand.api.add(&id, name("a").as_str(), "TXT", 300, "\"somebody else's\"");
    let before = stand.api.txt(&id, name("a").as_str());
    let audit = async |access: &[Access]| {
        provider(&stand.api, &key(&stand.api, access)).audit_scope(&needs).await.unwrap()
    };
    let more = |report: ScopeReport| match report {
        ScopeReport::MoreThanNeeded { findings } => findings.join("; "),
        other => panic!("{other:?}"),
    };

    let report = audit(&[Access::Sets(id.clone(), exact.clone())]).await;
    let ScopeReport::ExactlyEnough { probed } = report else { panic!("{report:?}") };
    assert_eq!(probed.len(), 5, "{probed:?}");
    let report = audit(&[Access::List, Access::Sets(id.clone(), exact.clone())]).await;
    assert!(matches!(report, ScopeReport::ExactlyEnough { .. }), "{report:?}");

    let report = audit(&[Access::Sets(id.clone(), exact[..1].to_vec())]).await;
    let ScopeReport::NotEnough { findings } = report else { panic!("{report:?}") };
    assert!(findings[0].contains(name("b").as_str()), "{findings:?}");
    let report = audit(&[Access::Zone(other.clone())]).await;
    assert!(matches!(report, ScopeReport::NotEnough { .. }), "{report:?}");

    assert!(more(audit(&[Access::Sets(id.clone(), types)]).await).contains("other types"));
    assert!(more(audit(&[Access::Zone(id.clone())]).await).contains("any name of the zone"));
    let all = more(audit(&[Access::Project]).await);
    assert!(all.contains("delete the zone") && all.contains("`other.test`"), "{all}");
    assert_eq!(stand.api.txt(&id, name("a").as_str()), before, "nothing was changed");
}

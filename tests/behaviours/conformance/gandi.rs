//! Gandi against its fake, which an independent client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, adds, assert_no_such_zone, assert_refused, exactly_enough, literal, name,
    named, printed_by, too_little, too_much, zone_by_name,
};
use super::table;
use dns01_provider::{DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeReport, Settings, TxtValue};
use dns01_provider_gandi::PLUGIN;
use dns01_tests::fake_dns_api::gandi::Gandi;
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, clients};
use std::sync::Arc;

type Stand = super::fake::Stand<Gandi, str>;

/// The fake with one zone and the smallest token.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Gandi::new()).unwrap();
    let id = api.zone(ZONE);
    let token = api.service().token(&Gandi::SMALLEST, &[ZONE]);
    Stand::new(api, id, token, provider).known_as(ZONE)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Gandi>, token: &str) -> Arc<dyn DnsProvider> {
    build(api, "access_token", token, true)
}

fn build(api: &FakeDnsApi<Gandi>, key: &str, secret: &str, told: bool) -> Arc<dyn DnsProvider> {
    let base = format!("{}/v5/livedns", api.url());
    let mut settings = Settings::default().with(key, literal(secret)).with("base_url", base);
    if told {
        settings = settings.with("id_url", api.url());
    }
    (PLUGIN.build)(settings).unwrap()
}

impl Stand {
    /// Somebody else's value in the form in which the service shows it.
    fn foreign(&self, name: &str, value: &str) {
        self.api.add(&self.id, name, "TXT", 3607, value);
        self.api.edit(|held| {
            let zone = held.zones.iter_mut().find(|zone| zone.name == ZONE).unwrap();
            zone.records.last_mut().unwrap().form = format!("\"{value}\"");
        });
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_gandis_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    stand.key = stand.api.service().token(&Gandi::SMALLEST, &[ZONE, SUB_ZONE]);
    let run = Run {
        sub_zone: zone_by_name(&stand.api, SUB_ZONE),
        stand,
        wrong: Gandi::unknown_token(0),
        busy,
        listing: "GET /v5/livedns/domains",
        forms: &[TxtValue::presentation],
    };
    let secrets = [run.stand.key.as_str(), &run.wrong];
    table::assert_all_kept(&run.proven_by("dns-lexicon 3.25.2", "gandi", &secrets)).await;
}

/// An independent Python client adds two values, lists them and removes one; what it sees and
/// what the fake holds agree.
#[test]
fn an_independent_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import os, sys
from lexicon._private.providers.gandi import Provider
from lexicon.config import ConfigResolver
from requests.exceptions import HTTPError
base, zone, name = sys.argv[1:]
def client(token, domain=zone):
    options = {"provider_name": "gandi", "domain": domain, "ttl": 300}
    options["gandi"] = {"auth_token": token, "api_protocol": "rest"}
    provider = Provider(ConfigResolver().with_dict(options))
    provider.api_endpoint = f"{base}/v5/livedns"
    provider.authenticate()
    return provider
gandi = client(os.environ["TOKEN"])
for value in ("one", "two"):
    gandi.create_record("TXT", name, value)
print([(record["name"], record["content"], record["ttl"]) for record in gandi.list_records("TXT", name)])
gandi.delete_record(rtype="TXT", name=name, content="one")
print([record["content"] for record in gandi.list_records("TXT")])
path = f"/domains/{zone}/records/_acme-challenge.independent/TXT"
for attempt in (lambda: gandi._post(path, {"rrset_values": ["other"]}),
                lambda: gandi._put(path, {"rrset_values": ["v"], "rrset_ttl": 299}),
                lambda: gandi._put(path, {"rrset_values": []}),
                lambda: gandi._put(f"/domains/{zone}/records/aliased/TXT", {"rrset_values": ["v"]}),
                lambda: gandi._delete(f"/domains/{zone}/records/absent/TXT"),
                lambda: client(os.environ["TOKEN"], "other.test"),
                lambda: client("f" * 40)):
    try:
        attempt()
        print("done")
    except HTTPError as error:
        told = error.response.json()
        print(error.response.status_code, told.get("message") or told["errors"][0]["description"])
"#;
    let Some(python) = clients("the proof of Gandi's fake by dns-lexicon") else { return };
    let stand = stand();
    stand.api.add(&stand.id, &format!("aliased.{ZONE}"), "CNAME", 300, "elsewhere.test.");
    let arguments = [&*stand.api.url(), ZONE, "_acme-challenge.independent"];
    let lines = printed_by(&python, SCRIPT, &arguments, &[("TOKEN", &stand.key)]);
    let expected = [
        "[('_acme-challenge.independent.example.test', 'one', 300), ('_acme-challenge.independent.example.test', 'two', 300)]",
        "['two']",
        "409 A DNS Record already exists with another value",
        "400 must be between 300 and 2592000",
        "400 shorter than minimum length 1",
        "400 a CNAME record already exists for this name",
        "404 Can't find the DNS record",
        "403 Access was denied to this resource.",
        "401 The server could not verify that you authorized to access the document you requested.",
    ];
    assert_eq!(lines, expected);
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn a_hundred_names_cost_little_more_than_a_hundred_requests_each_way() {
    let stand = stand();
    let requests = 1 + 100 + 1;
    assert_eq!(stand.each_way(100).await, (requests, requests), "{:?}", stand.api.requests());
}

#[tokio::test]
async fn a_large_zone_is_read_over_all_its_pages() {
    let stand = stand();
    for number in 0..250 {
        stand.foreign(&format!("host{number}.{ZONE}"), "somebody else's");
    }
    let three = ["a", "b", "c"].map(name);
    for name in &three {
        stand.foreign(name.as_str(), "w");
    }
    stand.provider().apply(&stand.zone, &adds(&three, "v")).await.unwrap();
    for name in &three {
        assert_eq!(stand.set(name), (3607, vec!["w".to_owned(), "v".to_owned()]));
    }
    // Sets with others' values are read again right before they are written.
    assert_eq!(stand.api.requests().len(), 3 + 3 + 3 + 3, "{:?}", stand.api.requests());
}

#[tokio::test]
async fn a_value_that_another_program_overwrote_is_written_again_and_at_last_given_up() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("overwritten"));
    stand.foreign(here.as_str(), "foreign");
    stand.api.service().overwrite(2);
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["foreign", "v"]);
    stand.api.service().overwrite(100);
    let error = provider.apply(&stand.zone, &[add(&here, "w")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, true), "{error}");
    assert!(error.hint().unwrap().contains("compare-and-set"), "{error}");
}

#[tokio::test]
async fn a_first_value_does_not_overwrite_that_of_somebody_quicker() {
    let stand = stand();
    let here = name("quicker");
    stand.api.service().be_quicker("theirs");
    stand.provider().apply(&stand.zone, &[add(&here, "ours")]).await.unwrap();
    assert_eq!(stand.set(&here), (3607, vec!["theirs".to_owned(), "ours".to_owned()]));
}

#[tokio::test]
async fn a_set_whose_name_has_capitals_is_addressed_as_it_stands_there() {
    let stand = stand();
    let capitals = format!("_ACME-Challenge.capitals.{ZONE}");
    stand.foreign(&capitals, "foreign");
    let batch = [add(&name("capitals"), "v"), add(&name("x"), "v"), add(&name("y"), "v")];
    stand.provider().apply(&stand.zone, &batch).await.unwrap();
    assert_eq!(stand.api.txt(&stand.id, &capitals).1, ["foreign", "v"]);
    assert!(stand.values(&name("capitals")).is_empty());
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let provider = stand.provider();
    let empty = Answer::json(200, &serde_json::json!([]));
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(empty)).await;
    assert_eq!(stand.values(&name("lost")), ["v"]);
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn domains_are_listed_over_all_pages_and_an_api_key_works() {
    let stand = stand();
    for number in 0..230 {
        let _id = stand.api.zone(&format!("zone{number}.test"));
    }
    let owner = build(&stand.api, "api_key", &Gandi::key(), true);
    let Listing::Listed(zones) = owner.zones().await.unwrap() else { panic!("a list") };
    assert_eq!((zones.len(), &zones[0]), (231, &named(ZONE)));
    owner.apply(&stand.zone, &[add(&name("key"), "v")]).await.unwrap();
    assert_eq!(stand.values(&name("key")), ["v"]);
    let other = stand.api.service().token(&["certificate:view"], &[]);
    assert_eq!(stand.with(&other).zones().await.unwrap(), Listing::NotAvailable);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let service = stand.api.service();
    let (viewer, elsewhere) =
        (service.token(&["domain:view"], &[ZONE]), service.token(&Gandi::SMALLEST, &["strange.test"]));
    for (token, kind, words) in [
        ("short", Kind::Auth, "could not verify"),
        (&Gandi::unknown_token(0), Kind::Auth, "could not verify"),
        (&service.expired_token(), Kind::Permission, "denied"),
        (&viewer, Kind::Permission, "denied"),
        (&elsewhere, Kind::Permission, "denied"),
    ] {
        assert_refused(&stand.refusal(stand.with(token).as_ref()).await, kind, words, token);
    }
    let all = stand.with(&service.token(&Gandi::SMALLEST, &[]));
    assert_no_such_zone(all.as_ref(), &named("other.test"), &Fqdn::parse("x.other.test").unwrap()).await;
    let error = stand.refusal_beside_a_cname().await;
    assert!(error.hint().unwrap().contains("CNAME"), "{error}");

    stand.troubles_are_clear_errors(stand.provider().as_ref(), &stand.key).await;
}

#[tokio::test]
async fn a_scope_audit_finds_what_is_too_much_and_what_is_missing() {
    let stand = stand();
    let _id = stand.api.zone("other.test");
    let service = stand.api.service();
    let needs = [stand.need("audited")];
    let audit = async |token: &str| stand.audit(token, &needs).await;
    let probed = exactly_enough(audit(&stand.key).await);
    assert!(probed.iter().any(|probe| probe.contains("ends in 90 days")), "{probed:?}");

    let wide = service.token(&["domain:tech", "domain:renew"], &[]);
    let findings = too_much(audit(&wide).await);
    for words in ["`other.test`", "`domain:renew`", "not kept to a domain"] {
        assert!(findings.iter().any(|one| one.contains(words)), "{words}: {findings:?}");
    }
    let viewer = service.token(&["domain:view"], &[ZONE]);
    let findings = too_little(audit(&viewer).await);
    assert!(findings.iter().any(|one| one.contains("`domain:tech`")), "{findings:?}");
    let elsewhere = service.token(&Gandi::SMALLEST, &["other.test"]);
    let findings = too_little(audit(&elsewhere).await);
    assert!(findings[0].contains("does not reach"), "{findings:?}");

    let owner = build(&stand.api, "api_key", &Gandi::key(), true).audit_scope(&needs).await.unwrap();
    let findings = too_much(owner);
    assert!(findings.iter().any(|one| one.contains("API key")), "{findings:?}");

    // A token that may list no domain can still reach its own.
    stand.api.fault(Fault::Instead(Answer::json(200, &serde_json::json!([]))));
    exactly_enough(audit(&stand.key).await);

    // Where nobody tells about tokens, other parts of the API are tried.
    let untold = build(&stand.api, "access_token", &stand.key, false).audit_scope(&needs).await.unwrap();
    assert!(matches!(untold, ScopeReport::CannotTell { .. }), "{untold:?}");
    let viewer = service.token(&["domain:tech", "domain:view"], &[ZONE]);
    let seen = build(&stand.api, "access_token", &viewer, false).audit_scope(&needs).await.unwrap();
    assert_eq!(too_much(seen), ["it may read `domain/domains`"]);
}

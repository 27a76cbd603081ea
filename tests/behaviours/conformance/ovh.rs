//! OVHcloud against its fake, which the vendor's own client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, adds, assert_refused, literal, name, named, names, printed_by, removals,
    remove, too_little, too_much, zone_by_name,
};
use super::table;
use dns01_provider::{DnsProvider, Listing, ProviderErrorKind, Settings, TxtValue, Zone};
use dns01_provider_ovh::PLUGIN;
use dns01_tests::fake_dns_api::ovh::{ACTIONS, Keys, Ovh, State, rules};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, clients};
use std::sync::Arc;

type Stand = super::fake::Stand<Ovh, Keys>;

/// The fake with one zone and keys with the smallest rules for it. What the fake holds is what
/// is served, not what is held back.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Ovh::new()).unwrap();
    let id = api.zone(ZONE);
    let keys = api.service().keys(&rules(ZONE), State::Validated);
    Stand::new(api, id, keys, provider).known_as(ZONE)
}

fn settings(api: &FakeDnsApi<Ovh>) -> Settings {
    Settings::default().with("endpoint", format!("{}/1.0", api.url()))
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Ovh>, keys: &Keys) -> Arc<dyn DnsProvider> {
    let settings = settings(api)
        .with("application_key", literal(&keys.application))
        .with("application_secret", literal(&keys.secret))
        .with("consumer_key", literal(&keys.consumer));
    (PLUGIN.build)(settings).unwrap()
}

fn account(api: &FakeDnsApi<Ovh>, (id, secret): &(String, String)) -> Arc<dyn DnsProvider> {
    let settings = settings(api)
        .with("token_url", format!("{}/auth/oauth2/token", api.url()))
        .with("client_id", id.as_str())
        .with("client_secret", literal(secret));
    (PLUGIN.build)(settings).unwrap()
}

impl Stand {
    fn count(&self, what: &str) -> usize {
        self.api.requests().iter().filter(|line| line.starts_with(what)).count()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_ovhs_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    let both = [rules(ZONE), rules(SUB_ZONE)].concat();
    stand.key = stand.api.service().keys(&both, State::Validated);
    let run = Run {
        sub_zone: zone_by_name(&stand.api, SUB_ZONE),
        wrong: Keys { secret: "wrong-secret-of-nobody".to_owned(), ..stand.key.clone() },
        stand,
        busy,
        listing: "GET /1.0/domain/zone",
        // Bare values are what older tools wrote.
        forms: &[TxtValue::presentation, TxtValue::to_string],
    };
    let keys = &run.stand.key;
    let secrets = [keys.secret.as_str(), &keys.consumer, &keys.application, &run.wrong.secret];
    table::assert_all_kept(&run.proven_by("ovh 1.2.0", "ovh", &secrets)).await;
}

/// The vendor's Python client adds two values, lists them and removes one, with signed requests
/// and as a service account.
#[test]
fn the_vendors_own_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import sys
import ovh, ovh.client
from ovh.exceptions import APIError
url, zone, key, secret, consumer, account, password = sys.argv[1:]
ovh.client.ENDPOINTS["loop"] = url + "/1.0"
ovh.client.OAUTH2_TOKEN_URLS["loop"] = url + "/auth/oauth2/token"
signed = ovh.Client(endpoint="loop", application_key=key, application_secret=secret, consumer_key=consumer)
service = ovh.Client(endpoint="loop", client_id=account, client_secret=password)
at, here = f"/domain/zone/{zone}", "_acme-challenge.independent"
new = lambda client, target, **more: client.post(at + "/record", **{"fieldType": "TXT", "subDomain": here, "target": target, "ttl": 60, **more})
one = new(signed, "one")
two = new(service, '"two"')
print(one["target"], two["target"], one["subDomain"], one["ttl"])
ids = signed.get(at + "/record", fieldType="TXT", subDomain=here)
print(ids == [one["id"], two["id"]], sorted(service.get(f"{at}/record/{i}")["target"] for i in ids))
signed.post(at + "/refresh")
print(service.delete(f"{at}/record/{one['id']}"))
service.post(at + "/refresh")
print([(r["method"], r["path"].replace(zone, "Z")) for r in signed.get("/auth/currentCredential")["rules"]][-1])
checked = service.post(f"/v2/iam/resource/urn:v1:eu:resource:dnsZone:{zone}/authorization/check", actions=["dnsZone:apiovh:refresh", "dnsZone:apiovh:reset"])
print(checked["authorizedActions"], checked["unauthorizedActions"])
client = lambda **keys: ovh.Client(endpoint="loop", **{"application_key": key, "application_secret": secret, "consumer_key": consumer, **keys})
for attempt in (lambda: signed.delete(f"{at}/record/{one['id']}"),
                lambda: signed.get("/domain/zone"),
                lambda: service.get("/domain/zone/other.test/record"),
                lambda: new(signed, "v", ttl=59),
                lambda: new(signed, "v", ttl="60"),
                lambda: new(signed, "v", more=1),
                lambda: client(application_secret="x").get(at + "/record"),
                lambda: client(application_key="x").get(at + "/record"),
                lambda: client(consumer_key="x").get(at + "/record")):
    try:
        print("done", attempt())
    except APIError as error:
        print(type(error).__name__)
"#;
    let Some(python) = clients("the proof of OVH's fake by the vendor's client") else { return };
    let stand = stand();
    let (id, secret) = stand.api.service().account(&[ZONE], &ACTIONS);
    let keys = &stand.key;
    let arguments = [&*stand.api.url(), ZONE, &keys.application, &keys.secret, &keys.consumer, &id, &secret];
    let lines = printed_by(&python, SCRIPT, &arguments, &[("OAUTHLIB_INSECURE_TRANSPORT", "1")]);
    assert_eq!(
        lines,
        [
            r#""one" "two" _acme-challenge.independent 60"#,
            r#"True ['"one"', '"two"']"#,
            "None",
            "('POST', '/domain/zone/Z/refresh')",
            "['dnsZone:apiovh:refresh'] ['dnsZone:apiovh:reset']",
            "ResourceNotFoundError",
            "NotGrantedCall",
            "APIError",
            "BadParametersError",
            "BadParametersError",
            "BadParametersError",
            "BadParametersError",
            "InvalidKey",
            "InvalidCredential",
        ]
    );
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn a_hundred_names_cost_two_calls_each_to_add_and_one_to_remove() {
    let stand = stand();
    let provider = stand.provider();
    let names = names(100);
    provider.apply(&stand.zone, &adds(&names, "v")).await.unwrap();
    let refreshes = || stand.count(&format!("POST /1.0/domain/zone/{ZONE}/refresh"));
    assert_eq!(refreshes(), 1);
    // Those that begin at the same time may all ask for the time.
    let clocks = stand.count("GET /1.0/auth/time");
    assert!((1..=4).contains(&clocks), "{clocks}");
    assert_eq!(stand.api.requests().len(), clocks + 200 + 1);
    assert!(stand.all_hold(&names, &["v"]));
    provider.apply(&stand.zone, &removals(&names, "v")).await.unwrap();
    assert_eq!((stand.api.requests().len(), refreshes()), (clocks + 201 + 101, 2));
    assert!(stand.all_hold(&names, &[]));
}

#[tokio::test]
async fn another_process_removes_what_one_made_and_nothing_that_only_looks_alike() {
    let stand = stand();
    let here = name("alike");
    stand.provider().apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    // `_` is a joker in the service's filters.
    let alike = here.as_str().replacen('_', "x", 1);
    stand.api.add(&stand.id, &alike, "TXT", 300, "v");
    let other = stand.provider();
    assert_eq!(
        other.values(&stand.zone, &here).await.unwrap(),
        Listing::Listed(vec![TxtValue::parse("v").unwrap()])
    );
    other.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
    assert_eq!(stand.api.txt(&stand.id, &alike).1, ["v"]);
}

#[tokio::test]
async fn a_record_that_went_behind_our_back_is_success_and_its_twins_go_too() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("behind"));
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    stand.api.edit(|held| held.zones[0].records.clear());
    for _ in 0..2 {
        stand.api.add(&stand.id, here.as_str(), "TXT", 300, "v");
    }
    provider.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    stand.api.edit(|held| held.zones[0].records.clear());
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"], "what was made once is looked for all the same");
}

#[tokio::test]
async fn what_was_not_published_is_published_by_the_repetition() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("held-back"));
    stand.api.service().fail_refreshes(1);
    let error = provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(stand.values(&here).is_empty());
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"]);
}

#[tokio::test]
async fn a_lost_reply_doubles_no_record() {
    let stand = stand();
    let provider = stand.provider();
    provider.values(&stand.zone, &name("lost")).await.unwrap();
    let empty = Answer::json(200, &serde_json::json!([]));
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(empty)).await;
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn the_services_clock_is_followed_and_tokens_are_fetched_anew() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("clock"));
    for (ahead, value) in [(-7200, "a"), (7200, "b")] {
        stand.api.service().set_clock(ahead);
        for _ in 0..2 {
            provider.apply(&stand.zone, &[add(&here, value)]).await.unwrap();
        }
    }
    assert_eq!(stand.count("GET /1.0/auth/time"), 2);

    let account = account(&stand.api, &stand.api.service().account(&[ZONE], &ACTIONS));
    account.apply(&stand.zone, &[add(&here, "c")]).await.unwrap();
    assert_eq!(stand.count("POST /auth/oauth2/token"), 1);
    stand.api.service().end_tokens();
    account.apply(&stand.zone, &[add(&here, "d")]).await.unwrap();
    assert_eq!(stand.count("POST /auth/oauth2/token"), 2);
    let token = stand.api.service().tokens().pop().unwrap();
    let made = (PLUGIN.build)(settings(&stand.api).with("access_token", literal(&token))).unwrap();
    made.apply(&stand.zone, &[add(&here, "e")]).await.unwrap();
    assert_eq!(stand.values(&here), ["a", "b", "c", "d", "e"]);
    assert_eq!(made.zones().await.unwrap(), Listing::Listed(vec![named(ZONE)]));
    assert_eq!(provider.zones().await.unwrap(), Listing::NotAvailable);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_key() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let service = stand.api.service();
    let keys = |change: fn(&mut Keys)| {
        let mut keys = stand.key.clone();
        change(&mut keys);
        stand.with(&keys)
    };
    let ruled = |zone: &str, state| stand.with(&service.keys(&rules(zone), state));
    let wrong = account(&stand.api, &("EU.nobody".to_owned(), "hunter2-secret".to_owned()));
    let narrow = account(&stand.api, &service.account(&[ZONE], &ACTIONS[..1]));
    for (provider, kind, words) in [
        (keys(|keys| keys.secret = "hunter2-secret".to_owned()), Kind::Auth, "INVALID_SIGNATURE"),
        (keys(|keys| keys.application = "hunter2-secret".to_owned()), Kind::Auth, "INVALID_KEY"),
        (keys(|keys| keys.consumer = "hunter2-secret".to_owned()), Kind::Auth, "INVALID_CREDENTIAL"),
        (ruled(ZONE, State::Pending), Kind::Auth, "NOT_CREDENTIAL"),
        (ruled(ZONE, State::Expired), Kind::Auth, "NOT_CREDENTIAL"),
        (ruled("other.test", State::Validated), Kind::Permission, "NOT_GRANTED_CALL"),
        (wrong, Kind::Auth, "invalid_client"),
        (narrow, Kind::Permission, "dnsZone:apiovh:record/create"),
    ] {
        assert_refused(&stand.refusal(provider.as_ref()).await, kind, words, "hunter2");
    }
    let everything = ["GET", "POST"].map(|method| (method, "/*".to_owned()));
    let all = stand.with(&service.keys(&everything, State::Validated));
    for wrong in ["absent.test", "../me", ""] {
        let wrong_id = Zone { id: Some(wrong.to_owned()), ..stand.zone.clone() };
        let error = all.apply(&wrong_id, &[add(&name("x"), "v")]).await.unwrap_err();
        assert_eq!((error.kind(), error.hint().is_some()), (Kind::NotFound, true), "{error}");
    }

    let provider = stand.provider();
    // Half of a long list is none; half of an empty one would be.
    let values: Vec<_> = (0..4).map(|number| add(&name("trouble"), &format!("v{number}"))).collect();
    provider.apply(&stand.zone, &values).await.unwrap();
    stand.troubles_are_clear_errors(provider.as_ref(), &stand.key.secret).await;
}

#[tokio::test]
async fn an_audit_tells_wide_and_narrow_credentials_apart() {
    let stand = stand();
    let _other = stand.api.zone("other.test");
    let service = stand.api.service();
    let needs = [stand.need("a")];
    let audit =
        async |rules: &[(&str, String)]| stand.audit(&service.keys(rules, State::Validated), &needs).await;
    let smallest = too_much(stand.audit(&stand.key, &needs).await);
    assert_eq!(smallest.len(), 2, "the zone itself, and that it works from everywhere: {smallest:?}");
    let wide = [rules(ZONE), vec![("PUT", "/*".to_owned())]].concat();
    let wide = too_much(audit(&wide).await);
    assert!(wide.iter().any(|finding| finding.contains("PUT `/*`")), "{wide:?}");
    let findings = too_little(audit(&rules(ZONE)[..3]).await);
    assert!(findings[0].contains("refresh"), "{findings:?}");

    let by = async |zones: &[&str], actions: &[&str]| {
        let account = account(&stand.api, &service.account(zones, actions));
        account.audit_scope(&needs).await.unwrap()
    };
    assert_eq!(too_much(by(&[ZONE], &ACTIONS).await).len(), 1);
    let wide = [&ACTIONS[..], &["dnsZone:apiovh:reset"]].concat();
    let wide = too_much(by(&[ZONE, "other.test"], &wide).await).join("; ");
    assert!(wide.contains("reset") && wide.contains("`other.test`"), "{wide}");
    let findings = too_little(by(&[ZONE], &ACTIONS[1..]).await);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(stand.api.requests().iter().all(|line| !line.contains("/record")), "an audit touches no record");
}

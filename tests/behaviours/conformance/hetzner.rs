//! Hetzner against its fake, which the vendor's own client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, assert_no_such_zone, assert_refused, exactly_enough, literal, name, named,
    printed_by, remove, too_little, too_much, zone,
};
use super::table;
use dns01_provider::{
    Applied, DnsProvider, Fqdn, Listing, ProviderErrorKind, Published, Receipt, ScopeNeed, Settings,
    TxtValue, Zone,
};
use dns01_provider_hetzner::PLUGIN;
use dns01_tests::fake_dns_api::hetzner::{Access, Hetzner};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Stand = super::fake::Stand<Hetzner, str>;

/// The fake with one zone and a token that may write.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Hetzner::new()).unwrap();
    let id = api.zone(ZONE);
    let token = api.service().token(Access::Write);
    Stand::new(api, id, token, provider)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Hetzner>, token: &str) -> Arc<dyn DnsProvider> {
    let settings = Settings::default().with("api_token", literal(token)).with("base_url", api.url());
    (PLUGIN.build)(settings).unwrap()
}

/// A list without any RRset.
fn empty_list() -> Answer {
    let pagination = serde_json::json!({ "next_page": null, "total_entries": 0 });
    Answer::json(200, &serde_json::json!({ "rrsets": [], "meta": { "pagination": pagination } }))
}

impl Stand {
    /// The next list shows no RRset, as if the next change came after somebody else's.
    fn hide_once(&self) {
        self.api.fault(Fault::Instead(empty_list()));
    }
}

fn refusal(status: u16, code: &str) -> Fault {
    let error = serde_json::json!({ "code": code, "message": "not now" });
    Fault::Instead(Answer::json(status, &serde_json::json!({ "error": error })))
}

/// Others may cut a value into more strings than it needs.
fn cut(value: &TxtValue) -> String {
    let (first, rest) = value.as_str().split_at(1);
    format!("\"{first}\" \"{rest}\"")
}

#[tokio::test]
async fn the_promises_are_kept_at_hetzners_fake() {
    let (stand, busy) = (stand(), stand().refusing_all());
    let run = Run {
        sub_zone: zone(&stand.api, SUB_ZONE),
        stand,
        wrong: Hetzner::unknown_token(0),
        busy,
        listing: "GET /zones",
        forms: &[TxtValue::presentation, cut],
    };
    let secrets = [run.stand.key.as_str(), &run.wrong];
    table::assert_all_kept(&run.proven_by("hcloud 2.27.0", "hetzner", &secrets)).await;
}

/// The vendor's Python client adds two values, lists them and removes one; what it sees and
/// what the fake holds agree.
#[test]
fn the_vendors_own_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import os, sys
from hcloud import APIException, Client
from hcloud.zones import Zone, ZoneRecord, ZoneRRSet
base, zone, name = sys.argv[1:]
client = lambda token: Client(token=token, api_endpoint=base, poll_interval=0.05)
hetzner = client(os.environ["TOKEN"])
print([found.name for found in hetzner.zones.get_all()], hetzner.zones.get(zone).mode)
rrset = ZoneRRSet(name=name, type="TXT", zone=Zone(name=zone))
record = lambda value: ZoneRecord(value=f'"{value}"')
for value in ("one", "two"):
    action = hetzner.zones.add_rrset_records(rrset, [record(value)], ttl=60)
    action.wait_until_finished()
    print(action.command, action.status)
(listed,) = hetzner.zones.get_rrset_all(Zone(name=zone), name=name, type=["TXT"])
print(listed.ttl, sorted(one.value for one in listed.records))
hetzner.zones.remove_rrset_records(rrset, [record("one")]).wait_until_finished()
print([one.value for one in hetzner.zones.get_rrset(Zone(name=zone), name, "TXT").records])
aliased = ZoneRRSet(name="aliased", type="TXT", zone=Zone(name=zone))
reader = client(os.environ["READER"])
for attempt in (lambda: hetzner.zones.add_rrset_records(rrset, [record("two")]),
                lambda: hetzner.zones.add_rrset_records(rrset, [record("three")], ttl=61),
                lambda: hetzner.zones.add_rrset_records(rrset, [ZoneRecord(value="bare")]),
                lambda: hetzner.zones.add_rrset_records(aliased, [record("v")]),
                lambda: hetzner.zones.remove_rrset_records(rrset, [record("one")]),
                lambda: hetzner.zones.get("other.test"),
                lambda: reader.zones.add_rrset_records(rrset, [record("v")]),
                lambda: client("short").zones.get_all()):
    try:
        attempt()
        print("done")
    except APIException as error:
        print(error.code, error.message)
"#;
    let Some(python) = clients("the proof of Hetzner's fake by the vendor's client") else { return };
    let stand = stand();
    stand.api.add(&stand.id, &format!("aliased.{ZONE}"), "CNAME", 300, "elsewhere.test.");
    let reader = stand.api.service().token(Access::Read);
    let environment = [("TOKEN", &*stand.key), ("READER", &reader)];
    let arguments = [&*stand.api.url(), ZONE, "_acme-challenge.independent"];
    let lines = printed_by(&python, SCRIPT, &arguments, &environment);
    let expected = [
        "['example.test'] primary",
        "add_rrset_records success",
        "add_rrset_records success",
        r#"60 ['"one"', '"two"']"#,
        r#"['"two"']"#,
        "invalid_input duplicate value '\"two\"'",
        "invalid_input the TTL must be that of the RRSet",
        "invalid_input a TXT value is quoted strings of at most 255 characters each",
        "invalid_input a CNAME RRSet exists for this name",
        "invalid_input value not found",
        "not_found zone not found",
        "token_readonly only GET is allowed with a read-only token",
        "unauthorized the provided token is invalid",
    ];
    assert_eq!(lines, expected);
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn a_hundred_names_cost_little_more_than_a_hundred_requests_each_way() {
    let stand = stand();
    // One list, a request a name, and twice a look at all actions, fifty at a time.
    let requests = 1 + 100 + 2 * 2;
    assert_eq!(stand.each_way(100).await, (requests, requests), "{:?}", stand.api.requests());
}

#[tokio::test]
async fn a_zone_with_more_pages_than_names_is_not_read_whole() {
    let stand = stand();
    for number in 0..500 {
        stand.api.add(&stand.id, &format!("host{number}.{ZONE}"), "TXT", 300, "somebody else's");
    }
    let three = [add(&name("a"), "v"), add(&name("b"), "v"), add(&name("c"), "v")];
    stand.provider().apply(&stand.zone, &three).await.unwrap();
    let changes = stand.api.requests().iter().filter(|line| line.starts_with("POST")).count();
    let lists = stand.api.count(&format!("GET /zones/{}/rrsets", &stand.id));
    assert_eq!((lists, changes), (1 + 3, 3), "a first page, three looks");
}

#[tokio::test]
async fn what_somebody_else_did_between_look_and_change_is_found_by_another_look() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("raced"));
    // One of the two values, and another TTL, are there by the time of the change.
    stand.api.add(&stand.id, here.as_str(), "TXT", 3607, "v");
    stand.api.edit(|held| {
        let zone = held.zones.iter_mut().find(|zone| zone.name == ZONE).unwrap();
        zone.records.last_mut().unwrap().form = "\"v\"".to_owned();
    });
    stand.hide_once();
    provider.apply(&stand.zone, &[add(&here, "v"), add(&here, "w")]).await.unwrap();
    assert_eq!(stand.set(&here), (3607, vec!["v".to_owned(), "w".to_owned()]));
    stand.hide_once();
    provider.apply(&stand.zone, &[add(&here, "w")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v", "w"]);

    // The list still shows values that are gone.
    let records =
        serde_json::json!([{ "value": "\"v\"", "comment": "" }, { "value": "\"gone\"", "comment": "" }]);
    let rrset = serde_json::json!({ "name": "_acme-challenge.raced", "records": records });
    let pagination = serde_json::json!({ "next_page": null, "total_entries": 1 });
    let list = serde_json::json!({ "rrsets": [rrset], "meta": { "pagination": pagination } });
    stand.api.fault(Fault::Instead(Answer::json(200, &list)));
    provider.apply(&stand.zone, &[remove(&here, "gone"), remove(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["w"]);
}

#[tokio::test]
async fn a_change_waits_for_another_one_that_is_under_way() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("locked"));
    stand.hide_once();
    stand.api.fault(refusal(423, "locked"));
    stand.hide_once();
    stand.api.fault(refusal(409, "conflict"));
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"]);
}

#[tokio::test]
async fn a_change_that_the_service_takes_and_then_fails_is_an_error() {
    let stand = stand();
    stand.api.service().fail_actions();
    let error = stand.provider().apply(&stand.zone, &[add(&name("failed"), "v")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Unavailable, true), "{error}");
    assert!(error.to_string().contains("action_failed"), "{error}");
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let provider = stand.provider();
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(empty_list())).await;
    assert_eq!(stand.values(&name("lost")), ["v"]);
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn the_zones_own_status_tells_when_a_change_is_published() {
    let stand = stand();
    let provider = stand.provider();
    let Applied { receipt: Some(receipt), .. } =
        provider.apply(&stand.zone, &[add(&name("published"), "v")]).await.unwrap()
    else {
        panic!("a receipt")
    };
    assert_eq!(provider.published(&stand.zone, &receipt).await.unwrap(), Published::NotYet);
    assert_eq!(provider.published(&stand.zone, &receipt).await.unwrap(), Published::Yes);
    let broken = serde_json::json!({ "zone": { "id": 1, "name": ZONE, "status": "error" } });
    stand.api.fault(Fault::Instead(Answer::json(200, &broken)));
    let error = provider.published(&stand.zone, &Receipt("7".to_owned())).await.unwrap_err();
    assert!(error.to_string().contains("`error`"), "{error}");
}

#[tokio::test]
async fn zones_are_listed_over_all_pages_and_known_by_name_too() {
    let stand = stand();
    for number in 0..60 {
        let _id = stand.api.zone(&format!("zone{number}.test"));
    }
    let Listing::Listed(zones) = stand.provider().zones().await.unwrap() else { panic!("a list") };
    assert_eq!((zones.len(), &zones[0]), (61, &stand.zone));
    stand.provider().apply(&named(ZONE), &[add(&name("named"), "v")]).await.unwrap();
    assert_eq!(stand.values(&name("named")), ["v"]);
}

/// With few requests left they are sent as the service gives them back.
#[tokio::test]
async fn requests_come_slower_when_few_are_left() {
    let stand = stand();
    let provider = stand.provider();
    for _ in 0..2 {
        let scarce = empty_list().with("ratelimit-remaining".parse().unwrap(), "3");
        stand.api.fault(Fault::Instead(scarce));
    }
    let start = Instant::now();
    for _ in 0..4 {
        provider.values(&stand.zone, &name("scarce")).await.unwrap();
    }
    // The second takes the first place, the third waits a second, and the fourth is free again.
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_secs(1) && elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let reader = stand.api.service().token(Access::Read);
    for (token, kind, words) in [
        ("short", Kind::Auth, "unauthorized"),
        (&Hetzner::unknown_token(0), Kind::Auth, "unauthorized"),
        (&reader, Kind::Permission, "token_readonly"),
    ] {
        let error = stand.refusal(stand.with(token).as_ref()).await;
        assert_refused(&error, kind, words, token);
        assert!(error.to_string().contains("65bb1b30a8b8b4e5"), "the support asks for it: {error}");
    }
    let wrong_id = Zone { id: Some("999".to_owned()), ..stand.zone.clone() };
    assert_no_such_zone(stand.provider().as_ref(), &wrong_id, &name("x")).await;
    let before = stand.api.requests().len();
    let error = stand.refusal_beside_a_cname().await;
    assert!(error.hint().unwrap().contains("CNAME"), "{error}");
    assert_eq!(stand.api.requests().len() - before, 3, "a second look, and no second try");

    stand.troubles_are_clear_errors(stand.provider().as_ref(), &stand.key).await;
}

#[tokio::test]
async fn a_scope_audit_finds_what_is_too_much_and_what_is_missing_and_changes_nothing() {
    let stand = stand();
    stand.api.add(&stand.id, name("audited").as_str(), "TXT", 300, "somebody else's");
    let audit = async |token: &str| stand.audit(token, &[stand.need("audited")]).await;
    exactly_enough(audit(&stand.key).await);
    let reader = stand.api.service().token(Access::Read);
    let findings = too_little(audit(&reader).await);
    assert!(findings[0].contains("only read"), "{findings:?}");

    stand.api.service().own("servers");
    let _id = stand.api.zone("other.test");
    let findings = too_much(audit(&stand.key).await);
    assert!(findings.len() == 2 && findings[0].contains("`other.test`"), "{findings:?}");
    assert!(findings[1].contains("`servers` (1)"), "{findings:?}");

    let missing =
        ScopeNeed { zone: named("missing.test"), name: Fqdn::parse("_acme-challenge.missing.test").unwrap() };
    too_little(stand.audit(&stand.key, &[missing]).await);
    assert_eq!(stand.values(&name("audited")), ["somebody else's"]);
}

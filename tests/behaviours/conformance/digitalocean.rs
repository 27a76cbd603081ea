//! DigitalOcean against its fake, which an independent client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, adds, assert_no_such_zone, assert_refused, exactly_enough, literal, name, named,
    printed_by, removals, remove, too_little, too_much, zone_by_name,
};
use super::table;
use dns01_provider::{DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeNeed, Settings, TxtValue};
use dns01_provider_digitalocean::PLUGIN;
use dns01_tests::fake_dns_api::digitalocean::DigitalOcean;
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::Duration;

type Stand = super::fake::Stand<DigitalOcean, str>;

/// The fake with one zone and the smallest token.
fn stand() -> Stand {
    let api = FakeDnsApi::start(DigitalOcean::new()).unwrap();
    let id = api.zone(ZONE);
    let token = api.service().token(&DigitalOcean::SMALLEST);
    Stand::new(api, id, token, provider).known_as(ZONE)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<DigitalOcean>, token: &str) -> Arc<dyn DnsProvider> {
    let settings = Settings::default().with("api_token", literal(token)).with("base_url", api.url());
    (PLUGIN.build)(settings).unwrap()
}

#[tokio::test]
async fn the_promises_are_kept_at_digitaloceans_fake() {
    let (stand, busy) = (stand(), stand().refusing_all());
    let run = Run {
        sub_zone: zone_by_name(&stand.api, SUB_ZONE),
        stand,
        wrong: DigitalOcean::unknown_token(0),
        busy,
        listing: "GET /domains",
        forms: &[TxtValue::to_string],
    };
    let secrets = [run.stand.key.as_str(), &run.wrong];
    table::assert_all_kept(&run.proven_by("python-digitalocean 1.17.0", "digitalocean", &secrets)).await;
}

/// An independent Python client adds two values, lists them and removes one; what it sees and
/// what the fake holds agree.
#[test]
fn an_independent_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import os, sys
from digitalocean import Domain, Manager, DataReadError, NotFoundError
zone, name = sys.argv[1:]
token = os.environ["TOKEN"]
print(sorted(domain.name for domain in Manager(token=token).get_all_domains()))
domain = Domain(token=token, name=zone)
made = [domain.create_new_domain_record(type="TXT", name=name, data=value, ttl=60) for value in ("one", "two")]
print([(record["domain_record"]["data"], record["domain_record"]["ttl"]) for record in made])
records = [record for record in domain.get_records() if record.type == "TXT"]
print(sorted((record.name, record.data) for record in records))
next(record for record in records if record.data == "one").destroy()
print([record.data for record in domain.get_records()])
for attempt in (lambda: domain.create_new_domain_record(type="TXT", name=name, data="v", ttl=29),
                lambda: domain.create_new_domain_record(type="TXT", name="aliased", data="v", ttl=60),
                lambda: records[0].destroy(),
                lambda: Domain(token=token, name="other.test").get_records(),
                lambda: Domain(token="short", name=zone).get_records()):
    try:
        attempt()
        print("done")
    except (DataReadError, NotFoundError) as error:
        print(type(error).__name__, error)
"#;
    let Some(python) = clients("the proof of DigitalOcean's fake by python-digitalocean") else { return };
    let stand = stand();
    stand.api.add(&stand.id, &format!("aliased.{ZONE}"), "CNAME", 300, "elsewhere.test.");
    let base = format!("{}/", stand.api.url());
    let environment = [("DIGITALOCEAN_END_POINT", &*base), ("TOKEN", &stand.key)];
    let lines = printed_by(&python, SCRIPT, &[ZONE, "_acme-challenge.independent"], &environment);
    let expected = [
        "['example.test']",
        "[('one', 60), ('two', 60)]",
        "[('_acme-challenge.independent', 'one'), ('_acme-challenge.independent', 'two')]",
        "['elsewhere.test.', 'two']",
        "DataReadError TTL must be at least 30",
        "DataReadError CNAME records cannot share a name with other records",
        "NotFoundError ",
        "NotFoundError ",
        "DataReadError Unable to authenticate you",
    ];
    assert_eq!(lines, expected);
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn fifty_names_cost_fifty_one_requests_each_way() {
    let stand = stand();
    assert_eq!(stand.each_way(50).await, (51, 51), "{:?}", stand.api.requests());
}

#[tokio::test]
async fn a_zone_with_more_pages_than_names_is_not_read_whole() {
    let stand = stand();
    for number in 0..900 {
        stand.api.add(&stand.id, &format!("host{number}.{ZONE}"), "TXT", 300, "somebody else's");
    }
    let provider = stand.provider();
    let three = ["a", "b", "c"].map(name);
    provider.apply(&stand.zone, &adds(&three, "v")).await.unwrap();
    assert_eq!(stand.api.requests().len(), 1 + 3 + 3, "a first page, three looks, three adds");
    // Five pages are fewer than six names.
    let before = stand.api.requests().len();
    let six = [removals(&three, "v"), adds(&["d", "e", "f"].map(name), "v")].concat();
    provider.apply(&stand.zone, &six).await.unwrap();
    assert_eq!(stand.api.requests().len() - before, 5 + 6);
    assert!(stand.values(&name("a")).is_empty() && stand.values(&name("f")) == ["v"]);
}

#[tokio::test]
async fn a_record_that_slipped_between_two_pages_is_removed_all_the_same() {
    let stand = stand();
    let here = name("slipped");
    for number in 0..200 {
        stand.api.add(&stand.id, &format!("host{number}.{ZONE}"), "TXT", 300, "somebody else's");
    }
    stand.api.add(&stand.id, here.as_str(), "TXT", 300, "mine");
    let empty = |total: usize| {
        Fault::Instead(Answer::json(
            200,
            &serde_json::json!({ "domain_records": [], "links": {}, "meta": { "total": total } }),
        ))
    };
    // The record moved to the first page after that had been read.
    stand.api.fault(Fault::Instead(Answer::json(200, &first_page_of_strangers())));
    stand.api.fault(empty(200));
    let changes = [remove(&here, "mine"), remove(&name("x"), "v"), remove(&name("y"), "v")];
    stand.provider().apply(&stand.zone, &changes).await.unwrap();
    assert_eq!(stand.values(&here), [] as [&str; 0]);
}

fn first_page_of_strangers() -> serde_json::Value {
    let record =
        |id: u64| serde_json::json!({ "id": id, "type": "TXT", "name": "host", "data": "w", "ttl": 300 });
    let records: Vec<_> = (1..=200).map(record).collect();
    serde_json::json!({ "domain_records": records, "links": {}, "meta": { "total": 201 } })
}

#[tokio::test]
async fn the_same_record_twice_is_removed_twice_and_one_that_went_meanwhile_is_success() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("twice"));
    for _ in 0..2 {
        stand.api.add(&stand.id, here.as_str(), "TXT", 300, "v");
    }
    // The list shows a third one, which is gone when it is to be removed.
    let records: Vec<_> = [5_000_000_002_u64, 5_000_000_003, 5_000_000_999]
        .iter()
        .map(|id| serde_json::json!({ "id": id, "type": "TXT", "name": "_acme-challenge.twice", "data": "v", "ttl": 300 }))
        .collect();
    let list = serde_json::json!({ "domain_records": records, "links": {}, "meta": { "total": 3 } });
    stand.api.fault(Fault::Instead(Answer::json(200, &list)));
    provider.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), [] as [&str; 0], "{:?}", stand.api.requests());
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let provider = stand.provider();
    let empty = serde_json::json!({ "domain_records": [], "links": {}, "meta": { "total": 0 } });
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(Answer::json(200, &empty))).await;
    assert_eq!(stand.values(&name("lost")), ["v"]);
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn domains_are_listed_over_all_pages_by_a_token_that_may() {
    let stand = stand();
    for number in 0..210 {
        let _id = stand.api.zone(&format!("zone{number}.test"));
    }
    let Listing::Listed(zones) = stand.provider().zones().await.unwrap() else { panic!("a list") };
    assert_eq!(zones.len(), 211);
    assert_eq!(zones[0], named(ZONE));
    let writer = stand.api.service().token(&["domain:update"]);
    assert_eq!(stand.with(&writer).zones().await.unwrap(), Listing::NotAvailable);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let reader = stand.api.service().token(&["domain:read"]);
    for (token, kind, words) in [
        ("short", Kind::Auth, "unauthorized"),
        (&DigitalOcean::unknown_token(0), Kind::Auth, "unauthorized"),
        (&reader, Kind::Permission, "forbidden"),
    ] {
        assert_refused(&stand.refusal(stand.with(token).as_ref()).await, kind, words, token);
    }
    let other = Fqdn::parse("_acme-challenge.other.test").unwrap();
    let hints = assert_no_such_zone(stand.provider().as_ref(), &named("other.test"), &other).await;
    assert!(hints.len() == 2 && hints.iter().all(|hint| hint.contains("team")), "{hints:?}");
    stand.troubles_are_clear_errors(stand.provider().as_ref(), &stand.key).await;
}

#[tokio::test]
async fn the_hourly_limit_without_a_retry_after_is_waited_out_by_its_reset() {
    let stand = stand();
    let answer = Answer::json(429, &serde_json::json!({ "id": "too_many_requests", "message": "exceeded" }));
    let answer = answer.with("ratelimit-reset".parse().unwrap(), "9999999999");
    stand.api.fault(Fault::Instead(answer));
    let error = stand.provider().values(&stand.zone, &name("busy")).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::RateLimited, "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_scope_audit_finds_what_is_too_much_and_what_is_missing_and_changes_nothing() {
    let stand = stand();
    stand.api.add(&stand.id, &format!("www.{ZONE}"), "TXT", 300, "somebody else's");
    let audit = async |token: &str| stand.audit(token, &[stand.need("audited")]).await;
    exactly_enough(audit(&stand.key).await);

    let everything = stand.api.service().token(&DigitalOcean::EVERYTHING);
    let findings = too_much(audit(&everything).await);
    assert_eq!(findings.len(), 7, "{findings:?}");
    assert!(findings.iter().any(|one| one.contains("domain:delete")), "{findings:?}");

    let reader = stand.api.service().token(&["domain:read"]);
    let findings = too_little(audit(&reader).await);
    assert!(findings[0].contains("domain:update"), "{findings:?}");
    let blind = stand.api.service().token(&["domain:update"]);
    let findings = too_little(audit(&blind).await);
    assert!(findings[0].contains("domain:read"), "{findings:?}");

    let _id = stand.api.zone("other.test");
    let findings = too_much(audit(&stand.key).await);
    assert!(findings.len() == 1 && findings[0].contains("`other.test`"), "{findings:?}");
    let missing =
        ScopeNeed { zone: named("missing.test"), name: Fqdn::parse("_acme-challenge.missing.test").unwrap() };
    too_little(stand.audit(&stand.key, &[missing]).await);
    assert_eq!(stand.api.txt(&stand.id, &format!("www.{ZONE}")).1, ["somebody else's"]);
}

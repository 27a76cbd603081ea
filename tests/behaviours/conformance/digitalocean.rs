//! DigitalOcean against its fake, which an independent client has proven.

use super::fake::{Memory, ZONE, add, name, printed_by, remove, troubles_are_clear_errors, zone};
use super::table;
use dns01_provider::conformance::Subject;
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeNeed, ScopeReport, Settings, TxtChange, TxtValue,
    Zone, ZoneName,
};
use dns01_provider_digitalocean::PLUGIN;
use dns01_tests::fake_dns_api::digitalocean::DigitalOcean;
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::Duration;

/// A name in the zone where a CNAME stands.
const ALIASED: &str = "_acme-challenge.aliased.example.test";

struct Stand {
    api: Arc<FakeDnsApi<DigitalOcean>>,
    zone: Zone,
    id: String,
    token: String,
}

/// The service knows zones by their names.
fn named(api: &FakeDnsApi<DigitalOcean>, name: &str) -> (Zone, String) {
    let Zone { name, id } = zone(api, name);
    (Zone { id: Some(name.to_string()), name }, id.unwrap())
}

/// The fake with one zone and the smallest token.
fn stand() -> Stand {
    let api = Arc::new(FakeDnsApi::start(DigitalOcean::new()).unwrap());
    let (zone, id) = named(&api, ZONE);
    let token = api.service().token(&DigitalOcean::SMALLEST);
    Stand { api, zone, id, token }
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<DigitalOcean>, token: &str) -> Arc<dyn DnsProvider> {
    let secret = serde_json::json!({ "literal": token });
    (PLUGIN.build)(Settings::default().with("api_token", secret).with("base_url", api.url())).unwrap()
}

impl Stand {
    fn provider(&self) -> Arc<dyn DnsProvider> {
        provider(&self.api, &self.token)
    }

    fn values(&self, name: &Fqdn) -> Vec<String> {
        self.api.txt(&self.id, name.as_str()).1
    }

    fn need(&self) -> ScopeNeed {
        ScopeNeed { zone: self.zone.clone(), name: name("audited") }
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_digitaloceans_fake() {
    let Stand { api, zone, id, token } = stand();
    let (sub_zone, _) = named(&api, &format!("sub.{ZONE}"));
    api.add(&id, ALIASED, "CNAME", 300, "elsewhere.test.");
    let wrong = DigitalOcean::unknown_token(0);

    let busy = stand();
    busy.api.limit(0, Duration::from_secs(300));

    let memory = Memory { api: Arc::clone(&api), listing: "GET /domains", forms: &[TxtValue::to_string] };
    let subject = Subject::new("digitalocean", provider(&api, &token), zone)
        .with_peer("strict fake, proven by python-digitalocean 1.17.0 (PyPI)")
        .with_sub_zone(sub_zone)
        .with_observer(Arc::new(memory))
        .with_wrong_token(Ok(provider(&api, &wrong)))
        .with_rate_limited(Ok(provider(&busy.api, &busy.token)))
        .with_forbidden(Fqdn::parse(ALIASED).unwrap())
        .with_secrets([token.as_str().into(), wrong.as_str().into()]);
    table::assert_all_kept(&subject).await;
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
    let environment = [("DIGITALOCEAN_END_POINT", &*base), ("TOKEN", &stand.token)];
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
    let provider = stand.provider();
    let names: Vec<Fqdn> = (0..50).map(|number| name(&format!("host{number}"))).collect();
    let adds: Vec<_> = names.iter().map(|name| add(name, "v")).collect();
    provider.apply(&stand.zone, &adds).await.unwrap();
    assert_eq!(stand.api.requests().len(), 51, "{:?}", stand.api.requests());
    assert!(names.iter().all(|name| stand.values(name) == ["v"]));
    let removals: Vec<_> = names.iter().map(|name| remove(name, "v")).collect();
    provider.apply(&stand.zone, &removals).await.unwrap();
    assert_eq!(stand.api.requests().len(), 102);
    assert!(names.iter().all(|name| stand.values(name).is_empty()));
}

#[tokio::test]
async fn a_zone_with_more_pages_than_names_is_not_read_whole() {
    let stand = stand();
    for number in 0..900 {
        stand.api.add(&stand.id, &format!("host{number}.{ZONE}"), "TXT", 300, "somebody else's");
    }
    let provider = stand.provider();
    let three = [add(&name("a"), "v"), add(&name("b"), "v"), add(&name("c"), "v")];
    provider.apply(&stand.zone, &three).await.unwrap();
    assert_eq!(stand.api.requests().len(), 1 + 3 + 3, "a first page, three looks, three adds");
    // Five pages are fewer than six names.
    let before = stand.api.requests().len();
    let removals: Vec<TxtChange> = ["a", "b", "c"].iter().map(|host| remove(&name(host), "v")).collect();
    let adds = ["d", "e", "f"].iter().map(|host| add(&name(host), "v"));
    let six: Vec<TxtChange> = removals.into_iter().chain(adds).collect();
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
    let (provider, here) = (stand.provider(), name("lost"));
    // The list passes, the record is made and not heard of.
    let empty = serde_json::json!({ "domain_records": [], "links": {}, "meta": { "total": 0 } });
    stand.api.fault(Fault::Instead(Answer::json(200, &empty)));
    stand.api.fault(Fault::ReplyLost);
    let error = provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(stand.values(&here), ["v"]);
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"]);
}

#[tokio::test]
async fn domains_are_listed_over_all_pages_by_a_token_that_may() {
    let stand = stand();
    for number in 0..210 {
        let _id = stand.api.zone(&format!("zone{number}.test"));
    }
    let Listing::Listed(zones) = stand.provider().zones().await.unwrap() else { panic!("a list") };
    assert_eq!(zones.len(), 211);
    assert_eq!(zones[0], Zone::named(stand.zone.name.clone()));
    let writer = stand.api.service().token(&["domain:update"]);
    assert_eq!(provider(&stand.api, &writer).zones().await.unwrap(), Listing::NotAvailable);
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
        let provider = provider(&stand.api, token);
        let error = provider.apply(&stand.zone, &[add(&name("refused"), "v")]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
        assert!(!format!("{error} {error:?}").contains(token), "{error}");
    }
    let strange = Zone::named(ZoneName::parse("other.test").unwrap());
    let other = Fqdn::parse("_acme-challenge.other.test").unwrap();
    for change in [add(&other, "v"), remove(&other, "v")] {
        let error = stand.provider().apply(&strange, &[change]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "a missing zone is no missing record: {error}");
        assert!(error.hint().unwrap().contains("team"), "{error}");
    }
    troubles_are_clear_errors(&stand.api, stand.provider().as_ref(), &stand.zone, &stand.token).await;
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
    let audit = async |token: &str| provider(&stand.api, token).audit_scope(&[stand.need()]).await.unwrap();
    let exact = audit(&stand.token).await;
    assert!(matches!(exact, ScopeReport::ExactlyEnough { .. }), "{exact:?}");

    let everything = stand.api.service().token(&DigitalOcean::EVERYTHING);
    let ScopeReport::MoreThanNeeded { findings } = audit(&everything).await else { panic!("too much") };
    assert_eq!(findings.len(), 7, "{findings:?}");
    assert!(findings.iter().any(|one| one.contains("domain:delete")), "{findings:?}");

    let reader = stand.api.service().token(&["domain:read"]);
    let ScopeReport::NotEnough { findings } = audit(&reader).await else { panic!("too little") };
    assert!(findings[0].contains("domain:update"), "{findings:?}");
    let blind = stand.api.service().token(&["domain:update"]);
    let ScopeReport::NotEnough { findings } = audit(&blind).await else { panic!("too little") };
    assert!(findings[0].contains("domain:read"), "{findings:?}");

    let _id = stand.api.zone("other.test");
    let ScopeReport::MoreThanNeeded { findings } = audit(&stand.token).await else { panic!("a domain more") };
    assert!(findings.len() == 1 && findings[0].contains("`other.test`"), "{findings:?}");
    let missing = ScopeNeed {
        zone: Zone::named(ZoneName::parse("missing.test").unwrap()),
        name: Fqdn::parse("_acme-challenge.missing.test").unwrap(),
    };
    let report = stand.provider().audit_scope(&[missing]).await.unwrap();
    assert!(matches!(report, ScopeReport::NotEnough { .. }), "{report:?}");
    assert_eq!(stand.api.txt(&stand.id, &format!("www.{ZONE}")).1, ["somebody else's"]);
}

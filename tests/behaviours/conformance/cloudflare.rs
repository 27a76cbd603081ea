//! Cloudflare against its fake, which the vendor's own client has proven.

use super::fake::{Memory, ZONE, add, name, printed_by, remove, troubles_are_clear_errors, zone};
use super::table;
use dns01_provider::conformance::Subject;
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderError, ProviderErrorKind, Settings, TxtValue, Zone, ZoneName,
};
use dns01_provider_cloudflare::PLUGIN;
use dns01_tests::fake_dns_api::cloudflare::{Access, Cloudflare};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::Duration;

/// A name in the zone where a CNAME stands.
const ALIASED: &str = "_acme-challenge.aliased.example.test";

struct Stand {
    api: Arc<FakeDnsApi<Cloudflare>>,
    zone: Zone,
    token: String,
}

/// The fake with one zone and a token that may edit it and see no zone.
fn stand() -> Stand {
    let api = Arc::new(FakeDnsApi::start(Cloudflare::new()).unwrap());
    let zone = zone(&api, ZONE);
    let token = api.service().token(&[Access::Edit(zone.id.clone().unwrap())]);
    Stand { api, zone, token }
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Cloudflare>, token: &str) -> Arc<dyn DnsProvider> {
    let secret = serde_json::json!({ "literal": token });
    (PLUGIN.build)(Settings::default().with("api_token", secret).with("base_url", api.url())).unwrap()
}

impl Stand {
    fn provider(&self) -> Arc<dyn DnsProvider> {
        provider(&self.api, &self.token)
    }

    fn values(&self, name: &Fqdn) -> Vec<String> {
        self.api.txt(self.zone.id.as_deref().unwrap(), name.as_str()).1
    }

    async fn refusal(&self, provider: &dyn DnsProvider) -> ProviderError {
        provider.apply(&self.zone, &[add(&name("refused"), "v")]).await.unwrap_err()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_cloudflares_fake() {
    let Stand { api, zone, .. } = stand();
    let sub_zone = super::fake::zone(&api, &format!("sub.{ZONE}"));
    let ids = [&zone, &sub_zone].map(|zone| zone.id.clone().unwrap());
    api.add(&ids[0], ALIASED, "CNAME", 300, "elsewhere.test.");
    let token = api.service().token(&ids.map(Access::Edit));
    let wrong = Cloudflare::unknown_token(0);

    let busy = stand();
    busy.api.limit(0, Duration::from_secs(300));

    // Bare values are what older tools write.
    let memory = Memory {
        api: Arc::clone(&api),
        listing: "GET /zones",
        forms: &[TxtValue::presentation, TxtValue::to_string],
    };
    let subject = Subject::new("cloudflare", provider(&api, &token), zone)
        .with_peer("strict fake, proven by cloudflare 5.9.0 (PyPI)")
        .with_sub_zone(sub_zone)
        .with_observer(Arc::new(memory))
        .with_wrong_token(Ok(provider(&api, &wrong)))
        .with_rate_limited(Ok(provider(&busy.api, &busy.token)))
        .with_forbidden(Fqdn::parse(ALIASED).unwrap())
        .with_secrets([token.as_str().into(), wrong.as_str().into()]);
    table::assert_all_kept(&subject).await;
}

/// The vendor's Python client adds two values, lists them and removes one; what it sees and
/// what the fake holds agree.
#[test]
fn the_vendors_own_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import sys
from cloudflare import Cloudflare, APIStatusError
zone, name = sys.argv[1:]
client = Cloudflare(max_retries=0)
record = lambda value: {"name": name, "type": "TXT", "content": f'"{value}"', "ttl": 120}
one = client.dns.records.create(zone_id=zone, **record("one"))
both = client.dns.records.batch(zone_id=zone, posts=[record("two"), record("three")])
listed = list(client.dns.records.list(zone_id=zone, type="TXT", name={"exact": name}, per_page=2))
print(sorted(r.content for r in listed))
client.dns.records.delete(one.id, zone_id=zone)
client.dns.records.batch(zone_id=zone, deletes=[{"id": both.posts[0].id}])
print(client.user.tokens.verify().status)
for attempt in (lambda: client.user.get(),
                lambda: client.user.tokens.get("0" * 32),
                lambda: client.page_rules.list(zone_id=zone),
                lambda: client.dns.records.create(zone_id=zone, **record("three")),
                lambda: client.dns.records.delete(one.id, zone_id=zone),
                lambda: client.dns.records.list(zone_id="0" * 32),
                lambda: client.zones.list(),
                lambda: client.with_options(api_token="short").dns.records.list(zone_id=zone)):
    try:
        attempt()
        print("done")
    except APIStatusError as error:
        print(error.status_code, error.body["errors"][0]["code"])
"#;
    let Some(python) = clients("the proof of Cloudflare's fake by the vendor's client") else { return };
    let stand = stand();
    let name = name("independent");
    let environment = [("CLOUDFLARE_BASE_URL", &*stand.api.url()), ("CLOUDFLARE_API_TOKEN", &stand.token)];
    let lines =
        printed_by(&python, SCRIPT, &[stand.zone.id.as_deref().unwrap(), name.as_str()], &environment);
    assert_eq!(
        lines,
        [
            r#"['"one"', '"three"', '"two"']"#,
            "active",
            "403 9109",
            "403 9109",
            "403 10000",
            "400 81058",
            "404 81044",
            "403 10000",
            "403 0",
            "400 6003"
        ]
    );
    assert_eq!(stand.values(&name), ["three"]);

    const OWNER: &str = r#"
import sys
from cloudflare import Cloudflare
client = Cloudflare(api_email="owner@example.test", api_key=sys.argv[1], max_retries=0)
print([zone.name for zone in client.zones.list()])
print(client.user.get().id, client.page_rules.list(zone_id=sys.argv[2]))
print(client.user.tokens.get("%032x" % 1).policies[0].permission_groups[0].name)
"#;
    let key = stand.api.service().global_key("owner@example.test");
    let base = [("CLOUDFLARE_BASE_URL", &*stand.api.url())];
    let lines = printed_by(&python, OWNER, &[&key, stand.zone.id.as_deref().unwrap()], &base);
    assert_eq!(lines, ["['example.test']", "00000000000000000000000000000001 []", "DNS Write"]);
}

#[tokio::test]
async fn two_hundred_names_cost_two_calls_to_add_and_three_to_remove() {
    let stand = stand();
    let provider = stand.provider();
    let names: Vec<Fqdn> = (0..200).map(|number| name(&format!("host{number}"))).collect();
    let adds: Vec<_> = names.iter().map(|name| add(name, "v")).collect();
    provider.apply(&stand.zone, &adds).await.unwrap();
    assert_eq!(stand.api.requests().len(), 2, "{:?}", stand.api.requests());
    assert!(names.iter().all(|name| stand.values(name) == ["v"]));
    let removals: Vec<_> = names.iter().map(|name| remove(name, "v")).collect();
    provider.apply(&stand.zone, &removals).await.unwrap();
    assert_eq!(stand.api.requests().len(), 2 + 3, "{:?}", stand.api.requests());
    assert!(names.iter().all(|name| stand.values(name).is_empty()));
}

#[tokio::test]
async fn a_record_that_the_list_did_not_show_is_success_and_undoes_no_batch_in_silence() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("hidden"));
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    stand.api.service().hide_records();
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    let error = provider.apply(&stand.zone, &[add(&here, "v"), add(&here, "w")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, false), "{error}");
    assert_eq!(stand.values(&here), ["v"], "the caller halves the batch, and each half succeeds");
    provider.apply(&stand.zone, &[add(&here, "w")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v", "w"]);
}

#[tokio::test]
async fn a_zone_without_an_id_is_looked_up_once_by_a_token_that_may() {
    let stand = stand();
    let id = stand.zone.id.clone().unwrap();
    let reader = stand.api.service().token(&[Access::Read(id.clone()), Access::Edit(id.clone())]);
    let provider = provider(&stand.api, &reader);
    let zone = Zone::named(stand.zone.name.clone());
    for value in ["v", "w"] {
        provider.apply(&zone, &[add(&name("looked-up"), value)]).await.unwrap();
    }
    assert_eq!(stand.values(&name("looked-up")), ["v", "w"]);
    assert_eq!(stand.api.count("GET /zones"), 1);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![stand.zone.clone()]));

    let strange = Zone::named(ZoneName::parse("other.test").unwrap());
    let error = provider.apply(&strange, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    assert!(error.hint().unwrap().contains("id"), "{error}");
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("lost"));
    provider.values(&stand.zone, &here).await.unwrap();
    // The list passes, the batch is carried out and not heard of.
    stand.api.fault(Fault::Instead(Answer::json(
        200,
        &serde_json::json!({ "success": true, "errors": [], "messages": [], "result": [] }),
    )));
    stand.api.fault(Fault::ReplyLost);
    let error = provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"]);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let strange = zone(&stand.api, "strange.test");
    let no_right = stand.api.service().token(&[Access::Edit(strange.id.unwrap())]);
    let with = |token: &str| provider(&stand.api, token);
    for (token, kind, words) in [
        ("short", Kind::Auth, "6003"),
        (&Cloudflare::unknown_token(0), Kind::Auth, "9109"),
        (&no_right, Kind::Permission, "10000"),
    ] {
        let error = stand.refusal(with(token).as_ref()).await;
        assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
        assert!(!format!("{error} {error:?}").contains(token), "{error}");
    }

    let wrong_id = Zone { id: Some("example".to_owned()), ..stand.zone.clone() };
    let error = stand.provider().apply(&wrong_id, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");

    troubles_are_clear_errors(&stand.api, stand.provider().as_ref(), &stand.zone, &stand.token).await;
}

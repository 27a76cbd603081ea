//! Cloudflare against its fake, which the vendor's own client has proven.

use super::fake::{Run, SUB_ZONE, ZONE, add, assert_refused, literal, name, named, printed_by, zone};
use super::table;
use dns01_provider::{DnsProvider, Listing, ProviderErrorKind, Settings, TxtValue, Zone};
use dns01_provider_cloudflare::PLUGIN;
use dns01_tests::fake_dns_api::cloudflare::{Access, Cloudflare};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, clients};
use std::sync::Arc;

type Stand = super::fake::Stand<Cloudflare, str>;

/// The fake with one zone and a token that may edit it and see no zone.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Cloudflare::new()).unwrap();
    let id = api.zone(ZONE);
    let token = api.service().token(&[Access::Edit(id.clone())]);
    Stand::new(api, id, token, provider)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Cloudflare>, token: &str) -> Arc<dyn DnsProvider> {
    let settings = Settings::default().with("api_token", literal(token)).with("base_url", api.url());
    (PLUGIN.build)(settings).unwrap()
}

#[tokio::test]
async fn the_promises_are_kept_at_cloudflares_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    let sub_zone = zone(&stand.api, SUB_ZONE);
    let ids = [stand.id.clone(), sub_zone.id.clone().unwrap()];
    stand.key = stand.api.service().token(&ids.map(Access::Edit));
    let run = Run {
        stand,
        sub_zone,
        wrong: Cloudflare::unknown_token(0),
        busy,
        listing: "GET /zones",
        // Bare values are what older tools write.
        forms: &[TxtValue::presentation, TxtValue::to_string],
    };
    let secrets = [run.stand.key.as_str(), &run.wrong];
    table::assert_all_kept(&run.proven_by("cloudflare 5.9.0", "cloudflare", &secrets)).await;
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
    let environment = [("CLOUDFLARE_BASE_URL", &*stand.api.url()), ("CLOUDFLARE_API_TOKEN", &stand.key)];
    let lines = printed_by(&python, SCRIPT, &[&stand.id, name.as_str()], &environment);
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
    let lines = printed_by(&python, OWNER, &[&key, &stand.id], &base);
    assert_eq!(lines, ["['example.test']", "00000000000000000000000000000001 []", "DNS Write"]);
}

#[tokio::test]
async fn two_hundred_names_cost_two_calls_to_add_and_three_to_remove() {
    let stand = stand();
    assert_eq!(stand.each_way(200).await, (2, 3), "{:?}", stand.api.requests());
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
    let id = &stand.id;
    let reader = stand.api.service().token(&[Access::Read(id.clone()), Access::Edit(id.clone())]);
    let provider = stand.with(&reader);
    stand.write_by_name(provider.as_ref()).await;
    assert_eq!(stand.api.count("GET /zones"), 1);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![stand.zone.clone()]));

    let error = provider.apply(&named("other.test"), &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    assert!(error.hint().unwrap().contains("id"), "{error}");
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let provider = stand.provider();
    provider.values(&stand.zone, &name("lost")).await.unwrap();
    let empty = serde_json::json!({ "success": true, "errors": [], "messages": [], "result": [] });
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(Answer::json(200, &empty))).await;
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let strange = zone(&stand.api, "strange.test");
    let no_right = stand.api.service().token(&[Access::Edit(strange.id.unwrap())]);
    for (token, kind, words) in [
        ("short", Kind::Auth, "6003"),
        (&Cloudflare::unknown_token(0), Kind::Auth, "9109"),
        (&no_right, Kind::Permission, "10000"),
    ] {
        assert_refused(&stand.refusal(stand.with(token).as_ref()).await, kind, words, token);
    }

    let wrong_id = Zone { id: Some("example".to_owned()), ..stand.zone.clone() };
    let error = stand.provider().apply(&wrong_id, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");

    stand.troubles_are_clear_errors(stand.provider().as_ref(), &stand.key).await;
}

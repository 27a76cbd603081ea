//! The provider of the tutorial against its fake.

use super::fake::{Memory, ZONE, add, name, remove, troubles_are_clear_errors, zone};
use super::table;
use dns01_provider::conformance::Subject;
use dns01_provider::{DnsProvider, Fqdn, ProviderErrorKind, Settings, TxtValue};
use dns01_provider_example::PLUGIN;
use dns01_tests::fake_dns_api::example::Example;
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault};
use std::sync::Arc;
use std::time::Duration;

const TOKEN: &str = "the-token-of-the-example";
const WRONG_TOKEN: &str = "not-the-token-of-the-example";
/// A name in the zone where a CNAME stands.
const ALIASED: &str = "_acme-challenge.aliased.example.test";

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Example>, token: &str) -> Arc<dyn DnsProvider> {
    let token = serde_json::json!({ "literal": token });
    (PLUGIN.build)(Settings::default().with("url", api.url()).with("token", token)).unwrap()
}

#[tokio::test]
async fn the_promises_are_kept_by_the_example_of_the_tutorial() {
    let api = Arc::new(FakeDnsApi::start(Example::new()).unwrap());
    let zones = [ZONE.to_owned(), format!("sub.{ZONE}")].map(|name| zone(&api, &name));
    let ids = zones.each_ref().map(|zone| zone.id.as_deref().unwrap());
    api.service().allow(TOKEN, &ids);
    api.add(ids[0], ALIASED, "CNAME", 300, "elsewhere.test.");
    let busy = FakeDnsApi::start(Example::new()).unwrap();
    busy.limit(0, Duration::from_secs(300));

    let memory = Memory { api: Arc::clone(&api), listing: "GET /zones", forms: &[TxtValue::to_string] };
    let subject = Subject::new("example", provider(&api, TOKEN), zones[0].clone())
        .with_peer("fake of the tutorial's service, which nobody runs")
        .with_sub_zone(zones[1].clone())
        .with_observer(Arc::new(memory))
        .with_wrong_token(Ok(provider(&api, WRONG_TOKEN)))
        .with_rate_limited(Ok(provider(&busy, TOKEN)))
        .with_forbidden(Fqdn::parse(ALIASED).unwrap())
        .with_secrets([TOKEN.into(), WRONG_TOKEN.into()]);
    table::assert_kept(&subject).await;
}

#[tokio::test]
async fn refusals_of_the_tutorials_service_are_told_apart_and_a_lost_reply_may_be_repeated() {
    let api = FakeDnsApi::start(Example::new()).unwrap();
    let (mine, strange) = (zone(&api, ZONE), zone(&api, "strange.test"));
    api.service().allow(TOKEN, &[mine.id.as_deref().unwrap()]);
    let provider = provider(&api, TOKEN);
    let here = name("here");
    let error = provider.apply(&strange, &[add(&here, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Permission, "{error}");
    assert!(error.hint().is_some(), "{error}");

    for change in [add(&here, "v"), remove(&here, "v")] {
        api.fault(Fault::ReplyLost);
        assert!(provider.apply(&mine, std::slice::from_ref(&change)).await.unwrap_err().is_retryable());
        provider.apply(&mine, std::slice::from_ref(&change)).await.unwrap();
        provider.apply(&mine, &[change]).await.unwrap();
    }
    assert!(api.txt(mine.id.as_deref().unwrap(), here.as_str()).1.is_empty());
    troubles_are_clear_errors(&api, provider.as_ref(), &mine, TOKEN).await;
}

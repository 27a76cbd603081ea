//! The provider of the tutorial against its fake.

use super::fake::{Run, SUB_ZONE, ZONE, add, literal, name, remove, zone};
use super::table;
use dns01_provider::{DnsProvider, ProviderErrorKind, Settings, TxtValue};
use dns01_provider_example::PLUGIN;
use dns01_tests::fake_dns_api::example::Example;
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault};
use std::sync::Arc;

const TOKEN: &str = "the-token-of-the-example";
const WRONG_TOKEN: &str = "not-the-token-of-the-example";

type Stand = super::fake::Stand<Example, str>;

/// The fake with one zone in which the token may write.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Example::new()).unwrap();
    let id = api.zone(ZONE);
    api.service().allow(TOKEN, &[&id]);
    Stand::new(api, id, TOKEN.to_owned(), provider)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Example>, token: &str) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(Settings::default().with("url", api.url()).with("token", literal(token))).unwrap()
}

#[tokio::test]
async fn the_promises_are_kept_by_the_example_of_the_tutorial() {
    let (stand, busy) = (stand(), stand().refusing_all());
    let sub_zone = zone(&stand.api, SUB_ZONE);
    stand.api.service().allow(TOKEN, &[&stand.id, sub_zone.id.as_deref().unwrap()]);
    let run = Run {
        stand,
        sub_zone,
        wrong: WRONG_TOKEN.to_owned(),
        busy,
        listing: "GET /zones",
        forms: &[TxtValue::to_string],
    };
    let subject = run.subject("example", &[TOKEN, WRONG_TOKEN]);
    table::assert_kept(&subject.with_peer("fake of the tutorial's service, which nobody runs")).await;
}

#[tokio::test]
async fn refusals_of_the_tutorials_service_are_told_apart_and_a_lost_reply_may_be_repeated() {
    let stand = stand();
    let (strange, here) = (zone(&stand.api, "strange.test"), name("here"));
    let provider = stand.provider();
    let error = provider.apply(&strange, &[add(&here, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Permission, "{error}");
    assert!(error.hint().is_some(), "{error}");

    for change in [add(&here, "v"), remove(&here, "v")] {
        stand.api.fault(Fault::ReplyLost);
        assert!(provider.apply(&stand.zone, std::slice::from_ref(&change)).await.unwrap_err().is_retryable());
        provider.apply(&stand.zone, std::slice::from_ref(&change)).await.unwrap();
        provider.apply(&stand.zone, &[change]).await.unwrap();
    }
    assert!(stand.values(&here).is_empty());
    stand.troubles_are_clear_errors(provider.as_ref(), TOKEN).await;
}

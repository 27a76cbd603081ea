//! Keys that come and go: roles taken on, and secrets that change under way.

use super::{ACTIONS, Stand, endpoint, settings, stand};
use crate::conformance::fake::{add, literal, name};
use dns01_provider::{ProviderErrorKind, Settings};
use dns01_provider_route53::PLUGIN;
use dns01_tests::fake_dns_api::FakeDnsApi;
use dns01_tests::fake_dns_api::route53::{Statement, TokenService};
use serde_json::json;

fn token_service(stand: &Stand) -> FakeDnsApi<TokenService> {
    FakeDnsApi::start(stand.api.service().token_service()).unwrap()
}

#[tokio::test]
async fn a_role_is_taken_on_once_for_many_calls_and_only_with_its_external_id() {
    let stand = stand();
    let sts = token_service(&stand);
    let key = stand.api.service().key(&[]);
    let policy = [Statement::of(&ACTIONS).in_zone(&stand.id)];
    let role = sts.service().role(&key, Some("for-dns01"), &policy);
    let with = |external: &str| {
        let settings = settings(&stand.api, &key).with("role_arn", role.as_str());
        (PLUGIN.build)(settings.with("external_id", external).with("sts_endpoint_url", sts.url())).unwrap()
    };
    let provider = with("for-dns01");
    for value in ["v", "w"] {
        provider.apply(&stand.zone, &[add(&name("role"), value)]).await.unwrap();
    }
    assert_eq!(stand.sorted(&name("role")), ["v", "w"]);
    assert_eq!(sts.requests().len(), 1);
    let session = sts.service().given().remove(0);
    let shown = format!("{provider:?}");
    assert!(!shown.contains(&session.secret) && !shown.contains(session.token.as_ref().unwrap()), "{shown}");

    let error = stand.refusal(with("for-another").as_ref()).await;
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Permission, false), "{error}");
    assert!(error.to_string().contains("sts:AssumeRole"), "{error}");
    assert!(error.hint().unwrap().contains("external_id"), "{error}");
    assert!(!format!("{error:?}").contains(&key.secret));
}

#[tokio::test]
async fn the_token_of_a_web_identity_opens_a_role_without_any_key() {
    let stand = stand();
    let sts = token_service(&stand);
    let token = "header.payload.signature-of-the-web-identity";
    let role = sts.service().web_identity_role(token, &[Statement::of(&ACTIONS).in_zone(&stand.id)]);
    let with = |token: &str| {
        let settings = Settings::default()
            .with("endpoint_url", endpoint(&stand.api))
            .with("sts_endpoint_url", sts.url())
            .with("role_arn", role.as_str())
            .with("web_identity_token", literal(token));
        (PLUGIN.build)(settings).unwrap()
    };
    with(token).apply(&stand.zone, &[add(&name("web"), "v")]).await.unwrap();
    assert_eq!(stand.sorted(&name("web")), ["v"]);
    let error = stand.refusal(with("another.token").as_ref()).await;
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Permission, false), "{error}");
    assert!(!format!("{error} {error:?}").contains("another.token"), "{error}");
}

#[tokio::test]
async fn a_key_that_is_changed_in_its_file_takes_effect_at_the_next_call() {
    let stand = stand();
    let directory = tempfile::tempdir().unwrap();
    let [id, secret] = ["id", "secret"].map(|file| directory.path().join(file));
    let write = |key: &dns01_tests::fake_dns_api::route53::Key| {
        std::fs::write(&id, format!("{}\n", key.id)).unwrap();
        std::fs::write(&secret, format!("{}\n", key.secret)).unwrap();
    };
    let policy = [Statement::of(&ACTIONS).in_zone(&stand.id)];
    write(&stand.api.service().expired_key(&policy));
    let settings = Settings::default()
        .with("endpoint_url", endpoint(&stand.api))
        .with("access_key_id", json!({ "file": id }))
        .with("secret_access_key", json!({ "file": secret }));
    let provider = (PLUGIN.build)(settings).unwrap();
    assert_eq!(stand.refusal(provider.as_ref()).await.kind(), ProviderErrorKind::Auth);
    write(&stand.api.service().key(&policy));
    provider.apply(&stand.zone, &[add(&name("rotated"), "v")]).await.unwrap();

    std::fs::remove_file(&secret).unwrap();
    let error = stand.refusal(provider.as_ref()).await;
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Auth, false), "{error}");
    assert!(error.to_string().contains("secret"), "{error}");
}

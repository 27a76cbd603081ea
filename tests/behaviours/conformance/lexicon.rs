//! lexicon against the real PowerDNS, by its module for that server's API.

use super::fake::add;
use super::rfc2136::{Key, Target, Tools};
use dns01_provider::conformance::Subject;
use dns01_provider::{DnsProvider, Fqdn, ProviderErrorKind, Settings, Zone, ZoneName};
use dns01_provider_lexicon::PLUGIN;
use dns01_tests::fake_dns_api::clients;
use dns01_tests::rig::{self, Primary, Rig};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// A key that the rig's server does not have.
const WRONG_KEY: &str = "not-the-key-of-this-server";
/// A label below which a CNAME stands where the challenge would.
const ALIASED: &str = "aliased";

/// The plugin, configured as `dns01.toml` would.
fn provider(python: &Path, key: &str) -> Arc<dyn DnsProvider> {
    let (url, _) = Rig::get().powerdns_api();
    let settings = Settings::default()
        .with("service", "powerdns")
        .with("command", vec![python.with_file_name("lexicon").to_str().unwrap()])
        .with("options", json!({ "auth_token": { "literal": key }, "pdns_server": url }));
    (PLUGIN.build)(settings).expect("the settings are right")
}

fn zone(zone: &rig::Zone) -> Zone {
    Zone::named(ZoneName::parse(zone.name()).unwrap())
}

/// A zone in which a CNAME stands at [`ALIASED`].
fn create() -> rig::Zone {
    let alias = format!("_acme-challenge.{ALIASED} 60 IN CNAME elsewhere");
    Rig::get().zone().primary(Primary::PowerDns).record(&alias).create()
}

#[tokio::test]
async fn the_promises_are_kept_at_powerdns_by_lexicon() {
    let Some(python) = clients("the conformance run of lexicon") else { return };
    let parent = create();
    let child = Rig::get().zone().primary(Primary::PowerDns).below(&parent).same_key(&parent).create();
    let key = parent.key();
    let tools = Tools::new(&Target {
        name: "PowerDNS",
        server: parent.primary(),
        zone: zone(&parent).name,
        sub_zone: None,
        forbidden: None,
        key: Key {
            name: key.name.clone(),
            algorithm: key.algorithm.name().to_owned(),
            secret: key.secret.clone(),
        },
    });
    let (_, api_key) = Rig::get().powerdns_api();
    let forbidden = Fqdn::parse(&parent.host(&format!("_acme-challenge.{ALIASED}"))).unwrap();
    let subject = Subject::new("lexicon", provider(&python, api_key), zone(&parent))
        .with_peer("real server, PowerDNS 4.7, by dns-lexicon 3.25.2")
        .with_observer(Arc::new(tools))
        .with_sub_zone(zone(&child))
        .with_wrong_token(Ok(provider(&python, WRONG_KEY)))
        .with_rate_limited(Err("the server refuses nothing for rate"))
        .with_forbidden(forbidden)
        .with_secrets([api_key, WRONG_KEY].map(secrecy::SecretString::from));
    super::table::assert_kept(&subject).await;
}

#[tokio::test]
async fn refusals_by_lexicon_are_told_apart() {
    use ProviderErrorKind as Kind;
    let Some(python) = clients("refusals by lexicon") else { return };
    let parent = create();
    let (_, api_key) = Rig::get().powerdns_api();
    let value = "a".repeat(43);
    let at = |name: &str| add(&Fqdn::parse(name).unwrap(), &value);

    let change = [at(&parent.challenge())];
    let error = provider(&python, WRONG_KEY).apply(&zone(&parent), &change).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Auth, false), "{error}");
    assert!(error.hint().is_some() && !format!("{error:?}").contains(WRONG_KEY), "{error:?}");

    // A zone that another server has.
    let strange = Rig::get().zone().create();
    let change = [at(&strange.challenge())];
    let error = provider(&python, api_key).apply(&zone(&strange), &change).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::NotFound, false), "{error}");

    let settings = Settings::default().with("service", "powerdns").with("command", vec!["/nowhere/lexicon"]);
    let absent = (PLUGIN.build)(settings).unwrap();
    let error = absent.apply(&zone(&parent), &[at(&parent.challenge())]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Invalid, false), "{error}");
    assert!(error.hint().unwrap().contains("pip install"), "{error}");
}

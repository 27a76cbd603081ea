//! lego's httpreq protocol against a strict service of our own, which lego itself uses first.

use async_trait::async_trait;
use dns01_provider::conformance::{Observer, Subject};
use dns01_provider::{
    DnsProvider, Fqdn, ProviderErrorKind, Settings, TxtChange, TxtRecords, TxtValue, Zone, ZoneName,
};
use dns01_provider_httpreq::PLUGIN;
use dns01_tests::httpreq::{Change, HttpReqService, OnChange};
use dns01_tests::program::dns01;
use dns01_tests::rig::{self, Rig};
use std::process::Command;
use std::sync::Arc;

const USER: &str = "hook-user";
const PASSWORD: &str = "the-password-of-the-hook";
const WRONG_PASSWORD: &str = "not-the-password-of-the-hook";

/// The plugin, configured as `dns01.toml` would.
fn provider(endpoint: &str, password: &str) -> Arc<dyn DnsProvider> {
    let password = serde_json::json!({ "literal": password });
    let settings =
        Settings::default().with("endpoint", endpoint).with("username", USER).with("password", password);
    (PLUGIN.build)(settings).expect("the settings are right")
}

/// The service's own memory.
#[derive(Debug)]
struct Memory(Arc<HttpReqService>);

#[async_trait]
impl Observer for Memory {
    async fn records(&self, _: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        let (ttl, values) = self.0.records(&name.absolute());
        let values: Result<_, _> = values.iter().map(|value| TxtValue::parse(value)).collect();
        Ok(TxtRecords { ttl, values: values.map_err(|error| error.to_string())? })
    }

    async fn write(&self, _: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String> {
        let values = records.values.iter().map(ToString::to_string).collect();
        self.0.write(&name.absolute(), records.ttl, values);
        Ok(())
    }
}

/// What the service does in earnest: it writes into `zone`.
fn writes_into(zone: &Arc<rig::Zone>) -> OnChange {
    let zone = Arc::clone(zone);
    Box::new(move |change, fqdn, value| {
        let line = match change {
            Change::Present => format!("update add {fqdn} 60 TXT \"{value}\"\n"),
            Change::Cleanup => format!("update delete {fqdn} TXT \"{value}\"\n"),
        };
        zone.update(&line);
    })
}

#[tokio::test]
async fn the_promises_are_kept_by_httpreq_at_a_strict_service() {
    let service = Arc::new(HttpReqService::start(USER, PASSWORD, Box::new(|_, _, _| {})).unwrap());
    let busy = HttpReqService::start_refusing_for_rate(USER, PASSWORD).unwrap();
    let zone = Zone::named(ZoneName::parse("example.test").unwrap());
    let subject = Subject::new("httpreq", provider(&service.endpoint(), PASSWORD), zone)
        .with_peer("strict fake, proven by lego 4.9 (Debian)")
        .with_observer(Arc::new(Memory(Arc::clone(&service))))
        .with_wrong_token(Ok(provider(&service.endpoint(), WRONG_PASSWORD)))
        .with_rate_limited(Ok(provider(&busy.endpoint(), PASSWORD)))
        .with_secrets([PASSWORD, WRONG_PASSWORD].map(secrecy::SecretString::from));
    super::table::assert_kept(&subject).await;
    assert!(service.is_empty(), "something is left behind");
}

/// lego proves that the service speaks the protocol, and not merely what the plugin makes of it.
#[test]
fn lego_obtains_a_certificate_through_the_service() {
    let rig = Rig::get();
    let zone = Arc::new(rig.zone().create());
    let service = HttpReqService::start(USER, PASSWORD, writes_into(&zone)).unwrap();
    let state = tempfile::tempdir().unwrap();
    let output = Command::new("lego")
        .env("LEGO_CA_CERTIFICATES", rig.ca_bundle())
        .env("HTTPREQ_ENDPOINT", service.endpoint())
        .env("HTTPREQ_USERNAME", USER)
        .env("HTTPREQ_PASSWORD", PASSWORD)
        .args(["--server", rig.ca_directory(), "--accept-tos", "--email", "lego@example.com"])
        .args(["--domains", &format!("*.{}", zone.name()), "--dns", "httpreq", "--path"])
        .arg(state.path())
        .arg("run")
        .output()
        .expect("lego is installed, as `tests/run` sees to");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_used_once(&service, &zone);
}

#[test]
fn a_certificate_is_obtained_through_the_service_with_legos_variables() {
    let rig = Rig::get();
    let zone = Arc::new(rig.zone().create());
    let service = HttpReqService::start(USER, PASSWORD, writes_into(&zone)).unwrap();
    let program = dns01(rig)
        .ca(rig, rig.ca_directory())
        .env("HTTPREQ_ENDPOINT", service.endpoint())
        .env("HTTPREQ_USERNAME", USER)
        .env("HTTPREQ_PASSWORD", PASSWORD);
    let name = zone.name();
    let _ = program.run(["issue", "-d", &format!("*.{name}"), "--dns", "httpreq"]).succeeded();
    assert_used_once(&service, &zone);
    assert!(zone.all_txt().is_empty(), "{:?}", zone.all_txt());
    let raw = program.env("HTTPREQ_MODE", "RAW");
    let _ = raw.run(["issue", "-d", name, "--dns", "httpreq"]).failed_with(2).says("RAW");
}

/// One value came to the challenge name and went again.
#[track_caller]
fn assert_used_once(service: &HttpReqService, zone: &rig::Zone) {
    let asked = service.asked();
    let [(Change::Present, name, value), (Change::Cleanup, gone_name, gone_value)] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(*name, format!("{}.", zone.challenge()));
    assert_eq!((name, value), (gone_name, gone_value));
    assert!(service.is_empty(), "something is left behind");
}

#[tokio::test]
async fn a_wrong_endpoint_is_a_permanent_error_that_says_what_to_check() {
    let service = HttpReqService::start(USER, PASSWORD, Box::new(|_, _, _| {})).unwrap();
    let zone = Zone::named(ZoneName::parse("example.test").unwrap());
    let name = zone.name.apex().child("_acme-challenge").unwrap();
    let add = TxtChange::Add { name, value: TxtValue::parse("v").unwrap(), ttl: 60 };
    let elsewhere = provider(&format!("{}/elsewhere", service.endpoint()), PASSWORD);
    let error = elsewhere.apply(&zone, &[add]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    assert!(!error.is_retryable() && error.hint().unwrap().contains("`endpoint`"), "{error}");
}

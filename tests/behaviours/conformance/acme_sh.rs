//! Scripts of acme.sh's interface against a real server: two of our own, and acme.sh's where it
//! is installed.

use super::fake::{add, name, remove};
use super::rfc2136::{Key, Target, Tools};
use dns01_provider::conformance::Subject;
use dns01_provider::{DnsProvider, ProviderErrorKind, Settings, Zone, ZoneName};
use dns01_provider_acme_sh::PLUGIN;
use dns01_tests::rig::{self, Rig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the two scripts are.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("acme-sh")
}

fn provider(settings: Value) -> Arc<dyn DnsProvider> {
    let Value::Object(settings) = settings else { panic!("a table") };
    (PLUGIN.build)(Settings::new(settings)).expect("the settings are right")
}

/// A zone of BIND's with one below it, and a folder for locks.
struct Place {
    parent: rig::Zone,
    child: rig::Zone,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let rig = Rig::get();
        let parent = rig.zone().create();
        let child = rig.zone().below(&parent).same_key(&parent).create();
        Self { parent, child, folder: tempfile::tempdir().unwrap() }
    }

    fn zone(&self) -> Zone {
        Zone::named(ZoneName::parse(self.parent.name()).unwrap())
    }

    /// The plugin with one of our scripts, configured as `dns01.toml` would.
    fn provider(&self, script: &str, whole_rrset: bool) -> Arc<dyn DnsProvider> {
        let key = self.parent.key();
        let secret = format!("{}:{} {}", key.algorithm.name(), key.name, key.secret);
        let environment =
            json!({ "RIG_Server": self.parent.primary().ip().to_string(), "RIG_Key": { "literal": secret } });
        provider(json!({
            "script": script, "home": home(), "environment": environment, "whole_rrset": whole_rrset,
            "lock_directory": self.folder.path().join("locks"),
        }))
    }

    fn subject(&self, peer: &str, provider: Arc<dyn DnsProvider>) -> Subject {
        let key = self.parent.key();
        let tools = Tools::new(&Target {
            name: "BIND",
            server: self.parent.primary(),
            zone: self.zone().name,
            sub_zone: None,
            forbidden: None,
            key: Key {
                name: key.name.clone(),
                algorithm: key.algorithm.name().to_owned(),
                secret: key.secret.clone(),
            },
        });
        let unknown = "an exit status does not say why";
        Subject::new("acme-sh", provider, self.zone())
            .with_peer(format!("real server, BIND, by {peer}"))
            .with_observer(Arc::new(tools))
            .with_sub_zone(Zone::named(ZoneName::parse(self.child.name()).unwrap()))
            .with_wrong_token(Err(unknown))
            .with_rate_limited(Err(unknown))
            .with_secrets([secrecy::SecretString::from(key.secret.as_str())])
    }
}

#[tokio::test]
async fn the_promises_are_kept_by_a_script_that_removes_single_values() {
    let place = Place::new();
    let subject = place.subject("dns_rig", place.provider("dns_rig", false));
    super::table::assert_kept(&subject).await;
}

#[tokio::test]
async fn the_promises_are_kept_by_a_script_that_deletes_whole_rrsets() {
    let place = Place::new();
    let subject = place.subject("dns_rig_whole", place.provider("dns_rig_whole", true));
    super::table::assert_kept(&subject).await;
}

#[tokio::test]
async fn the_promises_are_kept_by_acme_sh_itself() {
    let usual = || std::env::home_dir().unwrap_or_default().join(".acme.sh");
    let home = std::env::var_os("ACME_SH_HOME").map_or_else(usual, PathBuf::from);
    if !home.join("acme.sh").is_file() {
        Rig::get().skip("a conformance run with acme.sh itself", "it is not installed");
        return;
    }
    let place = Place::new();
    let key_file = place.parent.key().file(place.folder.path());
    let environment =
        json!({ "NSUPDATE_SERVER": place.parent.primary().ip().to_string(), "NSUPDATE_KEY": key_file });
    let provider = provider(json!({
        "script": "dns_nsupdate", "home": home, "environment": environment,
        "lock_directory": place.folder.path().join("locks"),
    }));
    super::table::assert_kept(&place.subject("acme.sh's dns_nsupdate", provider)).await;
}

/// Two programs, as far as locks can tell.
#[tokio::test]
async fn the_end_of_one_program_takes_no_value_of_another() {
    let place = Place::new();
    let (one, two) = (place.provider("dns_rig_whole", true), place.provider("dns_rig_whole", true));
    let zone = place.zone();
    let here = dns01_provider::Fqdn::parse(&place.parent.challenge()).unwrap();
    let value = |letter: &str| letter.repeat(43);
    let (a, b) = (value("a"), value("b"));
    one.apply(&zone, &[add(&here, &a)]).await.unwrap();
    two.apply(&zone, &[add(&here, &b)]).await.unwrap();
    one.apply(&zone, &[remove(&here, &a)]).await.unwrap();
    assert_eq!(place.parent.txt(here.as_str()), [a, b.clone()], "the other program cleans up");
    two.apply(&zone, &[remove(&here, &b)]).await.unwrap();
    assert_eq!(place.parent.txt(here.as_str()), [""; 0]);
}

#[tokio::test]
async fn a_script_that_fails_is_tried_again_and_its_words_show_no_secret() {
    let place = Place::new();
    let environment =
        json!({ "RIG_Server": "127.0.0.1", "RIG_Key": { "literal": "hmac-sha256:k d3Jvbmc=" } });
    let provider = provider(
        json!({ "script": "dns_rig", "home": home(), "environment": environment, "timeout": "20s" }),
    );
    let elsewhere = Zone::named(ZoneName::parse("example.test").unwrap());
    let error = provider.apply(&elsewhere, &[add(&name("x"), &"a".repeat(43))]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Unavailable, true), "{error}");
    assert!(error.to_string().contains("no update with the key [secret]"), "{error}");
    let error = provider.apply(&place.zone(), &[add(&name("x"), "$(id); x")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Invalid, false), "{error}");
}

//! Programs: the examples that the exec provider comes with, against real servers.

use super::rfc2136::{Key, Target, Tools};
use dns01_provider::conformance::Subject;
use dns01_provider::{DnsProvider, Fqdn, Settings, Zone, ZoneName};
use dns01_provider_exec::PLUGIN;
use dns01_tests::program::dns01;
use dns01_tests::rig::{self, Grant, Primary, Rig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A base64 secret that no server of the rig knows.
const WRONG_SECRET: &str = "d3JvbmctYnV0LXdlbGwtZm9ybWVkLXNlY3JldC1vZi0zMi1vY3RldHM=";
/// A label in BIND's zone that the key may not write.
const FORBIDDEN: &str = "kept";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/exec/examples").join(name)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(program: &str, form: &str, environment: &Value) -> Arc<dyn DnsProvider> {
    let settings = Settings::default()
        .with("command", vec![example(program).to_str().unwrap()])
        .with("form", form)
        .with("environment", environment.clone());
    (PLUGIN.build)(settings).expect("the settings are right")
}

/// A zone, one below it that the same key may write, and the key.
struct Place {
    parent: rig::Zone,
    child: rig::Zone,
    key: Key,
}

impl Place {
    fn at(primary: Primary) -> Self {
        let rig = Rig::get();
        let grant = Grant::AnyTxtBut(vec![FORBIDDEN.to_owned()]);
        let parent = rig.zone().primary(primary).grant(grant).create();
        let child = rig.zone().primary(primary).below(&parent).same_key(&parent).create();
        let key = parent.key();
        let key = Key {
            name: key.name.clone(),
            algorithm: key.algorithm.name().to_owned(),
            secret: key.secret.clone(),
        };
        Self { parent, child, key }
    }

    /// What `provider` is tried on, under the name of its example.
    fn subject(&self, example: &str, provider: Arc<dyn DnsProvider>) -> Subject {
        let zone = |zone: &rig::Zone| ZoneName::parse(zone.name()).unwrap();
        let tools = Tools::new(&Target {
            name: "the server",
            server: self.parent.primary(),
            zone: zone(&self.parent),
            sub_zone: None,
            forbidden: None,
            key: self.key.clone(),
        });
        Subject::new("exec", provider, Zone::named(zone(&self.parent)))
            .with_peer(format!("real server, by {example}"))
            .with_observer(Arc::new(tools))
    }

    fn sub_zone(&self) -> Zone {
        Zone::named(ZoneName::parse(self.child.name()).unwrap())
    }

    /// The key with `secret`, as nsupdate reads it.
    fn key_file(&self, directory: &Path, secret: &str) -> PathBuf {
        let path = directory.join(if secret == WRONG_SECRET { "wrong.key" } else { "right.key" });
        let Key { name, algorithm, .. } = &self.key;
        let text = format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n");
        std::fs::write(&path, text).unwrap();
        path
    }
}

#[tokio::test]
async fn the_promises_are_kept_by_the_shell_example_at_bind() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::at(Primary::Bind);
    let with = |secret: &str| {
        let server = place.parent.primary().ip().to_string();
        let environment = json!({ "SERVER": server, "KEY_FILE": place.key_file(directory.path(), secret) });
        provider("nsupdate.sh", "json", &environment)
    };
    let forbidden = Fqdn::parse(&place.parent.host(FORBIDDEN)).unwrap();
    let subject = place
        .subject("nsupdate.sh", with(&place.key.secret))
        .with_sub_zone(place.sub_zone())
        .with_wrong_token(Ok(with(WRONG_SECRET)))
        .with_rate_limited(Err("a DNS server refuses no update for rate"))
        .with_forbidden(forbidden)
        .with_secrets([place.key.secret.as_str(), WRONG_SECRET].map(secrecy::SecretString::from));
    super::table::assert_kept(&subject).await;
}

#[tokio::test]
async fn the_promises_are_kept_by_the_python_example_at_powerdns() {
    let place = Place::at(Primary::PowerDns);
    let (url, key) = Rig::get().powerdns_api();
    let with = |key: &str| {
        let environment =
            json!({ "API_URL": format!("{url}/servers/localhost"), "API_KEY": { "literal": key } });
        provider("powerdns.py", "json", &environment)
    };
    let subject = place
        .subject("powerdns.py", with(key))
        .with_sub_zone(place.sub_zone())
        .with_wrong_token(Ok(with(WRONG_SECRET)))
        .with_rate_limited(Err("the server refuses nothing for rate"))
        .with_secrets([key, WRONG_SECRET].map(secrecy::SecretString::from));
    super::table::assert_kept(&subject).await;
}

#[tokio::test]
async fn the_promises_are_kept_by_the_example_in_legos_form_at_bind() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::at(Primary::Bind);
    // The program must be told its zone, so it has but one.
    let environment = json!({
        "SERVER": place.parent.primary().ip().to_string(),
        "ZONE": format!("{}.", place.parent.name()),
        "KEY_FILE": place.key_file(directory.path(), &place.key.secret),
    });
    let subject = place
        .subject("lego.sh", provider("lego.sh", "lego", &environment))
        .with_wrong_token(Err("an exit status does not say why"))
        .with_rate_limited(Err("an exit status does not say why"))
        .with_secrets([secrecy::SecretString::from(place.key.secret.as_str())]);
    super::table::assert_kept(&subject).await;
}

/// What `EXEC_PATH` and lego's program find in the environment.
fn variables(zone: &rig::Zone, key_file: &Path) -> [(&'static str, String); 4] {
    [
        ("EXEC_PATH", example("lego.sh").to_str().unwrap().to_owned()),
        ("SERVER", zone.primary().ip().to_string()),
        ("ZONE", format!("{}.", zone.name())),
        ("KEY_FILE", key_file.to_str().unwrap().to_owned()),
    ]
}

/// lego proves that the example is a program of its kind, and not merely of ours.
#[test]
fn lego_obtains_a_certificate_with_the_example_in_its_form() {
    let rig = Rig::get();
    let place = Place::at(Primary::Bind);
    let directory = tempfile::tempdir().unwrap();
    let key_file = place.key_file(directory.path(), &place.key.secret);
    let output = Command::new("lego")
        .env("LEGO_CA_CERTIFICATES", rig.ca_bundle())
        .envs(variables(&place.parent, &key_file))
        .args(["--server", rig.ca_directory(), "--accept-tos", "--email", "lego@example.com"])
        .args(["--domains", &format!("*.{}", place.parent.name()), "--dns", "exec", "--path"])
        .arg(directory.path())
        .arg("run")
        .output()
        .expect("lego is installed, as `tests/run` sees to");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.parent.all_txt().is_empty(), "{:?}", place.parent.all_txt());
}

#[test]
fn a_certificate_is_obtained_with_legos_variables_and_its_raw_mode_is_refused() {
    let rig = Rig::get();
    let place = Place::at(Primary::Bind);
    let directory = tempfile::tempdir().unwrap();
    let key_file = place.key_file(directory.path(), &place.key.secret);
    let program = variables(&place.parent, &key_file)
        .into_iter()
        .fold(dns01(rig).ca(rig, rig.ca_directory()), |program, (name, value)| program.env(name, value));
    let name = place.parent.name();
    let _ = program.run(["issue", "-d", &format!("*.{name}"), "--dns", "exec"]).succeeded();
    assert!(place.parent.all_txt().is_empty(), "{:?}", place.parent.all_txt());
    let raw = program.env("EXEC_MODE", "RAW");
    let _ = raw.run(["issue", "-d", name, "--dns", "exec"]).failed_with(2).says("RAW");
}

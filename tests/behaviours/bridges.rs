//! Wildcards from Pebble through the plugins that run other people's programs.

use dns01_tests::fake_dns_api::clients;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Primary, Rig};
use std::path::Path;

/// Where our two scripts of acme.sh's interface are.
fn acme_sh() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("acme-sh").to_str().unwrap().to_owned()
}

#[test]
fn a_wildcard_is_issued_by_a_script_of_acme_shs_interface() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let key = zone.key();
    let program = dns01(rig)
        .ca(rig, rig.ca_directory())
        .env("ACME_SH_HOME", acme_sh())
        .env("ACME_SH_SCRIPT", "dns_rig")
        .env("RIG_Server", zone.primary().ip().to_string())
        .env("RIG_Key", format!("{}:{} {}", key.algorithm.name(), key.name, key.secret));
    let wildcard = format!("*.{}", zone.name());
    let outcome = program.run(["issue", "-d", zone.name(), "-d", &wildcard, "--dns", "acme-sh"]).succeeded();
    assert!(!format!("{outcome}").contains(&key.secret), "the secret is shown");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    assert_eq!(zone.all_txt(), []);
    assert_eq!(zone.updates(), 4, "a run for each value, each way");
}

#[test]
fn a_wildcard_is_issued_by_a_script_that_deletes_whole_rrsets() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let key = zone.key();
    let program = dns01(rig)
        .ca(rig, rig.ca_directory())
        .env("SECRET", format!("{}:{} {}", key.algorithm.name(), key.name, key.secret));
    let config = program.state().join("dns01.toml");
    let text = format!(
        "[dns.script]\nprovider = \"acme-sh\"\nzones = [\"{}\"]\nscript = \"dns_rig_whole\"\nhome = \"{}\"\n\
         whole_rrset = true\nlock_directory = \"{}\"\n\
         environment = {{ RIG_Server = \"{}\", RIG_Key = {{ env = \"SECRET\" }} }}\n",
        zone.name(),
        acme_sh(),
        program.state().join("locks").display(),
        zone.primary().ip()
    );
    std::fs::write(&config, text).unwrap();
    let wildcard = format!("*.{}", zone.name());
    let arguments = ["issue", "--config", config.to_str().unwrap(), "-d", zone.name(), "-d", &wildcard];
    let outcome = program.run(arguments).succeeded();
    assert!(!format!("{outcome}").contains(&key.secret), "the secret is shown");
    assert_eq!(zone.all_txt(), []);
    assert_eq!(zone.updates(), 3, "two values come one by one and go together");
}

#[test]
fn a_wildcard_is_issued_by_lexicon() {
    let Some(python) = clients("a certificate by lexicon") else { return };
    let rig = Rig::get();
    let zone = rig.zone().primary(Primary::PowerDns).create();
    let (url, key) = rig.powerdns_api();
    let path = format!("{}:{}", python.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let program = dns01(rig)
        .ca(rig, rig.ca_directory())
        .env("PATH", path)
        .env("LEXICON_PROVIDER_NAME", "powerdns")
        .env("LEXICON_POWERDNS_AUTH_TOKEN", key)
        .env("LEXICON_POWERDNS_PDNS_SERVER", url);
    let wildcard = format!("*.{}", zone.name());
    let outcome = program.run(["issue", "-d", zone.name(), "-d", &wildcard, "--dns", "lexicon"]).succeeded();
    assert!(!format!("{outcome}").contains(key), "the key is shown");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    assert_eq!(zone.all_txt(), []);
}

//! Wildcards from Pebble, by a CNAME that leads to an account at acme-dns.

use dns01_tests::fake_dns_api::acme_dns::{AcmeDns, PASSWORD_PREFIX};
use dns01_tests::fake_dns_api::{FakeDnsApi, clients};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::live::Live;
use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Rig, Zone, query, wait_until};
use hickory_proto::rr::RecordType;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

// lego's variables.
const API_BASE: &str = "ACME_DNS_API_BASE";
const STORAGE_PATH: &str = "ACME_DNS_STORAGE_PATH";

/// acme-dns with its own delegated zone, and a zone of ours whose challenge is not yet an alias.
struct Stand {
    api: FakeDnsApi<AcmeDns>,
    zone: Zone,
    /// Where the accounts are kept.
    storage: PathBuf,
    program: Program,
}

impl Stand {
    fn new() -> Self {
        let rig = Rig::get();
        let address = rig.network().address(53);
        let auth = rig.zone().secondaries(&[]).server("ns", [address]).create();
        let names = FaultServer::start((address, 53).into(), Behaviour::good()).unwrap();
        names.zone(auth.name());
        names.add(auth.name(), RecordType::NS, &format!("{}.", auth.host("ns")));
        names.add(&auth.host("ns"), RecordType::A, &address.to_string());
        let api = FakeDnsApi::start(AcmeDns::new()).unwrap();
        let _ = api.zone(auth.name());
        api.serve(names);
        let zone = rig.zone().negative_ttl(1).create();
        let program = dns01(rig).ca(rig, rig.ca_directory());
        let storage = program.state().join("accounts.json");
        let program = program.env(API_BASE, api.url()).env(STORAGE_PATH, &storage);
        Self { api, zone, storage, program }
    }

    /// The name of the account that the storage has for our zone.
    fn account(&self) -> String {
        let text = std::fs::read(&self.storage).unwrap();
        let accounts: serde_json::Value = serde_json::from_slice(&text).unwrap();
        accounts[self.zone.name()]["fulldomain"].as_str().unwrap().to_owned()
    }

    /// Does what the user is told to do.
    fn create_the_alias(&self) {
        let alias = self.zone.challenge();
        self.zone.update(&format!("update add {alias}. 1 CNAME {}.\n", self.account()));
        for server in self.zone.servers_of_ours() {
            wait_until("the alias on every server", Duration::from_secs(15), || {
                query::ask(server, &alias, RecordType::CNAME).is_ok_and(|answer| !answer.answers.is_empty())
            });
        }
    }
}

#[test]
fn the_first_run_registers_and_tells_the_cname_and_the_next_one_issues_a_wildcard() {
    let rig = Rig::get();
    let stand = Stand::new();
    let name = stand.zone.name().to_owned();
    let wildcard = format!("*.{name}");

    let outcome = stand.program.run(["check", "-d", &name, "--dns", "acme-dns"]).failed_with(1);
    let record = format!("{}. CNAME", stand.zone.challenge());
    let _ = outcome.says("hint:").says(&record);
    let mode = stand.storage.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    stand.create_the_alias();

    let issue = ["issue", "-d", &name, "-d", &wildcard, "--dns", "acme-dns"];
    let outcome = stand.program.run(issue).succeeded();
    assert!(!format!("{outcome}").contains(PASSWORD_PREFIX), "a password is shown");
    Live::of(&stand.program, &name).verified(&[&name, &wildcard], &rig.ca_root());
    assert_eq!((stand.api.service().accounts(), stand.api.count("POST /update")), (1, 2));
    assert_eq!(stand.zone.all_txt(), []);
}

/// As a user of another client moves over: its storage is enough.
#[test]
fn accounts_that_another_client_registered_are_used() {
    const SCRIPT: &str = r#"
import sys, pyacmedns
url, path, domain = sys.argv[1:]
storage = pyacmedns.Storage(path)
storage.put(domain, pyacmedns.Client(url).register_account([]))
storage.save()
"#;
    let Some(python) = clients("the storage of acme-dns's own client, used by dns01") else { return };
    let rig = Rig::get();
    let stand = Stand::new();
    let (name, storage) = (stand.zone.name(), stand.storage.to_str().unwrap());
    let status = Command::new(python).args(["-c", SCRIPT, &stand.api.url(), storage, name]).status();
    assert!(status.unwrap().success());
    stand.create_the_alias();
    let wildcard = format!("*.{name}");
    let _ = stand.program.run(["issue", "-d", name, "-d", &wildcard, "--dns", "acme-dns"]).succeeded();
    Live::of(&stand.program, name).verified(&[name, &wildcard], &rig.ca_root());
    assert_eq!((stand.api.service().accounts(), stand.api.count("POST /register")), (1, 1));
}

/// The same by `dns01.toml`: nothing is registered, and the target's zone chooses the credential.
#[test]
fn a_table_for_the_zone_of_acme_dns_serves_the_aliases_that_lead_there() {
    let rig = Rig::get();
    let stand = Stand::new();
    let name = stand.zone.name();
    let _ = stand.program.run(["check", "-d", name, "--dns", "acme-dns"]).failed_with(1);
    stand.create_the_alias();
    let account = stand.account();
    let (_, auth) = account.split_once('.').unwrap();
    let config = stand.program.state().join("dns01.toml");
    let text = format!(
        "[dns.challenges]\nprovider = \"acme-dns\"\nzones = [\"{auth}\"]\nurl = \"{}\"\nstorage = \"{}\"\n",
        stand.api.url(),
        stand.storage.display()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let _ = stand.program.run(["issue", "--config", config, "-d", name]).succeeded();
    Live::of(&stand.program, name).verified(&[name], &rig.ca_root());
    // No CNAME leads from there, and its zone is not configured: nothing is registered.
    let other = stand.zone.host("www");
    let outcome = stand.program.run(["issue", "--config", config, "-d", &other]).failed_with(1);
    let _ = outcome.says("no-credential");
    assert_eq!(stand.api.service().accounts(), 1);
}

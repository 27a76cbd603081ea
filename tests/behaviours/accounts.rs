//! Accounts at a CA, from the command line.

use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Pebble, Rig, Zone};

const KID: &str = "kid-1";
/// The MAC key of [`KID`], base64url.
const MAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

struct Stand {
    zone: Zone,
    pebble: Pebble,
    program: Program,
}

fn stand(rig: &Rig) -> Stand {
    let (zone, pebble) = (rig.zone().create(), rig.pebble().start());
    let program = dns01(rig).credentials(&zone).ca(rig, &pebble.directory());
    Stand { zone, pebble, program }
}

impl Stand {
    fn account(&self, arguments: &[&str]) -> serde_json::Value {
        let line = [&["account"], arguments, &["--json"]].concat();
        self.program.run(line).succeeded().document()
    }

    fn issue(&self) -> [&str; 5] {
        ["issue", "-d", self.zone.name(), "--dns", "rfc2136"]
    }

    fn registrations(&self) -> usize {
        self.pebble.requests().iter().filter(|(_, kind)| kind == "/sign-me-up").count()
    }
}

#[test]
fn an_account_is_registered_once_and_found_again() {
    let stand = stand(Rig::get());
    let _ = stand.program.run(["account", "show"]).failed_with(1).says("hint: `dns01 account register`");
    let made = stand.account(&["register"]);
    assert_eq!((&made["status"], &made["contact"][0]), (&"valid".into(), &"mailto:ops@example.test".into()));
    assert_eq!(stand.account(&["register"])["url"], made["url"]);
    assert_eq!(stand.account(&["show"])["thumbprint"], made["thumbprint"]);
    let _ = stand.program.run(stand.issue()).succeeded();
    assert_eq!(stand.registrations(), 1);
}

#[test]
fn contacts_are_changed_at_the_ca() {
    let stand = stand(Rig::get());
    let _ = stand.account(&["register"]);
    let _ = stand.account(&["update", "-m", "new@example.test,night@example.test"]);
    let contact = stand.account(&["show"])["contact"].clone();
    assert_eq!(contact, serde_json::json!(["mailto:new@example.test", "mailto:night@example.test"]));
}

#[test]
fn an_account_key_of_any_kind_takes_over_and_orders_go_on() {
    let stand = stand(Rig::get());
    let mut before = stand.account(&["register"]);
    for kind in ["es384", "rs256", "es256"] {
        let after = stand.account(&["rollover", "--account-key-type", kind]);
        assert_eq!(after["url"], before["url"], "{kind}: the account stays the same");
        assert_ne!(after["thumbprint"], before["thumbprint"], "{kind}: the key does not");
        assert_eq!(stand.account(&["show"])["thumbprint"], after["thumbprint"], "{kind}");
        let _ = stand.program.run([&stand.issue()[..], &["--force"]].concat()).succeeded();
        before = after;
    }
    assert_eq!(stand.registrations(), 1);
}

#[test]
fn an_account_that_was_given_up_is_replaced_only_by_registering_again() {
    let stand = stand(Rig::get());
    let first = stand.account(&["register"]);
    let _ = stand.program.run(stand.issue()).succeeded();
    let refused = stand.program.run(["account", "deactivate"]).failed_with(2);
    let _ = refused.says("hint: --yes does it without asking");
    assert_eq!(stand.account(&["show"])["status"], "valid", "nobody has agreed to it");

    assert_eq!(stand.account(&["deactivate", "--yes"])["status"], "deactivated");
    let again = [&stand.issue()[..], &["--force"]].concat();
    let refused = stand.program.run(&again).failed_with(1);
    let _ = refused.says("is deactivated").says("hint: `dns01 account register` makes another one");

    let second = stand.account(&["register"]);
    assert_ne!(second["url"], first["url"]);
    let _ = stand.program.run(&again).succeeded();
}

#[test]
fn a_ca_that_binds_accounts_gets_the_binding_it_asks_for() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let pebble = rig.pebble().external_account(KID, MAC_KEY).start();
    let program = dns01(rig).credentials(&zone).ca(rig, &pebble.directory());
    let issue = ["issue", "-d", zone.name(), "--dns", "rfc2136"];
    let _ = program.run(issue).failed_with(1).says("external account").says("--eab-kid");

    let file = program.state().join("mac");
    let path = file.to_str().unwrap();
    let bound = [&issue[..], &["--eab-kid", KID, "--eab-hmac-key-file", path]].concat();
    let missing = program.run(&bound).failed_with(1);
    let _ = missing.says(path);
    std::fs::write(&file, format!("{}\n", MAC_KEY.to_lowercase())).unwrap();
    let _ = program
        .run(&bound)
        .failed_with(1)
        .says("verification error")
        .says("hint: check the key id and the HMAC key");
    std::fs::write(&file, format!("{MAC_KEY}\n")).unwrap();
    let _ = program.run(&bound).succeeded();
    assert!(pebble.log().contains("Successful newAccount Binding"));
    let _ = program.run([&issue[..], &["--force"]].concat()).succeeded();
}

/// As after a CA's test environment was reset.
#[test]
fn an_account_that_the_ca_has_forgotten_is_registered_again() {
    let stand = stand(Rig::get());
    let made = stand.account(&["register"]);
    let database = stand.program.state().join("dns01.db");
    crate::sql::execute(&database, "UPDATE accounts SET url = url || 'gone'");
    let refused = stand.program.run(stand.issue()).failed_with(1);
    let _ = refused.says("hint: register with `dns01 account register`");
    assert_eq!(stand.account(&["register"])["url"], made["url"], "the key still is the same");
    let _ = stand.program.run(stand.issue()).succeeded();
}

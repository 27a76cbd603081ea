//! Revocation: by the account's right, and by that of the certificate's own key.

use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Pebble, Rig, Zone};

struct Stand {
    zone: Zone,
    pebble: Pebble,
    program: Program,
}

fn stand(rig: &Rig) -> Stand {
    let (zone, pebble) = (rig.zone().create(), rig.pebble().start());
    let program = dns01(rig).credentials(&zone);
    Stand { zone, pebble, program }
}

impl Stand {
    /// Obtains a certificate by flags and returns its serial.
    fn issue(&self, rig: &Rig) -> String {
        self.issue_with(rig, &[])
    }

    fn issue_with(&self, rig: &Rig, more: &[&str]) -> String {
        let (directory, bundle) = (self.pebble.directory(), rig.ca_bundle());
        let line = ["issue", "-d", self.zone.name(), "--dns", "rfc2136", "--json", "--agree-tos"];
        let ca = ["--server", &directory, "--ca-bundle", bundle.to_str().unwrap()];
        let issued = self.program.run([&line[..], &ca, more].concat()).succeeded().document();
        issued["certificates"][0]["serial"].as_str().unwrap().to_owned()
    }

    fn status(&self, serial: &str) -> (String, u64) {
        let status = self.pebble.certificate_status(serial);
        let reason = status["Reason"].as_u64().unwrap_or_default();
        (status["Status"].as_str().unwrap().to_owned(), reason)
    }

    fn file(&self, name: &str) -> String {
        self.program.live(self.zone.name(), name).display().to_string()
    }
}

/// The CA is known from the `issue` that obtained it: no flag is needed again.
#[test]
fn a_certificate_is_revoked_by_the_account_and_is_due_again() {
    let rig = Rig::get();
    let stand = stand(rig);
    let serial = stand.issue(rig);
    let name = stand.zone.name();
    let done = stand.program.run(["revoke", name, "--reason", "superseded", "--json"]).succeeded();
    assert_eq!(done.document()["revoked"], true);
    assert_eq!(stand.status(&serial), ("Revoked".to_owned(), 4));
    let _ = stand.program.run(["revoke", name]).succeeded();

    let _ = stand.program.run(["list"]).succeeded().says("REVOKED").says("due now: it was revoked");
    let _ = stand.program.run(["show", name]).succeeded().says("due now: it was revoked");
    let _ = stand.program.run(["plan"]).succeeded().says("it was revoked");
    let renewed = stand.program.run(["renew", "--json"]).succeeded().document();
    let fresh = renewed["certificates"][0]["serial"].as_str().unwrap();
    assert_eq!(stand.status(fresh).0, "Valid");
    assert_ne!(fresh, serial);
}

#[test]
fn a_certificate_is_revoked_by_its_own_key() {
    let rig = Rig::get();
    let stand = stand(rig);
    let serial = stand.issue(rig);
    let line = ["revoke", stand.zone.name(), "--by-certificate-key", "--reason", "key-compromise"];
    let _ = stand.program.run(line).succeeded();
    assert_eq!(stand.status(&serial), ("Revoked".to_owned(), 1));
}

#[test]
fn the_key_of_a_revoked_certificate_is_not_used_again() {
    let rig = Rig::get();
    let stand = stand(rig);
    let _ = stand.issue_with(rig, &["--reuse-key"]);
    let key = std::fs::read(stand.file("privkey.pem")).unwrap();
    let _ = stand.program.run(["renew", "--force", stand.zone.name()]).succeeded();
    assert_eq!(std::fs::read(stand.file("privkey.pem")).unwrap(), key);
    let _ = stand.program.run(["revoke", stand.zone.name(), "--reason", "key-compromise"]).succeeded();
    let _ = stand.program.run(["renew"]).succeeded().says("its key is not used again");
    assert_ne!(std::fs::read(stand.file("privkey.pem")).unwrap(), key);
}

#[test]
fn whoever_has_the_key_revokes_without_an_account() {
    let rig = Rig::get();
    let stand = stand(rig);
    let serial = stand.issue(rig);
    let stranger = dns01(rig).ca(rig, &stand.pebble.directory());
    let (certificate, key) = (stand.file("cert.pem"), stand.file("privkey.pem"));
    let _ = stranger.run(["revoke", "--cert", &certificate]).failed_with(1).says("there is no account");
    assert_eq!(stand.status(&serial).0, "Valid");
    let _ = stranger.run(["revoke", "--cert", &certificate, "--key", &key]).succeeded();
    assert_eq!(stand.status(&serial).0, "Revoked");
}

#[test]
fn what_cannot_be_revoked_is_said_before_the_ca_is_asked() {
    let rig = Rig::get();
    let stand = stand(rig);
    let _ = stand.issue(rig);
    let asked = stand.pebble.requests().len();
    let name = stand.zone.name();
    let _ = stand.program.run(["revoke", "nosuch"]).failed_with(2).says("hint: `dns01 list`");
    let _ = stand.program.run(["revoke", name, "--reason", "boredom"]).failed_with(2).says("key-compromise");
    let key = stand.file("privkey.pem");
    let _ = stand.program.run(["revoke", "--cert", &key]).failed_with(2).says("holds no certificate");
    assert_eq!(stand.pebble.requests().len(), asked);
}

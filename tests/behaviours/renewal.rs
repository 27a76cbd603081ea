//! What is due, what is not, and who is asked about it.

use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Pebble, Rig, Zone};
use serde_json::{Value, json};

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
    fn issue(&self, more: &[&str]) -> Value {
        let line = ["issue", "-d", self.zone.name(), "--dns", "rfc2136", "--json"];
        let document = self.program.run([&line[..], more].concat()).succeeded().document();
        document["certificates"][0].clone()
    }

    fn requests(&self) -> usize {
        self.pebble.requests().len()
    }
}

/// Six hours go by: what the CA wanted waited for before it is asked for its advice again.
fn forget_when_to_ask(program: &Program) {
    let database = program.state().join("dns01.db");
    crate::sql::execute(&database, "UPDATE certificates SET renewal_next_look = 0");
}

#[test]
fn a_window_in_the_past_renews_and_says_what_it_replaces() {
    let rig = Rig::get();
    if !rig.has_current_pebble("renewal information") {
        return;
    }
    let stand = stand(rig);
    let first = stand.issue(&[]);
    assert_eq!((&first["outcome"], &first["advised"]), (&"issued".into(), &true.into()));
    let pem = std::fs::read_to_string(stand.program.live(stand.zone.name(), "cert.pem")).unwrap();
    let advice = json!({
        "suggestedWindow": { "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z" },
        "explanationURL": "https://ca.test/why",
    });
    stand.pebble.set_renewal_info(&pem, &advice.to_string());
    let _ = stand.program.run(["renew"]).succeeded().says("is not due");

    forget_when_to_ask(&stand.program);
    let renewed = stand.program.run(["renew", "--json"]).succeeded().document()["certificates"][0].clone();
    assert_eq!(renewed["outcome"], "issued");
    assert_ne!(renewed["serial"], first["serial"]);
    assert!(stand.pebble.log().contains("is a replacement of"), "newOrder named the old certificate");
    assert_eq!(stand.issue(&[])["outcome"], "not-due");
}

#[test]
fn when_nothing_is_due_it_is_said_and_the_ca_is_not_asked() {
    let stand = stand(Rig::get());
    assert_eq!(stand.issue(&[])["outcome"], "issued");
    let (asked, updates) = (stand.requests(), stand.zone.updates());
    let name = stand.zone.name();
    let again = stand.program.run(["issue", "-d", name, "--dns", "rfc2136"]).succeeded();
    let _ = again.says(&format!("{name} is not due: it is renewed from")).says("--force");
    let _ = stand.program.run(["renew"]).succeeded().says("is not due");
    let _ = stand.program.run(["renew", "--quiet"]).succeeded();
    let _ = stand.program.run(["plan"]).succeeded().says("keep");
    assert_eq!((stand.requests(), stand.zone.updates()), (asked, updates));
    assert_eq!(stand.issue(&["--force"])["version"], 2);
}

#[test]
fn lost_files_come_back_without_asking_the_ca() {
    let stand = stand(Rig::get());
    let _ = stand.issue(&[]);
    let asked = stand.requests();
    let file = stand.program.live(stand.zone.name(), "fullchain.pem");
    let before = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let _ = stand.program.run(["renew"]).succeeded();
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(stand.requests(), asked);
}

#[test]
fn another_set_of_names_or_another_kind_of_key_is_due_at_once() {
    let stand = stand(Rig::get());
    let name = stand.zone.name();
    let _ = stand.issue(&["--cert-name", "web"]);
    let wider = stand.issue(&["--cert-name", "web", "-d", &format!("*.{name}")]);
    assert_eq!((&wider["outcome"], &wider["version"]), (&"issued".into(), &2.into()));
    let other = stand.issue(&["--cert-name", "web", "-d", &format!("*.{name}"), "--key-type", "ec384"]);
    assert_eq!((&other["outcome"], &other["version"]), (&"issued".into(), &3.into()));
    let shown = stand.program.run(["show", "web", "--json"]).succeeded().document();
    assert_eq!((&shown["names"][1], &shown["key"]), (&format!("*.{name}").into(), &"ec384".into()));
}

/// `renew` knows of flags what `issue` was given, of credentials only where they are found.
#[test]
fn what_flags_asked_for_is_renewed_without_them() {
    let rig = Rig::get();
    let (zone, pebble) = (rig.zone().create(), rig.pebble().start());
    let program = dns01(rig).credentials(&zone);
    let (directory, bundle) = (pebble.directory(), rig.ca_bundle());
    let ca = ["--server", &directory, "--ca-bundle", bundle.to_str().unwrap(), "--agree-tos"];
    let line =
        ["issue", "-d", zone.name(), "--dns", "rfc2136", "--key-type", "rsa2048", "--cert-name", "web"];
    let _ = program.run([&line[..], &ca].concat()).succeeded();
    let renewed = program.run(["renew", "web", "--force", "--json"]).succeeded().document();
    assert_eq!(renewed["certificates"][0]["version"], 2);
    let _ = program.run(["renew", "wed"]).failed_with(2).says("hint: did you mean `web`?");
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn one_certificate_that_fails_does_not_stop_the_others() {
    let rig = Rig::get();
    let (good, bad) = (rig.zone().create(), rig.zone().create());
    let pebble = rig.pebble().start();
    let program = dns01(rig);
    // The key of the good zone may not write in the bad one.
    let file = program.state().join("dns01.toml");
    let certificate = |name: &str, zone: &Zone| {
        format!("[[certificate]]\nname = \"{name}\"\ndomains = [\"{}\"]\nca = \"lab\"\n", zone.name())
    };
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\n{}{}{}",
        pebble.directory(),
        rig.ca_bundle().display(),
        good.table("shared", &[&good, &bad]),
        certificate("bad", &bad),
        certificate("good", &good),
    );
    std::fs::write(&file, text).unwrap();
    let run = |arguments: &[&str]| program.run([arguments, &["--config", file.to_str().unwrap()]].concat());

    let tried = run(&["issue", "--all", "--agree-tos", "--json"]).failed_with(1).document();
    let outcomes = |document: &Value| {
        let of = |index: usize| document["certificates"][index]["outcome"].as_str().unwrap().to_owned();
        (of(0), of(1))
    };
    assert_eq!(outcomes(&tried), ("failed".to_owned(), "issued".to_owned()));
    let error = &tried["certificates"][0]["error"];
    assert_eq!((&error["certificate"], &error["id"]), (&"bad".into(), &"records".into()), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    let _ = run(&["list"]).succeeded().says("failing since").says("dns01 show bad");
    let _ = run(&["plan"]).succeeded().says("wait").says("after 1 failure");

    let asked = pebble.requests().len();
    let waits = run(&["renew", "--json"]).succeeded().document();
    assert_eq!(outcomes(&waits), ("waiting".to_owned(), "not-due".to_owned()));
    assert_eq!(pebble.requests().len(), asked, "a failure that is too fresh is not tried again");
    assert_eq!((good.all_txt(), bad.all_txt()), (vec![], vec![]));
}

/// What is remembered of a secret is its place, which is no matter of the working directory.
#[test]
fn the_place_of_a_secret_is_found_again_from_everywhere() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tsig.key"), &zone.key().secret).unwrap();
    let program = zone.environment()[..3]
        .iter()
        .fold(dns01(rig).ca(rig, rig.ca_directory()), |program, (name, value)| program.env(name, value))
        .env("RFC2136_TSIG_SECRET_FILE", "tsig.key");
    let run = |place: &std::path::Path, line: &[&str]| {
        let mut command = program.command(line);
        command.current_dir(place).env_remove("RFC2136_TSIG_SECRET");
        dns01_tests::program::Running::start(command, std::time::Duration::from_secs(60)).wait()
    };
    let issue = ["issue", "-d", zone.name(), "--dns", "rfc2136"];
    let _ = run(directory.path(), &issue).succeeded().says("Run `dns01 renew` daily.");
    let renew = ["renew", zone.name(), "--force"];
    let _ = run(std::path::Path::new("/"), &renew).succeeded().says("event=issued");
}

/// Told while there is time, not when the certificate is about to end.
#[test]
fn what_renewals_need_is_said_and_missed_before_anything_is_due() {
    let rig = Rig::get();
    let stand = stand(rig);
    let issued = stand.program.run(["issue", "-d", stand.zone.name(), "--dns", "rfc2136"]).succeeded();
    let _ = issued.says("Run `dns01 renew` daily, with `RFC2136_TSIG_SECRET` set.");
    for command in ["renew", "plan"] {
        let fine = stand.program.run([command]).succeeded();
        assert!(!fine.stderr.contains("warning"), "{fine}");
        let mut without = stand.program.command([command]);
        without.env_remove("RFC2136_TSIG_SECRET");
        let limit = std::time::Duration::from_secs(60);
        let warned = dns01_tests::program::Running::start(without, limit).wait().succeeded();
        let _ = warned
            .says(&format!("warning: {}: `tsig.secret` of credential `rfc2136`", stand.zone.name()))
            .says("the environment variable `RFC2136_TSIG_SECRET` is not set");
    }
}

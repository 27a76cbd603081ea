//! What is due, what is not, and who is asked about it.

use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Pebble, Rig, Zone};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

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

    /// Changes what the store says.
    fn change(&self, statement: &'static str) {
        crate::sql::execute(&self.program.state().join("dns01.db"), statement);
    }

    /// Six hours go by: what the CA wanted waited for before it is asked for its advice again.
    fn forget_when_to_ask(&self) {
        self.change("UPDATE certificates SET renewal_next_look = 0");
    }
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

    stand.forget_when_to_ask();
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

/// Brings the store of `from` to `to`, in place of the one that is there.
fn bring_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["dns01.db", "dns01.db-wal", "dns01.db-shm"] {
        let _ = std::fs::remove_file(to.join(file));
        let _ = std::fs::copy(from.join(file), to.join(file));
    }
}

/// The store counts its versions; the files of others may stand under the same numbers.
#[test]
fn with_a_store_that_was_lost_or_brought_back_what_is_issued_is_what_is_live() {
    let stand = stand(Rig::get());
    let (state, name) = (stand.program.state(), stand.zone.name());
    let live = || std::fs::read_to_string(stand.program.live(name, "cert.pem")).unwrap();
    let _ = stand.issue(&[]);
    let first = live();
    bring_store(&state.join("nowhere"), state);
    assert_eq!(stand.issue(&[])["version"], 1);
    let second = live();

    bring_store(state, &state.join("backup"));
    let _ = stand.issue(&["--force"]);
    let third = live();
    bring_store(&state.join("backup"), state);
    let _ = stand.issue(&["--force"]);
    let fourth = live();
    let all = BTreeSet::from([&first, &second, &third, &fourth]);
    assert_eq!(all.len(), 4, "each is live when it was issued");

    let link = || std::fs::read_link(state.join("live").join(name)).unwrap();
    let before = link();
    let _ = stand.program.run(["renew"]).succeeded().says("is not due");
    assert_eq!((link(), live()), (before, fourth), "what is live is not placed again");
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

/// `example.com` and `*.example.com` are called the same where nobody gives them names.
#[test]
fn a_certificate_is_not_replaced_by_one_without_its_names_unless_it_is_named() {
    let stand = stand(Rig::get());
    let (name, wildcard) = (stand.zone.name(), format!("*.{}", stand.zone.name()));
    let _ = stand.issue(&[]);
    let before = std::fs::read(stand.program.live(name, "cert.pem")).unwrap();
    let (asked, updates) = (stand.requests(), stand.zone.updates());
    let other =
        |more: &[&str]| stand.program.run([&["issue", "-d", &wildcard, "--dns", "rfc2136"], more].concat());
    let refused = other(&["--force"]).failed_with(2).says(&format!("one without `{name}`"));
    let _ = refused.says("hint: ").says(&format!("`--cert-name {name}` replaces it"));
    assert_eq!(std::fs::read(stand.program.live(name, "cert.pem")).unwrap(), before);
    assert_eq!((stand.requests(), stand.zone.updates()), (asked, updates), "nothing was done");

    let _ = other(&["--cert-name", "wild"]).succeeded();
    let wider = stand.issue(&["-d", &wildcard]);
    assert_eq!(
        (&wider["outcome"], &wider["version"]),
        (&"issued".into(), &2.into()),
        "a name more is no less"
    );
    let _ = other(&[]).failed_with(2);
    let _ = other(&["--cert-name", name]).succeeded();
    let shown = stand.program.run(["show", name, "--json"]).succeeded().document();
    assert_eq!(shown["names"], json!([wildcard]));
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

/// The arguments that name `pebble`, as a person types them.
fn by_hand(rig: &Rig, pebble: &Pebble) -> Vec<String> {
    let bundle = rig.ca_bundle().to_str().unwrap().to_owned();
    let flags = ["--server", &pebble.directory(), "--ca-bundle", &bundle, "--agree-tos"];
    flags.map(str::to_owned).to_vec()
}

/// `issue` for the apex of `zone` alone, with a credential called like its provider.
fn issue_in(zone: &Zone, ca: &[String]) -> Vec<String> {
    let line = ["issue", "-d", zone.name(), "--dns", "rfc2136", "--zone", zone.name()];
    [line.map(str::to_owned).as_slice(), ca].concat()
}

/// The versions in a JSON document, in order.
fn versions(document: &Value) -> Vec<u64> {
    let all = document["certificates"].as_array().unwrap();
    all.iter().map(|one| one["version"].as_u64().unwrap_or_default()).collect()
}

#[test]
fn flags_of_two_certificates_are_remembered_apart_though_their_credentials_are_called_the_same() {
    let rig = Rig::get();
    let one = rig.zone().create();
    let (other, pebble) = (rig.zone().same_key(&one).create(), rig.pebble().start());
    let (program, ca) = (dns01(rig).credentials(&one), by_hand(rig, &pebble));
    let _ = program.run(issue_in(&one, &ca)).succeeded();
    let _ = program.run(issue_in(&other, &ca)).succeeded();
    let line = ["renew", one.name(), other.name(), "--force", "--json"];
    let renewed = program.run(line).succeeded().document();
    assert_eq!(versions(&renewed), [2, 2], "{renewed}");
    assert_eq!((one.all_txt(), other.all_txt()), (vec![], vec![]));
}

#[test]
fn a_bundle_that_is_gone_fails_the_certificates_of_its_ca_alone() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let (lost, there) = (rig.pebble().start(), rig.pebble().start());
    let program = dns01(rig).credentials(&zone);
    let bundle = program.state().join("roots.pem");
    std::fs::copy(rig.ca_bundle(), &bundle).unwrap();
    let mut ca = by_hand(rig, &lost);
    ca[3] = bundle.to_str().unwrap().to_owned();
    let _ = program.run([issue_in(&zone, &ca), vec!["--cert-name".to_owned(), "lost".to_owned()]].concat());
    let _ = program.run(issue_in(&zone, &by_hand(rig, &there))).succeeded();
    std::fs::remove_file(&bundle).unwrap();
    let line = ["renew", "lost", zone.name(), "--force", "--json"];
    let renewed = program.run(line).failed_with(1).document();
    let certificates = renewed["certificates"].as_array().unwrap();
    let failed = certificates.iter().find(|one| one["outcome"] == "failed").unwrap();
    assert_eq!(failed["error"]["certificate"], "lost", "{renewed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains(bundle.to_str().unwrap()), "{renewed}");
    let issued = certificates.iter().find(|one| one["outcome"] == "issued").unwrap();
    assert_eq!((certificates.len(), &issued["version"]), (2, &2.into()), "{renewed}");
    let _ = program.run(["renew", "lost", "--force"]).failed_with(1).says("cannot be read");
}

/// `init` calls its table as its provider is called, and so do flags.
#[test]
fn what_flags_said_once_takes_nothing_from_a_table_that_is_called_the_same() {
    let rig = Rig::get();
    let (flags, table, pebble) = (rig.zone().create(), rig.zone().create(), rig.pebble().start());
    let program = dns01(rig).credentials(&flags);
    let _ = program.run(issue_in(&flags, &by_hand(rig, &pebble))).succeeded();
    let file = program.state().join("dns01.toml");
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\nagree_tos = true\n{}\
         [[certificate]]\ndomains = [\"{}\"]\nca = \"lab\"\n",
        pebble.directory(),
        rig.ca_bundle().display(),
        table.table("rfc2136", &[&table]),
        table.name(),
    );
    std::fs::write(&file, text).unwrap();
    let run = |line: &[&str]| program.run([line, &["--config", file.to_str().unwrap()]].concat());
    let _ = run(&["issue", "--all"]).succeeded();
    let line = ["renew", flags.name(), table.name(), "--force", "--json"];
    let renewed = run(&line).succeeded().document();
    assert_eq!(versions(&renewed), [2, 2], "{renewed}");
    let listed = run(&["txt", "list", "--json"]).succeeded().document();
    assert_eq!(listed["values"], json!([]));
    assert_eq!((flags.all_txt(), table.all_txt()), (vec![], vec![]));
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

/// What the CA advises, and what is written down of failures, never outlives the certificate.
#[test]
fn advice_beyond_the_end_of_a_certificate_does_not_let_it_expire() {
    let stand = stand(Rig::get());
    let first = stand.issue(&[]);
    stand.change(
        "UPDATE certificates SET renewal_start = 4000000000, renewal_end = 4000000010, \
         renewal_chosen = 4000000005, renewal_next_look = strftime('%s', 'now') + 3600",
    );
    let _ = stand.program.run(["renew"]).succeeded().says("is not due");
    stand.change(
        "UPDATE certificate_versions SET not_before = strftime('%s', 'now') - 6000000, \
         not_after = strftime('%s', 'now') + 600",
    );
    let renewed = stand.program.run(["renew", "--json"]).succeeded().document()["certificates"][0].clone();
    assert_eq!(renewed["outcome"], "issued");
    assert_ne!(renewed["serial"], first["serial"]);
}

#[test]
fn advice_from_a_time_when_the_clock_was_ahead_is_asked_for_again() {
    let rig = Rig::get();
    if !rig.has_current_pebble("renewal information") {
        return;
    }
    let stand = stand(rig);
    let _ = stand.issue(&[]);
    let show = || stand.program.run(["show", stand.zone.name(), "--json"]).succeeded().document();
    let advice = show()["advice"]["start"].clone();
    stand.change("UPDATE certificates SET renewal_start = 4000000000, renewal_next_look = 4000000000");
    let _ = stand.program.run(["renew"]).succeeded().says("is not due");
    assert_eq!(show()["advice"]["start"], advice);
}

#[test]
fn a_failure_from_a_time_when_the_clock_was_ahead_is_not_waited_out() {
    let stand = stand(Rig::get());
    let _ = stand.issue(&[]);
    stand.change("UPDATE certificate_versions SET not_after = strftime('%s', 'now') - 600");
    stand.change(
        "UPDATE certificates SET failing_since = 4000000000, failed_attempts = 1, next_try = 4000000060, \
         last_error = 'TLS'",
    );
    stand.change("INSERT INTO ca_back_offs SELECT ca, 4000000000, 'busy' FROM accounts");
    let renewed = stand.program.run(["renew", "--json"]).succeeded().document()["certificates"][0].clone();
    assert_eq!(renewed["outcome"], "issued");
}

#[test]
fn what_waits_while_its_certificate_ends_fails_the_run() {
    let stand = stand(Rig::get());
    let _ = stand.issue(&[]);
    stand.change(
        "UPDATE certificates SET failing_since = strftime('%s', 'now') - 60, failed_attempts = 4, \
         next_try = strftime('%s', 'now') + 3600, last_error = 'the name server is down', \
         renewal_chosen = 1, renewal_next_look = strftime('%s', 'now') + 3600",
    );
    let waits = stand.program.run(["renew", "--json"]).succeeded().document();
    assert_eq!(waits["certificates"][0]["outcome"], "waiting");
    let asked = stand.requests();
    let ends = [
        ("UPDATE certificate_versions SET not_after = strftime('%s', 'now') + 8000", "ends in 2 h"),
        ("UPDATE certificate_versions SET not_after = strftime('%s', 'now') - 8000", "ended 2 h ago"),
    ];
    for (end, said) in ends {
        stand.change(end);
        let waits = stand.program.run(["renew"]).failed_with(1);
        let _ = waits.says("id=running-out").says(said).says("because the name server is down");
    }
    assert_eq!(stand.requests(), asked, "the pause is kept all the same");
    let _ = stand.program.run(["renew", stand.zone.name(), "--force"]).succeeded();
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

//! `dns01 check`: everything but an order.

use crate::stand::Stand;
use dns01_tests::fault_ca::Endpoint;
use dns01_tests::fault_names::Behaviour;
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Through the CA of the stand, and without `--zone`.
fn check(stand: &Stand, more: &[&str]) -> Outcome {
    let corridor = stand.corridor();
    stand
        .program
        .run([&["check", "-d", stand.zone.name(), "--dns", "rfc2136"], &corridor[4..], more].concat())
}

/// The steps about a subject of this kind in a JSON document.
fn steps(outcome: &Outcome, kind: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome}"));
    let checks = document["checks"].as_array().unwrap();
    let about = checks.iter().filter(|check| check["kind"] == kind);
    about.flat_map(|check| check["steps"].as_array().unwrap().clone()).collect()
}

fn of(steps: &[Value], key: &str) -> Vec<Value> {
    steps.iter().map(|step| step[key].clone()).collect()
}

#[test]
fn a_zone_that_works_has_a_tick_at_every_step_and_nothing_stays() {
    let stand = Stand::with([]);
    let outcome = check(&stand, &[]).succeeded();
    let wanted = [
        "   this machine\n ✓ clock         as at ".to_owned(),
        " ✓ state         its files are open to nobody else\n".to_owned(),
        "   credential rfc2136\n".to_owned(),
        format!(
            "   zone {}\n ✓ delegation    through rfc2136, delegated by test to 2 name servers with 2 addresses\n",
            stand.zone.name()
        ),
        format!(" ✓ name server   {} ", stand.zone.host("ns2")),
        ": UDP and TCP, serial ".to_owned(),
        format!("   {}\n ✓ CAA           no record", stand.zone.name()),
        " ✓ written       a value at ".to_owned(),
        " ✓ seen          by 2 addresses  ".to_owned(),
        " ✓ removed       1 value  ".to_owned(),
    ];
    let outcome = wanted.iter().fold(outcome, |outcome, text| outcome.says(text));
    assert!(!outcome.stdout.contains('✗'), "{outcome}");
    assert_eq!(stand.zone.all_txt(), []);
    let asked: Vec<_> = stand.ca.requests().iter().map(|request| request.endpoint).collect();
    assert_eq!(asked, [Endpoint::Directory], "of the CA the directory is read, once");
}

#[test]
fn its_json_has_every_step_with_its_seconds() {
    let stand = Stand::with([]);
    let outcome = check(&stand, &["--json"]).succeeded();
    let name = steps(&outcome, "name");
    assert_eq!(of(&name, "step"), ["CAA", "zone", "written", "seen", "removed"]);
    assert!(name.iter().all(|step| step["good"] == json!(true) && step["state"] == "good"), "{outcome}");
    assert!(name[3]["seconds"].is_f64(), "{outcome}");
    let zone = steps(&outcome, "zone");
    assert_eq!(of(&zone, "step"), ["delegation", "name server", "name server"]);
    assert_eq!(of(&steps(&outcome, "machine"), "step"), ["clock", "state"]);
    assert_eq!(of(&steps(&outcome, "credential"), "step"), ["credential", "scope"]);
}

#[test]
fn a_name_server_without_tcp_is_a_warning_of_its_own() {
    let stand = Stand::with([Behaviour::good().without_tcp()]);
    let outcome = check(&stand, &[]).succeeded();
    let row = format!(" ! name server   {}: an answer over UDP, refused over TCP", stand.server(3));
    let _ = outcome.says(&row).says("hint: open its TCP port 53").says("✓ seen          by 3 addresses");
}

#[test]
fn a_stale_secondary_is_a_cross_with_the_table_and_the_value_is_removed() {
    let stand = Stand::in_zone(Rig::get().zone(), [(Behaviour::good(), Duration::from_secs(3600))]);
    let soon = ["--propagation-timeout", "1s", "--quorum", "all"];
    let outcome = check(&stand, &soon).failed_with(1);
    let _ = outcome.says("✗ seen").says(&stand.zone.host("ns3")).says("hint: ").says("✓ removed");
    let outcome = check(&stand, &[soon.as_slice(), &["--json"]].concat()).failed_with(1);
    let seen = steps(&outcome, "name").into_iter().find(|step| step["step"] == "seen").unwrap();
    assert_eq!((&seen["good"], &seen["error"]["id"]), (&json!(false), &json!("propagation")));
    assert_eq!(stand.zone.all_txt(), []);
}

#[test]
fn a_forbidding_caa_and_a_refused_key_are_crosses() {
    let stand = Stand::in_zone(Rig::get().zone().record("@ CAA 0 issue \";\""), []);
    let other = Rig::get().zone().create();
    let check_of = |program: &Program, arguments: &[&str]| program.run([&["check"], arguments].concat());
    let arguments = ["-d", stand.zone.name(), "--dns", "rfc2136", "--server", "letsencrypt"];
    let outcome = check_of(&stand.program, &arguments).failed_with(1);
    let _ = outcome.says("? clock         cannot tell").says("✗ CAA").says("✓ seen");
    let program = dns01(Rig::get()).credentials(&stand.zone);
    let outcome = check_of(&program, &["-d", other.name(), "--dns", "rfc2136"]).failed_with(1);
    let _ = outcome.says("✗ written").says("hint: ");
}

/// The configuration of `zone` and its program; certificates follow.
fn configuration(zone: &Zone, certificates: &str) -> (tempfile::TempDir, Program) {
    let rig = Rig::get();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\n[defaults]\nca = \"lab\"\n{}{certificates}",
        rig.ca_directory(),
        rig.ca_bundle().display(),
        zone.table("lab", &[zone]),
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let program = dns01(rig).env("DNS01_CONFIG", file.to_str().unwrap());
    (directory, program)
}

#[test]
fn a_whole_configuration_is_gone_through_and_a_missing_alias_is_printed() {
    let rig = Rig::get();
    let (zone, elsewhere) = (rig.zone().create(), rig.zone().create());
    let [name, other] = [zone.name(), elsewhere.name()];
    let certificates = format!(
        "[[certificate]]\nname = \"one\"\ndomains = [\"{name}\", \"*.{name}\"]\n\
         [[certificate]]\nname = \"two\"\ndomains = [\"shop.{other}\"]\n",
    );
    let (_directory, program) = configuration(&zone, &certificates);
    let outcome = program.run(["check"]).failed_with(1);
    let alias =
        format!("_acme-challenge.shop.{other}. 3600 IN CNAME shop-{}.{name}.\n", other.replace('.', "-"));
    let outcome = outcome
        .says("   credential lab (rfc2136)\n")
        .says(&format!("   {name}, *.{name} · certificate one\n"))
        .says(&format!("   shop.{other} · certificate two\n"))
        .says("✗ zone")
        .says(&alias);
    assert_eq!(
        outcome.stdout.matches("✓ removed").count(),
        1,
        "a wildcard and its apex have one place: {outcome}"
    );
}

#[test]
fn a_zone_that_is_not_delegated_is_answered_with_the_records_of_its_parent() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let lost = format!("lost.{}", zone.name());
    let table = zone.table("lab", &[&zone]).replace(&format!("\"{}\"", zone.name()), &format!("\"{lost}\""));
    let (directory, program) = configuration(&zone, "");
    let file = directory.path().join("dns01.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace(&zone.table("lab", &[&zone]), &table);
    std::fs::write(&file, text).unwrap();
    let outcome = program.run(["check", "-d", &lost]).failed_with(1);
    let _ = outcome.says("✗ zone").says("create:").says(&format!("{lost}. 3600 IN NS "));
}

#[test]
fn an_address_where_nobody_answers_fails_within_seconds_and_leaves_nothing_to_remove() {
    let stand = Stand::with([]);
    // A queue that is full takes no connection and refuses none.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap().into_std().unwrap();
    let address = full.local_addr().unwrap();
    let soon = Duration::from_millis(200);
    let _held: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, soon)).collect();
    let program = dns01(Rig::get()).credentials(&stand.zone).env("RFC2136_NAMESERVER", address.to_string());
    let began = Instant::now();
    let zone = ["--dns", "rfc2136", "--zone", stand.zone.name()];
    let name = format!("_acme-challenge.{}", stand.zone.name());
    let outcome = program.run([&["txt", "add", &name, "value"], zone.as_slice()].concat()).failed_with(1);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}: {outcome}", began.elapsed());
    let _ = outcome.says(&format!("no connection to {address}")).says("hint: check `server`");
    let _ = program.run(["txt", "list"]).succeeded().says("the ledger is empty");
}

#[test]
fn a_key_that_the_server_does_not_know_is_not_accepted_because_anybody_may_read() {
    let stand = Stand::with([]);
    let program = dns01(Rig::get()).credentials(&stand.zone).ca(Rig::get(), Rig::get().ca_directory());
    let line = ["check", "-d", stand.zone.name(), "--dns", "rfc2136"];
    let _ = program.run(line).says("✓ credential    accepted; it can read");
    let program = program.env("RFC2136_TSIG_KEY", "nobody-knows-it.");
    let outcome = program.run(line).failed_with(1).says("cannot tell: _acme-challenge.").says("BADKEY");
    assert!(!outcome.stdout.contains("accepted"), "{outcome}");
}

/// As behind a firewall that swallows what is sent: the connection stands, and nothing comes back.
#[test]
fn a_server_that_never_answers_is_given_up_after_one_repetition() {
    let stand = Stand::with([]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    std::thread::spawn(move || silent.incoming().collect::<Vec<_>>());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    let table = stand.zone.table("lab", &[&stand.zone]);
    let table = table.replace(&stand.zone.primary().to_string(), &address);
    let text = table.replace("server = ", "timeout = \"2s\"\nserver = ");
    assert!(text.contains(&address) && text.contains("timeout"), "{text}");
    std::fs::write(&file, text).unwrap();
    let program = dns01(Rig::get()).env("DNS01_CONFIG", &file);
    let began = Instant::now();
    let name = format!("_acme-challenge.{}", stand.zone.name());
    let outcome = program.run(["txt", "add", &name, "value", "--dns", "lab"]).failed_with(1);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}: {outcome}", began.elapsed());
    let _ = outcome.says("no answer within 2 s").says("firewall");
    let _ = program.run(["txt", "list"]).succeeded().says("value");
}

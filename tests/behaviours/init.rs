//! `dns01 init`: a configuration from a few answers.

use crate::terminal::on_terminal;
use dns01_tests::program::{Program, Running, dns01};
use dns01_tests::rig::Rig;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

fn stand() -> (PathBuf, Program) {
    let program = dns01(Rig::get());
    let file = program.state().join("etc").join("dns01.toml");
    let program = program.env("DNS01_CONFIG", &file);
    (file, program)
}

#[test]
fn flags_alone_write_a_file_that_says_where_the_secret_goes() {
    let zone = Rig::get().zone().create();
    let (file, program) = stand();
    let wildcard = format!("*.{}", zone.name());
    let line = ["init", "-d", zone.name(), "-d", &wildcard, "--dns", "rfc2136", "-m", "a@example.test"];
    let outcome = program.run(line).succeeded();
    let _ = outcome
        .says("is written, readable by you alone")
        .says("the smallest credential for rfc2136")
        .says("missing: the secret in /etc/dns01/secrets/tsig")
        .says("then: dns01 check");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!("zones = [\"{}\"]", zone.name())), "{text}");
    assert!(text.contains("contact = [\"mailto:a@example.test\"]"), "{text}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let _ = program.run(["plan"]).succeeded().says(zone.name());
    let _ = program.run(line).failed_with(2).says("is there already").says("hint: ");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn on_a_terminal_what_no_flag_says_is_asked() {
    let zone = Rig::get().zone().create();
    let (file, program) = stand();
    let answers = format!("{}\nrfc2136\n\nb@example.test", zone.name());
    let outcome = Running::start(on_terminal(&program, &["init"], &answers), Duration::from_secs(60)).wait();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{outcome}"));
    for line in [
        "ca = \"letsencrypt\"".to_owned(),
        "provider = \"rfc2136\"".to_owned(),
        format!("domains = [\"{}\"]", zone.name()),
        "contact = [\"mailto:b@example.test\"]".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[test]
fn typical_mistakes_write_nothing_and_are_explained() {
    let zone = Rig::get().zone().create();
    let (file, program) = stand();
    let name = zone.name();
    for (line, message, hint) in [
        (vec!["init"], "`-d` is missing", "dns01 init -d NAME"),
        (vec!["init", "-d", name], "`--dns` is missing", "dns01 init -d NAME"),
        (vec!["init", "-d", name, "--dns", "rfc2163"], "no provider is called", "did you mean `rfc2136`?"),
        (vec!["init", "-d", "192.0.2.1", "--dns", "rfc2136"], "is an IP address", "ask for a name"),
        (vec!["init", "-d", name, "--dns", "rfc2136", "-s", "zerosl"], "no CA is called", "zerossl"),
    ] {
        let _ = program.run(line).failed_with(2).says(message).says(hint);
        assert!(!file.exists());
    }
}

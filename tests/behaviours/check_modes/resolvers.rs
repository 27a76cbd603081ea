//! The mode `recursive`, over every transport, at Unbound.

use super::{program, wildcard};
use dns01_tests::rig::Rig;
use dns01_tests::rig::address::{RESOLVER, RESOLVER_NAME};

/// Flags for the mode with one resolver.
fn at(resolver: &str) -> Vec<String> {
    let flags = ["--propagation-check", "recursive", "--propagation-wait", "1s", "--propagation-resolver"];
    flags.iter().map(|&flag| flag.to_owned()).chain([resolver.to_owned()]).collect()
}

fn issues_through(resolver: &str) {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let bundle = rig.ca_bundle();
    let mut flags = at(resolver);
    flags.extend(["--resolver-ca-bundle".to_owned(), bundle.display().to_string()]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let program = program(&zone);
    let outcome = wildcard(&program, &zone, &flags).succeeded().says("resolvers=1");
    assert!(!outcome.stderr.contains("warning"), "{outcome}");
    assert_eq!(zone.all_txt(), []);
    // The same way is taken again when it is renewed.
    let _ = program.run(["renew", zone.name(), "--force"]).succeeded().says("resolvers=1");
}

#[test]
fn a_wildcard_is_issued_when_a_resolver_shows_the_values() {
    issues_through(&RESOLVER.to_string());
}

#[test]
fn a_wildcard_is_issued_when_a_resolver_shows_the_values_over_tls() {
    issues_through(&format!("tls://{RESOLVER_NAME}@{RESOLVER}"));
}

#[test]
fn a_wildcard_is_issued_when_a_resolver_shows_the_values_over_https() {
    issues_through(&format!("https://{RESOLVER_NAME}@{RESOLVER}/dns-query"));
}

#[test]
fn a_resolver_that_does_not_prove_its_name_is_not_believed() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let bundle = rig.ca_bundle();
    let trusting = ["--resolver-ca-bundle", bundle.to_str().unwrap()];
    for (resolver, more) in [
        (format!("tls://{RESOLVER}"), &[][..]),
        (format!("https://{RESOLVER}/dns-query"), &[][..]),
        (format!("tls://other.rig.test@{RESOLVER}"), &trusting[..]),
        (format!("https://other.rig.test@{RESOLVER}/dns-query"), &trusting[..]),
    ] {
        let flags = at(&resolver);
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let outcome = wildcard(&program(&zone), &zone, &flags).failed_with(1);
        let _ = outcome.says("a certificate that is not trusted").says(&resolver);
    }
    assert_eq!(zone.updates(), 0);
}

#[test]
fn things_are_found_out_over_https_too() {
    let rig = Rig::get();
    let zone = rig.zone().record("@ CAA 0 issue \"other.test\"").create();
    let bundle = rig.ca_bundle();
    let resolver = format!("https://{RESOLVER}/dns-query");
    let more = ["--resolver", &resolver, "--resolver-ca-bundle", bundle.to_str().unwrap()];
    let _ = wildcard(&program(&zone), &zone, &more).failed_with(1).says("caa-forbids");
}

#[test]
fn check_and_txt_wait_look_where_the_mode_looks() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let program = program(&zone);
    let flags = at(&RESOLVER.to_string());
    let common = ["--dns", "rfc2136", "--zone", zone.name()];
    let words = |first: &[&str]| {
        let words = first.iter().chain(&common).map(|&word| word.to_owned());
        words.chain(flags.clone()).collect::<Vec<_>>()
    };
    let _ = program.run(words(&["check", "-d", zone.name()])).succeeded().says("looked at by 1 resolver");
    zone.add("_acme-challenge 60 TXT \"one\"");
    let other = zone.host("_acme-challenge");
    let _ = program.run(words(&["txt", "wait", &other, "one"])).succeeded().says("every resolver has it");
}

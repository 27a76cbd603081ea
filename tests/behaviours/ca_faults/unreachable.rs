//! A CA that is not there, is not trusted, or is something else.

use super::bench::{Bench, each, pebble};
use dns01_tests::fault_ca::{ClosedPort, Endpoint, Fault, FaultCa, Nth, Setup};
use dns01_tests::program::{Outcome, dns01};
use dns01_tests::rig::Rig;
use std::fmt::Write as _;
use std::time::Duration;

/// `dns01 issue` at a CA of this address.
fn issue_at(bench: &Bench, server: &str, more: &[&str]) -> Outcome {
    let name = bench.zone.name();
    let mut arguments = vec!["issue", "-d", name, "--dns", "rfc2136", "--agree-tos", "--server", server];
    arguments.extend(more);
    bench.program.run(arguments)
}

#[test]
fn a_ca_where_nobody_listens_is_called_unreachable_within_seconds() {
    let bench = Bench::new();
    let closed = ClosedPort::take().unwrap();
    let outcome = issue_at(&bench, &format!("https://{}/dir", closed.address()), &[]).failed_with(3);
    assert!(outcome.elapsed < Duration::from_secs(10), "{outcome}");
    let outcome = outcome.says("id=ca-unreachable").says(&closed.address().to_string());
    let _ = outcome.says("the connection was refused").says("hint: check the address, the firewall");
    bench.nothing_left();
    assert_eq!(bench.zone.updates(), 0);
}

#[test]
fn a_ca_whose_name_does_not_exist_is_called_so() {
    let bench = Bench::new();
    let outcome = issue_at(&bench, "https://ca.nowhere.test/dir", &[]).failed_with(3);
    let _ = outcome.says("id=ca-unreachable").says("ca.nowhere.test").says("its name cannot be resolved");
}

#[test]
fn a_hundred_certificates_fail_as_fast_as_one_where_nobody_listens() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let closed = ClosedPort::take().unwrap();
    let program = dns01(rig);
    let mut file = zone.table("lab", &[&zone]);
    let _ = write!(file, "[ca.gone]\ndirectory = \"https://{}/dir\"\nagree_tos = true\n", closed.address());
    for number in 0..100 {
        let _ = write!(file, "[[certificate]]\ndomains = [\"h{number}.{}\"]\nca = [\"gone\"]\n", zone.name());
    }
    let path = program.state().join("dns01.toml");
    std::fs::write(&path, file).unwrap();
    let outcome = program.run(["issue", "--all", "--config", path.to_str().unwrap()]).failed_with(3);
    assert!(outcome.elapsed < Duration::from_secs(15), "{:?}", outcome.elapsed);
    let _ = outcome.says("100 failed").says("the connection was refused");
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_with_its_issuer() {
    let bench = Bench::new();
    // Without --ca-bundle only the roots of the system count.
    let outcome = issue_at(&bench, bench.ca.directory(), &[]).failed_with(3);
    assert!(outcome.elapsed < Duration::from_secs(10), "{outcome}");
    let outcome = outcome.says("id=ca-unreachable").says("not trusted (it was issued by `dns01 fault CA`)");
    let _ = outcome.says("hint: ").says("ca_bundle").says("--ca-bundle");
    // Another CA's root is no better.
    let other = FaultCa::start(&Setup::before(pebble())).unwrap();
    let bundle = other.root_file().to_str().unwrap();
    let _ =
        issue_at(&bench, bench.ca.directory(), &["--ca-bundle", bundle]).failed_with(3).says("not trusted");
    let signed = bench.ca.requests().iter().filter(|asked| asked.jws.is_some()).count();
    assert_eq!(signed, 0, "something was signed for a CA that is not trusted");
    bench.nothing_left();
}

#[test]
fn an_address_that_is_no_directory_is_told_apart_from_a_ca() {
    let rows = [("/nothing-here", None, "HTTP 404"), ("/dir", Some(Fault::HtmlPage(200)), "text/html")];
    each(&rows, |(path, fault, words)| {
        let bench = Bench::new();
        if let Some(fault) = fault {
            bench.ca.fault(Endpoint::Directory, Nth::Every, fault.clone());
        }
        let server = bench.ca.directory().replace("/dir", path);
        let bundle = bench.ca.root_file().to_str().unwrap();
        let outcome = issue_at(&bench, &server, &["--ca-bundle", bundle]).failed_with(1);
        let outcome = outcome.says("something that is not ACME").says(words);
        let _ = outcome.says("hint: check the address of the directory");
        assert_eq!(bench.zone.updates(), 0);
    });
}

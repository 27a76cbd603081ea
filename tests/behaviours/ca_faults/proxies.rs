//! The way to the CA through an HTTPS proxy.

use super::bench::Bench;
use dns01_tests::fault_ca::{ClosedPort, ConnectProxy};
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

/// Insists that every connection to the CA went through `proxy`, and that there was one.
#[track_caller]
fn all_through(proxy: &ConnectProxy, bench: &Bench) {
    let targets = proxy.targets();
    assert!(!targets.is_empty(), "nothing went through the proxy");
    assert!(targets.iter().all(|target| *target == bench.ca.address().to_string()), "{targets:?}");
    assert_eq!(bench.ca.certificates(), 1);
}

#[test]
fn the_environment_names_the_proxy() {
    let mut bench = Bench::new();
    let proxy = ConnectProxy::start().unwrap();
    bench.program = dns01(Rig::get()).credentials(&bench.zone).env("HTTPS_PROXY", proxy.url());
    let _ = bench.issue(&[]).succeeded();
    all_through(&proxy, &bench);
}

#[test]
fn a_flag_names_the_proxy_and_wins_over_the_environment() {
    let mut bench = Bench::new();
    let (proxy, other) = (ConnectProxy::start().unwrap(), ConnectProxy::start().unwrap());
    bench.program = dns01(Rig::get()).credentials(&bench.zone).env("HTTPS_PROXY", other.url());
    let _ = bench.issue(&["--proxy", &proxy.url()]).succeeded();
    all_through(&proxy, &bench);
    assert!(other.targets().is_empty());
}

#[test]
fn the_configuration_names_the_proxy() {
    let bench = Bench::new();
    let proxy = ConnectProxy::start().unwrap();
    let file = format!(
        "{}[ca.lab]\ndirectory = {:?}\nca_bundle = {:?}\nproxy = {:?}\nagree_tos = true\n\
         [[certificate]]\ndomains = [{:?}]\nca = [\"lab\"]\n",
        bench.zone.table("lab", &[&bench.zone]),
        bench.ca.directory(),
        bench.ca.root_file(),
        proxy.url(),
        bench.zone.name(),
    );
    let path = bench.program.state().join("dns01.toml");
    std::fs::write(&path, file).unwrap();
    let _ = bench.program.run(["issue", "--all", "--config", path.to_str().unwrap()]).succeeded();
    all_through(&proxy, &bench);
    bench.nothing_left();
}

#[test]
fn a_dead_proxy_is_named_without_its_password() {
    let bench = Bench::new();
    let closed = ClosedPort::take().unwrap();
    let url = format!("http://user:hunter2@{}", closed.address());
    // A password on the command line is refused, so it comes by the environment.
    let bench = Bench { program: bench.program.env("HTTPS_PROXY", &url), ..bench };
    let outcome = bench.issue(&["--log", "trace"]).failed_with(3);
    let outcome =
        outcome.says("id=ca-unreachable").says(&format!("the proxy failed (`{}`", closed.address()));
    assert!(!outcome.stderr.contains("hunter2") && !outcome.stdout.contains("hunter2"), "{outcome}");
    assert!(bench.ca.requests().is_empty());
}

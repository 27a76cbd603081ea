//! `lego` obtains certificates through the fault CA.

use super::fault_ca;
use dns01_tests::fault_ca::{Endpoint, Fault, FaultCa, Moment, Nth, Pause, WrongChain};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NAME: &str = "lego.test";

/// lego with a state of its own. It proves by http-01 into a directory, which needs no name
/// server; this Pebble takes any proof.
struct Lego {
    directory: TempDir,
}

impl Lego {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn command(&self, ca: &FaultCa) -> Command {
        let mut command = Command::new("lego");
        command
            .env("LEGO_CA_CERTIFICATES", ca.root_file())
            .args(["--server", ca.directory(), "--accept-tos", "--email", "lego@example.com"])
            .args(["--domains", NAME, "--http", "--http.webroot"])
            .arg(self.directory.path())
            .arg("--path")
            .arg(self.directory.path())
            .arg("run")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn succeeds(&self, ca: &FaultCa) -> bool {
        self.command(ca).status().expect("lego is installed, as `tests/run` sees to").success()
    }

    /// Runs until a request is held by `pause`, and is killed there.
    fn is_killed_at(&self, pause: &Pause, ca: &FaultCa) {
        let mut running = self.command(ca).spawn().unwrap();
        pause.reached(Duration::from_secs(20)).unwrap();
        running.kill().unwrap();
        running.wait().unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join(format!("certificates/{NAME}.crt"))
    }

    /// The DNS names in the certificate that lego keeps.
    fn names(&self) -> Vec<String> {
        let pem = fs::read(self.certificate()).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        names.value.general_names.iter().map(|name| name.to_string()).collect()
    }
}

#[test]
fn a_certificate_comes_through_when_nothing_is_scripted_and_every_request_is_counted() {
    let (ca, _pebble) = fault_ca();
    let lego = Lego::new();
    assert!(lego.succeeds(&ca));
    assert_eq!(lego.names(), [format!("DNSName({NAME})")]);
    for (endpoint, expected) in [
        (Endpoint::Directory, 1),
        (Endpoint::NewAccount, 1),
        (Endpoint::NewOrder, 1),
        (Endpoint::Finalize, 1),
        (Endpoint::Certificate, 1),
        (Endpoint::Other, 0),
    ] {
        assert_eq!(ca.count(endpoint), expected, "{endpoint:?}");
    }
    assert_eq!((ca.orders(), ca.challenges_answered(), ca.certificates()), (1, 1, 1));
    let requests = ca.requests();
    let order = requests.iter().find(|request| request.endpoint == Endpoint::NewOrder).unwrap();
    assert_eq!(order.jws.as_ref().unwrap().payload["identifiers"][0]["value"], NAME);
    assert!(requests.iter().all(|request| request.upstream == request.replied));
}

#[test]
fn a_lost_reply_to_new_order_leaves_an_order_that_the_client_never_heard_of() {
    let (ca, _pebble) = fault_ca();
    ca.fault(Endpoint::NewOrder, Nth::Every, Fault::ReplyLost);
    let lego = Lego::new();
    assert!(!lego.succeeds(&ca));
    assert!(ca.orders() >= 1);
    assert!(!lego.certificate().exists());
    let heard = ca.requests().iter().any(|r| r.endpoint == Endpoint::NewOrder && r.replied.is_some());
    assert!(!heard);
}

#[test]
fn a_bad_nonce_and_unknown_challenges_are_survived_by_a_client_that_knows_them() {
    let (ca, _pebble) = fault_ca();
    ca.fault(Endpoint::NewOrder, Nth::First, Fault::BadNonce);
    ca.fault(Endpoint::Authz, Nth::Every, Fault::UnknownChallengesFirst);
    assert!(Lego::new().succeeds(&ca));
    assert_eq!((ca.count(Endpoint::NewOrder), ca.orders()), (2, 1));
}

#[test]
fn a_certificate_for_other_names_reaches_a_client_that_does_not_look() {
    let (ca, _pebble) = fault_ca();
    ca.fault(Endpoint::Certificate, Nth::First, Fault::Chain(WrongChain::OtherNames));
    let lego = Lego::new();
    lego.succeeds(&ca);
    assert_eq!(lego.names(), ["DNSName(other.invalid)"]);
}

#[test]
fn a_client_killed_before_its_order_is_forwarded_leaves_none_at_the_ca() {
    let (ca, _pebble) = fault_ca();
    let pause = ca.pause(Endpoint::NewOrder, 1, Moment::BeforeForward);
    let lego = Lego::new();
    lego.is_killed_at(&pause, &ca);
    pause.discard();
    assert!(lego.succeeds(&ca), "the next run is not in the pause's way");
    assert_eq!((ca.count(Endpoint::NewOrder), ca.orders()), (2, 1));
}

#[test]
fn what_a_killed_client_had_sent_still_reaches_the_ca_when_it_is_released() {
    let (ca, _pebble) = fault_ca();
    let pause = ca.pause(Endpoint::NewOrder, 1, Moment::BeforeForward);
    let lego = Lego::new();
    lego.is_killed_at(&pause, &ca);
    // Time for the proxy to notice that its client is gone.
    std::thread::sleep(Duration::from_millis(200));
    pause.release();
    let deadline = Instant::now() + Duration::from_secs(5);
    while ca.orders() == 0 {
        assert!(Instant::now() < deadline, "the order was dropped with its client");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_client_killed_before_it_hears_of_its_order_leaves_one_at_the_ca() {
    let (ca, _pebble) = fault_ca();
    let pause = ca.pause(Endpoint::NewOrder, 1, Moment::BeforeReply);
    let lego = Lego::new();
    lego.is_killed_at(&pause, &ca);
    assert_eq!(ca.orders(), 1);
    pause.release();
}

#[test]
fn a_client_without_the_root_refuses_the_connection() {
    let (ca, _pebble) = fault_ca();
    let lego = Lego::new();
    assert!(!lego.command(&ca).env_remove("LEGO_CA_CERTIFICATES").status().unwrap().success());
    assert!(ca.requests().is_empty());
}

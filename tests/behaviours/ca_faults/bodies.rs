//! Replies that are no ACME, not whole, too long, too slow, or somewhere else.

use super::bench::{Bench, each};
use dns01_tests::fault_ca::{Endpoint, Fault, FaultCa, Nth, Setup};
use std::time::Duration;

const ENDPOINTS: [Endpoint; 5] =
    [Endpoint::Directory, Endpoint::NewOrder, Endpoint::Order, Endpoint::Finalize, Endpoint::Certificate];

fn spoilt() -> [Fault; 8] {
    [
        Fault::HtmlPage(200),
        Fault::HtmlPage(502),
        Fault::TruncatedJson,
        Fault::CutShort,
        Fault::EndlessBody,
        Fault::OneByteASecond,
        Fault::SilentBody,
        Fault::Hang,
    ]
}

#[test]
fn spoilt_replies_end_in_a_certificate_or_in_an_error_in_time() {
    let rows: Vec<_> =
        ENDPOINTS.iter().flat_map(|&endpoint| spoilt().map(|fault| (endpoint, fault))).collect();
    each(&rows, |(endpoint, fault)| {
        let bench = Bench::with_certificate();
        let old = bench.files();
        bench.ca.fault(*endpoint, Nth::Every, fault.clone());
        let outcome = bench.issue(&["--force", "--timeout", "5s"]);
        assert!(outcome.elapsed < Duration::from_secs(15), "{outcome}");
        bench.nothing_left();
        if outcome.code == Some(0) {
            assert_ne!(bench.files(), old);
        } else {
            let told = |id: &&str| outcome.stderr.contains(&format!(" id={id} "));
            let ids = ["ca-unreachable", "ca-refused", "certificate-refused", "deadline"];
            assert!(ids.iter().any(told), "{outcome}");
            assert_eq!(bench.files(), old, "the old files have changed");
            bench.ca.heal();
            let _ = bench.issue(&["--force"]).succeeded();
            assert_ne!(bench.files(), old);
        }
        assert_eq!(bench.ca.certificates(), 2, "certificates, the old one included");
        bench.nothing_left();
    });
}

#[test]
fn a_signed_request_is_not_taken_elsewhere_by_a_redirect() {
    let bench = Bench::new();
    let elsewhere = FaultCa::start(&Setup::before(super::bench::pebble())).unwrap();
    let target = elsewhere.directory().replace("/dir", "/order-plz");
    bench.ca.fault(Endpoint::NewOrder, Nth::First, Fault::Redirect(307, target.clone()));
    let _ = bench.issue(&[]).failed_with(1).says("id=ca-refused").says(&format!("a redirect to `{target}`"));
    assert_eq!(elsewhere.requests().len(), 0);
    bench.nothing_left();
}

#[test]
fn a_directory_that_has_moved_is_followed_but_not_in_circles() {
    let bench = Bench::new();
    let moved = Fault::Redirect(302, bench.ca.directory().to_owned());
    bench.ca.fault(Endpoint::Directory, Nth::First, moved.clone());
    let _ = bench.issue(&[]).succeeded();
    bench.ca.fault(Endpoint::Directory, Nth::Every, moved);
    let _ = bench.issue(&["--force"]).failed_with(1).says("more than 3 redirects");
    bench.nothing_left();
}

#[test]
fn an_order_that_is_processed_for_ever_ends_at_the_deadline_and_goes_on_later() {
    let bench = Bench::with_certificate();
    let old = bench.files();
    for endpoint in [Endpoint::Finalize, Endpoint::Order] {
        bench.ca.fault(endpoint, Nth::Every, Fault::EndlessProcessing);
    }
    let outcome = bench.issue(&["--force", "--timeout", "4s"]).failed_with(1);
    assert!(outcome.elapsed < Duration::from_secs(12), "{outcome}");
    let _ = outcome.says("id=deadline").says("the CA to make the certificate").says("hint: allow more time");
    assert_eq!(bench.files(), old);
    bench.nothing_left();
    bench.ca.heal();
    let _ = bench.issue(&["--force"]).succeeded().says("resumed=true");
    assert_ne!(bench.files(), old);
    assert_eq!((bench.ca.orders(), bench.ca.certificates()), (2, 2));
}

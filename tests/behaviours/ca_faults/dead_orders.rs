//! An order of which nothing can come any more is ended: the next run opens another one.

use super::bench::{Bench, each};
use dns01_tests::fault_ca::{Endpoint, Fault, FaultCa, Nth, RetryAfter, Setup};
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use dns01_tests::rig::address::{ROOT, dns};

#[test]
fn a_request_that_is_refused_for_good_ends_the_order() {
    let refusals = [(400, "badCSR"), (403, "unauthorized"), (403, "caa"), (400, "malformed")];
    each(&refusals, |(status, kind)| {
        let bench = Bench::new();
        bench.ca.fault(Endpoint::Finalize, Nth::First, Fault::ProblemBefore(*status, kind));
        let _ = bench.issue(&[]).failed_with(1).says("id=ca-refused").says("the script says so");
        bench.nothing_left();
        let _ = bench.issue(&["--force"]).succeeded();
        assert_eq!((bench.ca.orders(), bench.ca.certificates()), (2, 1));
    });
}

#[test]
fn an_order_that_the_ca_does_not_show_any_more_is_replaced() {
    each(&[(403, "unauthorized"), (404, "malformed"), (410, "malformed")], |(status, kind)| {
        let bench = Bench::new();
        bench.ca.fault(Endpoint::Finalize, Nth::Every, Fault::StatusBefore(500, RetryAfter::Absent));
        let _ = bench.issue(&[]).failed_with(3).says("id=ca-unreachable");
        bench.ca.heal();
        bench.ca.fault(Endpoint::Order, Nth::First, Fault::ProblemBefore(*status, kind));
        let _ = bench.issue(&["--force"]).succeeded();
        assert_eq!((bench.ca.orders(), bench.ca.certificates()), (2, 1));
        bench.nothing_left();
    });
}

#[test]
fn an_order_that_stays_pending_with_a_dead_authorization_is_replaced() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    // The root servers know nothing of the zone, so neither does this CA.
    let pebble = rig.pebble().resolver(dns(ROOT)).start();
    let ca = FaultCa::start(&Setup::before(pebble.address())).unwrap();
    ca.fault(Endpoint::Order, Nth::Every, Fault::EndlessPending);
    let program = dns01(rig).credentials(&zone);
    let issue = || {
        let bundle = ca.root_file().to_str().unwrap();
        let corridor = ["--dns", "rfc2136", "--agree-tos", "--server", ca.directory(), "--ca-bundle", bundle];
        let outcome = program.run([&["issue", "--force", "-d", zone.name()], corridor.as_slice()].concat());
        let _ = outcome.failed_with(1).says("id=validation-failed");
    };
    issue();
    issue();
    assert_eq!((ca.orders(), zone.all_txt()), (2, Vec::new()));
}

#[test]
fn what_flags_ask_for_in_vain_does_not_take_the_place_of_what_is_renewed() {
    let bench = Bench::with_certificate();
    let old = bench.files();
    let more = bench.zone.host("typo");
    let live = Live::of(&bench.program, bench.zone.name());
    bench.ca.fault(Endpoint::Finalize, Nth::First, Fault::ProblemBefore(403, "caa"));
    let _ = bench.issue(&["-d", &more, "--key-type", "ec384"]).failed_with(1);
    assert_eq!(bench.files(), old);
    let _ = bench.program.run(["renew", "--force", bench.zone.name()]).succeeded();
    assert_eq!(live.names(), [bench.zone.name()]);
    assert_ne!(bench.files(), old);

    // What succeeds does.
    let _ = bench.issue(&["-d", &more, "--key-type", "ec384"]).succeeded();
    let _ = bench.program.run(["renew", "--force", bench.zone.name()]).succeeded();
    assert_eq!(live.names(), [more.as_str(), bench.zone.name()]);
}

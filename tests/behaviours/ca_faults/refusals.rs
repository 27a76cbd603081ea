//! A CA that wants to be left alone: a short while is waited out, a long one is told, kept in
//! mind, and ends the run.

use super::bench::{Bench, each};
use super::lost_replies::ENDPOINTS;
use dns01_tests::fault_ca::{Endpoint, Fault, Nth, Request, RetryAfter};
use dns01_tests::program::Outcome;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

fn asked(bench: &Bench, endpoint: Endpoint) -> Vec<Request> {
    bench.ca.requests().into_iter().filter(|asked| asked.endpoint == endpoint).collect()
}

#[test]
fn a_short_pause_is_waited_out() {
    let in_two_seconds = (429, RetryAfter::Date(Duration::from_secs(2)));
    let pauses = [(429, RetryAfter::Seconds(1)), (503, RetryAfter::Seconds(1)), in_two_seconds];
    let rows: Vec<_> =
        ENDPOINTS.iter().flat_map(|&endpoint| pauses.clone().map(|pause| (endpoint, pause))).collect();
    each(&rows, |(endpoint, (status, pause))| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::First, Fault::StatusBefore(*status, pause.clone()));
        let _ = bench.issue(&[]).succeeded();
        let asked = asked(&bench, *endpoint);
        // A date has whole seconds only: one of two seconds may be little more than one away.
        let waited = asked[1].at - asked[0].at;
        assert!(waited >= Duration::from_secs(1), "it waited {waited:?} only");
        assert_eq!(bench.ca.certificates(), 1);
        bench.nothing_left();
    });
}

#[test]
fn a_ca_that_is_out_of_order_for_a_moment_is_asked_again() {
    each(&ENDPOINTS, |endpoint| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::Times(2), Fault::StatusBefore(503, RetryAfter::Absent));
        let _ = bench.issue(&[]).succeeded();
        assert_eq!((bench.ca.orders(), bench.ca.certificates()), (1, 1));
        bench.nothing_left();
    });
}

#[test]
fn a_long_pause_ends_the_run_and_keeps_the_next_one_from_asking() {
    let rows: Vec<_> = ENDPOINTS.iter().flat_map(|&endpoint| [(endpoint, 429), (endpoint, 503)]).collect();
    each(&rows, |(endpoint, status)| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::Every, Fault::StatusBefore(*status, RetryAfter::Seconds(3600)));
        let outcome = bench.issue(&[]).failed_with(1);
        assert!(outcome.elapsed < Duration::from_secs(20), "{outcome}");
        let _ =
            outcome.says("id=rate-limited").says("the script says so").says("the next try makes sense from");
        assert_eq!(asked(&bench, *endpoint).len(), 1);
        bench.nothing_left();

        let so_far = bench.ca.requests().len();
        let _ = bench.issue(&[]).failed_with(3).says("id=rate-limited").says("the script says so");
        assert_eq!(bench.ca.requests().len(), so_far, "the second run asked the CA");
    });
}

/// `dns01 issue` for a name below the zone's own.
fn issue_another(bench: &Bench) -> Outcome {
    let another = bench.zone.host("another");
    let mut arguments = bench.arguments(&[]);
    arguments[2] = &another;
    bench.program.run(arguments)
}

#[test]
fn a_limit_on_one_certificate_stops_no_other_and_force_asks_all_the_same() {
    each(&[Endpoint::NewOrder, Endpoint::Challenge, Endpoint::Finalize], |endpoint| {
        let bench = Bench::new();
        let limited = Fault::StatusBefore(429, RetryAfter::Seconds(122_400));
        bench.ca.fault(*endpoint, Nth::First, limited);
        let _ = bench.issue(&[]).failed_with(1).says("id=rate-limited").says("the next try makes sense from");
        let _ = issue_another(&bench).succeeded();

        let so_far = bench.ca.requests().len();
        let refused = bench.issue(&[]).failed_with(3).says("takes no order for these names until");
        let _ = refused.says("hint: nothing was sent, nor is before then, but with --force");
        let _ = bench.program.run(["renew"]).succeeded();
        assert_eq!(bench.ca.requests().len(), so_far, "the CA was asked before the time it told");
        let _ = bench.issue(&["--force"]).succeeded();
        bench.nothing_left();
    });
}

#[test]
fn a_ca_that_wants_to_be_left_alone_altogether_is_asked_by_force_alone() {
    let bench = Bench::with_certificate();
    bench.ca.fault(Endpoint::NewOrder, Nth::First, Fault::StatusBefore(503, RetryAfter::Seconds(3600)));
    let _ = bench.issue(&["--force"]).failed_with(1).says("id=rate-limited");
    let so_far = bench.ca.requests().len();
    let refused = issue_another(&bench).failed_with(3).says("wants to be left alone until");
    let _ = refused.says("hint: nothing was sent, nor is before then, but with --force");
    assert_eq!(bench.ca.requests().len(), so_far);
    let _ = bench.program.run(["renew", bench.zone.name(), "--force"]).succeeded();
    bench.nothing_left();
}

#[test]
fn a_pause_without_an_end_is_shown_and_not_tried_again() {
    each(&ENDPOINTS, |endpoint| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::First, Fault::StatusBefore(429, RetryAfter::Absent));
        let outcome = bench.issue(&[]).failed_with(1).says("id=rate-limited").says("the script says so");
        let _ =
            outcome.says("hint: follow the CA's words above; by itself it is tried again once a day at most");
        assert_eq!(asked(&bench, *endpoint).len(), 1);
        bench.nothing_left();
        // No waiting ends it: by itself it is tried again after most of a day, not after a minute.
        if *endpoint != Endpoint::NewAccount {
            let shown = bench.program.run(["show", bench.zone.name(), "--json"]).succeeded().document();
            let next_try: Timestamp = shown["failure"]["next_try"].as_str().unwrap().parse().unwrap();
            assert!(next_try > Timestamp::now() + SignedDuration::from_hours(19), "{next_try}");
        }
        // A person who has done something about it is not turned away.
        let _ = bench.issue(&[]).succeeded();
        assert_eq!((bench.ca.orders(), bench.ca.certificates()), (1, 1));
    });
}

#[test]
fn bad_nonces_for_ever_end_after_thirty_tries() {
    each(&ENDPOINTS, |endpoint| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::Every, Fault::BadNonce);
        let _ = bench.issue(&[]).failed_with(1).says("badNonce").says("id=ca-refused");
        assert_eq!(asked(&bench, *endpoint).len(), 30);
        bench.nothing_left();
        bench.ca.heal();
        let _ = bench.issue(&[]).succeeded();
        assert_eq!((bench.ca.orders(), bench.ca.certificates()), (1, 1));
    });
}

/// ZeroSSL asks for a day while it makes a certificate, and has it within seconds.
#[test]
fn a_ca_that_asks_for_a_day_is_looked_at_again_while_there_is_time() {
    let bench = Bench::new();
    bench.ca.fault(Endpoint::Finalize, Nth::Every, Fault::Patience(RetryAfter::Seconds(86400)));
    let outcome = bench.issue(&["--timeout", "20s"]).succeeded();
    assert!(outcome.elapsed < Duration::from_secs(20), "{outcome}");
    bench.nothing_left();
}

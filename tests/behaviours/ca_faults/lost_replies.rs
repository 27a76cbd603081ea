//! A reply that never comes, or comes as an error: the request may have taken effect. What is
//! there already is found again instead of being made a second time.

use super::bench::{Bench, each};
use dns01_tests::fault_ca::{Endpoint, Fault, Nth, RetryAfter};
use std::time::Duration;

pub(super) const ENDPOINTS: [Endpoint; 5] = [
    Endpoint::NewAccount,
    Endpoint::NewOrder,
    Endpoint::Challenge,
    Endpoint::Finalize,
    Endpoint::Certificate,
];

fn losses() -> [Fault; 5] {
    [
        Fault::ReplyLost,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::StatusBefore(500, RetryAfter::Absent),
        Fault::StatusAfter(500, RetryAfter::Absent),
    ]
}

fn rows() -> Vec<(Endpoint, Fault)> {
    ENDPOINTS.iter().flat_map(|&endpoint| losses().map(|fault| (endpoint, fault))).collect()
}

#[test]
fn one_lost_reply_costs_neither_a_second_order_nor_a_second_certificate() {
    each(&rows(), |(endpoint, fault)| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::First, fault.clone());
        let _ = bench.issue(&[]).succeeded();
        assert!(bench.ca.requests().iter().any(|asked| asked.fault.is_some()), "the fault was not played");
        once_each(&bench);
    });
}

#[test]
fn where_every_reply_is_lost_it_ends_in_time_and_the_next_run_goes_on() {
    each(&rows(), |(endpoint, fault)| {
        let bench = Bench::new();
        bench.ca.fault(*endpoint, Nth::Every, fault.clone());
        let outcome = bench.issue(&["--timeout", "5s"]);
        assert!(outcome.elapsed < Duration::from_secs(15), "{outcome}");
        bench.nothing_left();
        // What took effect can be read back, but for accounts and certificates.
        let readable = matches!(endpoint, Endpoint::NewOrder | Endpoint::Challenge | Endpoint::Finalize);
        if readable && fault.forwards() {
            let _ = outcome.succeeded();
        } else {
            let outcome = outcome.says("id=ca-unreachable").says(&bench.ca.address().to_string());
            assert_ne!(outcome.code, Some(0), "{outcome}");
            assert_eq!(bench.files().len(), 0);
            bench.ca.heal();
            let _ = bench.issue(&[]).succeeded();
        }
        once_each(&bench);
    });
}

/// Insists on one account, one order, one proof and one certificate.
#[track_caller]
fn once_each(bench: &Bench) {
    assert_eq!(bench.answered(Endpoint::NewAccount, 201), 1, "accounts");
    assert_eq!(bench.ca.orders(), 1, "orders");
    assert_eq!(bench.ca.challenges_answered(), 1, "challenges");
    assert_eq!(bench.ca.certificates(), 1, "certificates");
    assert_eq!(bench.files().len(), 4);
    bench.nothing_left();
}

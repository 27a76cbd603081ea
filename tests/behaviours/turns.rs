//! Two processes want the same certificate: one at a time. A stopped process keeps its turn and
//! its records; a killed one's are taken over at once.

use crate::one_order::{OneOrder, SOON};
use dns01_tests::fault_ca::{Endpoint, Moment};
use dns01_tests::rig::{Rig, Secondary, wait_until};
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

fn order() -> OneOrder {
    OneOrder::of(Rig::get().zone().secondaries(&[Secondary::Nsd]).create())
}

/// Waits until nobody writes to the database: SQLite's lock would outlive a stop too.
fn wait_quiet(order: &OneOrder) {
    let log = order.program.state().join("dns01.db-wal");
    wait_until("a database that nobody writes to", SOON, || {
        let written = fs::metadata(&log).unwrap().modified().unwrap();
        written.elapsed().is_ok_and(|age| age > Duration::from_millis(200))
    });
}

#[test]
fn a_stopped_process_keeps_its_turn_and_its_records() {
    let order = order();
    let pause = order.ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let first = order.start();
    pause.reached(SOON).unwrap();
    wait_quiet(&order);
    first.signal(Signal::STOP);

    let impatient = order.program.run(order.arguments(&["--timeout", "1s"])).failed_with(3);
    let _ = impatient.says("another process is obtaining").says("another process was busy");
    assert_eq!(order.zone.all_txt().len(), 1, "the stopped one's record is not touched");

    let patient = order.start();
    patient.wait_says("another process is obtaining", SOON);
    first.signal(Signal::CONT);
    pause.release();
    let _ = first.wait().succeeded();
    let _ = patient.wait().succeeded();
    order.one_certificate_is_there();
}

#[test]
fn a_signal_ends_the_wait_for_a_turn() {
    let order = order();
    let pause = order.ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let first = order.start();
    pause.reached(SOON).unwrap();
    let second = order.start();
    second.wait_says("another process is obtaining", SOON);
    second.signal(Signal::INT);
    let outcome = second.wait().failed_with(130);
    assert!(outcome.elapsed < Duration::from_secs(5), "{outcome}");
    pause.release();
    let _ = first.wait().succeeded();
    order.one_certificate_is_there();
}

#[test]
fn a_killed_process_is_taken_over_at_once() {
    let order = order();
    let pause = order.ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let first = order.start();
    pause.reached(SOON).unwrap();
    let second = order.start();
    second.wait_says("another process is obtaining", SOON);
    first.signal(Signal::KILL);
    let killed = Instant::now();
    pause.discard();
    let _ = second.wait().succeeded().says("resumed=true");
    assert!(killed.elapsed() < Duration::from_secs(5), "it took {:?}", killed.elapsed());
    order.one_certificate_is_there();
}

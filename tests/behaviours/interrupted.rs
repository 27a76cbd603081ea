//! Ctrl-C, SIGTERM and SIGHUP: the records are removed, the exit code says what happened, and the next
//! run goes on with the same order. A second signal ends it at once.

mod relay;

use crate::one_order::{OneOrder, SOON};
use dns01_tests::fault_ca::{Endpoint, Moment};
use dns01_tests::rig::{Rig, Secondary, wait_until};
use relay::Relay;
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[test]
fn ctrl_c_while_the_name_servers_are_waited_for_removes_the_records() {
    let order = OneOrder::of(Rig::get().zone().hold(Secondary::Nsd).create());
    let running = order.start();
    running.wait_says("step=records", SOON);
    running.signal(Signal::INT);
    let outcome = running.wait().failed_with(130).says("stopping").says("interrupted");
    let _ = outcome.says("removed=1 left=0").says("goes on with the same order");
    order.nothing_is_left();
    assert_eq!((order.ca.orders(), order.ca.challenges_answered()), (1, 0));

    // Being stopped is no failure, after which `renew` would wait.
    let running = order.program.start(["renew", order.zone.name()]);
    order.wait_record();
    order.zone.release(Secondary::Nsd);
    let _ = running.wait().succeeded().says("resumed=true");
    order.one_certificate_is_there();
}

#[test]
fn sigterm_while_the_ca_is_waited_for_removes_the_records_and_keeps_the_order() {
    for (endpoint, moment) in [
        (Endpoint::NewOrder, Moment::BeforeReply),
        (Endpoint::Challenge, Moment::BeforeForward),
        (Endpoint::Order, Moment::BeforeReply),
        (Endpoint::Finalize, Moment::BeforeForward),
        (Endpoint::Finalize, Moment::BeforeReply),
        (Endpoint::Certificate, Moment::BeforeReply),
    ] {
        let order = OneOrder::of(Rig::get().zone().secondaries(&[Secondary::Nsd]).create());
        let pause = order.ca.pause(endpoint, 1, moment);
        let running = order.start();
        pause.reached(SOON).unwrap();
        if order.ca.challenges_answered() > 0 {
            // What the CA is still looking for must not be taken away from under it.
            order.wait_validated();
        }
        running.signal(Signal::TERM);
        let outcome = running.wait().failed_with(143).says("stopping").says("interrupted");
        assert!(outcome.elapsed < Duration::from_secs(5), "{endpoint:?} {moment:?}: {outcome}");
        order.nothing_is_left();
        if moment == Moment::BeforeForward {
            pause.discard()
        } else {
            pause.release()
        }
        let _ = order.run().succeeded().says("resumed=true");
        order.one_certificate_is_there();
    }
}

#[test]
fn a_signal_before_there_is_an_order_ends_it_at_once() {
    for endpoint in [Endpoint::Directory, Endpoint::NewNonce, Endpoint::NewAccount] {
        let order = OneOrder::of(Rig::get().zone().secondaries(&[Secondary::Nsd]).create());
        let pause = order.ca.pause(endpoint, 1, Moment::BeforeReply);
        let running = order.start();
        pause.reached(SOON).unwrap();
        running.signal(Signal::INT);
        let outcome = running.wait().failed_with(130).says("interrupted");
        assert!(outcome.elapsed < Duration::from_secs(5), "{endpoint:?}: {outcome}");
        pause.release();
        let _ = order.run().succeeded();
        order.one_certificate_is_there();
    }
}

#[test]
fn a_second_signal_ends_the_removal_at_once_and_the_ledger_remembers() {
    let zone = Rig::get().zone().hold(Secondary::Nsd).create();
    let relay = Relay::to(zone.primary());
    let order = OneOrder::of(zone).with_primary(&relay.address().to_string());
    let running = order.start();
    order.wait_record();
    // From here on the provider does not answer, so that the removal hangs.
    relay.stall();
    let calls = relay.calls();
    running.signal(Signal::INT);
    wait_until("a removal that hangs", SOON, || relay.calls() > calls);
    let second = Instant::now();
    running.signal(Signal::TERM);
    let _ = running.wait().failed_with(143).says("stopping");
    assert!(second.elapsed() < Duration::from_secs(1), "it took {:?}", second.elapsed());
    assert_eq!((order.zone.all_txt().len(), order.ledger().len()), (1, 1));

    relay.go_on();
    let _ = order.program.run(["txt", "gc"]).succeeded().says("1 value removed");
    order.nothing_is_left();
}

#[test]
fn a_terminal_that_goes_away_is_like_being_told_to_stop_however_often_it_says_so() {
    let zone = Rig::get().zone().hold(Secondary::Nsd).create();
    let relay = Relay::to(zone.primary());
    let order = OneOrder::of(zone).with_primary(&relay.address().to_string());
    let running = order.start();
    order.wait_record();
    relay.stall();
    let calls = relay.calls();
    running.signal(Signal::HUP);
    wait_until("a removal that hangs", SOON, || relay.calls() > calls);
    // The shell passes on what the terminal has said already.
    running.signal(Signal::HUP);
    relay.go_on();
    let _ = running.wait().failed_with(129).says("stopping").says("interrupted");
    order.nothing_is_left();
}

#[test]
fn under_nohup_a_terminal_that_goes_away_is_no_reason_to_stop() {
    let mut order = OneOrder::of(Rig::get().zone().hold(Secondary::Nsd).create());
    order.program = order.program.through(vec!["nohup".into()]);
    let running = order.start();
    running.wait_says("step=records", SOON);
    running.signal(Signal::HUP);
    order.wait_record();
    order.zone.release(Secondary::Nsd);
    let _ = running.wait().succeeded();
    order.one_certificate_is_there();
}

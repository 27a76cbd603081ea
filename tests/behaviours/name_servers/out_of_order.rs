//! Servers that are dead, lame or silent are tried for ten seconds and then passed by with a
//! warning, if enough others have confirmed.

use crate::stand::Stand;
use dns01_tests::fault_ca::{Endpoint, Moment};
use dns01_tests::fault_names::{Behaviour, Conduct, FaultServer};
use dns01_tests::rig::{Rig, address};
use hickory_proto::op::ResponseCode;
use std::net::IpAddr;
use std::time::Duration;

/// How long such a server is tried.
const GRACE: Duration = Duration::from_secs(10);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(6);

fn dead() -> Behaviour {
    Behaviour::good().without_udp().without_tcp()
}

fn code(code: ResponseCode) -> Behaviour {
    Behaviour::of(Conduct::code(code))
}

#[test]
fn dead_and_lame_servers_are_passed_by_with_a_warning_each() {
    let stand = Stand::with([
        dead(),
        Behaviour::of(Conduct::silent()),
        code(ResponseCode::Refused),
        code(ResponseCode::ServFail),
        Behaviour::of(Conduct::upward_referral()),
    ]);
    let outcome = stand.issue(&["--quorum", "2"]).succeeded();
    assert!((GRACE..GRACE * 2).contains(&outcome.elapsed), "it took {:?}", outcome.elapsed);
    let answers = ["refused over UDP", "nothing over UDP", "REFUSED", "SERVFAIL", "a referral elsewhere"];
    let outcome = answers.into_iter().zip(3..).fold(outcome, |outcome, (answer, number)| {
        outcome.says(&format!("{} was passed by: {answer}", stand.server(number)))
    });
    let _ = outcome.says("confirmed=2");
}

#[test]
fn a_server_that_has_the_value_without_authority_is_passed_by_at_once() {
    let stand = Stand::with([Behaviour::of(Conduct::good().without_authority())]);
    let outcome = stand.issue(&[]).succeeded();
    assert!(outcome.elapsed < GRACE, "it took {:?}", outcome.elapsed);
    let _ =
        outcome.says(&format!("{} was passed by: what is expected, but without authority", stand.server(3)));
}

#[test]
fn with_quorum_all_a_lame_server_and_one_without_authority_fail_it_at_the_deadline() {
    for (behaviour, answer) in [
        (dead(), "refused over UDP and TCP"),
        (code(ResponseCode::Refused), "REFUSED"),
        (Behaviour::of(Conduct::good().without_authority()), "without authority"),
    ] {
        let stand = Stand::with([behaviour]);
        let outcome = stand.issue(&["--quorum", "all", "--propagation-timeout", "2s"]).failed_with(1);
        let _ = outcome.says(answer).says("name server").says("hint: ");
        stand.nothing_was_risked();
    }
}

#[test]
fn less_than_half_of_the_name_servers_are_not_enough() {
    let stand = Stand::with([dead(), code(ResponseCode::Refused), code(ResponseCode::ServFail)]);
    let outcome = stand.issue(&["--propagation-timeout", "12s"]).failed_with(1);
    let _ = outcome.says("not every authoritative name server").says("hint: ");
    stand.nothing_was_risked();
}

#[test]
fn an_address_without_a_route_is_not_asked_and_noted() {
    let away: IpAddr = "2001:db8::53".parse().unwrap();
    let stand = Stand::in_zone(Rig::get().zone().server("far", [away]), []);
    let outcome = stand.issue(&[]).succeeded();
    assert!(outcome.elapsed < GRACE, "it took {:?}", outcome.elapsed);
    let _ = outcome.says("confirmed=2 addresses=2 not_asked=1");
    let checked = stand.program.run(["check", "-d", stand.zone.name(), "--dns", "rfc2136"]).succeeded();
    let _ = checked.says(&format!("{} 2001:db8::53 was not asked: no route", stand.zone.host("far")));
}

#[test]
fn when_no_name_server_answers_it_stops_within_ten_seconds_and_says_that_port_53_looks_blocked() {
    let network = Rig::get().network();
    let servers = [1, 2].map(|number| {
        FaultServer::start(address::dns(network.address(number)), Behaviour::of(Conduct::silent())).unwrap()
    });
    let addresses = servers.iter().map(|server| server.address().ip().to_string()).collect::<Vec<_>>();
    let stand = Stand::with([]);
    let outcome = stand.issue(&["--name-server", &addresses.join(",")]).failed_with(1);
    assert!(outcome.elapsed < GRACE + SLACK, "it took {:?}", outcome.elapsed);
    let outcome = outcome.says("no name server of").says("port 53 looks blocked from here");
    let _ = outcome.says(&format!("{}: nothing over UDP and TCP", addresses[0]));
    stand.nothing_was_tried();
}

#[test]
fn when_all_servers_fall_silent_after_the_order_it_stops_and_nothing_is_risked() {
    let stand = Stand::in_zone(Rig::get().zone().secondaries(&[]), [(Behaviour::good(), Duration::ZERO)]);
    let pause = stand.ca.pause(Endpoint::NewOrder, 1, Moment::BeforeForward);
    let running = stand.program.start(stand.issue_arguments(&[]));
    pause.reached(GRACE).unwrap();
    stand.servers[0].behave(Behaviour::of(Conduct::silent()));
    pause.release();
    let outcome = running.wait().failed_with(1);
    assert!(outcome.elapsed < GRACE + SLACK, "it took {:?}", outcome.elapsed);
    let _ = outcome.says("port 53 looks blocked from here");
    stand.nothing_was_risked();
}

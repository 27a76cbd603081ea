//! The fault name servers themselves, seen by `dig`.

use dns01_tests::fault_names::{Behaviour, Conduct, Extensions, FaultServer, Transport};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use std::process::Command;
use std::time::{Duration, Instant};

const NAME: &str = "_acme-challenge.a.test";

/// A server on a free port with the zone `a.test`, one value and one delegation in it.
fn server(behaviour: Behaviour) -> FaultServer {
    let server = FaultServer::start("127.0.0.1:0".parse().unwrap(), behaviour).unwrap();
    server.zone("a.test");
    server.add("a.test", RecordType::NS, "ns.a.test.");
    server.add("ns.a.test", RecordType::A, "127.0.0.1");
    server.add_text(NAME, "the value");
    server.add("alias.a.test", RecordType::CNAME, "_acme-challenge.a.test.");
    server.add("below.a.test", RecordType::NS, "ns.below.a.test.");
    server.add("ns.below.a.test", RecordType::A, "127.0.0.2");
    server
}

/// All that `dig` prints for one question, asked once, RD=0.
fn dig(server: &FaultServer, question: &[&str]) -> String {
    let address = server.address();
    let output = Command::new("dig")
        .arg(format!("@{}", address.ip()))
        .args(["-p", &address.port().to_string(), "+norecurse", "+tries=1", "+time=1", "+nocookie"])
        .args(question)
        .output()
        .expect("dig is installed, as `tests/run` sees to");
    String::from_utf8(output.stdout).unwrap()
}

fn text(server: &FaultServer, options: &[&str]) -> String {
    dig(server, &[&[NAME, "TXT"], options].concat())
}

#[track_caller]
fn shows(output: &str, parts: &[&str]) {
    for part in parts {
        assert!(output.contains(part), "no `{part}` in:\n{output}");
    }
}

#[track_caller]
fn lacks(output: &str, part: &str) {
    assert!(!output.contains(part), "`{part}` in:\n{output}");
}

const TIMEOUT: &str = "no servers could be reached";

#[test]
fn a_good_server_answers_with_authority_over_both_transports() {
    let server = server(Behaviour::good());
    for options in [&["+notcp"], &["+tcp"]] {
        shows(
            &text(&server, options),
            &["status: NOERROR", "flags: qr aa;", "\"the value\"", "EDNS: version: 0"],
        );
    }
    let asked: Vec<_> = server.questions().iter().map(|q| (q.name.clone(), q.kind, q.transport)).collect();
    let name = format!("{NAME}.");
    assert_eq!(
        asked,
        [(name.clone(), RecordType::TXT, Transport::Udp), (name, RecordType::TXT, Transport::Tcp)]
    );
}

#[test]
fn aliases_delegations_and_missing_names_are_answered_as_rfc_1034_says() {
    let server = server(Behaviour::good());
    shows(&dig(&server, &["alias.a.test", "TXT"]), &["CNAME\t_acme-challenge.a.test.", "\"the value\""]);
    let referral = dig(&server, &["x.below.a.test", "TXT"]);
    shows(&referral, &["flags: qr;", "NS\tns.below.a.test.", "A\t127.0.0.2"]);
    shows(&dig(&server, &["nobody.a.test", "TXT"]), &["status: NXDOMAIN", "SOA"]);
    shows(&dig(&server, &["ns.a.test", "TXT"]), &["status: NOERROR", "ANSWER: 0", "SOA"]);
    shows(&dig(&server, &["elsewhere.test", "TXT"]), &["status: REFUSED"]);
}

#[test]
fn silence_is_per_transport() {
    let deaf_on_udp = server(Behaviour::good().udp(Conduct::silent()));
    shows(&text(&deaf_on_udp, &["+notcp"]), &["timed out"]);
    shows(&text(&deaf_on_udp, &["+tcp"]), &["\"the value\""]);
    let deaf = server(Behaviour::of(Conduct::silent()));
    shows(&text(&deaf, &["+notcp"]), &[TIMEOUT]);
    shows(&text(&deaf, &["+tcp"]), &[TIMEOUT]);
    let closed = server(Behaviour::good().without_tcp());
    shows(&text(&closed, &["+tcp"]), &["connection refused"]);
    shows(&text(&closed, &["+notcp"]), &["\"the value\""]);
}

#[test]
fn codes_and_upward_referrals_carry_no_value() {
    for (code, shown) in [(ResponseCode::Refused, "REFUSED"), (ResponseCode::ServFail, "SERVFAIL")] {
        let output = text(&server(Behaviour::of(Conduct::code(code))), &[]);
        shows(&output, &[&format!("status: {shown}")]);
        lacks(&output, "the value");
    }
    let lame = text(&server(Behaviour::of(Conduct::upward_referral())), &[]);
    shows(&lame, &["status: NOERROR", "flags: qr;", "ANSWER: 0", "NS\ta.root-servers.net."]);
}

#[test]
fn answers_without_authority_or_without_the_value_lack_just_that() {
    let without_authority = text(&server(Behaviour::of(Conduct::good().without_authority())), &[]);
    shows(&without_authority, &["flags: qr;", "\"the value\""]);
    let stale = text(&server(Behaviour::of(Conduct::good().without_text())), &[]);
    shows(&stale, &["flags: qr aa;", "status: NXDOMAIN"]);
    let both = Conduct::good().without_text().without_authority();
    shows(&text(&server(Behaviour::of(both)), &[]), &["flags: qr;", "status: NXDOMAIN"]);
}

#[test]
fn letters_come_back_small_where_they_should() {
    let mixed = "_aCmE-cHaLlEnGe.A.tEsT";
    shows(&dig(&server(Behaviour::good()), &[mixed, "TXT"]), &[&format!(";{mixed}.")]);
    let lower = server(Behaviour::of(Conduct::good().in_lower_case()));
    let output = dig(&lower, &[mixed, "TXT"]);
    shows(&output, &["the value"]);
    lacks(&output, &format!("{mixed}.\t"));
    assert_eq!(lower.questions()[0].name, format!("{mixed}."));
}

#[test]
fn servers_without_edns_refuse_ignore_or_drop_it() {
    for (code, shown) in [(ResponseCode::FormErr, "FORMERR"), (ResponseCode::NotImp, "NOTIMP")] {
        let server = server(Behaviour::of(Conduct::good().extensions(Extensions::Refused(code))));
        let refused = text(&server, &["+edns", "+noednsneg"]);
        shows(&refused, &[&format!("status: {shown}")]);
        lacks(&refused, "EDNS:");
        shows(&text(&server, &["+noedns"]), &["\"the value\""]);
    }
    let badvers =
        server(Behaviour::of(Conduct::good().extensions(Extensions::Refused(ResponseCode::BADVERS))));
    shows(&text(&badvers, &["+noednsneg"]), &["status: BADVERS"]);
    let ignoring = text(&server(Behaviour::of(Conduct::good().extensions(Extensions::Ignored))), &[]);
    shows(&ignoring, &["\"the value\""]);
    lacks(&ignoring, "EDNS:");
    let dropping = server(Behaviour::of(Conduct::good().extensions(Extensions::Dropped)));
    shows(&text(&dropping, &["+edns"]), &[TIMEOUT]);
    shows(&text(&dropping, &["+noedns"]), &["\"the value\""]);
}

#[test]
fn truncation_sends_the_client_to_tcp() {
    let truncating = server(Behaviour::good().udp(Conduct::good().truncated()));
    shows(&text(&truncating, &["+ignore"]), &["flags: qr aa tc;", "ANSWER: 0"]);
    shows(&text(&truncating, &[]), &["Truncated, retrying in TCP mode", "\"the value\""]);
    let big = server(Behaviour::good());
    for number in 0..10 {
        big.add_text(NAME, &format!("{number}{}", "x".repeat(100)));
    }
    shows(&text(&big, &["+ignore", "+noedns"]), &[" tc;"]);
    lacks(&text(&big, &["+tcp"]), " tc;");
}

#[test]
fn loss_and_delay_keep_their_measure() {
    let lossy = server(Behaviour::of(Conduct::good().dropping_every(2)));
    shows(&text(&lossy, &[]), &["\"the value\""]);
    shows(&text(&lossy, &[]), &[TIMEOUT]);
    shows(&text(&lossy, &[]), &["\"the value\""]);
    let slow = server(Behaviour::of(Conduct::good().after(Duration::from_millis(400))));
    let started = Instant::now();
    shows(&text(&slow, &[]), &["\"the value\""]);
    assert!(started.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_forgery_comes_before_the_answer_and_has_another_id() {
    let output = text(&server(Behaviour::of(Conduct::good().after_a_forgery())), &[]);
    shows(&output, &["ID mismatch", "\"the value\""]);
}

#[test]
fn behaviour_changes_while_the_server_runs() {
    let server = server(Behaviour::of(Conduct::code(ResponseCode::ServFail)));
    shows(&text(&server, &[]), &["SERVFAIL"]);
    server.behave(Behaviour::good());
    shows(&text(&server, &[]), &["\"the value\""]);
    server.remove(NAME, RecordType::TXT);
    shows(&text(&server, &[]), &["NXDOMAIN"]);
}

#[test]
fn a_mirror_shows_its_primary_as_it_was() {
    let lag = Duration::from_millis(1500);
    let primary = server(Behaviour::good());
    let mirror = FaultServer::start("127.0.0.1:0".parse().unwrap(), Behaviour::good()).unwrap();
    mirror.mirror("a.test", primary.address(), lag).unwrap();
    shows(&text(&mirror, &[]), &["flags: qr aa;", "\"the value\""]);
    primary.add_text(NAME, "another");
    let changed = Instant::now();
    let serial = |server| dig(server, &["a.test", "SOA", "+short"]);
    let old_serial = serial(&mirror);
    assert_ne!(old_serial, serial(&primary));
    while !text(&mirror, &[]).contains("another") {
        assert!(changed.elapsed() < Duration::from_secs(10), "the mirror never followed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(changed.elapsed() >= lag, "it followed after {:?}", changed.elapsed());
    assert_eq!(serial(&mirror), serial(&primary));
}

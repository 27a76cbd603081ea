//! What old and odd servers need: TCP, no EDNS, letters in one case.

use crate::stand::Stand;
use dns01_tests::fault_names::{Behaviour, Conduct, Extensions, Transport};
use hickory_proto::op::ResponseCode;
use std::time::Duration;

/// Before this nobody is passed by, so that who is not warned about by then has confirmed.
const GRACE: Duration = Duration::from_secs(10);

/// The servers confirm, every one, without a warning.
#[track_caller]
fn all_confirm(behaviours: Vec<Behaviour>) -> Stand {
    let servers = behaviours.len() + 2;
    let stand = Stand::with(behaviours);
    let outcome = stand.issue(&["--quorum", "all"]).succeeded();
    assert!(outcome.elapsed < GRACE, "it took {:?}", outcome.elapsed);
    assert!(!outcome.stderr.contains("passed by"), "{outcome}");
    let _ = outcome.says(&format!("confirmed={servers} addresses={servers}"));
    stand
}

#[test]
fn a_server_that_is_silent_on_udp_counts_over_tcp() {
    let stand = all_confirm(vec![Behaviour::good().udp(Conduct::silent()), Behaviour::good().without_udp()]);
    assert!(stand.servers[0].questions().iter().any(|question| question.transport == Transport::Tcp));
}

#[test]
fn servers_that_truncate_or_lose_every_other_question_count() {
    let _ = all_confirm(vec![
        Behaviour::good().udp(Conduct::good().truncated()),
        Behaviour::good().udp(Conduct::good().dropping_every(2)),
    ]);
}

#[test]
fn servers_that_refuse_or_drop_edns_are_asked_without_it() {
    let edns = |extensions| Behaviour::of(Conduct::good().extensions(extensions));
    let _ = all_confirm(vec![
        edns(Extensions::Refused(ResponseCode::FormErr)),
        edns(Extensions::Refused(ResponseCode::NotImp)),
        edns(Extensions::Dropped),
        edns(Extensions::Ignored),
    ]);
}

/// Asked by us alone: Unbound overlooks the upper bits of a response code, takes BADVERS for an
/// answer without records, and the CA behind it would not see the value.
#[test]
fn a_server_that_knows_another_version_of_edns_is_asked_without_it() {
    let stand =
        Stand::with([Behaviour::of(Conduct::good().extensions(Extensions::Refused(ResponseCode::BADVERS)))]);
    let name = stand.zone.challenge();
    let txt = |words: &[&str]| {
        let place = ["--dns", "rfc2136", "--zone", stand.zone.name()];
        stand.program.run([&["txt"], words, place.as_slice()].concat()).succeeded()
    };
    let _ = txt(&["add", &name, "one"]);
    let waited = txt(&["wait", &name, "one", "--quorum", "all"]);
    assert!(waited.elapsed < GRACE && !waited.stderr.contains("passed by"), "{waited}");
    assert!(stand.servers[0].questions().iter().any(|question| !question.edns));
    let _ = txt(&["remove", &name, "one"]);
}

#[test]
fn servers_that_change_letters_or_come_after_a_forgery_are_believed_and_nobody_else() {
    let stand = all_confirm(vec![
        Behaviour::of(Conduct::good().in_lower_case()),
        Behaviour::good().udp(Conduct::good().after_a_forgery()),
    ]);
    let asked = stand.servers[0].questions();
    assert!(asked.iter().any(|question| question.name.chars().any(char::is_uppercase)), "{asked:?}");
}

//! Retry-After.

use dns01_tests::authority::Authority;
use dns01_tests::fault_ca::{Endpoint, FaultCa, Request, Setup};
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use std::time::Duration;

const AUTHORIZATION: u64 = 3;
const ORDER: u64 = 5;

/// The pause that a reply asked for. The CA says it in seconds, or as a date to the second,
/// which may be up to one second less.
fn asked_for(request: &Request) -> Option<Duration> {
    let seconds = match request.endpoint {
        Endpoint::Authz => AUTHORIZATION,
        Endpoint::Order | Endpoint::Finalize => ORDER,
        _ => return None,
    };
    request.retry_after.as_ref().map(|_| Duration::from_secs(seconds - 1))
}

/// A finalize is answered with the order, and an order cannot be ready before its
/// authorizations: whichever asked for patience, the next look is at the order.
fn looks_at_the_order(request: &&Request) -> bool {
    matches!(request.endpoint, Endpoint::Order | Endpoint::Finalize)
}

#[test]
fn nothing_is_looked_at_again_before_the_ca_wants_it() {
    let rig = Rig::get();
    if !rig.has_current_pebble("Retry-After of orders and authorizations") {
        return;
    }
    let pebble = rig.pebble().retry_after(AUTHORIZATION, ORDER);
    // Of six validations, at least one takes a second or more.
    let (pebble, zone) = (pebble.sleep(4).start(), rig.zone().create());
    let ca = FaultCa::start(&Setup::before(pebble.address())).unwrap();
    let program = dns01(rig).credentials(&zone);
    let names = ["*", "a", "b", "c", "d", "e"].map(|label| zone.host(label));
    let names = names.each_ref().map(String::as_str);
    let _ = program.run(Authority::faulty(&ca).issue(&names)).succeeded();
    Live::of(&program, zone.name()).verified(&names, &pebble.root(0));

    let requests = ca.requests();
    let mut obeyed = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let Some(pause) = asked_for(request) else { continue };
        let Some(next) = requests[index + 1..].iter().find(looks_at_the_order) else { continue };
        let waited = next.at - request.at;
        assert!(waited >= pause, "{:?} again after {waited:?}, not {pause:?}", request.endpoint);
        obeyed.push(request.endpoint);
    }
    assert!(obeyed.contains(&Endpoint::Authz) && obeyed.contains(&Endpoint::Finalize), "{obeyed:?}");
}

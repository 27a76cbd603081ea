//! Retry-After.

use dns01_tests::authority::Authority;
use dns01_tests::fault_ca::{Endpoint, FaultCa, Request, Setup};
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use std::time::Duration;

/// The pause that a reply asked for: the CA says it in seconds, or as a date to the second,
/// which may be up to one second less.
fn asked_for(request: &Request, authorization: u64, order: u64) -> Option<Duration> {
    request.retry_after.as_ref()?;
    let seconds = if request.endpoint == Endpoint::Authz { authorization } else { order };
    Some(Duration::from_secs(seconds - 1))
}

/// The order is what a finalize is answered with, so that the next look is at the order.
fn looks_at(request: &Request) -> &str {
    request.path.rsplit('/').next().unwrap()
}

#[test]
fn nothing_is_looked_at_again_before_the_ca_wants_it() {
    let rig = Rig::get();
    if !rig.has_current_pebble("Retry-After of orders and authorizations") {
        return;
    }
    let (pebble, zone) = (rig.pebble().retry_after(3, 5).sleep(3).start(), rig.zone().create());
    let ca = FaultCa::start(&Setup::before(pebble.address())).unwrap();
    let program = dns01(rig).credentials(&zone);
    let names = [zone.name(), &zone.host("*"), &zone.host("www")];
    let _ = program.run(Authority::faulty(&ca).issue(&names)).succeeded();
    Live::of(&program, zone.name()).verified(&names, &pebble.root(0));

    let requests = ca.requests();
    let mut obeyed = 0;
    for (index, request) in requests.iter().enumerate() {
        let Some(pause) = asked_for(request, 3, 5) else { continue };
        let next = requests[index + 1..].iter().find(|next| looks_at(next) == looks_at(request));
        let Some(next) = next else { continue };
        let waited = next.at - request.at;
        assert!(waited >= pause, "{:?} again after {waited:?}, not {pause:?}", request.endpoint);
        assert!(waited < pause + Duration::from_secs(3), "{waited:?} is much more than was asked for");
        obeyed += 1;
    }
    assert!(obeyed > 0, "the CA asked for patience at least once, at finalize");
}

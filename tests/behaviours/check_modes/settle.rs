//! What is seen must still be seen a while later.

use super::{program, waits, wildcard};
use dns01_tests::rig::Rig;
use std::time::Duration;

#[test]
fn a_zone_that_settles_is_looked_at_once_more() {
    let zone = Rig::get().zone().create();
    let outcome = wildcard(&program(&zone), &zone, &["--settle", "2s", "--json"]).succeeded();
    assert!(outcome.elapsed >= Duration::from_secs(2), "{outcome}");
    let waits = waits(&outcome);
    let wanted = "2 of 2 addresses answer · looking again in 1 s";
    assert!(waits.iter().any(|text| text == wanted), "{waits:#?}");
}

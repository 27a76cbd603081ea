//! A secondary that lags is waited for, by name.

use crate::stand::Stand;
use dns01_tests::fault_names::Behaviour;
use dns01_tests::rig::Rig;
use std::time::Duration;

fn lagging_by(lag: Duration) -> Stand {
    Stand::in_zone(Rig::get().zone(), [(Behaviour::good(), lag)])
}

#[test]
fn a_secondary_that_lags_is_waited_for_by_name_and_the_ca_hears_nothing_before() {
    let lag = Duration::from_secs(2);
    let stand = lagging_by(lag);
    let outcome = stand.issue(&["--json"]).succeeded();
    assert!(outcome.elapsed >= lag, "it took {:?}", outcome.elapsed);
    let waits = format!(
        "2 of 3 addresses answer · waiting for {}, which says there is no such name",
        stand.server(3)
    );
    let _ = outcome.says(&waits);
    assert_eq!(stand.ca.challenges_answered(), 1);
}

#[test]
fn a_secondary_that_lags_20_seconds_is_named_on_screen_and_the_certificate_comes() {
    let lag = Duration::from_secs(20);
    let stand = lagging_by(lag);
    let outcome = stand.issue(&[]).succeeded();
    let (least, most) = (lag, lag + Duration::from_secs(6));
    assert!((least..most).contains(&outcome.elapsed), "it took {:?}", outcome.elapsed);
    let _ = outcome.says(&format!("waiting for {}", stand.server(3)));
}

#[test]
fn a_wildcard_and_its_apex_wait_for_both_values() {
    let stand = lagging_by(Duration::from_secs(1));
    let wildcard = format!("*.{}", stand.zone.name());
    let _ = stand.issue(&["-d", &wildcard]).succeeded().says("confirmed=3 addresses=3");
    assert_eq!(stand.ca.challenges_answered(), 2);
}

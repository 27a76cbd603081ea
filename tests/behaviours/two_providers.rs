//! One zone served by two providers at once: BIND's secondaries and PowerDNS. What is written is
//! written at both, or it would be seen by a part of the CA's questions only.

use dns01_tests::authority::Authority;
use dns01_tests::fault_ca::{Endpoint, FaultCa, Moment, Setup};
use dns01_tests::live::Live;
use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Primary, Rig, Zone, address, query};
use rustix::process::Signal;
use std::time::Duration;

struct Stand {
    zone: Zone,
    program: Program,
}

impl Stand {
    /// A zone at both, one table for each, and one wildcard certificate of `authority`.
    fn new(authority: &Authority, powerdns_key: &str) -> Self {
        let rig = Rig::get();
        let zone = rig.zone().also_at_powerdns().create();
        let program = dns01(rig);
        let name = zone.name();
        let shared = format!("zones = [{{ name = {name:?}, multi_provider = true }}]");
        let bind = zone.table("bind", &[&zone]).replace(&format!("zones = [{name:?}]"), &shared);
        let powerdns = format!(
            "[dns.pdns]\nprovider = \"powerdns\"\n{shared}\nurl = {:?}\napi_key = {{ literal = {powerdns_key:?} }}\n",
            rig.powerdns_api().0
        );
        let certificate =
            format!("[[certificate]]\nname = \"both\"\nca = \"rig\"\ndomains = [{name:?}, \"*.{name}\"]\n");
        let file = [authority.table("rig"), bind, powerdns, certificate].concat();
        std::fs::write(program.state().join("dns01.toml"), file).unwrap();
        let path = program.state().join("dns01.toml");
        Self { zone, program: program.env("DNS01_CONFIG", path) }
    }

    /// The values at BIND and at PowerDNS.
    fn values(&self) -> [Vec<String>; 2] {
        let name = self.zone.challenge();
        [self.zone.txt(&name), query::txt(Primary::PowerDns.address(), &name)]
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(self.values(), [[] as [String; 0], []]);
        let _ = self.program.run(["txt", "list"]).succeeded().says("the ledger is empty");
    }
}

fn key() -> &'static str {
    Rig::get().powerdns_api().1
}

#[test]
fn a_zone_at_two_providers_is_written_at_both_watched_at_both_and_cleaned_at_both() {
    let rig = Rig::get();
    let stand = Stand::new(&Authority::shared(rig), key());
    let mut most = [0, 0];
    let outcome = stand.program.start(["issue", "--all"]).watch(|| {
        for (most, now) in most.iter_mut().zip(stand.values()) {
            *most = now.len().max(*most);
        }
    });
    let outcome = outcome.succeeded().says("credential=bind,pdns").says("values=4 calls=2");
    let _ = outcome.says("confirmed=3 addresses=3").says("removed=4 left=0");
    assert_eq!(most, [2, 2], "both values stood at both");
    let wildcard = stand.zone.host("*");
    Live::of(&stand.program, "both").verified(&[stand.zone.name(), &wildcard], &rig.ca_root());
    stand.nothing_is_left();
}

#[test]
fn what_one_of_the_providers_refuses_is_told_with_its_name_and_taken_back_at_the_other() {
    let stand = Stand::new(&Authority::shared(Rig::get()), "not-the-key");
    let outcome = stand.program.run(["issue", "--all"]).failed_with(1);
    let _ = outcome.says("`pdns` could not write at").says("hint: ");
    stand.nothing_is_left();
}

#[test]
fn the_table_of_one_provider_by_flag_takes_the_other_along() {
    let stand = Stand::new(&Authority::shared(Rig::get()), key());
    let note = stand.zone.host("note");
    let at_both = || [stand.zone.txt(&note), query::txt(Primary::PowerDns.address(), &note)];
    let added = stand.program.run(["txt", "add", &note, "v", "--dns", "bind", "--json"]).succeeded();
    assert_eq!(added.document()["credentials"], serde_json::json!(["bind", "pdns"]));
    assert_eq!(at_both(), [["v"], ["v"]]);
    let _ = stand.program.run(["txt", "remove", &note, "v"]).succeeded().says("is removed");
    assert_eq!(at_both(), [[] as [&str; 0], []]);
}

#[test]
fn what_a_crash_leaves_is_removed_at_both() {
    let ca = FaultCa::start(&Setup::before((address::PEBBLE, 14000).into())).unwrap();
    let stand = Stand::new(&Authority::faulty(&ca), key());
    let pause = ca.pause(Endpoint::Challenge, 1, Moment::BeforeForward);
    let running = stand.program.start(["issue", "--all"]);
    pause.reached(Duration::from_secs(20)).unwrap();
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    pause.discard();
    assert_eq!(stand.values().map(|values| values.len()), [2, 2]);
    let _ = stand.program.run(["txt", "gc"]).succeeded().says("4 values removed, 0 left");
    stand.nothing_is_left();
}

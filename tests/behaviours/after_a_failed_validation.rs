//! What the CA's resolver saw when it looked in vain stays in caches: the next order waits for
//! as long as the zone lets it stay there.

use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Pebble, Rig, Zone, ZoneBuilder, address};
use std::time::Duration;

/// A CA whose resolver knows nothing of the zone.
struct Stand {
    zone: Zone,
    _resolver: FaultServer,
    pebble: Pebble,
    program: Program,
}

impl Stand {
    fn with(zone: ZoneBuilder<'_>) -> Self {
        let rig = Rig::get();
        let zone = zone.create();
        let address = address::dns(rig.network().address(1));
        let resolver = FaultServer::start(address, Behaviour::good()).unwrap();
        resolver.zone("test");
        let pebble = rig.pebble().resolver(address).start();
        let program = dns01(rig).credentials(&zone);
        Self { zone, _resolver: resolver, pebble, program }
    }

    fn issue(&self, more: &[&str]) -> Outcome {
        let (directory, bundle) = (self.pebble.directory(), Rig::get().ca_bundle());
        let ca = ["--server", &directory, "--ca-bundle", bundle.to_str().unwrap(), "--agree-tos"];
        let issue = ["issue", "-d", self.zone.name(), "--dns", "rfc2136"];
        self.program.run([issue.as_slice(), &ca, more].concat())
    }

    fn orders(&self) -> usize {
        self.pebble.requests().iter().filter(|(_, kind)| kind == "/order-plz").count()
    }

    /// Fails, and returns how long the next order is to wait.
    fn fails(&self, more: &[&str]) -> Duration {
        let outcome = self.issue(&[&["--json"], more].concat()).failed_with(1);
        let error: serde_json::Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
        assert_eq!(error["id"], "validation-failed", "{outcome}");
        let retry_at: jiff::Timestamp = error["retry_at"].as_str().unwrap().parse().unwrap();
        retry_at.duration_since(jiff::Timestamp::now()).unsigned_abs()
    }
}

#[track_caller]
fn is_about(waits: Duration, seconds: u64) {
    let seconds = Duration::from_secs(seconds);
    assert!(waits <= seconds && waits + Duration::from_secs(10) > seconds, "{waits:?} of {seconds:?}");
}

#[test]
fn the_next_order_waits_out_the_negative_ttl_unless_forced() {
    let stand = Stand::with(Rig::get().zone().ttl(300).negative_ttl(200));
    is_about(stand.fails(&[]), 200);
    assert_eq!((stand.zone.all_txt(), stand.orders()), (Vec::new(), 1));

    let _ = stand.issue(&[]).failed_with(3).says("id=too-soon").says("hint: ").says("--force");
    let _ = stand.program.run(["renew"]).succeeded();
    assert_eq!(stand.orders(), 1, "nothing was ordered meanwhile");

    let _ = stand.issue(&["--force"]).failed_with(1);
    assert_eq!(stand.orders(), 2, "--force tries it all the same");
}

#[test]
fn it_waits_as_long_as_the_records_live_and_a_minute_at_least() {
    let stand = Stand::with(Rig::get().zone());
    is_about(stand.fails(&[]), 60);
    let stand = Stand::with(Rig::get().zone());
    is_about(stand.fails(&["--ttl", "400"]), 400);
}

#[test]
fn a_failure_that_no_cache_remembers_can_be_tried_again_at_once() {
    let stand = Stand::with(Rig::get().zone().record("@ CAA 0 issue \"other.test\""));
    for _ in 0..2 {
        let _ = stand.issue(&[]).failed_with(1).says("id=caa-forbids");
    }
}

//! One certificate of one zone at a CA that can be made to stand still: what the tests of
//! interruptions start from.

use dns01_tests::fault_ca::{Endpoint, FaultCa, Setup};
use dns01_tests::program::{Outcome, Program, Running, dns01};
use dns01_tests::rig::{Rig, Zone, address, wait_until};
use serde_json::Value;
use std::time::Duration;

/// How long anything here may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A wildcard certificate about to be obtained, from a state directory of its own.
pub(crate) struct OneOrder {
    pub(crate) zone: Zone,
    pub(crate) ca: FaultCa,
    pub(crate) program: Program,
}

impl OneOrder {
    pub(crate) fn of(zone: Zone) -> Self {
        let ca = FaultCa::start(&Setup::before((address::PEBBLE, 14000).into())).unwrap();
        let program = dns01(Rig::get()).credentials(&zone).patience(Duration::from_secs(60));
        Self { zone, ca, program }
    }

    /// The same, its UPDATEs sent to `server`.
    pub(crate) fn with_primary(mut self, server: &str) -> Self {
        self.program = self.program.env("RFC2136_NAMESERVER", server);
        self
    }

    /// `dns01 issue`, with `more` arguments.
    pub(crate) fn arguments(&self, more: &[&str]) -> Vec<String> {
        self.arguments_for(&format!("*.{}", self.zone.name()), more)
    }

    /// `dns01 issue` for another name.
    pub(crate) fn arguments_for(&self, name: &str, more: &[&str]) -> Vec<String> {
        let bundle = self.ca.root_file().to_str().unwrap();
        let fixed = ["issue", "-d", name, "--dns", "rfc2136", "--agree-tos", "-m", "ops@example.test"];
        let server = ["--server", self.ca.directory(), "--ca-bundle", bundle];
        fixed.iter().chain(&server).chain(more).map(|&argument| argument.to_owned()).collect()
    }

    pub(crate) fn start(&self) -> Running {
        self.program.start(self.arguments(&[]))
    }

    pub(crate) fn run(&self) -> Outcome {
        self.program.run(self.arguments(&[]))
    }

    /// Waits until its record stands on the primary.
    #[track_caller]
    pub(crate) fn wait_record(&self) {
        wait_until("the record on the primary", SOON, || !self.zone.all_txt().is_empty());
    }

    /// Waits until the CA has found the name to be proved.
    #[track_caller]
    pub(crate) fn wait_validated(&self) {
        let requests = self.ca.requests();
        let authorization = requests.iter().find(|request| request.endpoint == Endpoint::Authz).unwrap();
        let id = authorization.path.rsplit('/').next().unwrap();
        let validated = format!("authz {id} set VALID");
        wait_until("a proved name", SOON, || Rig::get().log("pebble").contains(&validated));
    }

    /// What `txt list` lists.
    #[track_caller]
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let listed = self.program.run(["txt", "list", "--json"]).succeeded();
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        listed["values"].as_array().unwrap().clone()
    }

    /// Insists that no record of ours stands anywhere.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        assert_eq!(self.zone.all_txt(), []);
        assert_eq!(self.ledger(), [] as [Value; 0]);
    }

    /// Insists that the CA has made one order and one certificate, and that it is live.
    #[track_caller]
    pub(crate) fn one_certificate_is_there(&self) {
        assert_eq!((self.ca.orders(), self.ca.certificates()), (1, 1));
        assert!(self.program.live(self.zone.name(), "fullchain.pem").exists());
        self.nothing_is_left();
    }
}

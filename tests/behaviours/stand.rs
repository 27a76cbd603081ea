//! A zone with name servers of the test's own beside Knot and NSD, a CA that counts, and a
//! program that may write there.

use dns01_tests::fault_ca::{Endpoint, FaultCa, Setup};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone, ZoneBuilder, address};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub(crate) struct Stand {
    pub(crate) zone: Zone,
    /// `ns3`, `ns4`, …: each a mirror of the zone that behaves as told.
    pub(crate) servers: Vec<FaultServer>,
    pub(crate) ca: FaultCa,
    pub(crate) program: Program,
}

impl Stand {
    /// Knot, NSD, and a further name server for each of `behaviours`.
    pub(crate) fn with(behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        Self::in_zone(Rig::get().zone(), behaviours.into_iter().map(|one| (one, Duration::ZERO)))
    }

    /// The same in a zone of the test's choice; each server shows the zone as it was some time ago.
    pub(crate) fn in_zone(
        mut zone: ZoneBuilder<'_>,
        behaviours: impl IntoIterator<Item = (Behaviour, Duration)>,
    ) -> Self {
        let rig = Rig::get();
        let network = rig.network();
        let behaviours: Vec<_> = (3..).zip(behaviours).collect();
        for (number, _) in &behaviours {
            zone = zone.server(&format!("ns{number}"), [IpAddr::V4(network.address(*number))]);
        }
        let zone = zone.create();
        let servers = behaviours.into_iter().map(|(number, (behaviour, lag))| {
            let server = FaultServer::start(address::dns(network.address(number)), behaviour).unwrap();
            server.mirror(zone.name(), zone.primary(), lag).unwrap();
            server
        });
        let servers = servers.collect();
        let ca = FaultCa::start(&Setup::before(SocketAddr::from((address::PEBBLE, 14000)))).unwrap();
        let program = dns01(rig).credentials(&zone);
        Self { zone, servers, ca, program }
    }

    /// The arguments that name provider and CA.
    pub(crate) fn corridor(&self) -> Vec<&str> {
        let root = self.ca.root_file().to_str().unwrap();
        let ca =
            ["--server", self.ca.directory(), "--ca-bundle", root, "--agree-tos", "-m", "a@example.test"];
        ["--dns", "rfc2136", "--zone", self.zone.name()].into_iter().chain(ca).collect()
    }

    /// Runs `issue` for the zone's apex.
    pub(crate) fn issue(&self, more: &[&str]) -> Outcome {
        self.program.run(self.issue_arguments(more))
    }

    /// The arguments of [`Self::issue`].
    pub(crate) fn issue_arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["issue", "-d", self.zone.name()], self.corridor().as_slice(), more].concat()
    }

    /// The full name and the address of server `number`, as messages show them.
    pub(crate) fn server(&self, number: u8) -> String {
        let server = &self.servers[usize::from(number) - 3];
        format!("{} {}", self.zone.host(&format!("ns{number}")), server.address().ip())
    }

    /// Insists that the CA was not told to look, and that nothing of ours stands in the zone.
    #[track_caller]
    pub(crate) fn nothing_was_risked(&self) {
        assert_eq!(self.ca.challenges_answered(), 0, "challenges sent to the CA");
        assert_eq!(self.zone.all_txt(), [], "records left");
    }

    /// Insists that nothing was ordered and nothing written at any time.
    #[track_caller]
    pub(crate) fn nothing_was_tried(&self) {
        assert_eq!(self.ca.count(Endpoint::NewOrder), 0, "orders");
        assert_eq!(self.zone.updates(), 0, "updates");
    }
}

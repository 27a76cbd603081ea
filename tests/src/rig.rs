//! The test rig: name servers from the root down, a resolver and a CA on loopback addresses.
//!
//! The program `rig` ([`launch`]) starts the servers; tests reach them through [`Rig::get`].
//!
//! ```text
//! root (BIND) ── test. (BIND) ── <zone>.test. ── ns1 (Knot), ns2 (NSD)
//!                                     └ hidden primary (BIND, TSIG, update-policy)
//! Unbound resolves from the root; Pebble asks Unbound; PowerDNS and Knot can be primaries too.
//! ```

pub mod address;
mod bind;
mod closed;
mod key;
mod knot;
pub mod launch;
mod network;
mod nsd;
mod pebble;
mod powerdns;
mod process;
pub mod query;
mod tls;
mod unbound;
mod zone;
mod zone_builder;

pub use closed::ClosedNetwork;
pub use key::{Algorithm, Key};
pub use network::Network;
pub use pebble::{Pebble, PebbleBuilder, pebble_program};
pub use process::{Service, wait_until};
pub use tls::ServerCertificate;
pub use zone::{NameServer, Primary, Secondary, Zone};
pub use zone_builder::{Grant, ZoneBuilder};

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The variable that holds the path of the rig's description.
pub const VARIABLE: &str = "DNS01_RIG";

/// The running rig, as a test sees it.
#[derive(Serialize, Deserialize)]
pub struct Rig {
    /// Files and logs of this run.
    directory: PathBuf,
    admin: Key,
    /// One key a zone may take, times the algorithms; BIND cannot learn keys while it runs.
    keys: Vec<Key>,
    powerdns_api_key: String,
    /// The directory address of the Pebble that the rig itself started.
    ca_directory: String,
}

impl Rig {
    /// The rig this test runs in.
    ///
    /// # Panics
    /// Outside a rig.
    #[must_use]
    pub fn get() -> &'static Self {
        static RIG: OnceLock<Rig> = OnceLock::new();
        RIG.get_or_init(|| {
            let path = std::env::var_os(VARIABLE)
                .expect("DNS01_RIG is not set: run me through tests/run, which starts the rig");
            let text = std::fs::read(&path).expect("the rig's description can be read");
            serde_json::from_slice(&text).expect("the rig's description is whole")
        })
    }

    /// A zone builder: `rig.zone().create()` is a fresh zone below `test.` on all servers.
    #[must_use]
    pub fn zone(&self) -> ZoneBuilder<'_> {
        ZoneBuilder::new(self)
    }

    /// A /24 of loopback addresses that no other test has.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::allocate(&self.directory)
    }

    /// A builder of a Pebble of the test's own, stopped when it is dropped.
    #[must_use]
    pub fn pebble(&self) -> PebbleBuilder<'_> {
        PebbleBuilder::new(self)
    }

    /// The directory address of the Pebble everybody shares: no sleeps, no nonce rejected, no
    /// authorization reused.
    #[must_use]
    pub fn ca_directory(&self) -> &str {
        &self.ca_directory
    }

    /// What the shared Pebble was asked so far: method and kind, as [`Pebble::requests`].
    #[must_use]
    pub fn ca_requests(&self) -> Vec<(String, String)> {
        pebble::requests(&self.log("pebble"))
    }

    /// The root of the certificates that the shared Pebble issues, PEM.
    #[must_use]
    pub fn ca_root(&self) -> String {
        let url = format!("https://{}:15000/roots/0", address::PEBBLE);
        pebble::fetch(&self.ca_bundle(), &url, None)
    }

    /// Whether Pebble is the current one. Debian's lacks Retry-After, renewal information,
    /// profiles, dns-account-01 and dns-persist-01: a test of `what` asks first and returns
    /// on `false`; the rig names it as skipped at its end.
    #[must_use]
    pub fn has_current_pebble(&self, what: &str) -> bool {
        let directory = pebble::fetch(&self.ca_bundle(), self.ca_directory(), None);
        let current = directory.contains("renewalInfo");
        if !current {
            self.skip(what, "Debian's Pebble cannot do it");
        }
        current
    }

    /// Lets the rig name `what` as skipped at its end, and why.
    ///
    /// # Panics
    /// The rig's directory cannot be written to.
    pub fn skip(&self, what: &str, reason: &str) {
        use std::io::Write as _;
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(self.skipped());
        let mut file = file.expect("the rig's directory is writable");
        // In one piece: tests run at the same time.
        let line = format!("{what}: {reason}\n");
        file.write_all(line.as_bytes()).expect("the rig's directory is writable");
    }

    fn skipped(&self) -> PathBuf {
        self.directory.join("skipped")
    }

    /// The PEM bundle that verifies every HTTPS server of the rig (not the issued
    /// certificates: their root is [`Rig::ca_root`] or [`Pebble::root`]).
    #[must_use]
    pub fn ca_bundle(&self) -> PathBuf {
        tls::bundle(&self.directory)
    }

    /// A certificate for an HTTPS server at `host`, verified by [`Rig::ca_bundle`].
    #[must_use]
    pub fn server_certificate(&self, host: &str) -> ServerCertificate {
        tls::issue(&self.directory, &[host])
    }

    /// A Knot of the test's own at `address`, port 53, with one zone, in which `key` may do what
    /// `rules` (the `acl:` sections of a configuration, as they are written) let it.
    #[must_use]
    pub fn knot(&self, address: std::net::Ipv4Addr, zone: &str, key: &Key, rules: &str) -> Service {
        knot::own(&self.directory, address, zone, key, rules)
    }

    /// The address and the key of PowerDNS's HTTP API.
    #[must_use]
    pub fn powerdns_api(&self) -> (String, &str) {
        let url = format!("http://{}:{}/api/v1", address::POWERDNS, address::POWERDNS_API_PORT);
        (url, &self.powerdns_api_key)
    }

    /// A network of its own from which only an HTTPS proxy gets out.
    #[must_use]
    pub fn closed_network(&self) -> ClosedNetwork {
        ClosedNetwork::open(&self.directory)
    }

    /// Where the rig keeps its files and logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The log of one of the rig's servers, as it stands: `named`, `knotd`, `nsd`, `unbound`,
    /// `pdns_server`, `pebble`.
    #[must_use]
    pub fn log(&self, server: &str) -> String {
        process::read_log(&self.directory, server)
    }

    fn write(&self) -> PathBuf {
        let path = self.directory.join("rig.json");
        let text = serde_json::to_vec_pretty(self).expect("the description is plain data");
        std::fs::write(&path, text).expect("the rig's directory is writable");
        path
    }
}

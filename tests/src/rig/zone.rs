//! Zones of a test's own, real from the delegation down: what a test does with one.

use super::address::{KNOT, NSD, POWERDNS, PRIMARY, dns};
use super::process::wait_until;
use super::{Key, bind, knot, nsd, query};
use hickory_proto::rr::RecordType;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long servers may take to show a change.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which server takes the zone's UPDATEs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Primary {
    /// BIND, hidden, with Knot and NSD as its secondaries.
    #[default]
    Bind,
    /// Knot alone.
    Knot,
    /// PowerDNS alone.
    PowerDns,
}

impl Primary {
    /// Its address.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        dns(match self {
            Self::Bind => PRIMARY,
            Self::Knot => KNOT,
            Self::PowerDns => POWERDNS,
        })
    }
}

/// A secondary of the BIND primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secondary {
    /// `ns1`
    Knot,
    /// `ns2`
    Nsd,
}

impl Secondary {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Knot, Self::Nsd];

    /// Its address.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        dns(match self {
            Self::Knot => KNOT,
            Self::Nsd => NSD,
        })
    }

    /// Its label in every zone.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Knot => "ns1",
            Self::Nsd => "ns2",
        }
    }
}

/// A name server as a delegation names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its full name, without the trailing dot.
    pub name: String,
    /// Its addresses, published as glue when the name lies in the zone.
    pub addresses: Vec<IpAddr>,
}

/// A zone that is served.
pub struct Zone {
    pub(super) directory: PathBuf,
    pub(super) admin: Key,
    pub(super) name: String,
    pub(super) key: Key,
    pub(super) primary: Primary,
    pub(super) servers: Vec<NameServer>,
    pub(super) secondaries: Vec<Secondary>,
    pub(super) ttl: u32,
    /// UPDATE messages the test itself has sent.
    pub(super) ours: AtomicU64,
}

impl Zone {
    /// Its name, without the trailing dot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `<label>.<zone>`
    #[must_use]
    pub fn host(&self, label: &str) -> String {
        format!("{label}.{}", self.name)
    }

    /// `_acme-challenge.<zone>`
    #[must_use]
    pub fn challenge(&self) -> String {
        self.host("_acme-challenge")
    }

    /// The key that may write in it.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where its UPDATEs go.
    #[must_use]
    pub fn primary(&self) -> SocketAddr {
        self.primary.address()
    }

    /// The name servers of its delegation.
    #[must_use]
    pub fn servers(&self) -> &[NameServer] {
        &self.servers
    }

    /// The environment that gives `dns01 --dns rfc2136` this zone's key.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("RFC2136_NAMESERVER", self.primary().to_string()),
            ("RFC2136_TSIG_KEY", self.key.name.clone()),
            ("RFC2136_TSIG_ALGORITHM", self.key.algorithm.name().to_owned()),
            ("RFC2136_TSIG_SECRET", self.key.secret.clone()),
        ]
    }

    /// The `[dns.<credential>]` table of `dns01.toml` that gives its key to `zones`.
    #[must_use]
    pub fn table(&self, credential: &str, zones: &[&Zone]) -> String {
        let names: Vec<&str> = zones.iter().map(|zone| zone.name()).collect();
        let (server, key) = (self.primary(), &self.key);
        let (name, algorithm, secret) = (&key.name, key.algorithm.name(), &key.secret);
        format!(
            "[dns.{credential}]\nprovider = \"rfc2136\"\nzones = {names:?}\nserver = \"{server}\"\n\
             tsig = {{ name = \"{name}\", algorithm = \"{algorithm}\", secret = {{ literal = \"{secret}\" }} }}\n"
        )
    }

    /// Adds a record as somebody else would, owner relative to the zone:
    /// `www A 192.0.2.1`, `_acme-challenge 300 TXT "theirs"`.
    pub fn add(&self, line: &str) {
        self.change("add", line, true);
    }

    /// Removes a record, or an RRset (`www A`), or a name (`www`).
    pub fn remove(&self, line: &str) {
        self.change("delete", line, false);
    }

    /// Changes several records in one UPDATE: `add …` and `delete …` lines in the form of
    /// nsupdate, names absolute.
    pub fn update(&self, lines: &str) {
        bind::update(&self.directory, &self.admin, self.primary(), &self.name, lines);
        self.ours.fetch_add(1, Ordering::Relaxed);
    }

    fn change(&self, verb: &str, line: &str, with_ttl: bool) {
        let (owner, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let owner = if owner == "@" { self.name.clone() } else { self.host(owner) };
        let has_ttl = rest.starts_with(|first: char| first.is_ascii_digit());
        let ttl = if with_ttl && !has_ttl { format!("{} ", self.ttl) } else { String::new() };
        self.update(&format!("update {verb} {owner}. {ttl}{rest}\n"));
    }

    /// The TXT values at `name` (absolute) on the primary, sorted.
    #[must_use]
    pub fn txt(&self, name: &str) -> Vec<String> {
        query::txt(self.primary(), name)
    }

    /// Every TXT record of the whole zone on the primary: owner (no trailing dot) and value.
    #[must_use]
    pub fn all_txt(&self) -> Vec<(String, String)> {
        let records = query::transfer(self.primary(), &self.name).expect("the primary transfers its zones");
        let mut values: Vec<_> = records
            .iter()
            .filter_map(|record| {
                let owner = record.name.to_ascii().trim_end_matches('.').to_owned();
                Some((owner, query::text(record)?))
            })
            .collect();
        values.sort();
        values
    }

    /// Gives its key exactly the `update-policy` statement that is written here, and takes all
    /// others away (BIND only).
    pub fn set_policy(&self, statement: &str) {
        let notify: Vec<SocketAddr> = self.secondaries.iter().map(|secondary| secondary.address()).collect();
        bind::set_policy(&self.directory, &self.name, statement, &notify);
    }

    /// UPDATE messages for this zone so far, refused ones too, without those of
    /// [`Zone::add`], [`Zone::remove`] and [`Zone::update`] (BIND only).
    #[must_use]
    pub fn updates(&self) -> u64 {
        bind::updates(&self.directory, &self.name) - self.ours.load(Ordering::Relaxed)
    }

    /// Lets a held secondary fetch the zone as it is now. It stays held.
    pub fn release(&self, secondary: Secondary) {
        match secondary {
            Secondary::Knot => knot::refresh(&self.directory, &self.name),
            Secondary::Nsd => nsd::refresh(&self.directory, &self.name),
        }
    }

    /// Waits until every server of ours has `value` among the TXT values at `name`.
    #[track_caller]
    pub fn wait_txt(&self, name: &str, value: &str, limit: Duration) {
        for server in self.servers_of_ours() {
            wait_until(&format!("{value} at {name} on {server}"), limit, || {
                query::txt(server, name).iter().any(|seen| seen == value)
            });
        }
    }

    /// The addresses that serve it in truth: without the servers that a test has made up.
    #[must_use]
    pub fn servers_of_ours(&self) -> Vec<SocketAddr> {
        match self.primary {
            Primary::Bind => self.secondaries.iter().map(|secondary| secondary.address()).collect(),
            other => vec![other.address()],
        }
    }

    pub(super) fn delegation(&self) -> String {
        let mut lines = String::new();
        for server in &self.servers {
            let _ = writeln!(lines, "update add {}. 60 NS {}.", self.name, server.name);
            for address in &server.addresses {
                let kind = address_type(address);
                let _ = writeln!(lines, "update add {}. 60 {kind} {address}", server.name);
            }
        }
        lines
    }

    pub(super) fn wait_served(&self, parent_servers: Vec<SocketAddr>) {
        for server in self.servers_of_ours() {
            wait_until(&format!("{} on {server}", self.name), PATIENCE, || {
                query::serial(server, &self.name).is_some()
            });
        }
        // A server of both zones answers for the child itself; any other refers to it.
        for server in parent_servers {
            wait_until(&format!("the delegation of {} on {server}", self.name), PATIENCE, || {
                query::ask(server, &self.name, RecordType::NS)
                    .is_ok_and(|answer| !answer.answers.is_empty() || !answer.authorities.is_empty())
            });
        }
    }
}

pub(super) fn address_type(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}

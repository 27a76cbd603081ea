//! Zones of a test's own, real from the delegation down.

use super::address::{KNOT, NSD, POWERDNS, PRIMARY, TLD, dns};
use super::process::wait_until;
use super::{Algorithm, Key, Rig, bind, knot, network, nsd, powerdns, query};
use hickory_proto::rr::RecordType;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

/// What a zone's key may change.
#[derive(Clone, Debug, Default)]
pub enum Grant {
    /// TXT records anywhere in the zone.
    #[default]
    AnyTxt,
    /// TXT records at these names only, relative to the zone: `_acme-challenge`, …
    Names(Vec<String>),
    /// TXT records anywhere in the zone but at these names, relative to it.
    AnyTxtBut(Vec<String>),
    /// Everything.
    All,
}

/// A zone about to be made. Unless told otherwise: a new name below `test.`, BIND as hidden
/// primary, Knot and NSD as secondaries, TTL 60 s, negative TTL 1 s, a key for any TXT.
#[derive(Clone)]
pub struct ZoneBuilder<'a> {
    rig: &'a Rig,
    name: Option<String>,
    parent: Option<&'a Zone>,
    primary: Primary,
    algorithm: Algorithm,
    key: Option<Key>,
    grant: Grant,
    secondaries: Vec<Secondary>,
    held: Vec<Secondary>,
    extra: Vec<NameServer>,
    records: String,
    ttl: u32,
    negative_ttl: u32,
}

impl<'a> ZoneBuilder<'a> {
    pub(super) fn new(rig: &'a Rig) -> Self {
        Self {
            rig,
            name: None,
            parent: None,
            primary: Primary::Bind,
            algorithm: Algorithm::default(),
            key: None,
            grant: Grant::default(),
            secondaries: Secondary::ALL.to_vec(),
            held: Vec::new(),
            extra: Vec::new(),
            records: String::new(),
            ttl: 60,
            negative_ttl: 1,
        }
    }

    /// The whole name, instead of a new one: must lie directly below `test`, or below the
    /// parent given.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.trim_end_matches('.').to_owned());
        self
    }

    /// Delegated from `parent`, as `sub.<parent>` unless named.
    #[must_use]
    pub fn below(mut self, parent: &'a Zone) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Who takes its UPDATEs.
    #[must_use]
    pub fn primary(mut self, primary: Primary) -> Self {
        self.primary = primary;
        self
    }

    /// The algorithm of its key.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The key of `other` writes here too, instead of one of its own.
    #[must_use]
    pub fn same_key(mut self, other: &Zone) -> Self {
        self.key = Some(other.key.clone());
        self
    }

    /// What its key may change (BIND only).
    #[must_use]
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grant = grant;
        self
    }

    /// Only these secondaries, possibly none.
    #[must_use]
    pub fn secondaries(mut self, secondaries: &[Secondary]) -> Self {
        self.secondaries = secondaries.to_vec();
        self
    }

    /// This secondary has the zone as it is at the start and takes no change until
    /// [`Zone::release`].
    #[must_use]
    pub fn hold(mut self, secondary: Secondary) -> Self {
        self.held.push(secondary);
        self
    }

    /// One more name server, in the delegation and at the apex; nobody here serves it.
    /// `label` is relative to the zone.
    #[must_use]
    pub fn server<A: Into<IpAddr>>(mut self, label: &str, addresses: impl IntoIterator<Item = A>) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        self.extra.push(NameServer { name: label.to_owned(), addresses });
        self
    }

    /// A record at creation, owner relative to the zone: `www A 192.0.2.1`,
    /// `@ CAA 0 issue "ca.test"`.
    #[must_use]
    pub fn record(mut self, line: &str) -> Self {
        self.records += &format!("{line}\n");
        self
    }

    /// The TTL of all its records, in seconds.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// How long resolvers keep "no such name", in seconds.
    #[must_use]
    pub fn negative_ttl(mut self, seconds: u32) -> Self {
        self.negative_ttl = seconds;
        self
    }

    /// Makes it, and returns when every server of ours serves it and the parent delegates it.
    #[must_use]
    pub fn create(self) -> Zone {
        let number = network::number(&self.rig.directory, "zone");
        let name = self.name.clone().unwrap_or_else(|| match self.parent {
            Some(parent) => parent.host(&format!("sub{number}")),
            None => format!("zone{number}.test"),
        });
        let own_key = || Key::pick(&self.rig.keys, number, self.algorithm);
        let key = self.key.clone().unwrap_or_else(own_key);
        let zone = Zone {
            directory: self.rig.directory.clone(),
            admin: self.rig.admin.clone(),
            servers: self.servers(&name),
            secondaries: if self.primary == Primary::Bind { self.secondaries.clone() } else { Vec::new() },
            primary: self.primary,
            ttl: self.ttl,
            name,
            key,
            ours: AtomicU64::new(0),
        };
        self.serve(&zone);
        match self.parent {
            Some(parent) => parent.update(&zone.delegation()),
            None => bind::update(&zone.directory, &zone.admin, dns(TLD), "test", &zone.delegation()),
        }
        zone.wait_served(self.parent.map(Zone::servers_of_ours).unwrap_or_default());
        zone
    }

    fn servers(&self, zone: &str) -> Vec<NameServer> {
        let ours: Vec<(&str, Ipv4Addr)> = match self.primary {
            Primary::Bind => self
                .secondaries
                .iter()
                .map(|secondary| match secondary {
                    Secondary::Knot => ("ns1", KNOT),
                    Secondary::Nsd => ("ns2", NSD),
                })
                .collect(),
            Primary::Knot => vec![("ns1", KNOT)],
            Primary::PowerDns => vec![("ns1", POWERDNS)],
        };
        let named = |label: &str, addresses| NameServer { name: format!("{label}.{zone}"), addresses };
        let ours = ours.into_iter().map(|(label, address)| named(label, vec![IpAddr::V4(address)]));
        let extra = self.extra.iter().map(|server| named(&server.name, server.addresses.clone()));
        ours.chain(extra).collect()
    }

    fn serve(&self, zone: &Zone) {
        let text = self.text(zone);
        let (directory, name) = (&zone.directory, &zone.name);
        match self.primary {
            Primary::Bind => {
                let notify: Vec<SocketAddr> =
                    self.secondaries.iter().map(|secondary| secondary.address()).collect();
                bind::add_zone(directory, name, &text, &self.policy(zone), &notify);
                let held = |secondary| self.held.contains(&secondary);
                for &secondary in &self.secondaries {
                    match secondary {
                        Secondary::Knot => knot::add_secondary(directory, name, held(secondary)),
                        Secondary::Nsd => nsd::add_secondary(directory, name, held(secondary)),
                    }
                }
            }
            Primary::Knot => knot::add_primary(directory, name, &text, &zone.key),
            Primary::PowerDns => powerdns::add_zone(directory, name, &text, [&zone.key, &zone.admin]),
        }
    }

    /// The zone as a master file with absolute owners.
    fn text(&self, zone: &Zone) -> String {
        let (name, ttl) = (&zone.name, self.ttl);
        let mut text = format!(
            "$ORIGIN {name}.\n$TTL {ttl}\n@ SOA ns1.{name}. hostmaster.{name}. 1 3600 600 86400 {}\n",
            self.negative_ttl
        );
        for server in &zone.servers {
            let _ = writeln!(text, "@ NS {}.", server.name);
            for address in &server.addresses {
                let _ = writeln!(text, "{}. {} {address}", server.name, address_type(address));
            }
        }
        text + &self.records
    }

    fn policy(&self, zone: &Zone) -> String {
        let (admin, key) = (&zone.admin.name, &zone.key.name);
        let mut policy = format!("grant \"{admin}\" zonesub ANY; ");
        match &self.grant {
            Grant::AnyTxtBut(names) => {
                for name in names {
                    let _ = write!(policy, "deny \"{key}\" name {} ANY; ", zone.host(name));
                }
                policy += &format!("grant \"{key}\" zonesub TXT; ");
            }
            Grant::AnyTxt => policy += &format!("grant \"{key}\" zonesub TXT; "),
            Grant::All => policy += &format!("grant \"{key}\" zonesub ANY; "),
            Grant::Names(names) => {
                for name in names {
                    let _ = write!(policy, "grant \"{key}\" name {}. TXT; ", zone.host(name));
                }
            }
        }
        policy
    }
}

fn address_type(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}

/// A zone that is served.
pub struct Zone {
    directory: PathBuf,
    admin: Key,
    name: String,
    key: Key,
    primary: Primary,
    servers: Vec<NameServer>,
    secondaries: Vec<Secondary>,
    ttl: u32,
    /// UPDATE messages the test itself has sent.
    ours: AtomicU64,
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

    fn delegation(&self) -> String {
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

    fn wait_served(&self, parent_servers: Vec<SocketAddr>) {
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

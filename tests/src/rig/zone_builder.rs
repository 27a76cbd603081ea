//! Zones of a test's own: what one can ask for, and how it comes to be.

use super::address::{KNOT, NSD, POWERDNS, TLD, dns};
use super::zone::address_type;
use super::{Algorithm, Key, NameServer, Primary, Rig, Secondary, Zone, bind, knot, network, nsd, powerdns};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;

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
    also_at_powerdns: bool,
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
            also_at_powerdns: false,
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

    /// Served by PowerDNS as well, as `ns3`: a primary of another make that takes no transfer from
    /// the first, as at a second provider. The same key may write there.
    #[must_use]
    pub fn also_at_powerdns(self) -> Self {
        Self { also_at_powerdns: true, ..self.server("ns3", [POWERDNS]) }
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
        if self.also_at_powerdns {
            powerdns::add_zone(directory, name, &text, [&zone.key, &zone.admin]);
        }
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
        let mut policy = format!("update-policy {{ grant \"{admin}\" zonesub ANY; ");
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
        policy + "};"
    }
}

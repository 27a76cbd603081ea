//! Zone cuts, and the servers of a zone.
//!
//! A zone is found from its parent downward: the parent's servers are asked directly for the
//! delegation, the zone's own servers for its NS records.

use super::DnsError;
use super::answer::{plain_name, shown_name, wire_name};
use super::flight::Flights;
use super::message::{Question, Reply};
use super::query::QueryClient;
use super::recursive::Recursive;
use super::resolver::Resolver;
use super::survey::ask_first;
use super::zones::ConfiguredZone;
use dns01_provider::name::{Fqdn, ZoneName};
use futures_util::future::{join, join_all};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// More delegations than this between a zone and one above it are a circle.
const LONGEST_WALK: usize = 16;

/// The authoritative servers of a zone: the union of the parent's delegation and the zone's
/// own NS records, since resolvers use both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneServers {
    /// The zone.
    pub zone: ZoneName,
    /// The zone that delegates it, as a name without its last dot (`.` is the root); `None`
    /// where the servers come from the configuration.
    pub parent: Option<String>,
    /// The servers that have an address.
    pub servers: Vec<NameServer>,
    /// Name servers for which no address is found.
    pub without_address: Vec<String>,
    /// Name servers that the zone names and its parent does not.
    pub undelegated: Vec<String>,
    /// Name servers that the parent names and the zone itself does not.
    pub unlisted: Vec<String>,
}

impl ZoneServers {
    /// Every address, with the name of its server.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.servers
            .iter()
            .flat_map(|server| server.addresses.iter().map(|address| (server.name.as_str(), *address)))
    }

    fn configured(zone: &ConfiguredZone) -> Self {
        let servers = zone
            .name_servers
            .iter()
            .map(|address| NameServer { name: address.ip().to_string(), addresses: vec![*address] });
        Self {
            zone: zone.name.clone(),
            parent: None,
            servers: servers.collect(),
            without_address: Vec::new(),
            undelegated: Vec::new(),
            unlisted: Vec::new(),
        }
    }
}

/// One name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its name, or its address where the configuration gave only that.
    pub name: String,
    /// Every address it has.
    pub addresses: Vec<SocketAddr>,
}

/// Zones that were found, each looked for once in the life of the process.
pub(super) struct Delegations {
    walker: Walker,
    found: Flights<(ZoneName, Vec<Resolver>), Arc<ZoneServers>, DnsError>,
}

/// What a walk needs.
#[derive(Clone)]
struct Walker {
    client: QueryClient,
    recursive: Recursive,
    port: u16,
}

impl Delegations {
    pub(super) fn new(client: QueryClient, recursive: Recursive, port: u16) -> Self {
        Self { walker: Walker { client, recursive, port }, found: Flights::default() }
    }

    /// The servers of a zone of the configuration.
    pub(super) async fn of_configured(&self, zone: &ConfiguredZone) -> Result<Arc<ZoneServers>, DnsError> {
        if zone.name_servers.is_empty() {
            return self.of(&zone.name, &zone.resolvers).await;
        }
        Ok(Arc::new(ZoneServers::configured(zone)))
    }

    /// The servers of `zone`, from its delegation.
    pub(super) async fn of(
        &self,
        zone: &ZoneName,
        resolvers: &[Resolver],
    ) -> Result<Arc<ZoneServers>, DnsError> {
        let key = (zone.clone(), resolvers.to_vec());
        let work = || {
            let (walker, (zone, resolvers)) = (self.walker.clone(), key.clone());
            let walk: futures_util::future::BoxFuture<'static, _> =
                Box::pin(async move { walker.discover(&zone, &resolvers).await.map(Arc::new) });
            walk
        };
        self.found.get(&key, work).await
    }

    /// Some zone above `name`, from which its own is found by following referrals: that of its
    /// last two labels, or the top-level zone.
    pub(super) async fn above(&self, name: &Fqdn) -> Result<Arc<ZoneServers>, DnsError> {
        let ancestors: Vec<Fqdn> = name.ancestors().collect();
        let mut from_the_top = ancestors.into_iter().rev();
        let top = from_the_top.next().expect("a name has a label");
        if let Some(second) = from_the_top.next() {
            match self.of(&ZoneName::from(second), &[]).await {
                Err(DnsError::NotDelegated { .. }) => {}
                found => return found,
            }
        }
        self.of(&ZoneName::from(top), &[]).await
    }
}

/// A zone on the way down.
struct Station {
    name: Name,
    servers: Vec<NameServer>,
}

impl Walker {
    async fn discover(&self, zone: &ZoneName, resolvers: &[Resolver]) -> Result<ZoneServers, DnsError> {
        let apex = wire_name(zone.apex());
        let (parent, delegated) = self.delegation(zone, resolvers).await?;
        let servers = self.with_addresses(resolvers, delegated).await;
        // The zone's own NS records; where no server is authoritative the parent's word stands,
        // and the wait for the records shows each server's answer.
        let question = Question::new(apex.clone(), RecordType::NS);
        let own = ask_first(&self.client, zone.as_str(), spread(&servers), &question, |reply| {
            let own = name_servers(&apex, &reply.message.answers);
            (reply.message.authoritative && !own.is_empty()).then_some(own)
        });
        let own = own.await.unwrap_or_default();
        // Where no server is authoritative nothing is known of the zone's own.
        let unlisted = servers.iter().filter(|server| !own.is_empty() && !server.is_among(&own));
        let unlisted = unlisted.map(|server| server.name.clone()).collect();
        let missing: Vec<NameServer> = own.into_iter().filter(|own| !own.is_among(&servers)).collect();
        let undelegated = missing.iter().map(|server| server.name.clone()).collect();
        let mut all = servers.clone();
        all.extend(self.with_addresses(resolvers, missing).await);
        let (servers, lost): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|server| !server.addresses.is_empty());
        Ok(ZoneServers {
            zone: zone.clone(),
            parent: Some(shown_name(&parent)),
            servers,
            without_address: lost.into_iter().map(|server| server.name).collect(),
            undelegated,
            unlisted,
        })
    }

    /// The parent zone and what it delegates `zone` to, with glue.
    async fn delegation(
        &self,
        zone: &ZoneName,
        resolvers: &[Resolver],
    ) -> Result<(Name, Vec<NameServer>), DnsError> {
        let apex = wire_name(zone.apex());
        let question = Question::new(apex.clone(), RecordType::NS);
        let mut station = self.station_above(&apex, resolvers).await?;
        for _ in 0..LONGEST_WALK {
            let above = station.name.clone();
            let step = |reply: &Reply| Step::read(&above, &apex, &reply.message, self.port);
            let shown = shown_name(&station.name);
            match ask_first(&self.client, &shown, spread(&station.servers), &question, step).await? {
                Step::There(servers) => return Ok((station.name, servers)),
                Step::Between(name, servers) => {
                    station = Station { name, servers: self.with_addresses(resolvers, servers).await };
                }
                Step::Nowhere => break,
            }
        }
        Err(DnsError::NotDelegated { zone: zone.apex().clone(), parent: shown_name(&station.name) })
    }

    /// The nearest zone above `apex`, as the recursive resolver knows it.
    async fn station_above(&self, apex: &Name, resolvers: &[Resolver]) -> Result<Station, DnsError> {
        let mut name = apex.clone();
        while !name.is_root() {
            name = name.base_name();
            let found = self.recursive.require(resolvers, &name, RecordType::NS).await?;
            let servers: Vec<_> = found
                .iter()
                .filter_map(|data| match data {
                    RData::NS(server) => Some(NameServer::unlocated(&server.0)),
                    _ => None,
                })
                .collect();
            if !servers.is_empty() {
                return Ok(Station { name, servers: self.with_addresses(resolvers, servers).await });
            }
        }
        Err(DnsError::Resolver {
            name: ".".to_owned(),
            record_type: "NS".to_owned(),
            reason: "it knows no root servers".to_owned(),
            silent: false,
        })
    }

    /// Adds every A and AAAA address that the resolver knows.
    async fn with_addresses(&self, resolvers: &[Resolver], servers: Vec<NameServer>) -> Vec<NameServer> {
        join_all(servers.into_iter().map(|mut server| async move {
            let name = Name::from_ascii(format!("{}.", server.name)).unwrap_or_default();
            let (v4, v6) = join(
                self.recursive.lookup(resolvers, &name, RecordType::A),
                self.recursive.lookup(resolvers, &name, RecordType::AAAA),
            )
            .await;
            // A failed look-up leaves the glue; a server without any address is reported.
            for data in v4.unwrap_or_default().iter().chain(&v6.unwrap_or_default()) {
                server.add(data, self.port);
            }
            server
        }))
        .await
    }
}

impl NameServer {
    fn unlocated(name: &Name) -> Self {
        Self { name: shown_name(name), addresses: Vec::new() }
    }

    fn is_among(&self, others: &[Self]) -> bool {
        others.iter().any(|other| other.name == self.name)
    }

    fn add(&mut self, data: &RData, port: u16) {
        let ip = match data {
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => return,
        };
        let address = SocketAddr::new(ip, port);
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }
}

/// Where an answer of the parent leads.
enum Step {
    /// The zone is delegated to these.
    There(Vec<NameServer>),
    /// There is another zone in between.
    Between(Name, Vec<NameServer>),
    /// There is no such zone.
    Nowhere,
}

impl Step {
    fn read(above: &Name, apex: &Name, message: &Message, port: u16) -> Option<Self> {
        // A server of the parent that serves the child too answers instead of referring.
        let mut there = name_servers(apex, &message.answers);
        there.extend(name_servers(apex, &message.authorities));
        if !there.is_empty() {
            return Some(Self::There(with_glue(there, &message.additionals, port)));
        }
        if message.authoritative {
            let known = matches!(message.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
            return known.then_some(Self::Nowhere);
        }
        let cut = message.authorities.iter().find(|record| {
            record.record_type() == RecordType::NS
                && record.name != *above
                && above.zone_of(&record.name)
                && record.name.zone_of(apex)
        })?;
        let servers = name_servers(&cut.name, &message.authorities);
        Some(Self::Between(cut.name.clone(), with_glue(servers, &message.additionals, port)))
    }
}

fn name_servers(owner: &Name, records: &[Record]) -> Vec<NameServer> {
    let names =
        records.iter().filter(|record| record.name == *owner).filter_map(|record| match &record.data {
            RData::NS(server) => Some(NameServer::unlocated(&server.0)),
            _ => None,
        });
    names.collect()
}

fn with_glue(mut servers: Vec<NameServer>, additionals: &[Record], port: u16) -> Vec<NameServer> {
    for record in additionals {
        let owner = shown_name(&record.name);
        if let Some(server) = servers.iter_mut().find(|server| server.name == owner) {
            server.add(&record.data, port);
        }
    }
    servers
}

fn spread(servers: &[NameServer]) -> Vec<(String, SocketAddr)> {
    let addresses = servers
        .iter()
        .flat_map(|server| server.addresses.iter().map(|address| (server.name.clone(), *address)));
    addresses.collect()
}

/// The zone cut between `zone` and `name` that an answer of `zone`'s servers proves without a
/// further question, if there is one; `Err(())` if the answer does not tell.
pub(super) fn cut_in(
    zone: &ZoneName,
    soa_owner: Option<&Name>,
    referral: Option<&Name>,
) -> Result<Option<Fqdn>, ()> {
    let apex = wire_name(zone.apex());
    let owner = soa_owner.or(referral).ok_or(())?;
    if *owner == apex {
        return Ok(None);
    }
    plain_name(owner).filter(|_| apex.zone_of(owner)).map(Some).ok_or(())
}

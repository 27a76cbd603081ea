//! The rules of propagation: what the answers of all addresses together mean. Nothing here
//! talks to the network.

use super::answer::{Meaning, Said};
use super::delegation::ZoneServers;
use super::message::{QueryError, Transport};
use super::progress::{Progress, Waiting, shown_address};
use super::propagation::Quorum;
use super::report::{Observers, PropagationTable, Row, Standing};
use super::watcher::Event;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A server that is out of order is tried for so long before it is passed by; and when no
/// server at all has answered after this, none will.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Where a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Enough servers show everything, and none denies it.
    Done,
    /// Not yet; it may change at `next` without a further answer.
    Open { next: Option<Instant> },
    /// Nothing has answered at all.
    Hopeless,
}

/// What all addresses of a zone said to one wait.
#[derive(Clone, Debug)]
pub(super) struct Standings {
    servers: Arc<ZoneServers>,
    quorum: Quorum,
    started: Instant,
    addresses: Vec<AddressStanding>,
}

#[derive(Clone, Debug)]
struct AddressStanding {
    server: usize,
    address: SocketAddr,
    /// The latest answer to each check.
    latest: Vec<Option<Said>>,
    transport: Option<Transport>,
    trouble_since: Option<Instant>,
    /// True once anything came back.
    answered: bool,
    looks: usize,
    /// The answer as shown, and when it became so.
    shown: String,
    since: Duration,
    serial: Option<u32>,
}

impl Standings {
    pub(super) fn new(servers: &Arc<ZoneServers>, checks: usize, quorum: Quorum, started: Instant) -> Self {
        let addresses = servers.servers.iter().enumerate().flat_map(|(server, name_server)| {
            name_server.addresses.iter().map(move |&address| AddressStanding {
                server,
                address,
                latest: vec![None; checks],
                transport: None,
                trouble_since: None,
                answered: false,
                looks: 0,
                shown: String::new(),
                since: Duration::ZERO,
                serial: None,
            })
        });
        Self { servers: Arc::clone(servers), quorum, started, addresses: addresses.collect() }
    }

    /// Takes an answer in.
    pub(super) fn hear(&mut self, event: &Event, now: Instant) {
        let started = self.started;
        // Two names may stand for one address.
        for standing in self.addresses.iter_mut().filter(|standing| standing.address == event.address) {
            standing.hear(event, now - started);
        }
    }

    /// Applies the rules (design: "when it has propagated").
    pub(super) fn outlook(&self, now: Instant) -> Outlook {
        if self.addresses.iter().all(|standing| !standing.answered) {
            return self.outlook_in_silence(now);
        }
        let mut next: Option<Instant> = None;
        let mut open = false;
        for standing in &self.addresses {
            match standing.meaning() {
                Some(Meaning::Confirmed | Meaning::NoRoute) => {}
                Some(Meaning::WithoutAuthority) if self.quorum != Quorum::All => {}
                Some(Meaning::OutOfOrder) if self.quorum != Quorum::All => {
                    let passed = standing.passed_at(now);
                    if passed > now && !self.is_confirmed(standing.server) {
                        next = Some(next.map_or(passed, |next| next.min(passed)));
                        open = true;
                    }
                }
                Some(Meaning::WithoutAuthority | Meaning::OutOfOrder | Meaning::Blocking) | None => {
                    open = true
                }
            }
        }
        if !open && self.confirmed_servers() >= self.needed() {
            Outlook::Done
        } else {
            Outlook::Open { next }
        }
    }

    fn outlook_in_silence(&self, now: Instant) -> Outlook {
        let unreachable = |standing: &AddressStanding| standing.meaning() == Some(Meaning::NoRoute);
        let patience = |standing: &AddressStanding| standing.trouble_since.unwrap_or(self.started) + GRACE;
        let reachable = self.addresses.iter().filter(|standing| !unreachable(standing));
        match reachable.map(patience).max() {
            Some(end) if now < end => Outlook::Open { next: Some(end) },
            _ => Outlook::Hopeless,
        }
    }

    fn of_server(&self, server: usize) -> impl Iterator<Item = &AddressStanding> {
        self.addresses.iter().filter(move |standing| standing.server == server)
    }

    fn is_confirmed(&self, server: usize) -> bool {
        self.of_server(server).any(|standing| standing.meaning() == Some(Meaning::Confirmed))
    }

    fn confirmed_servers(&self) -> usize {
        (0..self.servers.servers.len()).filter(|&server| self.is_confirmed(server)).count()
    }

    /// How many name servers must have confirmed.
    fn needed(&self) -> usize {
        let servers = self.servers.servers.len();
        match self.quorum {
            Quorum::All => servers,
            Quorum::Servers(wanted) => wanted.min(servers).max(1),
            Quorum::Half => {
                // One that this machine has no way to says nothing about the zone.
                let away = |server: &usize| {
                    self.of_server(*server).all(|standing| standing.meaning() == Some(Meaning::NoRoute))
                };
                let reachable = servers - (0..servers).filter(away).count();
                reachable.div_ceil(2).max(1)
            }
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let asked = || self.addresses.iter().filter(|standing| standing.meaning() != Some(Meaning::NoRoute));
        let confirmed = |standing: &&AddressStanding| standing.meaning() == Some(Meaning::Confirmed);
        // What blocks is named before what may be passed by.
        let rank = |standing: &&AddressStanding| match standing.meaning() {
            Some(Meaning::Blocking) => 0,
            Some(Meaning::OutOfOrder) => 1,
            None => 2,
            _ => 3,
        };
        let waiting =
            asked().filter(|standing| !confirmed(standing)).min_by_key(rank).map(|standing| Waiting {
                server: self.servers.servers[standing.server].name.clone(),
                address: Some(standing.address),
                answer: standing.worst().map_or_else(|| "has not answered yet".to_owned(), Said::clause),
            });
        let (confirmed, total) = (asked().filter(confirmed).count(), asked().count());
        Progress { confirmed, total, waiting, ..Progress::default() }
    }

    /// The servers passed by, each with what it did.
    pub(super) fn warnings(&self) -> Vec<String> {
        let odd = |meaning| matches!(meaning, Some(Meaning::OutOfOrder | Meaning::WithoutAuthority));
        let mut warnings = self.told(odd, "was passed by");
        let lost = self.servers.without_address.iter();
        warnings.extend(lost.map(|server| format!("{server} was passed by: it has no address")));
        warnings
    }

    /// The addresses not asked.
    pub(super) fn notes(&self) -> Vec<String> {
        self.told(|meaning| meaning == Some(Meaning::NoRoute), "was not asked")
    }

    fn told(&self, which: impl Fn(Option<Meaning>) -> bool, what: &str) -> Vec<String> {
        let chosen = self.addresses.iter().filter(|standing| which(standing.meaning()));
        let told = chosen.map(|standing| {
            let server = &self.servers.servers[standing.server].name;
            format!("{server} {} {what}: {}", shown_address(standing.address), standing.shown)
        });
        told.collect()
    }

    /// The addresses that answer for the zone.
    pub(super) fn answering(&self) -> impl Iterator<Item = SocketAddr> {
        let talking = [Some(Meaning::Confirmed), Some(Meaning::Blocking), Some(Meaning::WithoutAuthority)];
        self.addresses
            .iter()
            .filter(move |standing| talking.contains(&standing.meaning()))
            .map(|standing| standing.address)
    }

    pub(super) fn note_serials(&mut self, serials: &[(SocketAddr, u32)]) {
        for standing in &mut self.addresses {
            let found = serials.iter().find(|(address, _)| *address == standing.address);
            standing.serial = found.map(|(_, serial)| *serial);
        }
    }

    pub(super) fn table(&self) -> PropagationTable {
        let rows = self.addresses.iter().map(|standing| Row {
            server: self.servers.servers[standing.server].name.clone(),
            address: Some(standing.address),
            standing: standing.meaning().map_or(Standing::Unknown, Standing::from),
            answer: match (standing.shown.as_str(), standing.transport) {
                ("", _) => "no answer yet".to_owned(),
                (shown, Some(Transport::Tcp)) if standing.answered => format!("{shown} (over TCP)"),
                (shown, _) => shown.to_owned(),
            },
            serial: standing.serial,
            since: standing.since,
            looks: standing.looks,
        });
        // Delegations shuffle their servers; people look for a name.
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|a, b| (&a.server, a.address).cmp(&(&b.server, b.address)));
        PropagationTable {
            zone: self.servers.zone.clone(),
            observers: Observers::NameServers {
                parent: self.servers.parent.clone(),
                count: self.servers.servers.len() + self.servers.without_address.len(),
            },
            rows,
        }
    }
}

impl From<Meaning> for Standing {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Confirmed => Self::Confirmed,
            Meaning::WithoutAuthority => Self::WithoutAuthority,
            Meaning::Blocking => Self::Blocking,
            Meaning::OutOfOrder => Self::OutOfOrder,
            Meaning::NoRoute => Self::NoRoute,
        }
    }
}

impl AddressStanding {
    fn hear(&mut self, event: &Event, at: Duration) {
        self.looks += 1;
        self.answered |= !matches!(event.said, Said::Unanswered(_));
        self.transport = event.transport.or(self.transport);
        self.trouble_since = event.trouble_since;
        self.latest[event.check] = Some(event.said.clone());
        let shown = self.text();
        if shown != self.shown {
            self.shown = shown;
            self.since = at;
        }
    }

    /// What the latest answers together mean; `None` while something is not answered yet.
    fn meaning(&self) -> Option<Meaning> {
        let meanings = || self.latest.iter().flatten().map(Said::meaning);
        let says = |wanted| meanings().any(|meaning| meaning == wanted);
        if says(Meaning::NoRoute) {
            Some(Meaning::NoRoute)
        } else if says(Meaning::Blocking) {
            Some(Meaning::Blocking)
        } else if says(Meaning::OutOfOrder) {
            Some(Meaning::OutOfOrder)
        } else if self.latest.contains(&None) {
            None
        } else if says(Meaning::WithoutAuthority) {
            Some(Meaning::WithoutAuthority)
        } else {
            Some(Meaning::Confirmed)
        }
    }

    /// When it is passed by if it stays out of order.
    fn passed_at(&self, now: Instant) -> Instant {
        self.trouble_since.unwrap_or(now) + GRACE
    }

    /// The answer that stands for all: one that is in the way, if there is one.
    fn worst(&self) -> Option<&Said> {
        let meaning = self.meaning();
        let mut said = self.latest.iter().flatten();
        match meaning {
            Some(meaning) => said.find(|said| said.meaning() == meaning),
            None => None,
        }
    }

    fn text(&self) -> String {
        let Some(worst) = self.worst() else {
            return String::new();
        };
        let seen = self.latest.iter().flatten().filter(|said| said.meaning() == Meaning::Confirmed).count();
        match (worst, self.latest.len()) {
            (Said::Unanswered(QueryError::NoRoute), _) | (_, 1) => worst.to_string(),
            (_, names) if seen == names => worst.to_string(),
            (_, names) => format!("{worst} ({seen} of {names} names seen)"),
        }
    }
}

#[cfg(test)]
mod tests;

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
mod tests {
    use super::super::delegation::NameServer;
    use super::super::message::Silence;
    use super::*;
    use dns01_provider::name::ZoneName;
    use hickory_proto::op::ResponseCode;

    const SEEN: Said = Said::Everything { values: 1 };
    const SILENT: Said =
        Said::Unanswered(QueryError::Unanswered { udp: Silence::Nothing, tcp: Silence::Refused });
    const AWAY: Said = Said::Unanswered(QueryError::NoRoute);

    /// Servers `ns1`, `ns2`, … with so many addresses each.
    struct Scene {
        standings: Standings,
        started: Instant,
    }

    impl Scene {
        fn new(addresses: &[usize], quorum: Quorum) -> Self {
            let servers = addresses.iter().enumerate().map(|(index, count)| NameServer {
                name: format!("ns{}.example.net", index + 1),
                addresses: (0..*count)
                    .map(|n| SocketAddr::from(([192, 0, index as u8, n as u8], 53)))
                    .collect(),
            });
            let servers = ZoneServers {
                zone: ZoneName::parse("example.com").unwrap(),
                parent: Some("com".to_owned()),
                servers: servers.collect(),
                without_address: Vec::new(),
                undelegated: Vec::new(),
                unlisted: Vec::new(),
            };
            let started = Instant::now();
            Self { standings: Standings::new(&Arc::new(servers), 1, quorum, started), started }
        }

        /// Address `n` of server `server` (from 1) says this, `at` seconds after the start.
        fn says(&mut self, server: u8, n: u8, said: &Said, at: u64) -> &mut Self {
            let address = SocketAddr::from(([192, 0, server - 1, n], 53));
            let known = self.standings.addresses.iter().find(|standing| standing.address == address).unwrap();
            let trouble = known.trouble_since.or(Some(self.started));
            let trouble_since = trouble.filter(|_| said.meaning() == Meaning::OutOfOrder);
            let event = Event { address, check: 0, said: said.clone(), transport: None, trouble_since };
            self.standings.hear(&event, self.started + Duration::from_secs(at));
            self
        }

        fn outlook(&self, at: u64) -> Outlook {
            self.standings.outlook(self.started + Duration::from_secs(at))
        }

        fn is_done(&self, at: u64) -> bool {
            self.outlook(at) == Outlook::Done
        }
    }

    #[test]
    fn it_is_done_when_every_address_shows_everything_and_not_before() {
        let mut scene = Scene::new(&[2, 1], Quorum::Half);
        assert!(!scene.says(1, 0, &SEEN, 0).is_done(0));
        assert!(!scene.says(1, 1, &SEEN, 0).is_done(100), "an address that has not answered is waited for");
        assert!(scene.says(2, 0, &SEEN, 0).is_done(0));
    }

    #[test]
    fn a_server_that_answers_without_the_value_blocks_for_ever() {
        for said in [
            Said::NoSuchName,
            Said::NoTxt,
            Said::Some { seen: 1, of: 2 },
            Said::OtherAlias("x".to_owned()),
            Said::NoAlias,
            Said::Delegated("x".to_owned()),
        ] {
            for quorum in [Quorum::Half, Quorum::All, Quorum::Servers(1)] {
                let mut scene = Scene::new(&[1, 1, 1], quorum);
                scene.says(1, 0, &SEEN, 0).says(2, 0, &SEEN, 0).says(3, 0, &said, 0);
                assert!(!scene.is_done(10_000), "{said} {quorum:?}");
            }
        }
    }

    #[test]
    fn a_blocking_address_blocks_though_its_servers_other_address_confirms() {
        let mut scene = Scene::new(&[2], Quorum::Half);
        assert!(!scene.says(1, 0, &SEEN, 0).says(1, 1, &Said::NoTxt, 0).is_done(1_000));
    }

    #[test]
    fn a_server_out_of_order_is_tried_for_ten_seconds_and_passed_when_half_confirmed() {
        for said in
            [SILENT, Said::Code(ResponseCode::Refused), Said::Code(ResponseCode::ServFail), Said::Lame]
        {
            let mut scene = Scene::new(&[1, 1], Quorum::Half);
            scene.says(1, 0, &SEEN, 0).says(2, 0, &said, 3);
            let passed = scene.started + GRACE;
            assert_eq!(scene.outlook(9), Outlook::Open { next: Some(passed) }, "{said}");
            assert!(scene.is_done(10), "{said}");
            assert_eq!(
                scene.standings.warnings(),
                [format!("ns2.example.net 192.0.1.0 was passed by: {said}")]
            );
        }
    }

    #[test]
    fn less_than_half_is_not_enough_however_long_it_takes() {
        let mut scene = Scene::new(&[1, 1, 1], Quorum::Half);
        assert!(!scene.says(1, 0, &SEEN, 0).says(2, 0, &SILENT, 0).says(3, 0, &SILENT, 0).is_done(1_000));
        assert!(scene.says(2, 0, &SEEN, 0).is_done(1_000));
    }

    #[test]
    fn a_strict_quorum_passes_nobody() {
        for said in [SILENT, Said::Lame, Said::WithoutAuthority] {
            let mut scene = Scene::new(&[2, 1], Quorum::All);
            scene.says(1, 0, &SEEN, 0).says(1, 1, &said, 0).says(2, 0, &SEEN, 0);
            assert!(!scene.is_done(1_000), "{said}");
        }
    }

    #[test]
    fn a_counted_quorum_counts_servers_and_not_addresses() {
        let mut scene = Scene::new(&[3, 1, 1], Quorum::Servers(2));
        scene.says(1, 0, &SEEN, 0).says(1, 1, &SEEN, 0).says(1, 2, &SEEN, 0);
        assert!(!scene.says(2, 0, &SILENT, 0).says(3, 0, &SILENT, 0).is_done(1_000));
        assert!(scene.says(2, 0, &SEEN, 0).is_done(1_000));
    }

    #[test]
    fn two_names_for_one_address_are_two_servers_with_one_answer() {
        let mut scene = Scene::new(&[1, 1], Quorum::All);
        scene.standings.addresses[1].address = scene.standings.addresses[0].address;
        assert!(scene.says(1, 0, &SEEN, 0).is_done(0));
    }

    #[test]
    fn a_dead_address_of_a_server_that_confirmed_elsewhere_is_only_a_warning() {
        let mut scene = Scene::new(&[2], Quorum::Half);
        scene.says(1, 0, &SEEN, 0).says(1, 1, &SILENT, 3);
        assert!(scene.is_done(3));
        assert_eq!(scene.standings.warnings().len(), 1);
    }

    #[test]
    fn the_value_without_authority_is_passed_with_a_warning_but_confirms_nothing() {
        let mut scene = Scene::new(&[1, 1], Quorum::Half);
        scene.says(1, 0, &SEEN, 0).says(2, 0, &Said::WithoutAuthority, 0);
        assert!(scene.is_done(0));
        assert_eq!(scene.standings.warnings().len(), 1);
        let mut scene = Scene::new(&[1], Quorum::Half);
        assert!(!scene.says(1, 0, &Said::WithoutAuthority, 0).is_done(1_000));
    }

    #[test]
    fn addresses_without_a_route_are_noted_and_not_counted() {
        let mut scene = Scene::new(&[1, 1, 1], Quorum::Half);
        scene.says(1, 0, &SEEN, 0).says(2, 0, &AWAY, 0).says(3, 0, &AWAY, 0);
        assert!(scene.is_done(0));
        assert!(scene.standings.warnings().is_empty());
        assert_eq!(scene.standings.notes()[0], "ns2.example.net 192.0.1.0 was not asked: no route from here");
        assert_eq!(scene.standings.progress().total, 1);
        let mut scene = Scene::new(&[2], Quorum::All);
        assert!(
            scene.says(1, 0, &SEEN, 0).says(1, 1, &AWAY, 0).is_done(0),
            "the server itself has confirmed"
        );
    }

    #[test]
    fn when_nothing_at_all_answers_it_stops_after_ten_seconds() {
        let mut scene = Scene::new(&[1, 1], Quorum::Half);
        scene.says(1, 0, &SILENT, 3).says(2, 0, &SILENT, 3);
        assert!(matches!(scene.outlook(9), Outlook::Open { .. }));
        assert_eq!(scene.outlook(10), Outlook::Hopeless);
        scene.says(2, 0, &Said::Code(ResponseCode::Refused), 4);
        assert!(matches!(scene.outlook(100), Outlook::Open { .. }), "a refusal is an answer");
    }

    #[test]
    fn progress_names_what_blocks_before_what_is_silent() {
        let mut scene = Scene::new(&[1, 1, 1], Quorum::Half);
        scene.says(1, 0, &SEEN, 0).says(2, 0, &SILENT, 0).says(3, 0, &Said::Some { seen: 1, of: 2 }, 0);
        assert_eq!(
            scene.standings.progress().to_string(),
            "1 of 3 addresses answer · waiting for ns3.example.net 192.0.2.0, which has 1 of 2 values"
        );
    }

    #[test]
    fn the_table_tells_since_when_an_answer_stands_and_how_often_it_was_asked() {
        let mut scene = Scene::new(&[1], Quorum::Half);
        scene.says(1, 0, &SILENT, 1).says(1, 0, &Said::NoSuchName, 5).says(1, 0, &Said::NoSuchName, 9);
        let table = scene.standings.table();
        assert_eq!(table.rows[0].since, Duration::from_secs(5));
        assert_eq!(table.rows[0].looks, 3);
        assert_eq!(table.rows[0].standing, Standing::Blocking);
    }
}

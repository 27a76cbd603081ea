//! The rules, with answers as they come from name servers.

use super::*;
use crate::dns::delegation::NameServer;
use crate::dns::message::Silence;
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
            addresses: (0..*count).map(|n| SocketAddr::from(([192, 0, index as u8, n as u8], 53))).collect(),
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
    for said in [SILENT, Said::Code(ResponseCode::Refused), Said::Code(ResponseCode::ServFail), Said::Lame] {
        let mut scene = Scene::new(&[1, 1], Quorum::Half);
        scene.says(1, 0, &SEEN, 0).says(2, 0, &said, 3);
        let passed = scene.started + GRACE;
        assert_eq!(scene.outlook(9), Outlook::Open { next: Some(passed) }, "{said}");
        assert!(scene.is_done(10), "{said}");
        assert_eq!(scene.standings.warnings(), [format!("ns2.example.net 192.0.1.0 was passed by: {said}")]);
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
    assert!(scene.says(1, 0, &SEEN, 0).says(1, 1, &AWAY, 0).is_done(0), "the server itself has confirmed");
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

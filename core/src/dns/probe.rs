//! What each name server says over each transport: for a look at a zone, not for a wait.

use super::answer::{code_name, shown_name, wire_name};
use super::datagram::UdpEnd;
use super::delegation::{NameServer, ZoneServers};
use super::message::{Question, Silence};
use super::query::QueryClient;
use dns01_provider::name::ZoneName;
use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// One address of a name server, asked for the zone's SOA record over UDP and over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The server.
    pub server: String,
    /// The address.
    pub address: SocketAddr,
    /// What came over UDP.
    pub udp: ProbeAnswer,
    /// What came over TCP.
    pub tcp: ProbeAnswer,
    /// How long both took.
    pub took: Duration,
}

/// What came over one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeAnswer {
    /// The server is authoritative; the zone's serial.
    Authoritative(u32),
    /// It answers, but not as a server of the zone does; in a few words.
    Lame(String),
    /// No answer; in a few words what came instead.
    Silent(String),
    /// This machine has no route to the address.
    NoRoute,
}

impl ProbeAnswer {
    fn of(apex: &Name, message: &Message) -> Self {
        if message.response_code != ResponseCode::NoError {
            return Self::Lame(code_name(message.response_code));
        }
        let serial = message.answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) if record.name == *apex => Some(soa.serial),
            _ => None,
        });
        match serial {
            Some(serial) if message.authoritative => Self::Authoritative(serial),
            Some(_) => Self::Lame("an answer without authority".to_owned()),
            None => Self::Lame("an answer without the zone's SOA record".to_owned()),
        }
    }

    fn silent(silence: Silence) -> Self {
        Self::Silent(silence.to_string())
    }
}

impl fmt::Display for ProbeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authoritative(serial) => write!(f, "serial {serial}"),
            Self::Lame(text) | Self::Silent(text) => f.write_str(text),
            Self::NoRoute => f.write_str("no route from here"),
        }
    }
}

/// Asks every address of `zone` at once.
pub(super) async fn every_server(client: &QueryClient, zone: &ZoneServers) -> Vec<Probed> {
    let apex = wire_name(zone.zone.apex());
    let question = Question::new(apex.clone(), RecordType::SOA);
    let (apex, question) = (&apex, &question);
    let asked = zone.addresses().map(|(server, address)| async move {
        let began = Instant::now();
        let (udp, tcp) = client.ask_over_each(address, question).await;
        let udp = match udp {
            Ok(reply) => ProbeAnswer::of(apex, &reply.message),
            Err(UdpEnd::NoRoute) => ProbeAnswer::NoRoute,
            Err(UdpEnd::Silent(silence)) => ProbeAnswer::silent(silence),
        };
        let tcp = match tcp {
            Ok(reply) => ProbeAnswer::of(apex, &reply.message),
            Err(_) if udp == ProbeAnswer::NoRoute => ProbeAnswer::NoRoute,
            Err(silence) => ProbeAnswer::silent(silence),
        };
        Probed { server: server.to_owned(), address, udp, tcp, took: began.elapsed() }
    });
    join_all(asked).await
}

/// The name servers that `address` names for `zone`, with the addresses that it knows of them.
/// Empty where it does not answer, or not for the zone.
pub(super) async fn name_servers_at(
    client: &QueryClient,
    address: SocketAddr,
    zone: &ZoneName,
) -> Vec<NameServer> {
    let apex = wire_name(zone.apex());
    let question = Question::new(apex.clone(), RecordType::NS);
    let Ok(reply) = client.ask(address, &question).await else { return Vec::new() };
    let servers = reply.message.answers.iter().filter_map(|record| match &record.data {
        RData::NS(server) if record.name == apex => Some(server.0.clone()),
        _ => None,
    });
    join_all(servers.map(|server| async move {
        let name = shown_name(&server);
        let types = [RecordType::A, RecordType::AAAA];
        let asked = join_all(types.map(|record_type| {
            let question = Question::new(server.clone(), record_type);
            async move { client.ask(address, &question).await }
        }));
        let replies = asked.await.into_iter().flatten();
        let records = replies.flat_map(|reply| reply.message.answers).filter(|record| record.name == server);
        let addresses = records.filter_map(|record| match record.data {
            RData::A(address) => Some(SocketAddr::from((address.0, 53))),
            RData::AAAA(address) => Some(SocketAddr::from((address.0, 53))),
            _ => None,
        });
        NameServer { name, addresses: addresses.collect() }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::super::message::Transport;
    use super::super::scripted::{Act, ScriptedServer, ZoneData, answer};
    use super::*;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    fn zone_data() -> Vec<ZoneData> {
        vec![ZoneData::new("example.test", "example.test NS ns1.example.test\nns1.example.test A 192.0.2.53")]
    }

    fn zone(addresses: Vec<SocketAddr>) -> ZoneServers {
        ZoneServers {
            zone: ZoneName::parse("example.test").unwrap(),
            parent: None,
            servers: vec![NameServer { name: "ns1".to_owned(), addresses }],
            without_address: Vec::new(),
            undelegated: Vec::new(),
            unlisted: Vec::new(),
        }
    }

    fn client() -> QueryClient {
        QueryClient::new(TaskTracker::new(), CancellationToken::new())
    }

    async fn probed(server: &ScriptedServer) -> (ProbeAnswer, ProbeAnswer) {
        let probed = every_server(&client(), &zone(vec![server.address])).await.remove(0);
        (probed.udp, probed.tcp)
    }

    #[tokio::test(start_paused = true)]
    async fn each_transport_is_judged_by_itself() {
        let data = zone_data();
        let whole = ScriptedServer::serving(zone_data()).await;
        let (udp, tcp) = probed(&whole).await;
        assert!(
            matches!((&udp, &tcp), (ProbeAnswer::Authoritative(a), ProbeAnswer::Authoritative(b)) if a == b)
        );
        let no_tcp = ScriptedServer::start(move |asked| match asked.transport {
            Transport::Udp => Act::Reply(answer(&data, asked)),
            Transport::Tcp => Act::Close,
        })
        .await;
        let (udp, tcp) = probed(&no_tcp).await;
        assert!(matches!(udp, ProbeAnswer::Authoritative(_)), "{udp:?}");
        assert!(matches!(tcp, ProbeAnswer::Silent(_)), "{tcp:?}");
        let data = zone_data();
        let no_udp = ScriptedServer::start(move |asked| match asked.transport {
            Transport::Udp => Act::Silence,
            Transport::Tcp => Act::Reply(answer(&data, asked)),
        })
        .await;
        let (udp, tcp) = probed(&no_udp).await;
        assert_eq!(udp, ProbeAnswer::Silent("nothing".to_owned()));
        assert!(matches!(tcp, ProbeAnswer::Authoritative(_)), "{tcp:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_one_of_the_zone_is_told_from_one_that_is() {
        let stranger = ScriptedServer::start(|asked| Act::Reply(asked.reply(ResponseCode::Refused))).await;
        let (udp, tcp) = probed(&stranger).await;
        assert!(matches!((&udp, &tcp), (ProbeAnswer::Lame(_), ProbeAnswer::Lame(_))), "{udp:?} {tcp:?}");
        let data = zone_data();
        let forgetful = ScriptedServer::start(move |asked| {
            let mut reply = answer(&data, asked);
            reply.metadata.authoritative = false;
            Act::Reply(reply)
        })
        .await;
        assert_eq!(probed(&forgetful).await.0, ProbeAnswer::Lame("an answer without authority".to_owned()));
    }

    #[tokio::test]
    async fn a_server_names_the_servers_of_its_zone_with_their_addresses() {
        let server = ScriptedServer::serving(zone_data()).await;
        let zone = ZoneName::parse("example.test").unwrap();
        let found = name_servers_at(&client(), server.address, &zone).await;
        let addresses = vec!["192.0.2.53:53".parse().unwrap()];
        assert_eq!(found, [NameServer { name: "ns1.example.test".to_owned(), addresses }]);
    }
}

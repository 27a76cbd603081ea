//! One question to one scripted server.

use super::super::message::{Fit, UDP_PAYLOAD, fit};
use super::super::scripted::{Act, Asked, ScriptedServer, ZoneData, answer, wire};
use super::*;
use hickory_proto::op::{Edns, MessageType};
use hickory_proto::rr::RData;
use hickory_proto::rr::{Name, RecordType};
use proptest::prelude::*;

fn client() -> QueryClient {
    QueryClient::new(TaskTracker::new(), CancellationToken::new())
}

fn zone() -> Vec<ZoneData> {
    vec![ZoneData::new("example.test", "a.example.test TXT one\nb.example.test TXT two")]
}

fn question() -> Question {
    Question::new(wire("a.example.test"), RecordType::TXT)
}

fn is_right(reply: &Reply) -> bool {
    reply
        .message
        .answers
        .iter()
        .any(|record| matches!(&record.data, RData::TXT(txt) if txt.to_string() == "one"))
}

fn count(server: &ScriptedServer, which: impl Fn(&Asked) -> bool) -> usize {
    server.asked().iter().filter(|asked| which(asked)).count()
}

#[tokio::test]
async fn a_question_goes_without_recursion_with_edns_and_in_mixed_case() {
    let server = ScriptedServer::serving(zone()).await;
    let client = client();
    for _ in 0..8 {
        let reply = client.ask(server.address, &question()).await.unwrap();
        assert!(is_right(&reply));
        assert_eq!(reply.transport, Transport::Udp);
    }
    let asked = server.asked();
    assert!(asked.iter().all(|asked| !asked.message.recursion_desired));
    assert!(asked.iter().all(|asked| asked.message.max_payload() == UDP_PAYLOAD));
    assert!(asked.iter().any(|asked| !asked.name().eq_case(&question().name)));
    let ids: std::collections::HashSet<u16> = asked.iter().map(|asked| asked.message.id).collect();
    assert!(ids.len() > 6);
}

#[tokio::test(start_paused = true)]
async fn silence_on_udp_is_answered_over_tcp_and_remembered() {
    let zones = zone();
    let server = ScriptedServer::start(move |asked| match asked.transport {
        Transport::Udp => Act::Silence,
        Transport::Tcp => Act::Reply(answer(&zones, asked)),
    })
    .await;
    let client = client();
    let started = Instant::now();
    let reply = client.ask(server.address, &question()).await.unwrap();
    assert!(is_right(&reply));
    assert_eq!(reply.transport, Transport::Tcp);
    assert!(started.elapsed() < FIRST_RETRY * 2, "{:?}", started.elapsed());
    let before = count(&server, |asked| !asked.is_tcp());
    client.ask(server.address, &question()).await.unwrap();
    assert_eq!(count(&server, |asked| !asked.is_tcp()), before, "the second question goes by TCP at once");
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_asked_again_over_tcp_at_once() {
    let zones = zone();
    let server = ScriptedServer::start(move |asked| {
        let reply = answer(&zones, asked);
        Act::Reply(if asked.is_tcp() { reply } else { reply.truncate() })
    })
    .await;
    let started = Instant::now();
    let reply = client().ask(server.address, &question()).await.unwrap();
    assert!(is_right(&reply));
    assert_eq!(reply.transport, Transport::Tcp);
    assert!(started.elapsed() < FIRST_RETRY);
}

#[tokio::test]
async fn a_server_that_refuses_edns_is_asked_without_and_stays_so() {
    for code in [ResponseCode::FormErr, ResponseCode::NotImp, ResponseCode::BADVERS] {
        let zones = zone();
        let server = ScriptedServer::start(move |asked| match asked.message.edns {
            Some(_) => {
                let mut reply = asked.reply(code);
                if code == ResponseCode::BADVERS {
                    reply.set_edns(Edns::new());
                } else {
                    reply.queries.clear();
                }
                Act::Reply(reply)
            }
            None => Act::Reply(answer(&zones, asked)),
        })
        .await;
        let client = client();
        for _ in 0..2 {
            let reply = client.ask(server.address, &question()).await.unwrap();
            assert!(is_right(&reply), "{code}");
            assert_eq!(reply.transport, Transport::Udp);
        }
        assert_eq!(count(&server, |asked| asked.message.edns.is_some()), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drops_edns_is_asked_without() {
    let zones = zone();
    let server = ScriptedServer::start(move |asked| match (&asked.message.edns, asked.transport) {
        (None, Transport::Udp) => Act::Reply(answer(&zones, asked)),
        (_, Transport::Udp) => Act::Silence,
        (_, Transport::Tcp) => Act::Close,
    })
    .await;
    let reply = client().ask(server.address, &question()).await.unwrap();
    assert!(is_right(&reply));
    assert_eq!(reply.transport, Transport::Udp);
}

#[tokio::test]
async fn letters_in_other_case_twice_lead_to_tcp() {
    let zones = zone();
    let server = ScriptedServer::start(move |asked| {
        let mut reply = answer(&zones, asked);
        reply.queries[0].name = Name::from_ascii(reply.queries[0].name.to_ascii().to_uppercase()).unwrap();
        Act::Reply(reply)
    })
    .await;
    let reply = client().ask(server.address, &question()).await.unwrap();
    assert!(is_right(&reply));
    assert_eq!(reply.transport, Transport::Tcp);
    assert_eq!(count(&server, |asked| !asked.is_tcp()), 2);
}

#[tokio::test(start_paused = true)]
async fn strangers_and_garbage_never_satisfy() {
    type Twist = fn(&mut Message);
    let twists: [Twist; 5] = [
        |reply| reply.metadata.id = reply.id.wrapping_add(1),
        |reply| reply.queries[0].name = wire("b.example.test"),
        |reply| reply.queries[0].query_type = RecordType::A,
        |reply| reply.queries.clear(),
        |reply| reply.metadata.message_type = MessageType::Query,
    ];
    for twist in twists {
        let zones = zone();
        let server = ScriptedServer::start(move |asked| {
            let mut reply = answer(&zones, asked);
            twist(&mut reply);
            Act::Reply(reply)
        })
        .await;
        let result = client().ask(server.address, &question()).await;
        assert!(matches!(result, Err(QueryError::Unanswered { udp: Silence::Nothing, .. })), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_answer_does_not_keep_the_right_one_out() {
    let zones = zone();
    let mut first = true;
    let server = ScriptedServer::start(move |asked| {
        let mut reply = answer(&zones, asked);
        if std::mem::take(&mut first) {
            reply.metadata.id = reply.id.wrapping_add(1);
        }
        Act::Reply(reply)
    })
    .await;
    assert!(is_right(&client().ask(server.address, &question()).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_told_at_once_for_both_transports() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = client().ask(free, &question()).await.unwrap_err();
    assert_eq!(error, QueryError::Unanswered { udp: Silence::Refused, tcp: Silence::Refused });
    assert_eq!(error.to_string(), "refused over UDP and TCP");
    assert!(started.elapsed() < FIRST_RETRY);
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_ends_the_exchange_in_time() {
    let server = ScriptedServer::start(|_| Act::Silence).await;
    let started = Instant::now();
    let error = client().ask(server.address, &question()).await.unwrap_err();
    assert_eq!(error, QueryError::Unanswered { udp: Silence::Nothing, tcp: Silence::Nothing });
    assert!(started.elapsed() < EXCHANGE_TIMEOUT * 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_address_without_a_route_is_not_asked() {
    // A link-local address without its link has no route on any machine.
    let address = "[fe80::1]:53".parse().unwrap();
    let error = client().ask(address, &question()).await.unwrap_err();
    assert_eq!(error, QueryError::NoRoute);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_questions_at_once_share_one_tcp_connection_and_spare_udp() {
    let server = ScriptedServer::serving(zone()).await;
    let client = client();
    let question = question();
    let asked = (0..200).map(|_| client.ask(server.address, &question));
    let replies = futures_util::future::join_all(asked).await;
    assert!(replies.iter().all(|reply| is_right(reply.as_ref().unwrap())));
    assert_eq!(count(&server, |asked| !asked.is_tcp()), Turns::A_SECOND);
    assert_eq!(count(&server, Asked::is_tcp), 200 - Turns::A_SECOND);
}

#[tokio::test(start_paused = true)]
async fn without_tcp_the_rest_is_paced_over_udp() {
    let zones = zone();
    let server = ScriptedServer::start(move |asked| match asked.transport {
        Transport::Udp => Act::Reply(answer(&zones, asked)),
        Transport::Tcp => Act::Close,
    })
    .await;
    let client = client();
    let question = question();
    let started = Instant::now();
    let asked = (0..120).map(|_| client.ask(server.address, &question));
    let replies = futures_util::future::join_all(asked).await;
    assert!(replies.iter().all(|reply| is_right(reply.as_ref().unwrap())));
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_closes_after_every_answer_gets_every_question() {
    let zones = zone();
    let mut parity = false;
    let server = ScriptedServer::start(move |asked| {
        parity = !parity;
        if parity { Act::Reply(answer(&zones, asked)) } else { Act::Close }
    })
    .await;
    let client = client();
    let question = question();
    let asked = (0..20).map(|_| client.ask_among_many(server.address, &question));
    let replies = futures_util::future::join_all(asked).await;
    assert!(replies.iter().all(|reply| is_right(reply.as_ref().unwrap())));
    assert_eq!(count(&server, |asked| !asked.is_tcp()), 0);
}

#[tokio::test(start_paused = true)]
async fn garbage_and_strangers_over_tcp_end_the_exchange_and_satisfy_nobody() {
    let zones = zone();
    let stranger = ScriptedServer::start(move |asked| {
        let mut reply = answer(&zones, asked);
        reply.metadata.id = reply.id.wrapping_add(1);
        Act::Reply(reply)
    })
    .await;
    let empty = ScriptedServer::start(|_| Act::Octets(Vec::new())).await;
    let cut = ScriptedServer::start(|asked| {
        let mut octets = asked.message.to_vec().unwrap();
        octets.truncate(14);
        octets[2] |= 0x80;
        Act::Octets(octets)
    })
    .await;
    for (server, silence) in
        [(stranger, Silence::Nothing), (empty, Silence::Garbage), (cut, Silence::Garbage)]
    {
        let result = client().shared_pipe_ask(server.address, &question()).await;
        assert_eq!(result.unwrap_err(), silence);
    }
}

impl QueryClient {
    async fn shared_pipe_ask(&self, address: SocketAddr, question: &Question) -> Result<Message, Silence> {
        self.peer(address).pipe.ask(question).await
    }
}

#[test]
fn turns_never_exceed_the_limit_in_any_second() {
    let mut turns = Turns::default();
    let start = Instant::now();
    let taken: Vec<Instant> =
        (0..500).filter_map(|step| turns.take(start + Duration::from_millis(step))).collect();
    assert!(taken.len() == 500);
    for (index, first) in taken.iter().enumerate() {
        let within =
            taken[index..].iter().take_while(|turn| **turn < *first + Duration::from_secs(1)).count();
        assert!(within <= Turns::A_SECOND);
    }
}

proptest! {
    #[test]
    fn no_octets_panic_or_satisfy_by_chance(octets in proptest::collection::vec(any::<u8>(), 0..200), id: u16) {
        let fit = fit(&octets, id, &question());
        prop_assert!(!matches!(fit, Fit::Answer(_)) || octets.starts_with(&id.to_be_bytes()));
    }

    #[test]
    fn a_mangled_answer_never_shows_another_value(at in 0_usize..200, to: u8, cut in 0_usize..200) {
        let asked = Asked { transport: Transport::Udp, message: question().message(7, true) };
        let mut octets = answer(&zone(), &asked).to_vec().unwrap();
        let at = at % octets.len();
        octets[at] = to;
        octets.truncate(octets.len() - cut % octets.len());
        if let Fit::Answer(message) = fit(&octets, 7, &question()) {
            prop_assert!(message.queries.is_empty() || message.queries[0].name.eq_case(&question().name));
            super::super::answer::TxtAnswer::read(&question().name, &message);
        }
    }
}

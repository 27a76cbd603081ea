//! One question to one server, without recursion (RD=0), over UDP or TCP.
//!
//! Each UDP exchange has a connected socket of its own (the kernel picks a random port), a
//! random id and a name in random letter case (0x20). What does not match all three is a
//! stranger's and is ignored. Over TCP questions share one connection (see `pipeline`).

use super::datagram::{Attempt, Received, UdpEnd, connect, send};
use super::message::{QueryError, Question, Reply, Silence, Transport};
use super::pipeline::{self, Pipe};
use futures_util::future::join;
use hickory_proto::op::{Message, ResponseCode};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// UDP is asked again when so long after the first datagram nothing came; TCP joins at the same time.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The third datagram goes without EDNS, for servers and firewalls that drop what they do not know.
const SECOND_RETRY: Duration = Duration::from_secs(1);
/// An exchange ends here, answered or not.
pub(super) const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(3);
/// So long a server that was silent on UDP but answered on TCP is asked by TCP first.
const PREFER_TCP: Duration = Duration::from_secs(60);
/// So long after a failed connection nobody waits for TCP where UDP would do.
const AVOID_TCP: Duration = Duration::from_secs(10);
/// Nobody waits longer than this for a turn on UDP.
const LONGEST_TURN: Duration = Duration::from_secs(60);

/// Asks questions, and remembers of each address what it can.
#[derive(Clone)]
pub(super) struct QueryClient {
    shared: Arc<Shared>,
}

struct Shared {
    peers: Mutex<HashMap<SocketAddr, Arc<Peer>>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

/// One address, with what is known of it.
struct Peer {
    address: SocketAddr,
    manners: Mutex<Manners>,
    pipe: Pipe,
}

struct Manners {
    /// False once it has refused EDNS.
    edns: bool,
    prefer_tcp_until: Option<Instant>,
    avoid_tcp_until: Option<Instant>,
    turns: Turns,
}

/// At most [`Turns::A_SECOND`] datagrams in any second to one address: NSD answers no more
/// by default, and a token bucket's burst would add to its rate.
#[derive(Default)]
struct Turns {
    /// When the latest datagrams went, or will go.
    taken: VecDeque<Instant>,
}

impl Turns {
    const A_SECOND: usize = 50;
    const SECOND: Duration = Duration::from_secs(1);

    /// When the next datagram may go: `now`, or later.
    fn next(&mut self, now: Instant) -> Instant {
        while self.taken.front().is_some_and(|&turn| turn + Self::SECOND <= now) {
            self.taken.pop_front();
        }
        match self.taken.len().checked_sub(Self::A_SECOND) {
            Some(back) => self.taken[back] + Self::SECOND,
            None => now,
        }
    }

    fn take_now(&mut self, now: Instant) -> bool {
        let free = self.next(now) <= now;
        if free {
            self.taken.push_back(now);
        }
        free
    }

    /// A turn, now or later; `None` if that would be after [`LONGEST_TURN`].
    fn take(&mut self, now: Instant) -> Option<Instant> {
        let turn = self.next(now).max(now);
        if turn.duration_since(now) > LONGEST_TURN {
            return None;
        }
        self.taken.push_back(turn);
        Some(turn)
    }
}

impl QueryClient {
    pub(super) fn new(tasks: TaskTracker, cancel: CancellationToken) -> Self {
        Self { shared: Arc::new(Shared { peers: Mutex::default(), tasks, cancel }) }
    }

    /// Asks `address` with every fall-back, in at most about [`EXCHANGE_TIMEOUT`] (longer
    /// only when it has to wait for its turn).
    pub(super) async fn ask(&self, address: SocketAddr, question: &Question) -> Result<Reply, QueryError> {
        let peer = self.peer(address);
        if !peer.prefers_tcp() && peer.turn_now() {
            return peer.over_udp_then_tcp(question, FIRST_RETRY).await;
        }
        peer.over_tcp_then_udp(question).await
    }

    /// Asks as one of many: over the shared connection where there is one to be had.
    pub(super) async fn ask_among_many(
        &self,
        address: SocketAddr,
        question: &Question,
    ) -> Result<Reply, QueryError> {
        self.peer(address).over_tcp_then_udp(question).await
    }

    /// Asks once over each transport, whatever the other brings.
    pub(super) async fn ask_over_each(
        &self,
        address: SocketAddr,
        question: &Question,
    ) -> (Result<Reply, UdpEnd>, Result<Reply, Silence>) {
        let peer = self.peer(address);
        join(peer.over_udp(question), peer.over_tcp(question)).await
    }

    fn peer(&self, address: SocketAddr) -> Arc<Peer> {
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.entry(address).or_insert_with(|| {
            let pipe = pipeline::open(address, &self.shared.tasks, self.shared.cancel.clone());
            let manners = Manners {
                edns: true,
                prefer_tcp_until: None,
                avoid_tcp_until: None,
                turns: Turns::default(),
            };
            Arc::new(Peer { address, manners: Mutex::new(manners), pipe })
        });
        Arc::clone(peer)
    }
}

impl Peer {
    fn manners<T>(&self, change: impl FnOnce(&mut Manners) -> T) -> T {
        change(&mut self.manners.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn prefers_tcp(&self) -> bool {
        self.manners(|manners| manners.prefer_tcp_until.is_some_and(|until| Instant::now() < until))
    }

    fn avoids_tcp(&self) -> bool {
        self.manners(|manners| manners.avoid_tcp_until.is_some_and(|until| Instant::now() < until))
    }

    fn turn_now(&self) -> bool {
        self.manners(|manners| manners.turns.take_now(Instant::now()))
    }

    /// UDP; TCP as soon as UDP has failed, or beside it after `patience`. The first answer wins.
    async fn over_udp_then_tcp(&self, question: &Question, patience: Duration) -> Result<Reply, QueryError> {
        let hurry = Notify::new();
        let udp_ended = AtomicBool::new(false);
        let udp = pin!(async {
            let result = self.over_udp(question).await;
            udp_ended.store(true, Ordering::Relaxed);
            hurry.notify_one();
            result
        });
        let tcp = pin!(async {
            // Both an early end of UDP and the end of patience start TCP.
            let _ = timeout(patience, hurry.notified()).await;
            self.over_tcp(question).await
        });
        match first_success(udp, tcp).await {
            Ok(reply) => {
                if reply.transport == Transport::Tcp && !udp_ended.load(Ordering::Relaxed) {
                    let until = Instant::now() + PREFER_TCP;
                    self.manners(|manners| manners.prefer_tcp_until = Some(until));
                }
                Ok(reply)
            }
            Err((UdpEnd::NoRoute, _)) => Err(QueryError::NoRoute),
            Err((UdpEnd::Silent(udp), tcp)) => Err(QueryError::Unanswered { udp, tcp }),
        }
    }

    /// TCP; UDP in its turn when that fails.
    async fn over_tcp_then_udp(&self, question: &Question) -> Result<Reply, QueryError> {
        let tcp = if self.avoids_tcp() {
            Silence::NotAsked
        } else {
            match self.over_tcp(question).await {
                Ok(reply) => return Ok(reply),
                Err(silence) => silence,
            }
        };
        let Some(turn) = self.manners(|manners| manners.turns.take(Instant::now())) else {
            return Err(QueryError::Unanswered { udp: Silence::NotAsked, tcp });
        };
        sleep_until(turn).await;
        match self.over_udp(question).await {
            Ok(reply) => Ok(reply),
            Err(UdpEnd::NoRoute) => Err(QueryError::NoRoute),
            Err(UdpEnd::Silent(Silence::NeedsTcp)) if tcp == Silence::NotAsked => self
                .over_tcp(question)
                .await
                .map_err(|tcp| QueryError::Unanswered { udp: Silence::NeedsTcp, tcp }),
            Err(UdpEnd::Silent(udp)) => Err(QueryError::Unanswered { udp, tcp }),
        }
    }

    async fn over_tcp(&self, question: &Question) -> Result<Reply, Silence> {
        let result = self.pipe.ask(question).await;
        self.manners(|manners| {
            manners.avoid_tcp_until = match &result {
                Ok(_) => None,
                Err(_) => Some(Instant::now() + AVOID_TCP),
            };
        });
        result.map(|message| Reply { message, transport: Transport::Tcp })
    }

    async fn over_udp(&self, question: &Question) -> Result<Reply, UdpEnd> {
        let socket = connect(self.address).await?;
        let started = Instant::now();
        let mut ends =
            [FIRST_RETRY, SECOND_RETRY, EXCHANGE_TIMEOUT].map(|end| started + end).into_iter().peekable();
        let mut attempt = Attempt::new(question, self.manners(|manners| manners.edns));
        let mut mismatches = 0;
        let mut silence = Silence::Nothing;
        send(&socket, &attempt).await?;
        while let Some(&end) = ends.peek() {
            match timeout_at(end, attempt.receive(&socket)).await {
                Ok(Received::Answer(message)) if attempt.edns && refuses_edns(&message) => {
                    // RFC 6891 §7: such a server is asked again without the OPT record.
                    self.manners(|manners| manners.edns = false);
                    attempt = Attempt::new(question, false);
                }
                Ok(Received::Answer(message)) => {
                    self.manners(|manners| {
                        manners.prefer_tcp_until = None;
                        manners.edns &= attempt.edns || message.edns.is_some();
                    });
                    return Ok(Reply { message, transport: Transport::Udp });
                }
                Ok(Received::Truncated) => return Err(UdpEnd::Silent(Silence::NeedsTcp)),
                Ok(Received::OtherCase) => {
                    mismatches += 1;
                    if mismatches == 2 {
                        return Err(UdpEnd::Silent(Silence::NeedsTcp));
                    }
                    attempt = Attempt::new(question, attempt.edns);
                }
                Ok(Received::Failed(error)) => return Err(UdpEnd::Silent(error)),
                Err(_) => {
                    ends.next();
                    silence = if attempt.garbage { Silence::Garbage } else { silence };
                    if ends.peek() == Some(&(started + EXCHANGE_TIMEOUT)) {
                        attempt.drop_edns();
                    }
                }
            }
            if ends.peek().is_some() && self.turn_now() {
                send(&socket, &attempt).await?;
            }
        }
        Err(UdpEnd::Silent(silence))
    }
}

/// The first success of two, or both failures.
async fn first_success<A, B>(
    mut left: impl Future<Output = Result<Reply, A>> + Unpin,
    mut right: impl Future<Output = Result<Reply, B>> + Unpin,
) -> Result<Reply, (A, B)> {
    tokio::select! {
        biased;
        result = &mut left => match result {
            Ok(reply) => Ok(reply),
            Err(a) => right.await.map_err(|b| (a, b)),
        },
        result = &mut right => match result {
            Ok(reply) => Ok(reply),
            Err(b) => left.await.map_err(|a| (a, b)),
        },
    }
}

/// RFC 6891 §7 and §6.1.3; the library knows 16 by its other name, BADSIG.
fn refuses_edns(message: &Message) -> bool {
    matches!(
        message.response_code,
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS | ResponseCode::BADSIG
    )
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            count(&server, |asked| !asked.is_tcp()),
            before,
            "the second question goes by TCP at once"
        );
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
            reply.queries[0].name =
                Name::from_ascii(reply.queries[0].name.to_ascii().to_uppercase()).unwrap();
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
            assert!(
                matches!(result, Err(QueryError::Unanswered { udp: Silence::Nothing, .. })),
                "{result:?}"
            );
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
        async fn shared_pipe_ask(
            &self,
            address: SocketAddr,
            question: &Question,
        ) -> Result<Message, Silence> {
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
}

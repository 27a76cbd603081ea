//! One question to one server, over UDP or TCP.
//!
//! Each UDP exchange has a connected socket of its own (the kernel picks a random port), a
//! random id and a name in random letter case (0x20). What does not match all three is a
//! stranger's and is ignored. Over TCP questions share one connection (see `pipeline`).

use super::datagram::{Attempt, Received, UdpEnd, connect, send};
use super::message::{QueryError, Question, Reply, Silence, Transport};
use super::pipeline::{self, Pipe};
use super::stream::Road;
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
            let pipe = pipeline::open(Road::plain(address), &self.shared.tasks, self.shared.cancel.clone());
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
mod tests;

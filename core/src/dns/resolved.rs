//! Waiting until recursive resolvers show the records, for zones whose own servers cannot be
//! asked or are not to be.
//!
//! A resolver remembers what it said, also that there was nothing (RFC 2308): asking again
//! before it forgets teaches nothing. So after an answer that lacks a value the next look comes
//! when that answer has run out, and until then the time is counted down for all to see.

use super::alias::Location;
use super::answer::{TxtAnswer, code_name, wire_name};
use super::progress::{Progress, Waiting, seconds_up, span, until_next_second};
use super::propagation::{Awaited, PropagationRules, settle};
use super::report::{FailureReason, Observers, PropagationFailure, PropagationTable, Row, Standing};
use super::resolver::Resolver;
use super::resolving::ResolverClient;
use super::{CheckMode, Inner};
use dns01_provider::name::{Fqdn, ZoneName};
use dns01_provider::record::TxtValue;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The shortest pause between two looks at an answer that is not remembered, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// An answer of a second's life may be given for a moment longer.
const FORGETTING: Duration = Duration::from_secs(1);
/// An answer that lasts no longer than this is not what the wait fails of.
const BRIEFLY: Duration = Duration::from_secs(10);
/// When no resolver at all has answered after this, none will.
const GRACE: Duration = Duration::from_secs(10);

/// What is waited for at some resolvers in one zone.
pub(super) struct ResolverWait {
    zone: ZoneName,
    resolvers: Vec<Resolver>,
    awaited: Vec<(Fqdn, Vec<TxtValue>)>,
}

/// What one answer says of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// Every value.
    Everything,
    /// Not all, which it may go on saying until then.
    Lacking { what: Lack, until: Option<Instant> },
    /// Nothing about the name.
    Trouble(String),
}

/// What is there instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    NoSuchName,
    NoTxt,
    Some { seen: usize, of: usize },
}

/// What a resolver said last of a name.
#[derive(Clone, Debug, Default)]
struct Latest {
    heard: Option<Heard>,
    since: Duration,
    looks: usize,
}

impl ResolverWait {
    /// Sorts by zone and resolvers what must be seen.
    pub(super) fn of(awaited: &[Awaited]) -> Vec<Self> {
        let mut waits: Vec<Self> = Vec::new();
        for Awaited { location, values } in awaited {
            let Location { challenge_name, zone, check: CheckMode::Recursive(resolvers), .. } = location
            else {
                continue;
            };
            let known = waits.iter_mut().find(|wait| wait.zone == *zone && wait.resolvers == *resolvers);
            // The name is the CA's: resolvers follow its aliases, as they will for the CA.
            let entry = (challenge_name.clone(), values.clone());
            match known {
                Some(wait) => wait.awaited.push(entry),
                None => waits.push(Self {
                    zone: zone.clone(),
                    resolvers: resolvers.clone(),
                    awaited: vec![entry],
                }),
            }
        }
        waits
    }

    /// Waits by the rules, twice if the zone has to settle.
    pub(super) async fn until_seen(
        self,
        dns: &Inner,
        rules: &PropagationRules,
        started: Instant,
        show: &(dyn Fn(Progress) + Sync),
    ) -> Result<PropagationTable, Box<PropagationFailure>> {
        let seen = self.once(&dns.resolvers, started + rules.timeout, started, show).await?;
        if rules.settle.is_zero() {
            return Ok(seen.table(&self));
        }
        settle(rules.settle, &seen.progress(&self, Instant::now()), show).await;
        let deadline = started + rules.timeout + rules.settle;
        Ok(self.once(&dns.resolvers, deadline, started, show).await?.table(&self))
    }

    async fn once(
        &self,
        client: &ResolverClient,
        deadline: Instant,
        started: Instant,
        show: &(dyn Fn(Progress) + Sync),
    ) -> Result<Board, Box<PropagationFailure>> {
        let began = Instant::now();
        let mut board = Board::new(self);
        let mut looking = FuturesUnordered::new();
        for resolver in 0..self.resolvers.len() {
            looking.extend((0..self.awaited.len()).map(|name| self.look(client, resolver, name, began)));
        }
        loop {
            let now = Instant::now();
            show(board.progress(self, now));
            let failed = match () {
                () if board.is_complete() => return Ok(board),
                () if board.is_silent() && now >= began + GRACE => Some(FailureReason::NothingAnswered),
                () if board.forgets_after(deadline.max(now + BRIEFLY)) => Some(FailureReason::Remembered),
                () if now >= deadline || board.forgets_after(deadline) => Some(FailureReason::TimedOut),
                () => None,
            };
            if let Some(reason) = failed {
                return Err(self.failed(reason, started, &board));
            }
            let tick = board.next_tick(now).unwrap_or(deadline).min(deadline);
            tokio::select! {
                Some((resolver, name, heard)) = looking.next() => {
                    let next = board.hear(resolver, name, heard, began);
                    looking.extend(next.map(|at| self.look(client, resolver, name, at)));
                }
                () = sleep_until(if board.is_silent() { tick.min(began + GRACE) } else { tick }) => {}
                () = client.stopping().cancelled() => {
                    return Err(self.failed(FailureReason::Cancelled, started, &board));
                }
            }
        }
    }

    /// One look of `resolver` at `name`, not before `at`.
    async fn look(
        &self,
        client: &ResolverClient,
        resolver: usize,
        name: usize,
        at: Instant,
    ) -> (usize, usize, Heard) {
        sleep_until(at).await;
        let (asked, values) = &self.awaited[name];
        let wire = wire_name(asked);
        let heard = match client.ask(&self.resolvers[resolver], &wire, RecordType::TXT).await {
            Ok(message) => Heard::of(&wire, values, &message, Instant::now()),
            Err(reason) => Heard::Trouble(reason),
        };
        tracing::trace!(resolver = %self.resolvers[resolver], name = %asked, answer = ?heard, "looked");
        (resolver, name, heard)
    }

    fn failed(&self, reason: FailureReason, started: Instant, board: &Board) -> Box<PropagationFailure> {
        let elapsed = started.elapsed();
        Box::new(PropagationFailure::new(reason, elapsed, self.awaited.clone(), board.table(self)))
    }
}

impl Heard {
    fn of(name: &Name, values: &[TxtValue], message: &Message, now: Instant) -> Self {
        let answer = TxtAnswer::read(name, message);
        if !matches!(answer.code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Self::Trouble(code_name(answer.code));
        }
        let there = |value: &&TxtValue| answer.values.iter().any(|seen| seen == value.as_str().as_bytes());
        let seen = values.iter().filter(there).count();
        if seen == values.len() {
            return Self::Everything;
        }
        let what = match answer.code {
            _ if !answer.values.is_empty() => Lack::Some { seen, of: values.len() },
            ResponseCode::NXDomain => Lack::NoSuchName,
            _ => Lack::NoTxt,
        };
        let until = remembered(&answer, message).map(|seconds| now + Duration::from_secs(seconds.into()));
        Self::Lacking { what, until }
    }

    /// When to look again.
    fn next(&self, began: Instant) -> Option<Instant> {
        let pause = (began.elapsed() / 10).clamp(PAUSE.0, PAUSE.1);
        match self {
            Self::Everything => None,
            Self::Lacking { until: Some(until), .. } => {
                Some((*until + FORGETTING).max(Instant::now() + pause))
            }
            Self::Lacking { until: None, .. } | Self::Trouble(_) => Some(Instant::now() + pause),
        }
    }

    /// As a clause with the resolver as its subject.
    fn clause(&self, now: Instant) -> String {
        match self {
            Self::Everything => "has everything".to_owned(),
            Self::Trouble(reason) => format!("answers {reason}"),
            Self::Lacking { what, until } => {
                let what = match what {
                    Lack::NoSuchName => "says there is no such name".to_owned(),
                    Lack::NoTxt => "says there is no TXT record".to_owned(),
                    Lack::Some { seen: 0, .. } => "has other values".to_owned(),
                    Lack::Some { seen, of } => format!("has {seen} of {of} values"),
                };
                what + &left(*until, now)
            }
        }
    }

    fn in_table(&self, values: usize) -> String {
        match self {
            Self::Everything if values == 1 => "the value".to_owned(),
            Self::Everything => format!("the {values} values"),
            Self::Trouble(reason) => reason.clone(),
            Self::Lacking { what, until } => {
                let what = match what {
                    Lack::NoSuchName => "no such name".to_owned(),
                    Lack::NoTxt => "no TXT record".to_owned(),
                    Lack::Some { seen: 0, .. } => "other values".to_owned(),
                    Lack::Some { seen, of } => format!("{seen} of {of} values"),
                };
                what + &left(*until, Instant::now())
            }
        }
    }
}

/// ` for another 42 s`
fn left(until: Option<Instant>, now: Instant) -> String {
    let left = until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero());
    left.map_or_else(String::new, |left| {
        format!(" for another {}", span(Duration::from_secs(seconds_up(left))))
    })
}

/// The seconds for which a resolver goes on giving an answer: those of the records in it, or,
/// where there are none, those of the zone's SOA record (RFC 2308 §5). Without one a negative
/// answer is not remembered.
fn remembered(answer: &TxtAnswer, message: &Message) -> Option<u32> {
    if !answer.values.is_empty() {
        return message.answers.iter().map(|record| record.ttl).min();
    }
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
        _ => None,
    })
}

/// What all resolvers said of all names, by resolver and name.
struct Board(Vec<Vec<Latest>>);

impl Board {
    fn new(wait: &ResolverWait) -> Self {
        Self(vec![vec![Latest::default(); wait.awaited.len()]; wait.resolvers.len()])
    }

    /// Takes an answer in; returns when to look again.
    fn hear(&mut self, resolver: usize, name: usize, heard: Heard, began: Instant) -> Option<Instant> {
        let next = heard.next(began);
        let latest = &mut self.0[resolver][name];
        latest.looks += 1;
        let kind = |heard: &Heard| std::mem::discriminant(heard);
        if latest.heard.as_ref().map(kind) != Some(kind(&heard)) {
            latest.since = began.elapsed();
        }
        latest.heard = Some(heard);
        next
    }

    fn all(&self) -> impl Iterator<Item = &Latest> {
        self.0.iter().flatten()
    }

    fn is_complete(&self) -> bool {
        self.all().all(|latest| latest.heard == Some(Heard::Everything))
    }

    /// True if nobody has said anything about any name.
    fn is_silent(&self) -> bool {
        self.all().all(|latest| matches!(latest.heard, None | Some(Heard::Trouble(_))))
    }

    fn ends(&self) -> impl Iterator<Item = Instant> {
        self.all().filter_map(|latest| match latest.heard {
            Some(Heard::Lacking { until, .. }) => until,
            _ => None,
        })
    }

    /// True if an answer that lacks something stays for longer than anybody waits.
    fn forgets_after(&self, deadline: Instant) -> bool {
        self.ends().any(|end| end >= deadline)
    }

    /// When the time that is left is worth showing anew.
    fn next_tick(&self, now: Instant) -> Option<Instant> {
        let left = self.ends().map(|end| end.saturating_duration_since(now)).filter(|left| !left.is_zero());
        left.map(|left| now + until_next_second(left)).min()
    }

    /// Of one resolver, the answer that stands for all.
    fn worst(latest: &[Latest]) -> Option<&Latest> {
        let rank = |latest: &&Latest| match &latest.heard {
            // The one that lasts longest is the one that is waited for.
            Some(Heard::Lacking { until, .. }) => (0, until.map(std::cmp::Reverse)),
            Some(Heard::Trouble(_)) => (1, None),
            None => (2, None),
            Some(Heard::Everything) => (3, None),
        };
        latest.iter().min_by_key(rank)
    }

    fn progress(&self, wait: &ResolverWait, now: Instant) -> Progress {
        let complete = |latest: &&Vec<Latest>| latest.iter().all(|one| one.heard == Some(Heard::Everything));
        let incomplete = self.0.iter().zip(&wait.resolvers).filter(|(latest, _)| !complete(latest));
        // What lacks something is named before what has not answered yet.
        let named = incomplete.min_by_key(|(latest, _)| {
            !latest.iter().any(|one| matches!(one.heard, Some(Heard::Lacking { .. })))
        });
        let waiting = named.map(|(latest, resolver)| Waiting {
            server: resolver.to_string(),
            address: None,
            answer: Self::worst(latest)
                .and_then(|latest| latest.heard.as_ref())
                .map_or_else(|| "has not answered yet".to_owned(), |heard| heard.clause(now)),
        });
        Progress {
            resolvers_confirmed: self.0.iter().filter(complete).count(),
            resolvers: self.0.len(),
            waiting,
            ..Progress::default()
        }
    }

    fn table(&self, wait: &ResolverWait) -> PropagationTable {
        let row = |(latest, resolver): (&Vec<Latest>, &Resolver)| {
            let worst = Self::worst(latest);
            let heard = worst.and_then(|latest| latest.heard.as_ref());
            let seen = latest.iter().filter(|one| one.heard == Some(Heard::Everything)).count();
            let values = wait.awaited.iter().map(|(_, values)| values.len()).sum();
            let answer = heard.map_or_else(|| "no answer yet".to_owned(), |heard| heard.in_table(values));
            let counted = latest.len() > 1 && seen < latest.len() && heard.is_some();
            Row {
                server: resolver.to_string(),
                address: resolver.address(),
                standing: match heard {
                    None => Standing::Unknown,
                    Some(Heard::Everything) => Standing::Confirmed,
                    Some(Heard::Lacking { .. }) => Standing::Blocking,
                    Some(Heard::Trouble(_)) => Standing::OutOfOrder,
                },
                answer: match counted {
                    true => format!("{answer} ({seen} of {} names seen)", latest.len()),
                    false => answer,
                },
                serial: None,
                since: worst.map_or(Duration::ZERO, |latest| latest.since),
                looks: latest.iter().map(|one| one.looks).sum(),
            }
        };
        PropagationTable {
            zone: wait.zone.clone(),
            observers: Observers::Resolvers,
            rows: self.0.iter().zip(&wait.resolvers).map(row).collect(),
        }
    }
}

#[cfg(test)]
mod tests;

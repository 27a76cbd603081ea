//! Waiting until every authoritative server shows the records.

use super::Inner;
use super::alias::Location;
use super::answer::{Expectation, wire_name};
use super::delegation::ZoneServers;
use super::message::Question;
use super::progress::{Progress, count_down};
use super::report::{FailureReason, PropagationFailure, PropagationTable};
use super::resolved::ResolverWait;
use super::standing::{Outlook, Standings};
use super::watcher::Check;
use dns01_provider::name::Fqdn;
use dns01_provider::record::TxtValue;
use futures_util::future::{join_all, try_join, try_join_all};
use hickory_proto::rr::{RData, RecordType};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A name with every value that must be seen at it.
#[derive(Clone, Debug)]
pub struct Awaited {
    /// Where the values were written.
    pub location: Location,
    /// All of them; others beside them do not matter.
    pub values: Vec<TxtValue>,
}

/// When enough servers have confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quorum {
    /// At least half of the name servers, and at least one; servers out of order are passed
    /// with a warning.
    #[default]
    Half,
    /// Every address of every name server.
    All,
    /// So many name servers; servers out of order are passed with a warning.
    Servers(usize),
}

/// By which rules to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationRules {
    /// The most time to wait.
    pub timeout: Duration,
    /// When enough servers have confirmed. A server that answers without a value blocks always.
    pub quorum: Quorum,
    /// When all is seen, wait so long and look once more (for anycast); zero does not.
    pub settle: Duration,
}

impl Default for PropagationRules {
    /// Three minutes, half of the name servers, no settling.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(180), quorum: Quorum::Half, settle: Duration::ZERO }
    }
}

/// That everything is seen, and what was odd on the way.
#[derive(Clone, Debug)]
pub struct PropagationReport {
    /// One table per zone.
    pub tables: Vec<PropagationTable>,
    /// Servers passed by, with the reason; empty when all is well.
    pub warnings: Vec<String>,
    /// Addresses that were not asked, with the reason.
    pub notes: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

pub(super) async fn propagated(
    dns: &Inner,
    awaited: &[Awaited],
    rules: &PropagationRules,
    progress: &watch::Sender<Progress>,
) -> Result<PropagationReport, Box<PropagationFailure>> {
    let started = Instant::now();
    let (servers, resolvers) = (by_zone(awaited), ResolverWait::of(awaited));
    let parts = vec![Progress::default(); servers.len() + resolvers.len()];
    let board = Board { parts: Mutex::new(parts), progress };
    let (first, second) = (0..servers.len(), servers.len()..);
    let at_servers = servers.into_iter().zip(first).map(|(wait, index)| {
        let board = &board;
        async move { wait.until_seen(dns, rules, started, &|part| board.show(index, part)).await }
    });
    let at_resolvers = resolvers.into_iter().zip(second).map(|(wait, index)| {
        let board = &board;
        async move { wait.until_seen(dns, rules, started, &|part| board.show(index, part)).await }
    });
    let mut report = PropagationReport {
        tables: Vec::new(),
        warnings: Vec::new(),
        notes: Vec::new(),
        elapsed: Duration::ZERO,
    };
    let (seen, resolved) = try_join(try_join_all(at_servers), try_join_all(at_resolvers)).await?;
    for standings in seen {
        report.warnings.extend(standings.warnings());
        report.notes.extend(standings.notes());
        report.tables.push(standings.table());
    }
    report.tables.extend(resolved);
    report.elapsed = started.elapsed();
    Ok(report)
}

/// Progress of several zones as one.
struct Board<'a> {
    parts: Mutex<Vec<Progress>>,
    progress: &'a watch::Sender<Progress>,
}

impl Board<'_> {
    fn show(&self, index: usize, part: Progress) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts[index] = part;
        let whole = Progress::sum(&parts);
        self.progress.send_if_modified(|shown| {
            let changed = *shown != whole;
            *shown = whole;
            changed
        });
    }
}

/// Waits before the second look of a zone that has to settle.
pub(super) async fn settle(time: Duration, seen: &Progress, show: &(dyn Fn(Progress) + Sync)) {
    count_down(time, |left| {
        show(Progress { note: Some(format!("looking again in {left} s")), ..seen.clone() });
    })
    .await;
}

/// What is waited for at the servers of one zone.
struct ZoneWait {
    servers: Arc<ZoneServers>,
    checks: Vec<Check>,
    awaited: Vec<(Fqdn, Vec<TxtValue>)>,
}

/// Sorts by zone what must be seen: the values where they were written, and each alias on the
/// way there.
fn by_zone(awaited: &[Awaited]) -> Vec<ZoneWait> {
    let mut waits: Vec<ZoneWait> = Vec::new();
    for Awaited { location, values } in awaited {
        if let Some(servers) = &location.servers {
            let expected = values.iter().map(|value| value.as_str().as_bytes().to_vec()).collect();
            let wait = wait_on(&mut waits, servers);
            wait.add(&location.target, Expectation::Values(expected));
            wait.awaited.push((location.target.clone(), values.clone()));
        }
        for hop in &location.hops {
            let Some(servers) = &hop.servers else { continue };
            let wait = wait_on(&mut waits, servers);
            wait.add(&hop.from, Expectation::Alias(hop.to.clone()));
            wait.awaited.push((hop.from.clone(), Vec::new()));
        }
    }
    waits
}

fn wait_on<'a>(waits: &'a mut Vec<ZoneWait>, servers: &Arc<ZoneServers>) -> &'a mut ZoneWait {
    let index = waits.iter().position(|wait| wait.servers == *servers).unwrap_or_else(|| {
        waits.push(ZoneWait { servers: Arc::clone(servers), checks: Vec::new(), awaited: Vec::new() });
        waits.len() - 1
    });
    &mut waits[index]
}

impl ZoneWait {
    fn add(&mut self, name: &Fqdn, expectation: Expectation) {
        self.checks.push(Check { name: wire_name(name), expectation });
    }

    /// Waits by the rules, twice if the zone has to settle.
    async fn until_seen(
        self,
        dns: &Inner,
        rules: &PropagationRules,
        started: Instant,
        show: &(dyn Fn(Progress) + Sync),
    ) -> Result<Standings, Box<PropagationFailure>> {
        let standings = self.once(dns, rules, started, show).await?;
        if rules.settle.is_zero() {
            return Ok(standings);
        }
        let settled = standings.progress();
        settle(rules.settle, &settled, show).await;
        self.once(dns, rules, started + rules.settle, show).await
    }

    async fn once(
        &self,
        dns: &Inner,
        rules: &PropagationRules,
        started: Instant,
        show: &(dyn Fn(Progress) + Sync),
    ) -> Result<Standings, Box<PropagationFailure>> {
        let deadline = started + rules.timeout;
        let mut standings = Standings::new(&self.servers, self.checks.len(), rules.quorum, Instant::now());
        let mut events = dns.watchers.watch(&self.servers, self.checks.clone());
        let mut open = true;
        loop {
            let now = Instant::now();
            show(standings.progress());
            let next = match standings.outlook(now) {
                Outlook::Done => return Ok(standings),
                Outlook::Hopeless => {
                    return Err(self.failed(dns, standings, FailureReason::NothingAnswered, started).await);
                }
                Outlook::Open { next } => next.map_or(deadline, |next| next.min(deadline)),
            };
            if now >= deadline {
                return Err(self.failed(dns, standings, FailureReason::TimedOut, started).await);
            }
            tokio::select! {
                event = events.recv(), if open => match event {
                    Some(event) => {
                        standings.hear(&event, Instant::now());
                        while let Ok(event) = events.try_recv() {
                            standings.hear(&event, Instant::now());
                        }
                    }
                    // Everything that can be looked at has been.
                    None if !dns.watchers.is_stopping() => open = false,
                    None => return Err(self.failed(dns, standings, FailureReason::Cancelled, started).await),
                },
                () = sleep_until(next) => {}
            }
        }
    }

    async fn failed(
        &self,
        dns: &Inner,
        mut standings: Standings,
        reason: FailureReason,
        started: Instant,
    ) -> Box<PropagationFailure> {
        let elapsed = started.elapsed();
        if reason == FailureReason::TimedOut {
            standings.note_serials(&self.serials(dns, &standings).await);
        }
        Box::new(PropagationFailure::new(reason, elapsed, self.awaited.clone(), standings.table()))
    }

    /// The zone's serial at each address that answers.
    async fn serials(&self, dns: &Inner, standings: &Standings) -> Vec<(SocketAddr, u32)> {
        let apex = wire_name(self.servers.zone.apex());
        let question = Question::new(apex, RecordType::SOA);
        let asked = standings.answering().map(|address| {
            let question = &question;
            async move {
                let reply = dns.client.ask(address, question).await.ok()?;
                reply.message.answers.iter().find_map(|record| match &record.data {
                    RData::SOA(soa) => Some((address, soa.serial)),
                    _ => None,
                })
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;

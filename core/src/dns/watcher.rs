//! One watcher per zone looks at the zone's servers for everybody who waits on it.
//!
//! Names that begin to be waited for together form a group. At each address the newest name of
//! a group is looked at again and again; once it is there, each of the others is looked at. So
//! a hundred names cost little more than one.

use super::answer::{Expectation, Meaning, Said};
use super::delegation::ZoneServers;
use super::message::{QueryError, Question, Transport};
use super::query::QueryClient;
use dns01_provider::name::ZoneName;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hickory_proto::rr::{Name, RecordType};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The shortest pause between two looks, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(5));
/// A new group forms so long after the one before, so that a crowd makes two groups and not a
/// hundred, and one alone never waits.
const GATHERING: Duration = Duration::from_millis(5);
/// From this time on not only the newest name of a group is looked at: it may be the only one
/// that never comes.
const NEWEST_ALONE: Duration = Duration::from_secs(1);
/// So many others are then looked at with it, in turn.
const OTHERS: usize = 15;
/// A server found out of order so recently is so still, as far as new waits are concerned.
const TROUBLE_REMEMBERED: Duration = Duration::from_secs(60);

/// Something to be seen at a name.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: Name,
    pub(super) expectation: Expectation,
}

/// What an address said to a check.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) address: SocketAddr,
    /// The check, by its place in the order.
    pub(super) check: usize,
    pub(super) said: Said,
    pub(super) transport: Option<Transport>,
    /// Since when the address has given no useful answer, if it gives none.
    pub(super) trouble_since: Option<Instant>,
}

/// The watchers of all zones.
pub(super) struct Watchers {
    client: QueryClient,
    tasks: TaskTracker,
    cancel: CancellationToken,
    by_zone: Mutex<HashMap<ZoneName, Watcher>>,
}

/// The way to the watcher of one zone's servers.
struct Watcher {
    servers: Arc<ZoneServers>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Checks of one who waits; nobody waits any more when `events` is closed.
struct Order {
    checks: Vec<Check>,
    events: mpsc::UnboundedSender<Event>,
}

impl Watchers {
    pub(super) fn new(client: QueryClient, tasks: TaskTracker, cancel: CancellationToken) -> Self {
        Self { client, tasks, cancel, by_zone: Mutex::default() }
    }

    /// Looks for `checks` on all of `servers` until each address has shown each, or the
    /// receiver is dropped.
    pub(super) fn watch(
        &self,
        servers: &Arc<ZoneServers>,
        checks: Vec<Check>,
    ) -> mpsc::UnboundedReceiver<Event> {
        let (events, receiver) = mpsc::unbounded_channel();
        let mut by_zone = self.by_zone.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_zone.get(&servers.zone).filter(|known| known.servers == *servers);
        let orders = match known {
            Some(watcher) => watcher.orders.clone(),
            None => {
                let orders = self.start(Arc::clone(servers));
                let watcher = Watcher { servers: Arc::clone(servers), orders: orders.clone() };
                by_zone.insert(servers.zone.clone(), watcher);
                orders
            }
        };
        // The watcher ends only when the program does: then `receiver` is closed as well.
        let _ = orders.send(Order { checks, events });
        receiver
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn start(&self, servers: Arc<ZoneServers>) -> mpsc::UnboundedSender<Order> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let eyes = Arc::new(Eyes { client: self.client.clone(), servers, trouble: Mutex::default() });
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            cancel.run_until_cancelled_owned(watch_zone(eyes, inbox)).await;
        });
        orders
    }
}

/// The watcher's task. It ends when nobody can order any more and all looks are done.
async fn watch_zone(eyes: Arc<Eyes>, mut inbox: mpsc::UnboundedReceiver<Order>) {
    let mut looking = FuturesUnordered::new();
    let mut gathered: Vec<Job> = Vec::new();
    let mut next_group = Instant::now();
    let mut open = true;
    while open || !looking.is_empty() || !gathered.is_empty() {
        tokio::select! {
            order = inbox.recv(), if open => match order {
                Some(order) => gathered.extend(Job::all_of(order)),
                None => open = false,
            },
            () = sleep_until(next_group), if !gathered.is_empty() => {
                next_group = Instant::now() + GATHERING;
                let group = std::mem::take(&mut gathered);
                // Two names may stand for one address.
                let addresses: HashSet<SocketAddr> = eyes.servers.addresses().map(|(_, address)| address).collect();
                for address in addresses {
                    looking.push(Arc::clone(&eyes).look_until_seen(address, group.clone()));
                }
            }
            Some(()) = looking.next() => {}
        }
    }
}

/// One check of one order, at one address.
#[derive(Clone)]
struct Job {
    check: Arc<Check>,
    index: usize,
    events: mpsc::UnboundedSender<Event>,
}

impl Job {
    fn hear(&self, event: Event) {
        // Who waited may have gone.
        let _ = self.events.send(event);
    }

    fn all_of(order: Order) -> impl Iterator<Item = Self> {
        let events = order.events;
        order.checks.into_iter().enumerate().map(move |(index, check)| Self {
            check: Arc::new(check),
            index,
            events: events.clone(),
        })
    }
}

/// What the looks at one zone share.
struct Eyes {
    client: QueryClient,
    servers: Arc<ZoneServers>,
    trouble: Mutex<HashMap<SocketAddr, Trouble>>,
}

#[derive(Clone)]
struct Trouble {
    since: Instant,
    last: Instant,
    said: Said,
}

impl Eyes {
    /// Looks at `address` until it shows every job of the group, or nobody waits any more.
    async fn look_until_seen(self: Arc<Self>, address: SocketAddr, mut group: Vec<Job>) {
        let started = Instant::now();
        // A server that is known to be out of order is not waited for again by everybody new.
        if let Some(trouble) = self.trouble_at(address).filter(Trouble::is_fresh) {
            Self::tell(address, &group, &trouble.said, Some(trouble.since));
        }
        loop {
            group.retain(|job| !job.events.is_closed());
            let waited = started.elapsed();
            let probes = if waited < NEWEST_ALONE { 1 } else { 1 + OTHERS };
            let mut probed = group.split_off(group.len().saturating_sub(probes));
            let single = probed.len() == 1;
            let said = join_all(probed.iter().map(|job| self.look(address, job, !single))).await;
            let useless = |said: &Said| matches!(said.meaning(), Meaning::OutOfOrder | Meaning::NoRoute);
            if let Some(last) = said.last().filter(|_| said.iter().all(useless)) {
                // What keeps the server from answering these keeps it from answering the others.
                Self::tell(address, &group, last, self.trouble_at(address).map(|trouble| trouble.since));
            }
            if said.contains(&Said::Unanswered(QueryError::NoRoute)) {
                return;
            }
            let any_seen = said.iter().any(|said| said.meaning() == Meaning::Confirmed);
            keep_unseen(&mut probed, &said);
            if any_seen && !group.is_empty() {
                let said = join_all(group.iter().map(|job| self.look(address, job, true))).await;
                keep_unseen(&mut group, &said);
            }
            // The newest stays the newest, the others take turns.
            let newest = probed.pop();
            group.splice(0..0, probed);
            group.extend(newest);
            if group.is_empty() {
                return;
            }
            sleep((started.elapsed() / 10).clamp(PAUSE.0, PAUSE.1)).await;
        }
    }

    /// One look at one job; whoever waits for it hears of it.
    async fn look(&self, address: SocketAddr, job: &Job, among_many: bool) -> Said {
        let check = &job.check;
        let question = Question::new(check.name.clone(), RecordType::TXT);
        let began = Instant::now();
        let result = match among_many {
            true => self.client.ask_among_many(address, &question).await,
            false => self.client.ask(address, &question).await,
        };
        let said = Said::of(&self.servers.zone, &check.name, &check.expectation, &result);
        tracing::trace!(zone = %self.servers.zone, %address, name = %check.name, answer = %said, "looked");
        let trouble_since = self.note(address, &said, began);
        let transport = result.ok().map(|reply| reply.transport);
        job.hear(Event { address, check: job.index, said: said.clone(), transport, trouble_since });
        said
    }

    /// Remembers since when an address is out of order.
    fn note(&self, address: SocketAddr, said: &Said, began: Instant) -> Option<Instant> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if said.meaning() != Meaning::OutOfOrder {
            trouble.remove(&address);
            return None;
        }
        let entry = trouble.entry(address).or_insert_with(|| Trouble {
            since: began,
            last: began,
            said: said.clone(),
        });
        entry.last = Instant::now();
        entry.said = said.clone();
        Some(entry.since)
    }

    fn trouble_at(&self, address: SocketAddr) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    /// Tells `jobs` what an address said to others.
    fn tell(address: SocketAddr, jobs: &[Job], said: &Said, trouble_since: Option<Instant>) {
        for job in jobs {
            job.hear(Event { address, check: job.index, said: said.clone(), transport: None, trouble_since });
        }
    }
}

impl Trouble {
    fn is_fresh(&self) -> bool {
        self.last.elapsed() < TROUBLE_REMEMBERED
    }
}

/// Leaves the jobs whose look did not find everything.
fn keep_unseen(jobs: &mut Vec<Job>, said: &[Said]) {
    let mut said = said.iter();
    jobs.retain(|_| said.next().is_none_or(|said| said.meaning() != Meaning::Confirmed));
}

//! Writers: one task for each credential and zone gathers what orders want there and writes it
//! in as few calls as the provider allows.
//!
//! # When a round starts
//! Additions wait for the orders that are announced and have not arrived: until all have, or
//! [`AFTER_LAST`] after the last one, at most [`AFTER_FIRST`] after the first. Removals ride
//! with the next additions, or go after [`REMOVAL_DELAY`], or at once when no order is left.
//! While a round's calls are in flight the next one gathers.

use super::RecordsError;
use super::announcement::Registry;
use super::hold::{HoldId, Released, ZoneReport};
use super::ledger::{Claim, RowId, Value};
use super::round::{self, Arrival, Removal};
use crate::store::{OrderId, Store};
use dns01_provider::{Credential, Zone};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a batch waits for more after its last addition.
const AFTER_LAST: Duration = Duration::from_millis(20);
/// How long a batch waits for more after its first addition.
const AFTER_FIRST: Duration = Duration::from_millis(250);
/// How long removals wait for additions to ride with.
const REMOVAL_DELAY: Duration = Duration::from_millis(500);
/// How soon it is looked again whether a full name has room.
const ROOM_DELAY: Duration = Duration::from_millis(500);

/// What a hold is answered.
pub(super) type Answer = Result<ZoneReport, RecordsError>;

/// What a writer is asked.
pub(super) enum Request {
    /// Write `values` and keep them for `order`.
    Hold { hold: HoldId, order: OrderId, values: Arc<[Value]>, reply: oneshot::Sender<Answer> },
    /// Write `values` and keep them for a person.
    HoldManually { values: Arc<[Value]>, reply: oneshot::Sender<Answer> },
    /// Let go of a hold.
    Release { hold: HoldId, reply: Option<oneshot::Sender<Released>> },
    /// End a person's hold.
    ReleaseManually { values: Vec<Value>, reply: oneshot::Sender<Released> },
    /// Remove what the dead have left.
    Sweep { rows: Vec<(RowId, Value)>, claim: Claim, reply: oneshot::Sender<Released> },
    /// Let go of everything.
    ReleaseAll { reply: oneshot::Sender<Released> },
}

/// The way to a writer.
#[derive(Clone, Debug)]
pub(super) struct WriterHandle {
    requests: mpsc::UnboundedSender<Request>,
    progress: Arc<AtomicU64>,
}

impl WriterHandle {
    pub(super) fn send(&self, request: Request) -> Result<(), RecordsError> {
        self.requests.send(request).map_err(|_| RecordsError::ShuttingDown)
    }

    /// Waits for `answer` as long as the writer gets on with its calls: until none has ended for
    /// `patience`. A service that takes a record a second has a long line before it.
    pub(super) async fn patiently<T>(
        &self,
        mut answer: oneshot::Receiver<T>,
        patience: Duration,
    ) -> Waited<T> {
        let mut seen = self.progress.load(Ordering::Relaxed);
        loop {
            match tokio::time::timeout(patience, &mut answer).await {
                Ok(Ok(answer)) => return Waited::Answered(answer),
                Ok(Err(_)) => return Waited::Ended,
                Err(_) => {}
            }
            let now = self.progress.load(Ordering::Relaxed);
            if now == seen {
                return Waited::InVain;
            }
            seen = now;
        }
    }
}

/// What became of a wait for a writer.
pub(super) enum Waited<T> {
    Answered(T),
    /// The writer has ended.
    Ended,
    /// Nothing went on any more.
    InVain,
}

/// Starts the writer of `zone`. The first token of `tokens` ends the taking of records, the
/// second the writer.
pub(super) fn spawn(
    credential: Credential,
    zone: Zone,
    store: Store,
    registry: Arc<Registry>,
    tokens: (CancellationToken, CancellationToken),
    tracker: &TaskTracker,
) -> WriterHandle {
    let (sender, requests) = mpsc::unbounded_channel();
    let progress = Arc::new(AtomicU64::new(0));
    let (stop, end) = tokens;
    let place = (credential.name().clone(), zone.name.clone());
    let writer = Writer {
        site: round::Site { place, zone, credential, store, progress: Arc::clone(&progress) },
        registry,
        arrivals: Vec::new(),
        room_at: None,
        holds: HashMap::new(),
        removals: Vec::new(),
        unfinished: Vec::new(),
        stop,
    };
    tracker.spawn(async move {
        tokio::select! {
            () = end.cancelled() => {}
            () = writer.run(requests) => {}
        }
    });
    WriterHandle { requests: sender, progress }
}

struct Writer {
    site: round::Site,
    registry: Arc<Registry>,
    /// Wanted, not written yet, in the order they came.
    arrivals: Vec<Arrival>,
    /// When to look again whether there is room for arrivals that did not fit.
    room_at: Option<Instant>,
    /// Written and held.
    holds: HashMap<HoldId, Arc<[Value]>>,
    /// Let go, not removed yet.
    removals: Vec<Removal>,
    /// Removals that the store did not take; tried again by a sweep.
    unfinished: Vec<Removal>,
    stop: CancellationToken,
}

impl Writer {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut ticks = self.registry.ticks();
        let mut open = true;
        let stop = self.stop.clone();
        loop {
            let due = self.due(open);
            if !open && due.is_none() {
                return;
            }
            tokio::select! {
                biased;
                request = requests.recv(), if open => match request {
                    Some(request) => self.take(request),
                    None => open = false,
                },
                () = sleep_until(due), if due.is_some() => self.round().await,
                Ok(()) = ticks.changed(), if due.is_some() => {}
                () = stop.cancelled(), if !self.arrivals.is_empty() => self.refuse_arrivals(),
            }
        }
    }

    /// When the next round starts; `None` when there is nothing to do.
    fn due(&self, open: bool) -> Option<Instant> {
        let now = Instant::now();
        let hurry = !open || self.stop.is_cancelled();
        let awaited = self.registry.awaits(&self.site.place);
        let additions = self.arrivals.first().zip(self.arrivals.last()).map(|(first, last)| {
            let gathered = if hurry || !awaited {
                now
            } else {
                (last.arrived + AFTER_LAST).min(first.arrived + AFTER_FIRST)
            };
            self.room_at.map_or(gathered, |room_at| gathered.max(room_at))
        });
        let no_order_left = !awaited && self.arrivals.is_empty() && self.holds.is_empty();
        let removals = self.removals.iter().map(|removal| {
            if hurry || no_order_left || removal.urgent { now } else { removal.since + REMOVAL_DELAY }
        });
        additions.into_iter().chain(removals).min()
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Hold { hold, order, values, reply } => {
                self.arrive(Arrival::new(Some((hold, order)), values, reply));
            }
            Request::HoldManually { values, reply } => self.arrive(Arrival::new(None, values, reply)),
            Request::Release { hold, reply } => self.release(hold, reply),
            Request::ReleaseManually { values, reply } => {
                let rows = self.site.rows(&values);
                let claim = Claim::Manual(rows.iter().map(|(id, _)| id.clone()).collect());
                self.removals.push(Removal::new(rows, vec![claim], Some(reply)));
            }
            Request::Sweep { rows, claim, reply } => {
                self.removals.append(&mut self.unfinished);
                self.removals.push(Removal::at_once(rows, vec![claim], Some(reply)));
            }
            Request::ReleaseAll { reply } => self.release_all(reply),
        }
    }

    fn arrive(&mut self, mut arrival: Arrival) {
        if self.stop.is_cancelled() {
            return arrival.answer(Err(RecordsError::ShuttingDown));
        }
        match self.site.check_count(&arrival) {
            Ok(()) => self.arrivals.push(arrival),
            Err(error) => arrival.answer(Err(error)),
        }
    }

    fn release(&mut self, hold: HoldId, reply: Option<oneshot::Sender<Released>>) {
        self.arrivals.retain(|arrival| !arrival.is_for(hold));
        match self.holds.remove(&hold) {
            Some(values) => {
                let rows = self.site.rows(&values);
                self.removals.push(Removal::new(rows, vec![Claim::Hold(hold)], reply));
            }
            // It was never written.
            None => drop(reply.map(|reply| reply.send(Released::default()))),
        }
        // Room has become free for somebody who waits.
        self.room_at = self.room_at.map(|_| Instant::now());
    }

    fn release_all(&mut self, reply: oneshot::Sender<Released>) {
        self.refuse_arrivals();
        self.removals.append(&mut self.unfinished);
        let holds = std::mem::take(&mut self.holds);
        let rows = holds.values().flat_map(|values| self.site.rows(values)).collect();
        let claims = holds.into_keys().map(Claim::Hold).collect();
        self.removals.push(Removal::at_once(rows, claims, Some(reply)));
    }

    fn refuse_arrivals(&mut self) {
        for mut arrival in self.arrivals.drain(..) {
            arrival.answer(Err(RecordsError::ShuttingDown));
        }
    }

    async fn round(&mut self) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        // Whoever has gone away has nothing written for it.
        arrivals.retain(Arrival::is_wanted);
        let removals = std::mem::take(&mut self.removals);
        // From here on they count as written: they may be, and must be removed when let go.
        for arrival in &arrivals {
            if let Some((hold, _)) = &arrival.holder {
                self.holds.insert(*hold, Arc::clone(&arrival.values));
            }
        }
        let over = self.site.carry_out(arrivals, removals).await;
        self.unfinished.extend(over.unfinished);
        self.room_at = (!over.without_room.is_empty()).then(|| Instant::now() + ROOM_DELAY);
        for arrival in over.without_room {
            if let Some((hold, _)) = &arrival.holder {
                self.holds.remove(hold);
            }
            self.arrivals.push(arrival);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

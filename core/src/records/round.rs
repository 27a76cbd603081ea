//! A round of a writer: the ledger first, then the provider, then the ledger again.

use super::hold::{HoldId, Released, ZoneReport};
use super::ledger::{self, Claim, Conclusion, Entry, Preparation, Prepared, RowId, Value};
use super::outcomes::{Call, Outcomes, Unsettled, Who};
use super::writer::Answer;
use super::{Place, RecordsError};
use crate::store::{Lease, OrderId, Store};
use dns01_provider::{Batch, Credential, ProviderError, ProviderErrorKind, TxtChange, Zone};
use futures_util::StreamExt as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a writer waits for another process that writes in its zone: as long as an order
/// waits, since a service that takes a record a second keeps a process at it for minutes.
const LEASE_PATIENCE: Duration = Duration::from_secs(600);

/// Values that somebody wants written.
pub(super) struct Arrival {
    /// `None` for a person.
    pub(super) holder: Option<(HoldId, OrderId)>,
    pub(super) values: Arc<[Value]>,
    pub(super) arrived: Instant,
    /// `None` once it was answered.
    reply: Option<oneshot::Sender<Answer>>,
}

impl Arrival {
    pub(super) fn new(
        holder: Option<(HoldId, OrderId)>,
        values: Arc<[Value]>,
        reply: oneshot::Sender<Answer>,
    ) -> Self {
        Self { holder, values, arrived: Instant::now(), reply: Some(reply) }
    }

    pub(super) fn is_for(&self, hold: HoldId) -> bool {
        self.holder.as_ref().is_some_and(|(holder, _)| *holder == hold)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have gone away; its hold is released by then.
            let _ = reply.send(answer);
        }
    }
}

/// Values that somebody lets go of.
pub(super) struct Removal {
    rows: Vec<(RowId, Value)>,
    claims: Vec<Claim>,
    reply: Option<oneshot::Sender<Released>>,
    answered: bool,
    pub(super) since: Instant,
    /// True if it does not wait for company.
    pub(super) urgent: bool,
}

impl Removal {
    pub(super) fn new(
        rows: Vec<(RowId, Value)>,
        claims: Vec<Claim>,
        reply: Option<oneshot::Sender<Released>>,
    ) -> Self {
        Self { rows, claims, reply, answered: false, since: Instant::now(), urgent: false }
    }

    pub(super) fn at_once(
        rows: Vec<(RowId, Value)>,
        claims: Vec<Claim>,
        reply: Option<oneshot::Sender<Released>>,
    ) -> Self {
        Self { urgent: true, ..Self::new(rows, claims, reply) }
    }
}

/// What a round leaves to its writer.
#[derive(Default)]
pub(super) struct Over {
    /// Arrivals whose names are full.
    pub(super) without_room: Vec<Arrival>,
    /// Removals that the store did not take.
    pub(super) unfinished: Vec<Removal>,
}

/// Where a writer writes.
pub(super) struct Site {
    pub(super) place: Place,
    pub(super) zone: Zone,
    pub(super) credential: Credential,
    pub(super) store: Store,
    /// Batches that are done, one way or the other.
    pub(super) progress: Arc<AtomicU64>,
}

impl Site {
    pub(super) fn rows(&self, values: &[Value]) -> Vec<(RowId, Value)> {
        let ledgered = values.iter().filter(|value| !value.persistent);
        ledgered.map(|value| (self.row_id(value), value.clone())).collect()
    }

    fn row_id(&self, value: &Value) -> RowId {
        RowId::new(&self.place, &value.name, &value.value)
    }

    /// Refuses what can never fit.
    pub(super) fn check_count(&self, arrival: &Arrival) -> Result<(), RecordsError> {
        let Some(most) = self.credential.limits().values_per_name else { return Ok(()) };
        let mut names: HashMap<_, BTreeSet<_>> = HashMap::new();
        for value in arrival.values.iter() {
            names.entry(&value.name).or_default().insert(&value.value);
        }
        match names.into_iter().find(|(_, values)| values.len() > most) {
            None => Ok(()),
            Some((name, values)) => Err(RecordsError::TooManyValues {
                credential: self.place.0.clone(),
                name: name.clone(),
                most,
                wanted: values.len(),
            }),
        }
    }

    /// Writes what has arrived, removes what nobody holds any more, and answers all.
    pub(super) async fn carry_out(&self, arrivals: Vec<Arrival>, removals: Vec<Removal>) -> Over {
        let mut over = Over::default();
        if arrivals.is_empty() && removals.is_empty() {
            return over;
        }
        let mut round = Round { arrivals, removals, prepared: Prepared::default() };
        let lease = match self.prepare(&mut round, &mut over).await {
            Ok(lease) => lease,
            Err(error) => {
                round.arrivals.iter_mut().for_each(|arrival| arrival.answer(Err(error.clone())));
                over.unfinished =
                    round.removals.into_iter().map(|removal| self.postpone(removal, &error)).collect();
                return over;
            }
        };
        let outcomes = self.call(&mut round).await;
        self.conclude(lease, self.conclusion(&round, &outcomes)).await;
        for removal in &mut round.removals {
            self.answer_removal(removal, &outcomes);
        }
        for arrival in &mut round.arrivals {
            let answer = self.report(arrival, &outcomes);
            arrival.answer(answer);
        }
        over
    }

    /// Makes durable what is about to be done, under the zone's lease. In the common case the
    /// lease and the rows are one commit.
    async fn prepare(&self, round: &mut Round, over: &mut Over) -> Result<Lease, RecordsError> {
        let name = format!("zone {} {}", self.place.0, self.place.1);
        let limited = self.credential.limits().values_per_name.is_some();
        if !limited {
            let preparation = self.preparation(round).await?;
            let prepared = self
                .store
                .lease_with(&name, move |connection| {
                    Box::pin(async move { ledger::prepare(connection, &preparation).await })
                })
                .await?;
            if let Some((lease, prepared)) = prepared {
                round.prepared = prepared;
                return Ok(lease);
            }
        }
        let deadline = Instant::now() + LEASE_PATIENCE;
        let busy = || RecordsError::ZoneBusy { zone: self.place.1.clone() };
        let lease = self.store.wait_lease(&name, deadline).await?.ok_or_else(busy)?;
        if limited {
            over.without_room = self.take_without_room(round).await?;
        }
        let preparation = self.preparation(round).await?;
        let write = self.store.write(move |connection| {
            Box::pin(async move { ledger::prepare(connection, &preparation).await })
        });
        round.prepared = write.await?;
        Ok(lease)
    }

    async fn preparation(&self, round: &Round) -> Result<Preparation, RecordsError> {
        let entries = round.arrivals.iter().flat_map(|arrival| {
            self.rows(&arrival.values).into_iter().map(|(id, value)| Entry {
                id,
                value,
                holder: arrival.holder.clone(),
            })
        });
        Ok(Preparation {
            place: self.place.clone(),
            zone_id: self.zone.id.clone(),
            owner: self.store.owner().await?.id().clone(),
            now: self.store.clock().seconds(),
            entries: entries.collect(),
            dropped: round.removals.iter().flat_map(|removal| removal.claims.clone()).collect(),
        })
    }

    /// Takes the arrivals out of `round` that would overfill a name; first come, first served.
    async fn take_without_room(&self, round: &mut Round) -> Result<Vec<Arrival>, RecordsError> {
        let Some(most) = self.credential.limits().values_per_name else { return Ok(Vec::new()) };
        let mut held = ledger::held_at_names(&self.store, &self.place).await?;
        let arrivals = std::mem::take(&mut round.arrivals);
        let (fitting, without_room) = arrivals.into_iter().partition(|arrival| {
            let mut after = held.clone();
            for value in arrival.values.iter() {
                let at_name = after.entry(value.name.as_str().to_owned()).or_default();
                at_name.insert(value.value.as_str().to_owned());
            }
            let fits = arrival.values.iter().all(|value| after[value.name.as_str()].len() <= most);
            if fits {
                held = after;
            }
            fits
        });
        round.arrivals = fitting;
        Ok(without_room)
    }

    /// Brings the changes to the provider. A round of many calls may take minutes: whoever has
    /// all of its values settled before the last call is answered at once.
    async fn call(&self, round: &mut Round) -> Outcomes {
        let limits = self.credential.limits();
        let batches = limits.batch.split(self.changes(round));
        // Batches of a zone follow one another, since a service may read, merge and write.
        let at_once = if matches!(limits.batch, Batch::Zone(_)) { 1 } else { limits.in_flight.max(1) };
        let mut unsettled = (batches.len() > 1).then(|| self.unsettled(round));
        let mut left = batches.len();
        let mut parts =
            futures_util::stream::iter(batches).map(|changes| self.apply(changes)).buffer_unordered(at_once);
        let mut outcomes = Outcomes::default();
        while let Some(calls) = parts.next().await {
            self.progress.fetch_add(1, Ordering::Relaxed);
            let settled = outcomes.take(&self.place, calls);
            left -= 1;
            if let Some(unsettled) = unsettled.as_mut().filter(|_| left > 0) {
                for who in unsettled.settle(&settled) {
                    self.answer_early(who, round, &outcomes);
                }
            }
        }
        outcomes
    }

    /// Who waits for which rows.
    fn unsettled(&self, round: &Round) -> Unsettled {
        let mut unsettled = Unsettled::default();
        for (index, arrival) in round.arrivals.iter().enumerate() {
            let rows = arrival.values.iter().map(|value| self.row_id(value)).collect();
            unsettled.add(Who::Arrival(index), rows);
        }
        if self.credential.limits().can_remove {
            let abandoned: HashSet<&RowId> = round.abandoned().map(|(id, _)| id).collect();
            for (index, removal) in round.removals.iter().enumerate() {
                let rows = removal.rows.iter().map(|(id, _)| id).filter(|id| abandoned.contains(id));
                unsettled.add(Who::Removal(index), rows.cloned().collect());
            }
        }
        unsettled
    }

    fn answer_early(&self, who: Who, round: &mut Round, outcomes: &Outcomes) {
        match who {
            Who::Arrival(index) => {
                let arrival = &mut round.arrivals[index];
                let answer = self.report(arrival, outcomes);
                arrival.answer(answer);
            }
            Who::Removal(index) => self.answer_removal(&mut round.removals[index], outcomes),
        }
    }

    /// Removals first, to make room where room is scarce.
    fn changes(&self, round: &Round) -> Vec<TxtChange> {
        let limits = self.credential.limits();
        let mut changes = Vec::new();
        if limits.can_remove {
            changes.extend(round.abandoned().map(|(_, value)| TxtChange::Remove {
                name: value.name.clone(),
                value: value.value.clone(),
            }));
        }
        let mut added = HashSet::new();
        for value in round.arrivals.iter().flat_map(|arrival| arrival.values.iter()) {
            if added.insert((&value.name, &value.value)) {
                changes.push(TxtChange::Add {
                    name: value.name.clone(),
                    value: value.value.clone(),
                    ttl: value.ttl.max(limits.smallest_ttl),
                });
            }
        }
        changes
    }

    /// Applies one batch. One that is refused for good is halved until the culprit stands
    /// alone; when nothing at all gets through, the rest shares the last refusal.
    async fn apply(&self, changes: Vec<TxtChange>) -> Vec<Call> {
        let one_culprit = usize::try_from(changes.len().max(1).ilog2()).unwrap_or(0) + 1;
        let mut calls = Vec::new();
        let (mut refusals, mut succeeded) = (0, false);
        let mut parts = vec![changes];
        while let Some(mut changes) = parts.pop() {
            let result = self.credential.apply(&self.zone, &changes).await.map(|applied| applied.receipt);
            match result {
                Ok(_) => succeeded = true,
                Err(error) if changes.len() > 1 && is_about_one(&error) => {
                    refusals += 1;
                    if succeeded || refusals <= 2 * one_culprit + 2 {
                        let second = changes.split_off(changes.len() / 2);
                        parts.extend([second, changes]);
                    } else {
                        calls.push(Call { changes, result: Err(Arc::new(error)) });
                    }
                    continue;
                }
                Err(_) => refusals += 1,
            }
            calls.push(Call { changes, result: result.map_err(Arc::new) });
        }
        calls
    }

    fn conclusion(&self, round: &Round, outcomes: &Outcomes) -> Conclusion {
        let mut conclusion = Conclusion::default();
        let limits = self.credential.limits();
        if !limits.can_remove {
            conclusion.gone.extend(round.abandoned().map(|(id, _)| id.clone()));
        }
        let done = outcomes.removed.iter().filter(|(_, result)| result.is_ok());
        conclusion.gone.extend(done.map(|(id, _)| id.clone()));
        for arrival in &round.arrivals {
            for (id, _) in self.rows(&arrival.values) {
                match outcomes.added.get(&id) {
                    None | Some(Ok(_)) => conclusion.confirmed.push(id),
                    // It was there before we came: whatever happened, it stays as it was.
                    Some(Err(_)) if !round.prepared.fresh.contains(&id) => {}
                    Some(Err(error)) => {
                        let hold = arrival.holder.as_ref().map(|(hold, _)| *hold);
                        let never_written = error.is_nothing_sent() || limits.atomic && !error.is_retryable();
                        if never_written || hold.is_none() {
                            conclusion.refused.push((id.clone(), hold));
                        }
                        if never_written {
                            conclusion.gone.push(id);
                        }
                    }
                }
            }
        }
        conclusion
    }

    /// Nobody waits for this: what it forgets by a crash is only done twice.
    async fn conclude(&self, lease: Lease, conclusion: Conclusion) {
        let Ok(owner) = self.store.owner().await else { return };
        let (owner, now) = (owner.id().clone(), self.store.clock().seconds());
        self.store.write_later(move |connection| {
            Box::pin(async move { ledger::conclude(connection, conclusion, &owner, now).await })
        });
        // Queued behind: whoever takes the lease next finds the ledger as it is now.
        drop(lease);
    }

    fn report(&self, arrival: &Arrival, outcomes: &Outcomes) -> Answer {
        let mut calls = BTreeSet::new();
        for value in arrival.values.iter() {
            match outcomes.added.get(&self.row_id(value)) {
                Some(Ok(call)) => drop(calls.insert(*call)),
                Some(Err(error)) => {
                    return Err(RecordsError::Provider {
                        credential: self.place.0.clone(),
                        zone: self.place.1.clone(),
                        name: value.name.clone(),
                        source: Arc::clone(error),
                    });
                }
                None => {}
            }
        }
        Ok(ZoneReport {
            credential: self.place.0.clone(),
            zone: self.place.1.clone(),
            values: arrival.values.len(),
            calls: calls.len(),
            receipts: calls.iter().filter_map(|call| outcomes.receipts.get(call).cloned()).collect(),
        })
    }

    fn answer_removal(&self, removal: &mut Removal, outcomes: &Outcomes) {
        if std::mem::replace(&mut removal.answered, true) {
            return;
        }
        let mut released = Released::default();
        for (id, value) in &removal.rows {
            match outcomes.removed.get(id) {
                Some(Ok(_)) => released.removed += 1,
                Some(Err(error)) => released.leave(&self.place, [value], &error.to_string()),
                None => released.kept += 1,
            }
        }
        for leftover in &released.left {
            tracing::warn!(
                zone = %leftover.zone, name = %leftover.name, value = %leftover.value,
                reason = leftover.reason, "a value could not be removed; it stays in the ledger"
            );
        }
        if let Some(reply) = removal.reply.take() {
            // Whoever let go may not wait for it.
            let _ = reply.send(released);
        }
    }

    fn postpone(&self, mut removal: Removal, error: &RecordsError) -> Removal {
        if let Some(reply) = removal.reply.take() {
            let mut released = Released::default();
            released.leave(&self.place, removal.rows.iter().map(|(_, value)| value), &error.to_string());
            let _ = reply.send(released);
        }
        removal
    }
}

/// What one round is about.
struct Round {
    arrivals: Vec<Arrival>,
    removals: Vec<Removal>,
    prepared: Prepared,
}

impl Round {
    /// The rows let go in this round that nobody holds.
    fn abandoned(&self) -> impl Iterator<Item = &(RowId, Value)> {
        let let_go: HashSet<&RowId> =
            self.removals.iter().flat_map(|removal| removal.rows.iter().map(|(id, _)| id)).collect();
        self.prepared.orphans.iter().filter(move |(id, _)| let_go.contains(id))
    }
}

/// Whether a refusal may be about one change of the batch. What the credential as a whole is
/// refused for is not found by halving.
fn is_about_one(error: &ProviderError) -> bool {
    !error.is_retryable() && error.kind() != ProviderErrorKind::Auth
}

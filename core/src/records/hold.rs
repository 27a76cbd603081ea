//! Holds: what keeps an order's values in their zones.

use super::ledger::Value;
use super::writer::{Answer, Request, Waited, WriterHandle};
use super::{Place, RecordsError};
use crate::store::OrderId;
use dns01_provider::{CredentialName, Fqdn, Receipt, TxtValue, ZoneName};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Tells the parts of all holds of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A part of a hold, as its zone's writer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct HoldId(u64);

impl HoldId {
    /// As the ledger has it, beside the owner.
    pub(super) fn text(self) -> String {
        self.0.to_string()
    }
}

/// Keeps an order's values in their zones. Dropping it lets go of all of them; their removal
/// goes on by itself.
#[derive(Debug)]
#[must_use = "dropping a hold removes its records"]
pub struct Hold {
    parts: Vec<Part>,
    zones: Vec<ZoneReport>,
}

/// What was written in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneReport {
    /// The credential that wrote.
    pub credential: CredentialName,
    /// The zone.
    pub zone: ZoneName,
    /// The order's values there.
    pub values: usize,
    /// The calls that it took to write them, together with other orders' values.
    pub calls: usize,
    /// The service's handles on those calls.
    pub receipts: Vec<Receipt>,
}

/// What became of values that were let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Removed from their zones, as the providers confirmed.
    pub removed: usize,
    /// Not removed, because somebody else holds them too, or because the provider cannot
    /// remove anything.
    pub kept: usize,
    /// Not removed yet. They stay in the ledger for the next sweep.
    pub left: Vec<Leftover>,
}

/// A value that should be gone and may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The credential that wrote it.
    pub credential: CredentialName,
    /// The zone.
    pub zone: ZoneName,
    /// Where it stands.
    pub name: Fqdn,
    /// What stands there.
    pub value: TxtValue,
    /// Why it is still there.
    pub reason: String,
}

impl Released {
    pub(super) fn add(&mut self, other: Self) {
        self.removed += other.removed;
        self.kept += other.kept;
        self.left.extend(other.left);
    }

    pub(super) fn leave<'v>(
        &mut self,
        place: &Place,
        values: impl IntoIterator<Item = &'v Value>,
        reason: &str,
    ) {
        let (credential, zone) = place;
        self.left.extend(values.into_iter().map(|value| Leftover {
            credential: credential.clone(),
            zone: zone.clone(),
            name: value.name.clone(),
            value: value.value.clone(),
            reason: reason.to_owned(),
        }));
    }
}

impl Hold {
    pub(super) fn new() -> Self {
        Self { parts: Vec::new(), zones: Vec::new() }
    }

    pub(super) fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    pub(super) fn report(&mut self, zone: ZoneReport) {
        self.zones.push(zone);
    }

    /// What was written, zone by zone.
    #[must_use]
    pub fn zones(&self) -> &[ZoneReport] {
        &self.zones
    }

    /// Lets go and waits until the values are removed, as long as the writers get on: until none
    /// of a zone's calls has ended for `patience`. The removal of what is left by then goes on by
    /// itself.
    ///
    /// Dropped half-way, all of it goes on by itself.
    pub async fn release(mut self, patience: Duration) -> Released {
        // All let go before any is waited for.
        let parts: Vec<_> = std::mem::take(&mut self.parts)
            .into_iter()
            .map(|part| (part.writer.clone(), part.place.clone(), Arc::clone(&part.values), part.release()))
            .collect();
        let waits = parts.into_iter().map(|(writer, place, values, answer)| async move {
            let mut released = Released::default();
            match writer.patiently(answer, patience).await {
                Waited::Answered(part) => released.add(part),
                Waited::Ended => released.leave(&place, &*values, "the program is ending"),
                Waited::InVain => released.leave(&place, &*values, "its removal was not confirmed in time"),
            }
            released
        });
        let mut released = Released::default();
        for part in futures_util::future::join_all(waits).await {
            released.add(part);
        }
        released
    }
}

/// A hold's part in one zone. Dropping it lets go.
#[derive(Debug)]
pub(super) struct Part {
    id: HoldId,
    writer: WriterHandle,
    place: Place,
    values: Arc<[Value]>,
    held: bool,
}

impl Part {
    /// Asks `writer` for `values` on behalf of `order`.
    pub(super) fn ask(
        place: Place,
        writer: WriterHandle,
        order: &OrderId,
        values: Vec<Value>,
    ) -> Result<(Self, oneshot::Receiver<Answer>), RecordsError> {
        let id = HoldId(NEXT.fetch_add(1, Ordering::Relaxed));
        let values: Arc<[Value]> = values.into();
        let (reply, answer) = oneshot::channel();
        let part = Self { id, writer, place, values: Arc::clone(&values), held: true };
        part.writer.send(Request::Hold { hold: id, order: order.clone(), values, reply })?;
        Ok((part, answer))
    }

    fn release(mut self) -> oneshot::Receiver<Released> {
        self.held = false;
        let (reply, answer) = oneshot::channel();
        // A writer that has ended drops the reply, and the ledger has the values.
        let _ = self.writer.send(Request::Release { hold: self.id, reply: Some(reply) });
        answer
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.held {
            tracing::debug!(zone = %self.place.1, "records are let go");
            let _ = self.writer.send(Request::Release { hold: self.id, reply: None });
        }
    }
}

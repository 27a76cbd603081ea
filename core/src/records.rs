//! The records room: every TXT value that dns01 writes is held by somebody, written down
//! before it is written out, and taken away when nobody holds it any more.
//!
//! 1. An order announces itself ([`Records::announce`]) when it starts, so that the writers of
//!    its zones know whom to wait for.
//! 2. It asks for its values ([`Records::hold`]). One `writer` for each credential and zone
//!    puts what all orders want into as few calls as the provider allows, after the `ledger`
//!    has them durably.
//! 3. It lets go ([`Hold::release`], or by dropping the [`Hold`]). Values that nobody holds any
//!    more, in any process, leave the zone; then they leave the ledger.
//! 4. What a crash leaves is found by [`Records::sweep`]: rows whose holders are all dead.
//!
//! A value is never removed while somebody alive holds it, and only values in the ledger are
//! ever removed, so that other people's records are safe.

mod announcement;
mod error;
mod hold;
mod ledger;
mod outcomes;
mod round;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

pub use announcement::Announcement;
pub use error::RecordsError;
pub use hold::{Hold, Leftover, Released, ZoneReport};
pub use ledger::{Holder, LedgerRow};
pub use sweep::Swept;

use crate::store::{OrderId, Store};
use announcement::Registry;
use dns01_provider::{Credential, CredentialName, Fqdn, TxtValue, Zone, ZoneName};
use hold::Part;
use ledger::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use writer::{Request, WriterHandle};

/// One TXT value to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The credential that writes it.
    pub credential: CredentialName,
    /// The zone it is written in.
    pub zone: Zone,
    /// Where.
    pub name: Fqdn,
    /// What.
    pub value: TxtValue,
    /// Seconds; the provider's smallest where that is more.
    pub ttl: u32,
    /// True for values that stay (dns-persist-01): they are written without the ledger and
    /// never removed by us.
    pub persistent: bool,
}

/// A writer's place: one credential in one zone.
pub(crate) type Place = (CredentialName, ZoneName);

/// The records that dns01 has out. Cheap to clone.
#[derive(Clone)]
pub struct Records(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    store: Store,
    /// Whoever may write, in order of preference, with the zones configured for it;
    /// none where it is for all that it serves.
    credentials: Arc<[(Credential, Vec<Zone>)]>,
    /// Those that stand for their names here, whatever others are called the same.
    chosen: Arc<[Credential]>,
    registry: Arc<Registry>,
    writers: Arc<Mutex<HashMap<Place, Vec<WriterOf>>>>,
    tracker: TaskTracker,
    /// No more records are taken.
    stop: CancellationToken,
    /// The writers end.
    end: CancellationToken,
}

/// A writer, and for whom it writes. A place has more than one where credentials that differ are
/// called the same; the lease of the place keeps their calls apart.
struct WriterOf {
    credential: Credential,
    zone: Zone,
    handle: WriterHandle,
}

impl Records {
    /// Writers run on `tracker`, each from its zone's first record on. When `stop` is
    /// cancelled they take no more records and remove what is let go at once; they end with
    /// [`Records::shutdown`] or the last clone.
    #[must_use]
    pub fn new(
        store: Store,
        credentials: impl IntoIterator<Item = Credential>,
        tracker: TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        Self::of_zones(store, credentials.into_iter().map(|one| (one, Vec::new())), tracker, stop)
    }

    /// The same where several credentials may be called the same, with the zones configured for
    /// each: what a crash has left is removed by the first of its name whose zones have it, else by
    /// one without zones. What the ledger says of a zone may be older than the configuration: a
    /// zone that was made anew has another id.
    #[must_use]
    pub fn of_zones(
        store: Store,
        credentials: impl IntoIterator<Item = (Credential, Vec<Zone>)>,
        tracker: TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let credentials = credentials.into_iter().collect();
        let (registry, writers) = (Arc::new(Registry::new()), Arc::default());
        // A shutdown of the records alone must not end the rest of the program.
        let (stop, end) = (stop.child_token(), CancellationToken::new());
        let chosen = Arc::default();
        Self(Arc::new(Shared { store, credentials, chosen, registry, writers, tracker, stop, end }))
    }

    /// The same records for orders that write through `chosen`, whatever else is called so.
    #[must_use]
    pub fn through(&self, chosen: Credential) -> Self {
        Self(Arc::new(Shared { chosen: Arc::new([chosen]), ..Shared::clone(&self.0) }))
    }

    /// Says that an order has started and will want records in some zone, or none. Writers
    /// that gather wait for it (for a quarter of a second at most), until its records arrive,
    /// [`Announcement::narrow`] says that it will not come to their zone, or it is dropped.
    #[must_use]
    pub fn announce(&self) -> Announcement {
        self.0.registry.announce()
    }

    /// Writes `records` for `order` and keeps them until the [`Hold`] is released or dropped.
    /// Returns when all are written.
    ///
    /// Dropped half-way, it releases what it has.
    ///
    /// # Errors
    /// The first failure among the zones; everything that was written is released.
    pub async fn hold(
        &self,
        order: &OrderId,
        announcement: Announcement,
        records: Vec<Record>,
    ) -> Result<Hold, RecordsError> {
        let mut hold = Hold::new();
        let mut answers = Vec::new();
        for (place, (zone, values)) in by_place(records) {
            let writer = self.writer(&place, &zone)?;
            let (part, answer) = Part::ask(place, writer, order, values)?;
            hold.add(part);
            answers.push(answer);
        }
        // Only now is it no longer waited for: its records are in the writers' queues.
        drop(announcement);
        for answer in answers {
            hold.report(answer.await.map_err(|_| RecordsError::ShuttingDown)??);
        }
        Ok(hold)
    }

    /// Writes `records` and keeps them until [`Records::remove_manually`], whatever becomes of
    /// this process.
    ///
    /// # Errors
    /// The first failure among the zones; what was written in others stays.
    pub async fn add_manually(&self, records: Vec<Record>) -> Result<Vec<ZoneReport>, RecordsError> {
        let mut answers = Vec::new();
        for (place, (zone, values)) in by_place(records) {
            let writer = self.writer(&place, &zone)?;
            let values = values.into();
            let (reply, answer) = oneshot::channel();
            writer.send(Request::HoldManually { values, reply })?;
            answers.push(answer);
        }
        let mut reports = Vec::with_capacity(answers.len());
        for answer in answers {
            reports.push(answer.await.map_err(|_| RecordsError::ShuttingDown)??);
        }
        Ok(reports)
    }

    /// Ends what [`Records::add_manually`] began for `records`. Values that are not in the
    /// ledger are left alone: they are not ours.
    ///
    /// # Errors
    /// A credential is unknown, or the writers have ended.
    pub async fn remove_manually(&self, records: Vec<Record>) -> Result<Released, RecordsError> {
        let mut released = Released::default();
        let mut answers = Vec::new();
        for (place, (zone, values)) in by_place(records) {
            let writer = self.writer(&place, &zone)?;
            let (reply, answer) = oneshot::channel();
            writer.send(Request::ReleaseManually { values, reply })?;
            answers.push(answer);
        }
        for answer in answers {
            released.add(answer.await.map_err(|_| RecordsError::ShuttingDown)?);
        }
        Ok(released)
    }

    /// Everything in the ledger, with its holders.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<LedgerRow>, RecordsError> {
        Ok(ledger::rows(&self.0.store).await?)
    }

    /// The writer of `place`, started if there is none.
    fn writer(&self, place: &Place, zone: &Zone) -> Result<WriterHandle, RecordsError> {
        let credential = match self.configured(place) {
            Some((credential, _)) => credential,
            None => return Err(RecordsError::UnknownCredential { credential: place.0.clone() }),
        };
        let mut writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let at_place = writers.entry(place.clone()).or_default();
        let is_it = |one: &&WriterOf| one.credential.is_clone_of(credential) && one.zone == *zone;
        if let Some(writer) = at_place.iter().find(is_it) {
            return Ok(writer.handle.clone());
        }
        let handle = writer::spawn(
            credential.clone(),
            zone.clone(),
            self.0.store.clone(),
            Arc::clone(&self.0.registry),
            (self.0.stop.clone(), self.0.end.clone()),
            &self.0.tracker,
        );
        let (credential, zone) = (credential.clone(), zone.clone());
        at_place.push(WriterOf { credential, zone, handle: handle.clone() });
        Ok(handle)
    }

    /// Who writes in `place`, and the zones configured for it.
    fn configured(&self, (name, zone): &Place) -> Option<(&Credential, &[Zone])> {
        let all = || self.0.credentials.iter().map(|(one, zones)| (one, zones.as_slice()));
        if let Some(chosen) = self.0.chosen.iter().find(|one| one.name() == name) {
            let found = all().find(|(one, _)| one.is_clone_of(chosen));
            return Some(found.unwrap_or((chosen, &[])));
        }
        let named = || all().filter(|(one, _)| one.name() == name);
        named()
            .find(|(_, zones)| zones.iter().any(|one| one.name == *zone))
            .or_else(|| named().find(|(_, zones)| zones.is_empty()))
            .or_else(|| named().next())
    }

    /// `zone`, which the ledger tells of, as the configuration has it now.
    fn as_configured(&self, place: &Place, zone: &Zone) -> Zone {
        match self.configured(place) {
            Some((_, [])) => Zone::named(zone.name.clone()),
            Some((_, zones)) => zones.iter().find(|one| one.name == zone.name).unwrap_or(zone).clone(),
            None => zone.clone(),
        }
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Records").field(&self.0.store).finish()
    }
}

fn by_place(records: Vec<Record>) -> BTreeMap<Place, (Zone, Vec<Value>)> {
    let mut places: BTreeMap<Place, (Zone, Vec<Value>)> = BTreeMap::new();
    for Record { credential, zone, name, value, ttl, persistent } in records {
        let place = (credential, zone.name.clone());
        let (_, values) = places.entry(place).or_insert_with(|| (zone, Vec::new()));
        values.push(Value { name, value, ttl, persistent });
    }
    places
}

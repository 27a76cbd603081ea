//! Sweeping: what dead processes left in their zones is removed, at start and at every exit.

use super::ledger::{Claim, RowId, Value};
use super::writer::Request;
use super::{Leftover, Place, Records, RecordsError, Released, ledger};
use crate::store::OwnerId;
use dns01_provider::Zone;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Removed from their zones, as the providers confirmed.
    pub removed: usize,
    /// Still in the ledger, with the reason.
    pub left: Vec<Leftover>,
}

/// What is abandoned in one zone.
struct Abandoned {
    zone: Zone,
    values: Vec<Value>,
    dead: BTreeSet<OwnerId>,
}

impl Records {
    /// Removes every value in the ledger that nobody alive holds. Values of credentials that
    /// are not configured stay, and are reported.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn sweep(&self) -> Result<Swept, RecordsError> {
        let mut swept = Swept::default();
        let mut answers = Vec::new();
        for (place, abandoned) in self.abandoned().await? {
            let writer = match self.writer(&place, &self.as_configured(&place, &abandoned.zone)) {
                Ok(writer) => writer,
                Err(error) => {
                    let mut released = Released::default();
                    released.leave(&place, &abandoned.values, &error.to_string());
                    swept.left.extend(released.left);
                    continue;
                }
            };
            let (reply, answer) = oneshot::channel();
            let rows = abandoned.values.into_iter();
            let rows = rows.map(|value| (RowId::new(&place, &value.name, &value.value), value)).collect();
            let claim = Claim::Dead(abandoned.dead.into_iter().collect());
            writer.send(Request::Sweep { rows, claim, reply })?;
            answers.push(answer);
        }
        for answer in answers {
            let released = answer.await.map_err(|_| RecordsError::ShuttingDown)?;
            swept.removed += released.removed;
            swept.left.extend(released.left);
        }
        self.0.store.bury_dead_owners().await?;
        Ok(swept)
    }

    /// Takes no more records, lets go of all that this process holds, removes what nobody
    /// holds and ends the writers, all within `patience`. What is left then stays in the
    /// ledger for the next start, and is returned.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn shutdown(&self, patience: Duration) -> Result<Swept, RecordsError> {
        let deadline = Instant::now() + patience;
        self.0.stop.cancel();
        let finished = tokio::time::timeout_at(deadline, async {
            let removed = self.release_all().await;
            let mut swept = self.sweep().await?;
            swept.removed += removed;
            Ok(swept)
        });
        let result = match finished.await {
            Ok(result) => result,
            Err(_) => self.left_behind().await,
        };
        self.0.end.cancel();
        result
    }

    /// Lets go of everything and returns how many values were removed; what could not be is
    /// found by the sweep that follows.
    async fn release_all(&self) -> usize {
        let writers: Vec<_> = {
            let writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
            writers.values().flatten().map(|one| one.handle.clone()).collect()
        };
        let mut answers = Vec::new();
        for writer in writers {
            let (reply, answer) = oneshot::channel();
            if writer.send(Request::ReleaseAll { reply }).is_ok() {
                answers.push(answer);
            }
        }
        let mut removed = 0;
        for answer in answers {
            removed += answer.await.map_or(0, |released| released.removed);
        }
        removed
    }

    /// What of ours is still in the ledger when the time is up.
    async fn left_behind(&self) -> Result<Swept, RecordsError> {
        let ours = self.0.store.owner().await?.id().clone();
        let mut released = Released::default();
        for row in ledger::rows(&self.0.store).await? {
            if row.is_abandoned() || row.is_held_by(&ours) {
                let value = Value {
                    name: row.name.clone(),
                    value: row.value.clone(),
                    ttl: row.ttl,
                    persistent: false,
                };
                released.leave(&row.place(), [&value], "its removal was not confirmed in time");
            }
        }
        Ok(Swept { removed: 0, left: released.left })
    }

    async fn abandoned(&self) -> Result<BTreeMap<Place, Abandoned>, RecordsError> {
        let mut places: BTreeMap<Place, Abandoned> = BTreeMap::new();
        for row in ledger::rows(&self.0.store).await? {
            if !row.is_abandoned() {
                continue;
            }
            let abandoned = places.entry(row.place()).or_insert_with(|| Abandoned {
                zone: row.zone.clone(),
                values: Vec::new(),
                dead: BTreeSet::new(),
            });
            abandoned.dead.extend(row.owners().cloned());
            abandoned.values.push(Value {
                name: row.name,
                value: row.value,
                ttl: row.ttl,
                persistent: false,
            });
        }
        Ok(places)
    }
}

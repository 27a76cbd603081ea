//! Leases: what only one may do at a time, across processes. A lease is held until it is let
//! go or its owner's process ends; then it is taken over at once.

use super::commit::Work;
use super::{OwnerId, Store, StoreError};
use sqlx::{AnyConnection, Row as _};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How soon a lease that is held is looked at again, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(25);
const SLOWEST_LOOK: Duration = Duration::from_millis(500);

/// A lease that is held. Dropping it lets it go a moment later; [`Lease::release`] waits for
/// that.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    turn: Turn,
    fence: i64,
    held: bool,
}

/// The leases that somebody in this process holds or claims. Only one at a time speaks for the
/// process, so that a row in its name is left over: the write that let it go has failed.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashSet<String>>);

/// The right to speak for this process about one lease.
#[derive(Debug)]
struct Turn {
    store: Store,
    name: String,
}

impl Turn {
    fn take(store: &Store, name: &str) -> Option<Self> {
        let taken = store.turns().0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        taken.then(|| Self { store: store.clone(), name: name.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.store.turns().0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Lease {
    /// Grows with every claim of the name, so that a later holder is told from an earlier one.
    #[must_use]
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Lets it go.
    ///
    /// # Errors
    /// The store cannot be written; the lease is then free when this process ends.
    pub async fn release(mut self) -> Result<(), StoreError> {
        self.held = false;
        let (name, fence) = (self.turn.name.clone(), self.fence);
        self.store.write(move |connection| Box::pin(let_go(connection, name, fence))).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held {
            let (name, fence) = (self.turn.name.clone(), self.fence);
            self.store.write_later(move |connection| Box::pin(let_go(connection, name, fence)));
        }
    }
}

async fn let_go(connection: &mut sqlx::AnyConnection, name: String, fence: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE leases SET owner = '' WHERE name = $1 AND fence = $2")
        .bind(name)
        .bind(fence)
        .execute(connection)
        .await?;
    Ok(())
}

fn nobody() -> OwnerId {
    OwnerId(String::new())
}

/// Claims the lease for `owner` if it is free, left over from `owner` itself, or `from`'s.
async fn claim(
    connection: &mut AnyConnection,
    name: String,
    owner: OwnerId,
    from: OwnerId,
) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "INSERT INTO leases (name, owner, fence) VALUES ($1, $2, 1) \
         ON CONFLICT (name) DO UPDATE SET owner = $2, fence = leases.fence + 1 \
         WHERE leases.owner IN ($2, $3, '') \
         RETURNING fence",
    )
    .bind(name)
    .bind(owner.0)
    .bind(from.0)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

impl Store {
    /// Claims `name`; `None` while somebody who lives holds it, this process included.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn lease(&self, name: &str) -> Result<Option<Lease>, StoreError> {
        let Some(turn) = Turn::take(self, name) else { return Ok(None) };
        if let Some(fence) = self.claim(name, nobody()).await? {
            return Ok(Some(self.held_lease(turn, fence)));
        }
        let Some(holder) = self.lease_holder(name).await? else { return Ok(None) };
        if self.is_alive(&holder)? {
            return Ok(None);
        }
        let fence = self.claim(name, holder).await?;
        Ok(fence.map(|fence| self.held_lease(turn, fence)))
    }

    /// Claims `name`, waiting for it until `deadline`; `None` if it was held all the time.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn wait_lease(&self, name: &str, deadline: Instant) -> Result<Option<Lease>, StoreError> {
        let mut pause = FIRST_LOOK;
        loop {
            if let Some(lease) = self.lease(name).await? {
                return Ok(Some(lease));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(SLOWEST_LOOK);
        }
    }

    /// Claims `name` if it is free and does `work` in the same transaction; `None`, and
    /// nothing done, if it is not free.
    pub(crate) async fn lease_with<T, F>(&self, name: &str, work: F) -> Result<Option<(Lease, T)>, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AnyConnection) -> Work<'c, T> + Send + 'static,
    {
        let Some(turn) = Turn::take(self, name) else { return Ok(None) };
        let owner = self.owner().await?.id().clone();
        let row = name.to_owned();
        let done = self
            .write(move |connection| {
                Box::pin(async move {
                    match claim(connection, row, owner, nobody()).await? {
                        Some(fence) => Ok(Some((fence, work(connection).await?))),
                        None => Ok(None),
                    }
                })
            })
            .await?;
        Ok(done.map(|(fence, result)| (self.held_lease(turn, fence), result)))
    }

    /// Takes the lease from `from`, whom the caller knows to be nobody or dead.
    async fn claim(&self, name: &str, from: OwnerId) -> Result<Option<i64>, StoreError> {
        let owner = self.owner().await?.id().clone();
        let row = name.to_owned();
        self.write(move |connection| Box::pin(claim(connection, row, owner, from))).await
    }

    fn held_lease(&self, turn: Turn, fence: i64) -> Lease {
        Lease { store: self.clone(), turn, fence, held: true }
    }

    fn turns(&self) -> &Turns {
        &self.0.turns
    }

    async fn lease_holder(&self, name: &str) -> Result<Option<OwnerId>, StoreError> {
        sqlx::query("SELECT owner FROM leases WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(self.reads())
            .await
            .and_then(|row| row.map(|row| row.try_get::<String, _>(0)).transpose())
            .map(|owner| owner.map(OwnerId))
            .map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{killed_process, open, temporary};
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn a_lease_has_one_holder_among_processes_and_within_one() {
        let (directory, store) = temporary().await;
        let other = open(directory.path()).await;
        let lease = store.lease("a").await.unwrap().unwrap();
        assert!(store.lease("a").await.unwrap().is_none());
        assert!(other.lease("a").await.unwrap().is_none());
        assert!(other.lease("b").await.unwrap().is_some());
        lease.release().await.unwrap();
        assert!(other.lease("a").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_dropped_lease_becomes_free() {
        let (directory, store) = temporary().await;
        let other = open(directory.path()).await;
        drop(store.lease("a").await.unwrap());
        assert!(other.wait_lease("a", soon()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_killed_holders_lease_is_taken_over_at_once() {
        let (directory, store) = temporary().await;
        let path = directory.path().to_path_buf();
        let killed = killed_process(move || async move {
            let store = open(&path).await;
            store.lease("a").await.unwrap().unwrap().fence()
        });
        let fence = killed.await;
        let lease = store.lease("a").await.unwrap().unwrap();
        assert!(lease.fence() > fence);
    }

    #[tokio::test]
    async fn an_old_holder_cannot_let_go_of_a_later_ones_lease() {
        let (_directory, store) = temporary().await;
        let first = store.lease("a").await.unwrap().unwrap();
        let fence = first.fence();
        first.release().await.unwrap();
        let _second = store.lease("a").await.unwrap().unwrap();
        let late = store.write(move |connection| Box::pin(let_go(connection, "a".to_owned(), fence)));
        late.await.unwrap();
        assert!(store.lease("a").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_lease_whose_release_was_not_written_is_free_to_its_own_process() {
        let (directory, store) = temporary().await;
        let other = open(directory.path()).await;
        let mut lease = store.lease("a").await.unwrap().unwrap();
        // As on a full disk, where the write that lets go fails.
        lease.held = false;
        drop(lease);
        assert!(other.lease("a").await.unwrap().is_none());
        let (again, ()) = store.lease_with("a", |_| Box::pin(async { Ok(()) })).await.unwrap().unwrap();
        assert!(store.lease("a").await.unwrap().is_none());
        again.release().await.unwrap();
        assert!(other.lease("a").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_lease_is_free_or_the_time_is_up() {
        let (_directory, store) = temporary().await;
        let lease = store.lease("a").await.unwrap().unwrap();
        let short = Instant::now() + Duration::from_millis(60);
        assert!(store.wait_lease("a", short).await.unwrap().is_none());
        let waiting = store.wait_lease("a", soon());
        let (waited, _) = tokio::join!(waiting, async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            lease.release().await.unwrap();
        });
        assert!(waited.unwrap().is_some());
    }

    #[tokio::test]
    async fn of_many_who_claim_at_once_one_gets_it() {
        let (directory, store) = temporary().await;
        let mut stores = vec![store];
        for _ in 0..3 {
            stores.push(open(directory.path()).await);
        }
        let claims = stores.iter().flat_map(|store| (0..4).map(|_| store.lease("a")));
        let claims = futures_util::future::join_all(claims).await;
        assert_eq!(claims.iter().filter(|claim| claim.as_ref().unwrap().is_some()).count(), 1);
    }

    #[tokio::test]
    async fn work_under_a_lease_is_done_only_with_it() {
        let (_directory, store) = temporary().await;
        let (lease, answer) = store.lease_with("a", |_| Box::pin(async { Ok(1) })).await.unwrap().unwrap();
        assert_eq!(answer, 1);
        let refused = store.lease_with("a", |_| Box::pin(async { Ok(2) })).await.unwrap();
        assert!(refused.is_none());
        lease.release().await.unwrap();
        let failed: Result<Option<(Lease, ())>, _> =
            store.lease_with("a", |_| Box::pin(async { Err(StoreError::Closed) })).await;
        assert!(failed.is_err());
        // What failed claimed nothing.
        assert!(store.lease("a").await.unwrap().is_some());
    }
}

//! What must survive a crash: accounts, certificates, orders in progress, the ledger's tables,
//! owners and leases, in one SQLite file of the state directory.
//!
//! | module | what stands there |
//! |---|---|
//! | `database` | opening, preparing and reading the file |
//! | `commit` | one task that writes in groups, each group one fsync |
//! | [`envelope`] | private keys, sealed before they are written |
//! | `modes` | what is open to others |
//! | [`owner`] | which processes are alive |
//! | [`leases`] | who may do what only one may do at a time |
//! | [`accounts`], [`certificates`], [`versions`], [`orders`], [`back_offs`] | the rows |
//!
//! Only what we alone know is stored; the rest is asked of the CA again.

pub mod accounts;
pub mod back_offs;
pub mod certificates;
mod commit;
mod database;
pub mod envelope;
mod error;
pub mod leases;
mod modes;
pub mod orders;
pub mod owner;
pub mod versions;

pub use accounts::{Account, AccountName, AccountStatus};
pub use back_offs::BackOff;
pub use certificates::{Certificate, Failure, RenewalInformation};
pub use envelope::KeyBytes;
pub use error::StoreError;
pub use leases::Lease;
pub use modes::{OpenToOthers, open_to_others};
pub use orders::{NewOrder, Order, OrderId, OrderState};
pub use owner::{Owner, OwnerId};
pub use versions::{NewVersion, Version, VersionSummary};

use crate::clock::Clock;
use commit::Commits;
use envelope::MasterKey;
use jiff::Timestamp;
use leases::Turns;
use sqlx::{AnyConnection, AnyPool};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

/// The store. Cheap to clone; all clones are one.
///
/// # Cancellation
/// Dropping a write's future half-way does not undo it: it may or may not have been committed.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    clock: Clock,
    reads: AnyPool,
    commits: Commits,
    master_key: OnceCell<MasterKey>,
    owner: OnceCell<Owner>,
    turns: Turns,
}

impl Store {
    /// Opens `dns01.db` in `directory`, making both where they are missing, readable by their
    /// owner only. The task that writes runs on `tracker` until the last clone is gone.
    ///
    /// # Errors
    /// The directory or file cannot be used; [`StoreError::hint`] says what to do about it.
    pub async fn open(directory: &Path, clock: Clock, tracker: &TaskTracker) -> Result<Self, StoreError> {
        let (writer, reads) = database::open(directory).await?;
        let commits = Commits::spawn(writer, directory.to_path_buf(), tracker);
        let master_key = OnceCell::new();
        let owner = OnceCell::new();
        let directory = directory.to_path_buf();
        let turns = Turns::default();
        Ok(Self(Arc::new(Inner { directory, clock, reads, commits, master_key, owner, turns })))
    }

    /// The state directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The clock that the store's times come from.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Ends this process's ownership in good order and closes the file. Later calls through
    /// other clones fail with [`StoreError::Closed`].
    ///
    /// # Errors
    /// The owner's row could not be removed.
    pub async fn close(&self) -> Result<(), StoreError> {
        let retired = match self.0.owner.get() {
            Some(owner) => self.retire(owner).await,
            None => Ok(()),
        };
        self.0.commits.close().await;
        self.0.reads.close().await;
        retired
    }

    /// Runs `work` in the next group of writes. What it returns is durable when this returns.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AnyConnection) -> commit::Work<'c, T> + Send + 'static,
    {
        self.0.commits.run(work).await
    }

    /// As [`Store::write`], without waiting for it: for guards that are dropped.
    pub(crate) fn write_later<F>(&self, work: F)
    where
        F: for<'c> FnOnce(&'c mut AnyConnection) -> commit::Work<'c, ()> + Send + 'static,
    {
        self.0.commits.run_later(work);
    }

    /// The pool that reads use.
    pub(crate) fn reads(&self) -> &AnyPool {
        &self.0.reads
    }

    pub(crate) fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::from_sqlx(&self.0.directory, error)
    }

    async fn master_key(&self) -> Result<&MasterKey, StoreError> {
        self.0.master_key.get_or_try_init(|| envelope::load(self)).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.directory.display())
    }
}

/// 128 random bits in hexadecimal.
fn random_id() -> String {
    let mut octets = [0; 16];
    aws_lc_rs::rand::fill(&mut octets).expect("the system has randomness");
    data_encoding::HEXLOWER.encode(&octets)
}

/// A time from its column.
pub(crate) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use futures_util::future::BoxFuture;
    use std::cell::RefCell;
    use std::future::Future;
    use tempfile::TempDir;

    type Effect = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

    thread_local! {
        static EFFECT: RefCell<Option<Effect>> = const { RefCell::new(None) };
    }

    /// From now on `effect` is awaited just before and just after each commit of the stores on
    /// this thread: one that never ends is a crash there.
    pub(crate) fn at_each_commit(effect: Effect) {
        EFFECT.set(Some(effect));
    }

    pub(super) async fn effect() {
        let effect = EFFECT.with_borrow(Clone::clone);
        if let Some(effect) = effect {
            effect().await;
        }
    }

    /// A store in a directory of its own, at a fixed time.
    pub(crate) async fn temporary() -> (TempDir, Store) {
        let directory = TempDir::new().unwrap();
        let store = open(directory.path()).await;
        (directory, store)
    }

    /// What a process does first.
    pub(crate) async fn open(directory: &Path) -> Store {
        let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
        Store::open(directory, clock, &TaskTracker::new()).await.unwrap()
    }

    /// Runs `life` as a process of its own that is killed at its end: its tasks stop where
    /// they are, and nothing that destructors ask for is done.
    pub(crate) async fn killed_process<T: Send + 'static, F: Future<Output = T>>(
        life: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        let process = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(life())
        });
        process.await.unwrap()
    }

    #[tokio::test]
    async fn a_closed_store_says_so() {
        let (_directory, store) = temporary().await;
        let other = store.clone();
        store.close().await.unwrap();
        assert!(matches!(other.set_order_url(&OrderId::random(), "x").await, Err(StoreError::Closed)));
        assert!(matches!(other.certificates().await, Err(StoreError::Closed)));
    }

    #[tokio::test]
    async fn what_was_queued_before_closing_is_written() {
        let (directory, store) = temporary().await;
        for number in 0..100 {
            let name = format!("certificate-{number}");
            store.write_later(move |connection| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO leases (name, owner, fence) VALUES ($1, '', 1)")
                        .bind(name)
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            });
        }
        store.close().await.unwrap();
        let store = open(directory.path()).await;
        let row = sqlx::query("SELECT COUNT(*) FROM leases").fetch_one(store.reads()).await.unwrap();
        assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), 100);
    }
}

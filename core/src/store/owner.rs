//! Owners: which processes are alive. Each holds a lock on `run/<owner>.lock` in the state
//! directory for its life; the system frees it at death, however that comes, and keeps it
//! while the process is merely stopped.

use super::{Store, StoreError};
use sqlx::Row as _;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Names an owner: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerId(pub(crate) String);

impl OwnerId {
    /// One that was written down before.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// This process, as far as the store is concerned. Dropped without [`Store::close`] it counts
/// as dead, and what it held is tidied up by whoever looks next.
#[derive(Debug)]
pub struct Owner {
    id: OwnerId,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Owner {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &OwnerId {
        &self.id
    }
}

impl Store {
    /// This process as an owner, made at the first call.
    ///
    /// # Errors
    /// The lock file or the row cannot be written.
    pub async fn owner(&self) -> Result<&Owner, StoreError> {
        self.0.owner.get_or_try_init(|| self.become_owner()).await
    }

    /// Whether `owner`'s process lives.
    ///
    /// # Errors
    /// The lock file is there but cannot be looked at; then it must not be taken for dead.
    pub fn is_alive(&self, owner: &OwnerId) -> Result<bool, StoreError> {
        let path = self.lock_path(owner);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StoreError::file(&path, error)),
        };
        // Shared, so that two who look at once do not take each other for the owner.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(StoreError::file(&path, error)),
        }
    }

    /// The owners in the database whose processes are gone.
    ///
    /// # Errors
    /// The table or a lock file cannot be read.
    pub async fn dead_owners(&self) -> Result<Vec<OwnerId>, StoreError> {
        let rows = sqlx::query("SELECT id FROM owners")
            .fetch_all(self.reads())
            .await
            .map_err(|error| self.failed(error))?;
        let mut dead = Vec::new();
        for row in rows {
            let id = OwnerId(row.try_get(0).map_err(|error| self.failed(error))?);
            if !self.is_alive(&id)? {
                dead.push(id);
            }
        }
        Ok(dead)
    }

    /// Forgets the dead owners that nothing refers to any more, with their lock files and the
    /// leases they left.
    ///
    /// # Errors
    /// As [`Store::dead_owners`], or the rows cannot be written.
    pub async fn bury_dead_owners(&self) -> Result<(), StoreError> {
        for owner in self.dead_owners().await? {
            let id = owner.clone();
            let gone = self
                .write(move |connection| {
                    Box::pin(async move {
                        sqlx::query("UPDATE leases SET owner = '' WHERE owner = $1")
                            .bind(id.0.clone())
                            .execute(&mut *connection)
                            .await?;
                        let buried = sqlx::query(
                            "DELETE FROM owners WHERE id = $1 \
                             AND NOT EXISTS (SELECT 1 FROM ledger_holders WHERE owner = $1)",
                        )
                        .bind(id.0)
                        .execute(connection)
                        .await?;
                        Ok(buried.rows_affected() > 0)
                    })
                })
                .await?;
            if gone {
                remove_if_there(&self.lock_path(&owner))?;
            }
        }
        Ok(())
    }

    async fn become_owner(&self) -> Result<Owner, StoreError> {
        let directory = self.directory().join("run");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| StoreError::file(&directory, error))?;
        let id = OwnerId(super::random_id());
        let path = self.lock_path(&id);
        let lock = locked_file(&path).map_err(|error| StoreError::file(&path, error))?;
        let (row, pid, now) = (id.0.clone(), i64::from(std::process::id()), self.clock().seconds());
        // The row comes after the lock: a row with a free lock means a dead owner.
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO owners (id, pid, started) VALUES ($1, $2, $3)")
                    .bind(row)
                    .bind(pid)
                    .bind(now)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await?;
        Ok(Owner { id, _lock: lock })
    }

    /// Takes `owner` out of the database unless it still holds records; then the row stays, so
    /// that the next sweep finds what is left.
    pub(super) async fn retire(&self, owner: &Owner) -> Result<(), StoreError> {
        let id = owner.id.0.clone();
        let gone = self
            .write(move |connection| {
                Box::pin(async move {
                    sqlx::query("UPDATE leases SET owner = '' WHERE owner = $1")
                        .bind(id.clone())
                        .execute(&mut *connection)
                        .await?;
                    let deleted = sqlx::query(
                        "DELETE FROM owners WHERE id = $1 \
                         AND NOT EXISTS (SELECT 1 FROM ledger_holders WHERE owner = $1)",
                    )
                    .bind(id)
                    .execute(connection)
                    .await?;
                    Ok(deleted.rows_affected() > 0)
                })
            })
            .await?;
        if gone { remove_if_there(&self.lock_path(&owner.id)) } else { Ok(()) }
    }

    fn lock_path(&self, owner: &OwnerId) -> PathBuf {
        self.directory().join("run").join(format!("{}.lock", owner.0))
    }
}

/// A new file under an exclusive lock. It is looked at again afterwards, because somebody who
/// tidies up may have taken it away between its making and its locking.
fn locked_file(path: &Path) -> std::io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
        }
        if fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino())) {
            return Ok(file);
        }
    }
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::file(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{killed_process, open, temporary};
    use super::*;

    /// A process that becomes an owner and is killed.
    async fn killed_owner(directory: &Path) -> OwnerId {
        let directory = directory.to_path_buf();
        killed_process(move || async move {
            let store = open(&directory).await;
            let id = store.owner().await.unwrap().id().clone();
            assert!(store.is_alive(&id).unwrap());
            id
        })
        .await
    }

    #[tokio::test]
    async fn an_owner_lives_as_long_as_its_process() {
        let (directory, store) = temporary().await;
        let ours = store.owner().await.unwrap().id().clone();
        let killed = killed_owner(directory.path()).await;
        let other = open(directory.path()).await;
        assert!(other.is_alive(&ours).unwrap());
        assert!(!other.is_alive(&killed).unwrap());
        assert_eq!(other.dead_owners().await.unwrap(), [killed]);
    }

    #[tokio::test]
    async fn looking_at_an_owner_does_not_keep_it_alive() {
        let (directory, store) = temporary().await;
        let killed = killed_owner(directory.path()).await;
        let looking = File::open(store.lock_path(&killed)).unwrap();
        looking.try_lock_shared().unwrap();
        assert!(!store.is_alive(&killed).unwrap());
    }

    #[tokio::test]
    async fn the_dead_are_buried_and_the_living_are_not() {
        let (directory, store) = temporary().await;
        let ours = store.owner().await.unwrap().id().clone();
        let killed = killed_owner(directory.path()).await;
        store.bury_dead_owners().await.unwrap();
        assert!(!store.lock_path(&killed).exists());
        assert!(store.is_alive(&ours).unwrap());
        let rows = sqlx::query("SELECT id FROM owners").fetch_all(store.reads()).await.unwrap();
        assert_eq!(rows.len(), 1);
    }

    #[tokio::test]
    async fn a_closed_store_leaves_no_owner_behind() {
        let (directory, store) = temporary().await;
        let path = store.lock_path(store.owner().await.unwrap().id());
        assert!(path.exists());
        store.close().await.unwrap();
        assert!(!path.exists());
        let store = open(directory.path()).await;
        assert!(sqlx::query("SELECT id FROM owners").fetch_all(store.reads()).await.unwrap().is_empty());
    }
}

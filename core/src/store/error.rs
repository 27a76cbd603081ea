//! Why the store could not do what was asked.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the store. Cheap to clone, since one failed group of writes fails several
/// callers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The state directory or a file in it cannot be made or read.
    #[error("cannot use `{}`", path.display())]
    File {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The place is mounted read-only, or not ours to write.
    #[error("the state directory `{}` is read-only", path.display())]
    ReadOnly {
        /// The state directory.
        path: PathBuf,
    },
    /// No space is left.
    #[error("the disk that holds `{}` is full", path.display())]
    DiskFull {
        /// The state directory.
        path: PathBuf,
    },
    /// `dns01.db` is something else, or damaged.
    #[error("`{}` is damaged, or not a dns01 database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version of the program.
    #[error("`{}` was written by a newer dns01 (schema {found}, this one knows {known})", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// Another process kept the file locked for too long.
    #[error("the database in `{}` stayed locked by another process", path.display())]
    Busy {
        /// The state directory.
        path: PathBuf,
    },
    /// The database holds sealed keys, but the master key is gone.
    #[error("the master key `{}` is missing", path.display())]
    MasterKeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The master key does not open what is in the database.
    #[error("the master key `{}` is not the one this database was sealed with", path.display())]
    WrongMasterKey {
        /// The key file.
        path: PathBuf,
    },
    /// A sealed value does not open: it was moved, changed or sealed with another key.
    #[error("the sealed value in {table}.{column} of `{row}` does not open")]
    Unsealable {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// The column.
        column: &'static str,
    },
    /// A row does not hold what its table promises.
    #[error("a row of {table} is malformed: {reason}")]
    Malformed {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that should be there is not.
    #[error("there is no {kind} `{name}`")]
    Missing {
        /// The kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// Anything else the database says.
    #[error("the database failed")]
    Database {
        /// What it said.
        source: Arc<sqlx::Error>,
    },
}

impl StoreError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::File { path, source } => match source.kind() {
                ErrorKind::PermissionDenied => {
                    format!("check that `{}` belongs to the user that runs dns01", path.display())
                }
                ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                    "it is no directory: name one with --state-dir or DNS01_STATE_DIR".to_owned()
                }
                _ => "name a directory that can be made, with --state-dir or DNS01_STATE_DIR".to_owned(),
            },
            Self::ReadOnly { .. } => {
                "name a directory that can be written, with --state-dir or DNS01_STATE_DIR".to_owned()
            }
            Self::DiskFull { .. } => "free some space and run the same command again".to_owned(),
            Self::NotADatabase { path } => {
                format!("move `{}` away, or restore it from a backup", path.display())
            }
            Self::NewerSchema { .. } => "run the newer dns01, or restore the older database".to_owned(),
            Self::Busy { .. } => "look for a dns01 process that is stuck".to_owned(),
            Self::MasterKeyMissing { path } | Self::WrongMasterKey { path } => format!(
                "restore `{}` from the backup the database belongs to; without it the stored keys are lost",
                path.display()
            ),
            Self::Unsealable { .. } | Self::Malformed { .. } => {
                "restore the state directory from a backup".to_owned()
            }
            Self::Missing { .. } | Self::Closed | Self::Database { .. } => return None,
        })
    }

    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            std::io::ErrorKind::StorageFull => Self::DiskFull { path },
            _ => Self::File { path, source: Arc::new(source) },
        }
    }

    /// A database error, told by SQLite's result codes (<https://sqlite.org/rescode.html>).
    pub(super) fn from_sqlx(directory: &Path, error: sqlx::Error) -> Self {
        Self::from(error).located(directory)
    }

    /// Turns what the database said inside a write into what it means for this directory.
    pub(super) fn located(self, directory: &Path) -> Self {
        let Self::Database { source } = &self else {
            return self;
        };
        let path = directory.to_path_buf();
        let code = source
            .as_database_error()
            .and_then(|error| error.code())
            .and_then(|code| code.parse::<i32>().ok());
        // SQLITE_IOERR_SHMSIZE: there is no room for the file that readers and writers share.
        if code == Some(4874) {
            return Self::DiskFull { path };
        }
        // The low octet is the primary code.
        match (code.map(|code| code & 0xff), source.as_ref()) {
            (Some(5 | 6), _) => Self::Busy { path },
            (Some(8), _) => Self::ReadOnly { path },
            (Some(13), _) => Self::DiskFull { path },
            (Some(11 | 26), _) => Self::NotADatabase { path: path.join(super::database::FILE) },
            (_, sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed) => Self::Closed,
            _ => self,
        }
    }

    pub(crate) fn malformed(table: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Malformed { table, reason: reason.to_string() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        Self::Database { source: Arc::new(source) }
    }
}

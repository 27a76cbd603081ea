//! Opening the file: its directory, its modes, its settings, its schema.

use super::StoreError;
use sqlx::Connection as _;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Executor as _, SqlSafeStr as _};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::str::FromStr as _;

/// The database's file name.
pub(super) const FILE: &str = "dns01.db";

/// Connections that read. Reads are short; two keep one slow listing from holding up an order.
const READERS: u32 = 2;

/// WAL lets readers go on while one writes; FULL makes a commit durable before it returns;
/// the small cache keeps the memory for certificates.
const SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
    PRAGMA synchronous = FULL; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;";

/// The connection that writes, and the pool that reads.
pub(super) async fn open(directory: &Path) -> Result<(AnyConnection, AnyPool), StoreError> {
    make_directory(directory)?;
    let file = directory.join(FILE);
    // Made before SQLite would, which asks for 0644; its -wal and -shm files copy the mode.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&file)
        .map_err(|source| StoreError::file(directory, source))?;
    sqlx::any::install_default_drivers();
    let failed = |error| StoreError::from_sqlx(directory, error);
    let options =
        sqlx::any::AnyConnectOptions::from_str(&address(&file)?).map_err(failed)?.disable_statement_logging();
    let mut writer = options.connect().await.map_err(failed)?;
    writer.execute(SETTINGS).await.map_err(failed)?;
    migrate(directory, &mut writer).await?;
    let reads = AnyPoolOptions::new()
        .max_connections(READERS)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SETTINGS).await.map(drop) }))
        .connect_lazy_with(options);
    Ok((writer, reads))
}

fn make_directory(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| StoreError::file(directory, source))
}

/// The file as a `sqlite:` URL; a file URL's path part encodes `?`, `#` and blanks.
fn address(file: &Path) -> Result<String, StoreError> {
    let absolute = std::path::absolute(file).map_err(|source| StoreError::file(file, source))?;
    let url = url::Url::from_file_path(&absolute)
        .map_err(|()| StoreError::file(file, std::io::Error::from(std::io::ErrorKind::InvalidFilename)))?;
    Ok(format!("sqlite://{}?mode=rw", url.path()))
}

fn migrator() -> Migrator {
    Migrator::with_migrations(vec![Migration::new(
        1,
        "the first tables".into(),
        MigrationType::Simple,
        include_str!("schema.sql").into_sql_str(),
        false,
    )])
}

/// Brings the schema up to date. All of it is one immediate transaction, because two
/// processes may start at once and SQLite has no migration lock of its own.
async fn migrate(directory: &Path, writer: &mut AnyConnection) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_sqlx(directory, error);
    let migrator = migrator();
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let result = migrator.run_direct(None, &mut *transaction, false).await;
    match result {
        Ok(()) => transaction.commit().await.map_err(failed),
        Err(MigrateError::VersionMissing(found)) => {
            Err(StoreError::NewerSchema { path: directory.join(FILE), found, known })
        }
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(failed(error)),
        Err(_) => Err(StoreError::NotADatabase { path: directory.join(FILE) }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open as open_store, temporary};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    async fn refusal(directory: &Path) -> StoreError {
        open(directory).await.map(drop).unwrap_err()
    }

    #[tokio::test]
    async fn directory_and_files_are_for_their_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("with blank?").join("state#1");
        let store = open_store(&directory).await;
        store.owner().await.unwrap();
        assert_eq!(mode(&directory), 0o700);
        for file in ["dns01.db", "dns01.db-wal", "dns01.db-shm"] {
            assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
        }
    }

    #[tokio::test]
    async fn processes_that_start_together_prepare_the_file_once() {
        let directory = tempfile::tempdir().unwrap();
        let stores = (0..8).map(|_| open_store(directory.path()));
        let stores = futures_util::future::join_all(stores).await;
        for store in &stores {
            assert!(store.certificates().await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn the_file_is_synced_at_every_commit() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, _) = open(directory.path()).await.unwrap();
        for (setting, expected) in [("PRAGMA synchronous", 2_i64), ("PRAGMA busy_timeout", 10_000)] {
            let row = sqlx::query(setting).fetch_one(&mut writer).await.unwrap();
            assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), expected, "{setting}");
        }
    }

    #[tokio::test]
    async fn something_that_is_no_database_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        std::fs::write(&file, "my shopping list, which is longer than a header".repeat(20)).unwrap();
        let before = std::fs::read(&file).unwrap();
        let error = refusal(directory.path()).await;
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
        assert!(error.hint().is_some());
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[tokio::test]
    async fn a_file_of_a_newer_program_is_left_alone() {
        let (directory, store) = temporary().await;
        store
            .write(|connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                         execution_time) VALUES (99, 'later', TRUE, X'00', 0)",
                    )
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
            .unwrap();
        let error = refusal(directory.path()).await;
        assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 1, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = refusal(&file.join("state")).await;
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        assert!(error.hint().is_some());
    }
}

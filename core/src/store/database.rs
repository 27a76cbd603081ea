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

//! The store as a test changes it behind the program's back.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use std::path::Path;

/// Executes one statement, which must change one row.
#[track_caller]
pub(crate) fn execute(database: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(database);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let done = sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
        done.rows_affected()
    });
    assert_eq!(rows, 1, "{statement}");
}

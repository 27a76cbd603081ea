//! One task commits all writes, in groups: while one group is written and synced the next one
//! gathers, so that a thousand small writes cost a handful of fsyncs.

use super::StoreError;
use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, Executor as _};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// The most writes that one transaction carries.
const LARGEST_GROUP: usize = 512;

/// What a write does with the connection that it is lent inside the group's transaction.
pub(crate) type Work<'c, T> = BoxFuture<'c, Result<T, StoreError>>;

/// The way to the task that writes.
pub(super) struct Commits(mpsc::UnboundedSender<Message>);

enum Message {
    Write(Box<dyn Write>),
    Close(oneshot::Sender<()>),
}

/// One write, its result type hidden.
trait Write: Send {
    /// Does the work; false when it failed, so that the group undoes it.
    fn carry_out<'c>(
        &'c mut self,
        connection: &'c mut AnyConnection,
        directory: &'c Path,
    ) -> BoxFuture<'c, bool>;
    /// Tells the caller, once the group is durable or has failed.
    fn conclude(self: Box<Self>, group: Result<(), StoreError>);
}

struct Pending<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: Option<oneshot::Sender<Result<T, StoreError>>>,
}

impl<T, F> Write for Pending<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut AnyConnection) -> Work<'c, T> + Send + 'static,
{
    fn carry_out<'c>(
        &'c mut self,
        connection: &'c mut AnyConnection,
        directory: &'c Path,
    ) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let work = self.work.take().expect("a write is carried out once");
            let result = work(connection).await.map_err(|error| error.located(directory));
            let done = result.is_ok();
            self.result = Some(result);
            done
        })
    }

    fn conclude(self: Box<Self>, group: Result<(), StoreError>) {
        let result = match (self.result, group) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        if let Some(reply) = self.reply {
            // A caller that has gone away does not need the answer.
            let _ = reply.send(result);
        }
    }
}

impl Commits {
    pub(super) fn spawn(connection: AnyConnection, directory: PathBuf, tracker: &TaskTracker) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tracker.spawn(write_groups(connection, directory, receiver));
        Self(sender)
    }

    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AnyConnection) -> Work<'c, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let write = Pending { work: Some(work), result: None, reply: Some(reply) };
        self.0.send(Message::Write(Box::new(write))).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn run_later<F>(&self, work: F)
    where
        F: for<'c> FnOnce(&'c mut AnyConnection) -> Work<'c, ()> + Send + 'static,
    {
        let write = Pending { work: Some(work), result: None, reply: None };
        // Closed already: what this would have tidied up, the next start tidies up.
        let _ = self.0.send(Message::Write(Box::new(write)));
    }

    /// Waits for everything queued before and ends the task.
    pub(super) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Message::Close(reply)).is_ok() {
            let _ = answer.await;
        }
    }
}

async fn write_groups(
    mut connection: AnyConnection,
    directory: PathBuf,
    mut queue: mpsc::UnboundedReceiver<Message>,
) {
    let mut messages = Vec::new();
    let mut closed = None;
    while closed.is_none() && queue.recv_many(&mut messages, LARGEST_GROUP).await > 0 {
        let mut group = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Write(write) => group.push(write),
                Message::Close(reply) => closed = Some(reply),
            }
        }
        if !group.is_empty() {
            write_group(&mut connection, &directory, group).await;
        }
    }
    // SQLite folds the WAL back into the file when the last connection closes.
    let _ = sqlx::Connection::close(connection).await;
    if let Some(reply) = closed {
        let _ = reply.send(());
    }
}

async fn write_group(connection: &mut AnyConnection, directory: &Path, mut group: Vec<Box<dyn Write>>) {
    let outcome = commit_group(connection, directory, &mut group).await.map_err(|error| {
        tracing::debug!(%error, writes = group.len(), "a group of writes failed");
        StoreError::from_sqlx(directory, error)
    });
    if outcome.is_err() {
        // Fails when the database has rolled back by itself, as it does on a full disk.
        let _ = connection.execute("ROLLBACK").await;
    }
    for write in group {
        write.conclude(outcome.clone());
    }
}

/// Each write stands in a savepoint, so that one that fails takes only itself back. One open
/// savepoint is moved along the group: that is one statement a write, and none for a lone one.
async fn commit_group(
    connection: &mut AnyConnection,
    directory: &Path,
    group: &mut [Box<dyn Write>],
) -> Result<(), sqlx::Error> {
    connection.execute("BEGIN IMMEDIATE").await?;
    let alone = group.len() == 1;
    if !alone {
        connection.execute("SAVEPOINT one_write").await?;
    }
    for write in group.iter_mut() {
        let done = write.carry_out(connection, directory).await;
        match (done, alone) {
            (true, true) => {}
            (false, true) => return connection.execute("ROLLBACK").await.map(drop),
            (true, false) => {
                connection.execute("RELEASE SAVEPOINT one_write; SAVEPOINT one_write").await?;
            }
            (false, false) => {
                connection.execute("ROLLBACK TO SAVEPOINT one_write").await?;
            }
        }
    }
    connection.execute("COMMIT").await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::temporary;
    use super::super::{Store, StoreError};
    use sqlx::Row as _;

    async fn insert(store: &Store, name: String) -> Result<(), StoreError> {
        let work = store.write(move |connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO leases (name, owner, fence) VALUES ($1, '', 1)")
                    .bind(format!("{name} first"))
                    .execute(&mut *connection)
                    .await?;
                sqlx::query("INSERT INTO leases (name, owner, fence) VALUES ($1, '', 1)")
                    .bind(name)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
        work.await
    }

    async fn names(store: &Store) -> Vec<String> {
        let rows = sqlx::query("SELECT name FROM leases ORDER BY name").fetch_all(store.reads());
        rows.await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test]
    async fn a_write_that_fails_takes_back_itself_and_no_neighbour() {
        let (_directory, store) = temporary().await;
        insert(&store, "b".to_owned()).await.unwrap();
        // The second of five meets the row that is there; all are one group.
        let writes = ["a", "b", "c", "d", "b"].map(|name| insert(&store, name.to_owned()));
        let results = futures_util::future::join_all(writes).await;
        let succeeded: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(succeeded, [true, false, true, true, false]);
        let expected = ["a", "a first", "b", "b first", "c", "c first", "d", "d first"];
        assert_eq!(names(&store).await, expected);
    }

    #[tokio::test]
    async fn a_lone_write_that_fails_leaves_nothing() {
        let (_directory, store) = temporary().await;
        insert(&store, "a".to_owned()).await.unwrap();
        assert!(insert(&store, "a first".to_owned()).await.is_err());
        assert_eq!(names(&store).await, ["a", "a first"]);
        insert(&store, "b".to_owned()).await.unwrap();
    }

    #[tokio::test]
    async fn the_task_ends_with_the_last_clone() {
        let directory = tempfile::tempdir().unwrap();
        let tracker = tokio_util::task::TaskTracker::new();
        let clock = crate::clock::Clock::system();
        let store = Store::open(directory.path(), clock, &tracker).await.unwrap();
        drop(store.clone());
        insert(&store, "a".to_owned()).await.unwrap();
        drop(store);
        tracker.close();
        tokio::time::timeout(std::time::Duration::from_secs(10), tracker.wait()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thousand_writes_at_once_are_all_durable() {
        let (directory, store) = temporary().await;
        let writes = (0..1000).map(|number| insert(&store, format!("{number:04}")));
        let results = futures_util::future::join_all(writes).await;
        assert!(results.iter().all(Result::is_ok));
        let copy = super::super::tests::open(directory.path()).await;
        assert_eq!(names(&copy).await.len(), 2000);
    }
}

//! One run of the program: every room opened, and closed in good order.

use crate::clock::Clock;
use crate::deploy::LiveDirectory;
use crate::dns::{Dns, DnsSettings};
use crate::event::Events;
use crate::issue::{BoundCredential, Context, Routes};
use crate::records::{Leftover, Records, RecordsError, Swept};
use crate::store::{Store, StoreError};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything opened. [`Session::close`] must be called at the end, however it comes: what is
/// not closed is cleaned up by the next run.
#[derive(Debug)]
pub struct Session {
    /// What every order is handed.
    pub context: Context,
    /// The rooms' own tasks; they end with the session, not with the first signal.
    rooms: CancellationToken,
    tracker: TaskTracker,
    sweep: JoinHandle<Result<Swept, RecordsError>>,
}

/// Why nothing could be begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
        }
    }
}

impl Session {
    /// Opens the store in `state`, the zone writers and the DNS. What dead processes left in
    /// the zones is removed beside whatever comes next. When `cancel` is cancelled, orders
    /// stop; their records are still removed.
    ///
    /// # Errors
    /// [`SessionError`]; nothing is left open then.
    pub async fn open(
        state: &Path,
        resolvers: Vec<SocketAddr>,
        credentials: Vec<BoundCredential>,
        events: Events,
        clock: Clock,
        cancel: CancellationToken,
    ) -> Result<Self, SessionError> {
        let tracker = TaskTracker::new();
        let rooms = CancellationToken::new();
        let store = Store::open(state, clock, &tracker).await?;
        let settings = DnsSettings { resolvers, ..DnsSettings::default() };
        let dns = Dns::new(settings, tracker.clone(), rooms.clone());
        let routes = Routes::new(credentials);
        let records = Records::new(store.clone(), routes.credentials().cloned(), tracker.clone(), &rooms);
        let sweep = tracker.spawn({
            let records = records.clone();
            async move { records.sweep().await }
        });
        let live = LiveDirectory::below(state);
        let context = Context::new(store, records, dns, routes, live, events, tracker.clone(), cancel);
        Ok(Self { context, rooms, tracker, sweep })
    }

    /// Removes what is still to be removed, within `patience`, and closes everything. Returns
    /// the records that still stand; they stay in the ledger.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub async fn close(self, patience: Duration) -> Result<Vec<Leftover>, RecordsError> {
        let swept_at_start = tokio::time::timeout(patience, self.sweep).await;
        if let Ok(Ok(Err(error))) = swept_at_start {
            tracing::warn!(%error, "what an earlier run left was not removed");
        }
        let swept = self.context.records.shutdown(patience).await;
        self.rooms.cancel();
        let closed = self.context.store.close().await;
        self.tracker.close();
        drop(self.context);
        // Whatever still runs was told to end; nothing it could do matters any more.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tracker.wait()).await;
        closed?;
        Ok(swept?.left)
    }
}

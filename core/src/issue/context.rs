//! What every order is handed, and what it hands back.

use super::route::Routes;
use crate::authority::Authority;
use crate::clock::Clock;
use crate::config::CertificateConfig;
use crate::deploy::LiveDirectory;
use crate::dns::Dns;
use crate::event::Events;
use crate::keys::CertificateRequest;
use crate::plan::Renewal;
use crate::records::Records;
use crate::store::Store;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Orders under way at once: more than requests to the CA, so that the orders of a zone can be
/// published together (a zone of a thousand costs a handful of UPDATEs, and the slowest of its
/// name servers is waited for once), and few enough to bound the memory: 40 KiB each.
pub const ORDERS_AT_ONCE: usize = 550;

/// What every order is handed. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// What survives a crash.
    pub store: Store,
    /// The zone writers.
    pub records: Records,
    /// The DNS as the public sees it.
    pub dns: Dns,
    /// Which credential writes where.
    pub routes: Routes,
    /// Where the files go.
    pub live: LiveDirectory,
    /// What time it is.
    pub clock: Clock,
    /// Who is told.
    pub events: Events,
    /// Tasks that outlive an order run here.
    pub tasks: TaskTracker,
    /// Cancelled when the program is to stop.
    pub cancel: CancellationToken,
    places: Arc<Semaphore>,
}

impl Context {
    /// A context of these parts.
    #[expect(clippy::too_many_arguments, reason = "each part is one room's handle, named at the one call")]
    #[must_use]
    pub fn new(
        store: Store,
        records: Records,
        dns: Dns,
        routes: Routes,
        live: LiveDirectory,
        events: Events,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let clock = store.clock().clone();
        let places = Arc::new(Semaphore::new(ORDERS_AT_ONCE));
        Self { store, records, dns, routes, live, clock, events, tasks, cancel, places }
    }

    pub(super) async fn place_for_an_order(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("the semaphore is never closed")
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("store", &self.store)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// A certificate that is to be obtained now.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is wanted.
    pub certificate: CertificateConfig,
    /// The CA to obtain it from.
    pub authority: Arc<Authority>,
    /// What the store is to remember of it, as JSON of the caller's: enough to renew it.
    pub remembered: String,
    /// The user's own request, instead of a key of ours.
    pub csr: Option<CertificateRequest>,
    /// Ask although the CA wants to be left alone: a person insists.
    pub force: bool,
    /// Prove the names ahead of the order, where the CA lets one (RFC 8555 §7.4.1).
    pub pre_authorize: bool,
    /// The time the whole order may take.
    pub timeout: Duration,
}

impl Request {
    /// The names as ordered, `*.` in front of wildcards, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.certificate.domains.iter().map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// A certificate in place.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its name.
    pub certificate: String,
    /// Its version; 1 is the first.
    pub version: i64,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// The issuer's common name.
    pub issuer: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// When it will be renewed.
    pub renewal: Renewal,
    /// Where its files are.
    pub directory: PathBuf,
    /// True if another process obtained it while this one waited.
    pub by_another_process: bool,
}

//! One walk through the corridor: what its stages share, how it begins and how it ends.

use super::context::{Context, Issued, Request};
use super::error::{IssueError, LeftBehind};
use crate::acme;
use crate::event::{CertificateEvents, Happening, Outcome, Step, StepWatch};
use crate::plan;
use crate::records::{Announcement, Hold};
use crate::store::{AccountName, Lease};
use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The most time that removing the records may hold up the end of an order.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);

/// One walk through the corridor.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) request: &'a Request,
    pub(super) names: Vec<String>,
    pub(super) events: CertificateEvents,
    pub(super) account: acme::Account,
    pub(super) account_name: AccountName,
    pub(super) deadline: Instant,
    pub(super) announcement: Announcement,
    hold: Mutex<Option<Hold>>,
    removal: Mutex<Option<JoinHandle<Removed>>>,
    journal: Mutex<Vec<serde_json::Value>>,
    /// One order at a time for an account and a set of names: some CAs answer two with the
    /// same pending order, and the second finalize would get the other's key.
    lease: Lease,
}

/// What became of the records.
struct Removed {
    watch: StepWatch,
    removed: usize,
    left: Vec<LeftBehind>,
}

pub(super) enum Begun<'a> {
    Run(Box<Run<'a>>),
    AnotherProcessDid(Issued),
}

impl<'a> Run<'a> {
    /// Waits for its turn. Where another process obtained the same certificate meanwhile, there
    /// is nothing left to do.
    pub(super) async fn begin(
        context: &'a Context,
        request: &'a Request,
        announcement: Announcement,
    ) -> Result<Begun<'a>, IssueError> {
        let names = request.names();
        let name = request.certificate.name.as_str();
        let events = context.events.of(name);
        let deadline = Instant::now() + request.timeout;
        let before = context.store.certificate(name).await?.and_then(|c| c.current).map(|v| v.number);
        let account_name = request.authority.account_name();
        let lease_name = format!("order {} {}", account_name, names.join(" "));
        let (lease, waited) = match context.store.lease(&lease_name).await? {
            Some(lease) => (lease, false),
            None => {
                events.warn("another process is obtaining a certificate for these names; waiting for it");
                let lease = context.store.wait_lease(&lease_name, deadline).await?;
                (lease.ok_or(IssueError::Busy)?, true)
            }
        };
        if waited && let Some(issued) = obtained_since(context, request, before).await? {
            lease.release().await?;
            return Ok(Begun::AnotherProcessDid(issued));
        }
        if let Some(back_off) = context.store.back_off(request.authority.directory()).await? {
            return Err(IssueError::BackOff { ca: request.authority.name().to_string(), back_off });
        }
        let account = request.authority.account(&context.store).await?;
        let run = Self {
            context,
            request,
            names,
            events,
            account,
            account_name,
            deadline,
            announcement,
            hold: Mutex::new(None),
            removal: Mutex::new(None),
            journal: Mutex::new(Vec::new()),
            lease,
        };
        Ok(Begun::Run(Box::new(run)))
    }

    pub(super) fn certificate(&self) -> &str {
        self.request.certificate.name.as_str()
    }

    /// Writes the end of a step down and tells it.
    pub(super) fn finish(&self, watch: StepWatch, outcome: Outcome) {
        let entry = serde_json::json!({
            "step": watch.step(),
            "seconds": watch.seconds(),
            "outcome": outcome,
        });
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        watch.done(outcome);
    }

    /// What the steps so far came to, for the store.
    pub(super) fn journal(&self) -> String {
        let entries = self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serde_json::Value::Array(entries).to_string()
    }

    /// Keeps `hold` until the CA has looked.
    pub(super) fn keep(&self, hold: Hold) {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
    }

    /// Starts taking the records away, beside whatever comes next.
    pub(super) fn remove_records(&self) {
        let held = self.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(hold) = held else { return };
        let watch = self.events.begin(Step::CleanUp);
        let task = self.context.tasks.spawn(async move {
            let released = hold.release(Instant::now() + REMOVAL_PATIENCE).await;
            Removed {
                watch,
                removed: released.removed,
                left: released.left.into_iter().map(LeftBehind::from).collect(),
            }
        });
        *self.removal.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Waits until the records are gone; says which are not.
    async fn records_removed(&self) -> Vec<LeftBehind> {
        self.remove_records();
        let task = self.removal.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return Vec::new() };
        let Removed { watch, removed, left } = task.await.expect("a removal does not panic");
        let outcome = Outcome::Removed { values: removed, left: left.len() };
        self.finish(watch, outcome);
        left
    }

    /// Ends the walk: records removed, failure remembered, turn given on.
    pub(super) async fn end(self: Box<Self>, walked: Result<Issued, IssueError>) -> Result<Issued, IssueError> {
        self.announcement.withdraw();
        let left = self.records_removed().await;
        if let (Ok(_), false) = (&walked, left.is_empty()) {
            for record in &left {
                self.events.warn(format!("{record} could not be removed now; `dns01 txt gc` tries again"));
            }
        }
        let walked = walked.map_err(|error| error.leaving(left));
        if let Err(error) = &walked {
            self.remember(error).await;
        }
        // A lease that is not given back ends with this process; what it guarded is done.
        if let Err(error) = self.lease.release().await {
            tracing::warn!(%error, "the turn for these names was not given back");
        }
        walked
    }

    async fn remember(&self, error: &IssueError) {
        let store = &self.context.store;
        let now = self.context.clock.now();
        if let Some(back_off) = error.back_off(now) {
            let stored = store.set_back_off(self.request.authority.directory(), &back_off).await;
            log_if_lost(stored);
        }
        if matches!(error, IssueError::Interrupted) {
            return;
        }
        let attempts = match store.certificate(self.certificate()).await {
            Ok(certificate) => certificate.and_then(|c| c.failure).map_or(0, |failure| failure.attempts),
            Err(_) => 0,
        };
        let next_try = (now + plan::pause_after(attempts + 1)).max(error.retry_at().unwrap_or(now));
        log_if_lost(store.record_failure(self.certificate(), &error.to_string(), next_try).await);
    }

    /// The events' word on a certificate that is in place.
    pub(super) fn tell_issued(&self, issued: &Issued) {
        self.events.emit(Happening::Issued {
            serial: issued.serial.clone(),
            not_after: issued.not_after,
            renew_from: Some(issued.renewal.from),
            advised: issued.renewal.advised,
            directory: issued.directory.display().to_string(),
        });
    }

    pub(super) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}

fn log_if_lost<T>(stored: Result<T, crate::store::StoreError>) {
    if let Err(error) = stored {
        tracing::warn!(%error, "a failure could not be written down");
    }
}

/// The certificate, if a version of it newer than `before` is in place.
async fn obtained_since(
    context: &Context,
    request: &Request,
    before: Option<i64>,
) -> Result<Option<Issued>, IssueError> {
    let name = request.certificate.name.as_str();
    let Some(certificate) = context.store.certificate(name).await? else { return Ok(None) };
    let Some(version) = certificate.current else { return Ok(None) };
    if Some(version.number) <= before || certificate.failure.is_some() {
        return Ok(None);
    }
    let held = plan::Held {
        names: certificate.names.into_iter().collect(),
        key_type: None,
        not_before: version.not_before,
        not_after: version.not_after,
        revoked: version.revoked_at.is_some(),
        advised: certificate.renewal.map(|renewal| renewal.chosen),
    };
    Ok(Some(Issued {
        certificate: name.to_owned(),
        version: version.number,
        serial: version.serial,
        issuer: version.issuer,
        not_before: version.not_before,
        not_after: version.not_after,
        renewal: plan::renewal(&held),
        directory: context.live.path(name),
        by_another_process: true,
    }))
}

//! One walk through the corridor: what its stages share, how it begins and how it ends.

use super::context::{Context, Issued, Request};
use super::error::{IssueError, LeftBehind};
use super::order::Place;
use crate::acme::{self, AcmeError, LimitScope};
use crate::event::{CertificateEvents, Happening, Outcome, Step, StepWatch};
use crate::inventory;
use crate::plan;
use crate::records::{Announcement, Hold, ZoneReport};
use crate::store::{AccountName, BackOff, Lease, OrderId, StoreError};
use dns01_provider::{CredentialName, Fqdn, ZoneName};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The most time that removing the records may hold up the end of an order.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);

/// Resolvers are taken to remember a failed validation at least so long.
const SHORTEST_MEMORY: Duration = Duration::from_secs(60);
/// And at most so long, whatever a zone claims (RFC 2308 §5).
const LONGEST_MEMORY: Duration = Duration::from_secs(3 * 60 * 60);
/// The most time to find out how long the zones say.
const NEGATIVE_TTL_PATIENCE: Duration = Duration::from_secs(5);

/// One walk through the corridor.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) request: &'a Request,
    pub(super) names: Vec<String>,
    pub(super) events: CertificateEvents,
    pub(super) account: acme::Account,
    pub(super) account_name: AccountName,
    pub(super) deadline: Instant,
    announcement: Mutex<Option<Announcement>>,
    hold: Mutex<Option<Hold>>,
    removals: Mutex<Vec<JoinHandle<Removed>>>,
    journal: Mutex<Vec<serde_json::Value>>,
    places: Mutex<HashMap<Fqdn, Place>>,
    certificate_watch: Mutex<Option<StepWatch>>,
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
        let lease_name = order_of(&account_name, &names);
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
        if !request.force {
            check_back_off(context, request, &names).await?;
        }
        let account = match request.authority.account_until(deadline, &context.store).await {
            Ok(account) => account,
            Err(error) => {
                let error = IssueError::from(error);
                remember(context, request, &error).await;
                give_back(lease).await;
                return Err(error);
            }
        };
        let run = Self {
            context,
            request,
            names,
            events,
            account,
            account_name,
            deadline,
            announcement: Mutex::new(Some(announcement)),
            certificate_watch: Mutex::new(None),
            hold: Mutex::new(None),
            removals: Mutex::new(Vec::new()),
            journal: Mutex::new(Vec::new()),
            places: Mutex::default(),
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
        locked(&self.journal).push(entry);
        watch.done(outcome);
    }

    /// What the steps so far came to, for the store.
    pub(super) fn journal(&self) -> String {
        let entries = locked(&self.journal).clone();
        serde_json::Value::Array(entries).to_string()
    }

    /// Ends order `id` at ours: nothing can come of it.
    pub(super) async fn give_up(&self, id: &OrderId, why: &str) -> Result<(), IssueError> {
        Ok(self.context.store.fail_order(id, why, &self.journal()).await?)
    }

    /// Says which writers this order will come to, so that the others need not wait for it.
    pub(super) fn narrow_announcement(&self, places: impl IntoIterator<Item = (CredentialName, ZoneName)>) {
        if let Some(announcement) = locked(&self.announcement).as_mut() {
            announcement.narrow(places);
        }
    }

    /// The announcement, to be given to the writers with the records; one of its own where a
    /// resumed order has none left.
    pub(super) fn take_announcement(&self) -> Announcement {
        locked(&self.announcement).take().unwrap_or_else(|| self.context.records.announce())
    }

    /// Keeps `hold` until the CA has looked.
    pub(super) fn keep(&self, hold: Hold) {
        *locked(&self.hold) = Some(hold);
    }

    /// What was written to `zone`, at each of its providers.
    pub(super) fn written_to(&self, zone: &ZoneName) -> Vec<ZoneReport> {
        let hold = locked(&self.hold);
        hold.iter().flat_map(|hold| hold.zones()).filter(|report| report.zone == *zone).cloned().collect()
    }

    /// Tells that the certificate is being asked for.
    pub(super) fn begin_certificate(&self) {
        let mut watch = locked(&self.certificate_watch);
        if watch.is_none() {
            *watch = Some(self.events.begin(Step::Certificate));
        }
    }

    /// Tells that the certificate is in place.
    pub(super) fn finish_certificate(&self, outcome: Outcome) {
        let watch = locked(&self.certificate_watch).take();
        if let Some(watch) = watch {
            self.finish(watch, outcome);
        }
    }

    /// The name that the record for `base` has at the CA.
    pub(super) fn challenge_name(&self, base: &Fqdn) -> Result<Fqdn, IssueError> {
        let label = self.request.certificate.challenge.label(Some(self.account.url()));
        let label = label.expect("the account is known");
        base.child(&label).map_err(|source| IssueError::ChallengeName { name: base.clone(), source })
    }

    pub(super) fn known_place(&self, challenge_name: &Fqdn) -> Option<Place> {
        locked(&self.places).get(challenge_name).cloned()
    }

    pub(super) fn remember_place(&self, challenge_name: Fqdn, place: Place) {
        locked(&self.places).insert(challenge_name, place);
    }

    /// The CA's profile to ask for.
    pub(super) fn profile(&self) -> Option<String> {
        let own = self.request.certificate.profile.clone();
        own.or_else(|| self.request.authority.config().profile.clone())
    }

    /// The issuer name of the chain to prefer.
    pub(super) fn preferred_chain(&self) -> Option<&str> {
        let own = self.request.certificate.preferred_chain.as_deref();
        own.or(self.request.authority.config().preferred_chain.as_deref())
    }

    /// The time until the order's deadline.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Starts taking the records away, beside whatever comes next.
    pub(super) fn remove_records(&self) {
        let held = locked(&self.hold).take();
        let Some(hold) = held else { return };
        let watch = self.events.begin(Step::CleanUp);
        let task = self.context.tasks.spawn(async move {
            let released = hold.release(REMOVAL_PATIENCE).await;
            Removed {
                watch,
                removed: released.removed,
                left: released.left.into_iter().map(LeftBehind::from).collect(),
            }
        });
        locked(&self.removals).push(task);
    }

    /// Waits until the records are gone; says which are not.
    async fn records_removed(&self) -> Vec<LeftBehind> {
        self.remove_records();
        let tasks = std::mem::take(&mut *locked(&self.removals));
        let mut all_left = Vec::new();
        for task in tasks {
            let Removed { watch, removed, left } = task.await.expect("a removal does not panic");
            self.finish(watch, Outcome::Removed { values: removed, left: left.len() });
            all_left.extend(left);
        }
        all_left
    }

    /// Ends the walk: records removed, failure remembered, turn given on.
    pub(super) async fn end(
        self: Box<Self>,
        walked: Result<Issued, IssueError>,
    ) -> Result<Issued, IssueError> {
        drop(locked(&self.announcement).take());
        let left = self.records_removed().await;
        if let (Ok(_), false) = (&walked, left.is_empty()) {
            for record in &left {
                self.events.warn(format!("{record} could not be removed now; `dns01 txt gc` tries again"));
            }
        }
        let walked = match walked {
            Err(error) => Err(self.outlasting_caches(error).await.leaving(left)),
            issued => issued,
        };
        if let Err(error) = &walked {
            remember(self.context, self.request, error).await;
        }
        give_back(self.lease).await;
        walked
    }

    /// After a validation that failed: says until when resolvers may remember what they saw.
    async fn outlasting_caches(&self, error: IssueError) -> IssueError {
        match error {
            IssueError::Acme(error @ AcmeError::OrderInvalid { .. }) if !locked(&self.places).is_empty() => {
                let memory = self.longest_memory().await;
                let memory = SignedDuration::try_from(memory).unwrap_or(SignedDuration::MAX);
                let retry_at = self.now().saturating_add(memory).unwrap_or(Timestamp::MAX);
                IssueError::Validation { error, retry_at }
            }
            other => other,
        }
    }

    /// How long resolvers may remember the values of this order, or that there were none.
    async fn longest_memory(&self) -> Duration {
        let places: Vec<Place> = locked(&self.places).values().cloned().collect();
        let mut zones = HashMap::new();
        let mut longest = SHORTEST_MEMORY;
        for place in &places {
            longest = longest.max(Duration::from_secs(u64::from(place.route.ttl())));
            zones.insert(&place.location.zone, &place.location);
        }
        let asked = zones.values().map(|location| self.context.dns.negative_ttl(location));
        let negative = timeout(NEGATIVE_TTL_PATIENCE, join_all(asked)).await.unwrap_or_default();
        negative.into_iter().flatten().fold(longest, Duration::max).min(LONGEST_MEMORY)
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

/// What the store calls an order of `account` for `names`.
fn order_of(account: &AccountName, names: &[String]) -> String {
    format!("order {account} {}", names.join(" "))
}

/// Insists that the CA does not want to be left alone, neither at all nor with `names`.
async fn check_back_off(context: &Context, request: &Request, names: &[String]) -> Result<(), IssueError> {
    let (store, authority, now) = (&context.store, &request.authority, context.clock.now());
    let in_force = async |what: &str| -> Result<Option<BackOff>, StoreError> {
        let back_off = store.back_off(what).await?;
        Ok(back_off.filter(|back_off| plan::is_believable(back_off.until, now)))
    };
    if let Some(back_off) = in_force(authority.directory()).await? {
        return Err(IssueError::BackOff { ca: authority.name().to_string(), back_off });
    }
    match in_force(&order_of(&authority.account_name(), names)).await? {
        Some(back_off) => Err(IssueError::NamesBackOff { ca: authority.name().to_string(), back_off }),
        None => Ok(()),
    }
}

/// A lease that is not given back ends with this process; what it guarded is done.
async fn give_back(lease: Lease) {
    if let Err(error) = lease.release().await {
        tracing::warn!(%error, "the turn for these names was not given back");
    }
}

/// Writes a failure down: when to try again, and how long to leave the CA alone, altogether or
/// with these names.
async fn remember(context: &Context, request: &Request, error: &IssueError) {
    let (store, name) = (&context.store, request.certificate.name.as_str());
    let now = context.clock.now();
    if let Some((scope, back_off)) = error.back_off(now) {
        let authority = &request.authority;
        let what = match scope {
            LimitScope::Ca => authority.directory().to_owned(),
            LimitScope::Order => order_of(&authority.account_name(), &request.names()),
        };
        log_if_lost(store.set_back_off(&what, &back_off).await);
    }
    if matches!(error, IssueError::Interrupted) {
        return;
    }
    let certificate = store.certificate(name).await.ok().flatten();
    let (current, failure) = certificate.map_or((None, None), |known| (known.current, known.failure));
    let attempts = failure.map_or(0, |failure| failure.attempts);
    let left = current.map(|current| current.not_after.duration_since(now));
    let pause = match error.waits_for_a_person() {
        true => plan::LONGEST_PAUSE,
        false => plan::pause_after(attempts.saturating_add(1), left),
    };
    let next_try = (now + pause).max(error.retry_at().unwrap_or(now));
    let stale_until = match error.root() {
        IssueError::Validation { retry_at, .. } => Some(*retry_at),
        _ => None,
    };
    log_if_lost(store.record_failure(name, &error.to_string(), next_try, stale_until).await);
}

/// A panic elsewhere does not spoil what these hold.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn log_if_lost<T>(stored: Result<T, StoreError>) {
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
    let Some(held) = inventory::held(&certificate) else { return Ok(None) };
    let Some(version) = certificate.current else { return Ok(None) };
    if Some(version.number) <= before || certificate.failure.is_some() {
        return Ok(None);
    }
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

//! The one calling layer: everything that asks a provider goes through [`Credential`].

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::{Fqdn, ZoneName};
use crate::provider::{Applied, DnsProvider, Limits, Listing, Published, Receipt, ScopeNeed, ScopeReport};
use crate::rate::Pace;
use crate::record::{TxtChange, TxtValue, Zone};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument as _;

/// How long one request to a credential may take in all, waiting in line and repetitions
/// included, unless [`Credential::within`] says otherwise: as long as an order waits. A service
/// that takes a record a second has a long line before it.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(600);

/// Repetitions of one call after a retryable error.
const RETRIES: usize = 4;
/// The first wait between repetitions; it doubles up to [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait between repetitions that no Retry-After asks for.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A service that is not reached at all is tried again for so long: time enough for a restart,
/// and not for a wrong address to be tried in vain for half a minute.
const UNREACHED_PATIENCE: Duration = Duration::from_secs(8);
/// Repetitions of calls whose whole time went by without an answer: one may have been lost, and
/// what swallows two, such as a firewall, swallows all.
const UNANSWERED_RETRIES: usize = 1;
/// What a refusal for rate pauses the credential for when the service names no time.
const UNNAMED_PAUSE: Duration = Duration::from_secs(5);

/// The name of a `[dns.*]` table: what a credential is called in configuration and output.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialName(String);

/// Why a text cannot name a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a credential: 1 to 64 letters, digits, `-`, `_` and `.` can")]
pub struct CredentialNameError(String);

impl CredentialName {
    /// Checks `text`: 1 to 64 ASCII letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// Empty, too long, or another character.
    pub fn parse(text: &str) -> Result<Self, CredentialNameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(CredentialNameError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialName({})", self.0)
    }
}

impl std::str::FromStr for CredentialName {
    type Err = CredentialNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A provider under a name, called with everything that its [`Limits`] ask for: calls in
/// flight, rate, the time one call may take, repetition of what can be repeated, and a pause
/// of the whole credential when the service says that it is too much.
///
/// Cheap to clone; clones share limits, pauses and counts. A dropped call leaves its place in
/// line at once; whether the service carried it out is not known.
#[derive(Clone)]
pub struct Credential {
    shared: Arc<Shared>,
    patience: Duration,
}

struct Shared {
    name: CredentialName,
    provider: Arc<dyn DnsProvider>,
    limits: Limits,
    pace: Pace,
    zone_paces: Mutex<HashMap<ZoneName, Arc<ZonePace>>>,
    in_flight: Semaphore,
    paused_until: Mutex<Option<Instant>>,
    calls: AtomicU64,
}

/// What keeps changes to one zone apart.
struct ZonePace {
    pace: Pace,
    paused_until: Mutex<Option<Instant>>,
}

impl Credential {
    /// `provider` under `name`, with [`DEFAULT_PATIENCE`].
    #[must_use]
    pub fn new(name: CredentialName, provider: Arc<dyn DnsProvider>) -> Self {
        let limits = provider.limits();
        let shared = Shared {
            name,
            provider,
            pace: Pace::new(&limits.rates),
            zone_paces: Mutex::default(),
            in_flight: Semaphore::new(limits.in_flight.max(1)),
            limits,
            paused_until: Mutex::new(None),
            calls: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), patience: DEFAULT_PATIENCE }
    }

    /// The same credential, each of whose requests ends within `patience`.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), patience }
    }

    /// Whether the two are clones of one. Two that are only called the same are not.
    #[must_use]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &CredentialName {
        &self.shared.name
    }

    /// What the service allows.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Calls made to the service so far, repetitions included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// [`DnsProvider::apply`]. `changes` must fit [`Limits::batch`]; see
    /// [`Batch::split`](crate::Batch::split).
    ///
    /// # Errors
    /// The last error of the service. A retryable one means that it may have worked.
    pub async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let zone_pace = self.zone_pace(&zone.name);
        self.call_at("apply", Some(zone), zone_pace.as_deref(), || self.shared.provider.apply(zone, changes))
            .await
    }

    /// [`DnsProvider::values`].
    ///
    /// # Errors
    /// The last error of the service.
    pub async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.call("values", Some(zone), || self.shared.provider.values(zone, name)).await
    }

    /// [`DnsProvider::reading_proves_credential`].
    #[must_use]
    pub fn reading_proves_it(&self) -> bool {
        self.shared.provider.reading_proves_credential()
    }

    /// [`DnsProvider::zones`].
    ///
    /// # Errors
    /// The last error of the service.
    pub async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        self.call("zones", None, || self.shared.provider.zones()).await
    }

    /// [`DnsProvider::published`].
    ///
    /// # Errors
    /// The last error of the service.
    pub async fn published(&self, zone: &Zone, receipt: &Receipt) -> Result<Published, ProviderError> {
        self.call("published", Some(zone), || self.shared.provider.published(zone, receipt)).await
    }

    /// [`DnsProvider::audit_scope`].
    ///
    /// # Errors
    /// The last error of the service.
    pub async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        self.call("audit_scope", None, || self.shared.provider.audit_scope(needs)).await
    }

    async fn call<T, F>(
        &self,
        operation: &'static str,
        zone: Option<&Zone>,
        attempt: impl FnMut() -> F + Send,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        self.call_at(operation, zone, None, attempt).await
    }

    /// The one way to the service: every call waits, runs, counts and repeats here.
    async fn call_at<T, F>(
        &self,
        operation: &'static str,
        zone: Option<&Zone>,
        zone_pace: Option<&ZonePace>,
        mut attempt: impl FnMut() -> F + Send,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        let zone = zone.map(|zone| zone.name.as_str());
        let span = tracing::debug_span!("provider", credential = %self.shared.name, operation, zone);
        let repeated = async {
            let deadline = Instant::now() + self.patience;
            let mut backoff = backoff();
            // Since when nothing has been sent; `None` once something may have been.
            let mut unreached_since = Some(Instant::now());
            let mut unanswered = 0;
            loop {
                let error = match self.once(operation, zone_pace, deadline, &mut attempt).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                unreached_since = unreached_since.filter(|_| error.is_nothing_sent());
                let error = error.with_nothing_sent(unreached_since.is_some());
                if !error.is_retryable() {
                    return Err(error);
                }
                unanswered += usize::from(error.is_unanswered());
                if unanswered > UNANSWERED_RETRIES {
                    return Err(error);
                }
                let Some(pause) = backoff.next() else { return Err(error) };
                let pause = pause.max(error.retry_after().unwrap_or_default());
                let hopeless =
                    unreached_since.is_some_and(|since| since.elapsed() + pause > UNREACHED_PATIENCE);
                if hopeless || Instant::now() + pause >= deadline {
                    return Err(error);
                }
                if error.is_unanswered() {
                    tracing::warn!(%error, "the service does not answer; the call is repeated once");
                } else {
                    tracing::debug!(%error, wait_ms = pause.as_millis(), "the call will be repeated");
                }
                tokio::time::sleep(pause).await;
            }
        };
        repeated.instrument(span).await
    }

    /// One call: waits for its turn, then runs for at most the time one call may take.
    async fn once<T, F>(
        &self,
        operation: &'static str,
        zone_pace: Option<&ZonePace>,
        deadline: Instant,
        attempt: &mut (impl FnMut() -> F + Send),
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        // A zone that waits for its own rate takes nobody else's place.
        if let Some(zone) = zone_pace {
            self.wait(
                deadline,
                || remaining(&zone.paused_until),
                "the service asked to leave the zone alone",
            )
            .await?;
            self.wait(
                deadline,
                || zone.pace.take().err(),
                "the allowed rate of changes to the zone is used up",
            )
            .await?;
        }
        let _turn = tokio::time::timeout_at(deadline, self.turn(deadline))
            .await
            .map_err(|_| self.no_turn("every allowed call is under way"))??;
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let limit = self.shared.limits.call_timeout;
        let started = Instant::now();
        let result = tokio::time::timeout_at((started + limit).min(deadline), attempt()).await;
        let elapsed_ms = started.elapsed().as_millis();
        let result = result.unwrap_or_else(|_| {
            Err(ProviderError::new(
                ProviderErrorKind::Unavailable,
                format!("no answer after {elapsed_ms} ms"),
            )
            .with_unanswered(true)
            .with_context("credential", self.name())
            .with_context("call", operation))
        });
        match &result {
            Ok(_) => tracing::debug!(elapsed_ms, "answered"),
            Err(error) => {
                tracing::debug!(elapsed_ms, %error, "failed");
                self.pause_for(error, zone_pace);
            }
        }
        result
    }

    /// Waits until the service may be asked. The place in flight is taken before the wait for
    /// the rate, so that waiters pass one by one.
    async fn turn(&self, deadline: Instant) -> Result<tokio::sync::SemaphorePermit<'_>, ProviderError> {
        let turn = self.shared.in_flight.acquire().await.expect("the semaphore is never closed");
        loop {
            self.wait(deadline, || self.remaining_pause(), "the service asked to be left alone").await?;
            self.wait(deadline, || self.shared.pace.take().err(), "the allowed rate of calls is used up")
                .await?;
            // Somebody else may have been told to wait meanwhile.
            if self.remaining_pause().is_none() {
                return Ok(turn);
            }
        }
    }

    /// Sleeps as long as `wait` asks for, again and again, unless that is past `deadline`.
    async fn wait(
        &self,
        deadline: Instant,
        wait: impl Fn() -> Option<Duration>,
        reason: &str,
    ) -> Result<(), ProviderError> {
        while let Some(wait) = wait() {
            if Instant::now() + wait >= deadline {
                return Err(self.no_turn(reason).with_retry_after(wait));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// What keeps changes to `zone` apart, where the service counts them by zone.
    fn zone_pace(&self, zone: &ZoneName) -> Option<Arc<ZonePace>> {
        let rates = &self.shared.limits.zone_rates;
        if rates.is_empty() {
            return None;
        }
        let mut paces = self.shared.zone_paces.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(ZonePace { pace: Pace::new(rates), paused_until: Mutex::new(None) });
        Some(Arc::clone(paces.entry(zone.clone()).or_insert_with(new)))
    }

    fn remaining_pause(&self) -> Option<Duration> {
        remaining(&self.shared.paused_until)
    }

    /// A refusal for rate counts for everybody who uses this credential, or for the zone where the
    /// service counts by zone and the plugin says that it is about that.
    fn pause_for(&self, error: &ProviderError, zone_pace: Option<&ZonePace>) {
        if error.kind() != ProviderErrorKind::RateLimited {
            return;
        }
        let until = Instant::now() + error.retry_after().unwrap_or(UNNAMED_PAUSE);
        let zone_pause = zone_pace.filter(|_| error.is_zone_only()).map(|zone| &zone.paused_until);
        let mut paused =
            zone_pause.unwrap_or(&self.shared.paused_until).lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_none_or(|present| present < until) {
            *paused = Some(until);
        }
    }

    fn no_turn(&self, reason: &str) -> ProviderError {
        let patience = self.patience.as_secs();
        ProviderError::new(
            ProviderErrorKind::RateLimited,
            format!("no call could be made within {patience} s: {reason}"),
        )
        .with_context("credential", self.name())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.shared.name)
    }
}

/// What is left of a pause.
fn remaining(paused_until: &Mutex<Option<Instant>>) -> Option<Duration> {
    let until = *paused_until.lock().unwrap_or_else(PoisonError::into_inner);
    until.and_then(|until| until.checked_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_BACKOFF)
        .with_max_delay(LONGEST_BACKOFF)
        .with_max_times(RETRIES)
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests;

//! The one calling layer: everything that asks a provider goes through [`Credential`].

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::Fqdn;
use crate::provider::{Applied, DnsProvider, Limits, Listing, Published, Receipt, ScopeNeed, ScopeReport};
use crate::record::{TxtChange, TxtValue, Zone};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument as _;

/// How long one request to a credential may take in all, waiting in line and repetitions
/// included, unless [`Credential::within`] says otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(120);

/// Repetitions of one call after a retryable error.
const RETRIES: usize = 4;
/// The first wait between repetitions; it doubles up to [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait between repetitions that no Retry-After asks for.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
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

type Rate = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<SinceOrigin>>;

struct Shared {
    name: CredentialName,
    provider: Arc<dyn DnsProvider>,
    limits: Limits,
    clock: TokioClock,
    rate: Option<Rate>,
    in_flight: Semaphore,
    paused_until: Mutex<Option<Instant>>,
    calls: AtomicU64,
}

impl Credential {
    /// `provider` under `name`, with [`DEFAULT_PATIENCE`].
    #[must_use]
    pub fn new(name: CredentialName, provider: Arc<dyn DnsProvider>) -> Self {
        let limits = provider.limits();
        let clock = TokioClock { origin: Instant::now() };
        let rate = limits
            .calls_per_second
            .map(|rate| RateLimiter::direct_with_clock(Quota::per_second(rate), clock));
        let shared = Shared {
            name,
            provider,
            clock,
            rate,
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
        self.call("apply", Some(zone), || self.shared.provider.apply(zone, changes)).await
    }

    /// [`DnsProvider::values`].
    ///
    /// # Errors
    /// The last error of the service.
    pub async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.call("values", Some(zone), || self.shared.provider.values(zone, name)).await
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

    /// The one way to the service: every call waits, runs, counts and repeats here.
    async fn call<T, F>(
        &self,
        operation: &'static str,
        zone: Option<&Zone>,
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
            loop {
                let error = match self.once(operation, deadline, &mut attempt).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                if !error.is_retryable() {
                    return Err(error);
                }
                let Some(pause) = backoff.next() else { return Err(error) };
                let pause = pause.max(error.retry_after().unwrap_or_default());
                if Instant::now() + pause >= deadline {
                    return Err(error);
                }
                tracing::debug!(%error, wait_ms = pause.as_millis(), "the call will be repeated");
                tokio::time::sleep(pause).await;
            }
        };
        repeated.instrument(span).await
    }

    /// One call: waits for its turn, then runs for at most the time one call may take.
    async fn once<T, F>(
        &self,
        operation: &'static str,
        deadline: Instant,
        attempt: &mut (impl FnMut() -> F + Send),
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
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
            .with_context("credential", self.name())
            .with_context("call", operation))
        });
        match &result {
            Ok(_) => tracing::debug!(elapsed_ms, "answered"),
            Err(error) => {
                tracing::debug!(elapsed_ms, %error, "failed");
                self.pause_for(error);
            }
        }
        result
    }

    /// Waits until the service may be asked. The place in flight is taken before the wait for
    /// the rate, so that waiters pass one by one.
    async fn turn(&self, deadline: Instant) -> Result<tokio::sync::SemaphorePermit<'_>, ProviderError> {
        let turn = self.shared.in_flight.acquire().await.expect("the semaphore is never closed");
        loop {
            let (wait, reason) = match (self.remaining_pause(), self.rate_wait()) {
                (Some(pause), _) => (pause, "the service asked to be left alone"),
                (None, Some(wait)) => (wait, "the allowed rate of calls is used up"),
                (None, None) => return Ok(turn),
            };
            if Instant::now() + wait >= deadline {
                return Err(self.no_turn(reason).with_retry_after(wait));
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn remaining_pause(&self) -> Option<Duration> {
        let until = *self.shared.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.and_then(|until| until.checked_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    /// Takes one call out of the rate, or says how long until there is one. Asked only while
    /// no pause holds, since asking takes.
    fn rate_wait(&self) -> Option<Duration> {
        if self.remaining_pause().is_some() {
            return None;
        }
        let until = self.shared.rate.as_ref()?.check().err()?;
        // tokio's timer counts whole milliseconds: a shorter wait would spin.
        Some(until.wait_time_from(self.shared.clock.now()).max(Duration::from_millis(1)))
    }

    /// A refusal for rate counts for everybody who uses this credential.
    fn pause_for(&self, error: &ProviderError) {
        if error.kind() != ProviderErrorKind::RateLimited {
            return;
        }
        let until = Instant::now() + error.retry_after().unwrap_or(UNNAMED_PAUSE);
        let mut paused = self.shared.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
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

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_BACKOFF)
        .with_max_delay(LONGEST_BACKOFF)
        .with_max_times(RETRIES)
        .with_jitter()
        .build()
}

/// tokio's clock for the rate limiter, so that a paused clock drives both.
#[derive(Clone, Copy, Debug)]
struct TokioClock {
    origin: Instant,
}

impl Clock for TokioClock {
    type Instant = SinceOrigin;

    fn now(&self) -> SinceOrigin {
        SinceOrigin(self.origin.elapsed())
    }
}

/// Time since the credential was made. governor's own `Duration` clock would do, but its
/// `Add` panics on overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SinceOrigin(Duration);

impl std::ops::Add<governor::nanos::Nanos> for SinceOrigin {
    type Output = Self;

    fn add(self, nanos: governor::nanos::Nanos) -> Self {
        Self(self.0.saturating_add(nanos.into()))
    }
}

impl Reference for SinceOrigin {
    fn duration_since(&self, earlier: Self) -> governor::nanos::Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: governor::nanos::Nanos) -> Self {
        Self(self.0.saturating_sub(duration.into()))
    }
}

#[cfg(test)]
mod tests;

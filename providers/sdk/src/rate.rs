//! How often a service may be called.
//!
//! Services count calls in spans of time, several at once (2 a second *and* 300 a day). A token
//! bucket would let twice as many through in some spans, so the calls themselves are remembered:
//! as many as the largest rate allows.

use crate::error::{ProviderError, ProviderErrorKind};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// At most so many calls in any span of so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls in any `window`.
    pub calls: NonZeroU32,
    /// The span of time.
    pub window: Duration,
}

impl Rate {
    /// `calls` in any `window`.
    ///
    /// # Panics
    /// `calls` is 0 (in a constant: when it is compiled).
    #[must_use]
    pub const fn new(calls: u32, window: Duration) -> Self {
        Self { calls: NonZeroU32::new(calls).expect("at least one call is allowed"), window }
    }

    /// `calls` in any second.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub const fn per_second(calls: u32) -> Self {
        Self::new(calls, Duration::from_secs(1))
    }

    /// `calls` in any minute.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub const fn per_minute(calls: u32) -> Self {
        Self::new(calls, Duration::from_secs(60))
    }
}

/// Keeps calls within all of some rates.
#[derive(Debug)]
pub struct Pace {
    rates: Vec<Rate>,
    taken: Mutex<VecDeque<Instant>>,
}

impl Pace {
    /// Within all of `rates`; with none, every call passes at once.
    #[must_use]
    pub fn new(rates: &[Rate]) -> Self {
        Self { rates: rates.to_vec(), taken: Mutex::default() }
    }

    /// Takes one call.
    ///
    /// # Errors
    /// None is to be had now; how long until one is, at least a millisecond (tokio's timer counts
    /// whole ones, so that a shorter wait would spin).
    pub fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.rates.iter().filter_map(|rate| {
            // The call that must leave the window before another one fits.
            let oldest = taken.len().checked_sub(rate.calls.get() as usize)?;
            (taken[oldest] + rate.window).checked_duration_since(now).filter(|wait| !wait.is_zero())
        });
        if let Some(wait) = wait.max() {
            return Err(wait.max(Duration::from_millis(1)));
        }
        let most = self.rates.iter().map(|rate| rate.calls.get() as usize).max().unwrap_or_default();
        taken.push_back(now);
        while taken.len() > most {
            taken.pop_front();
        }
        Ok(())
    }

    /// Waits for one call and takes it: for plugins that make several requests in one call of
    /// theirs. A dropped wait has taken none.
    pub async fn turn(&self) {
        while let Err(wait) = self.take() {
            tokio::time::sleep(wait).await;
        }
    }

    /// The same for a plugin whose calls may not wait as long as the longest rate lasts.
    ///
    /// # Errors
    /// The wait would be longer than `longest`: a refusal for rate that says how long.
    pub async fn turn_within(&self, longest: Duration) -> Result<(), ProviderError> {
        while let Err(wait) = self.take() {
            if wait > longest {
                let message = "the service's allowance for requests is used up";
                return Err(
                    ProviderError::new(ProviderErrorKind::RateLimited, message).with_retry_after(wait)
                );
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `count` calls passes, in milliseconds.
    async fn times(rates: &[Rate], count: usize) -> Vec<u128> {
        let (pace, start) = (Pace::new(rates), Instant::now());
        let mut times = Vec::new();
        for _ in 0..count {
            pace.turn().await;
            times.push(start.elapsed().as_millis());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_calls_than_allowed_and_none_waits_longer_than_it_must() {
        let rates = [Rate::per_second(2), Rate::per_minute(5)];
        assert_eq!(
            times(&rates, 12).await,
            [0, 0, 1000, 1000, 2000, 60_000, 60_000, 61_000, 61_000, 62_000, 120_000, 120_000]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_every_call_passes_at_once_and_nothing_is_remembered() {
        let pace = Pace::new(&[]);
        for _ in 0..1000 {
            assert_eq!(pace.take(), Ok(()));
        }
        assert!(pace.taken.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_longer_than_allowed_is_refused_at_once_and_says_how_long() {
        let pace = Pace::new(&[Rate::per_second(1), Rate::per_minute(2)]);
        let (start, longest) = (Instant::now(), Duration::from_secs(5));
        assert!(pace.turn_within(longest).await.is_ok());
        assert!(pace.turn_within(longest).await.is_ok());
        let error = pace.turn_within(longest).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(59)));
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::RateLimited, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_not_counted_and_the_wait_is_told() {
        let pace = Pace::new(&[Rate::per_second(1)]);
        assert_eq!(pace.take(), Ok(()));
        tokio::time::advance(Duration::from_millis(400)).await;
        for _ in 0..3 {
            assert_eq!(pace.take(), Err(Duration::from_millis(600)));
        }
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(pace.take(), Ok(()));
    }
}

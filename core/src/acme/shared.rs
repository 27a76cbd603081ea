//! What is asked of a CA once, for everybody.

use super::error::AcmeError;
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// A value that is had from a CA once. Whoever waits while it is asked for shares what comes of
/// it, failures too: a hundred orders at a CA that is down take as long to fail as one.
pub(crate) struct Shared<T> {
    value: OnceCell<T>,
    failed: Mutex<Option<(Instant, AcmeError)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { value: OnceCell::new(), failed: Mutex::new(None) }
    }
}

impl<T> Shared<T> {
    /// The value; `ask` for it if it is not there yet.
    pub(crate) async fn get<E>(&self, ask: impl AsyncFnOnce() -> Result<T, E>) -> Result<&T, E>
    where
        E: From<AcmeError> + AsAcme,
    {
        let begun = Instant::now();
        let ask = async || match self.failed_since(begun) {
            Some(error) => Err(E::from(error)),
            None => ask().await.inspect_err(|error| self.remember(error.as_acme())),
        };
        self.value.get_or_try_init(ask).await
    }

    /// The value, if it is there already.
    pub(crate) fn known(&self) -> Option<&T> {
        self.value.get()
    }

    fn failed_since(&self, begun: Instant) -> Option<AcmeError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| *at >= begun).map(|(_, error)| error.clone())
    }

    fn remember(&self, error: Option<&AcmeError>) {
        let failed = error.map(|error| (Instant::now(), error.clone()));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

/// An error that may be a CA's.
pub(crate) trait AsAcme {
    /// The CA's error.
    fn as_acme(&self) -> Option<&AcmeError>;
}

impl AsAcme for AcmeError {
    fn as_acme(&self) -> Option<&AcmeError> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_the_failure_and_those_who_come_later_ask_again() {
        let (shared, asked) = (Shared::<()>::default(), AtomicUsize::new(0));
        let get = || {
            shared.get(async || {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err(AcmeError::AccountDoesNotExist)
            })
        };
        for round in 1..=2 {
            let begun = Instant::now();
            assert!(join_all((0..100).map(|_| get())).await.iter().all(Result::is_err));
            assert_eq!((begun.elapsed().as_secs(), asked.load(Ordering::Relaxed)), (10, round));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }
}

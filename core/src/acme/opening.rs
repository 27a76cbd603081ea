//! Orders are opened first, and then their authorizations are read.
//!
//! The orders of a batch are published together, so nothing is gained by reading the first
//! authorizations while other orders are still being opened. And Pebble, which many test
//! against, locks itself up when it does both at once for hundreds of orders.

use super::error::{AcmeError, LimitScope};
use jiff::Timestamp;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The longest that one slow newOrder makes others wait.
const LONGEST: Duration = Duration::from_secs(2);

/// So many orders turned away one after the other, none opened between them, are taken to tell
/// that the limit is about all of them, the account's for instance: one alone may be about the
/// names of its order.
const TURNED_AWAY_IN_A_ROW: usize = 10;

/// How many orders are being opened at one CA, and whether it takes any.
#[derive(Debug, Default)]
pub(super) struct Opening {
    under_way: AtomicUsize,
    all_open: Notify,
    turned_away: Mutex<TurnedAway>,
}

/// The orders that were turned away since one was opened.
#[derive(Debug, Default)]
struct TurnedAway {
    in_a_row: usize,
    last: Option<AcmeError>,
}

/// One order is being opened, until this is dropped.
#[derive(Debug)]
pub(super) struct OneOpening<'a>(&'a Opening);

impl Opening {
    /// One more order is being opened.
    pub(super) fn begin(&self) -> OneOpening<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        OneOpening(self)
    }

    /// Takes to heart what became of an order that was sent.
    pub(super) fn learn<T>(&self, became: &Result<T, AcmeError>) {
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        match became {
            Ok(_) => *turned_away = TurnedAway::default(),
            Err(error @ AcmeError::RateLimited { scope, .. }) => {
                turned_away.in_a_row += match scope {
                    LimitScope::Order => 1,
                    LimitScope::Ca => TURNED_AWAY_IN_A_ROW,
                };
                turned_away.last = Some(error.clone());
            }
            Err(_) => {}
        }
    }

    /// Why no order is to be sent at `now`; nothing of it outlives this process.
    pub(super) fn held_back(&self, now: Timestamp) -> Option<AcmeError> {
        let turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        let last = turned_away.last.as_ref().filter(|_| turned_away.in_a_row >= TURNED_AWAY_IN_A_ROW)?;
        let over = matches!(last, AcmeError::RateLimited { until, .. } if *until <= now);
        (!over).then(|| AcmeError::HeldBack { cause: Box::new(last.clone()) })
    }

    /// Waits until none is, but no longer than [`LONGEST`].
    pub(super) async fn all_open(&self) {
        let none = async {
            loop {
                // Listening before looking, so that the last one is not missed.
                let mut told = std::pin::pin!(self.all_open.notified());
                told.as_mut().enable();
                if self.under_way.load(Ordering::SeqCst) == 0 {
                    return;
                }
                told.await;
            }
        };
        // Reading early is worth a little less, no mistake.
        let _ = timeout(LONGEST, none).await;
    }
}

impl Drop for OneOpening<'_> {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.all_open.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn reading_waits_until_the_last_order_is_open() {
        let opening = Opening::default();
        let (first, second) = (opening.begin(), opening.begin());
        let begun = Instant::now();
        let read = async {
            opening.all_open().await;
            begun.elapsed()
        };
        let open = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(first);
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(second);
        };
        let (waited, ()) = tokio::join!(read, open);
        assert_eq!(waited.as_millis(), 20);
        opening.all_open().await;
        assert_eq!(begun.elapsed().as_millis(), 20, "nobody is waited for when all are open");
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_is_not_opened_in_time_holds_nobody_up_for_long() {
        let opening = Opening::default();
        let _stuck = opening.begin();
        let begun = Instant::now();
        opening.all_open().await;
        assert_eq!(begun.elapsed(), LONGEST);
    }
}

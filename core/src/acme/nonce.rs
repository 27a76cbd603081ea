//! The pool of nonces that replies have brought (RFC 8555 §6.5).

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// CAs forget nonces; one that lay longer than this is not worth the refusal.
const LIFETIME: Duration = Duration::from_secs(300);
/// More than twice the requests in flight never pile up in use.
const LARGEST: usize = 64;

/// Nonces not used yet, the newest at the end. Each leaves the pool when it is taken, so that
/// none is used twice.
#[derive(Debug, Default)]
pub(super) struct NoncePool(Mutex<Vec<(Instant, String)>>);

impl NoncePool {
    /// The newest nonce that is young enough.
    pub(super) fn take(&self) -> Option<String> {
        let mut pool = self.lock();
        let (since, nonce) = pool.pop()?;
        if since.elapsed() < LIFETIME {
            return Some(nonce);
        }
        // All others are older still.
        pool.clear();
        None
    }

    /// Keeps a nonce; the oldest makes room.
    pub(super) fn put(&self, nonce: String) {
        let mut pool = self.lock();
        if pool.len() == LARGEST {
            pool.remove(0);
        }
        pool.push((Instant::now(), nonce));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, String)>> {
        // Nothing in here panics half-way, so a poisoned pool is whole.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A nonce is base64url (RFC 8555 §6.5.1); anything else must be ignored.
pub(super) fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_newest_nonce_comes_first_and_only_once() {
        let pool = NoncePool::default();
        pool.put("old".to_owned());
        pool.put("new".to_owned());
        assert_eq!(pool.take().as_deref(), Some("new"));
        assert_eq!(pool.take().as_deref(), Some("old"));
        assert_eq!(pool.take(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_nonce_older_than_five_minutes_is_dropped() {
        let pool = NoncePool::default();
        pool.put("old".to_owned());
        tokio::time::advance(LIFETIME / 2).await;
        pool.put("younger".to_owned());
        tokio::time::advance(LIFETIME / 2).await;
        assert_eq!(pool.take().as_deref(), Some("younger"));
        assert_eq!(pool.take(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pool_is_bounded_and_the_oldest_goes() {
        let pool = NoncePool::default();
        for number in 0..=LARGEST {
            pool.put(number.to_string());
        }
        let mut taken = std::iter::from_fn(|| pool.take()).collect::<Vec<_>>();
        assert_eq!(taken.len(), LARGEST);
        assert_eq!(taken.pop().as_deref(), Some("1"));
    }

    #[test]
    fn what_is_not_base64url_is_no_nonce() {
        assert!(is_nonce("oFvnlFP1wIhRlYS2jTaXbA"));
        assert!(!is_nonce("") && !is_nonce("a b") && !is_nonce("a=="));
    }
}

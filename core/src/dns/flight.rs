//! One look-up for everybody who asks for the same thing at the same time, and afterwards.

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Flight<V, E> = Shared<BoxFuture<'static, Result<V, E>>>;

/// Results by key, each worked out once. Failures are handed to those who wait, and forgotten.
pub(super) struct Flights<K, V, E> {
    under_way: Mutex<HashMap<K, Flight<V, E>>>,
}

impl<K, V, E> Default for Flights<K, V, E> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<K, V, E> Flights<K, V, E>
where
    K: Clone + Eq + Hash,
    V: Clone,
    E: Clone,
{
    /// The result for `key`, from `work` unless it is known or under way. When one caller is
    /// dropped the others carry the work on.
    pub(super) async fn get(
        &self,
        key: &K,
        work: impl FnOnce() -> BoxFuture<'static, Result<V, E>>,
    ) -> Result<V, E> {
        let flight = self.table().entry(key.clone()).or_insert_with(|| work().shared()).clone();
        let result = flight.clone().await;
        if result.is_err() {
            let mut table = self.table();
            if table.get(key).is_some_and(|current| current.ptr_eq(&flight)) {
                table.remove(key);
            }
        }
        result
    }

    fn table(&self) -> MutexGuard<'_, HashMap<K, Flight<V, E>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Turns of those who write in a zone.

use crate::name::ZoneName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// One writer in a zone at a time, for services without compare-and-set: whoever writes a whole
/// RRset has just read it.
#[derive(Debug, Default)]
pub struct ZoneTurns(Mutex<HashMap<ZoneName, Arc<tokio::sync::Mutex<()>>>>);

impl ZoneTurns {
    /// Waits for those before; the turn lasts until what is returned is dropped.
    pub async fn turn(&self, zone: &ZoneName) -> OwnedMutexGuard<()> {
        self.line(zone).lock_owned().await
    }

    fn line(&self, zone: &ZoneName) -> Arc<tokio::sync::Mutex<()>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lines.entry(zone.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_zone_has_one_turn_at_a_time_and_another_zone_its_own() {
        let (turns, zone) = (ZoneTurns::default(), |name: &str| ZoneName::parse(name).unwrap());
        let (one, other) = (zone("one.test"), zone("other.test"));
        let turn = turns.turn(&one).await;
        assert!(turns.turn(&one).now_or_never().is_none());
        assert!(turns.turn(&other).now_or_never().is_some());
        drop(turn);
        assert!(turns.turn(&one).now_or_never().is_some());
    }
}

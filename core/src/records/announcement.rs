//! Announcements: which orders are under way and may still want records, so that a writer can
//! tell whether waiting for company is worth it.

use super::Place;
use dns01_provider::{CredentialName, ZoneName};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// An order that has started and has not asked for its records yet. Dropping it withdraws it.
#[derive(Debug)]
pub struct Announcement {
    registry: Arc<Registry>,
    /// Where it will come to; `None` is anywhere.
    places: Option<HashSet<Place>>,
}

impl Announcement {
    /// Says that the order will want records in these zones only, so that the writers of
    /// others need not wait for it. Needless once is fine, twice replaces the first.
    pub fn narrow(&mut self, places: impl IntoIterator<Item = (CredentialName, ZoneName)>) {
        let places = Some(places.into_iter().collect());
        self.registry.replace(&self.places, &places);
        self.places = places;
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.registry.replace(&self.places, &Some(HashSet::new()));
    }
}

/// Counts announcements, by place.
#[derive(Debug)]
pub(super) struct Registry {
    counts: Mutex<Counts>,
    /// Ticks when some writer may have nobody left to wait for.
    ticks: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Counts {
    anywhere: usize,
    places: HashMap<Place, usize>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self { counts: Mutex::default(), ticks: watch::Sender::new(()) }
    }

    pub(super) fn announce(self: &Arc<Self>) -> Announcement {
        self.counts().anywhere += 1;
        Announcement { registry: Arc::clone(self), places: None }
    }

    /// True while an announced order may still come to `place`.
    pub(super) fn awaits(&self, place: &Place) -> bool {
        let counts = self.counts();
        counts.anywhere > 0 || counts.places.contains_key(place)
    }

    /// Ticks whenever [`Registry::awaits`] may have turned false.
    pub(super) fn ticks(&self) -> watch::Receiver<()> {
        self.ticks.subscribe()
    }

    fn replace(&self, before: &Option<HashSet<Place>>, after: &Option<HashSet<Place>>) {
        let mut counts = self.counts();
        match after {
            None => counts.anywhere += 1,
            Some(places) => {
                for place in places {
                    *counts.places.entry(place.clone()).or_default() += 1;
                }
            }
        }
        let fell = match before {
            None => {
                counts.anywhere -= 1;
                counts.anywhere == 0
            }
            Some(places) => places.iter().filter(|place| counts.leave(place)).count() > 0,
        };
        drop(counts);
        if fell {
            self.ticks.send_replace(());
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// True if it was the last one for `place`.
    fn leave(&mut self, place: &Place) -> bool {
        let Some(count) = self.places.get_mut(place) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.places.remove(place);
        }
        last
    }
}

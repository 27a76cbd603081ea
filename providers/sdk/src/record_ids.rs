//! The ids of records that were created, for services that remove a record by its id.

use crate::name::{Fqdn, ZoneName};
use crate::record::TxtValue;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a service called the records that we created, so that a removal need not look for them.
///
/// An id is told only if the value was certainly created once: where a reply was lost, another
/// record with the same value may stand beside it, and a look is needed.
#[derive(Debug, Default)]
pub struct RecordIds(Mutex<HashMap<Place, Known>>);

type Place = (ZoneName, Fqdn, TxtValue);

#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// A creation is under way, or its reply was lost.
    Begun,
    /// Created once, under this id.
    Made(String),
    /// Perhaps created more than once.
    Doubtful,
}

impl RecordIds {
    /// To be said before each attempt to create a record.
    pub fn begin(&self, zone: &ZoneName, name: &Fqdn, value: &TxtValue) {
        let place = (zone.clone(), name.clone(), value.clone());
        self.known().entry(place).and_modify(|known| *known = Known::Doubtful).or_insert(Known::Begun);
    }

    /// The attempt has made a record with this id.
    pub fn made(&self, zone: &ZoneName, name: &Fqdn, value: &TxtValue, id: String) {
        if let Some(known) = self.known().get_mut(&(zone.clone(), name.clone(), value.clone()))
            && *known == Known::Begun
        {
            *known = Known::Made(id);
        }
    }

    /// The id of the only record with this value, if it is known. It is forgotten: the caller
    /// removes the record, or looks for all that have the value.
    #[must_use]
    pub fn take(&self, zone: &ZoneName, name: &Fqdn, value: &TxtValue) -> Option<String> {
        match self.known().remove(&(zone.clone(), name.clone(), value.clone()))? {
            Known::Made(id) => Some(id),
            Known::Begun | Known::Doubtful => None,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Place, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (RecordIds, ZoneName, Fqdn, TxtValue) {
        let zone = ZoneName::parse("example.test").unwrap();
        let name = Fqdn::parse("_acme-challenge.example.test").unwrap();
        (RecordIds::default(), zone, name, TxtValue::parse("v").unwrap())
    }

    #[test]
    fn the_id_of_what_was_created_once_is_told_once() {
        let (ids, zone, name, value) = ids();
        assert_eq!(ids.take(&zone, &name, &value), None);
        ids.begin(&zone, &name, &value);
        ids.made(&zone, &name, &value, "7".to_owned());
        assert_eq!(ids.take(&zone, &name, &value).as_deref(), Some("7"));
        assert_eq!(ids.take(&zone, &name, &value), None);
    }

    #[test]
    fn after_a_lost_reply_no_id_is_told_and_after_a_look_the_next_is() {
        let (ids, zone, name, value) = ids();
        ids.begin(&zone, &name, &value);
        ids.begin(&zone, &name, &value);
        ids.made(&zone, &name, &value, "8".to_owned());
        assert_eq!(ids.take(&zone, &name, &value), None, "7 may stand beside it");
        ids.begin(&zone, &name, &value);
        ids.made(&zone, &name, &value, "9".to_owned());
        assert_eq!(ids.take(&zone, &name, &value).as_deref(), Some("9"));
    }
}

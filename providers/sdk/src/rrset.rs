//! Single values at services that know whole RRsets only: read, merge, write.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::{Fqdn, ZoneName};
use crate::record::{TxtChange, TxtValue};
use std::collections::BTreeMap;

/// One record of a TXT RRset in the form of a service. Somebody else's is written back exactly
/// as it was read.
pub trait RrsetRecord: Clone + PartialEq {
    /// The record that holds `value`.
    fn holding(value: &TxtValue) -> Self;

    /// The value that it holds; `None` where it is no printable text, and so not ours.
    fn value(&self) -> Option<TxtValue>;

    /// False for a record that the service keeps and does not serve.
    fn is_served(&self) -> bool {
        true
    }
}

/// In the presentation format (RFC 1035 §5.1), as most services write TXT records.
impl RrsetRecord for String {
    fn holding(value: &TxtValue) -> Self {
        value.presentation()
    }

    fn value(&self) -> Option<TxtValue> {
        TxtValue::from_presentation(self)
    }
}

/// A TXT RRset in the form of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset<R = String> {
    /// Seconds.
    pub ttl: u32,
    /// As the service orders them.
    pub records: Vec<R>,
}

/// `changes` by the name that changes, in their order.
#[must_use]
pub fn by_name(changes: &[TxtChange]) -> BTreeMap<&Fqdn, Vec<&TxtChange>> {
    let mut names: BTreeMap<&Fqdn, Vec<&TxtChange>> = BTreeMap::new();
    for change in changes {
        names.entry(change.name()).or_default().push(change);
    }
    names
}

/// What must stand at one name so that `changes` hold there; `None` if they hold already. No
/// records means that the RRset goes. A present RRset keeps its TTL, and other people's records
/// keep their form and their order.
#[must_use]
pub fn merged<R: RrsetRecord>(present: Option<&Rrset<R>>, changes: &[&TxtChange]) -> Option<Rrset<R>> {
    let before = present.map_or(&[][..], |set| &set.records);
    let mut ttl = present.filter(|set| !set.records.is_empty()).map(|set| set.ttl);
    let mut records = before.to_vec();
    let shows = |record: &R, value: &TxtValue| record.is_served() && record.value().as_ref() == Some(value);
    for change in changes {
        let value = change.value();
        match change {
            TxtChange::Add { ttl: wanted, .. } => {
                ttl = ttl.or(Some(*wanted));
                if !records.iter().any(|record| shows(record, value)) {
                    // Services refuse the same content twice, served or not.
                    records.retain(|record| record.value().as_ref() != Some(value));
                    records.push(R::holding(value));
                }
            }
            TxtChange::Remove { .. } => records.retain(|record| !shows(record, value)),
        }
    }
    (records != before).then(|| Rrset { ttl: ttl.unwrap_or_default(), records })
}

/// Without compare-and-set: another program writes the same RRsets of `zone`, and overwrites ours
/// each time.
#[must_use]
pub fn overwritten(zone: &ZoneName) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Conflict, "another writer keeps changing the same records")
        .with_context("zone", zone)
        .with_retryable(true)
        .with_hint("the API has no compare-and-set: let one program write the zone's challenges")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.org").unwrap()
    }

    fn add(value: &str) -> TxtChange {
        TxtChange::Add { name: name(), value: TxtValue::parse(value).unwrap(), ttl: 60 }
    }

    fn remove(value: &str) -> TxtChange {
        TxtChange::Remove { name: name(), value: TxtValue::parse(value).unwrap() }
    }

    fn set(records: &[&str]) -> Rrset {
        Rrset { ttl: 3600, records: records.iter().map(|&record| record.to_owned()).collect() }
    }

    fn merge(present: Option<&Rrset>, changes: &[TxtChange]) -> Option<Rrset> {
        merged(present, &changes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn an_add_keeps_the_ttl_and_the_records_of_others_exactly() {
        let present = set(&[r#""a"  "b""#, "unreadable"]);
        let written = merge(Some(&present), &[add("new")]).unwrap();
        assert_eq!(written, set(&[r#""a"  "b""#, "unreadable", r#""new""#]));
        assert_eq!(merge(None, &[add("new")]).unwrap().ttl, 60);
    }

    #[test]
    fn what_holds_already_is_not_written() {
        let present = set(&[r#""mi" "ne""#]);
        assert_eq!(merge(Some(&present), &[add("mine"), remove("absent")]), None);
        assert_eq!(merge(None, &[remove("absent")]), None);
        assert_eq!(merge(Some(&present), &[add("b"), remove("b")]), None);
    }

    #[test]
    fn the_last_value_takes_the_rrset_with_it() {
        let present = set(&[r#""mine""#]);
        assert_eq!(merge(Some(&present), &[remove("mine")]), Some(set(&[])));
        assert_eq!(merge(Some(&present), &[remove("mine"), add("mine")]), None);
    }

    #[test]
    fn an_rrset_without_records_gives_no_ttl() {
        assert_eq!(merge(Some(&set(&[])), &[add("v")]).unwrap().ttl, 60);
    }

    #[test]
    fn what_is_overwritten_each_time_may_be_tried_again_later() {
        let error = overwritten(&ZoneName::parse("example.org").unwrap());
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, true));
        assert!(error.to_string().contains("example.org") && error.hint().is_some(), "{error}");
    }

    #[test]
    fn changes_are_gathered_by_name_in_their_order() {
        let other = TxtChange::Add {
            name: Fqdn::parse("_acme-challenge.a.test").unwrap(),
            value: TxtValue::parse("x").unwrap(),
            ttl: 60,
        };
        let changes = [add("1"), other.clone(), remove("1")];
        let gathered = by_name(&changes);
        assert_eq!(gathered[&name()], [&changes[0], &changes[2]]);
        assert_eq!(gathered[other.name()], [&other]);
    }
}

//! What a key may do.

use super::change::Change;

/// What a policy allows: these actions on these zones, and of changes only those that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Such as `ListHostedZones`; none means all.
    pub actions: Option<Vec<&'static str>>,
    /// Ids; none means all.
    pub zones: Option<Vec<String>>,
    /// Names that may change, in lower case without the final dot; none means all.
    pub names: Option<Vec<String>>,
    /// Types that may change; none means all.
    pub kinds: Option<Vec<&'static str>>,
    /// `CREATE` and its like; none means all.
    pub changes: Option<Vec<&'static str>>,
}

impl Statement {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { actions: None, zones: None, names: None, kinds: None, changes: None }
    }

    /// `actions` on everything.
    #[must_use]
    pub fn of(actions: &[&'static str]) -> Self {
        Self { actions: Some(actions.to_vec()), ..Self::all() }
    }

    /// The same in the zone with this id only.
    #[must_use]
    pub fn in_zone(mut self, id: &str) -> Self {
        self.zones.get_or_insert_default().push(id.to_owned());
        self
    }

    /// The smallest policy that lets TXT at `names` in the zone `id` be written.
    #[must_use]
    pub fn smallest(id: &str, names: &[&str]) -> Vec<Self> {
        let change = Self {
            names: Some(names.iter().map(|&name| name.to_owned()).collect()),
            kinds: Some(vec!["TXT"]),
            changes: Some(vec!["CREATE", "DELETE"]),
            ..Self::of(&["ChangeResourceRecordSets"])
        };
        vec![Self::of(&["GetChange"]), Self::of(&["ListResourceRecordSets"]).in_zone(id), change.in_zone(id)]
    }

    pub(super) fn allows(&self, action: &str, zone: Option<&str>, changes: &[Change]) -> bool {
        fn has<T: AsRef<str>>(list: Option<&Vec<T>>, one: &str) -> bool {
            list.is_none_or(|list| list.iter().any(|entry| entry.as_ref() == one))
        }
        has(self.actions.as_ref(), action)
            && zone.is_none_or(|zone| has(self.zones.as_ref(), zone))
            && changes.iter().all(|change| {
                has(self.names.as_ref(), change.name.as_str())
                    && has(self.kinds.as_ref(), change.kind.as_str())
                    && has(self.changes.as_ref(), change.action.as_str())
            })
    }
}

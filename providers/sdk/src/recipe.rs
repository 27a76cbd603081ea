//! How to make the smallest credential that will do.

use crate::name::ZoneName;
use crate::provider::ScopeNeed;
use std::collections::BTreeMap;

/// What `dns01 scope recipe` prints for one credential: how to make it, for exactly the names
/// that are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// One line: what the credential will be able to do, and where that is more than needed.
    pub grants: String,
    /// Where it is made: a page of the service, where it has one.
    pub portal: Option<&'static str>,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// One step of a [`Recipe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// One line that says what it is for.
    pub title: String,
    /// What to type or paste as it stands: a command, a policy, lines of a file. Empty where the
    /// title says it all.
    pub text: String,
}

impl Recipe {
    /// A recipe without steps.
    pub fn new(grants: impl Into<String>) -> Self {
        Self { grants: grants.into(), portal: None, steps: Vec::new() }
    }

    /// Says where the credential is made.
    #[must_use]
    pub fn at(mut self, portal: &'static str) -> Self {
        self.portal = Some(portal);
        self
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, title: impl Into<String>, text: impl Into<String>) -> Self {
        self.steps.push(Step { title: title.into(), text: text.into() });
        self
    }

    /// Adds the way around a credential that reaches too far: CNAME records that lead the
    /// challenges out of the zone, into one that holds nothing else.
    #[must_use]
    pub fn delegation(self, needs: &[ScopeNeed]) -> Self {
        let lines: Vec<String> = needs
            .iter()
            .map(|need| {
                let host = need.name.as_str().trim_start_matches("_acme-challenge.").replace('.', "-");
                format!("{} CNAME {host}.challenges.example.net.", need.name.absolute())
            })
            .collect();
        self.step(
            "or give no credential for the zone at all: lead the challenges into a zone that holds nothing else \
             (`challenges.example.net` here), and configure that one",
            lines.join("\n"),
        )
    }
}

/// `needs` by zone, each zone with the names needed in it, sorted.
#[must_use]
pub fn by_zone(needs: &[ScopeNeed]) -> BTreeMap<&ZoneName, Vec<&ScopeNeed>> {
    let mut zones: BTreeMap<&ZoneName, Vec<&ScopeNeed>> = BTreeMap::new();
    for need in needs {
        zones.entry(&need.zone.name).or_default().push(need);
    }
    for names in zones.values_mut() {
        names.sort_by(|one, other| one.name.cmp(&other.name));
        names.dedup();
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Fqdn;
    use crate::record::Zone;

    fn need(zone: &str, name: &str) -> ScopeNeed {
        ScopeNeed { zone: Zone::named(ZoneName::parse(zone).unwrap()), name: Fqdn::parse(name).unwrap() }
    }

    #[test]
    fn needs_are_gathered_by_zone_each_name_once() {
        let needs = [
            need("b.test", "_acme-challenge.x.b.test"),
            need("a.test", "_acme-challenge.a.test"),
            need("b.test", "_acme-challenge.b.test"),
            need("b.test", "_acme-challenge.x.b.test"),
        ];
        let zones = by_zone(&needs);
        let names: Vec<Vec<&str>> =
            zones.values().map(|names| names.iter().map(|need| need.name.as_str()).collect()).collect();
        assert_eq!(
            names,
            [vec!["_acme-challenge.a.test"], vec!["_acme-challenge.b.test", "_acme-challenge.x.b.test"]]
        );
    }

    #[test]
    fn a_delegation_has_a_target_of_its_own_for_each_name() {
        let needs = [need("a.test", "_acme-challenge.a.test"), need("a.test", "_acme-challenge.x.a.test")];
        let recipe = Recipe::new("everything").delegation(&needs);
        assert_eq!(
            recipe.steps[0].text,
            "_acme-challenge.a.test. CNAME a-test.challenges.example.net.\n\
             _acme-challenge.x.a.test. CNAME x-a-test.challenges.example.net."
        );
    }
}

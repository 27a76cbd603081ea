//! What a credential can do, asked without changing anything.
//!
//! Conditions on single record sets show in no list of permissions. What shows them is a change
//! that takes away a set which cannot be there, one with a random text: the service looks at the
//! permission first (403), then finds no such set (404) or another one (412).

use crate::api::{Api, Change, RecordSet};
use crate::error::Failure;
use dns01_provider::recipe::by_zone;
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, Rrset, ScopeNeed, ScopeReport, Zone, ZoneName};
use std::collections::BTreeMap;

/// What no challenge needs, and what it would mean.
const TOO_MUCH: [(&str, &str); 3] = [
    ("dns.managedZones.delete", "delete the zone"),
    ("dns.managedZones.update", "change the zone's settings"),
    ("dns.managedZones.setIamPolicy", "give others rights to the zone"),
];
/// Other zones that are tried.
const MOST_STRANGERS: usize = 10;

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    missing: Vec<String>,
    too_much: Vec<String>,
    probed: Vec<String>,
}

impl Found {
    fn report(self) -> ScopeReport {
        if !self.missing.is_empty() {
            ScopeReport::NotEnough { findings: self.missing }
        } else if !self.too_much.is_empty() {
            ScopeReport::MoreThanNeeded { findings: self.too_much }
        } else {
            ScopeReport::ExactlyEnough { probed: self.probed }
        }
    }
}

/// Holds the credential against `needs`; `ids` are those of their zones.
pub(crate) async fn audit(
    api: &Api,
    needs: &[ScopeNeed],
    ids: &BTreeMap<&ZoneName, String>,
) -> Result<ScopeReport, ProviderError> {
    let mut found = Found::default();
    for (zone, needs) in by_zone(needs) {
        let id = &ids[zone];
        names(api, id, &needs, &mut found).await?;
        if found.missing.is_empty() {
            beyond(api, id, zone, needs[0], &mut found).await?;
        }
    }
    if found.missing.is_empty() {
        strangers(api, ids, &mut found).await?;
    }
    Ok(found.report())
}

/// Whether each name can be read and written.
async fn names(api: &Api, id: &str, needs: &[&ScopeNeed], found: &mut Found) -> Result<(), ProviderError> {
    for need in needs {
        let name = &need.name;
        match api.set(id, name).await {
            Ok(_) => {}
            Err(error) if error.is_out_of_reach() => {
                found.missing.push(format!("it cannot read the records at `{name}`: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        }
        if may_change(api, id, &absent_txt(name)).await? {
            found.probed.push(format!("it may write TXT at `{name}`"));
        } else {
            found.missing.push(format!("it cannot write TXT at `{name}`"));
        }
    }
    Ok(())
}

/// Whether it can do more in the zone.
async fn beyond(
    api: &Api,
    id: &str,
    zone: &ZoneName,
    need: &ScopeNeed,
    found: &mut Found,
) -> Result<(), ProviderError> {
    if may_change(api, id, &absent_txt(&random_name(zone))).await? {
        found.too_much.push(format!("it may write TXT at any name of the zone `{zone}`"));
    } else {
        found.probed.push(format!("it may not write TXT at other names of `{zone}`"));
    }
    let other_type = RecordSet {
        kind: "MX".to_owned(),
        rrdatas: vec![format!("10 {}.invalid.", random_label())],
        ..absent_txt(&need.name)
    };
    if may_change(api, id, &other_type).await? {
        found.too_much.push(format!("it may write other types than TXT at `{}`", need.name));
    } else {
        found.probed.push(format!("it may write no other type at `{}`", need.name));
    }
    match api.held(id, &TOO_MUCH.map(|(permission, _)| permission)).await {
        Ok(held) => {
            let meant = TOO_MUCH.iter().filter(|(permission, _)| held.iter().any(|one| one == permission));
            found
                .too_much
                .extend(meant.map(|(permission, what)| format!("it may {what} `{zone}` (`{permission}`)")));
            found.probed.push(format!("its permissions on the zone `{zone}`"));
        }
        // Who may not ask has little; what it can write was tried above.
        Err(error) if error.kind() == ProviderErrorKind::Permission => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether it reaches other zones.
async fn strangers(
    api: &Api,
    ids: &BTreeMap<&ZoneName, String>,
    found: &mut Found,
) -> Result<(), ProviderError> {
    let listed = match api.zones(None).await {
        Err(error) if error.kind() == ProviderErrorKind::Permission => {
            found.probed.push("it sees no list of zones".to_owned());
            return Ok(());
        }
        result => result?,
    };
    let mut tried = 0;
    for one in listed.iter().filter(|one| !ids.values().any(|id| *id == one.name)).take(MOST_STRANGERS) {
        let Ok(name) = ZoneName::parse(&one.dns_name) else { continue };
        if ids.contains_key(&name) {
            continue;
        }
        tried += 1;
        if may_change(api, &one.name, &absent_txt(&random_name(&name))).await? {
            found.too_much.push(format!("it may write in the zone `{name}`, which is not needed"));
        }
    }
    found.probed.push(format!("{tried} other zones of the project"));
    Ok(())
}

/// Whether the credential could take `set` away, which is not there.
async fn may_change(api: &Api, id: &str, set: &RecordSet) -> Result<bool, ProviderError> {
    let change = Change { deletions: vec![set.clone()], additions: Vec::new() };
    match api.change(id, &change).await {
        Ok(_) | Err(Failure::Stale(_)) => Ok(true),
        Err(Failure::Other(error)) if error.kind() == ProviderErrorKind::Permission => Ok(false),
        Err(Failure::Other(error)) => Err(error),
    }
}

/// A TXT set that stands nowhere.
fn absent_txt(name: &Fqdn) -> RecordSet {
    RecordSet::txt(name, Rrset { ttl: 60, records: vec![format!("\"{}\"", random_label())] })
}

/// 128 random bits: nobody has a record with them.
fn random_label() -> String {
    format!("dns01-{:032x}", rand::random::<u128>())
}

fn random_name(zone: &ZoneName) -> Fqdn {
    zone.apex().child(&random_label()).unwrap_or_else(|_| Zone::named(zone.clone()).name.apex().clone())
}

//! What a credential can do, asked without changing anything: the service tells what a caller
//! may do at a resource, in patterns of actions.

use crate::api::{Api, Permission, ZoneId};
use crate::error::Failure;
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport, ZoneName, pattern};
use std::collections::{BTreeMap, BTreeSet};

const READ: &str = "Microsoft.Network/dnsZones/TXT/read";
const WRITE: &str = "Microsoft.Network/dnsZones/TXT/write";
const DELETE: &str = "Microsoft.Network/dnsZones/TXT/delete";
/// What no challenge needs, anywhere, and what it would mean.
const TOO_MUCH: [(&str, &str); 3] = [
    (WRITE, "write TXT at any name"),
    ("Microsoft.Network/dnsZones/delete", "delete zones"),
    ("Microsoft.Authorization/roleAssignments/write", "give others rights"),
];
/// An ETag that no record set has.
const NO_ETAG: &str = "\"dns01-probe\"";

/// Holds the credential against the needs; with `keep` record sets are never deleted.
pub(crate) async fn audit(
    api: &Api,
    places: &[(&ScopeNeed, ZoneId)],
    keep: bool,
) -> Result<ScopeReport, ProviderError> {
    let (mut missing, mut probed) = (Vec::new(), Vec::new());
    for (need, id) in places {
        let Some(held) = permissions(api, &id.txt(&need.zone.name, &need.name)?).await? else {
            return without_permissions(api, &need.zone.name, id).await;
        };
        let needed: &[&str] = if keep { &[READ, WRITE] } else { &[READ, WRITE, DELETE] };
        let lacking: Vec<&&str> = needed.iter().filter(|action| !allows(&held, action)).collect();
        if lacking.is_empty() {
            probed.push(format!("its permissions on the TXT records at `{}`", need.name));
        }
        missing.extend(lacking.into_iter().map(|action| format!("at `{}` it lacks `{action}`", need.name)));
    }
    if !missing.is_empty() {
        return Ok(ScopeReport::NotEnough { findings: missing });
    }
    let mut findings = beyond(api, places, &mut probed).await?;
    findings.extend(strangers(api, places, &mut probed).await?);
    Ok(ScopeReport::of(Vec::new(), findings, probed))
}

/// What it may do on whole zones, their groups and their subscriptions; each found at the widest
/// place only.
async fn beyond(
    api: &Api,
    places: &[(&ScopeNeed, ZoneId)],
    probed: &mut Vec<String>,
) -> Result<Vec<String>, ProviderError> {
    let mut findings = Vec::new();
    let zones: BTreeMap<&ZoneName, &ZoneId> = places.iter().map(|(need, id)| (&need.zone.name, id)).collect();
    let mut asked = BTreeSet::new();
    for id in zones.values() {
        let mut told = BTreeSet::new();
        for scope in id.scopes() {
            let first = asked.insert(scope.to_ascii_lowercase());
            let held = permissions(api, &scope).await?.unwrap_or_default();
            for (action, what) in TOO_MUCH {
                if allows(&held, action) && told.insert(action) && first {
                    findings.push(format!("it may {what} in `/{scope}` (`{action}`)"));
                }
            }
            if first {
                probed.push(format!("its permissions on `/{scope}`"));
            }
        }
    }
    Ok(findings)
}

/// Zones that it can see and does not need.
async fn strangers(
    api: &Api,
    places: &[(&ScopeNeed, ZoneId)],
    probed: &mut Vec<String>,
) -> Result<Vec<String>, ProviderError> {
    let lowered = |id: &str| id.trim_matches('/').to_ascii_lowercase();
    let needed: BTreeSet<String> = places.iter().map(|(_, id)| lowered(id.path())).collect();
    let subscriptions: BTreeSet<String> =
        needed.iter().filter_map(|id| id.split('/').nth(1).map(str::to_owned)).collect();
    let mut findings = Vec::new();
    for subscription in subscriptions {
        let seen = match api.zones(&subscription).await {
            Err(error) if error.is_out_of_reach() => Vec::new(),
            result => result?,
        };
        let strange =
            seen.iter().filter_map(|zone| zone.id.as_deref()).filter(|id| !needed.contains(&lowered(id)));
        findings.extend(strange.map(|id| format!("it sees the zone `{id}`, which is not needed")));
        probed.push(format!("the zones of the subscription `{subscription}`"));
    }
    Ok(findings)
}

/// Where the permissions may not be asked: a deletion of what is not there, with an ETag that
/// nothing has, is refused (403) or finds nothing.
async fn without_permissions(api: &Api, zone: &ZoneName, id: &ZoneId) -> Result<ScopeReport, ProviderError> {
    let strange = random_name(zone);
    match api.delete(&id.txt(zone, &strange)?, NO_ETAG).await {
        Ok(()) | Err(Failure::Absent(_) | Failure::Stale(_)) => Ok(ScopeReport::MoreThanNeeded {
            findings: vec![format!("it may delete TXT records at any name of the zone `{zone}`")],
        }),
        Err(Failure::Other(error)) if error.kind() == ProviderErrorKind::Permission => {
            Ok(ScopeReport::CannotTell {
                reason: format!(
                    "it may not ask for its permissions (`Microsoft.Authorization/permissions/read`); at other names of \
                     `{zone}` it may not delete TXT records"
                ),
            })
        }
        Err(Failure::Other(error)) => Err(error),
    }
}

fn random_name(zone: &ZoneName) -> Fqdn {
    let label = format!("dns01-{:032x}", rand::random::<u128>());
    zone.apex().child(&label).unwrap_or_else(|_| zone.apex().clone())
}

/// `None` where it may not be asked, or nothing at all may be done.
async fn permissions(api: &Api, scope: &str) -> Result<Option<Vec<Permission>>, ProviderError> {
    match api.permissions(scope).await {
        Err(error) if error.is_out_of_reach() => Ok(None),
        result => result.map(Some),
    }
}

/// True if one of the roles allows `action`.
fn allows(held: &[Permission], action: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, action));
    held.iter().any(|role| any(&role.actions) && !any(&role.not_actions))
}

/// Actions are compared without case.
fn fits(pattern: &str, action: &str) -> bool {
    pattern::fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_actions_are_read_as_the_service_does() {
        for (pattern, action, fitting) in [
            ("*", WRITE, true),
            ("*/read", READ, true),
            ("*/read", WRITE, false),
            ("microsoft.network/dnszones/*", WRITE, true),
            ("Microsoft.Network/dnsZones/TXT/write", WRITE, true),
            ("Microsoft.Network/*/write", WRITE, true),
            ("Microsoft.Network/dnsZones/A/*", WRITE, false),
            ("Microsoft.Network/privateDnsZones/*", WRITE, false),
        ] {
            assert_eq!(fits(pattern, action), fitting, "{pattern} {action}");
        }
    }

    #[test]
    fn what_a_role_takes_out_it_does_not_allow() {
        let role = |not: &[&str]| Permission {
            actions: vec!["*".to_owned()],
            not_actions: not.iter().map(|&not| not.to_owned()).collect(),
        };
        assert!(allows(&[role(&["Microsoft.Authorization/*/Write"])], WRITE));
        assert!(!allows(&[role(&["Microsoft.Network/*"])], WRITE));
        assert!(allows(&[role(&["Microsoft.Network/*"]), role(&[])], WRITE));
    }
}

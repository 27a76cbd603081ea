//! What a token may do beyond what it must: its scopes, which every answer tells, and the grants
//! of its user.

use crate::api::{Api, Grants, ListedDomain};
use dns01_provider::recipe::by_zone;
use dns01_provider::{ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport, ZoneName};
use std::collections::BTreeMap;

/// The scope that writing records needs.
const NEEDED: &str = "domains:read_write";
/// Domains that are named one by one.
const NAMED: usize = 5;

#[derive(Default)]
struct Found {
    missing: Vec<String>,
    more: Vec<String>,
    probed: Vec<String>,
}

pub(crate) async fn audit(api: &Api, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
    let (domains, scopes) = match api.domains(None).await {
        Err(error) if error.kind() == ProviderErrorKind::Permission => {
            let findings = vec![format!("it may not even list domains: it needs the scope `{NEEDED}`")];
            return Ok(ScopeReport::NotEnough { findings });
        }
        result => result?,
    };
    let grants = match api.grants().await {
        // The question is open to every token; where it is not, the list of domains has to do.
        Err(error) if error.is_out_of_reach() => Err(()),
        Err(error) => return Err(error),
        Ok(grants) => Ok(grants),
    };
    let mut found = Found::default();
    if let Some(scopes) = &scopes {
        judge_scopes(scopes, &mut found);
    }
    let needed: Vec<&ZoneName> = by_zone(needs).into_keys().collect();
    judge_domains(&domains, &needed, &mut found);
    if let Ok(grants) = &grants {
        judge_grants(grants.as_ref(), &domains, &needed, &mut found);
    }
    Ok(if !found.missing.is_empty() {
        ScopeReport::NotEnough { findings: found.missing }
    } else if !found.more.is_empty() {
        ScopeReport::MoreThanNeeded { findings: found.more }
    } else if scopes.is_none() {
        ScopeReport::CannotTell { reason: "the service did not tell the token's scopes".to_owned() }
    } else {
        ScopeReport::ExactlyEnough { probed: found.probed }
    })
}

/// The scopes are separated by blanks or commas.
fn judge_scopes(scopes: &str, found: &mut Found) {
    let held: Vec<&str> = scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
    if held.contains(&"*") {
        found.more.push("it may do everything with everything of the account (scope `*`)".to_owned());
    } else if !held.contains(&NEEDED) {
        found.missing.push(format!("it lacks the scope `{NEEDED}`: it has `{}`", held.join(" ")));
    }
    // Reading is part of writing.
    let others = held.iter().filter(|scope| !matches!(**scope, NEEDED | "domains:read_only" | "*"));
    found.more.extend(others.map(|scope| format!("it has the scope `{scope}`, which is not needed")));
    found.probed.push("the token's scopes".to_owned());
}

/// What the token sees beside what it must.
fn judge_domains(domains: &[ListedDomain], needed: &[&ZoneName], found: &mut Found) {
    let seen: Vec<ZoneName> = domains.iter().filter_map(|one| ZoneName::parse(&one.domain).ok()).collect();
    let missing = needed.iter().filter(|zone| !seen.contains(zone));
    found.missing.extend(missing.map(|zone| format!("it does not see the domain `{zone}`")));
    let others: Vec<&ZoneName> = seen.iter().filter(|zone| !needed.contains(zone)).collect();
    found.more.extend(
        others.iter().take(NAMED).map(|zone| format!("it reaches the domain `{zone}`, which is not needed")),
    );
    if others.len() > NAMED {
        found.more.push(format!("and {} domains more", others.len() - NAMED));
    }
    found.probed.push("the domains that it sees".to_owned());
}

/// What its user may do; without grants there are no bounds.
fn judge_grants(grants: Option<&Grants>, domains: &[ListedDomain], needed: &[&ZoneName], found: &mut Found) {
    let Some(grants) = grants else {
        let every = "its user is unrestricted: it reaches every domain of the account, and may make and delete domains";
        found.more.push(every.to_owned());
        return;
    };
    let written: BTreeMap<u64, &str> = grants
        .domain
        .iter()
        .filter(|grant| grant.permissions.as_deref() == Some("read_write"))
        .map(|grant| (grant.id, grant.label.as_str()))
        .collect();
    for domain in domains {
        let is_needed = ZoneName::parse(&domain.domain).is_ok_and(|name| needed.contains(&&name));
        if is_needed && !written.contains_key(&domain.id) {
            found.missing.push(format!("its user may not edit the domain `{}`", domain.domain));
        }
    }
    if grants.global.add_domains {
        found.more.push("its user may add domains".to_owned());
    }
    found.probed.push("the grants of its user".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_with_blanks_or_commas() {
        let judged = |scopes: &str| {
            let mut found = Found::default();
            judge_scopes(scopes, &mut found);
            (found.missing.len(), found.more.len())
        };
        assert_eq!(judged("domains:read_write"), (0, 0));
        assert_eq!(judged("domains:read_only domains:read_write"), (0, 0));
        assert_eq!(judged("domains:read_only"), (1, 0));
        assert_eq!(judged("domains:read_write,linodes:read_only"), (0, 1));
        assert_eq!(judged("*"), (0, 1));
    }
}

//! What the token can do beyond what it must.

use crate::api::Api;
use dns01_provider::{ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport, Zone};
use std::collections::{BTreeMap, BTreeSet};

/// Lists of other things, each with the scope that shows it.
const OTHER_LISTS: [(&str, &str); 6] = [
    ("account", "account:read"),
    ("droplets", "droplet:read"),
    ("kubernetes/clusters", "kubernetes:read"),
    ("databases", "database:read"),
    ("projects", "project:read"),
    ("customers/my/balance", "billing:read"),
];

/// Asks for lists, and for deletions of a record and a domain that do not exist: the service looks
/// at scopes before it looks for what is to be deleted.
pub(crate) async fn audit(api: &Api, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
    let domains = match api.domains().await {
        Err(error) if error.kind() == ProviderErrorKind::Permission => {
            let findings = vec!["the token lacks the scope `domain:read`".to_owned()];
            return Ok(ScopeReport::NotEnough { findings });
        }
        domains => domains?,
    };
    let seen: BTreeSet<String> = domains.iter().map(|name| name.to_ascii_lowercase()).collect();
    let needed: BTreeMap<&str, &Zone> =
        needs.iter().map(|need| (need.zone.name.as_str(), &need.zone)).collect();
    let mut missing: Vec<String> = needed
        .keys()
        .filter(|name| !seen.contains(**name))
        .map(|name| format!("the token's team has no domain `{name}`"))
        .collect();
    if let Some(zone) = needed.iter().find_map(|(name, zone)| seen.contains(*name).then_some(zone))
        && !api.may_delete_records(zone).await?
    {
        missing.push("the token lacks the scope `domain:update`".to_owned());
    }
    if !missing.is_empty() {
        return Ok(ScopeReport::NotEnough { findings: missing });
    }
    surplus(api, &seen, &needed).await
}

/// What a token that is enough can do beyond that.
async fn surplus(
    api: &Api,
    seen: &BTreeSet<String>,
    needed: &BTreeMap<&str, &Zone>,
) -> Result<ScopeReport, ProviderError> {
    let mut findings: Vec<String> = seen
        .iter()
        .filter(|name| !needed.contains_key(name.as_str()))
        .map(|name| format!("it writes the records of the domain `{name}` too, which is of the same team"))
        .collect();
    if api.may_delete_domains().await? {
        findings.push("it may delete whole domains (`domain:delete`)".to_owned());
    }
    let mut probed = vec!["the team's domains".to_owned(), "whether domains could be deleted".to_owned()];
    for (path, scope) in OTHER_LISTS {
        if api.may_read(path).await? {
            findings.push(format!("it may read `{path}` (`{scope}`)"));
        }
        probed.push(format!("`{path}`"));
    }
    Ok(ScopeReport::of(Vec::new(), findings, probed))
}

//! What the credential can do beyond what it must.

use crate::api::{Api, TokenInfo};
use dns01_provider::{ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport};
use std::collections::{BTreeMap, BTreeSet};

/// The one scope that writes records.
const NEEDED: &str = "domain:tech";
/// Other parts of the API, which the smallest token does not see.
const OTHER_PARTS: [&str; 2] = ["organization/organizations", "domain/domains"];

/// Asks what the token says of itself, and which domains it sees; without such a word, what else
/// of the API it is shown. Nothing is written.
pub(crate) async fn audit(
    api: &Api,
    unscoped: bool,
    needs: &[ScopeNeed],
) -> Result<ScopeReport, ProviderError> {
    let needed: BTreeSet<&str> = needs.iter().map(|need| need.zone.name.as_str()).collect();
    let seen = seen(api).await?;
    let others = seen.iter().filter(|name| !needed.contains(name.as_str()));
    let mut findings: Vec<String> =
        others.map(|name| format!("it reaches the domain `{name}`, which is not needed")).collect();
    let mut missing = unreached(api, needs, &seen).await?;
    let mut probed = vec!["the domains that it sees".to_owned()];
    if unscoped {
        findings
            .push("an API key can do everything that its owner can: use a personal access token".to_owned());
    } else if let Some(info) = api.token_info().await? {
        probed.push(read(&info, needed.len(), &mut missing, &mut findings));
    } else {
        for part in OTHER_PARTS {
            if api.may_read(part).await? {
                findings.push(format!("it may read `{part}`"));
            }
        }
        if missing.is_empty() && findings.is_empty() {
            let reason = "only `id.gandi.net` tells what a token may do, and `base_url` leads elsewhere without an `id_url`";
            return Ok(ScopeReport::CannotTell { reason: reason.to_owned() });
        }
    }
    Ok(if !missing.is_empty() {
        ScopeReport::NotEnough { findings: missing }
    } else if !findings.is_empty() {
        ScopeReport::MoreThanNeeded { findings }
    } else {
        ScopeReport::ExactlyEnough { probed }
    })
}

/// The domains that the credential lists: none, where it may not list them.
async fn seen(api: &Api) -> Result<BTreeSet<String>, ProviderError> {
    match api.domains().await {
        Ok(names) => Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
        Err(error) if error.kind() == ProviderErrorKind::Permission => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// The needed domains whose records are not shown: a token may write those of one and list none.
async fn unreached(
    api: &Api,
    needs: &[ScopeNeed],
    seen: &BTreeSet<String>,
) -> Result<Vec<String>, ProviderError> {
    let unseen: BTreeMap<&str, &ScopeNeed> = needs
        .iter()
        .map(|need| (need.zone.name.as_str(), need))
        .filter(|(name, _)| !seen.contains(*name))
        .collect();
    let mut missing = Vec::new();
    for (name, need) in unseen {
        match api.rrset(&need.zone, need.zone.relative(&need.name)?).await {
            Ok(_) => {}
            Err(error) if error.is_out_of_reach() => {
                missing.push(format!("it does not reach the domain `{name}`"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}

/// Compares what the token says of itself; returns what was looked at.
fn read(info: &TokenInfo, needed: usize, missing: &mut Vec<String>, findings: &mut Vec<String>) -> String {
    if !info.scope.iter().any(|scope| scope == NEEDED) {
        missing.push(format!(
            "it lacks `Manage technical configuration of domains` (`{NEEDED}`): no record can be written"
        ));
    }
    let others = info.scope.iter().filter(|scope| *scope != NEEDED);
    findings.extend(others.map(|scope| format!("it has the scope `{scope}`, which is not needed")));
    let entities = info.entities.as_ref().map_or(0, Vec::len);
    if entities == 0 {
        findings
            .push("it is not kept to a domain: it reaches all that the organization has or gets".to_owned());
    } else if entities > needed {
        findings.push(format!("it is kept to {entities} resources, {needed} are needed"));
    }
    let days = info.expires_in.map(|seconds| seconds / 86_400);
    match days {
        Some(days) => format!("the token's own word on its scopes and resources; it ends in {days} days"),
        None => "the token's own word on its scopes and resources".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(info: &serde_json::Value) -> (Vec<String>, Vec<String>, String) {
        let (mut missing, mut findings) = (Vec::new(), Vec::new());
        let info = serde_json::from_value(info.clone()).unwrap();
        let probed = read(&info, 1, &mut missing, &mut findings);
        (missing, findings, probed)
    }

    #[test]
    fn a_token_that_may_write_one_domain_and_nothing_else_is_small_enough() {
        let info = json!({ "scope": ["domain:tech"], "entities": ["example.com"], "expires_in": 864_000 });
        let (missing, findings, probed) = told(&info);
        assert!(missing.is_empty() && findings.is_empty(), "{missing:?} {findings:?}");
        assert!(probed.ends_with("it ends in 10 days"), "{probed}");
    }

    #[test]
    fn more_scopes_more_resources_and_a_missing_scope_are_found() {
        let info =
            json!({ "scope": ["domain:tech", "domain:renew"], "entities": [{ "id": 1 }, { "id": 2 }] });
        let (missing, findings, _) = told(&info);
        assert!(missing.is_empty() && findings.len() == 2, "{findings:?}");
        for all in [json!([]), json!(null)] {
            let (missing, findings, _) = told(&json!({ "scope": ["domain:view"], "entities": all }));
            assert_eq!((missing.len(), findings.len()), (1, 2), "{missing:?} {findings:?}");
        }
    }
}

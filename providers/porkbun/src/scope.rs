//! What a key may do beyond what it must, found by questions and by creations that are only
//! played (`dryRun`).

use crate::api::Api;
use dns01_provider::recipe::by_zone;
use dns01_provider::{ProviderError, ScopeNeed, ScopeReport, ZoneName};

/// Domains that are not needed at which a creation is played, at most.
const FOREIGN_DOMAINS: usize = 2;

pub(crate) async fn audit(api: &Api, ttl: u32, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
    let needed = by_zone(needs);
    let mut missing = Vec::new();
    for (zone, needs) in &needed {
        // A key reaches all of a domain or nothing: one name tells for all.
        let subname = needs[0].name.relative_to(zone).unwrap_or_default();
        if !api.may_create(zone, subname, ttl).await? {
            missing.push(format!(
                "it may not write in `{zone}`: API access is off, or the key is not allowed for it"
            ));
        }
    }
    if !missing.is_empty() {
        return Ok(ScopeReport::NotEnough { findings: missing });
    }
    let mut findings: Vec<String> = needed
        .keys()
        .map(|zone| {
            format!("it may change every record of `{zone}`, its name servers and its settings: no key can do less")
        })
        .collect();
    let domains = api.domains().await?;
    let foreign: Vec<&ZoneName> = domains.iter().filter(|zone| !needed.contains_key(zone)).collect();
    for zone in foreign.iter().take(FOREIGN_DOMAINS) {
        if api.may_create(zone, "_acme-challenge", ttl).await? {
            findings.push(format!("it may do the same with `{zone}`, which is not needed"));
        }
    }
    if foreign.len() > FOREIGN_DOMAINS {
        let rest = foreign.len() - FOREIGN_DOMAINS;
        findings.push(format!("it sees {rest} more domains, at which nothing was tried"));
    }
    Ok(ScopeReport::MoreThanNeeded { findings })
}

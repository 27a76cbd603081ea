//! What the token can do beyond what it must.

use crate::api::{Api, Change, Record};
use crate::error::Failure;
use dns01_provider::{ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport, TxtValue};
use std::collections::BTreeSet;

/// What a project may hold beside zones.
const OTHER_THINGS: [&str; 9] = [
    "servers",
    "volumes",
    "load_balancers",
    "networks",
    "firewalls",
    "certificates",
    "floating_ips",
    "primary_ips",
    "ssh_keys",
];

/// The value whose removal is tried: nobody has it.
const NOBODYS_VALUE: &str = "dns01 scope audit: never published";

/// Counts what the project holds, and asks for the removal of a value that is not there: only a
/// change tells a token that may write from one that may read.
pub(crate) async fn audit(api: &Api, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
    let seen: BTreeSet<String> =
        api.zones().await?.into_iter().map(|zone| zone.name.to_ascii_lowercase()).collect();
    let needed: BTreeSet<&str> = needs.iter().map(|need| need.zone.name.as_str()).collect();
    let mut missing: Vec<String> = needed
        .iter()
        .filter(|name| !seen.contains(**name))
        .map(|name| format!("the token's project has no zone `{name}`"))
        .collect();
    if let Some(need) = needs.iter().find(|need| seen.contains(need.zone.name.as_str()))
        && !may_write(api, need).await?
    {
        missing.push("the token may only read".to_owned());
    }
    if !missing.is_empty() {
        return Ok(ScopeReport::NotEnough { findings: missing });
    }
    let mut findings: Vec<String> = seen
        .iter()
        .filter(|name| !needed.contains(name.as_str()))
        .map(|name| format!("it writes and deletes the zone `{name}` too, which is in the same project"))
        .collect();
    let mut probed = vec!["the project's zones".to_owned()];
    for things in OTHER_THINGS {
        let count = api.count(things).await?;
        if count > 0 {
            findings.push(format!("it changes and deletes the project's `{things}` ({count}) too"));
        }
        probed.push(format!("its `{things}`"));
    }
    Ok(ScopeReport::of(Vec::new(), findings, probed))
}

async fn may_write(api: &Api, need: &ScopeNeed) -> Result<bool, ProviderError> {
    let value = TxtValue::parse(NOBODYS_VALUE).expect("printable");
    let change = Change { records: vec![Record::holding(&value)], ttl: None };
    match api.remove(&need.zone, need.zone.relative(&need.name)?, &change).await {
        // There is nothing to remove, or somebody else is writing: the token got that far.
        Ok(_) | Err(Failure::Stale(_) | Failure::Busy(_)) => Ok(true),
        Err(Failure::Other(error)) if error.kind() == ProviderErrorKind::Permission => Ok(false),
        Err(Failure::Other(error)) => Err(error),
    }
}

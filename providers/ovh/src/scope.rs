//! What a credential can do, asked without changing anything: an application's key tells its
//! rules, a service account's policies can be tried.

use crate::api::{Api, Rule};
use dns01_provider::pattern::fits;
use dns01_provider::{ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport};
use std::collections::BTreeSet;

/// What writing challenges takes of an account.
const NEEDED: [&str; 4] = [
    "dnsZone:apiovh:record/get",
    "dnsZone:apiovh:record/create",
    "dnsZone:apiovh:record/delete",
    "dnsZone:apiovh:refresh",
];
/// What no challenge needs.
const TOO_MUCH: [&str; 4] = [
    "dnsZone:apiovh:record/edit",
    "dnsZone:apiovh:soa/edit",
    "dnsZone:apiovh:import",
    "dnsZone:apiovh:reset",
];
/// Other zones that are tried.
const MOST_STRANGERS: usize = 10;

/// Holds the credential against `needs`.
pub(crate) async fn audit(api: &Api, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
    let zones: BTreeSet<&str> =
        needs.iter().map(|need| need.zone.id.as_deref().unwrap_or(need.zone.name.as_str())).collect();
    if api.has_rules() {
        let state = api.credential().await?;
        return Ok(by_rules(&zones, &state.rules, state.allowed_ips.as_deref().unwrap_or_default()));
    }
    by_policies(api, &zones).await
}

/// Rules name methods and paths; none is narrower than the records of a zone.
fn by_rules(zones: &BTreeSet<&str>, rules: &[Rule], addresses: &[String]) -> ScopeReport {
    let needed = |zone: &str| {
        let at = format!("/domain/zone/{zone}");
        [
            ("GET", format!("{at}/record")),
            ("GET", format!("{at}/record/1")),
            ("POST", format!("{at}/record")),
            ("DELETE", format!("{at}/record/1")),
            ("POST", format!("{at}/refresh")),
        ]
    };
    let missing: Vec<String> = zones
        .iter()
        .flat_map(|zone| needed(zone))
        .filter(|(method, path)| !rules.iter().any(|rule| rule.method == *method && fits(&rule.path, path)))
        .map(|(method, path)| {
            format!("no rule lets it {method} `{}`", path.replace("/record/1", "/record/*"))
        })
        .collect();
    if !missing.is_empty() {
        return ScopeReport::NotEnough { findings: missing };
    }
    let useful = |rule: &Rule| {
        zones.iter().any(|zone| {
            let at = format!("/domain/zone/{zone}");
            let paths = match rule.method.as_str() {
                "GET" => vec![format!("{at}/record*"), format!("{at}/status")],
                "POST" => vec![format!("{at}/record"), format!("{at}/refresh")],
                "DELETE" => vec![format!("{at}/record/*")],
                _ => Vec::new(),
            };
            paths.iter().any(|path| fits(path, &rule.path))
        })
    };
    let mut findings = every_record(zones);
    let wide = rules.iter().filter(|rule| !useful(rule));
    findings.extend(wide.map(|rule| format!("a rule lets it {} `{}`", rule.method, rule.path)));
    if addresses.is_empty() {
        findings.push("it may be used from any address (`allowedIPs` is empty)".to_owned());
    }
    ScopeReport::MoreThanNeeded { findings }
}

/// The service knows nothing narrower.
fn every_record(zones: &BTreeSet<&str>) -> Vec<String> {
    let finding =
        |zone: &&str| format!("it may write every record of `{zone}`: that is as narrow as the service goes");
    zones.iter().map(finding).collect()
}

async fn by_policies(api: &Api, zones: &BTreeSet<&str>) -> Result<ScopeReport, ProviderError> {
    let (mut missing, mut findings) = (Vec::new(), every_record(zones));
    for zone in zones {
        let held = match api.authorized(zone, &NEEDED).await {
            Err(error) if error.kind() == ProviderErrorKind::Permission => {
                let reason = format!("the account may not ask for its rights: {error}");
                return Ok(ScopeReport::CannotTell { reason });
            }
            Err(error) if error.kind() == ProviderErrorKind::NotFound => {
                missing.push(format!("the account has no zone `{zone}`"));
                continue;
            }
            result => result?,
        };
        let lacking = NEEDED.iter().filter(|action| !held.iter().any(|one| one == *action));
        missing.extend(lacking.map(|action| format!("`{action}` on `{zone}` is missing")));
        // An action that the service has renamed must not spoil the rest.
        let held = api.authorized(zone, &TOO_MUCH).await.unwrap_or_default();
        findings.extend(held.iter().map(|action| format!("`{action}` on `{zone}` is not needed")));
    }
    if !missing.is_empty() {
        return Ok(ScopeReport::NotEnough { findings: missing });
    }
    let seen = match api.zones().await {
        Err(error) if error.kind() == ProviderErrorKind::Permission => Vec::new(),
        result => result?,
    };
    for stranger in seen.iter().filter(|name| !zones.contains(name.as_str())).take(MOST_STRANGERS) {
        if !api.authorized(stranger, &NEEDED[1..3]).await.unwrap_or_default().is_empty() {
            findings.push(format!("it may write in the zone `{stranger}`, which is not needed"));
        }
    }
    Ok(ScopeReport::MoreThanNeeded { findings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(of: &[(&str, &str)]) -> Vec<Rule> {
        of.iter()
            .map(|(method, path)| Rule { method: (*method).to_owned(), path: (*path).to_owned() })
            .collect()
    }

    const SMALLEST: [(&str, &str); 4] = [
        ("GET", "/domain/zone/example.com/record*"),
        ("POST", "/domain/zone/example.com/record"),
        ("DELETE", "/domain/zone/example.com/record/*"),
        ("POST", "/domain/zone/example.com/refresh"),
    ];

    fn report(more: &[(&str, &str)]) -> ScopeReport {
        let rules = rules(&[&SMALLEST[..], more].concat());
        by_rules(&BTreeSet::from(["example.com"]), &rules, &["192.0.2.7/32".to_owned()])
    }

    #[test]
    fn the_smallest_rules_show_only_what_cannot_be_smaller() {
        let ScopeReport::MoreThanNeeded { findings } = report(&[]) else { panic!("a report") };
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn each_wider_rule_is_named() {
        for wide in [
            ("GET", "/*"),
            ("GET", "/domain/zone/*"),
            ("POST", "/domain/zone/*/refresh"),
            ("PUT", "/domain/zone/example.com/record/*"),
            ("POST", "/domain/zone/example.com/*"),
            ("DELETE", "/domain/zone/example.org/record/*"),
            ("GET", "/me"),
        ] {
            let ScopeReport::MoreThanNeeded { findings } = report(&[wide]) else { panic!("a report") };
            assert!(findings[1].contains(wide.1) && findings.len() == 2, "{findings:?}");
        }
    }

    #[test]
    fn a_missing_rule_is_named() {
        let rules = rules(&SMALLEST[..3]);
        let ScopeReport::NotEnough { findings } = by_rules(&BTreeSet::from(["example.com"]), &rules, &[])
        else {
            panic!("no refresh")
        };
        assert_eq!(findings, ["no rule lets it POST `/domain/zone/example.com/refresh`"]);
        // A blank at the end matches nothing.
        let blank = [Rule { method: "GET".to_owned(), path: "/domain/zone/example.com/record ".to_owned() }];
        let report = by_rules(&BTreeSet::from(["example.com"]), &blank, &[]);
        assert!(matches!(report, ScopeReport::NotEnough { findings } if findings.len() == 5));
    }
}

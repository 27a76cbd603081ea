//! What a token may do beyond what it must, found by questions and by writes that the service
//! is sure to refuse.

use crate::api::{Api, Policy, SetChange};
use crate::provider::subname;
use dns01_provider::recipe::by_zone;
use dns01_provider::{ProviderError, ScopeNeed, ScopeReport, ZoneName};

/// Domains that are not needed at which a write is tried, at most: each try counts as a write.
const FOREIGN_DOMAINS: usize = 2;
/// What a policy should name.
const TXT: &str = "TXT";

pub(crate) async fn audit(
    api: &Api,
    token_id: Option<&str>,
    minimum_ttl: u32,
    needs: &[ScopeNeed],
) -> Result<ScopeReport, ProviderError> {
    let mut report = Findings::default();
    if api.may_manage_tokens().await? {
        report.more("it may manage the account's tokens, and so give itself every right".to_owned());
    }
    report.probed("whether it may manage tokens");
    match token_id {
        Some(id) => match api.policies(id).await {
            Ok(policies) => {
                report.probed("the token's policies");
                judge(&policies, needs, &mut report)?;
            }
            Err(error) if error.is_out_of_reach() => {
                return Ok(ScopeReport::CannotTell {
                    reason: format!(
                        "the token may not read the policies of `{id}`: `token_id` must be its own id"
                    ),
                });
            }
            Err(error) => return Err(error),
        },
        None => probe(api, minimum_ttl, needs, &mut report).await?,
    }
    Ok(report.into())
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    probed: Vec<String>,
    more: Vec<String>,
    missing: Vec<String>,
}

impl Findings {
    fn probed(&mut self, what: &str) {
        self.probed.push(what.to_owned());
    }

    fn more(&mut self, what: String) {
        self.more.push(what);
    }

    fn missing(&mut self, what: String) {
        self.missing.push(what);
    }
}

impl From<Findings> for ScopeReport {
    fn from(found: Findings) -> Self {
        if !found.missing.is_empty() {
            Self::NotEnough { findings: found.missing }
        } else if !found.more.is_empty() {
            Self::MoreThanNeeded { findings: found.more }
        } else {
            Self::ExactlyEnough { probed: found.probed }
        }
    }
}

/// Holds the policies against the needs.
fn judge(policies: &[Policy], needs: &[ScopeNeed], report: &mut Findings) -> Result<(), ProviderError> {
    if policies.is_empty() {
        report
            .more("it has no policies: it may write every record of every domain of the account".to_owned());
        return Ok(());
    }
    let mut wanted = Vec::new();
    for need in needs {
        let subname = subname(&need.zone, &need.name)?;
        wanted.push((need.zone.name.as_str(), subname));
        if !deciding(policies, need.zone.name.as_str(), subname).is_some_and(|policy| policy.perm_write) {
            report.missing(format!("no policy lets it write TXT at `{}`", need.name));
        }
    }
    for policy in policies.iter().filter(|policy| policy.perm_write) {
        let exact = wanted.iter().any(|(domain, subname)| {
            policy.domain.as_deref() == Some(domain)
                && policy.subname.as_deref() == Some(subname)
                && policy.kind.as_deref() == Some(TXT)
        });
        if !exact {
            report.more(format!("a policy lets it write {}", reach(policy)));
        }
    }
    Ok(())
}

/// The policy that decides on TXT at a name: of those that fit, a domain's own comes before one
/// for all, then a name's, then a type's.
fn deciding<'a>(policies: &'a [Policy], domain: &str, subname: &str) -> Option<&'a Policy> {
    let fits = |rule: &Option<String>, value: &str| rule.as_deref().is_none_or(|rule| rule == value);
    policies
        .iter()
        .filter(|one| fits(&one.domain, domain) && fits(&one.subname, subname) && fits(&one.kind, TXT))
        .max_by_key(|one| (one.domain.is_some(), one.subname.is_some(), one.kind.is_some()))
}

fn reach(policy: &Policy) -> String {
    let kind = policy.kind.as_deref().map_or_else(|| "every type".to_owned(), |kind| format!("type {kind}"));
    let place = match (&policy.subname, &policy.domain) {
        (Some(subname), Some(domain)) if subname.is_empty() => format!("at the apex of `{domain}`"),
        (Some(subname), Some(domain)) => format!("at `{subname}.{domain}`"),
        (Some(subname), None) => format!("at `{subname}` of every domain"),
        (None, Some(domain)) => format!("at every name of `{domain}`"),
        (None, None) => "at every name of every domain".to_owned(),
    };
    format!("{kind} {place}")
}

/// Tries writes that cannot succeed: where they are needed, and where they are not.
async fn probe(
    api: &Api,
    minimum_ttl: u32,
    needs: &[ScopeNeed],
    report: &mut Findings,
) -> Result<(), ProviderError> {
    let needed = by_zone(needs);
    let strange = format!("dns01-probe-{:08x}", std::process::id());
    for (zone, needs) in &needed {
        let names =
            needs.iter().map(|need| subname(&need.zone, &need.name)).collect::<Result<Vec<_>, _>>()?;
        let wanted: Vec<SetChange> = names.iter().map(|name| refusable(name, minimum_ttl)).collect();
        if !api.may_write(zone, &wanted).await? {
            let names: Vec<String> = needs.iter().map(|need| format!("`{}`", need.name)).collect();
            let some = if names.len() == 1 { "" } else { "one or more of " };
            report.missing(format!("it may not write TXT at {some}{}", names.join(", ")));
        }
        if api.may_write(zone, &[refusable(&strange, minimum_ttl)]).await? {
            report.more(format!("it may write TXT at other names of `{zone}` too"));
        }
    }
    report.probed("writes that the service refuses, at the names needed and at another of each zone");
    let domains = api.domains().await?;
    let foreign: Vec<&ZoneName> = domains.iter().filter(|zone| !needed.contains_key(zone)).collect();
    for zone in foreign.iter().take(FOREIGN_DOMAINS) {
        if api.may_write(zone, &[refusable(&strange, minimum_ttl)]).await? {
            report.more(format!("it may write TXT in `{zone}`, which is not needed"));
        }
    }
    if !foreign.is_empty() {
        report.probed(
            "the same in other domains of the account (types other than TXT were not tried: give `token_id`)",
        );
    }
    Ok(())
}

/// A new RRset that passes every check before that of the policies, and none after: a TXT
/// without quotes.
fn refusable(subname: &str, ttl: u32) -> SetChange {
    SetChange {
        subname: subname.to_owned(),
        kind: TXT,
        ttl: Some(ttl),
        records: vec!["dns01 asks whether this may be written".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone};

    fn policy(domain: Option<&str>, subname: Option<&str>, kind: Option<&str>, perm_write: bool) -> Policy {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Policy { domain: owned(domain), subname: owned(subname), kind: owned(kind), perm_write }
    }

    fn judged(policies: &[Policy]) -> ScopeReport {
        let zone = Zone::named(ZoneName::parse("example.org").unwrap());
        let need = ScopeNeed { zone, name: Fqdn::parse("_acme-challenge.www.example.org").unwrap() };
        let mut report = Findings::default();
        judge(policies, &[need], &mut report).unwrap();
        report.into()
    }

    const CHALLENGE: Option<&str> = Some("_acme-challenge.www");

    #[test]
    fn one_policy_for_the_challenge_beside_the_closed_default_is_exactly_enough() {
        let exact =
            [policy(None, None, None, false), policy(Some("example.org"), CHALLENGE, Some("TXT"), true)];
        assert!(matches!(judged(&exact), ScopeReport::ExactlyEnough { .. }));
    }

    #[test]
    fn a_wider_policy_and_none_at_all_are_more() {
        let closed = policy(None, None, None, false);
        for (policies, words) in [
            (vec![], "no policies"),
            (vec![policy(None, None, None, true)], "every name of every domain"),
            (
                vec![closed.clone(), policy(Some("example.org"), None, Some("TXT"), true)],
                "every name of `example.org`",
            ),
            (vec![closed.clone(), policy(Some("example.org"), CHALLENGE, None, true)], "every type"),
            (
                vec![
                    closed,
                    policy(Some("example.org"), CHALLENGE, Some("TXT"), true),
                    policy(Some("example.net"), Some(""), Some("TXT"), true),
                ],
                "the apex of `example.net`",
            ),
        ] {
            let ScopeReport::MoreThanNeeded { findings } = judged(&policies) else { panic!("{policies:?}") };
            assert!(findings.iter().any(|finding| finding.contains(words)), "{findings:?}");
        }
    }

    #[test]
    fn the_most_special_policy_decides() {
        let refusing = [
            policy(None, None, None, true),
            policy(Some("example.org"), None, None, false),
            policy(None, CHALLENGE, Some("TXT"), true),
        ];
        let ScopeReport::NotEnough { findings } = judged(&refusing) else {
            panic!("a domain's policy comes first")
        };
        assert!(findings[0].contains("`_acme-challenge.www.example.org`"), "{findings:?}");
    }
}

//! What the credential can do beyond what it must, found by requests that can change nothing.
//!
//! The service checks what is allowed before it looks what is there. So a deletion of a set that
//! nobody can have, its value just made up, is refused either way, and how tells whether it was
//! allowed. The same holds for a zone whose id is made up.

use crate::api::{Api, change};
use crate::error::Failure;
use aws_sdk_route53::types::{ChangeAction, RrType};
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, Rrset, ScopeNeed, ScopeReport};
use std::collections::BTreeMap;

/// A TTL that nobody sets, in seconds: one more reason why the made-up set is not there.
const ODD_TTL: u32 = 1_234_567;
/// Names that are asked for in one request, which carries 32,000 characters of values.
const NAMES_AT_ONCE: usize = 300;
/// Foreign zones that are tried.
const MOST_FOREIGN_ZONES: usize = 3;

/// Holds what the credential can do against `zones`: what is needed, by zone id.
pub(crate) async fn audit(
    api: &Api,
    zones: &BTreeMap<String, Vec<&ScopeNeed>>,
) -> Result<ScopeReport, ProviderError> {
    let mut audit = Audit { api, missing: Vec::new(), findings: Vec::new(), probed: Vec::new() };
    for (id, needs) in zones {
        audit.what_is_needed(id, needs).await?;
        audit.beyond_in_zone(id, needs[0]).await?;
    }
    audit.beyond_the_zones(zones).await?;
    let Audit { missing, findings, probed, .. } = audit;
    Ok(if !missing.is_empty() {
        ScopeReport::NotEnough { findings: missing }
    } else if !findings.is_empty() {
        ScopeReport::MoreThanNeeded { findings }
    } else {
        ScopeReport::ExactlyEnough { probed }
    })
}

struct Audit<'a> {
    api: &'a Api,
    missing: Vec<String>,
    findings: Vec<String>,
    probed: Vec<String>,
}

impl Audit<'_> {
    async fn what_is_needed(&mut self, id: &str, needs: &[&ScopeNeed]) -> Result<(), ProviderError> {
        let zone = &needs[0].zone.name;
        if !allowed(self.api.values(id, &needs[0].name).await)? {
            self.missing.push(format!("it may not read `{zone}` (route53:ListResourceRecordSets on {id})"));
        }
        let names: Vec<&Fqdn> = needs.iter().map(|need| &need.name).collect();
        for some in names.chunks(NAMES_AT_ONCE) {
            if self.may_write(id, some, &RrType::Txt, true).await? {
                continue;
            }
            for name in some {
                if !self.may_write(id, &[name], &RrType::Txt, true).await? {
                    self.missing.push(format!(
                        "it may not write TXT at `{name}` (route53:ChangeResourceRecordSets on {id}, CREATE and DELETE)"
                    ));
                }
            }
        }
        Ok(())
    }

    async fn beyond_in_zone(&mut self, id: &str, need: &ScopeNeed) -> Result<(), ProviderError> {
        let zone = &need.zone.name;
        let Ok(stranger) = zone.apex().child(&format!("dns01-probe-{}", made_up(16))) else { return Ok(()) };
        self.probed.push(format!("TXT at a made-up name in `{zone}`"));
        if self.may_write(id, &[&stranger], &RrType::Txt, false).await? {
            self.findings.push(format!("it may write TXT at every name of `{zone}`"));
        }
        self.probed.push(format!("an A record at `{}`", need.name));
        if self.may_write(id, &[&need.name], &RrType::A, false).await? {
            self.findings
                .push(format!("it may write other types than TXT in `{zone}`, A at `{}` for one", need.name));
        }
        Ok(())
    }

    async fn beyond_the_zones(
        &mut self,
        needed: &BTreeMap<String, Vec<&ScopeNeed>>,
    ) -> Result<(), ProviderError> {
        self.probed.push("the list of the account's zones".to_owned());
        let listed = match self.api.zones().await {
            Err(error) if error.kind() == ProviderErrorKind::Permission => Vec::new(),
            listed => {
                self.findings
                    .push("it may list all zones of the account (route53:ListHostedZones)".to_owned());
                listed?
            }
        };
        let Some(need) = needed.values().flatten().next() else { return Ok(()) };
        let nowhere = format!("Z{}", made_up(20).to_ascii_uppercase());
        self.probed.push(format!("a zone with a made-up id, {nowhere}"));
        if allowed(self.api.values(&nowhere, &need.name).await)? {
            self.findings.push("it may read every zone (route53:ListResourceRecordSets)".to_owned());
        }
        if self.may_write(&nowhere, &[&need.name], &RrType::Txt, false).await? {
            self.findings.push("it may write in every zone (route53:ChangeResourceRecordSets)".to_owned());
            return Ok(());
        }
        let foreign = listed.iter().filter_map(|zone| Some((zone, zone.id.as_deref()?)));
        for (zone, id) in foreign.filter(|(_, id)| !needed.contains_key(*id)).take(MOST_FOREIGN_ZONES) {
            let Ok(stranger) = zone.name.apex().child("_acme-challenge") else { continue };
            if self.may_write(id, &[&stranger], &RrType::Txt, false).await? {
                self.findings.push(format!("it may write in the zone `{}`, which is not needed", zone.name));
            }
        }
        Ok(())
    }

    /// Whether sets of this type at `names` might be deleted, and made where `both` says so.
    /// Nothing comes of it: each change wants a set gone that is not there, and a request is
    /// carried out whole or not at all.
    async fn may_write(
        &self,
        id: &str,
        names: &[&Fqdn],
        kind: &RrType,
        both: bool,
    ) -> Result<bool, ProviderError> {
        let nobodys = || {
            let value = match kind {
                RrType::A => "192.0.2.53".to_owned(),
                _ => format!("\"{}\"", made_up(43)),
            };
            Rrset { ttl: ODD_TTL, records: vec![value] }
        };
        let mut changes = Vec::new();
        for name in names {
            changes.push(change(ChangeAction::Delete, name, kind.clone(), &nobodys()));
            if both {
                changes.push(change(ChangeAction::Create, name, kind.clone(), &nobodys()));
            }
        }
        match self.api.send(id, changes).await {
            Ok(_) => Ok(true),
            // Refused for what is there, which was looked at because it was allowed.
            Err(Failure::Raced(_)) => Ok(true),
            Err(Failure::Other(error)) => allowed::<()>(Err(error)),
        }
    }
}

/// Whether the answer shows that the question was allowed.
fn allowed<T>(answer: Result<T, ProviderError>) -> Result<bool, ProviderError> {
    use ProviderErrorKind as Kind;
    match answer {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            Kind::Permission => Ok(false),
            Kind::NotFound | Kind::Conflict | Kind::Invalid => Ok(true),
            _ => Err(error),
        },
    }
}

/// Letters and digits that nobody has chosen.
fn made_up(length: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_permission_means_that_it_was_not_allowed() {
        use ProviderErrorKind as Kind;
        let answer = |kind| allowed::<()>(Err(ProviderError::new(kind, "no")));
        assert!(!answer(Kind::Permission).unwrap());
        assert!(answer(Kind::NotFound).unwrap());
        for kind in [Kind::Auth, Kind::RateLimited, Kind::Unavailable] {
            assert!(answer(kind).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn what_is_made_up_differs_each_time() {
        assert_ne!(made_up(20), made_up(20));
        assert!(made_up(20).bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit()));
    }
}

//! Credentials: accepted or not, what they see, and what they can do beyond what is needed.

use super::Check;
use super::names::Located;
use super::report::{Report, Seen};
use crate::errors::{Exit, Failure};
use crate::output::words::count;
use dns01_core::config::CredentialConfig;
use dns01_provider::{Credential, Listing, ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport, Zone};
use std::time::Duration;
use tokio::time::Instant;

/// The most time to wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Check {
    pub(super) async fn credential(&self, config: &CredentialConfig, located: &[Located]) -> Report {
        let subject = match config.name.as_str() {
            name if name == config.plugin.name => name.to_owned(),
            name => format!("{name} ({})", config.plugin.name),
        };
        let Some(credential) = self.context.routes.credential(config.name.as_str()) else {
            return Report::new("credential", subject, Vec::new());
        };
        let credential = credential.within(PATIENCE);
        let needs = needs(&credential, located);
        let steps = vec![accepted(&credential, config, &needs).await, scope(&credential, &needs).await];
        Report::new("credential", subject, steps)
    }
}

/// What the located names need of `credential`.
fn needs(credential: &Credential, located: &[Located]) -> Vec<ScopeNeed> {
    let places = located.iter().filter_map(|located| located.place.as_ref().ok());
    let sites = places.flat_map(|(location, route)| route.sites.iter().map(move |site| (location, site)));
    let mut needs: Vec<ScopeNeed> = sites
        .filter(|(_, site)| site.credential.name() == credential.name())
        .map(|(location, site)| ScopeNeed { zone: site.zone.clone(), name: location.target.clone() })
        .collect();
    needs.sort_by(|one, other| one.name.cmp(&other.name));
    needs.dedup();
    needs
}

/// By what it lists; where it lists no zones, by whether it can read a name that is needed.
async fn accepted(credential: &Credential, config: &CredentialConfig, needs: &[ScopeNeed]) -> Seen {
    let began = Instant::now();
    match credential.zones().await {
        Ok(Listing::Listed(zones)) => lists(&zones, config).since(began),
        Ok(Listing::NotAvailable) => reads(credential, needs).await.since(began),
        Err(error) if error.kind() == ProviderErrorKind::Permission => {
            Seen::unknown("credential", format!("it may not list zones; writing will tell: {error}"))
                .since(began)
        }
        Err(error) => Seen::bad("credential", failed(&error)).since(began),
    }
}

fn lists(zones: &[Zone], config: &CredentialConfig) -> Seen {
    let sees = format!("accepted; it sees {}", count(zones.len(), "zone"));
    let configured = config.zones.iter().map(|zone| &zone.zone.name);
    let missing: Vec<String> = configured
        .filter(|name| !zones.iter().any(|zone| zone.name == **name))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        return Seen::good("credential", sees);
    }
    Seen::warning("credential", format!("{sees}, but not {}", missing.join(", ")))
        .with_hint("are they spelt right, and in the account that the credential is for?".to_owned())
}

async fn reads(credential: &Credential, needs: &[ScopeNeed]) -> Seen {
    let Some(need) = needs.first() else {
        return Seen::unknown("credential", "the service lists no zones; writing will tell");
    };
    match credential.values(&need.zone, &need.name).await {
        Ok(Listing::Listed(_)) if !credential.reading_proves_it() => Seen::unknown(
            "credential",
            format!("cannot tell: {} is shown to whoever asks; writing will tell", need.name),
        ),
        Ok(Listing::Listed(_)) => Seen::good("credential", format!("accepted; it can read {}", need.name)),
        Ok(Listing::NotAvailable) => {
            Seen::unknown("credential", "the service lists neither zones nor values; writing will tell")
        }
        Err(error) => Seen::bad("credential", failed(&error)),
    }
}

fn failed(error: &ProviderError) -> Failure {
    let mut failure = Failure::new("records", error.to_string(), Exit::SomeFailed).caused_by(error);
    failure.hint = error.hint().map(str::to_owned);
    failure
}

async fn scope(credential: &Credential, needs: &[ScopeNeed]) -> Seen {
    if needs.is_empty() {
        return Seen::unknown("scope", "no name needs it");
    }
    let began = Instant::now();
    match credential.audit_scope(needs).await {
        Ok(report) => judged(report).since(began),
        Err(error) => Seen::unknown("scope", format!("cannot tell: {error}"))
            .with_hint(error.hint().map(str::to_owned))
            .since(began),
    }
}

fn judged(report: ScopeReport) -> Seen {
    match report {
        ScopeReport::ExactlyEnough { probed } => {
            Seen::good("scope", "exactly what is needed").with_details(probed)
        }
        ScopeReport::MoreThanNeeded { findings } => {
            Seen::warning("scope", "it can do more than is needed").with_details(findings).with_hint(
                "a smaller one harms less when it is stolen: the provider's page has the recipe".to_owned(),
            )
        }
        ScopeReport::NotEnough { findings } => {
            let mut failure = Failure::new(
                "scope-not-enough",
                "the credential cannot do all that is needed",
                Exit::SomeFailed,
            );
            failure.details = findings;
            Seen::bad("scope", failure.with_hint("give it what is missing, or make another one"))
        }
        ScopeReport::CannotTell { reason } => Seen::unknown("scope", format!("cannot tell: {reason}")),
        other => Seen::unknown("scope", format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;

    #[test]
    fn a_scope_that_reaches_too_far_is_a_warning_and_one_too_short_a_cross() {
        let findings = vec!["it sees another zone".to_owned()];
        let states = [
            ScopeReport::ExactlyEnough { probed: Vec::new() },
            ScopeReport::MoreThanNeeded { findings: findings.clone() },
            ScopeReport::CannotTell { reason: "nobody to ask".to_owned() },
            ScopeReport::NotEnough { findings },
        ]
        .map(|report| judged(report).state);
        assert_eq!(states, [State::Good, State::Warning, State::Unknown, State::Bad]);
    }
}

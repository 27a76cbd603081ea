//! The secrets that the credentials of a certificate refer to, looked at before the CA is asked
//! for anything and while nothing is due. They are still read anew at each call.

use crate::errors::Failure;
use crate::wanted::Wanted;
use dns01_core::acme::ChallengeType;
use dns01_core::config::{Config, CredentialConfig};
use dns01_provider::SecretRef;

/// Whether every secret can be read that an order of `wanted` needs.
///
/// # Errors
/// The first that cannot, with what to do about it.
pub(crate) async fn look(wanted: &Wanted, config: &Config) -> Result<(), Failure> {
    // A record that stands already needs nobody to write it.
    if wanted.certificate.challenge == ChallengeType::DnsPersist01 {
        return Ok(());
    }
    for credential in credentials(wanted, config) {
        for (key, secret) in credential.settings.secrets() {
            if let Err(error) = secret.look().await {
                let message = format!("`{key}` of credential `{}` cannot be read", credential.name);
                let mut failure = Failure::usage("secret-unreadable", message);
                failure.causes.push(error.to_string());
                failure.hint = error.hint();
                return Err(failure.caused_by(&error));
            }
        }
    }
    Ok(())
}

/// The credentials that write for `wanted`, as far as that is known without asking anybody.
fn credentials<'a>(wanted: &'a Wanted, config: &'a Config) -> Vec<&'a CredentialConfig> {
    if let Some(chosen) = &wanted.credential {
        return vec![&chosen.config];
    }
    let domains = wanted.certificate.domains.iter();
    let mut credentials: Vec<&CredentialConfig> =
        domains.flat_map(|domain| config.zones_for(&domain.base)).map(|(credential, _)| credential).collect();
    credentials.sort_by_key(|credential| &credential.name);
    credentials.dedup_by_key(|credential| &credential.name);
    credentials
}

/// The variables that renewals of `wanted` need, since flags asked for it and only the places of
/// secrets are remembered.
pub(crate) fn variables(wanted: &Wanted) -> Vec<String> {
    let chosen = wanted.credential.iter().filter(|chosen| !chosen.is_table);
    let secrets = chosen.flat_map(|chosen| chosen.config.settings.secrets());
    let variables = secrets.filter_map(|(_, secret)| match secret {
        SecretRef::Env(name) => Some(name),
        _ => None,
    });
    variables.collect()
}

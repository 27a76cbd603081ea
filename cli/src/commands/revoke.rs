//! `dns01 revoke`: by the account's right, or by that of the certificate's own key.

use crate::args::RevokeArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::known;
use crate::pem;
use crate::program::Program;
use crate::remembered::recall;
use crate::wanted::{self, unreadable};
use dns01_core::acme::{AcmeError, RevocationReason, SoftwareKey};
use dns01_core::authority::Authority;
use dns01_core::config::{CaConfig, Config};
use dns01_core::store::{Store, Version};
use serde_json::json;
use std::path::Path;

/// What is to be revoked, and by whose right.
struct Subject {
    der: Vec<u8>,
    /// The certificate's own key, where that is to sign.
    key: Option<SoftwareKey>,
    /// The name and the version in the store, where it is ours.
    stored: Option<(String, i64)>,
    ca: CaConfig,
}

pub(super) async fn run(program: &Program, arguments: &RevokeArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let reason = wanted::flag("--reason", &arguments.reason, reason)?;
    let name = match &arguments.name {
        Some(name) => Some(called(program, name, &config).await?),
        None => None,
    };
    let store = program.store(&config.state_dir).await?;
    let subject = match (&name, &arguments.cert) {
        (Some(name), _) => stored(&store, &config, name, arguments).await?,
        (None, Some(path)) => file(&store, path, &config, arguments).await?,
        (None, None) => unreachable!("clap wants one of the two"),
    };
    let ca = subject.ca.name.clone();
    let authority = Authority::new(subject.ca, program.clock.clone()).map_err(Failure::from)?;
    match &subject.key {
        Some(key) => {
            let revoked = authority.client().revoke_by_certificate_key(key, &subject.der, reason).await;
            revoked.map_err(Failure::from)?;
        }
        None => {
            let account = authority.existing_account(&store).await.map_err(Failure::from)?;
            account.revoke(&subject.der, reason).await.map_err(Failure::from)?;
        }
    }
    if let Some((name, number)) = &subject.stored {
        store.mark_revoked(name, *number).await.map_err(Failure::from)?;
    }
    store.close().await.map_err(Failure::from)?;
    let name = subject.stored.map(|(name, _)| name);
    let what = name.as_deref().unwrap_or("the certificate");
    program.output.say(&format!(
        "{what} is revoked at {ca}; the next `dns01 renew` obtains a new one if it is still wanted"
    ));
    program.output.document(&json!({ "certificate": name, "ca": ca, "revoked": true }));
    Ok(Exit::Done)
}

/// What the certificate is called that was typed as `name`.
async fn called(program: &Program, name: &str, config: &Config) -> Result<String, Failures> {
    let store = program.store_if_there(&config.state_dir).await?;
    let mut all = known::certificates(config, store.as_ref()).await?;
    if let Some(store) = store {
        store.close().await.map_err(Failure::from)?;
    }
    let position = known::position(name, &all).ok_or_else(|| known::unknown(name, &all, config))?;
    Ok(all.swap_remove(position).name)
}

async fn stored(
    store: &Store,
    config: &Config,
    name: &str,
    arguments: &RevokeArguments,
) -> Result<Subject, Failure> {
    let missing = || {
        let message = format!("`{name}` was never obtained: there is nothing to revoke");
        Failure::usage("usage-no-such-certificate", message)
    };
    let certificate = store.certificate(name).await?.ok_or_else(missing)?;
    let current = certificate.current.clone().ok_or_else(missing)?;
    let version: Version = store.version(name, current.number).await?.ok_or_else(missing)?;
    let key = match (&version.key, arguments.by_certificate_key) {
        (_, false) => None,
        (Some(key), true) => Some(SoftwareKey::from_pkcs8(key.expose()).map_err(AcmeError::from)?),
        (None, true) => {
            let message = format!("the key of `{name}` is not here: it came with a request");
            return Err(Failure::usage("usage-value", message).with_hint("use --cert and --key"));
        }
    };
    let mut ca = wanted::authority(&arguments.authority, config)?;
    if arguments.authority.server.is_none() && !arguments.authority.staging {
        // The CA it came from, with what the flags say of it.
        // That of a certificate asked for by flags may be known from these alone.
        let remembered = recall(&certificate, config).ok().flatten().map(|wanted| wanted.ca);
        ca = wanted::authority_of(&arguments.authority, config, &current.account.ca, remembered)?;
    }
    let der = pem::first(&version.chain_pem, "CERTIFICATE").ok_or_else(missing)?;
    Ok(Subject { der, key, stored: Some((name.to_owned(), current.number)), ca })
}

async fn file(
    store: &Store,
    path: &Path,
    config: &Config,
    arguments: &RevokeArguments,
) -> Result<Subject, Failure> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| unreadable(path, &error));
    let malformed = |path: &Path, what: &str| {
        Failure::usage("usage-file", format!("`{}` holds no {what} in PEM", path.display()))
    };
    let der = pem::first(&read(path)?, "CERTIFICATE").ok_or_else(|| malformed(path, "certificate"))?;
    let key = match &arguments.key {
        Some(path) => {
            let der = pem::first(&read(path)?, "PRIVATE KEY")
                .ok_or_else(|| malformed(path, "PKCS#8 private key"))?;
            Some(SoftwareKey::from_pkcs8(&der).map_err(AcmeError::from)?)
        }
        None => None,
    };
    let stored = whose(store, &der).await?;
    Ok(Subject { der, key, stored, ca: wanted::authority(&arguments.authority, config)? })
}

/// The certificate in use that `der` is, if it is one of ours.
async fn whose(store: &Store, der: &[u8]) -> Result<Option<(String, i64)>, Failure> {
    for certificate in store.certificates().await? {
        let Some(current) = certificate.current else { continue };
        let version = store.version(&certificate.name, current.number).await?;
        if version.and_then(|version| pem::first(&version.chain_pem, "CERTIFICATE")).as_deref() == Some(der) {
            return Ok(Some((certificate.name, current.number)));
        }
    }
    Ok(None)
}

fn reason(text: &str) -> Result<RevocationReason, String> {
    match text {
        "unspecified" => Ok(RevocationReason::Unspecified),
        "key-compromise" | "keycompromise" => Ok(RevocationReason::KeyCompromise),
        "superseded" => Ok(RevocationReason::Superseded),
        "cessation-of-operation" | "cessationofoperation" => Ok(RevocationReason::CessationOfOperation),
        _ => Err(format!(
            "`{text}` is none of unspecified, key-compromise, superseded, cessation-of-operation"
        )),
    }
}

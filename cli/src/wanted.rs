//! Certificates that are wanted: from flags, from the file, or remembered from flags.

mod authority;
mod credential;

pub(crate) use authority::{authority, authority_of, staging_of};
pub(crate) use credential::{Chosen, credential, credential_to_be};

use crate::args::IssueArguments;
use crate::errors::{Failure, Failures};
use dns01_core::acme::ChallengeType;
use dns01_core::config::{
    CaConfig, CertificateConfig, CertificateName, Config, CredentialConfig, Domain, Mistake, MistakeKind,
    certificate, parse_duration,
};
use dns01_core::keys::{CertificateRequest, KeyType};
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

/// A certificate that is wanted, with all that is needed to obtain it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) certificate: CertificateConfig,
    pub(crate) ca: CaConfig,
    /// The credential it was asked for with; else all those of the file.
    pub(crate) credential: Option<Chosen>,
    pub(crate) csr: Option<CertificateRequest>,
    pub(crate) pre_authorize: bool,
    pub(crate) timeout: Duration,
    /// True if the file wants it, not a flag.
    pub(crate) from_file: bool,
}

impl Wanted {
    /// What flags said of the credential it was asked for with.
    pub(crate) fn credential(&self) -> Option<&CredentialConfig> {
        self.credential.as_ref().map(|chosen| &chosen.config)
    }
}

/// Every certificate of the file.
pub(crate) fn from_file(config: &Config) -> Result<Vec<Wanted>, Failures> {
    let wanted = config.certificates.iter().map(|certificate| {
        let ca = certificate.cas.first().expect("a certificate has at least one CA");
        Ok(Wanted {
            ca: config.ca(ca).map_err(Failure::from)?,
            certificate: certificate.clone(),
            credential: None,
            csr: None,
            pre_authorize: false,
            timeout: config.defaults.timeout,
            from_file: true,
        })
    });
    wanted.collect::<Result<_, Failure>>().map_err(Failures::from)
}

/// The certificate that the flags of `issue` describe.
pub(crate) fn from_flags(
    arguments: &IssueArguments,
    ca_bundle: Option<&Path>,
    config: &Config,
) -> Result<Wanted, Failures> {
    let csr = arguments.csr.as_deref().map(read_request).transpose()?;
    let texts: Vec<String> = match &csr {
        Some(csr) if arguments.domains.is_empty() => csr.names().to_vec(),
        _ => arguments.domains.clone(),
    };
    let domains = domains(&texts)?;
    if let Some(csr) = &csr {
        same_names(csr, &domains)?;
    }
    let ca = authority(&arguments.authority, config)?;
    let name = match &arguments.certificate_name {
        Some(name) => flag("--cert-name", name, CertificateName::parse)
            .map_err(|failure| failure.with_hint("it names a directory below `live`, as `shop` does"))?,
        None => CertificateName::of(
            domains.first().ok_or_else(|| Failure::usage("usage-value", "the request names no domain"))?,
        ),
    };
    let key = match &arguments.key_type {
        Some(text) => flag("--key-type", text, str::parse::<KeyType>)?,
        None => config.defaults.key,
    };
    let challenge = match &arguments.challenge {
        Some(text) => flag("--challenge", text, challenge)?,
        None => config.defaults.challenge,
    };
    let timeout = match &arguments.timeout {
        Some(text) => flag("--timeout", text, parse_duration)?,
        None => config.defaults.timeout,
    };
    Ok(Wanted {
        certificate: CertificateConfig {
            name,
            domains,
            cas: vec![ca.name.clone()],
            key,
            reuse_key: arguments.reuse_key,
            profile: arguments.profile.clone(),
            challenge,
            preferred_chain: arguments.preferred_chain.clone(),
        },
        ca,
        credential: credential(&arguments.credential, ca_bundle, config)?,
        csr,
        pre_authorize: arguments.pre_authorize,
        timeout,
        from_file: false,
    })
}

/// The warnings that the file's own certificates get when it is read.
pub(crate) fn warnings(wanted: &Wanted) -> Vec<Mistake> {
    let redundant = certificate::redundant(&wanted.certificate.domains).into_iter();
    redundant.map(|(covered, wildcard)| certificate::redundant_name(covered, wildcard)).collect()
}

/// The domains that people typed; each once.
pub(crate) fn domains(texts: &[String]) -> Result<Vec<Domain>, Failures> {
    let mut domains = Vec::with_capacity(texts.len());
    let mut failures = Vec::new();
    for text in texts {
        match Domain::parse(text) {
            Ok(domain) if domains.contains(&domain) => {}
            Ok(domain) => domains.push(domain),
            Err(error) => {
                let mistake = Mistake::new(MistakeKind::Domain, error.to_string()).with_hint(error.hint());
                failures.push(Failure::from(mistake));
            }
        }
    }
    if failures.is_empty() { Ok(domains) } else { Err(Failures(failures)) }
}

fn read_request(path: &Path) -> Result<CertificateRequest, Failure> {
    let content = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    CertificateRequest::parse(&content)
        .map_err(|error| Failure::usage("usage-request", format!("`{}`: {error}", path.display())))
}

/// A file named on the command line that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let mut failure = Failure::usage("usage-file", format!("`{}` cannot be read", path.display()));
    failure.causes = vec![error.to_string()];
    failure
}

fn same_names(csr: &CertificateRequest, domains: &[Domain]) -> Result<(), Failure> {
    let mut asked: Vec<String> = domains.iter().map(ToString::to_string).collect();
    let mut requested = csr.names().to_vec();
    asked.sort();
    requested.sort();
    if asked == requested {
        return Ok(());
    }
    Err(Failure::usage("usage-request", "the request has other names than -d")
        .with_hint(format!("leave -d out to take those of the request: {}", requested.join(", "))))
}

/// `text` of the flag `name` through `parse`.
pub(crate) fn flag<T, E: Display>(
    name: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    parse(text).map_err(|error| Failure::usage("usage-value", format!("{name}: {error}")))
}

fn challenge(text: &str) -> Result<ChallengeType, String> {
    let found = ChallengeType::ALL.into_iter().find(|challenge| challenge.as_str() == text);
    found.ok_or_else(|| {
        let all = ChallengeType::ALL.map(ChallengeType::as_str).join(", ");
        format!("`{text}` is not one of {all}")
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::providers::PLUGINS;
    use dns01_core::config::{Flags, Sources};

    /// The configuration that `text` is.
    pub(crate) fn config(text: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dns01.toml");
        std::fs::write(&file, text).unwrap();
        let state_dir = directory.path();
        Config::load(&Sources { file: Some(&file), state_dir, flags: &Flags::default(), plugins: PLUGINS })
            .unwrap()
    }

    pub(super) const FILE: &str = r#"
        [ca.private]
        directory = "https://ca.example.net/dir"
        contact = "ops@example.com"
        [dns.lab]
        provider = "rfc2136"
        zones = ["example.test"]
        server = "192.0.2.53"
        propagation = { timeout = "1m", quorum = 2 }
    "#;

    #[test]
    fn every_domain_that_cannot_be_proved_is_told() {
        let texts = ["a.test", "192.0.2.1", "A.test.", "x@y.test"].map(str::to_owned);
        let failures = domains(&texts).unwrap_err();
        let ids: Vec<&str> = failures.0.iter().map(|failure| failure.id).collect();
        assert_eq!(ids, ["config-domain", "config-domain"]);
        let names = domains(&["a.test".to_owned(), "A.test.".to_owned()]).unwrap();
        assert_eq!(names.len(), 1, "a name is taken once, however it is written");
    }
}

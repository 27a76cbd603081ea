//! `[[certificate]]`: what is to be kept valid.

use super::Defaults;
use super::ca::CaName;
use super::check::{Check, OneOrMany};
use super::domain::Domain;
use super::file::{KeyPath, Part};
use super::mistake::{Mistake, MistakeKind};
use crate::acme::ChallengeType;
use crate::keys::KeyType;
use figment::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

/// A certificate that is wanted. It serialises without secrets, so that the store can
/// remember what was asked for by flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateConfig {
    /// What it is called; its files are in `live/<name>/`.
    pub name: CertificateName,
    /// At least one, each once.
    pub domains: Vec<Domain>,
    /// The CAs in order of preference, at least one; a file can name no more yet.
    pub cas: Vec<CaName>,
    /// The kind of its key.
    pub key: KeyType,
    /// True where a renewal keeps the key.
    pub reuse_key: bool,
    /// The CA's profile to ask for.
    pub profile: Option<String>,
    /// How the names are proved.
    pub challenge: ChallengeType,
    /// The issuer name of the chain to prefer.
    pub preferred_chain: Option<String>,
}

/// The name of a certificate: letters, digits, `.`, `-` and `_`, fit for a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateName(String);

/// Why a text cannot name a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateNameError {
    /// Nothing, or far too much.
    #[error("a certificate's name has 1 to 200 characters, not {0}")]
    Length(usize),
    /// It would be hidden, or lead out of its directory.
    #[error("`{0}` begins with a `.` or a `-`")]
    Start(String),
    /// A character that has no place in a file name.
    #[error(
        "`{name}` has the character {character:?}; letters, digits, `.`, `-` and `_` can name a certificate"
    )]
    Character {
        /// As given.
        name: String,
        /// The first offending character.
        character: char,
    },
}

impl CertificateName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`CertificateNameError`] says why it cannot name a certificate.
    pub fn parse(text: &str) -> Result<Self, CertificateNameError> {
        if text.is_empty() || text.len() > 200 {
            return Err(CertificateNameError::Length(text.chars().count()));
        }
        if text.starts_with(['.', '-']) {
            return Err(CertificateNameError::Start(text.to_owned()));
        }
        let stranger = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
        match stranger {
            Some(character) => Err(CertificateNameError::Character { name: text.to_owned(), character }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name that a certificate has where none is given: that of its first domain.
    #[must_use]
    pub fn of(domain: &Domain) -> Self {
        let base = domain.base.as_str();
        Self(base.get(..200).unwrap_or(base).to_owned())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, CertificateNameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for CertificateName {
    type Error = CertificateNameError;

    fn try_from(text: String) -> Result<Self, CertificateNameError> {
        Self::parse(&text)
    }
}

impl From<CertificateName> for String {
    fn from(name: CertificateName) -> Self {
        name.0
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    name: Option<String>,
    domains: OneOrMany,
    ca: Option<OneOrMany>,
    key: Option<KeyType>,
    #[serde(default)]
    reuse_key: bool,
    profile: Option<String>,
    challenge: Option<ChallengeType>,
    preferred_chain: Option<String>,
    deploy: Option<Value>,
}

impl CertificateConfig {
    pub(super) fn read(check: &mut Check, index: usize, value: &Value, defaults: &Defaults) -> Option<Self> {
        let path = KeyPath::of(["certificate"]).join(index);
        let raw: RawCertificate = check.table(&path, value)?;
        if raw.deploy.is_some() {
            let mistake = Mistake::new(MistakeKind::NotYet, "`deploy` is not carried out by this version")
                .with_hint("the files are in `live/<name>/` of the state directory".to_owned());
            check.wrong(&path.join("deploy"), Part::Key, mistake);
        }
        let domains = read_domains(check, &path.join("domains"), &raw.domains.0);
        let name = match &raw.name {
            Some(name) => check.parse(&path.join("name"), name, CertificateName::parse),
            None => domains.as_ref().and_then(|domains| domains.first()).map(CertificateName::of),
        };
        let cas = match raw.ca {
            Some(OneOrMany(names)) if names.is_empty() => {
                let mistake = Mistake::new(MistakeKind::Value, "`ca` names no CA");
                check.wrong(&path.join("ca"), Part::Value, mistake);
                None
            }
            Some(OneOrMany(names)) => {
                one_ca(check, &path.join("ca"), &names);
                Some(names.into_iter().map(CaName::new).collect())
            }
            None => Some(defaults.cas.clone()),
        };
        Some(Self {
            name: name?,
            domains: domains?,
            cas: cas?,
            key: raw.key.unwrap_or(defaults.key),
            reuse_key: raw.reuse_key,
            profile: raw.profile,
            challenge: raw.challenge.unwrap_or(defaults.challenge),
            preferred_chain: raw.preferred_chain,
        })
    }
}

/// Refuses all but the first of `names`: nobody would use them, and who names them counts on it.
pub(super) fn one_ca(check: &mut Check, path: &KeyPath, names: &[String]) {
    if names.len() > 1 {
        let mistake =
            Mistake::new(MistakeKind::NotYet, "this version uses one CA, and no other where it fails")
                .with_hint(format!("leave `{}` alone in the list", names[0]));
        check.wrong(&check.item(path, 1), Part::Value, mistake);
    }
}

fn read_domains(check: &mut Check, path: &KeyPath, texts: &[String]) -> Option<Vec<Domain>> {
    if texts.is_empty() {
        let mistake = Mistake::new(MistakeKind::Value, "`domains` is empty");
        check.wrong(path, Part::Value, mistake);
        return None;
    }
    let mut domains: Vec<Domain> = Vec::with_capacity(texts.len());
    let mut seen = HashSet::with_capacity(texts.len());
    let mut complete = true;
    for (index, text) in texts.iter().enumerate() {
        let at = check.item(path, index);
        match Domain::parse(text) {
            Ok(domain) if seen.insert(domain.clone()) => domains.push(domain),
            Ok(domain) => {
                let mistake = Mistake::new(MistakeKind::Duplicate, format!("`{domain}` is there twice"));
                check.wrong(&at, Part::Value, mistake);
                complete = false;
            }
            Err(error) => {
                let mistake = Mistake::new(MistakeKind::Domain, error.to_string()).with_hint(error.hint());
                check.wrong(&at, Part::Value, mistake);
                complete = false;
            }
        }
    }
    for (covered, wildcard) in redundant(&domains) {
        let index = domains.iter().position(|domain| domain == covered).unwrap_or_default();
        let at = check.item(path, index);
        check.warn(&at, Part::Value, redundant_name(covered, wildcard));
    }
    complete.then_some(domains)
}

/// The names that a wildcard beside them covers already, each with that wildcard.
pub fn redundant(domains: &[Domain]) -> Vec<(&Domain, &Domain)> {
    let wildcards: HashMap<&str, &Domain> = domains
        .iter()
        .filter(|domain| domain.wildcard)
        .map(|domain| (domain.base.as_str(), domain))
        .collect();
    let plain = domains.iter().filter(|domain| !domain.wildcard);
    plain
        .filter_map(|domain| {
            let (_, parent) = domain.base.as_str().split_once('.')?;
            wildcards.get(parent).map(|wildcard| (domain, *wildcard))
        })
        .collect()
}

/// The warning for a name that a wildcard beside it covers already.
#[must_use]
pub fn redundant_name(covered: &Domain, wildcard: &Domain) -> Mistake {
    Mistake::new(MistakeKind::RedundantName, format!("`{wildcard}` covers `{covered}` already"))
        .with_hint("leave it out: Let's Encrypt refuses an order with both".to_owned())
}

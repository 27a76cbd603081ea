//! `[[certificate]]`: what is to be kept valid.

use super::ca::CaName;
use super::domain::Domain;
use crate::acme::ChallengeType;
use crate::keys::KeyType;
use serde::{Deserialize, Serialize};
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
    /// The CAs in order of preference, at least one.
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

//! What is written: single TXT values at names in zones.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::{Fqdn, ZoneName};
use std::fmt;

/// The text of one TXT record: 1 to 1,024 printable ASCII characters.
///
/// It is public by nature (it is published in the DNS), so it may be shown and logged.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct TxtValue(String);

/// Why a text cannot be a [`TxtValue`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a TXT value is 1 to 1024 printable ASCII characters; this one has {0}")]
pub struct TxtValueError(String);

impl TxtValue {
    /// Checks `text`.
    ///
    /// # Errors
    /// Empty, too long, or a character outside printable ASCII.
    pub fn parse(text: &str) -> Result<Self, TxtValueError> {
        if text.is_empty() || text.len() > 1024 {
            return Err(TxtValueError(format!("{} octets", text.len())));
        }
        match text.chars().find(|c| !(c.is_ascii_graphic() || *c == ' ')) {
            Some(character) => Err(TxtValueError(format!("{character:?}"))),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text, unquoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the form that dns-01 challenges have (RFC 8555 §8.4): 43 characters of base64url.
    #[must_use]
    pub fn is_challenge(&self) -> bool {
        let base64url = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        self.0.len() == 43 && self.0.bytes().all(base64url)
    }

    /// The character-strings of the record: at most 255 octets each (RFC 1035 §3.3.14).
    pub fn character_strings(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_bytes().chunks(255)
    }
}

impl fmt::Display for TxtValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TxtValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxtValue({})", self.0)
    }
}

/// One RRset of type TXT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxtRecords {
    /// Seconds, the same for all values (RFC 2181 §5.2).
    pub ttl: u32,
    /// The values, oldest first.
    pub values: Vec<TxtValue>,
}

/// A zone as a credential sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Zone {
    /// The apex.
    pub name: ZoneName,
    /// The provider's own identifier, where the configuration gives one: used as it is,
    /// without listing zones.
    pub id: Option<String>,
}

impl Zone {
    /// A zone known by its name alone.
    #[must_use]
    pub fn named(name: ZoneName) -> Self {
        Self { name, id: None }
    }

    /// `name` as services write it inside the zone: what stands left of the zone, `@` at its apex.
    ///
    /// # Errors
    /// It does not lie in the zone.
    pub fn relative<'a>(&self, name: &'a Fqdn) -> Result<&'a str, ProviderError> {
        match name.relative_to(&self.name) {
            Some("") => Ok("@"),
            Some(relative) => Ok(relative),
            None => {
                let message = format!("`{name}` does not lie in the zone");
                Err(ProviderError::new(ProviderErrorKind::Invalid, message).with_context("zone", &self.name))
            }
        }
    }
}

/// One change to one TXT value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TxtChange {
    /// Make `value` exist at `name`. Done already is success.
    Add {
        /// Where.
        name: Fqdn,
        /// What.
        value: TxtValue,
        /// Seconds, for a new RRset; an existing RRset keeps its own.
        ttl: u32,
    },
    /// Make `value` not exist at `name`. Gone already is success.
    Remove {
        /// Where.
        name: Fqdn,
        /// What.
        value: TxtValue,
    },
}

impl TxtChange {
    /// The name that changes.
    #[must_use]
    pub fn name(&self) -> &Fqdn {
        match self {
            Self::Add { name, .. } | Self::Remove { name, .. } => name,
        }
    }

    /// The value that comes or goes.
    #[must_use]
    pub fn value(&self) -> &TxtValue {
        match self {
            Self::Add { value, .. } | Self::Remove { value, .. } => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_their_zone_and_its_apex_has_a_sign() {
        let zone = Zone::named(ZoneName::parse("example.com").unwrap());
        let relative = |name: &str| zone.relative(&Fqdn::parse(name).unwrap()).map(str::to_owned);
        assert_eq!(relative("_acme-challenge.a.example.com").unwrap(), "_acme-challenge.a");
        assert_eq!(relative("example.com").unwrap(), "@");
        assert_eq!(relative("example.org").unwrap_err().kind(), ProviderErrorKind::Invalid);
    }

    #[test]
    fn the_form_of_challenges_is_told_from_other_texts() {
        let is_challenge = |text: &str| TxtValue::parse(text).unwrap().is_challenge();
        assert!(is_challenge("LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo"));
        for text in
            ["short", &"a".repeat(44), &format!("{}=", "a".repeat(42)), &format!("{}\"", "a".repeat(42))]
        {
            assert!(!is_challenge(text), "{text}");
        }
    }
}

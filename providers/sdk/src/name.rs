//! Domain names, checked once at the border and carried as types from there on.

use std::fmt;
use std::str::FromStr;

/// A fully qualified domain name (RFC 9499 §2): lower case, A-labels, no trailing dot.
///
/// Underscore labels such as `_acme-challenge` are allowed; a wildcard label is not, because
/// no record is ever written at one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fqdn(String);

/// Why a text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given, or only a dot.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or a dot at the start.
    #[error("`{0}` has an empty label")]
    EmptyLabel(String),
    /// A label over 63 octets (RFC 1035 §2.3.4).
    #[error("`{name}` has a label of {length} octets; 63 is the most")]
    LabelTooLong {
        /// The whole name, as given.
        name: String,
        /// Octets in the offending label.
        length: usize,
    },
    /// A name over 253 characters (RFC 1035 §2.3.4).
    #[error("`{name}` is {length} characters long; 253 is the most")]
    TooLong {
        /// The whole name, as given.
        name: String,
        /// Characters in the name.
        length: usize,
    },
    /// A character that no host or challenge name has.
    #[error("`{name}` has the character {character:?}")]
    Character {
        /// The whole name, as given.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// A wildcard label where none can stand.
    #[error("`{0}` has a wildcard label")]
    Wildcard(String),
    /// An internationalised name that UTS 46 does not map.
    #[error("`{0}` is not a valid internationalised name")]
    Idn(String),
    /// An IP address, which no DNS challenge can prove (RFC 8738).
    #[error("`{0}` is an IP address, not a domain name")]
    IpAddress(String),
}

impl Fqdn {
    /// Checks `text` and converts it: upper case is folded, U-labels become A-labels, one
    /// trailing dot is dropped.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let given = text.strip_suffix('.').unwrap_or(text);
        if given.is_empty() {
            return Err(NameError::Empty);
        }
        if given.parse::<std::net::IpAddr>().is_ok() {
            return Err(NameError::IpAddress(given.to_owned()));
        }
        let name = if given.is_ascii() {
            given.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(given).map_err(|_| NameError::Idn(given.to_owned()))?
        };
        for label in name.split('.') {
            check_label(&name, label)?;
        }
        if name.len() > 253 {
            return Err(NameError::TooLong { length: name.len(), name });
        }
        Ok(Self(name))
    }

    /// The name without a trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with its trailing dot, as master files and most APIs write it.
    #[must_use]
    pub fn absolute(&self) -> String {
        format!("{}.", self.0)
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The name with its leftmost label removed; `None` for a top-level name.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.to_owned()))
    }

    /// The name itself, then each parent up to the top-level name.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// `label` put in front.
    ///
    /// # Errors
    /// The label is malformed or the name grows too long.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{label}.{}", self.0))
    }

    /// True if this name is `other` or lies below it.
    #[must_use]
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self.0.strip_suffix(other.0.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }

    /// The part left of `zone`, as APIs with relative names want it: `""` at the apex.
    /// `None` when the name is not in the zone.
    #[must_use]
    pub fn relative_to(&self, zone: &ZoneName) -> Option<&str> {
        let front = self.0.strip_suffix(zone.as_str())?;
        if front.is_empty() { Some("") } else { front.strip_suffix('.') }
    }
}

fn check_label(name: &str, label: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel(name.to_owned()));
    }
    if label == "*" {
        return Err(NameError::Wildcard(name.to_owned()));
    }
    if label.len() > 63 {
        return Err(NameError::LabelTooLong { name: name.to_owned(), length: label.len() });
    }
    let stranger = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
    match stranger {
        Some(character) => Err(NameError::Character { name: name.to_owned(), character }),
        None => Ok(()),
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fqdn({})", self.0)
    }
}

impl FromStr for Fqdn {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl serde::Serialize for Fqdn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Fqdn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The apex name of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ZoneName(Fqdn);

impl ZoneName {
    /// Checks `text` as [`Fqdn::parse`] does.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Fqdn::parse(text).map(Self)
    }

    /// The apex as a name.
    #[must_use]
    pub fn apex(&self) -> &Fqdn {
        &self.0
    }

    /// The name without a trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// True if `name` is the apex or lies below it.
    #[must_use]
    pub fn contains(&self, name: &Fqdn) -> bool {
        name.is_at_or_below(&self.0)
    }

    /// Of `zones`, the longest that contains `name`: the one whose servers answer for it.
    pub fn longest_containing<'a>(
        zones: impl IntoIterator<Item = &'a Self>,
        name: &Fqdn,
    ) -> Option<&'a Self> {
        zones.into_iter().filter(|zone| zone.contains(name)).max_by_key(|zone| zone.as_str().len())
    }
}

impl From<Fqdn> for ZoneName {
    fn from(apex: Fqdn) -> Self {
        Self(apex)
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ZoneName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_to_lower_case_a_labels() {
        assert_eq!(Fqdn::parse("WWW.Example.COM.").unwrap().as_str(), "www.example.com");
        assert_eq!(Fqdn::parse("bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
        assert_eq!(Fqdn::parse("_acme-challenge.x.test").unwrap().as_str(), "_acme-challenge.x.test");
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_its_reason() {
        assert_eq!(Fqdn::parse("."), Err(NameError::Empty));
        assert!(matches!(Fqdn::parse("a..b"), Err(NameError::EmptyLabel(_))));
        assert!(matches!(Fqdn::parse("*.a"), Err(NameError::Wildcard(_))));
        assert!(matches!(Fqdn::parse("192.0.2.1"), Err(NameError::IpAddress(_))));
        assert!(matches!(Fqdn::parse("2001:db8::1"), Err(NameError::IpAddress(_))));
        assert!(matches!(Fqdn::parse("a b.test"), Err(NameError::Character { character: ' ', .. })));
        let long = format!("{}.test", "a".repeat(64));
        assert!(matches!(Fqdn::parse(&long), Err(NameError::LabelTooLong { length: 64, .. })));
        let long = vec!["a".repeat(60); 5].join(".");
        assert!(matches!(Fqdn::parse(&long), Err(NameError::TooLong { length: 304, .. })));
    }

    #[test]
    fn the_longest_zone_wins_and_half_labels_do_not_match() {
        let zones = ["test", "b.test", "a.b.test"].map(|z| ZoneName::parse(z).unwrap());
        let pick =
            |name| ZoneName::longest_containing(&zones, &Fqdn::parse(name).unwrap()).map(ZoneName::as_str);
        assert_eq!(pick("x.a.b.test"), Some("a.b.test"));
        assert_eq!(pick("xa.b.test"), Some("b.test"));
        assert_eq!(pick("b.example"), None);
        assert_eq!(Fqdn::parse("x.b.test").unwrap().relative_to(&zones[1]), Some("x"));
        assert_eq!(Fqdn::parse("b.test").unwrap().relative_to(&zones[1]), Some(""));
        assert_eq!(Fqdn::parse("xb.test").unwrap().relative_to(&zones[1]), None);
    }
}

//! What a certificate is asked for: a domain name, or all names below one.

use dns01_provider::{Fqdn, NameError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A DNS identifier (RFC 8555 §7.1.3): a name, or a wildcard over its children.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain {
    /// The name without `*.`: the one that is proved.
    pub base: Fqdn,
    /// True for `*.base`.
    pub wildcard: bool,
}

/// Why a text is not a [`Domain`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// The name itself is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Another kind of identifier, which no DNS challenge can prove.
    #[error("`{text}` is {what}, which no DNS challenge can prove")]
    NotDns {
        /// As given.
        text: String,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The address of a page was given in place of a name.
    #[error("`{0}` is a web address, not a domain name")]
    WebAddress(String),
    /// A `*` elsewhere than alone in the leftmost label (RFC 8555 §7.1.3).
    #[error("`{0}` has its `*` where no CA accepts one")]
    Wildcard(String),
    /// The challenge name would be longer than a name can be.
    #[error("`{0}` is too long to prove: `{CHALLENGE_LABEL}.` does not fit in front of it")]
    ChallengeTooLong(Fqdn),
}

/// The label under which a dns-01 challenge is answered (RFC 8555 §8.4).
const CHALLENGE_LABEL: &str = "_acme-challenge";

impl Domain {
    /// Checks `text`: `example.com`, `*.example.com` or an internationalised name, which
    /// becomes A-labels.
    ///
    /// # Errors
    /// [`DomainError`] says what it is instead.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.trim();
        if let Some(what) = foreign_kind(text) {
            return Err(DomainError::NotDns { text: text.to_owned(), what });
        }
        if text.contains("://") {
            return Err(DomainError::WebAddress(text.to_owned()));
        }
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(DomainError::Wildcard(text.to_owned()));
        }
        let base = Fqdn::parse(name)?;
        if base.child(CHALLENGE_LABEL).is_err() {
            return Err(DomainError::ChallengeTooLong(base));
        }
        Ok(Self { base, wildcard })
    }

    /// True if a certificate for this domain is good for `other` as well.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || self.wildcard && !other.wildcard && other.base.parent().as_ref() == Some(&self.base)
    }
}

impl DomainError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotDns { what: "an IP address", .. } => {
                Some("an address is proved over HTTP or TLS only (RFC 8738): ask for a name".to_owned())
            }
            Self::WebAddress(address) => {
                let host = address.split_once("://").map_or("", |(_, rest)| rest);
                let host = host.split(['/', ':', '?', '#']).next().unwrap_or("");
                Domain::parse(host).ok().map(|domain| format!("did you mean `{domain}`?"))
            }
            Self::Wildcard(_) => Some("a wildcard is `*.` and then a name".to_owned()),
            Self::NotDns { text, what: "an e-mail address" } => {
                let domain = text.rsplit_once('@').and_then(|(_, domain)| Domain::parse(domain).ok())?;
                Some(format!("a certificate is for a domain: did you mean `{domain}`?"))
            }
            Self::Name(NameError::Character { character, .. }) if character.is_whitespace() => {
                Some("several names take a comma between them, or a `-d` each".to_owned())
            }
            Self::Name(NameError::EmptyLabel(_)) => Some("there is a dot too many".to_owned()),
            Self::ChallengeTooLong(name) => {
                let above = name.parent().filter(|above| above.child(CHALLENGE_LABEL).is_ok())?;
                Some(format!("`*.{above}` would cover it"))
            }
            Self::Name(_) | Self::NotDns { .. } => None,
        }
    }
}

/// What `text` is, where it is an identifier of another kind.
fn foreign_kind(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&lower);
    if bare.parse::<std::net::IpAddr>().is_ok() || is_address_range(bare) {
        Some("an IP address")
    } else if lower.trim_end_matches('.').ends_with(".onion") {
        Some("an onion service")
    } else if lower.starts_with("mailto:") || (lower.contains('@') && !lower.contains("://")) {
        Some("an e-mail address")
    } else if lower.starts_with("dtn:") || lower.starts_with("ipn:") {
        Some("a DTN node")
    } else if lower.starts_with("tel:") || lower.starts_with('+') {
        Some("a telephone number")
    } else {
        None
    }
}

fn is_address_range(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        address.parse::<std::net::IpAddr>().is_ok() && length.parse::<u8>().is_ok()
    })
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.base)
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl Serialize for Domain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Domain::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_wildcard_is_kept_apart_from_the_name_it_stands_over() {
        let domain = Domain::parse("*.Bücher.example").unwrap();
        assert!(domain.wildcard);
        assert_eq!(domain.base.as_str(), "xn--bcher-kva.example");
        assert_eq!(domain.to_string(), "*.xn--bcher-kva.example");
    }

    #[test]
    fn what_no_dns_challenge_can_prove_is_refused_with_its_kind() {
        assert_eq!(refusal("192.0.2.7"), "`192.0.2.7` is an IP address, which no DNS challenge can prove");
        assert!(refusal("[2001:db8::7]").contains("an IP address"));
        assert!(refusal("192.0.2.0/24").contains("an IP address"));
        assert!(refusal("ops@example.com").contains("an e-mail address"));
        assert!(refusal("abcdef.onion").contains("an onion service"));
        assert!(refusal("+15550100").contains("a telephone number"));
        assert!(refusal("dtn://node.dtn/").contains("a DTN node"));
    }

    #[test]
    fn a_web_address_is_answered_with_the_name_in_it() {
        let error = Domain::parse("https://www.example.com/shop").unwrap_err();
        assert_eq!(error.to_string(), "`https://www.example.com/shop` is a web address, not a domain name");
        assert_eq!(error.hint().unwrap(), "did you mean `www.example.com`?");
    }

    #[test]
    fn a_star_inside_and_a_name_without_room_for_the_challenge_are_refused() {
        assert_eq!(refusal("a.*.example.com"), "`a.*.example.com` has its `*` where no CA accepts one");
        assert_eq!(refusal("w*.example.com"), "`w*.example.com` has its `*` where no CA accepts one");
        let long = format!("{}.example", vec!["a".repeat(47); 5].join("."));
        assert!(
            refusal(&long).ends_with("`_acme-challenge.` does not fit in front of it"),
            "{}",
            refusal(&long)
        );
    }

    #[test]
    fn what_was_meant_is_guessed_where_it_can_be() {
        let hint = |text: &str| Domain::parse(text).unwrap_err().hint();
        assert_eq!(
            hint("ops@example.com").unwrap(),
            "a certificate is for a domain: did you mean `example.com`?"
        );
        assert_eq!(hint("a..example.com").unwrap(), "there is a dot too many");
        assert!(hint("a.test b.test").unwrap().contains("comma"));
        let long = format!("{}.example", vec!["a".repeat(47); 5].join("."));
        assert_eq!(hint(&long).unwrap(), format!("`*.{}` would cover it", &long[48..]));
    }

    #[test]
    fn a_wildcard_covers_its_children_and_nothing_else() {
        let wildcard = Domain::parse("*.example.com").unwrap();
        let covers = |text: &str| wildcard.covers(&Domain::parse(text).unwrap());
        assert!(covers("www.example.com"));
        assert!(covers("*.example.com"));
        assert!(!covers("example.com"));
        assert!(!covers("a.b.example.com"));
    }
}

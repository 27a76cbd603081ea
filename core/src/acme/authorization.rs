//! Authorizations (RFC 8555 §7.1.4): one identifier, and the ways to prove it.

use super::challenge::{Challenge, ChallengeType, IgnoredChallenge, sort_challenges};
use super::error::AcmeError;
use super::order::Identifier;
use super::problem::{Problem, lenient};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use url::Url;

/// An authorization as the CA last told it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Authorization {
    /// Where it lives.
    pub url: Url,
    /// What is to be proven; for a wildcard the name without `*.`.
    pub identifier: Identifier,
    /// How far it has come.
    pub status: AuthorizationStatus,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// True if it is for the wildcard below the name.
    pub wildcard: bool,
    /// The ways to prove it that go over the DNS and that this client understands.
    pub challenges: Vec<Challenge>,
    /// All other offers.
    pub ignored: Vec<IgnoredChallenge>,
    /// How long the CA wants not to be asked again.
    pub retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Wire {
    url: Url,
    identifier: Identifier,
    status: AuthorizationStatus,
    #[serde(default, deserialize_with = "lenient")]
    expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    wildcard: bool,
    #[serde(default, deserialize_with = "lenient")]
    challenges: Vec<serde_json::Value>,
}

impl From<Wire> for Authorization {
    fn from(wire: Wire) -> Self {
        let (challenges, ignored) = sort_challenges(wire.challenges);
        Self {
            url: wire.url,
            identifier: wire.identifier,
            status: wire.status,
            expires: wire.expires,
            wildcard: wire.wildcard,
            challenges,
            ignored,
            retry_after: None,
        }
    }
}

impl Authorization {
    /// The offer of type `wanted`.
    ///
    /// # Errors
    /// [`AcmeError::NoUsableChallenge`], naming what was offered instead.
    pub fn challenge(&self, wanted: ChallengeType) -> Result<&Challenge, AcmeError> {
        self.challenges.iter().find(|challenge| challenge.kind() == wanted).ok_or_else(|| {
            AcmeError::NoUsableChallenge {
                name: self.name(),
                wanted,
                offered: self
                    .challenges
                    .iter()
                    .map(|challenge| challenge.kind().to_string())
                    .chain(self.ignored.iter().map(ToString::to_string))
                    .collect(),
            }
        })
    }

    /// The name as it stands in the order: with `*.` for a wildcard.
    #[must_use]
    pub fn name(&self) -> String {
        if self.wildcard { format!("*.{}", self.identifier.value) } else { self.identifier.to_string() }
    }

    /// What the CA found wrong, of any challenge.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        let ours = self.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        ours.chain(self.ignored.iter().filter_map(|challenge| challenge.error.as_deref())).next()
    }
}

/// How far an authorization has come (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AuthorizationStatus {
    /// To be proven.
    Pending,
    /// Proven.
    Valid,
    /// Failed.
    Invalid,
    /// Given up by us.
    Deactivated,
    /// Over.
    Expired,
    /// Taken back by the CA.
    Revoked,
    /// A word this client does not know.
    #[serde(other)]
    Unknown,
}

impl AuthorizationStatus {
    /// True if it can never become valid again.
    #[must_use]
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Invalid | Self::Deactivated | Self::Expired | Self::Revoked)
    }
}

impl fmt::Display for AuthorizationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Deactivated => "deactivated",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(challenges: &str) -> Authorization {
        serde_json::from_str(&format!(
            r#"{{"url":"https://ca.test/authz/1","status":"pending","wildcard":true,
                "identifier":{{"type":"dns","value":"a.test"}},"challenges":{challenges}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn unknown_challenges_and_those_without_a_token_are_ignored() {
        let authorization = authorization(
            r#"[{"type":"quantum-01","url":"https://ca.test/c/0","status":"pending"},
                {"type":"dns-01","url":"https://ca.test/c/1","status":"pending"},
                {"status":"pending"}, 3,
                {"type":"dns-01","url":"https://ca.test/c/2","status":"pending","token":"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"}]"#,
        );
        let challenge = authorization.challenge(ChallengeType::Dns01).unwrap();
        assert_eq!(challenge.url.path(), "/c/2");
        assert_eq!(authorization.ignored.len(), 4);
    }

    #[test]
    fn without_a_usable_challenge_the_offers_are_named() {
        let authorization = authorization(
            r#"[{"type":"http-01","url":"https://ca.test/c/0","status":"pending","token":"abc"},
                {"type":"dns-01","url":"https://ca.test/c/1","status":"pending"}]"#,
        );
        let error = authorization.challenge(ChallengeType::Dns01).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the CA offers no usable dns-01 challenge for `*.a.test`, but: http-01, dns-01 without a token"
        );
    }

    #[test]
    fn the_problem_of_any_challenge_is_the_reason() {
        let authorization = authorization(
            r#"[{"type":"http-01","url":"https://ca.test/c/0","status":"invalid","token":"abc",
                 "error":{"type":"urn:ietf:params:acme:error:dns","detail":"NXDOMAIN"}}]"#,
        );
        assert_eq!(authorization.problem().unwrap().detail, "NXDOMAIN");
    }
}

//! What a CA says when it refuses (RFC 7807 problem documents, RFC 8555 §6.7).

use super::order::Identifier;
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A problem document, kept whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The kind of problem.
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: ProblemKind,
    /// The CA's own words for a person.
    #[serde(deserialize_with = "lenient")]
    pub detail: String,
    /// The HTTP status; 0 where the document names none.
    #[serde(deserialize_with = "lenient")]
    pub status: u16,
    /// A page about this occurrence: new terms of service, for instance.
    #[serde(deserialize_with = "lenient")]
    pub instance: Option<String>,
    /// The account key algorithms the CA takes, on [`ProblemKind::BadSignatureAlgorithm`]
    /// (RFC 8555 §6.2).
    #[serde(deserialize_with = "lenient")]
    pub algorithms: Vec<String>,
    /// The identifier concerned, inside a subproblem (RFC 8555 §6.7.1).
    #[serde(deserialize_with = "lenient")]
    pub identifier: Option<Identifier>,
    /// One problem for each identifier concerned (RFC 8555 §6.7.1).
    #[serde(deserialize_with = "lenient_list")]
    pub subproblems: Vec<Problem>,
}

/// The ACME error types a client reacts to or explains (RFC 8555 §6.7, RFC 9773 §7.4); any
/// other is kept as the CA wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// No account with this key.
    AccountDoesNotExist,
    /// The certificate was replaced by an earlier order.
    AlreadyReplaced,
    /// The certificate was revoked before.
    AlreadyRevoked,
    /// The request for the certificate is not acceptable.
    BadCsr,
    /// The nonce was not accepted; a fresh one comes with the reply.
    BadNonce,
    /// The CA does not take this key.
    BadPublicKey,
    /// The CA does not take this signature algorithm.
    BadSignatureAlgorithm,
    /// CAA records forbid the issuance.
    Caa,
    /// The CA could not look a name up.
    Dns,
    /// The account needs an external account binding.
    ExternalAccountRequired,
    /// What the CA found at the challenge name is not what it should be.
    IncorrectResponse,
    /// A contact is malformed.
    InvalidContact,
    /// The CA has no such profile.
    InvalidProfile,
    /// The request is malformed; Boulder answers this for much else too.
    Malformed,
    /// The order cannot be finalized now.
    OrderNotReady,
    /// Too many requests.
    RateLimited,
    /// The CA will not issue for this identifier.
    RejectedIdentifier,
    /// The CA is out of order.
    ServerInternal,
    /// This key may not do this.
    Unauthorized,
    /// A contact's scheme is not supported.
    UnsupportedContact,
    /// An identifier of this type is not supported.
    UnsupportedIdentifier,
    /// A person has to do something at the CA's page first.
    UserActionRequired,
    /// Something else, as the CA wrote it.
    Other(String),
    /// No type at all (`about:blank`).
    #[default]
    Unspecified,
}

const PREFIX: &str = "urn:ietf:params:acme:error:";

const KINDS: &[(&str, ProblemKind)] = &[
    ("accountDoesNotExist", ProblemKind::AccountDoesNotExist),
    ("alreadyReplaced", ProblemKind::AlreadyReplaced),
    ("alreadyRevoked", ProblemKind::AlreadyRevoked),
    ("badCSR", ProblemKind::BadCsr),
    ("badNonce", ProblemKind::BadNonce),
    ("badPublicKey", ProblemKind::BadPublicKey),
    ("badSignatureAlgorithm", ProblemKind::BadSignatureAlgorithm),
    ("caa", ProblemKind::Caa),
    ("dns", ProblemKind::Dns),
    ("externalAccountRequired", ProblemKind::ExternalAccountRequired),
    ("incorrectResponse", ProblemKind::IncorrectResponse),
    ("invalidContact", ProblemKind::InvalidContact),
    ("invalidProfile", ProblemKind::InvalidProfile),
    ("malformed", ProblemKind::Malformed),
    ("orderNotReady", ProblemKind::OrderNotReady),
    ("rateLimited", ProblemKind::RateLimited),
    ("rejectedIdentifier", ProblemKind::RejectedIdentifier),
    ("serverInternal", ProblemKind::ServerInternal),
    ("unauthorized", ProblemKind::Unauthorized),
    ("unsupportedContact", ProblemKind::UnsupportedContact),
    ("unsupportedIdentifier", ProblemKind::UnsupportedIdentifier),
    ("userActionRequired", ProblemKind::UserActionRequired),
];

impl ProblemKind {
    fn parse(text: &str) -> Self {
        if text.is_empty() || text == "about:blank" {
            return Self::Unspecified;
        }
        text.strip_prefix(PREFIX)
            .and_then(|name| KINDS.iter().find(|(known, _)| *known == name))
            .map_or_else(|| Self::Other(text.to_owned()), |(_, kind)| kind.clone())
    }
}

impl<'de> Deserialize<'de> for ProblemKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// The short name: `rateLimited`.
impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("unspecified"),
            Self::Other(text) => f.write_str(text.strip_prefix(PREFIX).unwrap_or(text)),
            known => f.write_str(KINDS.iter().find(|(_, kind)| kind == known).map_or("", |(name, _)| *name)),
        }
    }
}

/// The detail first, then the type, then each subproblem under the name it belongs to.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.detail.as_str(), &self.kind) {
            ("", kind) => write!(f, "{kind}")?,
            (detail, ProblemKind::Unspecified) => f.write_str(detail)?,
            (detail, kind) => write!(f, "{detail} ({kind})")?,
        }
        for problem in &self.subproblems {
            match &problem.identifier {
                Some(identifier) => write!(f, "; {identifier}: {problem}")?,
                None => write!(f, "; {problem}")?,
            }
        }
        Ok(())
    }
}

/// Reads a field, or takes its default where the CA wrote something of another shape: an odd
/// decoration must not hide the rest of the document.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned + Default,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Reads a list and leaves out the items that are of another shape.
pub(super) fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let items = match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Array(items) => items,
        _ => Vec::new(),
    };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_kept_whole_with_its_subproblems() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"urn:ietf:params:acme:error:malformed","detail":"Some of the identifiers requested were rejected",
                "status":403,"subproblems":[
                  {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","identifier":{"type":"dns","value":"a.test"}},
                  {"type":"urn:x:odd","detail":"odd","identifier":{"type":"dns","value":"b.test"}}, 7]}"#,
        )
        .unwrap();
        assert_eq!(problem.kind, ProblemKind::Malformed);
        assert_eq!(problem.subproblems.len(), 2);
        assert_eq!(
            problem.to_string(),
            "Some of the identifiers requested were rejected (malformed); a.test: no (rejectedIdentifier); \
             b.test: odd (urn:x:odd)"
        );
    }

    #[test]
    fn every_known_kind_has_a_name_and_is_read_back_from_it() {
        for (name, kind) in KINDS {
            assert_eq!(ProblemKind::parse(&format!("{PREFIX}{name}")), *kind);
            assert_eq!(kind.to_string(), *name);
        }
    }

    #[test]
    fn a_problem_with_odd_fields_still_tells_its_type() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":{"a":1},"status":"400","identifier":"x","subproblems":null}"#,
        )
        .unwrap();
        assert_eq!(problem.kind, ProblemKind::BadNonce);
        assert_eq!(problem.detail, "");
    }

    #[test]
    fn a_problem_without_a_type_is_unspecified() {
        let problem: Problem = serde_json::from_str("{}").unwrap();
        assert_eq!(problem.kind, ProblemKind::Unspecified);
        assert_eq!(problem.to_string(), "unspecified");
    }
}

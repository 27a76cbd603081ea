//! Challenges that are answered through the DNS, and the values that answer them. Where a
//! value is published is not this module's business.

use super::account::AccountUrl;
use super::problem::{Problem, lenient};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use url::Url;

/// The challenge types this client answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ChallengeType {
    /// RFC 8555 §8.4.
    #[default]
    #[serde(rename = "dns-01")]
    Dns01,
    /// draft-ietf-acme-dns-account-label-02: as dns-01, under a label of the account's own.
    #[serde(rename = "dns-account-01")]
    DnsAccount01,
    /// draft-ietf-acme-dns-persist-01: one lasting record instead of one for each order.
    #[serde(rename = "dns-persist-01")]
    DnsPersist01,
}

impl ChallengeType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::Dns01, Self::DnsAccount01, Self::DnsPersist01];

    /// Its name at the CA, and in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns01 => "dns-01",
            Self::DnsAccount01 => "dns-account-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }

    /// The labels in front of a name under which it is answered; `None` while the account is not
    /// known on which they depend.
    #[must_use]
    pub fn label(self, account: Option<&AccountUrl>) -> Option<String> {
        match self {
            Self::Dns01 => Some("_acme-challenge".to_owned()),
            Self::DnsAccount01 => {
                account.map(|account| format!("{}._acme-challenge", account_label(account)))
            }
            Self::DnsPersist01 => Some("_validation-persist".to_owned()),
        }
    }
}

impl fmt::Display for ChallengeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One way to prove an identifier through the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Where it is answered.
    pub url: Url,
    /// How far it has come.
    pub status: ChallengeStatus,
    /// What the CA found wrong.
    pub error: Option<Problem>,
    /// What has to be published.
    pub task: ChallengeTask,
}

/// What a challenge asks to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeTask {
    /// The digest of the key authorization of `token`.
    Dns01 {
        /// The CA's random text.
        token: String,
    },
    /// The same value as for dns-01, under [`account_label`].
    DnsAccount01 {
        /// The CA's random text.
        token: String,
    },
    /// A [`persist_value`] for one of `issuers`.
    DnsPersist01 {
        /// One to ten domain names by which the CA goes; any of them may be used.
        issuers: Vec<String>,
    },
}

/// How far a challenge has come (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChallengeStatus {
    /// To be answered (Boulder: also while it is looked at).
    #[default]
    Pending,
    /// Being looked at.
    Processing,
    /// Passed.
    Valid,
    /// Failed.
    Invalid,
    /// A word this client does not know.
    #[serde(other)]
    Unknown,
}

/// An offer that this client passes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredChallenge {
    /// Its type, as the CA wrote it.
    pub kind: String,
    /// What a known type lacks.
    pub lacks: Option<&'static str>,
    /// What the CA found wrong with it.
    pub error: Option<Box<Problem>>,
}

impl fmt::Display for IgnoredChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind.is_empty() { "one without a type" } else { &self.kind })?;
        self.lacks.map_or(Ok(()), |what| write!(f, " without {what}"))
    }
}

/// The most names a dns-persist-01 challenge may offer.
const MOST_ISSUERS: usize = 10;

#[derive(Deserialize)]
struct Wire {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    url: Option<Url>,
    #[serde(default, deserialize_with = "lenient")]
    status: ChallengeStatus,
    #[serde(default, deserialize_with = "lenient")]
    token: Option<String>,
    #[serde(default, rename = "issuer-domain-names", deserialize_with = "lenient")]
    issuers: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Box<Problem>>,
}

/// Parts the offers of an authorization into those we can answer and the rest.
pub(super) fn sort_challenges(offers: Vec<Value>) -> (Vec<Challenge>, Vec<IgnoredChallenge>) {
    let mut usable = Vec::new();
    let mut ignored = Vec::new();
    for offer in offers {
        match parse(offer) {
            Ok(challenge) => usable.push(challenge),
            Err(offer) => ignored.push(offer),
        }
    }
    (usable, ignored)
}

/// One offer.
pub(super) fn parse(offer: Value) -> Result<Challenge, IgnoredChallenge> {
    let Ok(wire) = serde_json::from_value::<Wire>(offer) else {
        return Err(IgnoredChallenge { kind: String::new(), lacks: None, error: None });
    };
    let ignore = |lacks, error| Err(IgnoredChallenge { kind: wire.kind.clone(), lacks, error });
    let token = wire.token.filter(|token| is_token(token));
    let task = match wire.kind.as_str() {
        "dns-01" => token.map(|token| ChallengeTask::Dns01 { token }).ok_or("a token"),
        "dns-account-01" => token.map(|token| ChallengeTask::DnsAccount01 { token }).ok_or("a token"),
        "dns-persist-01" if are_issuers(&wire.issuers) => {
            Ok(ChallengeTask::DnsPersist01 { issuers: wire.issuers })
        }
        "dns-persist-01" => Err("one to ten issuer-domain-names"),
        _ => return ignore(None, wire.error),
    };
    match (task, wire.url) {
        (Ok(task), Some(url)) => {
            Ok(Challenge { url, status: wire.status, error: wire.error.map(|e| *e), task })
        }
        (Ok(_), None) => ignore(Some("a URL"), wire.error),
        (Err(lacks), _) => ignore(Some(lacks), wire.error),
    }
}

/// One to ten domain names. Anything else in one of them could add parameters of the CA's
/// own to the record.
fn are_issuers(names: &[String]) -> bool {
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    (1..=MOST_ISSUERS).contains(&names.len()) && names.iter().all(is_name)
}

/// The base64url alphabet (RFC 8555 §8.1).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Challenge {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> ChallengeType {
        match self.task {
            ChallengeTask::Dns01 { .. } => ChallengeType::Dns01,
            ChallengeTask::DnsAccount01 { .. } => ChallengeType::DnsAccount01,
            ChallengeTask::DnsPersist01 { .. } => ChallengeType::DnsPersist01,
        }
    }
}

/// The text to publish for dns-01 and dns-account-01: the base64url SHA-256 of the key
/// authorization, 43 characters (RFC 8555 §8.4). `thumbprint` is the account key's.
#[must_use]
pub fn dns_value(token: &str, thumbprint: &str) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, format!("{token}.{thumbprint}").as_bytes()).as_ref())
}

/// The label that dns-account-01 puts in front of dns-01's own: `_` and 16 characters
/// (draft-ietf-acme-dns-account-label-02 §3.2). It hashes the URL exactly as the CA wrote it.
#[must_use]
pub fn account_label(account: &AccountUrl) -> String {
    let hash = digest(&SHA256, account.as_str().as_bytes());
    format!("_{}", BASE32_NOPAD.encode(&hash.as_ref()[..10]).to_ascii_lowercase())
}

/// The text to publish for dns-persist-01 in its deployed format: an RFC 8659 issue-value
/// with `accounturi`, then `policy=wildcard` if the record shall prove wildcards and names
/// below too, then its end if it shall have one.
#[must_use]
pub fn persist_value(issuer: &str, account: &AccountUrl, wildcard: bool, until: Option<Timestamp>) -> String {
    let mut value = format!("{issuer}; accounturi={}", account.as_str());
    if wildcard {
        value.push_str("; policy=wildcard");
    }
    if let Some(until) = until {
        value.push_str(&format!("; persistUntil={}", until.as_second()));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_label_is_that_of_the_draft() {
        let account = AccountUrl::new("https://example.com/acme/acct/ExampleAccount");
        assert_eq!(account_label(&account), "_ujmmovf2vn55tgye");
    }

    #[test]
    fn the_dns_value_is_the_digest_of_the_key_authorization() {
        // openssl: printf 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' |
        //   openssl dgst -sha256 -binary | basenc --base64url
        let value = dns_value(
            "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        );
        assert_eq!(value, "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8");
    }

    #[test]
    fn a_lasting_value_names_issuer_account_policy_and_end() {
        let account = AccountUrl::new("https://ca.test/acct/1");
        assert_eq!(
            persist_value("letsencrypt.org", &account, false, None),
            "letsencrypt.org; accounturi=https://ca.test/acct/1"
        );
        assert_eq!(
            persist_value(
                "letsencrypt.org",
                &account,
                true,
                Some(Timestamp::from_second(1_790_000_000).unwrap())
            ),
            "letsencrypt.org; accounturi=https://ca.test/acct/1; policy=wildcard; persistUntil=1790000000"
        );
    }

    #[test]
    fn a_lasting_challenge_offers_one_to_ten_issuers() {
        let offer = |names: usize| {
            let names: Vec<_> = (0..names).map(|n| format!("ca{n}.test")).collect();
            parse(
                serde_json::json!({"type": "dns-persist-01", "url": "https://ca.test/c", "issuer-domain-names": names}),
            )
        };
        assert!(offer(1).is_ok() && offer(10).is_ok());
        assert_eq!(
            offer(0).unwrap_err().to_string(),
            "dns-persist-01 without one to ten issuer-domain-names"
        );
        assert!(offer(11).is_err());
        let names = ["ca.test; policy=wildcard"];
        let odd = serde_json::json!({"type": "dns-persist-01", "url": "https://ca.test/c", "issuer-domain-names": names});
        assert!(parse(odd).is_err(), "a name cannot smuggle a policy in");
    }

    #[test]
    fn a_token_outside_base64url_is_no_token() {
        let offer = serde_json::json!({"type": "dns-01", "url": "https://ca.test/c", "token": "a b"});
        assert_eq!(parse(offer).unwrap_err().lacks, Some("a token"));
    }
}

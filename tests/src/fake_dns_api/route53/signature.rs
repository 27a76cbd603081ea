//! AWS Signature Version 4: who asks, proven by the request itself.

use super::super::{Asked, lock};
use super::Statement;
use aws_lc_rs::{digest, hmac};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// How far the clocks may be apart.
const SKEW: Duration = Duration::from_secs(300);

/// An access key and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
    /// What a temporary key has beside it.
    pub token: Option<String>,
    /// Whether its time is over.
    pub expired: bool,
    /// What it may do.
    pub policy: Vec<Statement>,
}

/// All keys of one account.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Vec<Key>>);

impl Keys {
    /// A key with `policy`; a temporary one has a token.
    pub(super) fn make(&self, policy: &[Statement], temporary: bool, expired: bool) -> Key {
        let mut keys = lock(&self.0);
        let number = keys.len() + 1;
        let key = Key {
            id: format!("{}{number:0>16}", if temporary { "ASIA" } else { "AKIA" }),
            secret: format!("secret/key+of-number-{number:0>19}"),
            token: temporary.then(|| format!("session-token-number-{number:0>20}")),
            expired,
            policy: policy.to_vec(),
        };
        keys.push(key.clone());
        key
    }

    /// Whose request it is; else code and message of the refusal.
    pub(super) fn verify(
        &self,
        asked: &Asked,
        path: &str,
        service: &str,
    ) -> Result<Key, (&'static str, String)> {
        let header = asked.header("authorization");
        let header =
            header.ok_or(("MissingAuthenticationToken", "Missing Authentication Token".to_owned()))?;
        let incomplete = || ("IncompleteSignature", format!("not as documented: {header}"));
        let parts = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(incomplete)?;
        let mut parts = parts.split(", ");
        let mut part =
            |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(incomplete);
        let (credential, signed, signature) =
            (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
        let (id, scope) = credential.split_once('/').ok_or_else(incomplete)?;
        let known = lock(&self.0).iter().find(|key| key.id == id).cloned();
        let invalid = "The security token included in the request is invalid.";
        let key = known.ok_or_else(|| ("InvalidClientTokenId", invalid.to_owned()))?;
        if key.token.as_deref() != asked.header("x-amz-security-token") {
            return Err(("InvalidClientTokenId", invalid.to_owned()));
        }
        let date = asked.header("x-amz-date").ok_or_else(incomplete)?;
        let mismatch = |why: &str| ("SignatureDoesNotMatch", why.to_owned());
        if !is_recent(date) {
            return Err(mismatch("Signature expired or not yet current"));
        }
        if scope != format!("{}/us-east-1/{service}/aws4_request", &date[..8]) {
            return Err(mismatch("Credential should be scoped to a valid region and service"));
        }
        let names: Vec<&str> = signed.split(';').collect();
        let needed =
            ["host", "x-amz-date"].into_iter().chain(key.token.as_ref().map(|_| "x-amz-security-token"));
        if !names.is_sorted() || needed.into_iter().any(|name| !names.contains(&name)) {
            return Err(mismatch("a header that must be signed is not"));
        }
        let expected = sign(&key, asked, path, &names, date, scope).ok_or_else(incomplete)?;
        if expected != signature {
            return Err(mismatch(
                "The request signature we calculated does not match the signature you provided. Check your AWS \
                 Secret Access Key and signing method. Consult the service documentation for details.",
            ));
        }
        if key.expired {
            return Err(("ExpiredToken", "The security token included in the request is expired".to_owned()));
        }
        Ok(key)
    }
}

/// The signature of the request, in hexadecimal digits.
fn sign(key: &Key, asked: &Asked, path: &str, names: &[&str], date: &str, scope: &str) -> Option<String> {
    let mut pairs: Vec<(String, String)> =
        asked.query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut canonical = format!("{}\n{path}\n{}\n", asked.method, query.join("&"));
    for name in names {
        let words: Vec<&str> = asked.header(name)?.split_whitespace().collect();
        let _ = writeln!(canonical, "{name}:{}", words.join(" "));
    }
    let _ = write!(
        canonical,
        "\n{}\n{}",
        names.join(";"),
        hex(digest::digest(&digest::SHA256, &asked.body).as_ref())
    );
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let start = format!("AWS4{}", key.secret).into_bytes();
    let last = scope.split('/').fold(start, |key, part| mac(&key, part));
    Some(hex(&mac(&last, &text)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(octets)
}

/// RFC 3986 with nothing left as it is that need not be.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    encoded
}

/// True for a time such as `20261126T203000Z` that is now, or nearly.
fn is_recent(date: &str) -> bool {
    let Ok(time) = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date) else { return false };
    let Ok(time) = time.to_zoned(jiff::tz::TimeZone::UTC) else { return false };
    let (time, now) = (SystemTime::from(time.timestamp()), SystemTime::now());
    let apart = now.duration_since(time).or_else(|error| Ok::<_, ()>(error.duration()));
    apart.is_ok_and(|apart| apart <= SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_encoded_as_the_documentation_says() {
        assert_eq!(encoded("_acme-challenge.a.test."), "_acme-challenge.a.test.");
        assert_eq!(encoded("a b/ü*"), "a%20b%2F%C3%BC%2A");
    }

    #[test]
    fn a_signature_is_good_for_minutes() {
        let at = |seconds: i64| {
            let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            is_recent(&time.strftime("%Y%m%dT%H%M%SZ").to_string())
        };
        assert!(at(0) && at(-200) && at(200));
        assert!(!at(-400) && !at(400) && !is_recent("today"));
    }
}

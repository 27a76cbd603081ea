//! When to renew, by the CA's advice (RFC 9773).

use super::certificate::CertificateError;
use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use url::Url;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

/// The name of a certificate towards its CA: its issuer's key identifier and its serial
/// number (RFC 9773 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CertificateId(String);

impl CertificateId {
    /// The name of the certificate `der`.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], or [`CertificateError::NoAuthorityKey`] if the
    /// certificate does not tell its issuer's key identifier.
    pub fn of(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::Malformed(error.to_string()))?;
        Self::of_parsed(&certificate).ok_or(CertificateError::NoAuthorityKey)
    }

    pub(super) fn of_parsed(certificate: &X509Certificate<'_>) -> Option<Self> {
        let key =
            certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref(),
                _ => None,
            })?;
        Some(Self::of_parts(key.0, certificate.raw_serial()))
    }

    /// The serial as it stands in the DER, a leading zero octet included.
    fn of_parts(authority_key: &[u8], serial: &[u8]) -> Self {
        Self(format!("{}.{}", BASE64URL_NOPAD.encode(authority_key), BASE64URL_NOPAD.encode(serial)))
    }

    /// Takes what [`CertificateId::as_str`] once gave.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `<key identifier>.<serial>`, both base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A CA's advice on when to renew a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInfo {
    /// Begin of the suggested window.
    pub start: Timestamp,
    /// Its end, later than the begin.
    pub end: Timestamp,
    /// A page that explains an unusual window.
    pub explanation: Option<Url>,
    /// When to ask again: from a minute to a day (RFC 9773 §4.3).
    pub ask_again: Duration,
}

/// Without a Retry-After the CA is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    suggested_window: Window,
    #[serde(default, rename = "explanationURL", deserialize_with = "super::problem::lenient")]
    explanation: Option<Url>,
}

#[derive(Deserialize)]
struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl RenewalInfo {
    /// Reads the advice; says what is wrong with it otherwise.
    pub(super) fn parse(body: &[u8], retry_after: Option<Duration>) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let Window { start, end } = wire.suggested_window;
        if end <= start {
            return Err(format!("a window that ends at {end}, not after its begin at {start}"));
        }
        let ask_again = retry_after.unwrap_or(ASK_AGAIN).clamp(SOONEST, LATEST);
        Ok(Self { start, end, explanation: wire.explanation, ask_again })
    }

    /// A moment in the window, all equally likely. It is drawn once and stored: drawing at
    /// every look would favour early ones.
    pub fn pick(&self, random: &mut impl Rng) -> Timestamp {
        let width = self.end.as_second().saturating_sub(self.start.as_second());
        let offset = random.random_range(0..=width.max(0));
        self.start.checked_add(SignedDuration::from_secs(offset)).unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    #[test]
    fn the_certificate_id_is_that_of_the_rfc() {
        let key = data_encoding::HEXLOWER.decode(b"69885b6b87464041e1b37b847ba0ae2cde01c8d4").unwrap();
        let serial = data_encoding::HEXLOWER.decode(b"008765432101020304").unwrap();
        let id = CertificateId::of_parts(&key, &serial[..]);
        assert!(id.as_str().starts_with("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
        assert_eq!(
            CertificateId::of_parts(&key, &serial[..5]).as_str(),
            "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
        );
    }

    fn info(start: &str, end: &str) -> Result<RenewalInfo, String> {
        let body =
            format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}},"explanationURL":"x"}}"#);
        RenewalInfo::parse(body.as_bytes(), None)
    }

    #[test]
    fn a_window_that_does_not_end_after_it_begins_is_refused() {
        assert!(info("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z").is_ok());
        assert!(info("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z").is_err());
        assert!(info("2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z").is_err());
        assert!(RenewalInfo::parse(b"<html>", None).is_err());
    }

    #[test]
    fn the_next_look_is_after_a_minute_at_least_and_a_day_at_most() {
        let body = br#"{"suggestedWindow":{"start":"2026-01-02T00:00:00Z","end":"2026-01-03T00:00:00Z"}}"#;
        let after = |seconds| RenewalInfo::parse(body, Some(Duration::from_secs(seconds))).unwrap().ask_again;
        assert_eq!(after(1), SOONEST);
        assert_eq!(after(21_600), Duration::from_secs(21_600));
        assert_eq!(after(10_000_000), LATEST);
        assert_eq!(RenewalInfo::parse(body, None).unwrap().ask_again, ASK_AGAIN);
    }

    proptest! {
        #[test]
        fn the_moment_lies_in_the_window(seed: u64, start in 0i64..4_000_000_000, width in 1i64..4_000_000) {
            let start = Timestamp::from_second(start).unwrap();
            let end = start + SignedDuration::from_secs(width);
            let info = RenewalInfo { start, end, explanation: None, ask_again: ASK_AGAIN };
            let moment = info.pick(&mut StdRng::seed_from_u64(seed));
            prop_assert!(start <= moment && moment <= end);
        }
    }
}

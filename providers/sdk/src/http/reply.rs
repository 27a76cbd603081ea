//! Answers of HTTP services, good and bad.

use crate::error::{LONGEST_WAIT, ProviderError, ProviderErrorKind};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::{Duration, SystemTime};

/// Characters of a body that an error shows.
const EXCERPT: usize = 200;

/// An answer, read whole.
pub struct Reply {
    pub(super) place: String,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
    pub(super) secrets: Vec<SecretString>,
}

impl Reply {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// True if the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The reply itself if its status is 2xx.
    ///
    /// # Errors
    /// [`Self::error`] for every other status.
    pub fn success(self) -> Result<Self, ProviderError> {
        self.success_or(Self::error)
    }

    /// The reply itself if its status is 2xx, for plugins that know what a refusal means.
    ///
    /// # Errors
    /// What `refused` says of every other status.
    pub fn success_or<E>(self, refused: impl FnOnce(&Self) -> E) -> Result<Self, E> {
        if self.is_success() { Ok(self) } else { Err(refused(&self)) }
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// It is not JSON of this form; the message shows how it begins.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = ProviderErrorKind::Invalid;
            // serde quotes what it finds, so only the place of the mistake is told.
            let place = format!("line {}, column {}", error.line(), error.column());
            ProviderError::new(
                kind,
                format!("the answer is not what is documented ({place}): {}", self.excerpt()),
            )
            .with_context("request", &self.place)
        })
    }

    /// The error that the status alone stands for, with what the service wrote. Plugins that
    /// know the service's own codes use [`Self::error_of`].
    #[must_use]
    pub fn error(&self) -> ProviderError {
        let message = format!("the service answered {}: {}", self.status, self.excerpt());
        self.error_of(kind(self.status), &message)
    }

    /// An error of `kind` with `message`, from which secrets are taken out, and with the
    /// reply's Retry-After.
    #[must_use]
    pub fn error_of(&self, kind: ProviderErrorKind, message: &str) -> ProviderError {
        let error = ProviderError::new(kind, self.redacted(message)).with_context("request", &self.place);
        match self.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }

    /// How the body begins, on one line, without secrets.
    fn excerpt(&self) -> String {
        // Secrets first: a cut through the middle of one would hide it from the search.
        let text = self.redacted(&String::from_utf8_lossy(&self.body));
        let mut words =
            text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let first = words.next().unwrap_or("an empty body").to_owned();
        let line = words.fold(first, |line, word| line + " " + word);
        match line.char_indices().nth(EXCERPT) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    fn redacted(&self, text: &str) -> String {
        self.secrets.iter().map(SecretString::expose_secret).filter(|secret| !secret.is_empty()).fold(
            text.to_owned(),
            |text, secret| {
                let in_json = serde_json::to_string(secret).unwrap_or_default();
                text.replace(secret, "[secret]").replace(in_json.trim_matches('"'), "[secret]")
            },
        )
    }
}

/// Words of a service's own as an error shows them: on one line, without control characters and
/// the last full stop, and no longer than some 300 characters.
#[must_use]
pub fn in_short(text: &str) -> String {
    const LONGEST: usize = 300;
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end_matches('.').to_owned(),
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} to {}, {} octets)", self.status, self.place, self.body.len())
    }
}

/// What a status says about the cause (RFC 9110 §15).
fn kind(status: u16) -> ProviderErrorKind {
    use ProviderErrorKind as Kind;
    match status {
        401 => Kind::Auth,
        403 => Kind::Permission,
        404 | 410 => Kind::NotFound,
        409 | 412 => Kind::Conflict,
        429 => Kind::RateLimited,
        408 | 425 | 500..=599 => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}

/// Seconds or an HTTP date (RFC 9110 §10.2.3), at most [`LONGEST_WAIT`]; nonsense is ignored.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            place: "GET https://api.example.net/zones".to_owned(),
            status,
            headers: HeaderMap::new(),
            retry_after: None,
            body: body.as_bytes().to_vec(),
            secrets: vec![SecretString::from("s3cr\"et")],
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_longer_than_a_day() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 10:00:00 GMT").unwrap();
        let read = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(read("30"), Some(30));
        assert_eq!(read("Sat, 21 Nov 2026 10:02:00 GMT"), Some(120));
        assert_eq!(read("Sat, 21 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(86400));
        assert_eq!(read("Sun, 21 Nov 2027 10:00:00 GMT"), Some(86400));
        for nonsense in ["", "soon", "-5", "1.5", "+5"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn each_status_has_its_kind_and_only_passing_ones_are_retried() {
        use ProviderErrorKind as Kind;
        let expected = [
            (400, Kind::Invalid, false),
            (401, Kind::Auth, false),
            (403, Kind::Permission, false),
            (404, Kind::NotFound, false),
            (409, Kind::Conflict, false),
            (422, Kind::Invalid, false),
            (429, Kind::RateLimited, true),
            (500, Kind::Unavailable, true),
            (503, Kind::Unavailable, true),
        ];
        for (status, kind, retryable) in expected {
            let error = reply(status, "").success().unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status}");
        }
        assert!(reply(204, "").success().is_ok() && !reply(304, "").is_success());
        assert_eq!(reply(418, "").success_or(Reply::status).unwrap_err(), 418);
    }

    #[test]
    fn a_body_is_shown_short_on_one_line_and_without_secrets() {
        let html = format!("<html>\n <b>no s3cr\"et\u{7} here</b>\n{}", "x".repeat(5000));
        let error = reply(502, &html).error().to_string();
        assert!(error.contains("<html> <b>no [secret] here</b>"), "{error}");
        assert!(error.chars().count() < 400, "{error}");
        let escaped = reply(400, r#"{"token":"s3cr\"et"}"#).error().to_string();
        assert!(!escaped.contains("s3cr"), "{escaped}");
        let straddling = format!("{}s3cr\"et", "x".repeat(EXCERPT - 3));
        assert!(!reply(400, &straddling).error().to_string().contains("s3c"));
    }

    #[test]
    fn a_services_words_are_shown_on_one_line_and_not_at_any_length() {
        assert_eq!(in_short(" Not\u{7}\n found.\t"), "Not found");
        assert_eq!(in_short(&"ü".repeat(400)).chars().count(), 301);
        assert_eq!(in_short(""), "");
    }

    #[test]
    fn an_answer_of_another_form_is_an_error_that_shows_how_it_begins() {
        let error = reply(200, "<html>welcome s3cr\"et</html>").json::<Vec<String>>().unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Invalid);
        assert!(error.to_string().contains("<html>welcome [secret]</html>"), "{error}");
    }
}

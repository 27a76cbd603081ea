//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;
use std::time::Duration;

/// With nothing left, one request comes back every second: these are enough to go on with.
const REFILL: Duration = Duration::from_secs(5);

/// Why a change failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The RRset may not be as it was read: a value there already or gone, another TTL.
    Stale(ProviderError),
    /// Another change is under way.
    Busy(ProviderError),
    /// Everything else.
    Other(ProviderError),
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stale(error) | Failure::Busy(error) | Failure::Other(error) => error,
        }
    }
}

/// The error body. A proxy before the service may send anything else.
#[derive(Deserialize)]
struct Body {
    error: Complaint,
}

/// What is wrong; failed actions say it in the same form.
#[derive(Debug, Deserialize)]
pub(crate) struct Complaint {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    messages: Vec<String>,
}

/// What a refusal means. The service's codes tell more than its statuses.
pub(crate) fn failure(reply: &Reply) -> Failure {
    let Ok(Body { error: complaint }) = serde_json::from_slice::<Body>(reply.body()) else {
        return Failure::Other(reply.error());
    };
    let (kind, hint) = meaning(&complaint.code, &complaint.text());
    let kind = kind.unwrap_or_else(|| reply.error().kind());
    let message = format!("the service answered {}: {}", reply.status(), complaint.text());
    let mut error = reply.error_of(kind, &message).with_optional_hint(hint);
    if let Some(number) = reply.header("x-correlation-id") {
        error = error.with_context("correlation id", number);
    }
    if kind == ProviderErrorKind::RateLimited && error.retry_after().is_none() {
        error = error.with_retry_after(REFILL);
    }
    match complaint.code.as_str() {
        "conflict" | "locked" => Failure::Busy(error.with_retryable(true)),
        "invalid_input" | "not_found" => Failure::Stale(error),
        _ => Failure::Other(error),
    }
}

/// A change that was taken and then failed.
pub(crate) fn action_failed(complaint: Option<&Complaint>) -> ProviderError {
    let text = complaint.map_or_else(|| "no reason is given".to_owned(), Complaint::text);
    let message = format!("the service took the change and failed to carry it out: {text}");
    ProviderError::new(ProviderErrorKind::Unavailable, message)
}

impl Complaint {
    /// Its words, on one line, with what they are about.
    fn text(&self) -> String {
        let mut words = format!("{} ({})", self.message.trim_end_matches('.'), self.code);
        for field in self.details.iter().flat_map(|details| &details.fields) {
            words += &format!("; {}: {}", field.name, field.messages.join(", "));
        }
        in_short(&words)
    }
}

/// What a code means; `None` where the status says it all.
fn meaning(code: &str, text: &str) -> (Option<ProviderErrorKind>, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match code {
        "unauthorized" => (
            Some(Kind::Auth),
            Some(
                "check that the token is whole and not revoked; one of 32 characters is of the old DNS Console, \
                 which was shut down: a token of the Cloud Console has 64",
            ),
        ),
        "token_readonly" => (Some(Kind::Permission), Some("the token must be made with `Read & Write`")),
        "forbidden" => (Some(Kind::Permission), Some("the token may not do this in its project")),
        "protected" => {
            (Some(Kind::Permission), Some("remove the change protection of the zone or the RRset"))
        }
        "not_found" => (
            Some(Kind::NotFound),
            Some("the zone must be in the project that the token belongs to: other projects' are not seen"),
        ),
        "conflict" | "locked" => (Some(Kind::Conflict), None),
        "invalid_input" if text.contains("CNAME") => (
            Some(Kind::Conflict),
            Some("remove the CNAME at the name, or configure the zone that it points to"),
        ),
        "incorrect_zone_mode" => {
            (Some(Kind::Invalid), Some("the zone is a secondary one: change it where its primary is"))
        }
        "resource_limit_exceeded" => {
            (Some(Kind::Invalid), Some("the project has as many of these as it may have"))
        }
        "invalid_input" => (Some(Kind::Invalid), None),
        "rate_limit_exceeded" => (Some(Kind::RateLimited), None),
        "server_error" | "bad_gateway" | "unavailable" | "timeout" | "maintenance" => {
            (Some(Kind::Unavailable), None)
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_kind_whatever_its_status() {
        use ProviderErrorKind as Kind;
        for (code, expected) in [
            ("unauthorized", Some(Kind::Auth)),
            ("token_readonly", Some(Kind::Permission)),
            ("forbidden", Some(Kind::Permission)),
            ("protected", Some(Kind::Permission)),
            ("not_found", Some(Kind::NotFound)),
            ("conflict", Some(Kind::Conflict)),
            ("locked", Some(Kind::Conflict)),
            ("invalid_input", Some(Kind::Invalid)),
            ("incorrect_zone_mode", Some(Kind::Invalid)),
            ("rate_limit_exceeded", Some(Kind::RateLimited)),
            ("maintenance", Some(Kind::Unavailable)),
            ("something_new", None),
        ] {
            assert_eq!(meaning(code, "").0, expected, "{code}");
        }
        assert_eq!(meaning("invalid_input", "a CNAME stands there").0, Some(Kind::Conflict));
    }

    #[test]
    fn the_fields_at_fault_are_told_on_one_line() {
        let text = r#"{"code":"invalid_input","message":"bad\n.","details":{"fields":[
            {"name":"records[0].value","messages":["too long"]}]}}"#;
        let complaint: Complaint = serde_json::from_str(text).unwrap();
        assert_eq!(complaint.text(), "bad (invalid_input); records[0].value: too long");
        let other: Complaint = serde_json::from_str(
            r#"{"code":"resource_limit_exceeded","message":"m","details":{"limits":[]}}"#,
        )
        .unwrap();
        assert_eq!(other.text(), "m (resource_limit_exceeded)");
        assert!(action_failed(None).is_retryable());
    }
}

//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The service counts requests by the hour: no wait for it is longer.
const LONGEST_WAIT: u64 = 3600;

/// The error body. A proxy before the service may send anything else.
#[derive(Deserialize)]
struct Body {
    id: String,
    #[serde(default)]
    message: String,
    request_id: Option<String>,
}

/// The error that `reply` stands for.
pub(crate) fn refused(reply: &Reply) -> ProviderError {
    let body = serde_json::from_slice::<Body>(reply.body()).ok();
    let (id, text) = body.as_ref().map_or(("", ""), |body| (&body.id, &body.message));
    let text = in_short(text);
    let (kind, hint) = meaning(reply.status(), id, &text);
    let kind = kind.unwrap_or_else(|| reply.error().kind());
    let mut error = match &body {
        Some(_) => {
            let text = text.trim_end_matches('.');
            reply.error_of(kind, &format!("the service answered {}: {text} ({id})", reply.status()))
        }
        None => reply.error(),
    };
    if let Some(number) = body.and_then(|body| body.request_id) {
        let number: String = number.chars().filter(char::is_ascii_graphic).take(64).collect();
        error = error.with_context("request id", number);
    }
    error = error.with_optional_hint(hint);
    let reset = reply.header("ratelimit-reset");
    match reset.filter(|_| kind == ProviderErrorKind::RateLimited && error.retry_after().is_none()) {
        Some(reset) => error.with_retry_after(until(reset, SystemTime::now())),
        None => error,
    }
}

/// What a status with the service's own code for it means; `None` where the status says it all.
fn meaning(status: u16, id: &str, text: &str) -> (Option<ProviderErrorKind>, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match (status, id) {
        (401, _) | (_, "unauthorized") => {
            (Some(Kind::Auth), Some("check that the token is whole, not revoked and not expired"))
        }
        (403, _) | (_, "forbidden") => (
            Some(Kind::Permission),
            Some("the token needs the custom scopes `domain:read` and `domain:update`"),
        ),
        (429, _) | (_, "too_many_requests") => (Some(Kind::RateLimited), None),
        (404, _) | (_, "not_found") => (
            Some(Kind::NotFound),
            Some(
                "the zone must be a domain of the team that the token belongs to: other teams' are not seen",
            ),
        ),
        (_, "unprocessable_entity") | (422, _) if text.contains("CNAME") => (
            Some(Kind::Conflict),
            Some("remove the CNAME at the name, or configure the zone that it points to"),
        ),
        _ => (None, None),
    }
}

/// How long until `reset`, in seconds since 1970. The hourly limit has no Retry-After.
fn until(reset: &str, now: SystemTime) -> Duration {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let reset: u64 = reset.trim().parse().unwrap_or_default();
    Duration::from_secs(reset.saturating_sub(now).clamp(1, LONGEST_WAIT))
}

/// A value that the service would not keep as it is.
pub(crate) fn backslash() -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, "the service does not keep values with a backslash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_that_the_service_gives_has_its_kind() {
        use ProviderErrorKind as Kind;
        for (status, id, text, expected) in [
            (401, "unauthorized", "Unable to authenticate you", Some(Kind::Auth)),
            (403, "forbidden", "You do not have permission to perform this action.", Some(Kind::Permission)),
            (404, "not_found", "The resource you requested could not be found.", Some(Kind::NotFound)),
            (422, "unprocessable_entity", "CNAME records cannot share a name", Some(Kind::Conflict)),
            (422, "unprocessable_entity", "TTL must be at least 30", None),
            (429, "too_many_requests", "API rate limit exceeded.", Some(Kind::RateLimited)),
            (500, "server_error", "Unexpected server-side error", None),
            (502, "", "", None),
        ] {
            assert_eq!(meaning(status, id, text).0, expected, "{status} {id}");
        }
    }

    #[test]
    fn what_a_reader_can_do_something_about_comes_with_a_hint() {
        for (status, text) in [(401, ""), (403, ""), (404, ""), (422, "a CNAME is there")] {
            assert!(meaning(status, "", text).1.is_some(), "{status}");
        }
    }

    #[test]
    fn a_reset_is_waited_for_at_most_an_hour_and_never_not_at_all() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (reset, seconds) in
            [("1000090", 90), ("999999", 1), ("99999999999999999999", 1), ("9999999999", 3600), ("soon", 1)]
        {
            assert_eq!(until(reset, now).as_secs(), seconds, "{reset}");
        }
    }
}

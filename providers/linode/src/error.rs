//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind, ZoneName};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    errors: Vec<Complaint>,
}

/// One thing that the service says is wrong.
#[derive(Debug, Deserialize)]
struct Complaint {
    #[serde(default)]
    reason: String,
    /// Only where a field of the request is at fault.
    field: Option<String>,
}

/// The error that `reply` stands for.
pub(crate) fn refused(reply: &Reply) -> ProviderError {
    // The proxy before the service answers in HTML; then the status is all there is.
    let words = serde_json::from_slice::<Body>(reply.body()).map(|body| words(&body.errors));
    let words = words.unwrap_or_default();
    // A known token has its scopes told, also where they are too few.
    let known = reply.header("x-oauth-scopes").is_some_and(|scopes| !scopes.is_empty());
    let (kind, hint) = meaning(reply.status(), &words, known);
    let mut error = if words.is_empty() {
        reply.error()
    } else {
        reply.error_of(kind, &format!("the service answered {}: {words}", reply.status()))
    };
    if reply.header("x-maintenance-mode").is_some() {
        error = error.with_context("maintenance", "announced by the service");
    }
    error.with_optional_hint(hint)
}

fn meaning(status: u16, words: &str, known_token: bool) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    let words = words.to_ascii_lowercase();
    let scope = "the token needs the scope `domains:read_write`";
    match status {
        400 if words.contains("cname") => {
            (Kind::Conflict, Some("remove the CNAME at the name, or configure the zone that it points to"))
        }
        400 if words.contains("busy") => (Kind::Unavailable, None),
        401 if known_token || words.contains("not authorized to use this endpoint") => {
            (Kind::Permission, Some(scope))
        }
        401 => (Kind::Auth, Some("check that the token is whole, not expired and not revoked")),
        403 => (
            Kind::Permission,
            Some(
                "the token needs the scope `domains:read_write`, and its user the right to edit this domain",
            ),
        ),
        404 => (
            Kind::NotFound,
            Some(
                "a configured id must be the domain's number; the token's user may also not be allowed to see it",
            ),
        ),
        408 | 500..=599 => (Kind::Unavailable, None),
        429 => (Kind::RateLimited, None),
        _ => (Kind::Invalid, None),
    }
}

fn words(complaints: &[Complaint]) -> String {
    let one = |complaint: &Complaint| {
        let text = complaint.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.trim_end_matches('.').to_owned();
        match &complaint.field {
            Some(field) => format!("{field}: {text}"),
            None => text,
        }
    };
    let all = complaints.iter().map(one).collect::<Vec<_>>().join("; ");
    in_short(&all)
}

/// The token sees no such domain.
pub(crate) fn unseen(zone: &ZoneName) -> ProviderError {
    ProviderError::new(ProviderErrorKind::NotFound, format!("the token sees no domain `{zone}`")).with_hint(
        "`zones` must name the domain as the DNS Manager lists it, and the token's user must see it",
    )
}

/// The domain's content comes from elsewhere.
pub(crate) fn secondary(zone: &ZoneName) -> ProviderError {
    let message = format!("`{zone}` is a secondary domain at Linode: its records come from its primary");
    ProviderError::new(ProviderErrorKind::Invalid, message)
        .with_hint("configure the provider that holds the zone's primary")
}

/// The domain is there and not served.
pub(crate) fn not_served(zone: &ZoneName, status: &str) -> ProviderError {
    let message = format!("`{zone}` is not served by Linode: its status is `{status}`");
    ProviderError::new(ProviderErrorKind::Invalid, message)
        .with_hint("make the domain active in the DNS Manager")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_that_the_service_gives_has_its_meaning() {
        use ProviderErrorKind as Kind;
        for (status, text, known, kind) in [
            (400, "target: is too long", true, Kind::Invalid),
            (400, "name: conflicts with a CNAME", true, Kind::Conflict),
            (400, "Linode busy", true, Kind::Unavailable),
            (401, "Invalid Token", false, Kind::Auth),
            (401, "Your OAuth token is not authorized to use this endpoint", false, Kind::Permission),
            (401, "no", true, Kind::Permission),
            (403, "Unauthorized", true, Kind::Permission),
            (404, "Not found", true, Kind::NotFound),
            (408, "", false, Kind::Unavailable),
            (429, "Too many requests", true, Kind::RateLimited),
            (503, "maintenance", false, Kind::Unavailable),
        ] {
            let (found, hint) = meaning(status, text, known);
            assert_eq!(found, kind, "{status} {text}");
            let actionable = matches!(kind, Kind::Auth | Kind::Permission | Kind::NotFound | Kind::Conflict);
            assert_eq!(hint.is_some(), actionable, "{status} {text}");
        }
    }

    #[test]
    fn reasons_are_told_with_their_fields() {
        let complaint = |reason: &str, field: Option<&str>| Complaint {
            reason: reason.to_owned(),
            field: field.map(str::to_owned),
        };
        let both = [complaint("must be  valid.", Some("ttl_sec")), complaint("Unauthorized", None)];
        assert_eq!(words(&both), "ttl_sec: must be valid; Unauthorized");
        assert_eq!(words(&[]), "");
    }
}

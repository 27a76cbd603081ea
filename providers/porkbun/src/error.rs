//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;
use std::time::Duration;

/// The longest wait that is believed.
const LONGEST_WAIT: u64 = 24 * 3600;

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) refusal: Refusal,
    pub(crate) error: ProviderError,
}

/// What a caller can go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A record was not created, for whatever reason: it may be there already.
    NotCreated,
    /// There is no record with this id.
    NoSuchRecord,
    /// The key may not do this with this domain.
    NotAllowed,
    /// Everything else.
    Other,
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self { refusal: Refusal::Other, error }
    }
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The part of every answer that says how it went.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    status: String,
    code: String,
    message: String,
    next_action: NextAction,
    #[serde(rename = "ttlRemaining")]
    wait: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NextAction {
    #[serde(rename = "type")]
    kind: String,
}

/// What `reply` is refused with; `None` if it is none. `status` decides: 200 with `ERROR` has
/// been seen.
pub(crate) fn refused(reply: &Reply) -> Option<Failure> {
    let body = match serde_json::from_slice::<Body>(reply.body()) {
        Ok(body) => body,
        // The proxy before the service answers in HTML, and 503 when it has seen too much.
        Err(_) if reply.status() == 503 => {
            let message = "the service answered 503, which is how it says that there were too many requests";
            return Some(reply.error_of(ProviderErrorKind::RateLimited, message).into());
        }
        Err(_) if reply.is_success() => return None,
        Err(_) => return Some(reply.error().into()),
    };
    // Without a status it is of another form, as reading it will tell.
    if reply.is_success() && ["SUCCESS", ""].contains(&body.status.as_str()) {
        return None;
    }
    let meaning = meaning(reply.status(), &body);
    let words = words(&body);
    let message = format!("the service answered {}: {words}", reply.status());
    let mut error = reply.error_of(meaning.kind, &message).with_optional_hint(meaning.hint);
    if let Some(wait) = body.wait.filter(|_| meaning.kind == ProviderErrorKind::RateLimited) {
        error = error.with_retry_after(Duration::from_secs(wait.min(LONGEST_WAIT)));
    }
    Some(Failure { refusal: meaning.refusal, error })
}

struct Meaning {
    kind: ProviderErrorKind,
    refusal: Refusal,
    hint: Option<&'static str>,
}

/// By code, then by the words of older answers, then by what the service says to do, then by
/// status.
fn meaning(status: u16, body: &Body) -> Meaning {
    use ProviderErrorKind as Kind;
    let of = |kind, refusal, hint| Meaning { kind, refusal, hint };
    let message = body.message.to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    if body.code.starts_with("INVALID_API_KEY")
        || body.code.starts_with("MISSING_")
        || says("invalid api key")
    {
        return of(Kind::Auth, Refusal::Other, Some("check that both keys are whole and of one pair"));
    }
    if says("not opted in") {
        let hint = "switch API access on for the domain (Domain Management, Details)";
        return of(Kind::Permission, Refusal::NotAllowed, Some(hint));
    }
    if body.code == "INVALID_DOMAIN" || says("invalid domain") {
        let hint =
            "`zones` must name the registered domain, not one below it, and the key must be allowed for it";
        return of(Kind::NotFound, Refusal::NotAllowed, Some(hint));
    }
    if body.code == "RATE_LIMIT_EXCEEDED" || status == 429 {
        return of(Kind::RateLimited, Refusal::Other, None);
    }
    if says("create error") {
        let hint = "Porkbun does not say why: look for a CNAME at the name";
        return of(Kind::Conflict, Refusal::NotCreated, Some(hint));
    }
    if says("invalid record id") {
        return of(Kind::NotFound, Refusal::NoSuchRecord, None);
    }
    let narrow = "the key's allowed domains must have the zone, and its allowed addresses this machine";
    match (body.next_action.kind.as_str(), status) {
        ("authenticate", _) | (_, 401) => of(Kind::Auth, Refusal::Other, Some("check both keys")),
        ("enable_setting" | "verify_account", _) | (_, 403) => {
            of(Kind::Permission, Refusal::NotAllowed, Some(narrow))
        }
        ("wait_and_retry", _) => of(Kind::RateLimited, Refusal::Other, None),
        ("retry", _) | (_, 500..=599) => of(Kind::Unavailable, Refusal::Other, None),
        (_, 404) => of(Kind::NotFound, Refusal::NoSuchRecord, None),
        _ if says("not allowed") || says("permission") => {
            of(Kind::Permission, Refusal::NotAllowed, Some(narrow))
        }
        _ => of(Kind::Invalid, Refusal::Other, None),
    }
}

fn words(body: &Body) -> String {
    let text = body.message.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches('.');
    let text = match (text.is_empty(), body.code.is_empty()) {
        (true, true) => "no reason".to_owned(),
        (true, false) => body.code.clone(),
        (false, true) => text.to_owned(),
        (false, false) => format!("{text} ({})", body.code),
    };
    in_short(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: &str, message: &str, next: &str) -> Body {
        Body {
            status: "ERROR".to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            next_action: NextAction { kind: next.to_owned() },
            wait: None,
        }
    }

    #[test]
    fn each_answer_that_the_service_gives_has_its_meaning() {
        use ProviderErrorKind as Kind;
        for (status, code, message, next, kind, refusal) in [
            (400, "INVALID_API_KEYS_001", "Invalid API key.", "authenticate", Kind::Auth, Refusal::Other),
            (400, "", "Invalid API key. (002)", "", Kind::Auth, Refusal::Other),
            (400, "MISSING_SECRETAPIKEY", "", "", Kind::Auth, Refusal::Other),
            (400, "", "Domain is not opted in to API access.", "", Kind::Permission, Refusal::NotAllowed),
            (403, "", "no", "", Kind::Permission, Refusal::NotAllowed),
            (400, "", "This key is not allowed for the domain", "", Kind::Permission, Refusal::NotAllowed),
            (400, "INVALID_DOMAIN", "Invalid domain.", "fix_request", Kind::NotFound, Refusal::NotAllowed),
            (
                400,
                "",
                "Create error: We were unable to create the DNS record.",
                "",
                Kind::Conflict,
                Refusal::NotCreated,
            ),
            (400, "", "Invalid record ID.", "", Kind::NotFound, Refusal::NoSuchRecord),
            (429, "RATE_LIMIT_EXCEEDED", "", "", Kind::RateLimited, Refusal::Other),
            (400, "", "later", "wait_and_retry", Kind::RateLimited, Refusal::Other),
            (500, "", "", "", Kind::Unavailable, Refusal::Other),
            (400, "", "what?", "", Kind::Invalid, Refusal::Other),
        ] {
            let meaning = meaning(status, &body(code, message, next));
            assert_eq!((meaning.kind, meaning.refusal), (kind, refusal), "{status} {code} {message}");
            if matches!(kind, Kind::Auth | Kind::Permission | Kind::Conflict) {
                assert!(meaning.hint.is_some(), "{status} {code} {message}");
            }
        }
    }

    #[test]
    fn a_reason_is_one_line_with_its_code() {
        assert_eq!(
            words(&body("INVALID_DOMAIN", "Invalid\n domain.", "")),
            "Invalid domain (INVALID_DOMAIN)"
        );
        assert_eq!(words(&body("", "", "")), "no reason");
        assert_eq!(words(&body("X", "", "")), "X");
    }
}

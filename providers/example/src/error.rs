//! The service's codes, and the one place where they become a [`ProviderError`].

use dns01_provider::http::Reply;
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for is so already.
    Done,
    /// Everything else.
    Other(ProviderError),
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

/// What a refusal means.
pub(crate) fn failure(reply: &Reply) -> Failure {
    use ProviderErrorKind as Kind;
    // A page of a proxy, for instance: its status says what there is to know.
    let Ok(Refusal { code, message }) = reply.json() else { return Failure::Other(reply.error()) };
    let (kind, hint) = match code.as_str() {
        "record_exists" | "no_such_record" => return Failure::Done,
        "bad_token" => (Kind::Auth, Some("the service does not know the token: make a new one")),
        "forbidden" => (Kind::Permission, Some("the token is for another zone")),
        "no_such_zone" => (Kind::NotFound, Some("`zones` must name the zone as the service has it")),
        "cname_exists" => (Kind::Conflict, Some("remove the CNAME at the name, or let it lead elsewhere")),
        "slow_down" => (Kind::RateLimited, None),
        _ => return Failure::Other(reply.error()),
    };
    let error = reply.error_of(kind, &format!("the service says `{code}`: {message}"));
    Failure::Other(error.with_optional_hint(hint))
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Other(error) => error,
            Failure::Done => {
                Self::new(ProviderErrorKind::Conflict, "another program writes the same records")
            }
        }
    }
}

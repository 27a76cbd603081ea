//! The service's codes, and the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, TokenRefusal, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The record is not there (the zone is).
    Gone(ProviderError),
    /// The proof is not accepted; a fresh token or another look at the clock may help.
    Unproven(ProviderError),
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
            Failure::Gone(error) | Failure::Unproven(error) | Failure::Other(error) => error,
        }
    }
}

/// Both forms of an error body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    message: String,
    error_code: Option<String>,
    class: Option<String>,
    #[serde(default)]
    details: Map<String, Value>,
}

/// What a refusal means. Everything that the API says passes here.
pub(crate) fn failure(reply: &Reply) -> Failure {
    // The edge of the service answers in HTML; then the status is all there is.
    let Ok(said) = serde_json::from_slice::<Said>(reply.body()) else {
        return Failure::Other(with_query_id(reply, reply.error()));
    };
    let code = said.error_code.or(said.class).unwrap_or_default();
    let (kind, hint) = meaning(reply.status(), &code, &said.message);
    let mut message = format!("the service answered {}: {}", reply.status(), in_short(&said.message));
    if !code.is_empty() {
        message += &format!(" ({})", in_short(&code));
    }
    let missing = ["unauthorizedActionsByIAM", "unauthorizedActionsByAuthentication"];
    let missing =
        missing.iter().filter_map(|key| said.details.get(*key)?.as_str()).find(|text| !text.is_empty());
    if let Some(missing) = missing {
        message += &format!("; missing: {}", in_short(missing));
    }
    let error = with_query_id(reply, reply.error_of(kind, &message)).with_optional_hint(hint);
    match (reply.status(), code.as_str()) {
        (404, _) if said.message.contains("requested object") => Failure::Gone(error),
        (401, _) | (400, "INVALID_SIGNATURE") => Failure::Unproven(error),
        _ => Failure::Other(error),
    }
}

fn with_query_id(reply: &Reply, error: ProviderError) -> ProviderError {
    match reply.header("x-ovh-queryid") {
        Some(id) => error.with_context("X-OVH-QueryID", in_short(id)),
        None => error,
    }
}

fn meaning(status: u16, code: &str, message: &str) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match (status, code) {
        (400, "INVALID_SIGNATURE") => (
            Kind::Auth,
            Some(
                "check `application_secret` and that all three keys belong together; some rights that lack are told so too",
            ),
        ),
        (403, "INVALID_KEY") => {
            (Kind::Auth, Some("the endpoint does not know `application_key`: each region has its own"))
        }
        (403, "INVALID_CREDENTIAL" | "NOT_CREDENTIAL") => (
            Kind::Auth,
            Some("`consumer_key` has expired or was never validated: open the address that came with it"),
        ),
        (401, _) => (Kind::Auth, Some("the token is not accepted: make a new one")),
        (403, "NOT_GRANTED_CALL") => (
            Kind::Permission,
            Some("make a consumer key with a rule for this method and path (`dns01 scope recipe` shows how)"),
        ),
        (403, _) => (
            Kind::Permission,
            Some(
                "let the service account's policy allow the action on the zone (`dns01 scope recipe` shows how)",
            ),
        ),
        (404, _) => (Kind::NotFound, Some("the account has no zone of this name; check `endpoint` too")),
        (460, _) => (Kind::Permission, Some("the service has expired: renew the domain")),
        (400 | 409, _) if message.contains("CNAME") => {
            (Kind::Conflict, Some("remove the CNAME at the name, or configure the zone that it points to"))
        }
        (409, _) => (Kind::Conflict, None),
        (429, _) => (Kind::RateLimited, None),
        (408 | 500..=599, _) => (Kind::Unavailable, None),
        _ => (Kind::Invalid, None),
    }
}

/// The token address's refusal.
pub(crate) fn no_token(reply: &Reply) -> ProviderError {
    let refusal = TokenRefusal::of(reply).map(|refusal| refusal.error(reply, "the service account"));
    match refusal.filter(|error| error.kind() == ProviderErrorKind::Auth) {
        Some(error) => error
            .with_hint("check `client_id` and `client_secret`, and that they are of this endpoint's region"),
        None => reply.error(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_kind_and_what_can_be_acted_on_a_hint() {
        use ProviderErrorKind as Kind;
        for (status, code, message, kind, hinted) in [
            (400, "INVALID_SIGNATURE", "", Kind::Auth, true),
            (403, "INVALID_KEY", "", Kind::Auth, true),
            (403, "INVALID_CREDENTIAL", "", Kind::Auth, true),
            (403, "NOT_CREDENTIAL", "", Kind::Auth, true),
            (401, "", "", Kind::Auth, true),
            (403, "NOT_GRANTED_CALL", "", Kind::Permission, true),
            (403, "Client::Forbidden", "", Kind::Permission, true),
            (404, "Client::NotFound", "", Kind::NotFound, true),
            (460, "", "", Kind::Permission, true),
            (400, "Client::BadRequest", "a CNAME exists", Kind::Conflict, true),
            (400, "Client::BadRequest", "", Kind::Invalid, false),
            (409, "", "", Kind::Conflict, false),
            (429, "", "", Kind::RateLimited, false),
            (408, "", "", Kind::Unavailable, false),
        ] {
            let (found, hint) = meaning(status, code, message);
            assert_eq!((found, hint.is_some()), (kind, hinted), "{status} {code}");
        }
    }
}

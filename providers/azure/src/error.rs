//! The service's codes, and the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, TokenRefusal, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The record set is not there (the zone is).
    Absent(ProviderError),
    /// The record set changed since it was read.
    Stale(ProviderError),
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
            Failure::Absent(error) | Failure::Stale(error) | Failure::Other(error) => error,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Wrapped { error: Said },
    // Older parts of the service.
    Bare(Said),
}

#[derive(Deserialize)]
struct Said {
    code: String,
    #[serde(default)]
    message: String,
}

/// What a refusal means. Everything that the resource manager says passes here.
pub(crate) fn failure(reply: &Reply) -> Failure {
    // The edge of the service answers in HTML; then the status is all there is.
    let Ok(Body::Wrapped { error: said } | Body::Bare(said)) = serde_json::from_slice(reply.body()) else {
        return Failure::Other(with_request_id(reply, reply.error()));
    };
    let (kind, hint) = meaning(reply.status(), &said.code, &said.message);
    let message =
        format!("the service answered {}: {} ({})", reply.status(), in_short(&said.message), said.code);
    let error = with_request_id(reply, reply.error_of(kind, &message)).with_optional_hint(hint);
    match (reply.status(), said.code.as_str()) {
        (404, "NotFound") => Failure::Absent(error),
        (412, _) => Failure::Stale(error),
        // Some parts of the service say so of a stale ETag.
        (409, "Conflict") if !said.message.contains("CNAME") => Failure::Stale(error),
        _ => Failure::Other(error),
    }
}

fn with_request_id(reply: &Reply, error: ProviderError) -> ProviderError {
    match reply.header("x-ms-request-id") {
        Some(id) => error.with_context("x-ms-request-id", in_short(id)),
        None => error,
    }
}

fn meaning(status: u16, code: &str, message: &str) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match (status, code) {
        (401, _) => (Kind::Auth, Some("the token is not accepted: check the tenant and the application")),
        (429, _) => (Kind::RateLimited, None),
        (403, "AuthorizationFailed" | "LinkedAuthorizationFailed") => (
            Kind::Permission,
            Some(
                "give the identity a role on the zone or on the record set (`dns01 scope recipe` shows the commands); \
                 it takes minutes to hold, and ends when the record set is deleted",
            ),
        ),
        (403, _) => (Kind::Permission, None),
        (404, "NotFound") => (Kind::NotFound, None),
        (404, _) => {
            (Kind::NotFound, Some("check `subscription_id`, `resource_group` and the zone's resource id"))
        }
        (409, "ScopeLocked") => {
            (Kind::Permission, Some("remove the lock from the zone or its resource group"))
        }
        (400 | 409, _) if message.contains("CNAME") => {
            (Kind::Conflict, Some("remove the CNAME at the name, or configure the zone that it points to"))
        }
        (409 | 412, _) => (Kind::Conflict, None),
        (408 | 500..=599, _) => (Kind::Unavailable, None),
        _ => (Kind::Invalid, None),
    }
}

/// The login host's refusal.
pub(crate) fn no_token(reply: &Reply) -> ProviderError {
    let Some(refusal) = TokenRefusal::of(reply) else { return reply.error() };
    let error = refusal.error(reply, "the application");
    let hint = match login_code(&refusal.description) {
        Some("AADSTS7000222") => "the client secret has expired: make a new one",
        Some("AADSTS7000215") => "`client_secret` must be the secret's value, not its id",
        Some("AADSTS90002" | "AADSTS900023") => "check `tenant_id`",
        Some("AADSTS700016") => "check `client_id` and `tenant_id`: the tenant has no such application",
        Some("AADSTS70021" | "AADSTS700213" | "AADSTS700211") => {
            "add a federated credential to the application for the issuer and subject of the token"
        }
        _ => "check the tenant, the application and its credential",
    };
    if error.kind() == ProviderErrorKind::Auth { error.with_hint(hint) } else { error }
}

/// The login host's own number for what is wrong, at the beginning of its words.
fn login_code(description: &str) -> Option<&str> {
    description.split(':').next().filter(|code| code.starts_with("AADSTS"))
}

/// Nothing answers: this is no machine of the service, most likely.
pub(crate) fn no_machine(error: ProviderError) -> ProviderError {
    error.with_hint("without a secret the machine must be one of Azure's, with a managed identity")
}

/// The metadata server's refusal; it answers 404 also while it is being renewed.
pub(crate) fn machine_refused(reply: &Reply) -> ProviderError {
    let status = reply.status();
    match status {
        400 | 401 | 403 => {
            let message = format!("the machine's identity server answered {status}: {}", excerpt(reply));
            reply
                .error_of(ProviderErrorKind::Auth, &message)
                .with_hint("give the machine an identity; of several, `client_id` chooses one")
        }
        404 | 410 => {
            let message = format!("the machine's identity server answered {status}");
            reply.error_of(ProviderErrorKind::Unavailable, &message)
        }
        _ => reply.error(),
    }
}

fn excerpt(reply: &Reply) -> String {
    in_short(&String::from_utf8_lossy(reply.body()))
}

pub(crate) fn not_a_zone(id: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::NotFound, format!("`{id}` is not the resource id of this zone"))
        .with_hint(
            "it is written `/subscriptions/…/resourceGroups/…/providers/Microsoft.Network/dnsZones/…`; \
             `az network dns zone show` prints it",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_kind_and_what_can_be_acted_on_a_hint() {
        use ProviderErrorKind as Kind;
        for (status, code, message, kind, hinted) in [
            (401, "InvalidAuthenticationToken", "", Kind::Auth, true),
            (403, "AuthorizationFailed", "", Kind::Permission, true),
            (404, "NotFound", "", Kind::NotFound, false),
            (404, "ResourceGroupNotFound", "", Kind::NotFound, true),
            (409, "ScopeLocked", "", Kind::Permission, true),
            (409, "Conflict", "a CNAME record exists", Kind::Conflict, true),
            (400, "BadRequest", "a CNAME record exists", Kind::Conflict, true),
            (412, "PreconditionFailed", "", Kind::Conflict, false),
            (400, "BadRequest", "", Kind::Invalid, false),
            (429, "Throttled", "", Kind::RateLimited, false),
            (500, "InternalServerError", "", Kind::Unavailable, false),
        ] {
            let (found, hint) = meaning(status, code, message);
            assert_eq!((found, hint.is_some()), (kind, hinted), "{status} {code}");
        }
    }

    #[test]
    fn the_login_hosts_number_is_found_in_its_words() {
        assert_eq!(login_code("AADSTS7000215: Invalid client secret."), Some("AADSTS7000215"));
        assert_eq!(login_code("something else"), None);
    }
}

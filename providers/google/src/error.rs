//! The service's reasons, and the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, TokenRefusal, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind, SecretRef};
use serde::Deserialize;
use std::error::Error;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What stands in the zone is not what the change was made from.
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
            Failure::Stale(error) | Failure::Other(error) => error,
        }
    }
}

#[derive(Deserialize)]
struct Body {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

/// What a refusal means. Everything that the API says passes here.
pub(crate) fn failure(reply: &Reply) -> Failure {
    // The edge of the service answers in HTML; then the status is all there is.
    let Ok(Body { error: said }) = serde_json::from_slice(reply.body()) else {
        return Failure::Other(reply.error());
    };
    let reason = said.errors.first().map_or("", |first| first.reason.as_str());
    let (kind, hint) = meaning(reply.status(), reason, &said.message);
    let words = in_short(&said.message);
    let message = if reason.is_empty() {
        format!("the service answered {}: {words}", reply.status())
    } else {
        format!("the service answered {}: {words} ({reason})", reply.status())
    };
    let error = reply.error_of(kind, &message).with_optional_hint(hint);
    if is_stale(reply.status(), &said.message) { Failure::Stale(error) } else { Failure::Other(error) }
}

/// Another writer changed a record set between the look at it and the change: the set that was
/// to go is gone (404) or another (412), or one is there already (409).
fn is_stale(status: u16, message: &str) -> bool {
    match status {
        404 => message.contains("entity.change.deletions"),
        409 => message.contains("entity.change.additions"),
        412 => true,
        _ => false,
    }
}

fn meaning(status: u16, reason: &str, message: &str) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match (status, reason) {
        (401, _) => {
            (Kind::Auth, Some("the token is not accepted: check that the service account is enabled"))
        }
        (429, _) | (403, "rateLimitExceeded" | "userRateLimitExceeded") => (Kind::RateLimited, None),
        (403, "quotaExceeded") => (
            Kind::Invalid,
            Some("the change or the zone is larger than the project's quotas for Cloud DNS allow"),
        ),
        (403, "accessNotConfigured" | "SERVICE_DISABLED") => {
            (Kind::Permission, Some("enable the API: `gcloud services enable dns.googleapis.com`"))
        }
        (403, _) => (
            Kind::Permission,
            Some(
                "let the service account change the zone's record sets, and check the condition of its role; a new \
                 role takes minutes to hold (`dns01 scope recipe` shows the commands)",
            ),
        ),
        (404, _) if message.contains("managedZone") => {
            (Kind::NotFound, Some("a zone's id is its own name (or number) in the project, not its DNS name"))
        }
        (404, _) => (Kind::NotFound, Some("check `project` and the zone's id")),
        (409 | 412, _) => (Kind::Conflict, None),
        (400, "cnameResourceRecordSetConflict") => {
            (Kind::Conflict, Some("remove the CNAME at the name, or configure the zone that it points to"))
        }
        (408 | 500..=599, _) => (Kind::Unavailable, None),
        _ => (Kind::Invalid, None),
    }
}

/// The token address's refusal.
pub(crate) fn no_token(reply: &Reply) -> ProviderError {
    let refusal = TokenRefusal::of(reply).map(|refusal| refusal.error(reply, "the service account"));
    let error = refusal.unwrap_or_else(|| reply.error());
    if error.kind() == ProviderErrorKind::Auth {
        error.with_hint("the key was deleted, its account is disabled, or this machine's clock is wrong")
    } else {
        error
    }
}

fn auth(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Auth, message)
}

pub(crate) fn not_a_key(place: &SecretRef) -> ProviderError {
    auth(format!("{place} holds no key of a service account"))
        .with_hint("make one: `gcloud iam service-accounts keys create FILE --iam-account …`")
}

pub(crate) fn other_kind(place: &SecretRef, kind: &str) -> ProviderError {
    auth(format!("{place} holds a credential of the kind `{}`, which is not taken", in_short(kind))).with_hint(
        "give a service account's key, leave it out on a machine with an identity of its own, or let another \
         program make tokens: `access_token = { exec = [\"gcloud\", \"auth\", \"print-access-token\"] }`",
    )
}

pub(crate) fn no_address(error: impl Error + Send + Sync + 'static) -> ProviderError {
    auth("`token_uri` in the key is no address").with_source(error)
}

pub(crate) fn unusable_key() -> ProviderError {
    auth("the service account's private key cannot be used")
        .with_hint("the file must be whole and as Google made it: look for lost line breaks (`\\n`)")
}

pub(crate) fn no_project() -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, "the credential does not tell its project")
        .with_hint("set `project` to the id of the project that has the zones")
}

/// Nothing answers: this is no machine of the service, most likely.
pub(crate) fn no_metadata(error: ProviderError) -> ProviderError {
    error.with_hint("without `service_account` the machine must be one of Google's, with an identity")
}

pub(crate) fn metadata_refused(reply: &Reply) -> ProviderError {
    let error = reply.error();
    match reply.status() {
        400 | 403 | 404 => {
            let message =
                format!("the metadata server answered {}: the machine has no identity", reply.status());
            reply
                .error_of(ProviderErrorKind::Auth, &message)
                .with_hint("attach a service account to the machine, with the scope for Cloud DNS")
        }
        _ => error,
    }
}

pub(crate) fn not_metadata(reply: &Reply) -> ProviderError {
    reply
        .error_of(ProviderErrorKind::Auth, "what answers is no metadata server")
        .with_hint("check `metadata_host`, and whether a proxy stands between")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_kind_and_what_can_be_acted_on_a_hint() {
        use ProviderErrorKind as Kind;
        let zone = "The 'parameters.managedZone' resource named 'z' does not exist";
        for (status, reason, message, kind, hinted) in [
            (401, "authError", "", Kind::Auth, true),
            (403, "forbidden", "Forbidden", Kind::Permission, true),
            (403, "accessNotConfigured", "", Kind::Permission, true),
            (403, "rateLimitExceeded", "", Kind::RateLimited, false),
            (403, "quotaExceeded", "additions per change", Kind::Invalid, true),
            (404, "notFound", zone, Kind::NotFound, true),
            (409, "alreadyExists", "", Kind::Conflict, false),
            (412, "conditionNotMet", "", Kind::Conflict, false),
            (400, "cnameResourceRecordSetConflict", "", Kind::Conflict, true),
            (400, "invalid", "", Kind::Invalid, false),
            (429, "rateLimitExceeded", "", Kind::RateLimited, false),
            (503, "backendError", "", Kind::Unavailable, false),
        ] {
            let (found, hint) = meaning(status, reason, message);
            assert_eq!((found, hint.is_some()), (kind, hinted), "{status} {reason}");
        }
    }

    #[test]
    fn only_a_record_set_that_changed_meanwhile_is_stale() {
        let absent = "The 'entity.change.deletions[0]' resource named 'n. (TXT)' does not exist.";
        let exists = "The 'entity.change.additions[0]' resource named 'n. (TXT)' already exists.";
        assert!(is_stale(404, absent) && is_stale(409, exists) && is_stale(412, "Precondition not met"));
        assert!(!is_stale(404, "The 'parameters.managedZone' resource named 'z' does not exist"));
        assert!(!is_stale(400, "Invalid value for 'entity.change.additions[0].name'"));
    }
}

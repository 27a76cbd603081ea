//! The service's codes, and the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A record that was to be added is there already.
    Present(ProviderError),
    /// A record that was to be removed is gone already.
    Gone(ProviderError),
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
            Failure::Present(error) | Failure::Gone(error) | Failure::Other(error) => error,
        }
    }
}

/// One entry of `errors`, and the causes below it.
#[derive(Debug, Deserialize)]
pub(crate) struct Complaint {
    code: u32,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error_chain: Vec<Complaint>,
}

/// What a refusal means. Everything the service says passes here.
pub(crate) fn failure(reply: &Reply, complaints: &[Complaint]) -> Failure {
    use ProviderErrorKind as Kind;
    let said = all(complaints);
    let Some((code, (kind, hint))) = said.iter().find_map(|one| Some((one.code, meaning(one.code)?))) else {
        return Failure::Other(if said.is_empty() {
            reply.error()
        } else {
            in_its_words(reply, None, &said)
        });
    };
    let error = in_its_words(reply, Some(kind), &said).with_optional_hint(hint);
    match code {
        // Another writer changed the zone between the look at it and the change.
        81_057 | 81_058 => Failure::Present(error),
        81_044 => Failure::Gone(error),
        // A limit that came without Retry-After is still one; the caller then chooses the pause.
        _ => Failure::Other(error.with_retryable(matches!(kind, Kind::RateLimited | Kind::Unavailable))),
    }
}

/// The codes that somebody can act on.
fn meaning(code: u32) -> Option<(ProviderErrorKind, Option<&'static str>)> {
    use ProviderErrorKind as Kind;
    Some(match code {
        6_003 | 6_103 | 6_111 => {
            (Kind::Auth, Some("the token is malformed: look for a missing end, blanks or line breaks"))
        }
        9_103 => (Kind::Auth, Some("check the global key and its address, or use an API token instead")),
        1_000 | 9_106 | 9_109 => (Kind::Auth, Some("check that the token is whole, active and not expired")),
        1_009 | 10_000 => (
            Kind::Permission,
            Some(
                "the token needs the permission `Zone / DNS / Edit` for this zone; check a configured zone id too",
            ),
        ),
        7_000 | 7_003 => {
            (Kind::NotFound, Some("a zone id is the 32 hexadecimal digits on the zone's overview page"))
        }
        81_053 | 81_054 => {
            (Kind::Conflict, Some("remove the CNAME at the name, or configure the zone that it points to"))
        }
        81_057 | 81_058 | 81_044 => (Kind::Conflict, None),
        81_045 => (Kind::Invalid, Some("the zone has as many records as its plan allows")),
        971 | 10_429 => (Kind::RateLimited, None),
        _ => return None,
    })
}

/// All complaints, each followed by its causes.
fn all(complaints: &[Complaint]) -> Vec<&Complaint> {
    complaints.iter().flat_map(|one| std::iter::once(one).chain(all(&one.error_chain))).collect()
}

/// The service's own words; without a kind that of the status.
fn in_its_words(reply: &Reply, kind: Option<ProviderErrorKind>, said: &[&Complaint]) -> ProviderError {
    let one = |complaint: &&Complaint| format!("{} ({})", in_short(&complaint.message), complaint.code);
    let short = in_short(&said.iter().map(one).collect::<Vec<_>>().join("; "));
    let kind = kind.unwrap_or_else(|| reply.error().kind());
    reply.error_of(kind, &format!("the service answered {}: {short}", reply.status()))
}

//! What can go wrong, and the one place where it becomes a [`ProviderError`].

use crate::config::Config;
use dns01_provider::process::ProcessError;
use dns01_provider::{ProviderError, ProviderErrorKind};
use std::process::ExitStatus;

/// Why lexicon did not do its work. Secrets are taken out of everything it said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("lexicon failed ({status}): {complaint}")]
    Exit { status: ExitStatus, complaint: String },
    #[error("lexicon's answer is not what is documented: {complaint}")]
    Answer { complaint: String },
    #[error("lexicon says that it was not done, and not why")]
    NotDone,
    #[error("lexicon is given the values of dns-01 challenges only: 43 characters of base64url")]
    NotAChallenge,
}

impl RunError {
    /// The error as callers of the contract see it.
    pub(crate) fn into_provider_error(self, config: &Config, zone: &str) -> ProviderError {
        let (kind, hint) = self.meaning();
        let error = ProviderError::new(kind, self.to_string())
            .with_context("service", &config.service)
            .with_context("zone", zone)
            .with_optional_hint(hint);
        match self {
            Self::Process(failed) => failed.into_source_of(error),
            _ => error,
        }
    }

    fn meaning(&self) -> (ProviderErrorKind, Option<&'static str>) {
        match self {
            Self::Process(ProcessError::Start(_)) => (
                ProviderErrorKind::Invalid,
                Some("install it (`pip install dns-lexicon`), or say in `command` where it is"),
            ),
            Self::Process(ProcessError::Timeout(_)) => {
                (ProviderErrorKind::Unavailable, Some("raise `timeout`"))
            }
            Self::Process(error) => (error.kind(), None),
            Self::Exit { complaint, .. } => traceback(complaint),
            Self::Answer { .. } => (ProviderErrorKind::Invalid, None),
            Self::NotDone => (ProviderErrorKind::Unavailable, None),
            Self::NotAChallenge => {
                (ProviderErrorKind::Invalid, Some("use another provider for dns-persist-01"))
            }
        }
    }
}

/// Whatever goes wrong, lexicon ends with a traceback, whose last line names the exception: of
/// its own, of the HTTP library, or of a provider.
fn traceback(complaint: &str) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    const CREDENTIAL: Option<&str> = Some("check `options` against `lexicon SERVICE --help`");
    const RESOLVER: Option<&str> =
        Some("lexicon asks this machine's resolver for the zone: it must be found there");
    let meanings: [(&str, Kind, Option<&str>); 15] = [
        ("ProviderNotAvailableError", Kind::Invalid, Some("`pip install 'dns-lexicon[full]'` may have it")),
        ("AuthenticationError", Kind::Auth, CREDENTIAL),
        ("401 Client Error", Kind::Auth, CREDENTIAL),
        ("403 Client Error", Kind::Permission, CREDENTIAL),
        ("429 Client Error", Kind::RateLimited, None),
        ("404 Client Error", Kind::NotFound, Some("the service has no such zone, or hides it")),
        ("No domain found", Kind::NotFound, Some("the service has no such zone, or hides it")),
        ("409 Client Error", Kind::Conflict, None),
        ("400 Client Error", Kind::Invalid, None),
        ("422 Client Error", Kind::Invalid, None),
        ("unrecognized arguments", Kind::Invalid, None),
        ("invalid choice", Kind::Invalid, Some("`lexicon --help` lists the services")),
        ("NoRootSOA", Kind::Unavailable, RESOLVER),
        ("NoNameservers", Kind::Unavailable, RESOLVER),
        ("LifetimeTimeout", Kind::Unavailable, RESOLVER),
    ];
    let found = meanings.into_iter().find(|(words, ..)| complaint.contains(words));
    // What is not known may be something that passes.
    found.map_or((Kind::Unavailable, None), |(_, kind, hint)| (kind, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_traceback_tells_what_is_permanent() {
        use ProviderErrorKind as Kind;
        let kind = |line: &str| traceback(&format!("… in _request response.raise_for_status() {line}")).0;
        for (line, expected) in [
            ("requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: http://x", Kind::Auth),
            ("lexicon.exceptions.AuthenticationError: No domain found", Kind::Auth),
            ("Exception: No domain found", Kind::NotFound),
            ("requests.exceptions.HTTPError: 429 Client Error: Too Many", Kind::RateLimited),
            ("requests.exceptions.HTTPError: 503 Server Error", Kind::Unavailable),
            ("KeyError: 'zones'", Kind::Unavailable),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }
}

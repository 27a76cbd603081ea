//! What can go wrong, and the one place where it becomes a [`ProviderError`].

use crate::config::Config;
use dns01_provider::process::ProcessError;
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a run failed. Secrets are taken out of everything the program said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("the program failed ({status}){}", said(complaint))]
    Exit { status: ExitStatus, complaint: String },
    #[error("the program's answer is not what is documented ({problem}){}", said(complaint))]
    Answer { problem: String, complaint: String },
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// What a program says when it cannot do what it was asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    kind: Kind,
    pub(crate) message: String,
    /// Seconds.
    retry_after: Option<u64>,
    pub(crate) hint: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Auth,
    Permission,
    NotFound,
    Conflict,
    RateLimited,
    Unavailable,
    Invalid,
}

/// What it wrote to standard error, as the tail of a sentence.
fn said(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!(": {complaint}") }
}

impl From<Kind> for ProviderErrorKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Auth => Self::Auth,
            Kind::Permission => Self::Permission,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::RateLimited => Self::RateLimited,
            Kind::Unavailable => Self::Unavailable,
            Kind::Invalid => Self::Invalid,
        }
    }
}

impl RunError {
    /// The error as callers of the contract see it.
    pub(crate) fn into_provider_error(self, config: &Config, zone: &str) -> ProviderError {
        let kind = match &self {
            Self::Process(error) => error.kind(),
            Self::Answer { .. } => ProviderErrorKind::Invalid,
            // Why it failed is not known, so it may be something that passes.
            Self::Exit { .. } => ProviderErrorKind::Unavailable,
            Self::Refused(refusal) => refusal.kind.into(),
        };
        let error = ProviderError::new(kind, self.to_string())
            .with_context("program", config.program.name())
            .with_context("zone", zone)
            .with_optional_hint(self.hint());
        match self {
            Self::Refused(Refusal { retry_after: Some(seconds), .. }) => {
                error.with_retry_after(Duration::from_secs(seconds))
            }
            Self::Process(failed) => failed.into_source_of(error),
            _ => error,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Refused(refusal) => return refusal.hint.clone(),
            Self::Process(ProcessError::Start(_)) => {
                "check `command`: the file must exist, be executable and begin with `#!` if it is a script"
            }
            Self::Process(ProcessError::Timeout(_)) => {
                "raise `timeout`, or look for something the program started that keeps its output open"
            }
            Self::Answer { .. } => {
                "with `form = \"json\"` standard output holds one JSON document and nothing else; \
                 lego's programs need `form = \"lego\"`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::Settings;

    fn told(error: RunError) -> ProviderError {
        let settings = Settings::default().with("command", vec!["/bin/hook", "s3cret-argument"]);
        error.into_provider_error(&Config::new(settings).unwrap(), "example.test")
    }

    #[test]
    fn a_refusal_keeps_its_kind_its_hint_and_how_long_to_wait() {
        let refusal = |json: &str| told(RunError::Refused(serde_json::from_str(json).unwrap()));
        let busy = refusal(r#"{"kind":"rate_limited","message":"slowly","retry_after":7,"hint":"wait"}"#);
        assert_eq!(busy.kind(), ProviderErrorKind::RateLimited);
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(busy.hint(), Some("wait"));
        let bad = refusal(r#"{"kind":"auth","message":"bad token"}"#);
        assert!(bad.kind() == ProviderErrorKind::Auth && !bad.is_retryable());
        assert!(bad.to_string().starts_with("bad token"), "{bad}");
        assert!(bad.to_string().contains("example.test"), "{bad}");
        assert!(!bad.to_string().contains("s3cret-argument"), "{bad}");
    }

    #[test]
    fn a_program_that_is_not_there_is_permanent_and_one_that_hangs_is_not() {
        let absent = told(ProcessError::Start(std::io::ErrorKind::NotFound.into()).into());
        assert!(!absent.is_retryable() && absent.hint().is_some());
        let hung = told(ProcessError::Timeout(Duration::from_secs(60)).into());
        assert!(hung.is_retryable() && hung.hint().is_some());
    }
}

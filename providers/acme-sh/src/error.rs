//! What can go wrong, and the one place where it becomes a [`ProviderError`].

use crate::config::Config;
use dns01_provider::process::ProcessError;
use dns01_provider::{ProviderError, ProviderErrorKind};
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a script did not do its work. Secrets are taken out of everything it said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("there is no script at {}", list(.0))]
    Missing(Vec<PathBuf>),
    #[error("there is no acme.sh at `{}`", .0.display())]
    NoAcmeSh(PathBuf),
    #[error("the script has no `{function}`, or a program that it needs is not there{}", said(complaint))]
    NoFunction { function: String, complaint: String },
    #[error("the script failed ({status}){}", said(complaint))]
    Exit { status: ExitStatus, complaint: String },
    #[error("the lock directory `{}` is not usable: {problem}", path.display())]
    Locks { path: PathBuf, problem: String },
    #[error("the locks of `{0}` cannot be had")]
    Lock(String, #[source] io::Error),
    #[error("another program was removing values at `{0}` all the time")]
    Busy(String),
    #[error("scripts of acme.sh are given the values of dns-01 challenges only: 43 characters of base64url")]
    NotAChallenge,
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
    places.join(" or ")
}

/// What it said, as the tail of a sentence.
fn said(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!(": {complaint}") }
}

impl RunError {
    /// The error as callers of the contract see it.
    pub(crate) fn into_provider_error(self, config: &Config, zone: &str) -> ProviderError {
        let kind = match &self {
            Self::Process(error) => error.kind(),
            // Why it failed is not known, so it may be something that passes.
            Self::Exit { .. } | Self::Busy(_) => ProviderErrorKind::Unavailable,
            _ => ProviderErrorKind::Invalid,
        };
        let error = ProviderError::new(kind, self.to_string())
            .with_context("script", &config.script.name)
            .with_context("zone", zone)
            .with_optional_hint(self.hint());
        match self {
            Self::Process(failed) => failed.into_source_of(error),
            Self::Lock(_, source) => error.with_source(source),
            _ => error,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing(_) => "`script` is the name of a file in acme.sh's `dnsapi`, or a path",
            Self::NoAcmeSh(_) => "`home` is the folder that acme.sh is installed in",
            Self::NoFunction { .. } => "the functions of `dns_example.sh` are `dns_example_add` and `…_rm`",
            Self::Exit { .. } => {
                "a script is given what `environment` says and nothing else: check it against the \
                 script's `…_info`"
            }
            Self::Process(ProcessError::Timeout(_)) => "raise `timeout`",
            Self::Locks { .. } => "set `lock_directory` to one that this user alone can write to",
            Self::NotAChallenge => "use another provider for dns-persist-01",
            _ => return None,
        })
    }
}

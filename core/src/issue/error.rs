//! Why a certificate was not obtained.

use crate::acme::{AcmeError, CertificateError, LimitScope, NameFailure};
use crate::authority::AuthorityError;
use crate::deploy::DeployError;
use crate::dns::{CaaRefusal, DnsError, PropagationFailure};
use crate::keys::KeyError;
use crate::records::{Leftover, RecordsError};
use crate::store::{BackOff, StoreError};
use dns01_provider::{CredentialName, Fqdn, NameError, ProviderError, ZoneName};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::time::Duration;

/// Why a certificate was not obtained. What was live before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// CAA forbids it, here as at the CA.
    #[error("`{name}` cannot have a certificate: {refusal}")]
    Caa {
        /// The name, without `*.`.
        name: Fqdn,
        /// What forbids it.
        refusal: CaaRefusal,
    },
    /// There is no place for the challenge record.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// A zone was found that no credential is bound to.
    #[error("no credential for zone `{zone}`")]
    NoCredential {
        /// The zone.
        zone: ZoneName,
    },
    /// A challenge name would be too long.
    #[error("`{name}` is too long to prove: {source}")]
    ChallengeName {
        /// The name to be proved.
        name: Fqdn,
        /// What is wrong with the challenge name.
        source: NameError,
    },
    /// The CA wants something proved, or published, that no record of ours can hold.
    #[error("the CA wants `{name}` proved, which cannot be: {reason}")]
    ForeignName {
        /// The name, as the CA wrote it.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The records could not be written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Not every name server showed the records in time. The CA was not told to look.
    #[error("{0}")]
    Propagation(Box<PropagationFailure>),
    /// The service does not say when a change is served everywhere, and the zone's check asks it.
    #[error("`{credential}` does not tell when what is written to `{zone}` is served everywhere")]
    NoStatus {
        /// The credential.
        credential: CredentialName,
        /// The zone.
        zone: ZoneName,
    },
    /// The service failed when it was asked for the status of a change.
    #[error("`{credential}` was asked in vain whether `{zone}` is served everywhere: {source}")]
    Status {
        /// The credential.
        credential: CredentialName,
        /// The zone.
        zone: ZoneName,
        /// What it said.
        source: ProviderError,
    },
    /// The service did not say in time that a change is served everywhere.
    #[error("`{credential}` still says after {} s that the change of `{zone}` is under way", waited.as_secs())]
    Unpublished {
        /// The credential.
        credential: CredentialName,
        /// The zone.
        zone: ZoneName,
        /// How long it was asked.
        waited: Duration,
    },
    /// The zone's fixed wait is longer than the order may take.
    #[error("`{zone}` waits {} s, but only {} s are left for the order", wait.as_secs(), left.as_secs())]
    WaitTooLong {
        /// The zone.
        zone: ZoneName,
        /// How long it waits.
        wait: Duration,
        /// How long the order may still take.
        left: Duration,
    },
    /// The CA cannot be spoken to, or our account there not be had.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The CA refused, or could not be reached.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The CA looked, and did not see what it wanted. Resolvers remember that for a while.
    #[error("{error}")]
    Validation {
        /// What the CA said.
        error: AcmeError,
        /// Before this its resolvers may answer from memory.
        retry_at: Timestamp,
    },
    /// The CA asked to be left alone until later, some time ago.
    #[error("`{ca}` wants to be left alone until {until}: {reason}", until = back_off.until, reason = back_off.reason)]
    BackOff {
        /// The CA.
        ca: String,
        /// Until when, and why.
        back_off: BackOff,
    },
    /// The CA refused an order for these names until later, some time ago.
    #[error("`{ca}` takes no order for these names until {until}: {reason}", until = back_off.until, reason = back_off.reason)]
    NamesBackOff {
        /// The CA.
        ca: String,
        /// Until when, and why.
        back_off: BackOff,
    },
    /// The certificate that came is not the one that was asked for.
    #[error("the CA's certificate was refused: {0}")]
    Certificate(CertificateError),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something in the store makes no sense.
    #[error("the store holds {what}, which makes no sense")]
    Stored {
        /// What.
        what: String,
    },
    /// The files could not be put in place; the certificate is in the store.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// Another process kept the turn for these names until the time was up.
    #[error("another process was busy with the same names until the time was up")]
    Busy,
    /// The program is stopping.
    #[error("interrupted")]
    Interrupted,
    /// Something failed, and records could not be removed afterwards.
    #[error("{error}")]
    LeftRecords {
        /// What failed.
        error: Box<IssueError>,
        /// The records that still stand.
        left: Vec<LeftBehind>,
    },
}

/// A record that could not be removed. It stands in the ledger, and goes with the next run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// Its name.
    pub name: Fqdn,
    /// The zone.
    pub zone: ZoneName,
    /// Why it is still there.
    pub reason: String,
}

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value at {} in zone {} ({})", self.name, self.zone, self.reason)
    }
}

impl From<Leftover> for LeftBehind {
    fn from(left: Leftover) -> Self {
        Self { name: left.name, zone: left.zone, reason: left.reason }
    }
}

impl IssueError {
    /// The stable id of the error, as in `docs/errors.md`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Caa { refusal: CaaRefusal::LookupFailed { .. }, .. } => "caa-lookup",
            Self::Caa { .. } => "caa-forbids",
            Self::Dns(DnsError::AliasNotConfigured { .. }) => "alias-not-configured",
            Self::Dns(DnsError::NotConfigured { .. }) | Self::NoCredential { .. } => "no-credential",
            Self::Dns(DnsError::DeeperCut { .. }) => "deeper-zone-cut",
            Self::Dns(_) => "dns",
            Self::ChallengeName { .. } | Self::ForeignName { .. } => "unprovable-name",
            Self::Records(RecordsError::Store(_)) => "store",
            Self::Records(_) => "records",
            Self::NoStatus { .. } => "no-provider-status",
            Self::Propagation(_)
            | Self::Status { .. }
            | Self::Unpublished { .. }
            | Self::WaitTooLong { .. } => "propagation",
            Self::Authority(AuthorityError::Acme(error))
            | Self::Acme(error)
            | Self::Validation { error, .. } => acme_id(error),
            Self::Authority(AuthorityError::Store(_)) | Self::Store(_) | Self::Stored { .. } => "store",
            Self::Authority(_) => "account",
            Self::BackOff { .. } | Self::NamesBackOff { .. } => "rate-limited",
            Self::Certificate(_) => "certificate-refused",
            Self::Key(_) => "key",
            Self::Deploy(_) => "deploy",
            Self::Busy => "busy",
            Self::Interrupted => "interrupted",
            Self::LeftRecords { error, .. } => error.id(),
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Caa { refusal, .. } => Some(refusal.hint()),
            Self::Dns(error) => error.hint(),
            Self::NoCredential { zone } => Some(format!("add `{zone}` to the zones of a credential")),
            Self::Records(error) => error.hint(),
            Self::Propagation(failure) => failure.hint.clone(),
            Self::NoStatus { .. } => Some(
                "give the zone another check: `propagation = { wait = \"60s\" }`, `{ check = \"recursive\", resolvers = […] }`, or none for the authoritative servers"
                    .to_owned(),
            ),
            Self::Status { source, .. } => source.hint().map(str::to_owned),
            Self::Unpublished { .. } => {
                Some("wait longer with `timeout`, or look at the service's own status page".to_owned())
            }
            Self::WaitTooLong { .. } => {
                Some("shorten `wait`, or let the order take longer with --timeout".to_owned())
            }
            Self::Authority(error) => error.hint(),
            Self::Acme(error) | Self::Validation { error, .. } => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Deploy(error) => error.hint(),
            Self::Certificate(CertificateError::NotYetValid { .. }) => Some(
                "is this machine's clock right? `dns01 check` compares it with the CA's; run the same \
                 again then, and this certificate is taken"
                    .to_owned(),
            ),
            Self::Certificate(_) => Some(
                "the old files are untouched; run it again, and tell the CA if it happens again".to_owned(),
            ),
            Self::LeftRecords { error, .. } => error.hint(),
            Self::Interrupted => Some("run it again: it goes on with the same order".to_owned()),
            Self::BackOff { .. } | Self::NamesBackOff { .. } => {
                Some("nothing was sent, nor is before then, but with --force".to_owned())
            }
            Self::Stored { .. } => Some("was `dns01.db` changed by something else?".to_owned()),
            Self::ChallengeName { .. }
            | Self::ForeignName { .. }
            | Self::Key(_)
            | Self::Busy => None,
        }
    }

    /// Before this no further try makes sense, whatever the pauses between tries are.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::BackOff { back_off, .. } | Self::NamesBackOff { back_off, .. } => Some(back_off.until),
            Self::Acme(AcmeError::RateLimited { until, .. })
            | Self::Authority(AuthorityError::Acme(AcmeError::RateLimited { until, .. })) => Some(*until),
            Self::Validation { retry_at, .. } => Some(*retry_at),
            Self::LeftRecords { error, .. } => error.retry_at(),
            _ => None,
        }
    }

    /// What was wrong with single names at the CA.
    #[must_use]
    pub fn name_failures(&self) -> &[NameFailure] {
        match self {
            Self::Acme(AcmeError::OrderInvalid { failures, .. } | AcmeError::Deadline { failures, .. })
            | Self::Validation { error: AcmeError::OrderInvalid { failures, .. }, .. } => failures,
            Self::LeftRecords { error, .. } => error.name_failures(),
            _ => &[],
        }
    }

    /// The records that still stand.
    #[must_use]
    pub fn left_behind(&self) -> &[LeftBehind] {
        match self {
            Self::LeftRecords { left, .. } => left,
            _ => &[],
        }
    }

    /// The error itself, without what was left behind.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::LeftRecords { error, .. } => error.root(),
            other => other,
        }
    }

    pub(super) fn leaving(self, left: Vec<LeftBehind>) -> Self {
        if left.is_empty() { self } else { Self::LeftRecords { error: Box::new(self), left } }
    }

    /// For how long the CA is to be left alone because of this, and with what.
    pub(super) fn back_off(&self, now: Timestamp) -> Option<(LimitScope, BackOff)> {
        match self.root() {
            Self::Acme(limited @ AcmeError::RateLimited { until, scope, .. })
            | Self::Authority(AuthorityError::Acme(limited @ AcmeError::RateLimited { until, scope, .. })) => {
                let back_off = BackOff { until: *until, reason: limited.to_string() };
                (*until > now + SignedDuration::from_secs(1)).then_some((*scope, back_off))
            }
            _ => None,
        }
    }

    /// True if nothing will change until a person does something at the CA.
    pub(super) fn waits_for_a_person(&self) -> bool {
        matches!(
            self.root(),
            Self::Acme(AcmeError::Paused { .. })
                | Self::Authority(AuthorityError::Acme(AcmeError::Paused { .. }))
        )
    }
}

fn acme_id(error: &AcmeError) -> &'static str {
    match error {
        AcmeError::RateLimited { .. } | AcmeError::Paused { .. } | AcmeError::HeldBack { .. } => {
            "rate-limited"
        }
        AcmeError::Unreachable { .. } | AcmeError::OutOfOrder { .. } => "ca-unreachable",
        AcmeError::ReplyLost { cause, .. } => acme_id(cause),
        AcmeError::OrderInvalid { .. } => "validation-failed",
        AcmeError::Deadline { .. } => "deadline",
        AcmeError::TermsNotAgreed { .. } => "terms-not-agreed",
        AcmeError::ExternalAccountRequired => "external-account-required",
        AcmeError::AccountDoesNotExist => "account",
        AcmeError::NoSuchProfile { .. } => "no-such-profile",
        AcmeError::NoUsableChallenge { .. } => "no-usable-challenge",
        _ => "ca-refused",
    }
}

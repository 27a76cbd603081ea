//! Why records could not be written.

use crate::store::StoreError;
use dns01_provider::{CredentialName, Fqdn, ProviderError, ZoneName};
use std::sync::Arc;

/// A failure to write records.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// No credential of this name is configured.
    #[error("there is no credential `{credential}`")]
    UnknownCredential {
        /// The name asked for.
        credential: CredentialName,
    },
    /// The provider did not write a value. If [`ProviderError::is_retryable`], it may have
    /// worked all the same; the ledger keeps the value until its removal is confirmed.
    #[error("`{credential}` could not write at `{name}` in zone `{zone}`")]
    Provider {
        /// The credential.
        credential: CredentialName,
        /// The zone.
        zone: ZoneName,
        /// Where the value was to stand.
        name: Fqdn,
        /// What the provider said.
        source: Arc<ProviderError>,
    },
    /// An order wants more values at one name than the provider can hold there.
    #[error("`{credential}` can hold {most} values at `{name}`, and {wanted} are wanted")]
    TooManyValues {
        /// The credential.
        credential: CredentialName,
        /// The name.
        name: Fqdn,
        /// What the provider can hold.
        most: usize,
        /// What the order wants.
        wanted: usize,
    },
    /// Another process kept writing in the zone.
    #[error("another dns01 process kept writing in zone `{zone}`")]
    ZoneBusy {
        /// The zone.
        zone: ZoneName,
    },
    /// The program is about to end.
    #[error("no more records are written: the program is ending")]
    ShuttingDown,
    /// The ledger could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecordsError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Provider { source, .. } => source.hint().map(str::to_owned),
            Self::TooManyValues { .. } => Some("split the certificate into several".to_owned()),
            Self::ZoneBusy { .. } => Some("look for a dns01 process that is stuck".to_owned()),
            Self::Store(error) => error.hint(),
            Self::UnknownCredential { credential } => Some(format!(
                "name it with `--dns {credential}` as when the value was written, or write a [dns.{credential}] table"
            )),
            Self::ShuttingDown => None,
        }
    }
}

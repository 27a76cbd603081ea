//! `dns01.toml`: read once, checked once, typed from there on.
//!
//! Defaults, the file and a few flags are laid over each other by figment; the file keeps
//! its spans, so that every mistake is shown with file, line and caret.

pub mod ca;
pub mod certificate;
pub mod domain;
pub mod mistake;
pub mod zone;

pub use crate::acme::ChallengeType;
pub use crate::keys::KeyType;
pub use ca::{CaConfig, CaName, EabConfig};
pub use certificate::{CertificateConfig, CertificateName, CertificateNameError};
pub use domain::{Domain, DomainError};
pub use mistake::{ConfigError, Mistake, MistakeKind, Place, nearest};
pub use zone::{CredentialConfig, PropagationConfig, Quorum, ZoneConfig};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the configuration says, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database, the keys and `live/` are.
    pub state_dir: PathBuf,
    /// The recursive resolvers to find things out with; empty means the machine's.
    pub resolvers: Vec<SocketAddr>,
    /// What holds where nothing else is said.
    pub defaults: Defaults,
    /// The CAs that are configured, and the presets that certificates name.
    pub cas: Vec<CaConfig>,
    /// The credentials.
    pub credentials: Vec<CredentialConfig>,
    /// The certificates.
    pub certificates: Vec<CertificateConfig>,
    /// What is not wrong, but unwise.
    pub warnings: Vec<Mistake>,
}

/// What holds where nothing else is said: `[defaults]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The CAs in order of preference, at least one.
    pub cas: Vec<CaName>,
    /// The kind of a certificate's key.
    pub key: KeyType,
    /// How names are proved.
    pub challenge: ChallengeType,
    /// The time one order may take.
    pub timeout: Duration,
}

//! `[ca.*]`: the certificate authorities.

use crate::keys::KeyType;
use dns01_provider::SecretRef;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// The name of a `[ca.*]` table, or of a preset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaName(String);

impl CaName {
    /// The name `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A CA and our account there.
#[derive(Clone, Debug)]
pub struct CaConfig {
    /// Its name in the configuration.
    pub name: CaName,
    /// The directory (RFC 8555 §7.1.1).
    pub directory: Url,
    /// A PEM file with the only roots to trust for it, for private CAs.
    pub ca_bundle: Option<PathBuf>,
    /// The HTTP proxy to reach it through; else the environment's.
    pub proxy: Option<Url>,
    /// Contact addresses as URLs, `mailto:…` mostly.
    pub contact: Vec<String>,
    /// True where the terms of service are agreed to in advance.
    pub agree_tos: bool,
    /// External account binding, where the CA wants it (RFC 8555 §7.3.4).
    pub eab: Option<EabConfig>,
    /// The kind of a new account key.
    pub account_key: KeyType,
    /// The profile to ask for, unless a certificate says otherwise.
    pub profile: Option<String>,
    /// The issuer name of the chain to prefer, unless a certificate says otherwise.
    pub preferred_chain: Option<String>,
}

/// External account binding (RFC 8555 §7.3.4).
#[derive(Clone, Debug)]
pub struct EabConfig {
    /// The key identifier that the CA gave.
    pub kid: String,
    /// Where the MAC key (base64url) is kept.
    pub hmac_key: SecretRef,
}

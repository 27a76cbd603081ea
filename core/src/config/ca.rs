//! `[ca.*]`: the certificate authorities.

use super::check::{Check, OneOrMany};
use super::file::{KeyPath, Part};
use super::mistake::{Mistake, MistakeKind};
use crate::acme::{PRESETS, Preset};
use crate::keys::KeyType;
use dns01_provider::SecretRef;
use figment::value::Value;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use url::{Host, Url};

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
#[derive(Clone, Debug, PartialEq)]
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

/// A CA gives each key identifier one key.
impl PartialEq for EabConfig {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCa {
    directory: Option<String>,
    ca_bundle: Option<PathBuf>,
    proxy: Option<String>,
    contact: Option<OneOrMany>,
    #[serde(default)]
    agree_tos: bool,
    eab: Option<RawEab>,
    #[serde(default)]
    account_key: KeyType,
    profile: Option<String>,
    preferred_chain: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEab {
    kid: String,
    hmac_key: SecretRef,
}

impl CaConfig {
    /// A CA known by its directory alone.
    #[must_use]
    pub fn new(name: CaName, directory: Url) -> Self {
        Self {
            name,
            directory,
            ca_bundle: None,
            proxy: None,
            contact: Vec::new(),
            agree_tos: false,
            eab: None,
            account_key: KeyType::default(),
            profile: None,
            preferred_chain: None,
        }
    }

    /// The preset `name`, if there is one.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let preset = Preset::named(name)?;
        let directory = Url::parse(preset.directory).expect("a test parses every preset's address");
        Some(Self::new(CaName::new(preset.name), directory))
    }

    pub(super) fn read(check: &mut Check, name: &str, value: &Value) -> Option<Self> {
        let path = KeyPath::of(["ca", name]);
        let raw: RawCa = check.table(&path, value)?;
        let directory = match &raw.directory {
            Some(text) => check.parse(&path.join("directory"), text, parse_directory),
            None => Self::preset(name).map(|preset| preset.directory).or_else(|| {
                check.wrong(&path, Part::Key, no_directory(name));
                None
            }),
        };
        let proxy = raw.proxy.map(|text| check.parse(&path.join("proxy"), &text, parse_proxy));
        let contact = raw.contact.map_or_else(Vec::new, |contact| contact.0);
        let at = path.join("contact");
        let contact = contact.iter().enumerate();
        let contact: Vec<_> =
            contact.map(|(index, text)| check.parse(&check.item(&at, index), text, parse_contact)).collect();
        let bundle = raw.ca_bundle.map(|bundle| check.beside(&bundle));
        Some(Self {
            ca_bundle: bundle,
            proxy: proxy.map_or(Some(None), |proxy| proxy.map(Some))?,
            contact: contact.into_iter().collect::<Option<_>>()?,
            agree_tos: raw.agree_tos,
            eab: raw.eab.map(|eab| EabConfig { kid: eab.kid, hmac_key: eab.hmac_key }),
            account_key: raw.account_key,
            profile: raw.profile,
            preferred_chain: raw.preferred_chain,
            ..Self::new(CaName::new(name), directory?)
        })
    }
}

fn no_directory(name: &str) -> Mistake {
    let near = super::nearest(name, preset_names());
    Mistake::new(MistakeKind::MissingKey, format!("[ca.{name}] has no `directory`")).with_hint(match near {
        Some(near) => format!("did you mean the preset `{near}`?"),
        None => {
            format!("give its address, or name a preset: {}", preset_names().collect::<Vec<_>>().join(", "))
        }
    })
}

/// The address of a directory (RFC 8555 §7.1.1): https, or http on this very machine.
///
/// # Errors
/// In words, what is wrong.
pub fn parse_directory(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| format!("`{text}` is not a web address"))?;
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err(format!("`{text}` is not an `https://` address")),
    }
}

/// The address of an HTTP proxy.
///
/// # Errors
/// In words, what is wrong.
pub fn parse_proxy(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        // What may hold a password is not repeated.
        _ if text.contains('@') => Err("this is not the `http://` address of a proxy".to_owned()),
        _ => Err(format!("`{text}` is not the `http://` address of a proxy")),
    }
}

/// A contact (RFC 8555 §7.1.2): an e-mail address, or a URL.
///
/// # Errors
/// In words, what is wrong.
pub fn parse_contact(text: &str) -> Result<String, String> {
    let text = text.trim();
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    match address.split_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && domain.contains('.')
                && !address.contains([' ', ',', '?'])
                && !domain.contains('@') =>
        {
            Ok(format!("mailto:{address}"))
        }
        None if Url::parse(text).is_ok_and(|url| url.scheme() != "mailto") => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not an e-mail address")),
    }
}

/// The names of all presets.
pub fn preset_names() -> impl Iterator<Item = &'static str> + Clone {
    PRESETS.iter().map(|preset| preset.name)
}

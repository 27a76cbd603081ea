//! `dns01.toml`: read once, checked once, typed from there on.
//!
//! Defaults, the file and a few flags are laid over each other by figment; the file keeps
//! its spans, so that every mistake is shown with file, line and caret.

pub mod ca;
pub mod certificate;
mod check;
pub mod domain;
mod file;
pub mod mistake;
pub mod propagation;
pub mod zone;

pub use crate::acme::ChallengeType;
pub use crate::keys::KeyType;
pub use ca::{CaConfig, CaName, EabConfig, parse_contact, parse_directory, parse_proxy};
pub use certificate::{CertificateConfig, CertificateName, CertificateNameError};
pub use check::{parse_duration, parse_server};
pub use domain::{Domain, DomainError};
pub use mistake::{ConfigError, Mistake, MistakeKind, Place, nearest};
pub use propagation::{CheckWord, Misfit, PropagationConfig, PropagationSettings, parse_pause};
pub use zone::{CredentialConfig, Quorum, ZoneConfig, alias_name, shared_zones};

use crate::dns::Resolver;
use check::{Check, OneOrMany, TextOr};
use dns01_provider::{DnsProvider, Fqdn, Plugin, ZoneName};
use figment::Figment;
use figment::providers::Serialized;
use figment::value::Value;
use file::{Document, KeyPath, Part};
use propagation::{RawResolver, read_resolvers};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Everything the configuration says, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database, the keys and `live/` are.
    pub state_dir: PathBuf,
    /// The recursive resolvers to find things out with; empty means the machine's.
    pub resolvers: Vec<Resolver>,
    /// What holds where nothing else is said.
    pub defaults: Defaults,
    /// The CAs that are configured, and the presets that certificates name.
    pub cas: Vec<CaConfig>,
    /// The credentials.
    pub credentials: Vec<CredentialConfig>,
    /// The certificates, in the order of the file.
    pub certificates: Vec<CertificateConfig>,
    /// What is not wrong, but unwise.
    pub warnings: Vec<Mistake>,
    document: Option<Arc<Document>>,
}

/// What holds where nothing else is said: `[defaults]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The CAs in order of preference, at least one; a file can name no more yet.
    pub cas: Vec<CaName>,
    /// The kind of a certificate's key.
    pub key: KeyType,
    /// How names are proved.
    pub challenge: ChallengeType,
    /// The time one order may take.
    pub timeout: Duration,
}

/// What a [`Config`] is made from: the built-in defaults, the file over them, flags on top.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The file, if there is one.
    pub file: Option<&'a Path>,
    /// Where the state is if nobody says otherwise.
    pub state_dir: &'a Path,
    /// What flags say.
    pub flags: &'a Flags,
    /// The providers that this program has.
    pub plugins: &'a [Plugin],
}

/// The flags that stand above the file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// Where the state is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// The recursive resolvers to find things out with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<ResolverFlag>,
}

/// A resolver that a flag names.
#[derive(Clone, Debug, Serialize)]
pub struct ResolverFlag {
    /// As [`Resolver::parse`] reads it.
    pub url: String,
    /// The PEM file with the only roots to trust for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    state_dir: PathBuf,
    #[serde(default)]
    resolvers: Vec<TextOr<RawResolver>>,
    #[serde(default)]
    defaults: RawDefaults,
    #[serde(default)]
    ca: BTreeMap<String, Value>,
    #[serde(default)]
    dns: BTreeMap<String, Value>,
    #[serde(default)]
    certificate: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawDefaults {
    ca: Option<OneOrMany>,
    key: Option<KeyType>,
    challenge: Option<ChallengeType>,
    timeout: Option<String>,
}

/// The CA where none is named.
const DEFAULT_CA: &str = "letsencrypt";
/// The time one order may take where nothing is said.
const ORDER_TIMEOUT: Duration = Duration::from_secs(600);

impl Config {
    /// Reads and checks everything. No network is touched and no secret is read.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or all the mistakes in it.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let document = sources.file.map(Document::read).transpose()?.map(Arc::new);
        Self::check(document, sources)
    }

    fn check(document: Option<Arc<Document>>, sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let mut check = Check::new(document.clone());
        let mut figment = Figment::from(Serialized::default("state_dir", sources.state_dir));
        if let Some(document) = &document {
            figment = figment.merge(document.as_ref());
        }
        let raw: RawConfig = match figment.merge(Serialized::defaults(sources.flags)).extract() {
            Ok(raw) => raw,
            Err(error) => {
                check.figment(&KeyPath::default(), error);
                return Err(ConfigError::Mistakes(check.mistakes));
            }
        };
        let defaults = raw.defaults.read(&mut check);
        let cas = raw.ca.iter().filter_map(|(name, value)| CaConfig::read(&mut check, name, value)).collect();
        let credentials = raw.dns.iter();
        let credentials = credentials
            .filter_map(|(name, value)| CredentialConfig::read(&mut check, name, value, sources.plugins))
            .collect();
        let certificates = raw.certificate.iter().enumerate();
        let certificates = certificates
            .filter_map(|(index, value)| CertificateConfig::read(&mut check, index, value, &defaults))
            .collect();
        let state_dir = check.beside(&raw.state_dir);
        let resolvers = read_resolvers(&mut check, &KeyPath::of(["resolvers"]), &raw.resolvers);
        let mut config = Self {
            state_dir,
            resolvers,
            defaults,
            cas,
            credentials,
            certificates,
            warnings: Vec::new(),
            document,
        };
        config.check_whole(&mut check, raw.ca.keys());
        if !check.mistakes.is_empty() {
            return Err(ConfigError::Mistakes(check.mistakes));
        }
        config.warnings = check.warnings;
        Ok(config)
    }

    /// What can be wrong only between tables.
    fn check_whole<'a>(&mut self, check: &mut Check, cas: impl Iterator<Item = &'a String> + Clone) {
        self.check_zones(check);
        self.check_certificate_names(check);
        self.check_ca_names(check, &cas.map(String::as_str).collect::<Vec<_>>());
        for credential in &self.credentials {
            if let Err(mistake) = self.build_provider(credential) {
                check.mistakes.push(mistake);
            }
        }
        if let Some(document) = &self.document
            && let Some(literal) = document.literal_secret()
            && is_readable_by_all(document.path())
        {
            let file = document.path().display();
            let warning = Mistake::new(
                MistakeKind::ReadableSecret,
                format!("everybody can read this secret in `{file}`"),
            );
            let hint = format!("chmod 600 {file}, or keep it elsewhere: `{{ file = \"…\" }}`");
            check.warn(literal, Part::Value, warning.with_hint(hint));
        }
    }

    fn check_zones(&self, check: &mut Check) {
        let mut owners: BTreeMap<&ZoneName, Vec<zone::Entry<'_>>> = BTreeMap::new();
        for credential in &self.credentials {
            for (index, zone) in credential.zones.iter().enumerate() {
                let entry = zone::Entry { credential: &credential.name, index, zone };
                owners.entry(&zone.zone.name).or_default().push(entry);
            }
        }
        owners.values().for_each(|entries| zone::check_entries(check, entries));
    }

    fn check_certificate_names(&self, check: &mut Check) {
        let mut seen = HashMap::new();
        for (index, certificate) in self.certificates.iter().enumerate() {
            if let Some(first) = seen.insert(&certificate.name, index) {
                let message = format!("two certificates are called `{}`", certificate.name);
                let path = KeyPath::of(["certificate"]).join(index);
                let first = KeyPath::of(["certificate"]).join(first);
                let line = check.document.as_ref().and_then(|document| document.place(&first, Part::Key));
                let hint =
                    line.map(|place| format!("the other one is at line {}; give one a `name`", place.line));
                let mistake = Mistake::new(MistakeKind::Duplicate, message).with_hint(hint);
                check.wrong(&path.join("name"), Part::Value, mistake);
            }
        }
    }

    /// Takes in the presets that are named without a table of their own.
    fn check_ca_names(&mut self, check: &mut Check, tables: &[&str]) {
        let of_defaults = (KeyPath::of(["defaults", "ca"]), &self.defaults.cas);
        let of_certificates = self.certificates.iter().enumerate();
        let of_certificates = of_certificates
            .map(|(index, one)| (KeyPath::of(["certificate"]).join(index).join("ca"), &one.cas));
        let mut known: HashSet<&str> = tables.iter().copied().collect();
        let mut presets: Vec<CaConfig> = Vec::new();
        for (list, names) in std::iter::once(of_defaults).chain(of_certificates) {
            for (index, name) in names.iter().enumerate() {
                if !known.insert(name.as_str()) {
                    continue;
                }
                match CaConfig::preset(name.as_str()) {
                    Some(preset) => presets.push(preset),
                    None => check.wrong(&check.item(&list, index), Part::Value, unknown_ca(name, tables)),
                }
            }
        }
        self.cas.extend(presets);
    }

    /// The CA called `name`: one of the file's or a preset.
    ///
    /// # Errors
    /// A [`Mistake`] with the name that was probably meant.
    pub fn ca(&self, name: &CaName) -> Result<CaConfig, Mistake> {
        let configured = self.cas.iter().find(|ca| ca.name == *name).cloned();
        configured
            .or_else(|| CaConfig::preset(name.as_str()))
            .ok_or_else(|| unknown_ca(name, &self.cas.iter().map(|ca| ca.name.as_str()).collect::<Vec<_>>()))
    }

    /// The credential and the zone that values at `name` belong to: the longest zone wins. Of a
    /// zone at several providers it is the first.
    #[must_use]
    pub fn zone_for(&self, name: &Fqdn) -> Option<(&CredentialConfig, &ZoneConfig)> {
        self.zones_for(name).into_iter().next()
    }

    /// The zone that values at `name` belong to, with each credential that writes there: one,
    /// unless the zone is at several providers.
    #[must_use]
    pub fn zones_for(&self, name: &Fqdn) -> Vec<(&CredentialConfig, &ZoneConfig)> {
        let zones = self.credentials.iter();
        let fitting: Vec<_> =
            zones.filter_map(|credential| credential.zone_for(name).map(|zone| (credential, zone))).collect();
        let longest = fitting.iter().map(|(_, zone)| zone.zone.name.as_str().len()).max();
        fitting.into_iter().filter(|(_, zone)| Some(zone.zone.name.as_str().len()) == longest).collect()
    }

    /// Makes the provider of `credential`. No network is touched.
    ///
    /// # Errors
    /// A [`Mistake`] in its settings, with its place.
    pub fn build_provider(&self, credential: &CredentialConfig) -> Result<Arc<dyn DnsProvider>, Mistake> {
        (credential.plugin.build)(credential.settings.clone()).map_err(|error| {
            let table = KeyPath::of(["dns", credential.name.as_str()]);
            let keys = error.key.iter().flat_map(|key| key.split('.'));
            let path = keys.fold(table, |path, key| path.join(key));
            let document = self.document.as_deref();
            let shown =
                |text: &str| document.map_or_else(|| text.to_owned(), |document| document.redacted(text));
            Mistake::new(MistakeKind::Value, shown(&error.message))
                .with_hint(error.hint.as_deref().map(shown))
                .at(document.and_then(|document| document.place(&path, Part::Value)))
        })
    }

    /// The mistake that `certificate` wants `domain`, which none of the zones contains. It is
    /// for whoever has looked for an alias into one of the zones and found none.
    #[must_use]
    pub fn no_credential(&self, certificate: &CertificateName, domain: &Domain) -> Mistake {
        let place = self.certificates.iter().position(|other| other.name == *certificate).and_then(|index| {
            let list = KeyPath::of(["certificate"]).join(index).join("domains");
            let within = self.certificates[index].domains.iter().position(|other| other == domain)?;
            let document = self.document.as_ref()?;
            document.place(&document.item(&list, within), Part::Value)
        });
        Mistake::new(MistakeKind::NoCredential, format!("no credential for `{domain}`"))
            .with_label("no [dns.*] table has a zone that contains it")
            .with_hint(self.nearest_zone(domain))
            .at(place)
    }

    /// The names of which only a look at the DNS can tell whether they can be proved: no
    /// zone contains them, but their challenge name may be an alias into one.
    #[must_use]
    pub fn uncovered(&self) -> Vec<(&CertificateConfig, &Domain)> {
        let all =
            self.certificates.iter().flat_map(|one| one.domains.iter().map(move |domain| (one, domain)));
        all.filter(|(_, domain)| self.zone_for(&domain.base).is_none()).collect()
    }

    fn nearest_zone(&self, domain: &Domain) -> Option<String> {
        let all =
            self.credentials.iter().flat_map(|one| one.zones.iter().map(move |zone| (one, &zone.zone.name)));
        let (credential, zone) = all.max_by_key(|(_, zone)| common_labels(&domain.base, zone.apex()))?;
        let wanted = registrable_guess(&domain.base);
        Some(format!("[dns.{}] has `{zone}`; did you mean to add `{wanted}` to its zones?", credential.name))
    }
}

impl RawDefaults {
    fn read(&self, check: &mut Check) -> Defaults {
        let path = KeyPath::of(["defaults"]);
        if let Some(names) = &self.ca {
            certificate::one_ca(check, &path.join("ca"), &names.0);
        }
        let cas = self.ca.as_ref().map(|names| names.0.iter().map(CaName::new).collect::<Vec<_>>());
        let timeout = self.timeout.as_ref().and_then(|text| check.duration(&path.join("timeout"), text));
        Defaults {
            cas: cas.filter(|names| !names.is_empty()).unwrap_or_else(|| vec![CaName::new(DEFAULT_CA)]),
            key: self.key.unwrap_or_default(),
            challenge: self.challenge.unwrap_or_default(),
            timeout: timeout.unwrap_or(ORDER_TIMEOUT),
        }
    }
}

fn unknown_ca(name: &CaName, tables: &[&str]) -> Mistake {
    let presets = ca::preset_names().map(|name| -> &str { name });
    let known = tables.iter().copied().chain(presets.filter(|preset| !tables.contains(preset)));
    let hint = match nearest(name.as_str(), known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if name.as_str().contains('/') => {
            format!("the address of a directory begins with `https://`: did you mean `https://{name}`?")
        }
        None => format!(
            "write a [ca.{name}] table with its `directory`, or name one of {}",
            known.collect::<Vec<_>>().join(", ")
        ),
    };
    Mistake::new(MistakeKind::UnknownReference, format!("no CA is called `{name}`")).with_hint(hint)
}

/// Labels that both names have in common, counted from the right.
fn common_labels(one: &Fqdn, other: &Fqdn) -> usize {
    one.labels().rev().zip(other.labels().rev()).take_while(|(one, other)| one == other).count()
}

/// The last two labels: in most places the zone that its owner has.
fn registrable_guess(name: &Fqdn) -> String {
    let labels: Vec<&str> = name.labels().collect();
    labels[labels.len().saturating_sub(2)..].join(".")
}

fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests;

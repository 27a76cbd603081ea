//! What the store remembers of a certificate, so that `renew` can do without the flags.
//! Credentials are remembered as references, never as values.

use crate::errors::Failure;
use crate::propagation::quorum;
use crate::providers::PLUGINS;
use crate::wanted::{Chosen, Wanted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dns01_core::config::{
    CaConfig, CaName, CertificateConfig, CheckWord, Config, CredentialConfig, PropagationConfig,
    PropagationSettings, Quorum, ZoneConfig, parse_directory, parse_proxy,
};
use dns01_core::dns::Resolver;
use dns01_core::keys::CertificateRequest;
use dns01_core::store::Certificate;
use dns01_provider::{CredentialName, Fqdn, Settings, Zone, ZoneName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
enum Remembered {
    /// The file says everything.
    File,
    /// Everything was said by flags.
    Flags(Box<ByFlags>),
}

#[derive(Serialize, Deserialize)]
struct ByFlags {
    certificate: CertificateConfig,
    ca: RememberedCa,
    credential: Option<RememberedCredential>,
    csr: Option<String>,
    pre_authorize: bool,
    timeout_seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct RememberedCa {
    name: CaName,
    directory: String,
    ca_bundle: Option<PathBuf>,
    proxy: Option<String>,
    contact: Vec<String>,
    agree_tos: bool,
}

/// A table of the file is remembered by its name: what it says may hold a secret, and may change.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RememberedCredential {
    Table(String),
    Environment(Environment),
}

#[derive(Serialize, Deserialize)]
struct Environment {
    name: String,
    provider: String,
    settings: serde_json::Value,
    zones: Vec<RememberedZone>,
    ttl: Option<u32>,
    /// Of zones that are not named.
    #[serde(default)]
    propagation: Option<RememberedPropagation>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct RememberedZone {
    name: ZoneName,
    id: Option<String>,
    name_servers: Vec<SocketAddr>,
    resolvers: Vec<RememberedResolver>,
    #[serde(flatten)]
    propagation: RememberedPropagation,
}

#[derive(Serialize, Deserialize)]
struct RememberedPropagation {
    timeout_seconds: u64,
    quorum: String,
    check: Option<CheckWord>,
    #[serde(default)]
    wait_ms: u64,
    #[serde(default)]
    settle_ms: u64,
    #[serde(default)]
    check_resolvers: Vec<RememberedResolver>,
}

/// A resolver by its text, or with the roots to trust for it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RememberedResolver {
    Text(String),
    Trusting { url: String, ca_bundle: PathBuf },
}

impl RememberedResolver {
    fn of(resolver: &Resolver) -> Self {
        let url = resolver.to_string();
        match resolver.ca_bundle() {
            Some(bundle) => Self::Trusting { url, ca_bundle: bundle.to_owned() },
            None => Self::Text(url),
        }
    }

    fn recall(self) -> Result<Resolver, String> {
        match self {
            Self::Text(url) => Resolver::parse(&url),
            Self::Trusting { url, ca_bundle } => Ok(Resolver::parse(&url)?.with_ca_bundle(Some(ca_bundle))),
        }
    }
}

impl RememberedPropagation {
    fn of(config: &PropagationConfig) -> Self {
        let settings = PropagationSettings::from(config.clone());
        Self {
            timeout_seconds: config.timeout.as_secs(),
            quorum: match config.quorum {
                Quorum::Half => "half".to_owned(),
                Quorum::All => "all".to_owned(),
                Quorum::Servers(count) => count.to_string(),
            },
            check: settings.check,
            wait_ms: milliseconds(config.wait),
            settle_ms: milliseconds(config.settle),
            check_resolvers: remembered(&settings.resolvers.unwrap_or_default()),
        }
    }

    fn recall(self) -> Result<PropagationConfig, String> {
        let settings = PropagationSettings {
            // What was remembered before there were modes was waited for at the name servers.
            check: Some(self.check.unwrap_or(CheckWord::Authoritative)),
            wait: Some(Duration::from_millis(self.wait_ms)),
            settle: Some(Duration::from_millis(self.settle_ms)),
            timeout: Some(Duration::from_secs(self.timeout_seconds)),
            quorum: Some(quorum(&self.quorum)?),
            resolvers: Some(recalled(self.check_resolvers)?),
            alias_resolvers: None,
        };
        settings.finish().map_err(|misfit| misfit.message.to_owned())
    }
}

fn remembered(resolvers: &[Resolver]) -> Vec<RememberedResolver> {
    resolvers.iter().map(RememberedResolver::of).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn recalled(resolvers: Vec<RememberedResolver>) -> Result<Vec<Resolver>, String> {
    resolvers.into_iter().map(RememberedResolver::recall).collect()
}

/// `wanted` as the store keeps it.
pub(crate) fn remember(wanted: &Wanted) -> String {
    let remembered =
        if wanted.from_file { Remembered::File } else { Remembered::Flags(Box::new(by_flags(wanted))) };
    serde_json::to_string(&remembered).expect("what is remembered has text keys only")
}

fn by_flags(wanted: &Wanted) -> ByFlags {
    let ca = &wanted.ca;
    ByFlags {
        certificate: wanted.certificate.clone(),
        ca: RememberedCa {
            name: ca.name.clone(),
            directory: ca.directory.to_string(),
            ca_bundle: ca.ca_bundle.clone(),
            // With a password it stays where it came from, which can only be the file.
            proxy: ca.proxy.as_ref().filter(|url| url.password().is_none()).map(ToString::to_string),
            contact: ca.contact.clone(),
            agree_tos: ca.agree_tos,
        },
        credential: wanted.credential.as_ref().map(chosen),
        csr: wanted.csr.as_ref().map(|csr| STANDARD.encode(csr.der())),
        pre_authorize: wanted.pre_authorize,
        timeout_seconds: wanted.timeout.as_secs(),
    }
}

fn chosen(Chosen { config, is_table }: &Chosen) -> RememberedCredential {
    if *is_table {
        return RememberedCredential::Table(config.name.to_string());
    }
    RememberedCredential::Environment(Environment {
        name: config.name.to_string(),
        provider: config.plugin.name.to_owned(),
        // They hold references to secrets. Any JSON object parses as a JSON value.
        settings: config.settings.clone().parse().unwrap_or_default(),
        zones: config.zones.iter().map(zone).collect(),
        ttl: config.ttl,
        propagation: Some(RememberedPropagation::of(&config.propagation)),
        aliases: config.aliases.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect(),
    })
}

fn zone(zone: &ZoneConfig) -> RememberedZone {
    RememberedZone {
        name: zone.zone.name.clone(),
        id: zone.zone.id.clone(),
        name_servers: zone.name_servers.clone(),
        resolvers: remembered(&zone.resolvers),
        propagation: RememberedPropagation::of(&zone.propagation),
    }
}

/// What was asked for by flags under the name of `certificate`; `None` if the file wants it.
///
/// # Errors
/// What is remembered makes no sense to this version of the program.
pub(crate) fn recall(certificate: &Certificate, config: &Config) -> Result<Option<Wanted>, Failure> {
    let senseless = |what: String| {
        let message = format!("what is remembered of `{}` makes no sense here: {what}", certificate.name);
        Failure::usage("remembered", message).with_hint("run its `dns01 issue` once more")
    };
    let remembered: Remembered =
        serde_json::from_str(&certificate.request).map_err(|error| senseless(error.to_string()))?;
    match remembered {
        Remembered::File => Ok(None),
        Remembered::Flags(by_flags) => wanted(*by_flags, config).map(Some).map_err(senseless),
    }
}

fn wanted(remembered: ByFlags, config: &Config) -> Result<Wanted, String> {
    let csr = match &remembered.csr {
        Some(text) => {
            let der = STANDARD.decode(text).map_err(|error| error.to_string())?;
            Some(CertificateRequest::parse(&der).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    Ok(Wanted {
        certificate: remembered.certificate,
        ca: recall_ca(remembered.ca, config)?,
        credential: remembered
            .credential
            .map(|credential| recall_credential(credential, config))
            .transpose()?,
        csr,
        pre_authorize: remembered.pre_authorize,
        timeout: Duration::from_secs(remembered.timeout_seconds),
        from_file: false,
    })
}

/// What is remembered of a CA, over what its table says now.
fn recall_ca(known: RememberedCa, config: &Config) -> Result<CaConfig, String> {
    let directory = parse_directory(&known.directory)?;
    let tables = || config.cas.iter().filter(|ca| ca.directory == directory);
    let table = tables().find(|ca| ca.name == known.name).or_else(|| tables().next()).cloned();
    let table = table.unwrap_or_else(|| CaConfig::new(known.name, directory));
    let proxy = known.proxy.map(|text| parse_proxy(&text)).transpose()?;
    Ok(CaConfig {
        ca_bundle: known.ca_bundle.or(table.ca_bundle),
        proxy: proxy.or(table.proxy),
        contact: if known.contact.is_empty() { table.contact } else { known.contact },
        agree_tos: known.agree_tos || table.agree_tos,
        ..table
    })
}

fn recall_credential(remembered: RememberedCredential, config: &Config) -> Result<Chosen, String> {
    match remembered {
        RememberedCredential::Table(name) => {
            let table = config.credentials.iter().find(|credential| credential.name.as_str() == name);
            let config = table.cloned().ok_or_else(|| format!("there is no [dns.{name}] any more"))?;
            Ok(Chosen { config, is_table: true })
        }
        RememberedCredential::Environment(environment) => {
            Ok(Chosen { config: from_environment(environment)?, is_table: false })
        }
    }
}

fn from_environment(remembered: Environment) -> Result<CredentialConfig, String> {
    let plugin = PLUGINS.iter().find(|plugin| plugin.name == remembered.provider);
    let plugin = *plugin.ok_or_else(|| format!("no provider is called `{}`", remembered.provider))?;
    let serde_json::Value::Object(settings) = remembered.settings else {
        return Err("the provider's settings are no table".to_owned());
    };
    let zones = remembered.zones.into_iter().map(recall_zone);
    let aliases = remembered.aliases.into_iter().map(|(from, to)| {
        let parsed = |text: &str| Fqdn::parse(text).map_err(|error| error.to_string());
        Ok((parsed(&from)?, parsed(&to)?))
    });
    Ok(CredentialConfig {
        name: CredentialName::parse(&remembered.name).map_err(|error| error.to_string())?,
        plugin,
        zones: zones.collect::<Result<_, String>>()?,
        settings: Settings::new(settings),
        ttl: remembered.ttl,
        // A version before this one knew of no such thing.
        propagation: remembered
            .propagation
            .map_or(Ok(PropagationConfig::default()), RememberedPropagation::recall)?,
        aliases: aliases.collect::<Result<_, String>>()?,
    })
}

fn recall_zone(zone: RememberedZone) -> Result<ZoneConfig, String> {
    Ok(ZoneConfig {
        multi_provider: false,
        zone: Zone { name: zone.name, id: zone.id },
        name_servers: zone.name_servers,
        resolvers: recalled(zone.resolvers)?,
        propagation: zone.propagation.recall()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_core::config::{ConfigError, Flags, Sources};
    use jiff::Timestamp;

    fn config(text: &str) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dns01.toml");
        std::fs::write(&file, text).unwrap();
        let state_dir = directory.path();
        Config::load(&Sources { file: Some(&file), state_dir, flags: &Flags::default(), plugins: PLUGINS })
    }

    const FILE: &str = r#"
        [dns.lab]
        provider = "rfc2136"
        zones = ["example.test"]
        server = "192.0.2.53"
        tsig = { name = "key.", secret = { literal = "czNjcjN0LXQwa2Vu" } }
        [[certificate]]
        domains = ["example.test"]
    "#;

    fn stored(request: String) -> Certificate {
        Certificate {
            name: "example.test".to_owned(),
            names: Vec::new(),
            request,
            created: Timestamp::UNIX_EPOCH,
            current: None,
            renewal: None,
            failure: None,
        }
    }

    fn wanted(config: &Config, credential: Option<Chosen>) -> Wanted {
        let mut wanted = crate::wanted::from_file(config).unwrap().remove(0);
        wanted.from_file = false;
        wanted.credential = credential;
        wanted
    }

    #[test]
    fn what_flags_asked_for_is_recalled_whole() {
        let config = config(FILE).unwrap();
        let mut settings = config.credentials[0].clone();
        settings.settings = Settings::default().with("server", "192.0.2.53").with(
            "tsig",
            serde_json::json!({
                "name": "key.", "secret": { "env": "RFC2136_TSIG_SECRET" },
            }),
        );
        settings.ttl = Some(30);
        settings.propagation.quorum = Quorum::All;
        let resolver = Resolver::parse("https://dns.example.net/dns-query").unwrap();
        settings.zones[0].propagation = PropagationSettings {
            check: Some(CheckWord::Recursive),
            wait: Some(Duration::from_millis(1500)),
            resolvers: Some(vec![resolver.with_ca_bundle(Some("/etc/dns.pem".into()))]),
            ..PropagationSettings::default()
        }
        .finish()
        .unwrap();
        let [name, target] =
            ["_acme-challenge.a.test", "a.example.test"].map(|name| Fqdn::parse(name).unwrap());
        settings.aliases.insert(name, target);
        let asked = wanted(&config, Some(Chosen { config: settings, is_table: false }));
        let recalled = recall(&stored(remember(&asked)), &config).unwrap().unwrap();
        assert_eq!(recalled.certificate, asked.certificate);
        assert_eq!(recalled.ca.directory, asked.ca.directory);
        assert_eq!(recalled.timeout, asked.timeout);
        let credential = recalled.credential.unwrap();
        let asked = asked.credential.unwrap().config;
        assert_eq!(credential.config.zones, asked.zones);
        assert_eq!(credential.config.aliases, asked.aliases);
        assert_eq!(credential.config.ttl, Some(30));
        assert_eq!(credential.config.propagation.quorum, Quorum::All);
        let settings: serde_json::Value = credential.config.settings.parse().unwrap();
        assert_eq!(settings["tsig"]["secret"]["env"], "RFC2136_TSIG_SECRET");
    }

    #[test]
    fn a_table_of_the_file_is_remembered_by_its_name_and_not_by_its_secret() {
        let config = config(FILE).unwrap();
        let asked = wanted(&config, Some(Chosen { config: config.credentials[0].clone(), is_table: true }));
        let text = remember(&asked);
        assert!(!text.contains("czNjcjN0LXQwa2Vu"), "{text}");
        let recalled = recall(&stored(text.clone()), &config).unwrap().unwrap();
        assert_eq!(recalled.credential.unwrap().config.name.as_str(), "lab");
        let mut without = config;
        without.credentials.clear();
        let failure = recall(&stored(text), &without).unwrap_err();
        assert_eq!(
            failure.message,
            "what is remembered of `example.test` makes no sense here: there is no [dns.lab] any more"
        );
    }

    #[test]
    fn what_is_remembered_of_a_ca_stands_above_its_table_which_says_the_rest() {
        let table = |name: &str, profile: &str| {
            format!(
                "[ca.{name}]\ndirectory = \"https://ca.test/dir\"\nprofile = \"{profile}\"\n\
                 preferred_chain = \"Root\"\naccount_key = \"ec384\"\n\
                 eab = {{ kid = \"{name}\", hmac_key = {{ env = \"KEY\" }} }}\n"
            )
        };
        let config = config(&[FILE, &table("long", "usual"), &table("lab", "short")].concat()).unwrap();
        let mut asked = wanted(&config, None);
        asked.ca = config.ca(&CaName::new("lab")).unwrap();
        asked.ca.contact = vec!["mailto:ops@example.test".to_owned()];
        let recalled = recall(&stored(remember(&asked)), &config).unwrap().unwrap();
        assert_eq!(recalled.ca, asked.ca);
        asked.ca.name = CaName::new("gone");
        let recalled = recall(&stored(remember(&asked)), &config).unwrap().unwrap();
        assert!(recalled.ca.eab.is_some(), "another table for the same directory does");
    }

    #[test]
    fn what_the_file_wants_is_left_to_the_file() {
        let config = config(FILE).unwrap();
        let mut asked = wanted(&config, None);
        asked.from_file = true;
        assert!(recall(&stored(remember(&asked)), &config).unwrap().is_none());
    }
}

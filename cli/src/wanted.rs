//! Certificates that are wanted: from flags, from the file, or remembered from flags.

use crate::args::{AuthorityArguments, CredentialArguments, IssueArguments};
use crate::errors::{Failure, Failures};
use crate::program::absolute;
use crate::propagation::{override_propagation, read_aliases};
use crate::providers::PLUGINS;
use dns01_core::acme::{ChallengeType, PRESETS, Preset};
use dns01_core::config::{
    CaConfig, CaName, CertificateConfig, CertificateName, Config, CredentialConfig, Domain, EabConfig,
    Mistake, MistakeKind, PropagationConfig, ZoneConfig, certificate, nearest, parse_contact,
    parse_directory, parse_duration, parse_proxy, parse_server,
};
use dns01_core::keys::{CertificateRequest, KeyType};
use dns01_provider::{CredentialName, Environment, Plugin, SecretRef, Settings, Zone, ZoneName};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A certificate that is wanted, with all that is needed to obtain it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) certificate: CertificateConfig,
    pub(crate) ca: CaConfig,
    /// The credential it was asked for with; else all those of the file.
    pub(crate) credential: Option<Chosen>,
    pub(crate) csr: Option<CertificateRequest>,
    pub(crate) pre_authorize: bool,
    pub(crate) timeout: Duration,
    /// True if the file wants it, not a flag.
    pub(crate) from_file: bool,
}

impl Wanted {
    /// What flags said of the credential it was asked for with.
    pub(crate) fn credential(&self) -> Option<&CredentialConfig> {
        self.credential.as_ref().map(|chosen| &chosen.config)
    }
}

/// A credential that was named by a flag.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) config: CredentialConfig,
    /// True for a table of the file, false for settings from the environment.
    pub(crate) is_table: bool,
}

/// Every certificate of the file.
pub(crate) fn from_file(config: &Config) -> Result<Vec<Wanted>, Failures> {
    let wanted = config.certificates.iter().map(|certificate| {
        let ca = certificate.cas.first().expect("a certificate has at least one CA");
        Ok(Wanted {
            ca: config.ca(ca).map_err(Failure::from)?,
            certificate: certificate.clone(),
            credential: None,
            csr: None,
            pre_authorize: false,
            timeout: config.defaults.timeout,
            from_file: true,
        })
    });
    wanted.collect::<Result<_, Failure>>().map_err(Failures::from)
}

/// The certificate that the flags of `issue` describe.
pub(crate) fn from_flags(
    arguments: &IssueArguments,
    ca_bundle: Option<&Path>,
    config: &Config,
) -> Result<Wanted, Failures> {
    let csr = arguments.csr.as_deref().map(read_request).transpose()?;
    let texts: Vec<String> = match &csr {
        Some(csr) if arguments.domains.is_empty() => csr.names().to_vec(),
        _ => arguments.domains.clone(),
    };
    let domains = domains(&texts)?;
    if let Some(csr) = &csr {
        same_names(csr, &domains)?;
    }
    let ca = authority(&arguments.authority, config)?;
    let name = match &arguments.certificate_name {
        Some(name) => flag("--cert-name", name, CertificateName::parse)
            .map_err(|failure| failure.with_hint("it names a directory below `live`, as `shop` does"))?,
        None => CertificateName::of(
            domains.first().ok_or_else(|| Failure::usage("usage-value", "the request names no domain"))?,
        ),
    };
    let key = match &arguments.key_type {
        Some(text) => flag("--key-type", text, str::parse::<KeyType>)?,
        None => config.defaults.key,
    };
    let challenge = match &arguments.challenge {
        Some(text) => flag("--challenge", text, challenge)?,
        None => config.defaults.challenge,
    };
    let timeout = match &arguments.timeout {
        Some(text) => flag("--timeout", text, parse_duration)?,
        None => config.defaults.timeout,
    };
    Ok(Wanted {
        certificate: CertificateConfig {
            name,
            domains,
            cas: vec![ca.name.clone()],
            key,
            reuse_key: arguments.reuse_key,
            profile: arguments.profile.clone(),
            challenge,
            preferred_chain: arguments.preferred_chain.clone(),
        },
        ca,
        credential: credential(&arguments.credential, ca_bundle, config)?,
        csr,
        pre_authorize: arguments.pre_authorize,
        timeout,
        from_file: false,
    })
}

/// The warnings that the file's own certificates get when it is read.
pub(crate) fn warnings(wanted: &Wanted) -> Vec<Mistake> {
    let redundant = certificate::redundant(&wanted.certificate.domains).into_iter();
    redundant.map(|(covered, wildcard)| certificate::redundant_name(covered, wildcard)).collect()
}

/// The domains that people typed; each once.
pub(crate) fn domains(texts: &[String]) -> Result<Vec<Domain>, Failures> {
    let mut domains = Vec::with_capacity(texts.len());
    let mut failures = Vec::new();
    for text in texts {
        match Domain::parse(text) {
            Ok(domain) if domains.contains(&domain) => {}
            Ok(domain) => domains.push(domain),
            Err(error) => {
                let mistake = Mistake::new(MistakeKind::Domain, error.to_string()).with_hint(error.hint());
                failures.push(Failure::from(mistake));
            }
        }
    }
    if failures.is_empty() { Ok(domains) } else { Err(Failures(failures)) }
}

fn read_request(path: &Path) -> Result<CertificateRequest, Failure> {
    let content = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    CertificateRequest::parse(&content)
        .map_err(|error| Failure::usage("usage-request", format!("`{}`: {error}", path.display())))
}

/// A file named on the command line that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let mut failure = Failure::usage("usage-file", format!("`{}` cannot be read", path.display()));
    failure.causes = vec![error.to_string()];
    failure
}

fn same_names(csr: &CertificateRequest, domains: &[Domain]) -> Result<(), Failure> {
    let mut asked: Vec<String> = domains.iter().map(ToString::to_string).collect();
    let mut requested = csr.names().to_vec();
    asked.sort();
    requested.sort();
    if asked == requested {
        return Ok(());
    }
    Err(Failure::usage("usage-request", "the request has other names than -d")
        .with_hint(format!("leave -d out to take those of the request: {}", requested.join(", "))))
}

/// `text` of the flag `name` through `parse`.
pub(crate) fn flag<T, E: Display>(
    name: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    parse(text).map_err(|error| Failure::usage("usage-value", format!("{name}: {error}")))
}

fn challenge(text: &str) -> Result<ChallengeType, String> {
    let found = ChallengeType::ALL.into_iter().find(|challenge| challenge.as_str() == text);
    found.ok_or_else(|| {
        let all = ChallengeType::ALL.map(ChallengeType::as_str).join(", ");
        format!("`{text}` is not one of {all}")
    })
}

/// The CA that the flags name, with what they say of it over what the file says.
pub(crate) fn authority(arguments: &AuthorityArguments, config: &Config) -> Result<CaConfig, Failure> {
    let ca = match &arguments.server {
        _ if arguments.staging => config.ca(&CaName::new("letsencrypt-staging"))?,
        Some(text) if text.contains("://") => by_directory(config, flag("--server", text, parse_directory)?),
        Some(name) => config.ca(&CaName::new(name.as_str()))?,
        None => config.ca(config.defaults.cas.first().expect("there is a default CA"))?,
    };
    with_flags(arguments, ca)
}

/// The CA that a certificate came from, with what the flags say of it over what is
/// `remembered` of it, and this over what the file says.
pub(crate) fn authority_of(
    arguments: &AuthorityArguments,
    config: &Config,
    directory: &str,
    remembered: Option<CaConfig>,
) -> Result<CaConfig, Failure> {
    let directory = flag("the stored CA", directory, parse_directory)?;
    let remembered = remembered.filter(|ca| ca.directory == directory);
    with_flags(arguments, remembered.unwrap_or_else(|| by_directory(config, directory)))
}

fn with_flags(arguments: &AuthorityArguments, mut ca: CaConfig) -> Result<CaConfig, Failure> {
    if let Some(path) = &arguments.ca_bundle {
        // Found out before anything is opened, as every mistake of the command line is.
        std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
        ca.ca_bundle = Some(absolute(path));
    }
    if let Some(text) = &arguments.proxy {
        let proxy = flag("--proxy", text, parse_proxy)?;
        if proxy.password().is_some() {
            let message = "--proxy: a password does not belong on a command line";
            return Err(Failure::usage("usage-value", message)
                .with_hint("set `HTTPS_PROXY`, or `proxy` in the CA's table of the configuration"));
        }
        ca.proxy = Some(proxy);
    }
    if !arguments.email.is_empty() {
        let contact = arguments.email.iter().map(|text| flag("--email", text, parse_contact));
        ca.contact = contact.collect::<Result<_, _>>()?;
    }
    if let (Some(kid), Some(path)) = (&arguments.eab_kid, &arguments.eab_hmac_key_file) {
        ca.eab = Some(EabConfig { kid: kid.clone(), hmac_key: SecretRef::File(absolute(path)) });
    }
    if let Some(text) = &arguments.account_key_type {
        ca.account_key = flag("--account-key-type", text, account_key)?;
    }
    ca.agree_tos |= arguments.agree_tos;
    Ok(ca)
}

fn account_key(text: &str) -> Result<KeyType, String> {
    match text {
        "es256" => Ok(KeyType::Ec256),
        "es384" => Ok(KeyType::Ec384),
        "rs256" => Ok(KeyType::Rsa2048),
        _ => text.parse::<KeyType>().map_err(|error| error.to_string()),
    }
}

/// The CA of the file, or the preset, with this directory; else one named after its host.
fn by_directory(config: &Config, directory: Url) -> CaConfig {
    let configured = config.cas.iter().find(|ca| ca.directory == directory).cloned();
    let preset = PRESETS.iter().find(|preset| preset.directory == directory.as_str());
    configured.or_else(|| CaConfig::preset(preset?.name)).unwrap_or_else(|| {
        let host = directory.host_str().unwrap_or("ca");
        let name = directory.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        CaConfig::new(CaName::new(name), directory)
    })
}

/// The CA that stands in for `ca` in a trial.
pub(crate) fn staging_of(ca: &CaConfig) -> Result<CaConfig, Failure> {
    let preset = PRESETS.iter().find(|preset| preset.directory == ca.directory.as_str());
    let staging = match preset {
        // What is a staging environment already needs no other.
        Some(preset) if preset.name.ends_with("-staging") => return Ok(ca.clone()),
        Some(preset) => preset.staging.and_then(CaConfig::preset),
        None => None,
    };
    let staging = staging.ok_or_else(|| {
        let all = PRESETS.iter().filter(|preset| preset.staging.is_some());
        let all: Vec<&str> = all.map(|preset: &Preset| preset.name).collect();
        Failure::usage(
            "usage-no-staging",
            format!("`{}` has no staging environment that is known here", ca.name),
        )
        .with_hint(format!("--dry-run works with {}", all.join(", ")))
    })?;
    Ok(CaConfig { contact: ca.contact.clone(), agree_tos: ca.agree_tos, proxy: ca.proxy.clone(), ..staging })
}

/// The credential that the flags name: a table of the file, or a provider with its settings in
/// the environment. Resolvers that flags name are trusted by `ca_bundle`.
pub(crate) fn credential(
    arguments: &CredentialArguments,
    ca_bundle: Option<&Path>,
    config: &Config,
) -> Result<Option<Chosen>, Failures> {
    let chosen = chosen(arguments, ca_bundle, config, from_environment)?;
    if let Some(chosen) = &chosen {
        // Found out before anything is opened, as every mistake of the command line is.
        config.build_provider(&chosen.config).map_err(Failure::from)?;
    }
    Ok(chosen)
}

/// The same for a credential that need not exist yet: the environment may lack its settings.
pub(crate) fn credential_to_be(
    arguments: &CredentialArguments,
    ca_bundle: Option<&Path>,
    config: &Config,
) -> Result<Option<Chosen>, Failures> {
    chosen(arguments, ca_bundle, config, |name, config| match from_environment(name, config) {
        Err(failure) if failure.id == "usage-environment" => of_plugin(name, config, Settings::default()),
        found => found,
    })
}

fn chosen(
    arguments: &CredentialArguments,
    ca_bundle: Option<&Path>,
    config: &Config,
    from_environment: impl Fn(&str, &Config) -> Result<CredentialConfig, Failure>,
) -> Result<Option<Chosen>, Failures> {
    let Some(name) = &arguments.dns else {
        if config.credentials.is_empty() {
            let failure = Failure::usage("usage-no-credential", "no DNS provider is named")
                .with_hint(format!("name one with --dns ({}), or write a [dns.*] table", plugin_names()));
            return Err(failure.into());
        }
        return Ok(None);
    };
    let configured = config.credentials.iter().find(|credential| credential.name.as_str() == name);
    let is_table = configured.is_some();
    let mut credential = match configured {
        Some(credential) => credential.clone(),
        None => from_environment(name, config)?,
    };
    let name_servers = arguments.name_servers.iter();
    let name_servers =
        name_servers.map(|text| flag("--name-server", text, parse_server)).collect::<Result<Vec<_>, _>>()?;
    if !arguments.zones.is_empty() {
        credential.zones = arguments
            .zones
            .iter()
            .map(|text| {
                flag("--zone", text, zone)
                    .map(|zone| ZoneConfig { name_servers: name_servers.clone(), ..zone })
            })
            .collect::<Result<_, _>>()?;
    }
    credential.ttl = arguments.ttl.or(credential.ttl);
    override_propagation(arguments, ca_bundle, &mut credential)?;
    read_aliases(arguments, &mut credential)?;
    Ok(Some(Chosen { config: credential, is_table }))
}

fn from_environment(name: &str, config: &Config) -> Result<CredentialConfig, Failure> {
    let plugin = plugin(name, config)?;
    let look_up = |name: &str| std::env::var(name).ok();
    let settings = (plugin.from_environment)(&Environment::new(&look_up)).map_err(|error| {
        let failure = Failure::usage("usage-environment", format!("--dns {name}: {}", error.message));
        Failure { hint: error.hint, ..failure }
    })?;
    of_plugin(name, config, settings)
}

fn of_plugin(name: &str, config: &Config, settings: Settings) -> Result<CredentialConfig, Failure> {
    let plugin = plugin(name, config)?;
    let name =
        CredentialName::parse(name).map_err(|error| Failure::usage("usage-value", error.to_string()))?;
    Ok(CredentialConfig {
        name,
        plugin: *plugin,
        zones: Vec::new(),
        settings,
        ttl: None,
        propagation: PropagationConfig::default(),
        aliases: BTreeMap::new(),
    })
}

fn plugin(name: &str, config: &Config) -> Result<&'static Plugin, Failure> {
    PLUGINS.iter().find(|plugin| plugin.name == name).ok_or_else(|| {
        let tables = config.credentials.iter().map(|credential| credential.name.as_str());
        let known = tables.chain(PLUGINS.iter().map(|plugin| plugin.name));
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this program has {}", plugin_names()),
        };
        let message = format!("no provider and no [dns.*] table is called `{name}`");
        Failure::usage("usage-no-provider", message).with_hint(hint)
    })
}

fn plugin_names() -> String {
    PLUGINS.iter().map(|plugin| plugin.name).collect::<Vec<_>>().join(", ")
}

fn zone(text: &str) -> Result<ZoneConfig, String> {
    let (name, id) = match text.split_once('=') {
        Some((name, id)) => (name, Some(id.to_owned())),
        None => (text, None),
    };
    let name = ZoneName::parse(name).map_err(|error| error.to_string())?;
    Ok(ZoneConfig::new(Zone { name, id }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_core::config::{Flags, Quorum, Sources};
    use dns01_core::dns::CheckMode;

    fn config(text: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dns01.toml");
        std::fs::write(&file, text).unwrap();
        let state_dir = directory.path();
        Config::load(&Sources { file: Some(&file), state_dir, flags: &Flags::default(), plugins: PLUGINS })
            .unwrap()
    }

    const FILE: &str = r#"
        [ca.private]
        directory = "https://ca.example.net/dir"
        contact = "ops@example.com"
        [dns.lab]
        provider = "rfc2136"
        zones = ["example.test"]
        server = "192.0.2.53"
        propagation = { timeout = "1m", quorum = 2 }
    "#;

    fn server(name: &str) -> AuthorityArguments {
        AuthorityArguments { server: Some(name.to_owned()), ..AuthorityArguments::default() }
    }

    #[test]
    fn a_ca_is_found_by_name_and_by_address() {
        let config = config(FILE);
        let found = |arguments: &AuthorityArguments| authority(arguments, &config).unwrap();
        assert_eq!(found(&AuthorityArguments::default()).name.as_str(), "letsencrypt");
        assert_eq!(found(&server("private")).contact, ["mailto:ops@example.com"]);
        assert_eq!(found(&server("https://ca.example.net/dir")).name.as_str(), "private");
        let address = "https://acme-staging-v02.api.letsencrypt.org/directory";
        assert_eq!(found(&server(address)).name.as_str(), "letsencrypt-staging");
        assert_eq!(found(&server("https://127.0.0.1:14000/dir")).name.as_str(), "127.0.0.1:14000");
        let failure = authority(&server("zerosl"), &config).unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("did you mean `zerossl`?"));
    }

    #[test]
    fn flags_stand_above_what_the_file_says_of_a_ca() {
        let flags = AuthorityArguments {
            email: vec!["new@example.com".to_owned()],
            account_key_type: Some("rs256".to_owned()),
            agree_tos: true,
            ..server("private")
        };
        let ca = authority(&flags, &config(FILE)).unwrap();
        assert_eq!(ca.contact, ["mailto:new@example.com"]);
        assert_eq!(ca.account_key, KeyType::Rsa2048);
        assert!(ca.agree_tos);
        let wrong = AuthorityArguments { email: vec!["nobody".to_owned()], ..server("private") };
        let failure = authority(&wrong, &config(FILE)).unwrap_err();
        assert_eq!(failure.message, "--email: `nobody` is not an e-mail address");
    }

    #[test]
    fn a_trial_uses_the_staging_environment_or_is_refused() {
        let preset = |name| CaConfig::preset(name).unwrap();
        let trial = |name| staging_of(&preset(name)).map(|ca| ca.name.to_string());
        assert_eq!(trial("letsencrypt").unwrap(), "letsencrypt-staging");
        assert_eq!(trial("google-staging").unwrap(), "google-staging");
        assert_eq!(trial("zerossl").unwrap_err().id, "usage-no-staging");
    }

    #[test]
    fn a_credential_is_a_table_first_and_flags_change_it_for_this_time() {
        let config = config(FILE);
        let arguments = CredentialArguments {
            dns: Some("lab".to_owned()),
            quorum: Some("all".to_owned()),
            ..CredentialArguments::default()
        };
        let chosen = credential(&arguments, None, &config).unwrap().unwrap();
        assert!(chosen.is_table);
        let propagation = &chosen.config.zones[0].propagation;
        assert_eq!(propagation.quorum, Quorum::All);
        assert_eq!(propagation.timeout, Duration::from_secs(60));
        let zones = CredentialArguments { zones: vec!["a.test=Z1".to_owned()], ..arguments };
        let chosen = credential(&zones, None, &config).unwrap().unwrap();
        assert_eq!(chosen.config.zones[0].zone.id.as_deref(), Some("Z1"));
        assert!(credential(&CredentialArguments::default(), None, &config).unwrap().is_none());
    }

    #[test]
    fn flags_choose_the_check_mode_and_say_what_it_lacks() {
        let config = config(FILE);
        let lab = || CredentialArguments { dns: Some("lab".to_owned()), ..CredentialArguments::default() };
        let check = |arguments: &CredentialArguments| {
            let chosen = credential(arguments, None, &config).map(Option::unwrap);
            chosen.map(|chosen| chosen.config.zones[0].propagation.clone())
        };
        let text = |text: &str| Some(text.to_owned());
        let wait = CredentialArguments { propagation_wait: text("30s"), ..lab() };
        let waiting = check(&wait).unwrap();
        assert_eq!((waiting.check, waiting.wait), (CheckMode::Unwatched, Duration::from_secs(30)));
        let resolvers = CredentialArguments {
            propagation_check: text("recursive"),
            propagation_resolvers: vec!["https://dns.example.net/dns-query".to_owned()],
            settle: text("5s"),
            ..lab()
        };
        let recursive = check(&resolvers).unwrap();
        assert!(matches!(&recursive.check, CheckMode::Recursive(resolvers) if resolvers.len() == 1));
        assert_eq!((recursive.settle.as_secs(), recursive.timeout.as_secs()), (5, 60));
        for (wrong, words) in [
            (CredentialArguments { propagation_check: text("recursive"), ..lab() }, "needs resolvers"),
            (CredentialArguments { propagation_check: text("none"), ..lab() }, "needs a time"),
            (CredentialArguments { propagation_check: text("maybe"), ..lab() }, "is not one of"),
            (CredentialArguments { propagation_check: text("provider"), ..resolvers }, "only the check"),
            (
                CredentialArguments { aliases: vec!["a.test=b.example.test".to_owned()], ..lab() },
                "did you mean",
            ),
            (
                CredentialArguments { aliases: vec!["_a.a.test=b.test".to_owned()], ..lab() },
                "none of the zones",
            ),
        ] {
            let failures = check(&wrong).unwrap_err();
            assert!(failures.0[0].message.contains(words), "{:?}", failures.0[0]);
        }
        let alias = CredentialArguments { aliases: vec!["_a.a.test=b.example.test".to_owned()], ..lab() };
        assert_eq!(credential(&alias, None, &config).unwrap().unwrap().config.aliases.len(), 1);
    }

    #[test]
    fn every_domain_that_cannot_be_proved_is_told() {
        let texts = ["a.test", "192.0.2.1", "A.test.", "x@y.test"].map(str::to_owned);
        let failures = domains(&texts).unwrap_err();
        let ids: Vec<&str> = failures.0.iter().map(|failure| failure.id).collect();
        assert_eq!(ids, ["config-domain", "config-domain"]);
        let names = domains(&["a.test".to_owned(), "A.test.".to_owned()]).unwrap();
        assert_eq!(names.len(), 1, "a name is taken once, however it is written");
    }
}

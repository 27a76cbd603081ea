//! The credential that is wanted: a table of the file, or a provider with its settings in the
//! environment.

use super::flag;
use crate::args::CredentialArguments;
use crate::errors::{Failure, Failures};
use crate::propagation::{override_propagation, read_aliases};
use crate::providers::{PLUGINS, meant};
use dns01_core::config::{Config, CredentialConfig, PropagationConfig, ZoneConfig, parse_server};
use dns01_provider::{CredentialName, Environment, Plugin, Settings, Zone, ZoneName};
use std::collections::BTreeMap;
use std::path::Path;

/// A credential that was named by a flag.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) config: CredentialConfig,
    /// True for a table of the file, false for settings from the environment.
    pub(crate) is_table: bool,
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
    let environment = Environment::new(&look_up);
    let settings = (plugin.from_environment)(&environment);
    let settings = settings.and_then(|settings| environment.checked(settings)).map_err(|error| {
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
        let hint = match meant(name, known) {
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
    use crate::wanted::tests::{FILE, config};
    use dns01_core::config::Quorum;
    use dns01_core::dns::CheckMode;
    use std::time::Duration;

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
}

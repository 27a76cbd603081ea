//! The CA that is wanted: from flags, from the file, or a preset.

use super::{flag, unreadable};
use crate::args::AuthorityArguments;
use crate::errors::Failure;
use crate::program::absolute;
use dns01_core::acme::{PRESETS, Preset};
use dns01_core::config::{CaConfig, CaName, Config, EabConfig, parse_contact, parse_directory, parse_proxy};
use dns01_core::keys::KeyType;
use dns01_provider::SecretRef;
use url::Url;

/// The CA that the flags name, with what they say of it over what the file says.
pub(crate) fn authority(arguments: &AuthorityArguments, config: &Config) -> Result<CaConfig, Failure> {
    let ca = match &arguments.server {
        _ if arguments.staging => config.ca(&CaName::new("letsencrypt-staging"))?,
        Some(text) if text.contains("://") => by_directory(config, flag("--server", text, parse_directory)?),
        Some(name) => config.ca(&CaName::new(name.as_str())).map_err(|mistake| match name.as_str() {
            "staging" => mistake.with_hint("did you mean `--staging`?".to_owned()),
            _ => mistake,
        })?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wanted::tests::{FILE, config};

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
}

//! Settings: raw as written, then checked once.

use dns01_provider::http::HttpClient;
use dns01_provider::{Environment, Settings, SettingsError, plugin};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The time one request may take unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server; requests are relative to its address.
    pub client: HttpClient,
    /// The server's address, as storages name it.
    pub url: String,
    /// The file that holds the accounts.
    pub storage: PathBuf,
    /// Whether an account is made for a name that has none.
    pub register: bool,
    /// Where a new account may be used from, as CIDRs; empty is everywhere.
    pub allow_from: Vec<String>,
    /// The time that one request may take.
    pub timeout: Duration,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        if raw.storage.file_name().is_none() {
            return Err(SettingsError::new(Some("storage"), "no file is named")
                .with_hint("name a JSON file: accounts that lego or dns01 registered are kept there"));
        }
        if let Some(odd) = raw.allow_from.iter().find(|entry| !entry.contains('/')) {
            return Err(SettingsError::new(Some("allow_from"), format!("`{odd}` is no network"))
                .with_hint("write it as `192.0.2.0/24`, or `192.0.2.7/32` for one address"));
        }
        let timeout = plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?;
        let client = HttpClient::builder(&raw.url).map_err(|error| error.at("url"))?;
        Ok(Self {
            client: client.timeout(timeout).ca_bundle(raw.ca_bundle).build(),
            url: raw.url,
            storage: raw.storage,
            register: raw.register,
            allow_from: raw.allow_from,
            timeout,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    storage: PathBuf,
    #[serde(default)]
    register: bool,
    #[serde(default)]
    allow_from: Vec<String>,
    ca_bundle: Option<PathBuf>,
    timeout: Option<jiff::SignedDuration>,
}

const URL: &str = "ACME_DNS_API_BASE";
const STORAGE: &str = "ACME_DNS_STORAGE_PATH";
const ALLOW_FROM: &str = "ACME_DNS_ALLOWLIST";

/// The settings that the environment names of lego stand for. Like lego, this registers.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let missing = |what, name| SettingsError::not_in_environment("acme-dns", what, name);
    let url = environment.first(&[URL]).ok_or_else(|| missing("address", URL))?;
    let storage = environment.first(&[STORAGE]).ok_or_else(|| missing("file of accounts", STORAGE))?;
    let networks: Vec<String> = environment
        .first(&[ALLOW_FROM])
        .iter()
        .flat_map(|list| list.split(','))
        .map(|entry| entry.trim().to_owned())
        .filter(|entry| !entry.is_empty())
        .collect();
    let settings = Settings::default().with("url", url).with("storage", storage).with("register", true);
    Ok(if networks.is_empty() { settings } else { settings.with("allow_from", networks) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn nothing_is_registered_unless_the_table_says_so() {
        let table = json!({ "url": "https://auth.example.net", "storage": "/var/lib/a.json" });
        assert!(!config(table).unwrap().register);
        let table = json!({
            "url": "https://auth.example.net", "storage": "/var/lib/a.json", "register": true,
            "allow_from": ["192.0.2.0/24"], "timeout": "5s",
        });
        let config = config(table).unwrap();
        assert!(config.register);
        assert_eq!(config.timeout, Duration::from_secs(5));
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        assert_eq!(key(json!({ "url": "auth.test", "storage": "a" })).as_deref(), Some("url"));
        assert_eq!(key(json!({ "url": "https://a.test", "storage": "" })).as_deref(), Some("storage"));
        let network = json!({ "url": "https://a.test", "storage": "a", "allow_from": ["192.0.2.1"] });
        assert_eq!(key(network).as_deref(), Some("allow_from"));
        let timeout = json!({ "url": "https://a.test", "storage": "a", "timeout": "0s" });
        assert_eq!(key(timeout).as_deref(), Some("timeout"));
    }

    #[test]
    fn the_environment_names_of_lego_work_and_register_as_lego_does() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set)).and_then(Config::new);
        let (base, path) = (("ACME_DNS_API_BASE", "https://a.test"), ("ACME_DNS_STORAGE_PATH", "a.json"));
        let config = from(&[base, path, ("ACME_DNS_ALLOWLIST", "192.0.2.0/24, 2001:db8::/32")]).unwrap();
        assert!(config.register);
        assert_eq!(config.allow_from, ["192.0.2.0/24", "2001:db8::/32"]);
        for incomplete in [&[base][..], &[path][..]] {
            assert!(from(incomplete).unwrap_err().hint.is_some(), "{incomplete:?}");
        }
    }
}

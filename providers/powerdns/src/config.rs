//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient, is_segment};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError, plugin};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The time one call may take unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// What a PowerDNS server calls itself; proxies before several servers have other names.
const DEFAULT_SERVER_ID: &str = "localhost";
/// A zone is sometimes read whole, with everybody's records.
const LARGEST_ZONE: usize = 16 * 1024 * 1024;
/// The version of the API that is spoken, as a path.
const API_PATH: &str = "/api/v1";

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's API, with its key; requests are relative to `…/api/v1/servers/<id>/`.
    pub client: HttpClient,
    /// The time that one call (reading, writing and reading again) may take.
    pub timeout: Duration,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let timeout = plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?;
        let id = raw.server_id.as_deref().unwrap_or(DEFAULT_SERVER_ID);
        if !is_segment(id, "-_.") {
            return Err(SettingsError::new(Some("server_id"), format!("`{id}` is not a server id"))
                .with_hint("leave it out unless a proxy stands before several servers"));
        }
        let root = raw.url.trim_end_matches('/');
        let root = root.strip_suffix(API_PATH).unwrap_or(root);
        let client = HttpClient::builder(&format!("{root}{API_PATH}/servers/{id}/"))
            .map_err(|error| error.at("url"))?
            .credentials(Credentials::header("x-api-key", raw.api_key))
            .body_cap(LARGEST_ZONE)
            .timeout(timeout)
            .ca_bundle(raw.ca_bundle);
        Ok(Self { client: client.build(), timeout })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    api_key: SecretRef,
    server_id: Option<String>,
    ca_bundle: Option<PathBuf>,
    timeout: Option<jiff::SignedDuration>,
}

const URL: &str = "PDNS_API_URL";
const KEY: &str = "PDNS_API_KEY";
const SERVER_ID: &str = "PDNS_SERVER_NAME";

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let missing = |what, name| SettingsError::not_in_environment("powerdns", what, name);
    let url = environment.first(&[URL]).ok_or_else(|| missing("address", URL))?;
    let key = environment.secret(&[KEY]).ok_or_else(|| missing("key", KEY))?;
    Ok(Settings::default()
        .with("url", url)
        .with("api_key", key)
        .with_optional("server_id", environment.first(&[SERVER_ID])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn the_address_may_end_before_or_with_the_version_of_the_api() {
        for url in ["http://pdns.test:8081", "http://pdns.test:8081/", "http://pdns.test:8081/api/v1/"] {
            let config = config(json!({ "url": url, "api_key": { "env": "X" } })).unwrap();
            let shown = format!("{:?}", config.client);
            assert!(shown.contains("http://pdns.test:8081/api/v1/servers/localhost/"), "{shown}");
        }
        let behind = json!({ "url": "https://a.test/pdns", "api_key": { "env": "X" }, "server_id": "ns-1" });
        let shown = format!("{:?}", config(behind).unwrap());
        assert!(shown.contains("https://a.test/pdns/api/v1/servers/ns-1/"), "{shown}");
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        let secret = json!({ "env": "X" });
        assert_eq!(key(json!({ "url": "pdns.test", "api_key": secret })).as_deref(), Some("url"));
        for id in ["a/b", "..", ""] {
            let id = json!({ "url": "http://p.test", "api_key": secret, "server_id": id });
            assert_eq!(key(id).as_deref(), Some("server_id"));
        }
        let timeout = json!({ "url": "http://p.test", "api_key": secret, "timeout": "0s" });
        assert_eq!(key(timeout).as_deref(), Some("timeout"));
        assert!(config(json!({ "url": "http://p.test" })).unwrap_err().message.contains("api_key"));
    }

    #[test]
    fn the_environment_names_of_lego_work_and_the_key_stays_a_reference() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set));
        let settings = from(&[
            ("PDNS_API_URL", "http://p.test:8081/"),
            ("PDNS_API_KEY", "hunter2"),
            ("PDNS_SERVER_NAME", "ns-1"),
        ]);
        let shown = format!("{:?}", Config::new(settings.unwrap()).unwrap());
        assert!(shown.contains("/servers/ns-1/") && !shown.contains("hunter2"), "{shown}");
        for incomplete in [&[("PDNS_API_URL", "http://p.test")][..], &[("PDNS_API_KEY", "hunter2")][..]] {
            assert!(from(incomplete).unwrap_err().hint.is_some(), "{incomplete:?}");
        }
        let file = from(&[("PDNS_API_URL", "http://p.test"), ("PDNS_API_KEY_FILE", "/run/key")]);
        assert!(Config::new(file.unwrap()).is_ok());
    }
}

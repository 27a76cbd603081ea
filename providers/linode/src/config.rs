//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;
use std::path::PathBuf;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://api.linode.com/v4";
/// The version that the vendor's tools append to `LINODE_URL`.
const VERSION: &str = "v4";

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) client: HttpClient,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let token = raw.token.ok_or_else(|| {
            SettingsError::new(Some("token"), "no token is given")
                .with_hint("make a personal access token with Domains: Read/Write and nothing else")
        })?;
        let client = HttpClient::builder(raw.base_url.as_deref().unwrap_or(BASE_URL))
            .map_err(|error| error.at("base_url"))?
            .credentials(Credentials::bearer(token))
            .ca_bundle(raw.ca_bundle);
        Ok(Self { client: client.build() })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    token: Option<SecretRef>,
    base_url: Option<String>,
    ca_bundle: Option<PathBuf>,
}

const TOKEN: [&str; 3] = ["LINODE_TOKEN", "LINODE_V4_API_KEY", "LINODE_API_TOKEN"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let Some(token) = environment.secret(&TOKEN) else {
        return Err(SettingsError::not_in_environment("linode", "token", TOKEN[0]));
    };
    let mut settings = Settings::default().with("token", token);
    if let Some(url) = environment.first(&["LINODE_URL"]) {
        let version = environment.first(&["LINODE_API_VERSION"]).unwrap_or_else(|| VERSION.to_owned());
        let url = url.trim_end_matches('/');
        let whole = url.ends_with(&format!("/{version}"));
        settings = settings.with("base_url", if whole { url.to_owned() } else { format!("{url}/{version}") });
    }
    Ok(settings.with_optional("ca_bundle", environment.first(&["LINODE_CA"])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    fn environment(set: &[(&str, &str)]) -> Result<Config, SettingsError> {
        Config::new(from_environment(&Environment::of(set))?)
    }

    #[test]
    fn a_token_is_needed_and_mistakes_are_named() {
        let token = json!({ "env": "X" });
        assert!(config(json!({ "token": token })).is_ok());
        assert_eq!(config(json!({})).unwrap_err().key.as_deref(), Some("token"));
        let wrong = config(json!({ "token": token, "base_url": "ftp://x" })).unwrap_err();
        assert_eq!(wrong.key.as_deref(), Some("base_url"));
        assert!(config(json!({ "token": token, "ttl": 60 })).is_err());
    }

    #[test]
    fn the_environment_names_of_lego_and_the_vendors_tools_work() {
        let at = |set: &[(&str, &str)]| format!("{:?}", environment(set).unwrap());
        let token = ("LINODE_TOKEN_FILE", "/run/linode");
        assert!(at(&[token]).contains("https://api.linode.com/v4/"));
        assert!(at(&[token, ("LINODE_URL", "http://127.0.0.1:1")]).contains("http://127.0.0.1:1/v4/"));
        assert!(at(&[token, ("LINODE_URL", "http://127.0.0.1:1/v4/")]).contains("http://127.0.0.1:1/v4/)"));
        let beta = [token, ("LINODE_URL", "http://127.0.0.1:1/"), ("LINODE_API_VERSION", "v4beta")];
        assert!(at(&beta).contains("http://127.0.0.1:1/v4beta/"));
        assert_eq!(environment(&[]).unwrap_err().hint.unwrap(), "set `LINODE_TOKEN`");
    }
}

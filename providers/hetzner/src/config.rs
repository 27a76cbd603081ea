//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://api.hetzner.cloud/v1";
/// A page of 100 RRsets with up to 50 values each.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The API, with its token.
    pub client: HttpClient,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let base = raw.base_url.as_deref().unwrap_or(BASE_URL);
        if base.contains("dns.hetzner.com") {
            let message = "the DNS Console's API was shut down in 2026";
            return Err(SettingsError::new(Some("base_url"), message)
                .with_hint("leave `base_url` out, and use a token of the Cloud Console"));
        }
        let client = HttpClient::builder(base)
            .map_err(|error| error.at("base_url"))?
            .credentials(Credentials::bearer(raw.api_token))
            .body_cap(LARGEST_PAGE);
        Ok(Self { client: client.build() })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    api_token: SecretRef,
    base_url: Option<String>,
}

const TOKEN: [&str; 3] = ["HETZNER_API_TOKEN", "HCLOUD_TOKEN", "HETZNER_TOKEN"];
/// lego's name for the key of the API that is gone.
const OLD_KEY: &str = "HETZNER_API_KEY";
const BASE: [&str; 2] = ["HCLOUD_ENDPOINT", "HETZNER_API"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let Some(token) = environment.secret(&TOKEN) else {
        let missing = SettingsError::not_in_environment("hetzner", "API token", TOKEN[0]);
        return Err(match environment.secret(&[OLD_KEY]) {
            Some(_) => missing.with_hint(format!(
                "`{OLD_KEY}` is a key of the DNS Console, which was shut down: set `{}` to a token of the Cloud Console",
                TOKEN[0]
            )),
            None => missing,
        });
    };
    Ok(Settings::default().with("api_token", token).with_optional("base_url", environment.first(&BASE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn mistakes_name_their_key() {
        assert!(config(json!({ "api_token": { "env": "X" } })).is_ok());
        for base in ["api.hetzner.cloud/v1", "https://dns.hetzner.com/api/v1"] {
            let wrong = json!({ "api_token": { "env": "X" }, "base_url": base });
            assert_eq!(config(wrong).unwrap_err().key.as_deref(), Some("base_url"));
        }
        assert!(config(json!({})).unwrap_err().message.contains("api_token"));
        assert!(config(json!({ "api_token": { "env": "X" }, "token": "t" })).is_err());
    }

    #[test]
    fn the_environment_names_of_lego_and_others_work_and_the_token_stays_a_reference() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set));
        for name in TOKEN {
            let settings = from(&[(name, "hunter2"), ("HCLOUD_ENDPOINT", "http://127.0.0.1:1/v1")]).unwrap();
            assert_eq!(settings.text("api_token.env"), Some(name));
            assert_eq!(settings.text("base_url"), Some("http://127.0.0.1:1/v1"));
        }
        let file = from(&[("HCLOUD_TOKEN_FILE", "/run/token")]).unwrap();
        assert_eq!(file.text("api_token.file"), Some("/run/token"));
        assert_eq!(from(&[]).unwrap_err().hint.as_deref(), Some("set `HETZNER_API_TOKEN`"));
        assert!(from(&[("HETZNER_API_KEY", "old")]).unwrap_err().hint.unwrap().contains("shut down"));
    }
}

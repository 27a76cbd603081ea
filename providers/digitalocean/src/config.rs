//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://api.digitalocean.com";
/// The version of the API that is spoken, as a path.
const API_PATH: &str = "/v2";
/// A page of 200 records, each of up to 512 octets and more in JSON.
const LARGEST_PAGE: usize = 2 * 1024 * 1024;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The API, with its token; requests are relative to `…/v2/`.
    pub client: HttpClient,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        // The clients of others are configured with or without the version.
        let root = raw.base_url.as_deref().unwrap_or(BASE_URL).trim_end_matches('/');
        let root = root.strip_suffix(API_PATH).unwrap_or(root);
        let client = HttpClient::builder(&format!("{root}{API_PATH}/"))
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

const TOKEN: [&str; 4] = ["DO_AUTH_TOKEN", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "DO_API_KEY"];
const BASE: [&str; 2] = ["DO_API_URL", "DIGITALOCEAN_END_POINT"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let token = environment.secret(&TOKEN);
    let token =
        token.ok_or_else(|| SettingsError::not_in_environment("digitalocean", "API token", TOKEN[0]))?;
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
    fn the_address_may_end_before_or_with_the_version_of_the_api() {
        for base in
            ["http://proxy.test", "http://proxy.test/", "http://proxy.test/v2", "http://proxy.test/v2/"]
        {
            let shown = format!("{:?}", config(json!({ "api_token": { "env": "X" }, "base_url": base })));
            assert!(shown.contains("(http://proxy.test/v2/)"), "{shown}");
        }
        let shown = format!("{:?}", config(json!({ "api_token": { "env": "X" } })));
        assert!(shown.contains("(https://api.digitalocean.com/v2/)"), "{shown}");
    }

    #[test]
    fn mistakes_name_their_key() {
        let wrong = json!({ "api_token": { "env": "X" }, "base_url": "proxy.test" });
        assert_eq!(config(wrong).unwrap_err().key.as_deref(), Some("base_url"));
        assert!(config(json!({})).unwrap_err().message.contains("api_token"));
        assert!(config(json!({ "api_token": { "env": "X" }, "token": "t" })).is_err());
    }

    #[test]
    fn the_environment_names_of_lego_and_others_work_and_the_token_stays_a_reference() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set));
        for name in TOKEN {
            let settings = from(&[(name, "hunter2"), ("DO_API_URL", "http://127.0.0.1:1")]).unwrap();
            assert_eq!(settings.text("api_token.env"), Some(name));
            assert_eq!(settings.text("base_url"), Some("http://127.0.0.1:1"));
        }
        let file = from(&[("DO_AUTH_TOKEN_FILE", "/run/token")]).unwrap();
        assert_eq!(file.text("api_token.file"), Some("/run/token"));
        assert_eq!(from(&[]).unwrap_err().hint.as_deref(), Some("set `DO_AUTH_TOKEN`"));
    }
}

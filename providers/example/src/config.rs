//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service, with its token; requests are relative to its address.
    pub client: HttpClient,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    token: SecretRef,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let client = HttpClient::builder(&raw.url).map_err(|error| error.at("url"))?;
        Ok(Self { client: client.credentials(Credentials::bearer(raw.token)).build() })
    }
}

/// The settings that the environment names of the service stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let missing = |what, name| SettingsError::not_in_environment("example", what, name);
    let url = environment.first(&["EXAMPLE_URL"]).ok_or_else(|| missing("address", "EXAMPLE_URL"))?;
    let token = environment.secret(&["EXAMPLE_TOKEN"]).ok_or_else(|| missing("token", "EXAMPLE_TOKEN"))?;
    Ok(Settings::default().with("url", url).with("token", token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_its_key_and_the_token_stays_a_reference() {
        let settings = Settings::default().with("url", "dns.example.net").with("token", "hunter2");
        assert!(Config::new(settings).is_err(), "a token is a reference");
        let set = [("EXAMPLE_URL", "https://dns.example.net"), ("EXAMPLE_TOKEN", "hunter2")];
        let settings = from_environment(&Environment::of(&set)).unwrap();
        assert_eq!(settings.text("token.env"), Some("EXAMPLE_TOKEN"));
        let wrong = Config::new(settings.with("url", "dns.example.net")).unwrap_err();
        assert_eq!(wrong.key.as_deref(), Some("url"));
    }
}

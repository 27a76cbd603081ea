//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;
use std::time::Duration;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://api.porkbun.com/api/json/v3";
/// The smallest TTL of most accounts; the service raises a lower one without a word.
const MINIMUM_TTL: u32 = 600;
/// The largest TTL that makes sense for a challenge.
const MAXIMUM_TTL: u32 = 86_400;
/// What support asks for: one request a second.
const PAUSE: Duration = Duration::from_secs(1);
/// A whole domain's records may be listed, which has no pages.
const LARGEST_LIST: usize = 8 * 1024 * 1024;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TTL that records are given at least, in seconds.
    pub minimum_ttl: u32,
    /// From the start of one request to that of the next, at least.
    pub pause: Duration,
    pub(crate) client: HttpClient,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let missing = |key: &'static str| {
            move || {
                SettingsError::new(Some(key), format!("no `{key}` is given"))
                    .with_hint("make a key pair on https://porkbun.com/account/api, allowed for one domain")
            }
        };
        let api_key = raw.api_key.ok_or_else(missing("api_key"))?;
        let secret_api_key = raw.secret_api_key.ok_or_else(missing("secret_api_key"))?;
        let minimum_ttl = raw.minimum_ttl.unwrap_or(MINIMUM_TTL);
        if !(60..=MAXIMUM_TTL).contains(&minimum_ttl) {
            return Err(SettingsError::new(
                Some("minimum_ttl"),
                format!("{minimum_ttl} s is no minimum TTL"),
            )
            .with_hint("leave it out: 600 s is what most accounts have"));
        }
        let pause = match raw.pause {
            None => PAUSE,
            Some(pause) => Duration::try_from(pause).map_err(|_| {
                SettingsError::new(Some("pause"), "the pause cannot be less than nothing")
                    .with_hint("leave it out: Porkbun asks for one request a second")
            })?,
        };
        // In headers, so that no secret is in a body that somebody might log.
        let client = HttpClient::builder(raw.base_url.as_deref().unwrap_or(BASE_URL))
            .map_err(|error| error.at("base_url"))?
            .credentials(Credentials::header("x-api-key", api_key))
            .credentials(Credentials::header("x-secret-api-key", secret_api_key))
            .body_cap(LARGEST_LIST)
            .build();
        Ok(Self { minimum_ttl, pause, client })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    api_key: Option<SecretRef>,
    secret_api_key: Option<SecretRef>,
    minimum_ttl: Option<u32>,
    pause: Option<jiff::SignedDuration>,
    base_url: Option<String>,
}

const KEY: [&str; 3] = ["PORKBUN_API_KEY", "LEXICON_PORKBUN_AUTH_KEY", "PORKBUN_APIKEY"];
const SECRET: [&str; 4] =
    ["PORKBUN_SECRET_API_KEY", "PORKBUN_SECRET_KEY", "LEXICON_PORKBUN_AUTH_SECRET", "PORKBUN_SECRETAPIKEY"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let missing = |what, name| SettingsError::not_in_environment("porkbun", what, name);
    let key = environment.secret(&KEY).ok_or_else(|| missing("API key", KEY[0]))?;
    let secret = environment.secret(&SECRET).ok_or_else(|| missing("secret API key", SECRET[0]))?;
    Ok(Settings::default()
        .with("api_key", key)
        .with("secret_api_key", secret)
        .with_optional("base_url", environment.first(&["PORKBUN_BASE_URL"]))
        .with_optional("pause", environment.first(&["PORKBUN_PAUSE"])))
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
    fn both_keys_are_needed_and_mistakes_are_named() {
        let secret = json!({ "env": "X" });
        let whole = config(json!({ "api_key": secret, "secret_api_key": secret })).unwrap();
        assert_eq!((whole.minimum_ttl, whole.pause), (600, Duration::from_secs(1)));
        let with = |key: &str, value: Value| {
            let mut table = json!({ "api_key": secret, "secret_api_key": secret });
            table[key] = value;
            config(table)
        };
        assert_eq!(with("pause", json!("0s")).unwrap().pause, Duration::ZERO);
        for (key, value) in
            [("minimum_ttl", json!(30)), ("pause", json!("-1s")), ("base_url", json!("ftp://x"))]
        {
            assert_eq!(with(key, value).unwrap_err().key.as_deref(), Some(key));
        }
        assert_eq!(config(json!({ "api_key": secret })).unwrap_err().key.as_deref(), Some("secret_api_key"));
        assert_eq!(config(json!({ "secret_api_key": secret })).unwrap_err().key.as_deref(), Some("api_key"));
        assert!(with("ttl", json!(60)).is_err());
    }

    #[test]
    fn legos_environment_names_work() {
        let set = [
            ("PORKBUN_API_KEY", "pk1"),
            ("PORKBUN_SECRET_API_KEY_FILE", "/run/porkbun"),
            ("PORKBUN_BASE_URL", "http://127.0.0.1:1/api/json/v3"),
            ("PORKBUN_PAUSE", "200ms"),
        ];
        let config = environment(&set).unwrap();
        assert_eq!(config.pause, Duration::from_millis(200));
        assert!(format!("{config:?}").contains("http://127.0.0.1:1/api/json/v3/"), "{config:?}");
        assert_eq!(environment(&[]).unwrap_err().hint.unwrap(), "set `PORKBUN_API_KEY`");
        assert_eq!(environment(&set[..1]).unwrap_err().hint.unwrap(), "set `PORKBUN_SECRET_API_KEY`");
    }
}

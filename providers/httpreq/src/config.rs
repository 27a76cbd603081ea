//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError, plugin};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The time one request may take unless `timeout` says otherwise: the service may have to wait
/// for an API of its own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service; requests are relative to its endpoint.
    pub client: HttpClient,
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
        check_mode(raw.mode.as_deref())?;
        let timeout = plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?;
        let mut client = HttpClient::builder(&raw.endpoint)
            .map_err(|error| error.at("endpoint"))?
            .timeout(timeout)
            .ca_bundle(raw.ca_bundle);
        match (raw.username, raw.password) {
            (Some(user), Some(password)) => client = client.credentials(Credentials::basic(user, password)),
            (None, None) => {}
            (user, _) => {
                let (missing, there) =
                    if user.is_some() { ("password", "username") } else { ("username", "password") };
                return Err(SettingsError::new(
                    Some(missing),
                    format!("`{missing}` is missing beside `{there}`"),
                )
                .with_hint("give both, or neither if the service asks for none"));
            }
        }
        Ok(Self { client: client.build(), timeout })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    endpoint: String,
    username: Option<String>,
    password: Option<SecretRef>,
    mode: Option<String>,
    ca_bundle: Option<PathBuf>,
    timeout: Option<jiff::SignedDuration>,
}

/// lego's `RAW` sends the challenge's token and key authorization, which whoever writes records
/// never sees: the record's value is a hash of them.
fn check_mode(mode: Option<&str>) -> Result<(), SettingsError> {
    match mode {
        None | Some("default") => Ok(()),
        Some(mode) if mode.eq_ignore_ascii_case("raw") => {
            let message = "the RAW mode of httpreq is not spoken: records are written by name and value";
            Err(SettingsError::new(Some("mode"), message)
                .with_hint("leave the mode out and let the service take `fqdn` and `value`"))
        }
        Some(other) => Err(SettingsError::new(Some("mode"), format!("`{other}` is no mode of httpreq"))
            .with_hint("leave it out")),
    }
}

/// The settings that the environment names of lego stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let endpoint = environment
        .first(&["HTTPREQ_ENDPOINT"])
        .ok_or_else(|| SettingsError::not_in_environment("httpreq", "address", "HTTPREQ_ENDPOINT"))?;
    Ok(Settings::default()
        .with("endpoint", endpoint)
        .with_optional("username", environment.first(&["HTTPREQ_USERNAME"]))
        .with_optional("password", environment.secret(&["HTTPREQ_PASSWORD"]))
        .with_optional("mode", environment.first(&["HTTPREQ_MODE"])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn an_endpoint_keeps_its_path_and_a_password_is_optional() {
        let open = config(json!({ "endpoint": "https://hook.test/acme" })).unwrap();
        assert!(format!("{open:?}").contains("https://hook.test/acme/"), "{open:?}");
        let table = json!({ "endpoint": "https://h.test", "username": "u", "password": { "env": "X" } });
        assert!(config(table).is_ok());
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        assert_eq!(key(json!({ "endpoint": "hook.test" })).as_deref(), Some("endpoint"));
        let user = json!({ "endpoint": "https://h.test", "username": "u" });
        assert_eq!(key(user).as_deref(), Some("password"));
        let password = json!({ "endpoint": "https://h.test", "password": { "env": "X" } });
        assert_eq!(key(password).as_deref(), Some("username"));
        let timeout = json!({ "endpoint": "https://h.test", "timeout": "0s" });
        assert_eq!(key(timeout).as_deref(), Some("timeout"));
    }

    #[test]
    fn the_raw_mode_is_refused_with_the_way_out_instead_of_sending_something_else() {
        for mode in ["RAW", "raw", "odd"] {
            let error = config(json!({ "endpoint": "https://h.test", "mode": mode })).unwrap_err();
            assert_eq!(error.key.as_deref(), Some("mode"), "{mode}");
            assert!(error.hint.is_some(), "{mode}");
        }
    }

    #[test]
    fn the_environment_names_of_lego_work_and_the_password_stays_a_reference() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set)).and_then(Config::new);
        let endpoint = ("HTTPREQ_ENDPOINT", "https://h.test");
        let whole = from(&[endpoint, ("HTTPREQ_USERNAME", "u"), ("HTTPREQ_PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{whole:?}").contains("hunter2"), "{whole:?}");
        assert!(from(&[endpoint, ("HTTPREQ_USERNAME", "u"), ("HTTPREQ_PASSWORD_FILE", "/run/p")]).is_ok());
        assert!(from(&[endpoint, ("HTTPREQ_USERNAME", "u")]).is_err());
        assert!(from(&[endpoint, ("HTTPREQ_MODE", "RAW")]).is_err());
        assert!(from(&[]).unwrap_err().hint.is_some());
    }
}

//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://api.cloudflare.com/client/v4";

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What proves to the service who writes records.
    pub authorization: Authorization,
    /// A token for looking zones up, where that of `authorization` may not.
    pub zone_token: Option<SecretRef>,
    /// Writes records.
    pub(crate) records: HttpClient,
    /// Looks zones up.
    pub(crate) zones: HttpClient,
}

/// The two kinds of credential.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// An API token, which can be kept to one zone.
    Token(SecretRef),
    /// The Global API Key, which can do everything that its owner can.
    GlobalKey {
        /// The owner's address.
        email: String,
        /// Where the key is kept.
        key: SecretRef,
    },
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let authorization = Authorization::new(raw.api_token, raw.email, raw.api_key)?;
        let base = raw.base_url.as_deref().unwrap_or(BASE_URL);
        let builder = || HttpClient::builder(base).map_err(|error| error.at("base_url"));
        let prove = |builder: dns01_provider::http::Builder| match &authorization {
            Authorization::Token(token) => builder.credentials(Credentials::bearer(token.clone())),
            Authorization::GlobalKey { email, key } => builder
                .credentials(Credentials::header("x-auth-email", SecretRef::Literal(email.as_str().into())))
                .credentials(Credentials::header("x-auth-key", key.clone())),
        };
        let records = prove(builder()?).build();
        let zones = match &raw.zone_token {
            Some(token) => builder()?.credentials(Credentials::bearer(token.clone())).build(),
            None => records.clone(),
        };
        Ok(Self { authorization, zone_token: raw.zone_token, records, zones })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    api_token: Option<SecretRef>,
    zone_token: Option<SecretRef>,
    email: Option<String>,
    api_key: Option<SecretRef>,
    base_url: Option<String>,
}

impl Authorization {
    fn new(
        token: Option<SecretRef>,
        email: Option<String>,
        key: Option<SecretRef>,
    ) -> Result<Self, SettingsError> {
        let wrong = |key: &str, message: &str| SettingsError::new(Some(key), message);
        match (token, email, key) {
            (Some(token), None, None) => Ok(Self::Token(token)),
            (None, Some(email), Some(key)) => Ok(Self::GlobalKey { email, key }),
            (None, None, None) => Err(wrong("api_token", "no API token is given")
                .with_hint("make one with the permission `Zone / DNS / Edit` for one zone")),
            (None, Some(_), None) => Err(wrong("api_key", "`email` needs `api_key` beside it")),
            (None, None, Some(_)) => Err(wrong("email", "`api_key` needs `email` beside it")),
            (Some(_), ..) => Err(wrong("api_token", "a token and a global key are given")
                .with_hint("keep `api_token`: it can be kept to one zone")),
        }
    }
}

const TOKEN: [&str; 3] = ["CF_DNS_API_TOKEN", "CLOUDFLARE_DNS_API_TOKEN", "CLOUDFLARE_API_TOKEN"];
const ZONE_TOKEN: [&str; 2] = ["CF_ZONE_API_TOKEN", "CLOUDFLARE_ZONE_API_TOKEN"];
const EMAIL: [&str; 2] = ["CF_API_EMAIL", "CLOUDFLARE_EMAIL"];
const KEY: [&str; 2] = ["CF_API_KEY", "CLOUDFLARE_API_KEY"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let settings = Settings::default();
    let settings = match (environment.secret(&TOKEN), environment.first(&EMAIL), environment.secret(&KEY)) {
        (Some(token), ..) => settings.with("api_token", token),
        (None, Some(email), Some(key)) => settings.with("email", email).with("api_key", key),
        (None, email, key) => {
            let (what, name) = match (email, key) {
                (Some(_), None) => ("global key", KEY[0]),
                (None, Some(_)) => ("address for the global key", EMAIL[0]),
                _ => ("API token", TOKEN[0]),
            };
            return Err(SettingsError::not_in_environment("cloudflare", what, name));
        }
    };
    Ok(settings
        .with_optional("zone_token", environment.secret(&ZONE_TOKEN))
        .with_optional("base_url", environment.first(&["CLOUDFLARE_BASE_URL"])))
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
    fn a_token_or_a_global_key_is_taken_and_never_both() {
        let secret = json!({ "env": "X" });
        let token = config(json!({ "api_token": secret })).unwrap();
        assert!(matches!(token.authorization, Authorization::Token(_)));
        let key = config(json!({ "email": "a@example.com", "api_key": secret })).unwrap();
        assert!(matches!(key.authorization, Authorization::GlobalKey { .. }));
        for (table, at) in [
            (json!({}), "api_token"),
            (json!({ "email": "a@example.com" }), "api_key"),
            (json!({ "api_key": secret }), "email"),
            (json!({ "api_token": secret, "email": "a@example.com", "api_key": secret }), "api_token"),
            (json!({ "api_token": secret, "base_url": "ftp://x" }), "base_url"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "api_token": secret, "token": secret })).is_err());
    }

    #[test]
    fn legos_environment_names_work() {
        let both = [("CF_DNS_API_TOKEN", "t"), ("CF_ZONE_API_TOKEN_FILE", "/run/zone")];
        let shown = format!("{:?}", environment(&both).unwrap());
        assert!(shown.contains("`CF_DNS_API_TOKEN`") && shown.contains("`/run/zone`"), "{shown}");
        let base = [("CLOUDFLARE_DNS_API_TOKEN", "t"), ("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/v4")];
        assert!(format!("{:?}", environment(&base).unwrap()).contains("http://127.0.0.1:1/v4/"));
        let key = environment(&[("CLOUDFLARE_EMAIL", "a@example.com"), ("CLOUDFLARE_API_KEY", "k")]).unwrap();
        assert!(matches!(key.authorization, Authorization::GlobalKey { .. }));
        let hint = |set: &[(&str, &str)]| environment(set).unwrap_err().hint.unwrap();
        assert_eq!(hint(&[]), "set `CF_DNS_API_TOKEN`");
        assert_eq!(hint(&[("CF_API_EMAIL", "a@example.com")]), "set `CF_API_KEY`");
    }
}

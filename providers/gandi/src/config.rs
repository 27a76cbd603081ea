//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://api.gandi.net";
/// Where tokens are told about, for the API above.
const ID_URL: &str = "https://id.gandi.net";
/// The version of the API that is spoken, as a path.
const API_PATH: &str = "/v5";
/// A page of 100 RRsets with many values each.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What proves to the service who writes records.
    pub authorization: Authorization,
    /// The API; requests are relative to `…/v5/`.
    pub(crate) client: HttpClient,
    /// Tells about tokens.
    pub(crate) identity: Option<HttpClient>,
}

/// The two kinds of credential.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// A personal access token, which can be kept to one domain.
    Token(SecretRef),
    /// An API key, which can do everything that its owner can; the service calls it deprecated.
    Key(SecretRef),
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let wrong =
            |message: &str, hint: &str| SettingsError::new(Some("access_token"), message).with_hint(hint);
        let authorization = match (raw.access_token, raw.api_key) {
            (Some(token), None) => Authorization::Token(token),
            (None, Some(key)) => Authorization::Key(key),
            (None, None) => {
                let hint = "make one with `Manage technical configuration of domains` for one domain";
                return Err(wrong("no personal access token is given", hint));
            }
            (Some(_), Some(_)) => {
                let hint = "keep `access_token`: it can be kept to one domain";
                return Err(wrong("a token and an API key are given", hint));
            }
        };
        let credentials = || match &authorization {
            Authorization::Token(token) => Credentials::bearer(token.clone()),
            Authorization::Key(key) => Credentials::authorization("Apikey ", key.clone()),
        };
        // The clients of others are configured with the host, the version, or the service in it.
        let root = raw.base_url.as_deref().unwrap_or(BASE_URL).trim_end_matches('/');
        if root.contains("dns.api.gandi.net") {
            let message = "the service no longer answers at `dns.api.gandi.net`";
            return Err(SettingsError::new(Some("base_url"), message).with_hint("leave `base_url` out"));
        }
        let root = root.strip_suffix("/livedns").unwrap_or(root);
        let root = root.strip_suffix(API_PATH).unwrap_or(root);
        let client = HttpClient::builder(&format!("{root}{API_PATH}/"))
            .map_err(|error| error.at("base_url"))?
            .credentials(credentials())
            .body_cap(LARGEST_PAGE)
            .build();
        // A token for another place must not be shown to this one.
        let identity = raw.id_url.as_deref().or((root == BASE_URL).then_some(ID_URL));
        let identity = identity.map(HttpClient::builder).transpose().map_err(|error| error.at("id_url"))?;
        let identity = identity.map(|builder| builder.credentials(credentials()).build());
        Ok(Self { authorization, client, identity })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    access_token: Option<SecretRef>,
    api_key: Option<SecretRef>,
    base_url: Option<String>,
    id_url: Option<String>,
}

const TOKEN: [&str; 3] =
    ["GANDIV5_PERSONAL_ACCESS_TOKEN", "GANDI_PERSONAL_ACCESS_TOKEN", "GANDI_LIVEDNS_TOKEN"];
const KEY: [&str; 3] = ["GANDIV5_API_KEY", "GANDI_LIVEDNS_KEY", "GANDI_KEY"];
const BASE: [&str; 1] = ["GANDI_URL"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let settings = match (environment.secret(&TOKEN), environment.secret(&KEY)) {
        (Some(token), _) => Settings::default().with("access_token", token),
        (None, Some(key)) => Settings::default().with("api_key", key),
        (None, None) => {
            return Err(SettingsError::not_in_environment("gandi", "personal access token", TOKEN[0]));
        }
    };
    Ok(settings.with_optional("base_url", environment.first(&BASE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn a_token_or_a_key_is_taken_and_never_both() {
        let secret = json!({ "env": "X" });
        let token = config(json!({ "access_token": secret })).unwrap();
        assert!(matches!(token.authorization, Authorization::Token(_)));
        let key = config(json!({ "api_key": secret })).unwrap();
        assert!(matches!(key.authorization, Authorization::Key(_)));
        for (table, at) in [
            (json!({}), "access_token"),
            (json!({ "access_token": secret, "api_key": secret }), "access_token"),
            (json!({ "access_token": secret, "base_url": "ftp://x" }), "base_url"),
            (json!({ "access_token": secret, "base_url": "https://dns.api.gandi.net/api/v5/" }), "base_url"),
            (json!({ "access_token": secret, "id_url": "id.gandi.net" }), "id_url"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "access_token": secret, "token": secret })).is_err());
    }

    #[test]
    fn the_address_may_end_with_the_host_the_version_or_the_service() {
        for base in ["http://p.test", "http://p.test/v5/", "http://p.test/v5/livedns"] {
            let config = config(json!({ "access_token": { "env": "X" }, "base_url": base })).unwrap();
            let shown = format!("{:?}", config.client);
            assert!(shown.contains("(http://p.test/v5/)"), "{shown}");
            assert!(config.identity.is_none(), "the token is for another place");
        }
        let usual = config(json!({ "access_token": { "env": "X" } })).unwrap();
        assert!(format!("{:?}", usual.identity).contains("https://id.gandi.net/"));
    }

    #[test]
    fn the_environment_names_of_lego_and_others_work_and_secrets_stay_references() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set));
        let both = from(&[("GANDIV5_API_KEY", "k"), ("GANDIV5_PERSONAL_ACCESS_TOKEN_FILE", "/run/token")]);
        let both = both.unwrap();
        assert_eq!(both.text("access_token.file"), Some("/run/token"));
        assert_eq!(both.text("api_key.env"), None);
        let key = from(&[("GANDI_LIVEDNS_KEY", "k"), ("GANDI_URL", "http://127.0.0.1:1")]).unwrap();
        assert_eq!(key.text("api_key.env"), Some("GANDI_LIVEDNS_KEY"));
        assert_eq!(key.text("base_url"), Some("http://127.0.0.1:1"));
        assert_eq!(from(&[]).unwrap_err().hint.as_deref(), Some("set `GANDIV5_PERSONAL_ACCESS_TOKEN`"));
    }
}

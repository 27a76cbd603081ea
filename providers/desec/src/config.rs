//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://desec.io/api/v1";
/// What a domain's TTLs begin at unless support has lowered it for that domain.
const MINIMUM_TTL: u32 = 3600;
/// The largest TTL that the service takes.
pub(crate) const MAXIMUM_TTL: u32 = 86_400;
/// A page of a list has up to 500 RRsets, which can be anybody's and long.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The token's id, with which its policies can be read. It is no secret.
    pub token_id: Option<String>,
    /// The smallest TTL that the domains take, in seconds.
    pub minimum_ttl: u32,
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
                .with_hint("make one on https://desec.io/tokens, with a policy for each challenge name")
        })?;
        let minimum_ttl = raw.minimum_ttl.unwrap_or(MINIMUM_TTL);
        if !(1..=MAXIMUM_TTL).contains(&minimum_ttl) {
            return Err(SettingsError::new(
                Some("minimum_ttl"),
                format!("{minimum_ttl} s is no minimum TTL"),
            )
            .with_hint(format!(
                "leave it out unless deSEC has lowered it for you; {MAXIMUM_TTL} is the most"
            )));
        }
        if let Some(id) = &raw.token_id
            && (id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        {
            return Err(SettingsError::new(Some("token_id"), format!("`{id}` is not a token's id"))
                .with_hint(
                    "it looks like `3a6b94b5-d20e-40bd-a7cc-521f5c79fab3`, and is not the token itself",
                ));
        }
        let client = HttpClient::builder(raw.base_url.as_deref().unwrap_or(BASE_URL))
            .map_err(|error| error.at("base_url"))?
            .credentials(Credentials::token(token))
            .body_cap(LARGEST_PAGE)
            .build();
        Ok(Self { token_id: raw.token_id, minimum_ttl, client })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    token: Option<SecretRef>,
    token_id: Option<String>,
    minimum_ttl: Option<u32>,
    base_url: Option<String>,
}

const TOKEN: [&str; 4] = ["DESEC_TOKEN", "DEDYN_TOKEN", "LEXICON_DESEC_AUTH_TOKEN", "LEXICON_DESEC_TOKEN"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let Some(token) = environment.secret(&TOKEN) else {
        return Err(SettingsError::not_in_environment("desec", "token", TOKEN[0]));
    };
    Ok(Settings::default()
        .with("token", token)
        .with_optional("token_id", environment.first(&["DESEC_TOKEN_ID"]))
        .with_optional("base_url", environment.first(&["DESEC_BASE_URL"])))
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
        assert_eq!(config(json!({ "token": token })).unwrap().minimum_ttl, 3600);
        for (table, at) in [
            (json!({}), "token"),
            (json!({ "token": token, "minimum_ttl": 0 }), "minimum_ttl"),
            (json!({ "token": token, "minimum_ttl": 90_000 }), "minimum_ttl"),
            (json!({ "token": token, "token_id": "../domains" }), "token_id"),
            (json!({ "token": token, "base_url": "ftp://x" }), "base_url"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "token": token, "ttl": 60 })).is_err());
    }

    #[test]
    fn legos_environment_names_work() {
        let set = [
            ("DESEC_TOKEN_FILE", "/run/desec"),
            ("DESEC_TOKEN_ID", "3a6b94b5"),
            ("DESEC_BASE_URL", "http://127.0.0.1:1/api/v1"),
        ];
        let config = environment(&set).unwrap();
        assert_eq!(config.token_id.as_deref(), Some("3a6b94b5"));
        assert!(format!("{config:?}").contains("http://127.0.0.1:1/api/v1/"), "{config:?}");
        assert!(environment(&[("DEDYN_TOKEN", "t")]).is_ok());
        assert_eq!(environment(&[]).unwrap_err().hint.unwrap(), "set `DESEC_TOKEN`");
    }
}

//! Settings: raw as written, then checked once.

use dns01_provider::http::{Credentials, HttpClient, origin_and_path};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;
use std::time::Duration;

/// Calls of the service can be slow; its own clients wait longer still.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where a region's API lives.
struct Endpoint {
    name: &'static str,
    base: &'static str,
    /// Where its service accounts get tokens; only the brand itself has them.
    token: Option<&'static str>,
}

const ENDPOINTS: [Endpoint; 7] = [
    Endpoint {
        name: "ovh-eu",
        base: "https://eu.api.ovh.com/1.0",
        token: Some("https://www.ovh.com/auth/oauth2/token"),
    },
    Endpoint {
        name: "ovh-ca",
        base: "https://ca.api.ovh.com/1.0",
        token: Some("https://ca.ovh.com/auth/oauth2/token"),
    },
    Endpoint {
        name: "ovh-us",
        base: "https://api.us.ovhcloud.com/1.0",
        token: Some("https://us.ovhcloud.com/auth/oauth2/token"),
    },
    Endpoint { name: "kimsufi-eu", base: "https://eu.api.kimsufi.com/1.0", token: None },
    Endpoint { name: "kimsufi-ca", base: "https://ca.api.kimsufi.com/1.0", token: None },
    Endpoint { name: "soyoustart-eu", base: "https://eu.api.soyoustart.com/1.0", token: None },
    Endpoint { name: "soyoustart-ca", base: "https://ca.api.soyoustart.com/1.0", token: None },
];

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What proves who asks.
    pub proof: Proof,
    /// `eu`, `ca` or `us`, as resource names have it.
    pub(crate) region: String,
    /// The API, version 1.
    pub(crate) client: HttpClient,
    /// The API, version 2, which knows what a service account may do.
    pub(crate) second: HttpClient,
}

/// The kinds of credential.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Requests are signed with an application's secret in the name of who validated the
    /// consumer key.
    Signature {
        /// The application.
        key: SecretRef,
        /// Its secret.
        secret: SecretRef,
        /// What the application may do in whose name.
        consumer: SecretRef,
    },
    /// A service account, which gets tokens for its secret.
    ServiceAccount(TokenAddress),
    /// A token that some other program makes.
    AccessToken(SecretRef),
}

/// Where a service account gets its tokens, and its proof there.
#[derive(Clone, Debug)]
pub struct TokenAddress {
    pub(crate) client: HttpClient,
    pub(crate) path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    endpoint: String,
    application_key: Option<SecretRef>,
    application_secret: Option<SecretRef>,
    consumer_key: Option<SecretRef>,
    client_id: Option<String>,
    client_secret: Option<SecretRef>,
    access_token: Option<SecretRef>,
    token_url: Option<String>,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let known = ENDPOINTS.iter().find(|endpoint| endpoint.name == raw.endpoint);
        let base = match known {
            Some(endpoint) => endpoint.base,
            None if raw.endpoint.contains('/') => raw.endpoint.trim_end_matches('/'),
            None => {
                let names: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.name).collect();
                let message = format!("there is no endpoint `{}`", raw.endpoint);
                return Err(SettingsError::new(Some("endpoint"), message)
                    .with_hint(format!("it is one of {}, or an address", names.join(", "))));
            }
        };
        let client = |base: &str| {
            HttpClient::builder(base)
                .map(|one| one.timeout(TIMEOUT).build())
                .map_err(|error| error.at("endpoint"))
        };
        let second = format!("{}/v2", base.strip_suffix("/1.0").unwrap_or(base));
        let region = raw.endpoint.rsplit_once('-').map_or("eu", |(_, region)| region);
        let region = if ["ca", "us"].contains(&region) { region } else { "eu" }.to_owned();
        let (client, second) = (client(base)?, client(&second)?);
        let token_url = raw.token_url.clone().or_else(|| known?.token.map(str::to_owned));
        Ok(Self { proof: Proof::new(raw, token_url)?, region, client, second })
    }
}

impl Proof {
    fn new(raw: Raw, token_url: Option<String>) -> Result<Self, SettingsError> {
        let wrong = |key: &str, message: &str| SettingsError::new(Some(key), message);
        let keys = [&raw.application_key, &raw.application_secret, &raw.consumer_key];
        let signed = keys.iter().any(|key| key.is_some());
        let account = raw.client_id.is_some() || raw.client_secret.is_some();
        if usize::from(signed) + usize::from(account) + usize::from(raw.access_token.is_some()) > 1 {
            return Err(wrong("application_key", "more than one credential is given")
                .with_hint("keep the three keys of an application, or a service account, or a token"));
        }
        if let Some(token) = raw.access_token {
            return Ok(Self::AccessToken(token));
        }
        if account {
            let id = raw.client_id.ok_or_else(|| wrong("client_id", "`client_secret` needs it beside it"))?;
            let secret =
                raw.client_secret.ok_or_else(|| wrong("client_secret", "`client_id` needs it beside it"))?;
            let url = token_url.ok_or_else(|| {
                wrong("token_url", "this endpoint has no service accounts")
                    .with_hint("set `token_url` where it does all the same")
            })?;
            return TokenAddress::new(&url, id, secret).map(Self::ServiceAccount);
        }
        let missing = |key: &str| {
            wrong(key, "a key is missing").with_hint(
                "an application needs `application_key`, `application_secret` and `consumer_key`; `dns01 scope recipe` \
                 shows how they are made",
            )
        };
        Ok(Self::Signature {
            key: raw.application_key.ok_or_else(|| missing("application_key"))?,
            secret: raw.application_secret.ok_or_else(|| missing("application_secret"))?,
            consumer: raw.consumer_key.ok_or_else(|| missing("consumer_key"))?,
        })
    }
}

impl TokenAddress {
    fn new(url: &str, id: String, secret: SecretRef) -> Result<Self, SettingsError> {
        let at = |error: SettingsError| error.at("token_url");
        let wrong = |_| at(SettingsError::new(None, format!("`{url}` is no address")));
        let (origin, path) = origin_and_path(url).map_err(wrong)?;
        let client = HttpClient::builder(&origin).map_err(at)?;
        Ok(Self { client: client.credentials(Credentials::basic(id, secret)).timeout(TIMEOUT).build(), path })
    }
}

const KEYS: [(&str, &[&str]); 3] = [
    ("application_key", &["OVH_APPLICATION_KEY", "OVH_AK"]),
    ("application_secret", &["OVH_APPLICATION_SECRET", "OVH_AS"]),
    ("consumer_key", &["OVH_CONSUMER_KEY", "OVH_CK"]),
];
const CLIENT: &str = "OVH_CLIENT_ID";
const TOKEN: &str = "OVH_ACCESS_TOKEN";

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let endpoint = environment.first(&["OVH_ENDPOINT", "OVH_END_POINT"]);
    let mut settings = Settings::default()
        .with("endpoint", endpoint.unwrap_or_else(|| "ovh-eu".to_owned()))
        .with_optional("token_url", environment.first(&["OVH_TOKEN_URL"]));
    if let Some(token) = environment.secret(&[TOKEN]) {
        return Ok(settings.with("access_token", token));
    }
    if let Some(id) = environment.first(&[CLIENT]) {
        let name = "OVH_CLIENT_SECRET";
        let secret = environment.secret(&[name]);
        let secret = secret.ok_or_else(|| SettingsError::not_in_environment("ovh", "client secret", name))?;
        return Ok(settings.with("client_id", id).with("client_secret", secret));
    }
    for (key, names) in KEYS {
        let secret = environment
            .secret(names)
            .ok_or_else(|| SettingsError::not_in_environment("ovh", &key.replace('_', " "), names[0]))?;
        settings = settings.with(key, secret);
    }
    Ok(settings)
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
    fn each_region_has_its_addresses_and_another_address_may_be_given() {
        for (endpoint, base, second, region) in [
            ("ovh-eu", "https://eu.api.ovh.com/1.0/", "https://eu.api.ovh.com/v2/", "eu"),
            ("ovh-us", "https://api.us.ovhcloud.com/1.0/", "https://api.us.ovhcloud.com/v2/", "us"),
            (
                "soyoustart-ca",
                "https://ca.api.soyoustart.com/1.0/",
                "https://ca.api.soyoustart.com/v2/",
                "ca",
            ),
            ("http://127.0.0.1:1/1.0/", "http://127.0.0.1:1/1.0/", "http://127.0.0.1:1/v2/", "eu"),
        ] {
            let config = config(json!({ "endpoint": endpoint, "access_token": { "env": "X" } })).unwrap();
            assert_eq!(format!("{:?}", config.client), format!("HttpClient({base})"));
            assert_eq!(format!("{:?}", config.second), format!("HttpClient({second})"));
            assert_eq!(config.region, region);
        }
    }

    #[test]
    fn mistakes_name_their_key() {
        let x = json!({ "env": "X" });
        for (table, at) in [
            (json!({ "endpoint": "ovh-mars", "access_token": x }), "endpoint"),
            (json!({ "endpoint": "ftp://x/", "access_token": x }), "endpoint"),
            (json!({ "endpoint": "ovh-eu" }), "application_key"),
            (json!({ "endpoint": "ovh-eu", "application_key": x }), "application_secret"),
            (json!({ "endpoint": "ovh-eu", "application_key": x, "application_secret": x }), "consumer_key"),
            (json!({ "endpoint": "ovh-eu", "client_id": "c" }), "client_secret"),
            (json!({ "endpoint": "ovh-eu", "client_secret": x }), "client_id"),
            (json!({ "endpoint": "kimsufi-eu", "client_id": "c", "client_secret": x }), "token_url"),
            (
                json!({ "endpoint": "ovh-eu", "client_id": "c", "client_secret": x, "token_url": "x" }),
                "token_url",
            ),
            (json!({ "endpoint": "ovh-eu", "access_token": x, "client_id": "c" }), "application_key"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "access_token": x })).is_err(), "the endpoint is wanted");
    }

    #[test]
    fn the_environment_names_of_lego_and_acme_sh_work_and_secrets_stay_references() {
        let shown = |set: &[(&str, &str)]| format!("{:?}", environment(set).unwrap());
        let lego = shown(&[
            ("OVH_ENDPOINT", "ovh-ca"),
            ("OVH_APPLICATION_KEY", "hunter2"),
            ("OVH_APPLICATION_SECRET_FILE", "/run/s"),
            ("OVH_CONSUMER_KEY", "hunter2"),
        ]);
        assert!(lego.contains("https://ca.api.ovh.com/") && lego.contains("file `/run/s`"), "{lego}");
        assert!(!lego.contains("hunter2"), "{lego}");
        assert!(shown(&[("OVH_AK", "a"), ("OVH_AS", "b"), ("OVH_CK", "c")]).contains("eu.api.ovh.com"));
        let account = shown(&[("OVH_CLIENT_ID", "c"), ("OVH_CLIENT_SECRET", "hunter2")]);
        assert!(account.contains("https://www.ovh.com/") && !account.contains("hunter2"), "{account}");
        assert!(shown(&[("OVH_ACCESS_TOKEN", "t")]).contains("AccessToken"));
        let hint = |set: &[(&str, &str)]| environment(set).unwrap_err().hint.unwrap();
        assert_eq!(hint(&[]), "set `OVH_APPLICATION_KEY`");
        assert_eq!(hint(&[("OVH_CLIENT_ID", "c")]), "set `OVH_CLIENT_SECRET`");
    }
}

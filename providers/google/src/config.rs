//! Settings: raw as written, then checked once.

use dns01_provider::http::{HttpClient, is_segment};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;
use std::time::Duration;

/// Where the API lives unless `base_url` says otherwise.
const BASE_URL: &str = "https://dns.googleapis.com/dns/v1/";
/// Where machines of the service ask who they are.
const METADATA_HOST: &str = "metadata.google.internal";
/// The metadata server stands beside the machine; elsewhere there is none.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// A page of 1,000 sets, long values among them.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The project that has the zones; without it that of the service account or the machine.
    pub project: Option<String>,
    /// What proves who asks.
    pub proof: Proof,
    /// The machine's metadata.
    pub(crate) metadata: HttpClient,
    /// The API.
    pub(crate) client: HttpClient,
}

/// The kinds of credential.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A service account's key, in Google's JSON form.
    ServiceAccount(SecretRef),
    /// A token that some other program makes.
    AccessToken(SecretRef),
    /// The service account that the machine runs as.
    Machine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    project: Option<String>,
    service_account: Option<SecretRef>,
    access_token: Option<SecretRef>,
    base_url: Option<String>,
    metadata_host: Option<String>,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let proof = match (raw.service_account, raw.access_token) {
            (Some(key), None) => Proof::ServiceAccount(key),
            (None, Some(token)) => Proof::AccessToken(token),
            (None, None) => Proof::Machine,
            (Some(_), Some(_)) => {
                return Err(SettingsError::new(Some("access_token"), "a key and a token are given")
                    .with_hint("keep `service_account`: tokens are made from it as needed"));
            }
        };
        if let Some(project) = &raw.project
            && !is_plain(project)
        {
            return Err(SettingsError::new(Some("project"), format!("`{project}` is not a project's id"))
                .with_hint(
                    "the id is in small letters, digits and `-`, as `gcloud projects list` shows it",
                ));
        }
        if raw.project.is_none() && matches!(proof, Proof::AccessToken(_)) {
            return Err(SettingsError::new(Some("project"), "a token does not tell its project")
                .with_hint("set `project` to the id of the project that has the zones"));
        }
        let client = HttpClient::builder(raw.base_url.as_deref().unwrap_or(BASE_URL))
            .map_err(|error| error.at("base_url"))?
            .body_cap(LARGEST_PAGE)
            .build();
        let host = raw.metadata_host.as_deref().unwrap_or(METADATA_HOST);
        let metadata = HttpClient::builder(&format!("http://{host}/computeMetadata/v1/"))
            .map_err(|error| error.at("metadata_host"))?
            .timeout(METADATA_TIMEOUT)
            .build();
        Ok(Self { project: raw.project, proof, metadata, client })
    }
}

/// True for ids of projects (old ones are `example.com:name`) and of zones.
pub(crate) fn is_plain(id: &str) -> bool {
    is_segment(id, "-_.:")
}

const KEY: &str = "GCE_SERVICE_ACCOUNT";
const DEFAULT_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const TOKEN: [&str; 2] = ["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"];
const PROJECT: [&str; 4] = ["GCE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GOOGLE_PROJECT", "CLOUDSDK_CORE_PROJECT"];
const BASE: &str = "GOOGLE_DNS_CUSTOM_ENDPOINT";
const METADATA: &str = "GCE_METADATA_HOST";

/// The settings that the environment names of lego and others stand for. With none of them the
/// machine's own identity is meant, so that nothing is missing.
#[expect(clippy::unnecessary_wraps, reason = "the plugin's form")]
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let default = || environment.secret_file(&[DEFAULT_CREDENTIALS]);
    let mut settings = Settings::default();
    if let Some(key) = environment.secret(&[KEY]).or_else(default) {
        settings = settings.with("service_account", key);
    } else if let Some(token) = environment.secret(&TOKEN) {
        settings = settings.with("access_token", token);
    }
    Ok(settings
        .with_optional("project", environment.first(&PROJECT))
        .with_optional("base_url", environment.first(&[BASE]))
        .with_optional("metadata_host", environment.first(&[METADATA])))
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
    fn a_key_a_token_or_the_machine_is_taken_and_mistakes_name_their_key() {
        let secret = json!({ "env": "X" });
        assert!(matches!(config(json!({})).unwrap().proof, Proof::Machine));
        let key = config(json!({ "service_account": secret })).unwrap();
        assert!(matches!(key.proof, Proof::ServiceAccount(_)));
        let token = config(json!({ "access_token": secret, "project": "p-1" })).unwrap();
        assert!(matches!(token.proof, Proof::AccessToken(_)));
        for (table, at) in [
            (json!({ "service_account": secret, "access_token": secret }), "access_token"),
            (json!({ "access_token": secret }), "project"),
            (json!({ "project": "a/b" }), "project"),
            (json!({ "project": ".." }), "project"),
            (json!({ "base_url": "ftp://x" }), "base_url"),
            (json!({ "metadata_host": "a b" }), "metadata_host"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "key": secret })).is_err());
    }

    #[test]
    fn legos_and_googles_own_environment_names_work() {
        let shown = |set: &[(&str, &str)]| format!("{:?}", environment(set).unwrap());
        let inline = shown(&[("GCE_SERVICE_ACCOUNT", "hunter2"), ("GCE_PROJECT", "p")]);
        assert!(inline.contains("`GCE_SERVICE_ACCOUNT`") && inline.contains("\"p\""), "{inline}");
        assert!(!inline.contains("hunter2"), "{inline}");
        let file = shown(&[("GCE_SERVICE_ACCOUNT_FILE", "/run/a"), ("GOOGLE_APPLICATION_CREDENTIALS", "/b")]);
        assert!(file.contains("file `/run/a`"), "{file}");
        let default = shown(&[("GOOGLE_APPLICATION_CREDENTIALS", "/run/b")]);
        assert!(default.contains("file `/run/b`"), "{default}");
        let token = [("GOOGLE_OAUTH_ACCESS_TOKEN", "t"), ("GOOGLE_CLOUD_PROJECT", "p")];
        assert!(shown(&token).contains("AccessToken"));
        let places =
            [("GOOGLE_DNS_CUSTOM_ENDPOINT", "http://127.0.0.1:1/v1/"), ("GCE_METADATA_HOST", "127.0.0.1:2")];
        let shown = shown(&places);
        assert!(shown.contains("http://127.0.0.1:1/v1/") && shown.contains("Machine"), "{shown}");
        assert!(shown.contains("http://127.0.0.1:2/computeMetadata/v1/"), "{shown}");
    }
}

//! Settings: raw as written, then checked once.

use dns01_provider::http::{self, HttpClient};
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;
use std::time::Duration;

/// Where machines of the service ask for tokens, unless `identity_endpoint` says otherwise.
const METADATA: &str = "http://169.254.169.254";
/// The metadata server stands beside the machine; elsewhere there is none.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The subscription that has the zones, where they are not configured by resource id.
    pub subscription: Option<String>,
    /// The resource group that has the zones: with it none is looked up.
    pub group: Option<String>,
    /// What proves who asks.
    pub proof: Proof,
    /// True if a record set whose last value goes is kept, with a placeholder in it.
    pub keep_record_sets: bool,
    /// What tokens are for.
    pub(crate) audience: &'static str,
    /// Gives tokens for secrets.
    pub(crate) login: HttpClient,
    /// Gives tokens to machines.
    pub(crate) machine: Machine,
    /// The resource manager.
    pub(crate) client: HttpClient,
}

/// The kinds of credential.
#[derive(Clone, Debug)]
pub enum Proof {
    /// An application with a secret.
    Secret {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// Where its secret is kept.
        secret: SecretRef,
    },
    /// An application that trusts tokens of another issuer (workload identity).
    Assertion {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// Where the other issuer's token is kept; it is short-lived, and read each time.
        assertion: SecretRef,
    },
    /// A token that some other program makes.
    AccessToken(SecretRef),
    /// The identity that the machine has; of several the one of this client id.
    Managed(Option<String>),
}

/// The two ways in which machines get tokens.
#[derive(Clone, Debug)]
pub(crate) enum Machine {
    /// Virtual machines: the metadata server.
    Metadata(HttpClient),
    /// App Service and Container Apps: an address of their own, path included, and a secret.
    Endpoint { client: HttpClient, path: String, header: SecretRef },
}

/// Addresses of one cloud.
struct Cloud {
    names: &'static [&'static str],
    manager: &'static str,
    login: &'static str,
}

const CLOUDS: [Cloud; 3] = [
    Cloud {
        names: &["public", "azurepubliccloud", "azurecloud"],
        manager: "https://management.azure.com",
        login: "https://login.microsoftonline.com",
    },
    Cloud {
        names: &["usgovernment", "azureusgovernmentcloud", "azureusgovernment"],
        manager: "https://management.usgovcloudapi.net",
        login: "https://login.microsoftonline.us",
    },
    Cloud {
        names: &["china", "azurechinacloud"],
        manager: "https://management.chinacloudapi.cn",
        login: "https://login.chinacloudapi.cn",
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    subscription_id: Option<String>,
    resource_group: Option<String>,
    tenant_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretRef>,
    client_assertion: Option<SecretRef>,
    access_token: Option<SecretRef>,
    environment: Option<String>,
    #[serde(default)]
    keep_record_sets: bool,
    base_url: Option<String>,
    login_url: Option<String>,
    identity_endpoint: Option<String>,
    identity_header: Option<SecretRef>,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        for (key, value) in [
            ("subscription_id", &raw.subscription_id),
            ("resource_group", &raw.resource_group),
            ("tenant_id", &raw.tenant_id),
        ] {
            if let Some(value) = value
                && !is_segment(value)
            {
                return Err(SettingsError::new(Some(key), format!("`{value}` cannot be one")));
            }
        }
        if raw.resource_group.is_some() && raw.subscription_id.is_none() {
            return Err(SettingsError::new(Some("subscription_id"), "`resource_group` needs it beside it"));
        }
        let cloud = cloud(raw.environment.as_deref())?;
        let client = |base: Option<String>, default: &str, key: &str| {
            let base = base.unwrap_or_else(|| default.to_owned());
            HttpClient::builder(&base).map_err(|error| error.at(key))
        };
        let machine = Machine::new(raw.identity_endpoint.as_deref(), raw.identity_header)?;
        Ok(Self {
            subscription: raw.subscription_id,
            group: raw.resource_group,
            proof: Proof::new(
                raw.tenant_id.as_deref(),
                raw.client_id.as_deref(),
                raw.client_secret,
                raw.client_assertion,
                raw.access_token,
            )?,
            keep_record_sets: raw.keep_record_sets,
            audience: cloud.manager,
            login: client(raw.login_url, cloud.login, "login_url")?.build(),
            machine,
            client: client(raw.base_url, cloud.manager, "base_url")?.build(),
        })
    }
}

fn cloud(name: Option<&str>) -> Result<&'static Cloud, SettingsError> {
    let wanted = name.unwrap_or("public").to_ascii_lowercase();
    CLOUDS.iter().find(|cloud| cloud.names.contains(&wanted.as_str())).ok_or_else(|| {
        SettingsError::new(Some("environment"), format!("there is no cloud `{wanted}`"))
            .with_hint("it is `public`, `usgovernment` or `china`")
    })
}

/// True for what can be one segment of a resource id.
pub(crate) fn is_segment(text: &str) -> bool {
    http::is_segment(text, "-_.()")
}

impl Proof {
    fn new(
        tenant: Option<&str>,
        client: Option<&str>,
        secret: Option<SecretRef>,
        assertion: Option<SecretRef>,
        token: Option<SecretRef>,
    ) -> Result<Self, SettingsError> {
        let application = |what: &str| {
            let missing =
                |key: &str| SettingsError::new(Some(key), format!("`{what}` needs `{key}` beside it"));
            let tenant = tenant.ok_or_else(|| missing("tenant_id"))?;
            let client = client.ok_or_else(|| missing("client_id"))?;
            Ok::<_, SettingsError>((tenant.to_owned(), client.to_owned()))
        };
        match (secret, assertion, token) {
            (Some(secret), None, None) => {
                let (tenant, client) = application("client_secret")?;
                Ok(Self::Secret { tenant, client, secret })
            }
            (None, Some(assertion), None) => {
                let (tenant, client) = application("client_assertion")?;
                Ok(Self::Assertion { tenant, client, assertion })
            }
            (None, None, Some(token)) => Ok(Self::AccessToken(token)),
            (None, None, None) => Ok(Self::Managed(client.map(str::to_owned))),
            _ => Err(SettingsError::new(Some("client_secret"), "more than one credential is given")
                .with_hint("keep one of `client_secret`, `client_assertion` and `access_token`")),
        }
    }
}

impl Machine {
    fn new(endpoint: Option<&str>, header: Option<SecretRef>) -> Result<Self, SettingsError> {
        let at = |error: SettingsError| error.at("identity_endpoint");
        let client =
            |base: &str| Ok(HttpClient::builder(base).map_err(at)?.timeout(METADATA_TIMEOUT).build());
        let Some(header) = header else {
            return Ok(Self::Metadata(client(endpoint.unwrap_or(METADATA))?));
        };
        let endpoint = endpoint.ok_or_else(|| {
            SettingsError::new(Some("identity_endpoint"), "`identity_header` needs it beside it")
        })?;
        let wrong = |_| at(SettingsError::new(None, format!("`{endpoint}` is no address")));
        let (origin, path) = http::origin_and_path(endpoint).map_err(wrong)?;
        Ok(Self::Endpoint { client: client(&origin)?, path, header })
    }
}

const SUBSCRIPTION: &str = "AZURE_SUBSCRIPTION_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const ASSERTION_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const TEXTS: [(&str, &str); 8] = [
    ("subscription_id", SUBSCRIPTION),
    ("resource_group", "AZURE_RESOURCE_GROUP"),
    ("tenant_id", "AZURE_TENANT_ID"),
    ("client_id", CLIENT),
    ("environment", "AZURE_ENVIRONMENT"),
    ("base_url", "AZURE_RESOURCE_MANAGER_URL"),
    ("login_url", "AZURE_AUTHORITY_HOST"),
    ("identity_endpoint", "AZURE_POD_IDENTITY_AUTHORITY_HOST"),
];

/// The settings that the environment names of lego and of the service's own tools stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let mut settings = Settings::default();
    for (key, name) in TEXTS {
        settings = settings.with_optional(key, environment.first(&[name]));
    }
    if settings.text("subscription_id").is_none() {
        return Err(SettingsError::not_in_environment("azure", "subscription", SUBSCRIPTION));
    }
    // Workloads of Kubernetes have the file set for them; a secret is set on purpose.
    if let Some(secret) = environment.secret(&[SECRET]) {
        settings = settings.with("client_secret", secret);
    } else if let Some(file) = environment.secret_file(&[ASSERTION_FILE]) {
        settings = settings.with("client_assertion", file);
    } else if let Some(endpoint) = environment.first(&["IDENTITY_ENDPOINT"])
        && let Some(header) = environment.secret(&["IDENTITY_HEADER"])
    {
        settings = settings.with("identity_endpoint", endpoint).with("identity_header", header);
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
    fn each_kind_of_credential_is_told_by_its_keys() {
        let x = json!({ "env": "X" });
        let with = |more: Value| {
            let mut table = json!({ "tenant_id": "t", "client_id": "c" });
            table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config(table).unwrap().proof
        };
        assert!(matches!(with(json!({ "client_secret": x })), Proof::Secret { .. }));
        assert!(matches!(with(json!({ "client_assertion": x })), Proof::Assertion { .. }));
        assert!(matches!(with(json!({ "access_token": x })), Proof::AccessToken(_)));
        assert!(matches!(with(json!({})), Proof::Managed(Some(_))));
        assert!(matches!(config(json!({})).unwrap().proof, Proof::Managed(None)));
    }

    #[test]
    fn mistakes_name_their_key() {
        let x = json!({ "env": "X" });
        for (table, at) in [
            (json!({ "client_secret": x }), "tenant_id"),
            (json!({ "client_secret": x, "tenant_id": "t" }), "client_id"),
            (json!({ "client_secret": x, "access_token": x }), "client_secret"),
            (json!({ "resource_group": "g" }), "subscription_id"),
            (json!({ "subscription_id": "a/b" }), "subscription_id"),
            (json!({ "subscription_id": "s", "resource_group": ".." }), "resource_group"),
            (json!({ "environment": "mars" }), "environment"),
            (json!({ "base_url": "ftp://x" }), "base_url"),
            (json!({ "login_url": "x" }), "login_url"),
            (json!({ "identity_endpoint": "x" }), "identity_endpoint"),
            (json!({ "identity_header": x }), "identity_endpoint"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "secret": x })).is_err());
    }

    #[test]
    fn clouds_have_their_own_addresses() {
        let shown = format!("{:?}", config(json!({ "environment": "China" })).unwrap());
        assert!(shown.contains("https://login.chinacloudapi.cn/"), "{shown}");
        assert!(shown.contains("https://management.chinacloudapi.cn/"), "{shown}");
    }

    #[test]
    fn the_environment_names_of_lego_and_of_azure_work() {
        let base = [("AZURE_SUBSCRIPTION_ID", "s"), ("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let with = |more: &[(&str, &str)]| format!("{:?}", environment(&[&base[..], more].concat()).unwrap());
        let secret = with(&[("AZURE_CLIENT_SECRET", "hunter2"), ("AZURE_FEDERATED_TOKEN_FILE", "/run/t")]);
        assert!(secret.contains("`AZURE_CLIENT_SECRET`") && !secret.contains("hunter2"), "{secret}");
        assert!(with(&[("AZURE_CLIENT_SECRET_FILE", "/run/s")]).contains("file `/run/s`"));
        assert!(with(&[("AZURE_FEDERATED_TOKEN_FILE", "/run/t")]).contains("Assertion"));
        let app =
            with(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"), ("IDENTITY_HEADER", "hunter2")]);
        assert!(app.contains("\"/msi/token\"") && !app.contains("hunter2"), "{app}");
        let places = with(&[
            ("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1"),
            ("AZURE_RESOURCE_MANAGER_URL", "http://127.0.0.1:2"),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:3"),
        ]);
        assert!((1..4).all(|port| places.contains(&format!("http://127.0.0.1:{port}/"))), "{places}");
        assert_eq!(environment(&[]).unwrap_err().hint.unwrap(), "set `AZURE_SUBSCRIPTION_ID`");
    }
}

//! Settings: raw as written, then checked once.

use crate::credentials::Keys;
use dns01_provider::http::HttpClient;
use dns01_provider::{Environment, SecretRef, Settings, SettingsError};
use serde::Deserialize;

/// What the session of a role is called in the account's logs unless `role_session_name` says
/// otherwise.
const SESSION_NAME: &str = "dns01";

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the access key comes from.
    pub source: Source,
    /// The role that is taken on with it.
    pub role: Option<Role>,
    /// The id of the zone where the zone itself has none.
    pub hosted_zone_id: Option<String>,
    /// Only other partitions have another one than `us-east-1`.
    pub region: Option<String>,
    /// Where the API lives, if not where it usually does.
    pub endpoint_url: Option<String>,
    /// Where the token service lives, if not where it usually does.
    pub sts_endpoint_url: Option<String>,
}

/// Where the access key comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// References of our own.
    Keys(Keys),
    /// The places that the SDK looks at, in its order: environment, shared files, web identity,
    /// container and instance metadata.
    Chain {
        /// The profile in the shared files, where it is another than the usual one.
        profile: Option<String>,
    },
    /// The token of a web identity, which opens a role.
    WebIdentity {
        /// The token.
        token: SecretRef,
    },
}

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    /// `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// What the role's owner wants to be told.
    pub external_id: Option<String>,
    /// What the session is called in the account's logs.
    pub session_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    access_key_id: Option<SecretRef>,
    secret_access_key: Option<SecretRef>,
    session_token: Option<SecretRef>,
    profile: Option<String>,
    role_arn: Option<String>,
    external_id: Option<String>,
    role_session_name: Option<String>,
    web_identity_token: Option<SecretRef>,
    hosted_zone_id: Option<String>,
    region: Option<String>,
    endpoint_url: Option<String>,
    sts_endpoint_url: Option<String>,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let mut raw: Raw = settings.parse()?;
        let role = role(&mut raw)?;
        let source = source(&mut raw)?;
        if matches!(source, Source::WebIdentity { .. }) {
            match &role {
                None => {
                    return Err(SettingsError::new(
                        Some("role_arn"),
                        "`web_identity_token` needs the role it opens",
                    ));
                }
                Some(Role { external_id: Some(_), .. }) => {
                    let message = "a role that a web identity opens takes no external id";
                    return Err(SettingsError::new(Some("external_id"), message));
                }
                Some(_) => {}
            }
        }
        for (key, url) in [("endpoint_url", &raw.endpoint_url), ("sts_endpoint_url", &raw.sts_endpoint_url)] {
            if let Some(url) = url {
                HttpClient::builder(url).map_err(|error| error.at(key))?;
            }
        }
        if let Some(region) = &raw.region {
            let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if region.is_empty() || !region.chars().all(known) {
                return Err(SettingsError::new(Some("region"), format!("`{region}` is no region"))
                    .with_hint("leave it out: the service is global"));
            }
        }
        let hosted_zone_id = raw.hosted_zone_id.map(|id| zone_id(&id)).transpose()?;
        let (region, endpoint_url, sts_endpoint_url) = (raw.region, raw.endpoint_url, raw.sts_endpoint_url);
        Ok(Self { source, role, hosted_zone_id, region, endpoint_url, sts_endpoint_url })
    }
}

fn source(raw: &mut Raw) -> Result<Source, SettingsError> {
    let wrong = |key: &str, message: &str| Err(SettingsError::new(Some(key), message));
    let (id, secret) = (raw.access_key_id.take(), raw.secret_access_key.take());
    let (session_token, profile) = (raw.session_token.take(), raw.profile.take());
    match (id, secret, raw.web_identity_token.take()) {
        (Some(_), None, _) => {
            wrong("secret_access_key", "`access_key_id` needs `secret_access_key` beside it")
        }
        (None, Some(_), _) => wrong("access_key_id", "`secret_access_key` needs `access_key_id` beside it"),
        (Some(_), Some(_), Some(_)) => {
            wrong("web_identity_token", "an access key and a web identity are given: keep one")
        }
        (Some(access_key_id), Some(secret_access_key), None) => match profile {
            Some(_) => wrong("profile", "an access key and a profile are given: keep one"),
            None => Ok(Source::Keys(Keys { access_key_id, secret_access_key, session_token })),
        },
        (None, None, _) if session_token.is_some() => {
            wrong("access_key_id", "`session_token` needs an access key beside it")
        }
        (None, None, Some(_)) if profile.is_some() => {
            wrong("profile", "a web identity and a profile are given: keep one")
        }
        (None, None, Some(token)) => Ok(Source::WebIdentity { token }),
        (None, None, None) => Ok(Source::Chain { profile }),
    }
}

fn role(raw: &mut Raw) -> Result<Option<Role>, SettingsError> {
    let (external_id, session_name) = (raw.external_id.take(), raw.role_session_name.take());
    let Some(arn) = raw.role_arn.take() else {
        let stray = [("external_id", external_id.is_some()), ("role_session_name", session_name.is_some())];
        return match stray.into_iter().find(|(_, given)| *given) {
            None => Ok(None),
            Some((key, _)) => Err(SettingsError::new(
                Some(key),
                format!("`{key}` says something of a role, and none is given"),
            )
            .with_hint("give the role as `role_arn`")),
        };
    };
    if !(arn.starts_with("arn:") && arn.contains(":role/")) {
        return Err(SettingsError::new(Some("role_arn"), format!("`{arn}` is not the ARN of a role"))
            .with_hint("it looks like `arn:aws:iam::123456789012:role/dns01`"));
    }
    let session_name = session_name.unwrap_or_else(|| SESSION_NAME.to_owned());
    Ok(Some(Role { arn, external_id, session_name }))
}

/// An id with or without the path that some tools show before it.
fn zone_id(text: &str) -> Result<String, SettingsError> {
    let id = text.trim_start_matches('/').trim_start_matches("hostedzone/");
    if id.is_empty() || id.len() > 32 || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(SettingsError::new(Some("hosted_zone_id"), format!("`{text}` is no zone id"))
            .with_hint("it looks like `Z0123456789ABCDEFGHIJ`"));
    }
    Ok(id.to_owned())
}

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// The settings that the environment names of the SDK and of lego stand for. What the SDK's
/// chain reads by itself (profiles, region, addresses, web identity, metadata) is left to it.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let mut settings = Settings::default();
    match (environment.secret(&[ACCESS_KEY_ID]), environment.secret(&[SECRET_ACCESS_KEY])) {
        (Some(id), Some(secret)) => {
            settings = settings
                .with("access_key_id", id)
                .with("secret_access_key", secret)
                .with_optional("session_token", environment.secret(&[SESSION_TOKEN]));
        }
        (Some(_), None) => {
            return Err(SettingsError::not_in_environment("route53", "secret access key", SECRET_ACCESS_KEY));
        }
        (None, Some(_)) => {
            return Err(SettingsError::not_in_environment("route53", "access key id", ACCESS_KEY_ID));
        }
        (None, None) => {}
    }
    Ok(settings
        .with_optional("hosted_zone_id", environment.first(&["AWS_HOSTED_ZONE_ID"]))
        .with_optional("role_arn", environment.first(&["AWS_ASSUME_ROLE_ARN"]))
        .with_optional("external_id", environment.first(&["AWS_EXTERNAL_ID"])))
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
    fn a_key_a_profile_or_a_web_identity_is_taken_and_never_two_of_them() {
        let secret = json!({ "env": "X" });
        let role = "arn:aws:iam::123456789012:role/dns01";
        let keys = json!({ "access_key_id": secret, "secret_access_key": secret, "session_token": secret });
        assert!(matches!(config(keys).unwrap().source, Source::Keys(_)));
        assert!(matches!(config(json!({})).unwrap().source, Source::Chain { profile: None }));
        assert!(matches!(
            config(json!({ "profile": "p" })).unwrap().source,
            Source::Chain { profile: Some(_) }
        ));
        let web = config(json!({ "web_identity_token": secret, "role_arn": role })).unwrap();
        assert!(matches!(web.source, Source::WebIdentity { .. }));
        assert_eq!(web.role.unwrap().session_name, "dns01");
        for (table, at) in [
            (json!({ "access_key_id": secret }), "secret_access_key"),
            (json!({ "secret_access_key": secret }), "access_key_id"),
            (json!({ "session_token": secret }), "access_key_id"),
            (json!({ "access_key_id": secret, "secret_access_key": secret, "profile": "p" }), "profile"),
            (json!({ "web_identity_token": secret, "profile": "p", "role_arn": role }), "profile"),
            (json!({ "web_identity_token": secret }), "role_arn"),
            (json!({ "web_identity_token": secret, "role_arn": role, "external_id": "x" }), "external_id"),
            (json!({ "external_id": "x" }), "external_id"),
            (json!({ "role_arn": "dns01" }), "role_arn"),
            (json!({ "endpoint_url": "route53" }), "endpoint_url"),
            (json!({ "sts_endpoint_url": "ftp://x" }), "sts_endpoint_url"),
            (json!({ "region": "US East" }), "region"),
            (json!({ "hosted_zone_id": "example.com" }), "hosted_zone_id"),
        ] {
            assert_eq!(config(table.clone()).unwrap_err().key.as_deref(), Some(at), "{table}");
        }
        assert!(config(json!({ "access_key": secret })).is_err());
    }

    #[test]
    fn a_zone_id_may_have_the_path_that_some_tools_show() {
        for text in ["Z0123456789ABC", "/hostedzone/Z0123456789ABC", "hostedzone/Z0123456789ABC"] {
            let config = config(json!({ "hosted_zone_id": text })).unwrap();
            assert_eq!(config.hosted_zone_id.as_deref(), Some("Z0123456789ABC"));
        }
    }

    #[test]
    fn the_environment_names_of_the_sdk_and_of_lego_work() {
        let set = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY_FILE", "/run/key")];
        let shown = format!("{:?}", environment(&set).unwrap());
        assert!(shown.contains("`AWS_ACCESS_KEY_ID`") && shown.contains("`/run/key`"), "{shown}");
        let legos = [
            ("AWS_HOSTED_ZONE_ID", "Z1"),
            ("AWS_ASSUME_ROLE_ARN", "arn:aws:iam::1:role/r"),
            ("AWS_EXTERNAL_ID", "e"),
        ];
        let config = environment(&legos).unwrap();
        assert!(matches!(config.source, Source::Chain { profile: None }));
        assert_eq!(config.hosted_zone_id.as_deref(), Some("Z1"));
        assert_eq!(config.role.unwrap().external_id.as_deref(), Some("e"));
        let hint = |set: &[(&str, &str)]| environment(set).unwrap_err().hint.unwrap();
        assert_eq!(hint(&set[..1]), "set `AWS_SECRET_ACCESS_KEY`");
        assert_eq!(hint(&set[1..]), "set `AWS_ACCESS_KEY_ID`");
    }
}

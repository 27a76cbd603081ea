//! How a plugin is named, configured and made. Each provider crate exports one
//! `pub const PLUGIN: Plugin`, and the program lists them in one table.

use crate::provider::{DnsProvider, ScopeNeed};
use crate::recipe::Recipe;
use crate::secret::SecretRef;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// A provider, before it is configured.
#[derive(Clone, Copy)]
pub struct Plugin {
    /// What `provider = "…"` and `--dns …` say.
    pub name: &'static str,
    /// One line for lists.
    pub summary: &'static str,
    /// The keys its `[dns.*]` table may have beside the common ones, for "did you mean".
    pub keys: &'static [&'static str],
    /// Makes the provider; no network is touched.
    pub build: fn(Settings) -> Result<Arc<dyn DnsProvider>, SettingsError>,
    /// Settings from the environment names people already have set. Secrets become
    /// references (`{ env = "…" }`), never values.
    pub from_environment: fn(&Environment<'_>) -> Result<Settings, SettingsError>,
    /// How the host names of the service's own name servers end (`.ns.cloudflare.com`), by which
    /// `init` knows whose a zone is. Empty where anybody runs the servers.
    pub name_servers: &'static [&'static str],
    /// The lines of a `[dns.*]` table that `init` writes below `provider` and `zones`: the keys
    /// of the usual case, secrets as references, with comments. Ends with a line break.
    pub template: &'static str,
    /// How to make the smallest credential for `needs`. The settings are those configured, if
    /// any are: they hold references to secrets, never the secrets.
    pub recipe: fn(&Settings, &[ScopeNeed]) -> Recipe,
}

/// A program has one plugin of a name.
impl PartialEq for Plugin {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.name).finish()
    }
}

/// The provider's own keys of one `[dns.*]` table. `Debug` shows the keys only.
#[derive(Clone, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Settings from a JSON object.
    #[must_use]
    pub fn new(table: Map<String, Value>) -> Self {
        Self(table)
    }

    /// Sets one key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Sets one key if there is a value for it.
    #[must_use]
    pub fn with_optional(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The text at `key`, if there is one; of a table, that of `key.inner`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        let mut parts = key.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))?.as_str()
    }

    /// The references to secrets, with their keys (`tsig.secret`).
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, SecretRef)> {
        let mut secrets = Vec::new();
        self.0.iter().for_each(|(key, value)| gather_secrets(key, value, &mut secrets));
        secrets
    }

    /// The keys that are set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// True if the keys of both say the same: they are about one credential.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The provider's own configuration type.
    ///
    /// # Errors
    /// A key is missing, unknown or of the wrong type.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, SettingsError> {
        serde_json::from_value(Value::Object(self.0))
            .map_err(|error| SettingsError::new(None, error.to_string()))
    }
}

fn gather_secrets(key: &str, value: &Value, secrets: &mut Vec<(String, SecretRef)>) {
    let Value::Object(table) = value else { return };
    match SecretRef::deserialize(value) {
        Ok(secret) => secrets.push((key.to_owned(), secret)),
        Err(_) => {
            table.iter().for_each(|(inner, value)| gather_secrets(&format!("{key}.{inner}"), value, secrets))
        }
    }
}

impl TryFrom<Value> for Settings {
    type Error = SettingsError;

    fn try_from(table: Value) -> Result<Self, SettingsError> {
        match table {
            Value::Object(table) => Ok(Self(table)),
            _ => Err(SettingsError::new(None, "the settings are not a table")),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A mistake in a provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// The key at fault, where one is.
    pub key: Option<String>,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SettingsError {
    /// A mistake at `key`.
    pub fn new(key: Option<&str>, message: impl Into<String>) -> Self {
        Self { key: key.map(str::to_owned), message: message.into(), hint: None }
    }

    /// The same mistake, found at `key`.
    #[must_use]
    pub fn at(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The variable `name` should hold the path of a file, and may hold the secret itself.
    fn misplaced(name: &str) -> Self {
        let message =
            format!("what `{name}` holds is no path of a file that is there, and may be the secret itself");
        let hint = match name.strip_suffix("_FILE") {
            Some(own) => format!("the secret itself goes into `{own}`; a file of this directory is `./NAME`"),
            None => "it names the file that holds the secret; one of this directory is `./NAME`".to_owned(),
        };
        Self::new(None, message).with_hint(hint)
    }

    /// The environment of `--dns PROVIDER` has no `what`; `name` would hold it.
    #[must_use]
    pub fn not_in_environment(provider: &str, what: &str, name: &str) -> Self {
        Self::new(None, format!("the environment has no {what} for {provider}"))
            .with_hint(format!("set `{name}`"))
    }
}

/// The setting `timeout`, or `default` where there is none.
///
/// # Errors
/// Nothing or less than nothing.
pub fn timeout(raw: Option<jiff::SignedDuration>, default: Duration) -> Result<Duration, SettingsError> {
    let Some(raw) = raw else { return Ok(default) };
    let timeout = Duration::try_from(raw).ok().filter(|timeout| !timeout.is_zero()).ok_or_else(|| {
        SettingsError::new(Some("timeout"), "the timeout must be longer than nothing")
            .with_hint("write it as `10s` or `1m`")
    })?;
    // Longer ones are as good, but added to the time of day may be more than a clock knows.
    Ok(timeout.min(YEAR))
}

/// The process environment, or a test's.
pub struct Environment<'a> {
    look_up: LookUp<'a>,
    misplaced: OnceCell<SettingsError>,
}

type LookUp<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

impl<'a> Environment<'a> {
    /// An environment that looks names up with `look_up`.
    pub fn new(look_up: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { look_up: Box::new(look_up), misplaced: OnceCell::new() }
    }

    /// An environment with these names and values, and no others.
    #[must_use]
    pub fn of(variables: &'a [(&'a str, &'a str)]) -> Self {
        let look_up =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Self { look_up: Box::new(look_up), misplaced: OnceCell::new() }
    }

    /// The first of `names` that is set and not empty.
    #[must_use]
    pub fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| (self.look_up)(name).filter(|value| !value.is_empty()))
    }

    /// A reference to the secret kept under the first of `names` that is set, either itself
    /// or with `_FILE` behind it (then its value is a path).
    #[must_use]
    pub fn secret(&self, names: &[&str]) -> Option<Value> {
        names.iter().find_map(|name| {
            let file = format!("{name}_FILE");
            if self.first(&[name]).is_some() {
                return Some(serde_json::json!({ "env": name }));
            }
            self.secret_file(&[&file])
        })
    }

    /// A reference to the secret in the file that the first of `names` that is set is the path
    /// of. It is made absolute: renewals find it again from every working directory.
    #[must_use]
    pub fn secret_file(&self, names: &[&str]) -> Option<Value> {
        let name = names.iter().find(|name| self.first(&[name]).is_some())?;
        let path = PathBuf::from(self.first(&[name])?);
        if !SecretRef::File(path.clone()).is_place() {
            self.misplaced.get_or_init(|| SettingsError::misplaced(name));
        }
        let path = std::path::absolute(&path).unwrap_or(path);
        Some(serde_json::json!({ "file": path }))
    }

    /// `settings`, which were made of what was asked here.
    ///
    /// # Errors
    /// A variable that names the file of a secret seems to hold the secret itself.
    pub fn checked(self, settings: Settings) -> Result<Settings, SettingsError> {
        self.misplaced.into_inner().map_or(Ok(settings), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_a_table_and_a_value_that_is_not_there_is_left_out() {
        let settings = Settings::try_from(json!({ "url": "u" })).unwrap();
        let settings = settings.with_optional("token", Some("t")).with_optional("timeout", None::<String>);
        assert!(settings.is_same_as(&json!({ "url": "u", "token": "t" }).try_into().unwrap()));
        assert!(Settings::try_from(json!("u")).is_err());
    }

    #[test]
    fn references_to_secrets_are_found_with_their_keys() {
        let tsig = json!({ "name": "k", "secret": { "file": "/run/k" } });
        let settings =
            Settings::default().with("tsig", tsig).with("token", json!({ "env": "T" })).with("file", "plain");
        let found: Vec<String> =
            settings.secrets().iter().map(|(key, secret)| format!("{key}: {secret}")).collect();
        assert_eq!(found, ["token: environment variable `T`", "tsig.secret: file `/run/k`"]);
    }

    #[test]
    fn the_first_name_that_is_set_and_not_empty_counts_and_a_secret_stays_a_reference() {
        let set = [("EMPTY", ""), ("SECOND", "2"), ("THIRD_FILE", "/run/3")];
        let environment = Environment::of(&set);
        assert_eq!(environment.first(&["ABSENT", "EMPTY", "SECOND"]).as_deref(), Some("2"));
        assert_eq!(environment.first(&["ABSENT"]), None);
        assert_eq!(environment.secret(&["EMPTY", "SECOND"]), Some(json!({ "env": "SECOND" })));
        assert_eq!(environment.secret(&["THIRD", "SECOND"]), Some(json!({ "file": "/run/3" })));
        assert_eq!(environment.secret(&["ABSENT"]), None);
    }

    #[test]
    fn a_relative_path_of_a_secret_is_made_absolute() {
        let set = [("TOKEN_FILE", "./secrets/token")];
        let secret = Environment::of(&set).secret(&["TOKEN"]).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(secret, json!({ "file": here.join("secrets/token") }));
    }

    #[test]
    fn a_secret_in_place_of_its_path_is_a_mistake_that_names_the_variable_alone() {
        let set = [("TOKEN_FILE", "hunter2")];
        let environment = Environment::of(&set);
        let settings = Settings::default().with_optional("token", environment.secret(&["TOKEN"]));
        let error = environment.checked(settings).unwrap_err();
        assert!(error.message.contains("`TOKEN_FILE`") && error.hint.is_some(), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let sound = Environment::of(&[("TOKEN_FILE", "/run/token")]);
        assert!(sound.secret(&["TOKEN"]).is_some() && sound.checked(Settings::default()).is_ok());
    }
}

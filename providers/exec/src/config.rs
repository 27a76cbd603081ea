//! Settings: raw as written, then checked once.

use dns01_provider::process::{self, Program, Variable};
use dns01_provider::{Environment, Settings, SettingsError, plugin};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The time one run may take unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program, with its environment and its time.
    pub program: Program,
    /// How it is asked.
    pub form: Form,
}

/// How the program is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One JSON document on standard input, one on standard output.
    #[default]
    Json,
    /// lego's: `present` or `cleanup`, name and value as arguments.
    Lego,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        if raw.command.first().is_none_or(String::is_empty) {
            return Err(SettingsError::new(Some("command"), "no program is named")
                .with_hint("write it as `[\"/path/to/program\", \"argument\"]`"));
        }
        if let Some(mode) = raw.mode {
            return Err(refused_mode(&mode));
        }
        let timeout = plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?;
        let mut program = Program::new(raw.command, process::checked(raw.environment)?, timeout);
        program.inherit_environment = raw.inherit_environment;
        Ok(Self { program, form: raw.form })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    command: Vec<String>,
    #[serde(default)]
    form: Form,
    mode: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, Variable>,
    #[serde(default)]
    inherit_environment: bool,
    timeout: Option<jiff::SignedDuration>,
}

/// lego's `RAW` gives the program the challenge's token and key authorization, which whoever
/// writes records never sees: the record's value is a hash of them.
fn refused_mode(mode: &str) -> SettingsError {
    if mode.eq_ignore_ascii_case("raw") {
        let message = "the RAW mode of exec is not spoken: records are written by name and value";
        return SettingsError::new(Some("mode"), message)
            .with_hint("leave the mode out and let the program take `present NAME VALUE`");
    }
    SettingsError::new(Some("mode"), format!("`{mode}` is no mode of exec")).with_hint("leave it out")
}

/// The settings that the environment names of lego stand for. Its programs find their tokens in
/// the environment that lego was started with, so these do, too.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let program = environment
        .first(&["EXEC_PATH"])
        .ok_or_else(|| SettingsError::not_in_environment("exec", "program", "EXEC_PATH"))?;
    Ok(Settings::default()
        .with("command", vec![program])
        .with("form", "lego")
        .with("inherit_environment", true)
        .with_optional("mode", environment.first(&["EXEC_MODE"])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn a_table_has_a_program_and_an_environment_with_secrets() {
        let config = config(json!({
            "command": ["/usr/local/bin/hook", "-v"],
            "environment": { "URL": "https://a.test", "TOKEN": { "literal": "hunter2" } },
            "timeout": "1m 30s",
        }))
        .unwrap();
        assert_eq!((config.program.name(), config.form), ("/usr/local/bin/hook", Form::Json));
        assert!(!config.program.inherit_environment);
        assert_eq!(config.program.timeout, Duration::from_secs(90));
        assert!(matches!(config.program.environment["URL"], Variable::Text(_)));
        assert!(matches!(config.program.environment["TOKEN"], Variable::Secret(_)));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        assert_eq!(key(json!({ "command": [] })).as_deref(), Some("command"));
        assert_eq!(key(json!({ "command": [""] })).as_deref(), Some("command"));
        let variable = json!({ "command": ["p"], "environment": { "A=B": "x" } });
        assert_eq!(key(variable).as_deref(), Some("environment"));
        assert_eq!(key(json!({ "command": ["p"], "timeout": "0s" })).as_deref(), Some("timeout"));
        assert_eq!(key(json!({ "command": ["p"], "mode": "RAW" })).as_deref(), Some("mode"));
        assert!(config(json!({ "command": ["p"], "form": "xml" })).is_err());
    }

    #[test]
    fn the_environment_names_of_lego_mean_legos_form_and_its_whole_environment() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set)).and_then(Config::new);
        let config = from(&[("EXEC_PATH", "./hook.sh")]).unwrap();
        assert_eq!((config.program.name(), config.form), ("./hook.sh", Form::Lego));
        assert!(config.program.inherit_environment);
        let raw = from(&[("EXEC_PATH", "./hook.sh"), ("EXEC_MODE", "RAW")]).unwrap_err();
        assert!(raw.message.contains("RAW") && raw.hint.is_some());
        assert!(from(&[]).unwrap_err().hint.is_some());
    }
}

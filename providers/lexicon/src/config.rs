//! Settings: raw as written, then checked once.

use dns01_provider::process::{Program, Variable};
use dns01_provider::{Environment, Settings, SettingsError, plugin};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The time one run may take unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The program, unless `command` says otherwise.
const PROGRAM: &str = "lexicon";

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// lexicon, with the service's options in its environment, and its time.
    pub program: Program,
    /// What lexicon calls the service.
    pub service: String,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if raw.service.is_empty() || !raw.service.chars().all(lower) {
            return Err(SettingsError::new(Some("service"), format!("`{}` names no service", raw.service))
                .with_hint("`lexicon --help` lists them"));
        }
        if raw.command.first().is_none_or(String::is_empty) {
            return Err(SettingsError::new(Some("command"), "no program is named")
                .with_hint("leave it out, or write it as `[\"/opt/lexicon/bin/lexicon\"]`"));
        }
        let mut environment = BTreeMap::new();
        for (option, value) in raw.options {
            if option.is_empty() || !option.chars().all(|c| lower(c) || c == '-') {
                return Err(SettingsError::new(Some("options"), format!("`{option}` names no option"))
                    .with_hint("write `--auth-token` as `auth_token`"));
            }
            environment.insert(format!("LEXICON_{}_{option}", raw.service).to_ascii_uppercase(), value);
        }
        let timeout = plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?;
        let mut program = Program::new(raw.command, environment, timeout);
        program.inherit_environment = raw.inherit_environment;
        Ok(Self { program, service: raw.service })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    service: String,
    #[serde(default)]
    options: BTreeMap<String, Variable>,
    #[serde(default = "program")]
    command: Vec<String>,
    #[serde(default)]
    inherit_environment: bool,
    timeout: Option<jiff::SignedDuration>,
}

fn program() -> Vec<String> {
    vec![PROGRAM.to_owned()]
}

const SERVICE: &str = "LEXICON_PROVIDER_NAME";

/// lexicon finds its options in the environment that it is started with, so it sees all of ours.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let service = environment
        .first(&[SERVICE])
        .ok_or_else(|| SettingsError::not_in_environment("lexicon", "service", SERVICE))?;
    Ok(Settings::default().with("service", service).with("inherit_environment", true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn options_become_lexicons_own_variables() {
        let options =
            json!({ "auth_token": { "literal": "hunter2" }, "pdns_server": "http://127.0.0.1:8081" });
        let config = config(json!({ "service": "powerdns", "options": options })).unwrap();
        let names: Vec<&str> = config.program.environment.keys().map(String::as_str).collect();
        assert_eq!(names, ["LEXICON_POWERDNS_AUTH_TOKEN", "LEXICON_POWERDNS_PDNS_SERVER"]);
        assert_eq!((config.program.name(), config.program.inherit_environment), ("lexicon", false));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        for service in ["", "Power DNS", "--help"] {
            assert_eq!(key(json!({ "service": service })).as_deref(), Some("service"));
        }
        let option = json!({ "service": "powerdns", "options": { "AUTH=": "x" } });
        assert_eq!(key(option).as_deref(), Some("options"));
        assert_eq!(key(json!({ "service": "powerdns", "command": [] })).as_deref(), Some("command"));
        assert_eq!(key(json!({ "service": "powerdns", "timeout": "0s" })).as_deref(), Some("timeout"));
    }

    #[test]
    fn on_the_command_line_lexicon_finds_its_own_variables() {
        let set = [("LEXICON_PROVIDER_NAME", "powerdns")];
        let config = Config::new(from_environment(&Environment::of(&set)).unwrap()).unwrap();
        assert!(config.program.inherit_environment);
        assert!(from_environment(&Environment::of(&[])).unwrap_err().hint.is_some());
    }
}

//! Settings: raw as written, then checked once.

use dns01_provider::process::{self, Program, Variable};
use dns01_provider::{Environment, Settings, SettingsError, plugin};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time one run may take unless `timeout` says otherwise: some scripts look several zones up.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// The scripts of acme.sh 3.1 whose removal takes no notice of the value.
const WHOLE_RRSET: [&str; 10] = [
    "dns_clouddns",
    "dns_dnsimple",
    "dns_doapi",
    "dns_exoscale",
    "dns_he_ddns",
    "dns_ispconfig",
    "dns_knot",
    "dns_linode",
    "dns_linode_v4",
    "dns_nsupdate",
];

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The shell that runs the script, with the script's variables and its time.
    pub shell: Program,
    /// The script.
    pub script: Script,
    /// acme.sh itself, whose functions scripts use.
    pub acme_sh: PathBuf,
    /// Whether the script's removal takes every value at the name.
    pub whole_rrset: bool,
    /// Where the processes of this user tell one another which names hold values.
    pub lock_directory: PathBuf,
}

/// A DNS script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `dns_example`: the beginning of the names of its functions.
    pub name: String,
    /// Where it may be; the first that exists is run.
    pub places: Vec<PathBuf>,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        let script = Script::new(&raw.script, &raw.home)?;
        let timeout = plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?;
        let command = ["sh", "-c", crate::api::RUN].map(str::to_owned).to_vec();
        Ok(Self {
            shell: Program::new(command, process::checked(raw.environment)?, timeout),
            whole_rrset: raw.whole_rrset.unwrap_or_else(|| WHOLE_RRSET.contains(&script.name.as_str())),
            script,
            acme_sh: raw.home.join("acme.sh"),
            lock_directory: raw.lock_directory.unwrap_or_else(lock_directory),
        })
    }
}

impl Script {
    /// A script of acme.sh's folder by its name, or any other by its path.
    fn new(script: &str, home: &Path) -> Result<Self, SettingsError> {
        let places = match script.contains('/') {
            true => vec![PathBuf::from(script)],
            // Where acme.sh itself looks.
            false => ["", "dnsapi/"].map(|folder| home.join(format!("{folder}{script}.sh"))).to_vec(),
        };
        let name = places[0].file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(SettingsError::new(Some("script"), format!("`{script}` names no DNS script"))
                .with_hint("write it as `dns_example`, or as the path of a file `dns_example.sh`"));
        }
        Ok(Self { name, places })
    }

    /// The file, if it is there.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.places.iter().map(PathBuf::as_path).find(|place| place.is_file())
    }
}

/// One of this user's own.
fn lock_directory() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("dns01-acme-sh-{user}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    script: String,
    home: PathBuf,
    #[serde(default)]
    environment: BTreeMap<String, Variable>,
    whole_rrset: Option<bool>,
    lock_directory: Option<PathBuf>,
    timeout: Option<jiff::SignedDuration>,
}

const SCRIPT: &str = "ACME_SH_SCRIPT";
/// The second is what acme.sh itself calls its folder.
const HOME: [&str; 2] = ["ACME_SH_HOME", "LE_WORKING_DIR"];

/// The settings for the script that `ACME_SH_SCRIPT` names: it is given those of its variables
/// that are set, and no others.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let script = environment
        .first(&[SCRIPT])
        .ok_or_else(|| SettingsError::not_in_environment("acme-sh", "script", SCRIPT))?;
    let home = environment
        .first(&HOME)
        .or_else(|| Some(format!("{}/.acme.sh", environment.first(&["HOME"])?)))
        .ok_or_else(|| SettingsError::not_in_environment("acme-sh", "folder of acme.sh", HOME[0]))?;
    let text = Script::new(&script, Path::new(&home))?;
    let text = text.file().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let set = options(&text).filter_map(|name| Some((name.to_owned(), environment.secret(&[name])?)));
    let variables: BTreeMap<String, _> = set.collect();
    let variables: serde_json::Map<_, _> = variables.into_iter().collect();
    Ok(Settings::default().with("script", script).with("home", home).with("environment", variables))
}

/// The variables that the `dns_…_info` of a script lists: lines that begin with a blank, below
/// one that begins with `Options`.
fn options(script: &str) -> impl Iterator<Item = &str> {
    let info = script.split_once("_info='").and_then(|(_, rest)| rest.split_once('\''));
    let mut below = false;
    info.map_or("", |(info, _)| info).lines().filter_map(move |line| {
        if !line.starts_with(' ') {
            below = line.starts_with("Options");
            return None;
        }
        let name = line.split_whitespace().next().filter(|_| below)?.trim_end_matches('.');
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// In the form of acme.sh's scripts.
    const TEXT: &str = "#!/usr/bin/env sh\ndns_lab_info='Lab.example\nSite: lab.example\nOptions:\n LAB_Token API token\n \
                        LAB_Zone Zone id. Optional.\nOptionsAlt:\n LAB_User User\nIssues: none\n NOT_This x\n'\n";

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn a_script_is_found_where_acme_sh_looks_or_by_its_path() {
        let table = json!({ "script": "dns_lab", "home": "/opt/acme.sh" });
        let config = config(table).unwrap();
        let places = ["/opt/acme.sh/dns_lab.sh", "/opt/acme.sh/dnsapi/dns_lab.sh"].map(PathBuf::from);
        assert_eq!(config.script, Script { name: "dns_lab".to_owned(), places: places.to_vec() });
        assert_eq!(config.acme_sh, Path::new("/opt/acme.sh/acme.sh"));
        let path = Script::new("/etc/dns01/dns_own.sh", Path::new("/opt")).unwrap();
        assert_eq!((path.name.as_str(), path.places.len()), ("dns_own", 1));
    }

    #[test]
    fn scripts_that_delete_whole_rrsets_are_known_and_may_be_declared() {
        let whole = |script: &str, declared: Option<bool>| {
            let mut table = json!({ "script": script, "home": "/opt" });
            if let Some(declared) = declared {
                table["whole_rrset"] = declared.into();
            }
            config(table).unwrap().whole_rrset
        };
        assert!(whole("dns_nsupdate", None) && whole("/x/dns_knot.sh", None));
        assert!(!whole("dns_hetzner", None) && whole("dns_hetzner", Some(true)));
        assert!(!whole("dns_nsupdate", Some(false)));
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        for script in ["", "dns-lab", "dns_lab; rm", "../dns lab.sh"] {
            assert_eq!(key(json!({ "script": script, "home": "/opt" })).as_deref(), Some("script"));
        }
        let table = json!({ "script": "dns_lab", "home": "/opt", "environment": { "A=B": "x" } });
        assert_eq!(key(table).as_deref(), Some("environment"));
        let table = json!({ "script": "dns_lab", "home": "/opt", "timeout": "0s" });
        assert_eq!(key(table).as_deref(), Some("timeout"));
    }

    #[test]
    fn on_the_command_line_a_script_gets_its_own_variables_as_references() {
        assert_eq!(options(TEXT).collect::<Vec<_>>(), ["LAB_Token", "LAB_Zone", "LAB_User"]);
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("dnsapi")).unwrap();
        std::fs::write(home.path().join("dnsapi/dns_lab.sh"), TEXT).unwrap();
        let home = home.path().to_str().unwrap();
        let set = [
            ("ACME_SH_SCRIPT", "dns_lab"),
            ("LE_WORKING_DIR", home),
            ("LAB_Token", "hunter2"),
            ("LAB_Zone_FILE", "/run/zone"),
            ("OTHER", "x"),
        ];
        let config = Config::new(from_environment(&Environment::of(&set)).unwrap()).unwrap();
        assert_eq!(config.shell.environment.keys().collect::<Vec<_>>(), ["LAB_Token", "LAB_Zone"]);
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(from_environment(&Environment::of(&[])).unwrap_err().hint.is_some());
    }
}

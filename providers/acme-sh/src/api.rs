//! One run of a script: `dns_example_add NAME VALUE` or `dns_example_rm NAME VALUE`.

use crate::config::Config;
use crate::error::RunError;
use dns01_provider::TxtChange;
use dns01_provider::process::{Run, shortened};

/// What the shell does. acme.sh acts on the arguments of whoever reads it in, so there are
/// none: what is wanted comes in variables. Whatever it or a script keeps goes into the private
/// directory.
pub(crate) const RUN: &str = r#"
export LE_WORKING_DIR="$HOME" LE_CONFIG_HOME="$HOME"
export ACCOUNT_CONF_PATH="$HOME/account.conf" DOMAIN_CONF="$HOME/domain.conf"
. "$DNS01_ACME_SH" >/dev/null
. "$DNS01_SCRIPT"
"$DNS01_FUNCTION" "$DNS01_NAME" "$DNS01_VALUE"
"#;

/// The function is not there (POSIX, "Exit Status for Commands").
const NOT_FOUND: i32 = 127;

/// Lets the script carry `change` out.
pub(crate) async fn run(config: &Config, change: &TxtChange) -> Result<(), RunError> {
    let action = match change {
        TxtChange::Add { .. } => "add",
        TxtChange::Remove { .. } => "rm",
    };
    let script = config.script.file().ok_or_else(|| RunError::Missing(config.script.places.clone()))?;
    if !config.acme_sh.is_file() {
        return Err(RunError::NoAcmeSh(config.acme_sh.clone()));
    }
    let function = format!("{}_{action}", config.script.name);
    let variables = [
        ("DNS01_ACME_SH", absolute(&config.acme_sh)),
        ("DNS01_SCRIPT", absolute(script)),
        ("DNS01_FUNCTION", function.clone()),
        ("DNS01_NAME", change.name().as_str().to_owned()),
        ("DNS01_VALUE", change.value().as_str().to_owned()),
    ];
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = Run { variables: &variables, private_directory: true, ..Run::default() };
    let finished = config.shell.run(run).await?;
    match finished.status.code() {
        Some(0) => Ok(()),
        Some(NOT_FOUND) => Err(RunError::NoFunction { function, complaint: finished.complaint }),
        _ => {
            let complaint = if finished.complaint.is_empty() {
                // Some scripts tell on standard output what went wrong.
                let said = String::from_utf8_lossy(&finished.answer).into_owned();
                shortened(&finished.secrets.removed_from(&said))
            } else {
                finished.complaint
            };
            Err(RunError::Exit { status: finished.status, complaint })
        }
    }
}

/// The shell starts elsewhere.
fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Settings, TxtValue};
    use serde_json::json;

    struct Stand {
        home: tempfile::TempDir,
        config: Config,
    }

    /// An acme.sh as little as it can be, and a script that does `body` for each change.
    fn stand(body: &str) -> Stand {
        let home = tempfile::tempdir().unwrap();
        let acme_sh = "[ -z \"$1\" ] && echo help\n_err() { echo \"$1\" >&2; return 1; }\n";
        std::fs::write(home.path().join("acme.sh"), acme_sh).unwrap();
        let script = format!("dns_lab_add() {{\n{body}\n}}\ndns_lab_rm() {{\nfalse\n}}\n");
        std::fs::write(home.path().join("dns_lab.sh"), script).unwrap();
        let settings = Settings::default()
            .with("script", "dns_lab")
            .with("home", home.path().to_str().unwrap())
            .with("environment", json!({ "LAB_Token": { "literal": "hunter2" } }));
        let config = Config::new(settings).unwrap();
        Stand { home, config }
    }

    fn change(add: bool) -> TxtChange {
        let name = Fqdn::parse("_acme-challenge.example.test").unwrap();
        let value = TxtValue::parse("v").unwrap();
        if add { TxtChange::Add { name, value, ttl: 60 } } else { TxtChange::Remove { name, value } }
    }

    #[tokio::test]
    async fn a_script_finds_acme_shs_functions_its_own_variables_and_a_place_to_keep_things() {
        let seen = tempfile::NamedTempFile::new().unwrap();
        let place = seen.path().display();
        let body = format!(
            "echo \"$1 $2 $#\" > {place}; echo \"$LAB_Token\" >> \"$ACCOUNT_CONF_PATH\"; \
             echo \"$ACCOUNT_CONF_PATH\" >> {place}; env | sed 's/=.*//' | sort | tr '\\n' ' ' >> {place}"
        );
        let Stand { home: _home, config } = stand(&body);
        run(&config, &change(true)).await.unwrap();
        let seen = std::fs::read_to_string(seen.path()).unwrap();
        let lines: Vec<&str> = seen.lines().collect();
        assert_eq!(lines[0], "_acme-challenge.example.test v 2");
        assert!(lines[1].ends_with("/account.conf") && !std::path::Path::new(lines[1]).exists());
        let names: Vec<&str> = lines[2]
            .split(' ')
            .filter(|name| !name.starts_with("DNS01_") && !["", "PWD", "OLDPWD", "SHLVL", "_"].contains(name))
            .collect();
        let ours =
            ["ACCOUNT_CONF_PATH", "DOMAIN_CONF", "HOME", "LAB_Token", "LE_CONFIG_HOME", "LE_WORKING_DIR"];
        assert_eq!(names, [&ours[..], &["PATH", "TMPDIR"]].concat());
    }

    #[tokio::test]
    async fn what_a_script_says_when_it_fails_is_shown_without_secrets() {
        let Stand { home: _home, config } = stand("_err \"bad token $LAB_Token\"");
        let error = run(&config, &change(true)).await.unwrap_err().to_string();
        assert!(error.contains("bad token [secret]"), "{error}");
        let Stand { home: _home, config } = stand("echo \"no zone, $LAB_Token\"; return 1");
        let error = run(&config, &change(true)).await.unwrap_err().to_string();
        assert!(error.contains("no zone, [secret]"), "{error}");
        assert!(matches!(run(&config, &change(false)).await, Err(RunError::Exit { .. })));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let Stand { home, config } = stand("true");
        let script = home.path().join("dns_lab.sh");
        std::fs::write(&script, "dns_other_add() { true; }\n").unwrap();
        let error = run(&config, &change(true)).await.unwrap_err();
        assert!(
            matches!(&error, RunError::NoFunction { function, .. } if function == "dns_lab_add"),
            "{error}"
        );
        std::fs::remove_file(&script).unwrap();
        assert!(matches!(run(&config, &change(true)).await, Err(RunError::Missing(_))));
        std::fs::write(&script, "").unwrap();
        std::fs::remove_file(home.path().join("acme.sh")).unwrap();
        assert!(matches!(run(&config, &change(true)).await, Err(RunError::NoAcmeSh(_))));
    }
}

//! lexicon's command line: what it is asked and what it answers.

use crate::config::Config;
use crate::error::RunError;
use dns01_provider::process::{Finished, Run};
use dns01_provider::{Fqdn, TxtValue, Zone};
use serde::Deserialize;
use serde_json::Value;

/// A TXT record as lexicon lists it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// `None` where it is no printable text, and so not ours.
    pub(crate) value: Option<TxtValue>,
    /// `None` where the service does not tell.
    pub(crate) ttl: Option<u32>,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    content: String,
    /// A number, a text or nothing, as the service has it.
    #[serde(default)]
    ttl: Value,
}

/// What stands at `name`.
pub(crate) async fn list(config: &Config, zone: &Zone, name: &Fqdn) -> Result<Vec<Listed>, RunError> {
    let finished = ask(config, zone, "list", name, &[]).await?;
    listed(&finished, name)
}

/// Lets `value` stand at `name`.
pub(crate) async fn create(
    config: &Config,
    zone: &Zone,
    name: &Fqdn,
    value: &TxtValue,
    ttl: u32,
) -> Result<(), RunError> {
    let (content, ttl) = (format!("--content={value}"), format!("--ttl={ttl}"));
    done(&ask(config, zone, "create", name, &[&content, &ttl]).await?)
}

/// Lets `value` not stand at `name`.
pub(crate) async fn delete(
    config: &Config,
    zone: &Zone,
    name: &Fqdn,
    value: &TxtValue,
) -> Result<(), RunError> {
    let content = format!("--content={value}");
    done(&ask(config, zone, "delete", name, &[&content]).await?)
}

/// Nothing of this is a secret: those are in the environment. The directory is empty, so that
/// no configuration file of lexicon's is found, and what it keeps is wiped.
async fn ask(
    config: &Config,
    zone: &Zone,
    action: &str,
    name: &Fqdn,
    more: &[&str],
) -> Result<Finished, RunError> {
    let (domain, name) = (zone.name.as_str(), format!("--name={}", name.absolute()));
    // `--delegated` says what the zone is, where lexicon would find another one.
    let mut arguments = vec!["--delegated", domain, &config.service, action, domain, "TXT", &name];
    arguments.extend(more);
    arguments.extend(["--output", "JSON"]);
    let run = Run { arguments: &arguments, private_directory: true, ..Run::default() };
    let finished = config.program.run(run).await?;
    match finished.status.success() {
        true => Ok(finished),
        false => Err(RunError::Exit { status: finished.status, complaint: finished.complaint }),
    }
}

/// The answer is one line; warnings may stand before it.
fn answer<T: for<'a> Deserialize<'a>>(finished: &Finished) -> Result<T, RunError> {
    let text = String::from_utf8_lossy(&finished.answer);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(line).map_err(|_| RunError::Answer { complaint: finished.complaint.clone() })
}

fn done(finished: &Finished) -> Result<(), RunError> {
    match answer::<Value>(finished)? {
        // Providers say that it is done in several ways, and that it is not in one.
        Value::Bool(false) => Err(RunError::NotDone),
        _ => Ok(()),
    }
}

/// Some services list more than was asked for.
fn listed(finished: &Finished, name: &Fqdn) -> Result<Vec<Listed>, RunError> {
    let records: Vec<Record> = answer(finished)?;
    let here = records.into_iter().filter(|record| Fqdn::parse(&record.name).as_ref() == Ok(name));
    Ok(here.map(|record| Listed { value: value(&record.content), ttl: ttl(&record.ttl) }).collect())
}

fn value(content: &str) -> Option<TxtValue> {
    let quoted = content.starts_with('"').then(|| TxtValue::from_presentation(content)).flatten();
    quoted.or_else(|| TxtValue::parse(content).ok())
}

fn ttl(ttl: &Value) -> Option<u32> {
    match ttl {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|seconds| seconds.try_into().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Settings, ZoneName};

    /// Does in place of lexicon what `script` says.
    fn shell(script: &str) -> Config {
        let options = serde_json::json!({ "auth_token": { "literal": "hunter2" } });
        let settings = Settings::default()
            .with("service", "lab")
            .with("command", vec!["/bin/sh", "-c", script, "lexicon"])
            .with("options", options);
        Config::new(settings).unwrap()
    }

    fn zone() -> Zone {
        Zone::named(ZoneName::parse("example.test").unwrap())
    }

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.test").unwrap()
    }

    fn txt(text: &str) -> TxtValue {
        TxtValue::parse(text).unwrap()
    }

    #[tokio::test]
    async fn the_command_line_is_lexicons_and_the_token_is_not_in_it() {
        let kept = tempfile::NamedTempFile::new().unwrap();
        let file = kept.path().display();
        let config = shell(&format!(
            "echo \"$@\" $(ls -A) >> {file}; test -n \"$LEXICON_LAB_AUTH_TOKEN\" && echo true"
        ));
        create(&config, &zone(), &name(), &txt("-v_"), 60).await.unwrap();
        delete(&config, &zone(), &name(), &txt("-v_")).await.unwrap();
        let asked = std::fs::read_to_string(kept.path()).unwrap();
        let where_ = "example.test TXT --name=_acme-challenge.example.test. --content=-v_";
        assert_eq!(
            asked,
            format!(
                "--delegated example.test lab create {where_} --ttl=60 --output JSON\n\
                 --delegated example.test lab delete {where_} --output JSON\n"
            )
        );
    }

    #[tokio::test]
    async fn records_are_listed_in_all_the_forms_that_services_give_them() {
        let answer = r#"[{"type":"TXT","name":"_acme-challenge.example.test","ttl":60,"content":"a","id":"1"},
            {"name":"_acme-challenge.EXAMPLE.test.","ttl":"300","content":"\"b\"","options":{}},
            {"name":"_acme-challenge.example.test","ttl":null,"content":"c"},
            {"name":"other.example.test","ttl":1,"content":"d"}]"#;
        let answer = answer.replace('\n', " ");
        let config = shell(&format!("echo a warning; cat <<'E'\n{answer}\nE\n"));
        let seen = list(&config, &zone(), &name()).await.unwrap();
        let listed = |value: &str, ttl| Listed { value: Some(txt(value)), ttl };
        assert_eq!(seen, [listed("a", Some(60)), listed("b", Some(300)), listed("c", None)]);
    }

    #[tokio::test]
    async fn a_refusal_a_traceback_and_chatter_are_no_success() {
        let tried = async |script: &str| create(&shell(script), &zone(), &name(), &txt("v"), 1).await;
        assert!(tried("echo true").await.is_ok());
        assert!(tried("echo '{\"id\": 7}'").await.is_ok());
        assert!(matches!(tried("echo false").await, Err(RunError::NotDone)));
        assert!(matches!(tried("echo all is well").await, Err(RunError::Answer { .. })));
        let error = tried("echo \"Error: $LEXICON_LAB_AUTH_TOKEN\" >&2; exit 1").await.unwrap_err();
        assert!(error.to_string().contains("Error: [secret]"), "{error}");
    }
}

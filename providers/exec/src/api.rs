//! What is said to the program and what it answers, in both forms.

use crate::config::Config;
use crate::error::{Refusal, RunError};
use dns01_provider::process::{self, Finished, Run};
use dns01_provider::{Fqdn, TxtChange, TxtValue, Zone};
use serde::{Deserialize, Serialize};

/// The version of the protocol that `protocol` names.
const PROTOCOL: u32 = 1;

#[derive(Serialize)]
struct Request<'a> {
    protocol: u32,
    zone: ZoneField<'a>,
    #[serde(flatten)]
    operation: Operation<'a>,
}

#[derive(Serialize)]
struct ZoneField<'a> {
    name: &'a str,
    id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "operation", rename_all = "lowercase")]
enum Operation<'a> {
    Apply { changes: Vec<Change<'a>> },
    Values { name: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
enum Change<'a> {
    Add { name: &'a str, value: &'a str, ttl: u32 },
    Remove { name: &'a str, value: &'a str },
}

/// The answer: an error, or values where they were asked for, or nothing in particular.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    error: Option<Refusal>,
    values: Option<Vec<String>>,
}

impl<'a> From<&'a TxtChange> for Change<'a> {
    fn from(change: &'a TxtChange) -> Self {
        let (name, value) = (change.name().as_str(), change.value().as_str());
        match change {
            TxtChange::Add { ttl, .. } => Self::Add { name, value, ttl: *ttl },
            TxtChange::Remove { .. } => Self::Remove { name, value },
        }
    }
}

/// Asks for `changes`, as one JSON document.
pub(crate) async fn apply(config: &Config, zone: &Zone, changes: &[TxtChange]) -> Result<(), RunError> {
    let changes = changes.iter().map(Change::from).collect();
    ask(config, zone, Operation::Apply { changes }).await.map(drop)
}

/// Asks for the values at `name`; `None` if the program does not list values.
pub(crate) async fn values(
    config: &Config,
    zone: &Zone,
    name: &Fqdn,
) -> Result<Option<Vec<TxtValue>>, RunError> {
    let answer = ask(config, zone, Operation::Values { name: name.as_str() }).await?;
    // Somebody else's value may be none that we could hold.
    Ok(answer.values.map(|values| values.iter().filter_map(|value| TxtValue::parse(value).ok()).collect()))
}

async fn ask(config: &Config, zone: &Zone, operation: Operation<'_>) -> Result<Answer, RunError> {
    let zone = ZoneField { name: zone.name.as_str(), id: zone.id.as_deref() };
    let request = Request { protocol: PROTOCOL, zone, operation };
    let mut input = serde_json::to_vec(&request).expect("texts and numbers have a form in JSON");
    input.push(b'\n');
    understood(config.program.run(Run { input: &input, ..Run::default() }).await?)
}

/// An error that the program tells counts before its exit status, and that before its answer.
fn understood(finished: Finished) -> Result<Answer, RunError> {
    let Finished { status, answer, complaint, secrets } = finished;
    match serde_json::from_slice::<Answer>(&answer) {
        Ok(Answer { error: Some(mut refusal), .. }) => {
            refusal.message = process::shortened(&secrets.removed_from(&refusal.message));
            refusal.hint = refusal.hint.map(|hint| secrets.removed_from(&hint));
            Err(RunError::Refused(refusal))
        }
        _ if !status.success() => Err(RunError::Exit { status, complaint }),
        Ok(answer) => Ok(answer),
        // serde quotes what it finds, so only the place of the mistake is told.
        Err(error) => {
            let problem = format!("line {}, column {}", error.line(), error.column());
            Err(RunError::Answer { problem, complaint })
        }
    }
}

/// Asks for `change` as lego does: by arguments, answered by the exit status.
pub(crate) async fn lego(config: &Config, change: &TxtChange) -> Result<(), RunError> {
    let action = match change {
        TxtChange::Add { .. } => "present",
        TxtChange::Remove { .. } => "cleanup",
    };
    let arguments = [action, &change.name().absolute(), change.value().as_str()];
    let Finished { status, complaint, .. } =
        config.program.run(Run { arguments: &arguments, ..Run::default() }).await?;
    if status.success() { Ok(()) } else { Err(RunError::Exit { status, complaint }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Settings, ZoneName};
    use serde_json::{Value, json};

    fn zone() -> Zone {
        Zone { name: ZoneName::parse("example.test").unwrap(), id: Some("z1".to_owned()) }
    }

    fn change(add: bool) -> TxtChange {
        let (name, value) =
            (Fqdn::parse("_acme-challenge.example.test").unwrap(), TxtValue::parse("v").unwrap());
        if add { TxtChange::Add { name, value, ttl: 60 } } else { TxtChange::Remove { name, value } }
    }

    fn shell(script: &str) -> Config {
        let environment = json!({ "TOKEN": { "literal": "hunter2" } });
        let command = vec!["/bin/sh", "-c", script, "hook"];
        Config::new(Settings::default().with("command", command).with("environment", environment)).unwrap()
    }

    #[tokio::test]
    async fn the_request_has_the_documented_form() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("request");
        let config = shell(&format!("cat > {}; echo '{{}}'", file.display()));
        let sent = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
        apply(&config, &zone(), &[change(true), change(false)]).await.unwrap();
        let name = "_acme-challenge.example.test";
        let expected = json!({
            "protocol": 1, "operation": "apply", "zone": { "name": "example.test", "id": "z1" },
            "changes": [
                { "change": "add", "name": name, "value": "v", "ttl": 60 },
                { "change": "remove", "name": name, "value": "v" },
            ],
        });
        assert_eq!(sent(), expected);
        assert_eq!(values(&config, &zone(), change(true).name()).await.unwrap(), None);
        let expected = json!({ "protocol": 1, "operation": "values", "zone": { "name": "example.test", "id": "z1" }, "name": name });
        assert_eq!(sent(), expected);
    }

    #[tokio::test]
    async fn an_error_in_the_answer_counts_whatever_the_exit_status() {
        for status in [0, 1] {
            let script = format!(
                r#"echo "{{\"error\":{{\"kind\":\"auth\",\"message\":\"no $TOKEN\"}}}}"; exit {status}"#
            );
            let error = apply(&shell(&script), &zone(), &[change(true)]).await.unwrap_err();
            assert!(matches!(error, RunError::Refused(_)), "{error}");
            assert_eq!(error.to_string(), "no [secret]");
        }
    }

    #[tokio::test]
    async fn silence_chatter_and_a_bad_exit_are_no_success() {
        let tried = async |script: &str| apply(&shell(script), &zone(), &[change(true)]).await.unwrap_err();
        assert!(matches!(tried("true").await, RunError::Answer { .. }));
        assert!(matches!(tried("echo all is well").await, RunError::Answer { .. }));
        assert!(matches!(tried("echo '{\"valeus\":[]}'").await, RunError::Answer { .. }));
        assert!(matches!(tried("echo '{}'; exit 1").await, RunError::Exit { .. }));
    }

    #[tokio::test]
    async fn legos_form_has_three_arguments_and_the_exit_status() {
        let present = shell(r#"test "$1 $2 $3 $#" = "present _acme-challenge.example.test. v 3""#);
        lego(&present, &change(true)).await.unwrap();
        assert!(matches!(lego(&present, &change(false)).await, Err(RunError::Exit { .. })));
        let cleanup = shell(r#"test "$1 $2 $3 $#" = "cleanup _acme-challenge.example.test. v 3""#);
        lego(&cleanup, &change(false)).await.unwrap();
    }
}

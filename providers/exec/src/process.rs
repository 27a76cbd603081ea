//! One run of the program: its environment, its pipes, its end.

use crate::config::{Config, Variable};
use crate::error::RunError;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use std::io;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// Octets of standard output that are read.
const LARGEST_ANSWER: u64 = 1024 * 1024;
/// Octets of standard error that are kept; the rest is read and forgotten.
const LARGEST_COMPLAINT: u64 = 16 * 1024;
/// Characters of standard error that a message shows: its end, where the reason mostly stands.
const SHOWN: usize = 300;
/// What the names of inherited variables with secrets in them have somewhere.
const SECRET_NAMES: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASS", "AUTH", "CREDENTIAL"];
/// Shorter values of inherited variables are not taken out of what is shown: no secret is as
/// short, and words would get lost.
const SHORTEST_SECRET: usize = 6;

/// What a run left.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) answer: Vec<u8>,
    /// The end of standard error, on one line.
    pub(crate) complaint: String,
    pub(crate) secrets: Secrets,
}

/// What must not be shown.
pub(crate) struct Secrets(Vec<SecretString>);

/// Runs the program with `arguments` behind its own and `input` on standard input, for at most
/// the configured time. When that is over, or the caller goes away, the program is killed, and
/// everything it has started.
pub(crate) async fn run(config: &Config, arguments: &[&str], input: &[u8]) -> Result<Finished, RunError> {
    let (mut command, secrets) = prepare(config).await?;
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: it is killed as one, and Ctrl-C at the terminal does not end a
    // removal half-way.
    let mut child = command.process_group(0).kill_on_drop(true).spawn().map_err(RunError::Start)?;
    let group = Group::of(&child);
    let talk = tokio::time::timeout(config.timeout, talk(&mut child, input));
    let (status, answer, complaint) =
        talk.await.map_err(|_| RunError::Timeout(config.timeout))?.map_err(RunError::Pipes)?;
    group.forget();
    if answer.len() as u64 > LARGEST_ANSWER {
        return Err(RunError::TooMuch(LARGEST_ANSWER));
    }
    let complaint = shortened(&secrets.removed_from(&String::from_utf8_lossy(&complaint)));
    Ok(Finished { status, answer, complaint, secrets })
}

/// The program with its environment, and the secrets in that.
async fn prepare(config: &Config) -> Result<(Command, Secrets), RunError> {
    let (program, arguments) = config.command.split_first().expect("a command was checked to name a program");
    let mut command = Command::new(program);
    command.args(arguments);
    let mut secrets = Vec::new();
    if config.inherit_environment {
        let told = |name: &str| SECRET_NAMES.iter().any(|part| name.to_ascii_uppercase().contains(part));
        let inherited = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let hidden = inherited.filter(|(name, value)| told(name) && value.len() >= SHORTEST_SECRET);
        secrets.extend(hidden.map(|(_, value)| SecretString::from(value)));
    } else {
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    }
    for (name, variable) in &config.environment {
        match variable {
            Variable::Text(text) => command.env(name, text),
            Variable::Secret(reference) => {
                let unread = |source| RunError::Secret { name: name.clone(), source };
                let secret = reference.read().await.map_err(unread)?;
                command.env(name, secret.expose_secret());
                secrets.push(secret);
                &mut command
            }
        };
    }
    Ok((command, Secrets(secrets)))
}

/// Writes and reads until the program has closed its outputs and ended.
async fn talk(child: &mut Child, input: &[u8]) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that knows what to do without reading all of it is right, too.
            let _not_read = stdin.write_all(input).await;
        }
    };
    let ((), answer, complaint) =
        tokio::join!(write, read(stdout, LARGEST_ANSWER + 1, false), read(stderr, LARGEST_COMPLAINT, true));
    // Not before: until it is waited for, its number belongs to nobody else.
    Ok((child.wait().await?, answer?, complaint?))
}

/// The first `most` octets of `pipe`; what follows is drained, or breaks the pipe.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64, drain: bool) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(most).read_to_end(&mut octets).await?;
        if drain {
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        }
    }
    Ok(octets)
}

/// On one line, and only its end.
pub(crate) fn shortened(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().rev().nth(SHOWN) {
        Some((start, first)) => format!("…{}", &line[start + first.len_utf8()..]),
        None => line,
    }
}

impl Secrets {
    /// `text` without them.
    pub(crate) fn removed_from(&self, text: &str) -> String {
        let secrets = self.0.iter().map(|secret| secret.expose_secret().trim());
        secrets
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
    }
}

/// The program and what it has started; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    /// The program was waited for, and its number may be given to another.
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It has ended by itself meanwhile: as good.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::Settings;
    use serde_json::json;
    use std::time::{Duration, Instant};

    fn shell(script: &str, more: &[(&str, serde_json::Value)]) -> Config {
        let settings = Settings::default().with("command", vec!["/bin/sh", "-c", script]);
        let settings = more.iter().fold(settings, |settings, (key, value)| settings.with(key, value.clone()));
        Config::new(settings).unwrap()
    }

    fn answer(finished: &Finished) -> &str {
        std::str::from_utf8(&finished.answer).unwrap()
    }

    #[tokio::test]
    async fn the_program_sees_its_input_its_path_its_own_variables_and_nothing_else() {
        let environment = json!({ "GREETING": "hello", "TOKEN": { "literal": "hunter2" } });
        let config = shell("cat; env | sort | sed 's/=.*//'", &[("environment", environment)]);
        let finished = run(&config, &[], b"input\n").await.unwrap();
        let seen: Vec<_> =
            answer(&finished).lines().filter(|line| !["PWD", "SHLVL", "_"].contains(line)).collect();
        assert_eq!(seen, ["input", "GREETING", "PATH", "TOKEN"]);
    }

    #[tokio::test]
    async fn an_inherited_environment_is_given_on() {
        let script = "test -n \"$CARGO_MANIFEST_DIR\" && echo it";
        let clear = run(&shell(script, &[]), &[], b"").await.unwrap();
        assert!(!clear.status.success());
        let inherited = run(&shell(script, &[("inherit_environment", json!(true))]), &[], b"").await.unwrap();
        assert_eq!(answer(&inherited), "it\n");
    }

    #[tokio::test]
    async fn what_it_complains_is_shown_in_one_line_without_secrets() {
        let environment = json!({ "TOKEN": { "literal": "hunter2" } });
        let script = "printf 'the token\\n%s is\\tbad' \"$TOKEN\" >&2; exit 3";
        let finished = run(&shell(script, &[("environment", environment)]), &[], b"").await.unwrap();
        assert_eq!(
            (finished.status.code(), finished.complaint.as_str()),
            (Some(3), "the token [secret] is bad")
        );
        let finished = run(&shell("yes word | head -n 100000 >&2", &[]), &[], b"").await.unwrap();
        assert!(finished.status.success());
        assert_eq!(finished.complaint.chars().count(), SHOWN + 1);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("child");
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        let started = Instant::now();
        let error = run(&shell(&script, &[("timeout", json!("1s"))]), &[], b"").await.err().unwrap();
        assert!(matches!(error, RunError::Timeout(_)), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
        let child: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_running(child) {
            assert!(Instant::now() < deadline, "`sleep` was left running");
            tokio::task::yield_now().await;
        }
    }

    /// A process that was killed and is not yet waited for does not count.
    fn is_running(id: i32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    #[tokio::test]
    async fn endless_output_and_a_program_that_reads_nothing_end_well() {
        let error = run(&shell("yes", &[]), &[], b"").await.err().unwrap();
        assert!(matches!(error, RunError::TooMuch(_)), "{error}");
        let finished = run(&shell("echo done", &[]), &[], &vec![b'x'; 1 << 20]).await.unwrap();
        assert_eq!(answer(&finished), "done\n");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_cannot_be_started() {
        let config = Config::new(Settings::default().with("command", vec!["/nowhere/hook"])).unwrap();
        assert!(matches!(run(&config, &[], b"").await, Err(RunError::Start(_))));
    }
}

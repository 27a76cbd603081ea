//! Programs that are not ours: run with an environment of their own, for a limited time, and
//! ended with everything that they started. What they say is shown without secrets.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use dns01_provider::process::{Program, Run, Variable};
//! use dns01_provider::SecretRef;
//! use std::time::Duration;
//!
//! let token = Variable::Secret(SecretRef::File("/etc/dns01/token".into()));
//! let environment = [("API_TOKEN".to_owned(), token)].into();
//! let program = Program::new(vec!["/usr/local/bin/hook".to_owned()], environment, Duration::from_secs(60));
//! let finished = program.run(Run { arguments: &["add"], ..Run::default() }).await?;
//! println!("{} {}", finished.status, finished.complaint);
//! # Ok(())
//! # }
//! ```

use crate::error::{ProviderError, ProviderErrorKind};
use crate::plugin::SettingsError;
use crate::secret::{SecretError, SecretRef};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
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

/// A program, and what it sees.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// What its environment holds beside `PATH`.
    pub environment: BTreeMap<String, Variable>,
    /// Whether it sees our own environment, too.
    pub inherit_environment: bool,
    /// The time that one run may take; then it is killed, with everything it started.
    pub timeout: Duration,
}

/// The value of one variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Variable {
    /// It is no secret.
    Text(String),
    /// It is read at each run, and taken out of everything that is shown.
    Secret(SecretRef),
}

/// What is particular to one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run<'a> {
    /// Arguments behind those of the command.
    pub arguments: &'a [&'a str],
    /// Variables beside those of the program, none of them a secret.
    pub variables: &'a [(&'a str, &'a str)],
    /// What stands on standard input.
    pub input: &'a [u8],
    /// True if it gets an empty directory of its own, readable for this user only, which is
    /// wiped afterwards: it starts there, and `HOME` and `TMPDIR` name it.
    pub private_directory: bool,
}

/// What a run left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, as it was.
    pub answer: Vec<u8>,
    /// The end of standard error, on one line and without secrets.
    pub complaint: String,
    /// What must not be shown of the answer.
    pub secrets: Secrets,
}

/// What must not be shown.
pub struct Secrets(Vec<SecretString>);

/// Why a run came to no end of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// A variable cannot be set.
    #[error("the variable `{name}` of the program cannot be read")]
    Secret {
        /// Which.
        name: String,
        /// Why.
        source: SecretError,
    },
    /// There is no directory for it.
    #[error("no private directory can be made for the program")]
    Directory(#[source] io::Error),
    /// It did not start.
    #[error("the program cannot be started")]
    Start(#[source] io::Error),
    /// It was lost half-way.
    #[error("the pipes to the program broke")]
    Pipes(#[source] io::Error),
    /// It took too long.
    #[error("the program did not end within {} s and was killed", .0.as_secs_f32())]
    Timeout(Duration),
    /// It said too much.
    #[error("the program printed more than {0} octets")]
    TooMuch(u64),
}

impl ProcessError {
    /// What it means for whoever wanted records written.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        match self {
            Self::Secret { .. } => ProviderErrorKind::Auth,
            Self::Start(_) | Self::TooMuch(_) | Self::Directory(_) => ProviderErrorKind::Invalid,
            // Why it failed is not known, so it may be something that passes.
            Self::Pipes(_) | Self::Timeout(_) => ProviderErrorKind::Unavailable,
        }
    }

    /// `error`, which tells what happened, with the cause of this one as its source.
    #[must_use]
    pub fn into_source_of(self, error: ProviderError) -> ProviderError {
        match self {
            Self::Secret { source, .. } => error.with_source(source),
            Self::Directory(source) | Self::Start(source) | Self::Pipes(source) => error.with_source(source),
            Self::Timeout(_) | Self::TooMuch(_) => error,
        }
    }
}

impl Program {
    /// A program that sees `PATH` and `environment`, and nothing else.
    #[must_use]
    pub fn new(command: Vec<String>, environment: BTreeMap<String, Variable>, timeout: Duration) -> Self {
        Self { command, environment, inherit_environment: false, timeout }
    }

    /// The program, without its arguments, as it may be shown.
    #[must_use]
    pub fn name(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// Runs it for at most its time. When that is over, or the caller goes away, the program is
    /// killed, and everything it has started.
    ///
    /// # Errors
    /// It came to no end of its own. A bad exit status is no error here.
    pub async fn run(&self, run: Run<'_>) -> Result<Finished, ProcessError> {
        let (mut command, secrets) = self.prepare().await?;
        command.envs(run.variables.iter().copied()).args(run.arguments);
        // Wiped after the group below is dropped, and so killed.
        let _directory = match run.private_directory {
            true => Some(private_directory(&mut command).map_err(ProcessError::Directory)?),
            false => None,
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: it is killed as one, and Ctrl-C at the terminal does not end a
        // removal half-way.
        let mut child = command.process_group(0).kill_on_drop(true).spawn().map_err(ProcessError::Start)?;
        let group = Group::of(&child);
        let talk = tokio::time::timeout(self.timeout, talk(&mut child, run.input));
        let (status, answer, complaint) =
            talk.await.map_err(|_| ProcessError::Timeout(self.timeout))?.map_err(ProcessError::Pipes)?;
        group.forget();
        if answer.len() as u64 > LARGEST_ANSWER {
            return Err(ProcessError::TooMuch(LARGEST_ANSWER));
        }
        let complaint = shortened(&secrets.removed_from(&String::from_utf8_lossy(&complaint)));
        Ok(Finished { status, answer, complaint, secrets })
    }

    /// The program with its environment, and the secrets in that.
    async fn prepare(&self) -> Result<(Command, Secrets), ProcessError> {
        let nothing = || io::Error::new(io::ErrorKind::NotFound, "no program is named");
        let (program, arguments) =
            self.command.split_first().ok_or_else(nothing).map_err(ProcessError::Start)?;
        let mut command = Command::new(program);
        command.args(arguments);
        let mut secrets = Vec::new();
        if self.inherit_environment {
            let told = |name: &str| SECRET_NAMES.iter().any(|part| name.to_ascii_uppercase().contains(part));
            let inherited = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            let hidden = inherited.filter(|(name, value)| told(name) && value.len() >= SHORTEST_SECRET);
            secrets.extend(hidden.map(|(_, value)| SecretString::from(value)));
        } else {
            command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        for (name, variable) in &self.environment {
            match variable {
                Variable::Text(text) => command.env(name, text),
                Variable::Secret(reference) => {
                    let unread = |source| ProcessError::Secret { name: name.clone(), source };
                    let secret = reference.read().await.map_err(unread)?;
                    command.env(name, secret.expose_secret());
                    secrets.push(secret);
                    &mut command
                }
            };
        }
        Ok((command, Secrets(secrets)))
    }
}

/// The setting `environment`, whose names must be such.
///
/// # Errors
/// One cannot name a variable.
pub fn checked(environment: BTreeMap<String, Variable>) -> Result<BTreeMap<String, Variable>, SettingsError> {
    let odd = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    match environment.keys().find(odd) {
        None => Ok(environment),
        Some(name) => {
            Err(SettingsError::new(Some("environment"), format!("`{name}` cannot name a variable")))
        }
    }
}

fn private_directory(command: &mut Command) -> io::Result<tempfile::TempDir> {
    let ours_alone = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix("dns01.").permissions(ours_alone).tempdir()?;
    command.current_dir(&directory).env("HOME", directory.path()).env("TMPDIR", directory.path());
    Ok(directory)
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
#[must_use]
pub fn shortened(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().rev().nth(SHOWN) {
        Some((start, first)) => format!("…{}", &line[start + first.len_utf8()..]),
        None => line,
    }
}

impl Secrets {
    /// `text` without them.
    #[must_use]
    pub fn removed_from(&self, text: &str) -> String {
        let secrets = self.0.iter().map(|secret| secret.expose_secret().trim());
        secrets
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
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
    use std::time::Instant;

    fn shell(script: &str) -> Program {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Program::new(command, BTreeMap::new(), Duration::from_secs(60))
    }

    fn knowing(script: &str, variables: &[(&str, Variable)]) -> Program {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Program { environment, ..shell(script) }
    }

    fn secret() -> Variable {
        Variable::Secret(SecretRef::Literal("hunter2".into()))
    }

    async fn run(program: &Program, input: &[u8]) -> Result<Finished, ProcessError> {
        program.run(Run { input, ..Run::default() }).await
    }

    fn answer(finished: &Finished) -> &str {
        std::str::from_utf8(&finished.answer).unwrap()
    }

    #[tokio::test]
    async fn the_program_sees_its_input_its_path_its_own_variables_and_nothing_else() {
        let variables = [("GREETING", Variable::Text("hello".to_owned())), ("TOKEN", secret())];
        let program = knowing("cat; env | sort | sed 's/=.*//'", &variables);
        let finished = run(&program, b"input\n").await.unwrap();
        let seen: Vec<_> =
            answer(&finished).lines().filter(|line| !["PWD", "SHLVL", "_"].contains(line)).collect();
        assert_eq!(seen, ["input", "GREETING", "PATH", "TOKEN"]);
    }

    #[tokio::test]
    async fn an_inherited_environment_is_given_on() {
        let script = "test -n \"$CARGO_MANIFEST_DIR\" && echo it";
        let clear = run(&shell(script), b"").await.unwrap();
        assert!(!clear.status.success());
        let inherited = run(&Program { inherit_environment: true, ..shell(script) }, b"").await.unwrap();
        assert_eq!(answer(&inherited), "it\n");
    }

    #[tokio::test]
    async fn what_it_complains_is_shown_in_one_line_without_secrets() {
        let script = "printf 'the token\\n%s is\\tbad' \"$TOKEN\" >&2; exit 3";
        let finished = run(&knowing(script, &[("TOKEN", secret())]), b"").await.unwrap();
        assert_eq!(
            (finished.status.code(), finished.complaint.as_str()),
            (Some(3), "the token [secret] is bad")
        );
        let finished = run(&shell("yes word | head -n 100000 >&2"), b"").await.unwrap();
        assert!(finished.status.success());
        assert_eq!(finished.complaint.chars().count(), SHOWN + 1);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("child");
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        let started = Instant::now();
        let error =
            run(&Program { timeout: Duration::from_secs(1), ..shell(&script) }, b"").await.err().unwrap();
        assert!(matches!(error, ProcessError::Timeout(_)), "{error}");
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
        let error = run(&shell("yes"), b"").await.err().unwrap();
        assert!(matches!(error, ProcessError::TooMuch(_)), "{error}");
        let finished = run(&shell("echo done"), &vec![b'x'; 1 << 20]).await.unwrap();
        assert_eq!(answer(&finished), "done\n");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_cannot_be_started() {
        let absent = Program { command: vec!["/nowhere/hook".to_owned()], ..shell("") };
        assert!(matches!(run(&absent, b"").await, Err(ProcessError::Start(_))));
        let nothing = Program { command: Vec::new(), ..shell("") };
        assert!(matches!(run(&nothing, b"").await, Err(ProcessError::Start(_))));
    }

    #[test]
    fn a_cause_goes_over_to_the_error_that_callers_see() {
        let has_cause = |failed: ProcessError| {
            let error = ProviderError::new(failed.kind(), failed.to_string());
            std::error::Error::source(&failed.into_source_of(error)).is_some()
        };
        let cause = || io::Error::from(io::ErrorKind::NotFound);
        let secret = SecretError::Env("TOKEN".to_owned());
        assert!(has_cause(ProcessError::Secret { name: "TOKEN".to_owned(), source: secret }));
        assert!(has_cause(ProcessError::Start(cause())) && has_cause(ProcessError::Directory(cause())));
        assert!(!has_cause(ProcessError::Timeout(Duration::ZERO)));
    }

    #[tokio::test]
    async fn a_private_directory_is_this_users_alone_and_is_wiped() {
        let script = "pwd; echo $HOME; echo $TMPDIR; stat -c %a .; echo $MORE > kept; test -s kept";
        let run = Run { private_directory: true, variables: &[("MORE", "x")], ..Run::default() };
        let finished = shell(script).run(run).await.unwrap();
        assert!(finished.status.success());
        let lines: Vec<&str> = answer(&finished).lines().collect();
        assert_eq!([lines[1], lines[2], lines[3]], [lines[0], lines[0], "700"]);
        assert!(!std::path::Path::new(lines[0]).exists(), "{}", lines[0]);
    }

    #[test]
    fn what_cannot_name_a_variable_is_refused() {
        for name in ["", "A=B", "A\0"] {
            let error = checked([(name.to_owned(), secret())].into()).unwrap_err();
            assert_eq!(error.key.as_deref(), Some("environment"));
        }
        assert_eq!(checked([("A".to_owned(), secret())].into()).unwrap().len(), 1);
    }
}

//! The `dns01` binary as a person runs it: real process, scrubbed environment, a deadline.

use crate::rig::{Rig, Zone};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a run may take unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run of `dns01` about to be made, with a state directory of its own.
#[must_use]
pub fn dns01(rig: &Rig) -> Program {
    let state = tempfile::Builder::new().prefix("state.").tempdir_in(rig.directory());
    Program::new(state.expect("the rig's directory is writable"))
}

/// A state directory and the command lines run against it, one after the other.
pub struct Program {
    state: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
    entrance: Vec<OsString>,
    patience: Duration,
}

impl Program {
    fn new(state: tempfile::TempDir) -> Self {
        Self { state, environment: Vec::new(), entrance: Vec::new(), patience: PATIENCE }
    }

    /// Its `--state-dir`.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// A file in `live/<name>/`.
    #[must_use]
    pub fn live(&self, name: &str, file: &str) -> PathBuf {
        self.state().join("live").join(name).join(file)
    }

    /// Sets a variable for all runs that follow.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives all runs that follow the key of `zone`, in `RFC2136_` variables.
    #[must_use]
    pub fn credentials(self, zone: &Zone) -> Self {
        zone.environment().into_iter().fold(self, |program, (name, value)| program.env(name, value))
    }

    /// Gives all runs that follow the CA with this directory, whose terms are agreed to.
    #[must_use]
    pub fn ca(self, rig: &Rig, directory: &str) -> Self {
        self.env("DNS01_SERVER", directory)
            .env("DNS01_CA_BUNDLE", rig.ca_bundle())
            .env("DNS01_EMAIL", "ops@example.test")
            .env("DNS01_AGREE_TOS", "true")
    }

    /// Puts words before the command of all runs that follow, as `nsenter` wants them.
    #[must_use]
    pub fn through(mut self, entrance: Vec<OsString>) -> Self {
        self.entrance = entrance;
        self
    }

    /// How long each run may take before it is killed.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// The command, for what this type does not offer: its environment is scrubbed and
    /// `--state-dir` stands after the arguments.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let words: Vec<OsString> = self.entrance.iter().cloned().chain([binary().into()]).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.state()).env("TZ", "UTC").env("LANG", "C.UTF-8");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments).arg("--state-dir").arg(self.state());
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end in time: it is killed, and what it said is shown.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.start(arguments).wait()
    }

    /// Starts it and lets the test act while it runs.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        Running::start(self.command(arguments), self.patience)
    }
}

/// `$DNS01_BIN`, else the binary beside this program, or, as a test lives in a folder of its
/// own, beside that.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("DNS01_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a program has a path");
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("dns01"));
    let built = beside.into_iter().find(|path| path.is_file());
    built.expect("dns01 is built: run me through tests/run")
}

/// A run in progress. Dropping it kills the process.
pub struct Running {
    child: Child,
    deadline: Instant,
    start: Instant,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
}

impl Running {
    /// Starts any command with captured output and a deadline.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(mut command: Command, patience: Duration) -> Self {
        let start = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Self { child, deadline: start + patience, start, stdout, stderr }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `Signal::INT` is what Ctrl-C sends.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the child is there");
    }

    /// Whether it is still going.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Looks at something again and again for as long as it runs, then waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    #[must_use]
    pub fn watch(mut self, mut look: impl FnMut()) -> Outcome {
        while self.is_running() && Instant::now() < self.deadline {
            look();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.wait()
    }

    /// Waits until it has said `text` (on either stream) while it goes on.
    ///
    /// # Panics
    /// When it has not in time, with what it did say.
    #[track_caller]
    pub fn wait_says(&self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        let said = || {
            [&self.stdout, &self.stderr].map(|reader| reader.as_ref().map_or_else(String::new, Reader::said))
        };
        while !said().iter().any(|said| said.contains(text)) {
            assert!(Instant::now() < deadline, "it did not say `{text}` in time:\n{}", said().concat());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time: it is killed, and what it said is shown.
    #[track_caller]
    #[must_use]
    pub fn wait(mut self) -> Outcome {
        let mut late = false;
        while self.is_running() {
            if Instant::now() > self.deadline {
                late = true;
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let elapsed = self.start.elapsed();
        let status = self.child.wait().expect("a child can be waited for");
        let text = |reader: Option<Reader>| reader.map(Reader::all).unwrap_or_default();
        let outcome = Outcome {
            code: status.code(),
            signal: std::os::unix::process::ExitStatusExt::signal(&status),
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
            elapsed,
        };
        assert!(!late, "it was still running after {} s\n{outcome}", elapsed.as_secs());
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what a stream says.
struct Reader {
    said: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// What it has said so far.
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// All of it, at its end.
    fn all(self) -> String {
        let Self { said, thread } = self;
        thread.join().expect("the reader does not panic");
        String::from_utf8_lossy(&said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

fn collect(mut source: impl Read + Send + 'static) -> Reader {
    let said = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&said);
    let thread = std::thread::spawn(move || {
        let mut octets = [0; 4096];
        // What was read before an error still is what it said.
        while let Ok(count @ 1..) = source.read(&mut octets) {
            shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&octets[..count]);
        }
    });
    Reader { said, thread }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
}

impl Outcome {
    /// Insists on exit code 0.
    #[track_caller]
    #[must_use]
    pub fn succeeded(self) -> Self {
        self.failed_with(0)
    }

    /// Insists on `code`.
    #[track_caller]
    #[must_use]
    pub fn failed_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the exit code; it said:\n{self}");
        self
    }

    /// Insists that its output (either stream) has `text`.
    #[track_caller]
    #[must_use]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "`{text}` is not in:\n{self}");
        self
    }
}

impl Outcome {
    /// The document that `--json` put on standard output.
    #[track_caller]
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "code {:?}, signal {:?}, after {:?}", self.code, self.signal, self.elapsed)?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start(command, patience)
    }

    #[test]
    fn both_streams_and_the_exit_code_are_kept() {
        let outcome = shell("echo out; echo err >&2; exit 3", PATIENCE).wait();
        assert_eq!((outcome.code, outcome.signal), (Some(3), None));
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn what_it_says_is_heard_while_it_goes_on() {
        let running = shell("echo ready; exec sleep 60", PATIENCE);
        running.wait_says("ready", PATIENCE);
        running.signal(rustix::process::Signal::TERM);
        assert_eq!(running.wait().stdout, "ready\n");
    }

    #[test]
    fn output_larger_than_a_pipe_does_not_block_it() {
        let outcome = shell("head -c 300000 /dev/zero | tr '\\0' x", PATIENCE).wait().succeeded();
        assert_eq!(outcome.stdout.len(), 300_000);
    }

    #[test]
    #[should_panic(expected = "it was still running")]
    fn a_run_that_does_not_end_is_killed_and_reported() {
        let _ = shell("exec sleep 60", Duration::from_millis(50)).wait();
    }

    #[test]
    fn a_signal_is_told_from_an_exit_code() {
        let running = shell("exec sleep 60", PATIENCE);
        running.signal(rustix::process::Signal::TERM);
        let outcome = running.wait();
        assert_eq!((outcome.code, outcome.signal), (None, Some(15)));
    }
}

//! Servers as children: started, waited for, killed with their owner.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A running server. Dropping it kills it.
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command`, both its outputs appended to `<directory>/log/<name>.log`.
    pub(super) fn start(name: &str, directory: &Path, command: &mut Command) -> Self {
        let log = log_file(directory, name);
        std::fs::create_dir_all(log.parent().expect("the log has a folder"))
            .expect("the rig's directory is writable");
        let output = File::options().create(true).append(true).open(&log).expect("the log can be opened");
        let errors = output.try_clone().expect("the log can be opened twice");
        let child =
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().unwrap_or_else(|error| {
                panic!("{name} does not start: {error}; is it installed? (tests/prepare)")
            });
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until `ready` says so.
    ///
    /// # Panics
    /// With the end of its log, when the server ends or is not ready in 20 s.
    pub(super) fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !ready() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            if ended.is_some() || Instant::now() > deadline {
                let how =
                    ended.map_or("is not ready after 20 s".to_owned(), |status| format!("ended: {status}"));
                panic!("{} {how}\n{}", self.name, last_lines(&self.log, 40, |_| true));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How long ago it logged something.
    pub(super) fn quiet_for(&self) -> Duration {
        let written = std::fs::metadata(&self.log).and_then(|log| log.modified());
        written.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
    }

    /// Stops the process where it is: a server that is there and silent.
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the child is there");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be gone already, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server program to be started. Debian confines some to their usual folders by AppArmor,
/// where that is in force; the rig's folder is none of them.
pub(super) fn server(program: impl AsRef<OsStr>) -> Command {
    let enforced =
        std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"));
    if !enforced {
        return Command::new(program);
    }
    let mut command = Command::new("aa-exec");
    command.args(["-p", "unconfined", "--"]).arg(program);
    command
}

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Polls `condition` until it holds.
///
/// # Panics
/// Naming `what`, when `limit` has passed.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", limit.as_secs_f32());
        std::thread::sleep(POLL);
    }
}

/// Runs a control program to its end and returns what it printed.
///
/// # Panics
/// When it fails, with all it said.
pub(super) fn run(command: &mut Command, input: &str) -> String {
    let output = attempt(command, input);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{text}{}{input}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Like [`run`], but a failure is the caller's to judge.
pub(super) fn attempt(command: &mut Command, input: &str) -> Output {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; is it installed? (tests/prepare)"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A program that ends without reading its input tells why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("a child can be waited for")
}

fn log_file(directory: &Path, server: &str) -> PathBuf {
    directory.join("log").join(format!("{server}.log"))
}

pub(super) fn read_log(directory: &Path, server: &str) -> String {
    std::fs::read_to_string(log_file(directory, server)).unwrap_or_default()
}

/// The last `count` lines of a file that `wanted` picks.
pub(super) fn last_lines(path: &Path, count: usize, wanted: impl Fn(&str) -> bool) -> String {
    let text =
        std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| wanted(line)).collect();
    lines[lines.len().saturating_sub(count)..].iter().fold(String::new(), |all, line| all + line + "\n")
}

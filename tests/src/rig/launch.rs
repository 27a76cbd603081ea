//! The program `rig`: namespaces, servers, the command, and nothing left behind.

use super::{Key, Rig, Service, address, bind, knot, nsd, pebble, powerdns, process, tls, unbound};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

const USAGE: &str = concat!(
    "usage: rig [--keep DIRECTORY] [--zone NAME] -- COMMAND [ARGUMENT…]\n",
    "  --keep DIRECTORY  keep configurations and logs there\n",
    "  --zone NAME       make a zone below test. first; the command gets its RFC2136_ variables",
);

/// Set for the second life of the program, inside the namespaces.
const INSIDE: &str = "DNS01_RIG_INSIDE";

struct Arguments {
    keep: Option<PathBuf>,
    zone: Option<String>,
    command: Vec<OsString>,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args_os().skip(1)) else {
        say(USAGE);
        return ExitCode::from(2);
    };
    match std::env::var_os(INSIDE) {
        Some(directory) => inside(Path::new(&directory), &arguments),
        None => outside(arguments.keep.as_deref()),
    }
}

fn parse(mut words: impl Iterator<Item = OsString>) -> Option<Arguments> {
    let (mut keep, mut zone) = (None, None);
    loop {
        match words.next()?.to_str()? {
            "--keep" => keep = Some(PathBuf::from(words.next()?)),
            "--zone" => zone = Some(words.next()?.into_string().ok()?),
            "--" => break,
            _ => return None,
        }
    }
    let command: Vec<OsString> = words.collect();
    (!command.is_empty()).then_some(Arguments { keep, zone, command })
}

/// First life: makes the directory, starts itself again inside namespaces of its own, and
/// removes the directory when all is over. `setpriv` ties the inner world to this process and
/// `unshare --kill-child` every process in it to the inner world, so even `kill -9` leaves
/// nothing running; the mounts and addresses go with their namespaces.
fn outside(keep: Option<&Path>) -> ExitCode {
    let directory = keep.map_or_else(temporary_directory, Path::to_owned);
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    let directory = directory.canonicalize().expect("the directory was just made");
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command.args("--net --mount --pid --fork --kill-child --mount-proc".split(' '));
    command.arg(std::env::current_exe().expect("the program has a path")).args(std::env::args_os().skip(1));
    command.env(INSIDE, &directory).env("PATH", path());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let status = runtime.block_on(async {
        let mut child = command.spawn().expect("setpriv and unshare are there: they are in util-linux");
        tokio::select! {
            status = child.wait() => status,
            () = told_to_stop() => {
                let _ = child.start_kill();
                child.wait().await
            }
        }
    });
    if keep.is_none() {
        remove(&directory);
    }
    exit_code(status.expect("a child can be waited for"))
}

fn temporary_directory() -> PathBuf {
    let directory = tempfile::Builder::new().prefix("dns01-rig.").tempdir();
    directory.expect("a temporary directory can be made").keep()
}

/// Removes the directory, in which a dying server may write for another moment.
fn remove(directory: &Path) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while directory.exists() && Instant::now() < deadline {
        if std::fs::remove_dir_all(directory).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Ctrl-C reaches the command by itself and ends it; this waits for the signals that do not.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let on = |kind| signal(kind).expect("signals can be listened to");
    let mut interrupt = on(SignalKind::interrupt());
    let (mut terminate, mut hang_up) = (on(SignalKind::terminate()), on(SignalKind::hangup()));
    let interrupts = async { while interrupt.recv().await.is_some() {} };
    tokio::select! {
        () = interrupts => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}

/// Second life, as the first process of the namespaces.
fn inside(directory: &Path, arguments: &Arguments) -> ExitCode {
    let start = Instant::now();
    prepare_network(directory);
    let rig = Rig::found(directory);
    let servers = std::panic::catch_unwind(|| start_servers(&rig));
    let Ok(servers) = servers else {
        return ExitCode::from(3);
    };
    say(&format!("rig: up after {} ms, in {}", start.elapsed().as_millis(), directory.display()));
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]).env_remove(INSIDE).env(super::VARIABLE, rig.write());
    command.env("DNS01_RIG_CA_DIRECTORY", rig.ca_directory()).env("DNS01_RIG_CA_BUNDLE", rig.ca_bundle());
    if let Some(name) = &arguments.zone {
        command.envs(rig.zone().named(name).create().environment());
    }
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => {
            say(&format!("rig: {}: {error}", arguments.command[0].display()));
            return ExitCode::from(127);
        }
    };
    if !status.success() {
        show_complaints(directory);
    }
    for what in process::last_lines(&rig.skipped(), usize::MAX, |_| true).lines() {
        say(&format!("skipped: {what}"));
    }
    drop(servers);
    exit_code(status)
}

/// Loopback up, the addresses that named insists on, and a resolv.conf for everybody inside.
fn prepare_network(directory: &Path) {
    let ip = |arguments: &[&str]| process::run(Command::new("ip").args(arguments), "");
    ip(&["link", "set", "lo", "up"]);
    for host in [address::ROOT, address::TLD, address::PRIMARY] {
        ip(&["address", "add", &format!("{host}/32"), "dev", "lo"]);
    }
    let file = directory.join("resolv.conf");
    std::fs::write(&file, format!("nameserver {}\n", address::RESOLVER))
        .expect("the rig's directory is writable");
    match Path::new("/etc/resolv.conf").canonicalize() {
        Ok(target) => {
            process::run(Command::new("mount").arg("--bind").arg(&file).arg(target), "");
        }
        Err(error) => say(&format!("rig: /etc/resolv.conf stays as it is: {error}")),
    }
}

fn start_servers(rig: &Rig) -> (Vec<Service>, super::Pebble) {
    let directory = rig.directory();
    let mut named = bind::start(directory, &rig.admin, &rig.keys);
    let mut knotd = knot::start(directory, &rig.admin, &rig.keys);
    let mut nsd = nsd::start(directory);
    let mut unbound = unbound::start(directory);
    let mut powerdns = powerdns::start(directory, &rig.powerdns_api_key);
    let mut pebble = pebble::PebbleBuilder::at(directory).address(address::PEBBLE).spawn();
    assert_eq!(rig.ca_directory, pebble.directory(), "the shared Pebble is where the rig says");
    named.wait_ready(bind::ready);
    knotd.wait_ready(|| knot::ready(directory));
    nsd.wait_ready(|| nsd::ready(directory));
    unbound.wait_ready(unbound::ready);
    powerdns.wait_ready(powerdns::ready);
    pebble.wait_ready();
    (vec![named, knotd, nsd, unbound, powerdns], pebble)
}

impl Rig {
    /// Keys, authority and description of a rig about to start.
    fn found(directory: &Path) -> Self {
        tls::found(directory);
        Self {
            directory: directory.to_owned(),
            admin: Key::generate("admin", super::Algorithm::Sha256),
            keys: Key::pool(),
            powerdns_api_key: Key::generate("api", super::Algorithm::Sha256).secret,
            ca_directory: format!("https://{}:14000/dir", address::PEBBLE),
        }
    }
}

/// What the servers complained about, a few lines each.
fn show_complaints(directory: &Path) {
    const SIGNS: [&str; 5] = ["error", "warning", "critical", "fatal", "servfail"];
    let mut logs: Vec<PathBuf> = std::fs::read_dir(directory.join("log"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    logs.sort();
    for log in logs {
        let lines = process::last_lines(&log, 6, |line| {
            let line = line.to_lowercase();
            SIGNS.iter().any(|sign| line.contains(sign))
        });
        if !lines.is_empty() {
            say(&format!("rig: complaints in {}:\n{lines}", log.display()));
        }
    }
}

/// Debian keeps servers in sbin, which not every PATH has.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[expect(clippy::print_stderr, reason = "the program's own words go beside the command's output")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Arguments> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn everything_after_the_dashes_is_the_command() {
        let arguments = words("--keep /tmp/k --zone example.test -- prog --keep x").unwrap();
        assert_eq!(arguments.keep.as_deref(), Some(Path::new("/tmp/k")));
        assert_eq!(arguments.zone.as_deref(), Some("example.test"));
        assert_eq!(arguments.command, ["prog", "--keep", "x"]);
    }

    #[test]
    fn a_command_line_without_a_command_is_refused() {
        for line in ["", "--", "true", "--keep", "--zone example.test"] {
            assert!(words(line).is_none(), "{line}");
        }
    }

    #[test]
    fn the_exit_code_is_the_commands_own() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), ExitCode::from(7));
        assert_eq!(exit_code(ExitStatus::from_raw(9)), ExitCode::from(137), "killed by SIGKILL");
    }
}

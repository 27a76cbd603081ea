//! The programs that are compared, each with a zone, a CA and a state of its own, so that
//! nobody's records or orders are in another's way.

use super::measured::{Run, measure, said};
use crate::program::{Program, dns01};
use crate::rig::{Pebble, Rig, Zone};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Knot refreshes a zone once a second at most: a change soon after another would be late for
/// that reason alone.
const REST: Duration = Duration::from_secs(2);
/// uacme dies of about half the orders of a stock Pebble.
const TRIES: usize = 30;
/// No step of a run lasts as long as this without a request to the CA.
const HUNG: Duration = Duration::from_secs(15);
const CONTACT: &str = "ops@example.test";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Dns01,
    Lego,
    Uacme,
}

/// A program ready to obtain certificates: its account is registered.
pub(super) struct Client {
    tool: Tool,
    pub(super) zone: Zone,
    ca: Pebble,
    directory: String,
    bundle: PathBuf,
    program: Program,
    quiet_since: Instant,
    names: AtomicUsize,
    failed: AtomicUsize,
}

impl Client {
    /// Registers the account and obtains a first certificate, which nobody measures: it fills
    /// the resolver's cache.
    pub(super) fn ready(rig: &Rig, tool: Tool) -> Self {
        let ca = rig.pebble().start();
        let directory = ca.directory();
        Self::ready_at(rig, tool, ca, directory, rig.ca_bundle())
    }

    /// The same through a proxy before `ca`: its directory's address, and who vouches for it.
    pub(super) fn ready_at(rig: &Rig, tool: Tool, ca: Pebble, directory: String, bundle: PathBuf) -> Self {
        let zone = rig.zone().create();
        let program = dns01(rig).credentials(&zone);
        let mut client = Self {
            tool,
            zone,
            ca,
            directory,
            bundle,
            program,
            quiet_since: Instant::now(),
            names: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        };
        if let Some(mut register) = client.registration() {
            let log = client.home().join("register.log");
            assert!(measure(&mut register, &log).success, "{tool:?} has no account:\n{}", said(&log));
        }
        client.obtain(&[client.fresh()]);
        client
    }

    /// Which program it is.
    pub(super) fn tool(&self) -> Tool {
        self.tool
    }

    /// What it is called in figures.
    pub(super) fn label(&self) -> &'static str {
        match self.tool {
            Tool::Dns01 => "dns01",
            Tool::Lego => "lego",
            Tool::Uacme => "uacme",
        }
    }

    /// Its state directory.
    pub(super) fn home(&self) -> &Path {
        self.program.state()
    }

    /// A name that nobody has asked for.
    pub(super) fn fresh(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        self.zone.host(&format!("n{number}"))
    }

    /// Waits until its zone has been left alone for a while.
    pub(super) fn rest(&self) {
        std::thread::sleep((self.quiet_since + REST).saturating_duration_since(Instant::now()));
    }

    /// Notes that its zone has just been changed for the last time.
    pub(super) fn is_done(&mut self) {
        let left = self.zone.all_txt();
        assert_eq!(left, [], "{:?} leaves no record behind", self.tool);
        self.quiet_since = Instant::now();
    }

    /// One certificate after a rest. uacme's failed runs are repeated and left out.
    pub(super) fn obtain(&mut self, names: &[String]) -> Run {
        for _ in 0..TRIES {
            self.rest();
            let run = self.try_to_obtain(names);
            self.is_done();
            if run.success {
                return run;
            }
        }
        panic!("{:?} failed {TRIES} times for {names:?}", self.tool)
    }

    /// One certificate as fast as it goes, by a program among several: returns all its runs.
    pub(super) fn insist(&self, name: &str) -> Vec<Run> {
        let mut runs = Vec::new();
        for _ in 0..TRIES {
            runs.push(self.try_to_obtain(&[name.to_owned()]));
            if runs.iter().any(|run| run.success) {
                return runs;
            }
        }
        panic!("{:?} failed {TRIES} times for {name}", self.tool)
    }

    fn try_to_obtain(&self, names: &[String]) -> Run {
        let log = self.home().join(format!("{}.log", names[0].replace('*', "wildcard")));
        let run = measure(&mut self.command(names), &log);
        if !run.success {
            let known = self.tool == Tool::Uacme && said(&log).contains("failed to parse challenge");
            assert!(known, "{:?} failed for {names:?}:\n{}", self.tool, said(&log));
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        run
    }

    /// Runs that failed, since it was ready.
    pub(super) fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many requests its CA has had so far, those for renewal information apart.
    pub(super) fn requests(&self) -> usize {
        self.ca.requests().iter().filter(|(_, path)| !path.contains("renewalInfo")).count()
    }

    /// Whether its CA has locked itself up: in the midst of its work it has long said nothing.
    pub(super) fn ca_hangs(&self) -> bool {
        self.ca.quiet_for() > HUNG
    }

    /// What registers the account; lego does so with its first certificate.
    fn registration(&self) -> Option<Command> {
        match self.tool {
            Tool::Dns01 => {
                let words = ["account", "register"].into_iter().map(str::to_owned);
                Some(self.program.command(words.chain(self.authority())))
            }
            Tool::Lego => None,
            Tool::Uacme => Some(self.uacme(&["-y", "new", CONTACT])),
        }
    }

    /// What obtains one certificate for `names`.
    pub(super) fn command(&self, names: &[String]) -> Command {
        match self.tool {
            Tool::Dns01 => {
                let words = ["issue", "--dns", "rfc2136"].into_iter().map(str::to_owned);
                let domains = names.iter().flat_map(|name| ["-d".to_owned(), name.clone()]);
                self.program.command(words.chain(domains).chain(self.authority()))
            }
            Tool::Lego => {
                let mut command = self.peer("lego");
                command.env("LEGO_CA_CERTIFICATES", &self.bundle).arg("--path").arg(self.home());
                command.args(["--server", &self.directory, "--email", CONTACT, "--accept-tos"]);
                command.args(["--dns", "rfc2136"]);
                command.args(names.iter().flat_map(|name| ["--domains", name])).arg("run");
                command
            }
            Tool::Uacme => {
                let hook = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bench/hook.sh");
                let mut words = vec!["-t", "EC", "-h", hook, "issue"];
                words.extend(names.iter().map(String::as_str));
                self.uacme(&words)
            }
        }
    }

    /// What obtains one certificate for each of `names` in one process of ours.
    pub(super) fn command_for_all(&self, names: &[String]) -> Command {
        let config = self.home().join("dns01.toml");
        let mut text = format!(
            "[ca.rig]\ndirectory = \"{}\"\nca_bundle = \"{}\"\ncontact = [\"{CONTACT}\"]\nagree_tos = true\n\n{}",
            self.directory,
            self.bundle.display(),
            self.zone.table("rig", &[&self.zone])
        );
        for name in names {
            text += &format!("\n[[certificate]]\ndomains = [\"{name}\"]\nca = [\"rig\"]\n");
        }
        std::fs::write(&config, text).expect("the state directory is writable");
        self.program.command(["issue".as_ref(), "--all".as_ref(), "--config".as_ref(), config.as_os_str()])
    }

    /// Those of `names` that have no certificate of ours in place.
    pub(super) fn lacking<'a>(&self, names: &'a [String]) -> Vec<&'a String> {
        names.iter().filter(|name| !self.program.live(name, "fullchain.pem").exists()).collect()
    }

    fn authority(&self) -> impl Iterator<Item = String> {
        let bundle = self.bundle.display().to_string();
        ["--server", &self.directory, "--ca-bundle", &bundle, "--agree-tos", "-m", CONTACT]
            .map(str::to_owned)
            .into_iter()
    }

    fn uacme(&self, words: &[&str]) -> Command {
        let mut command = self.peer("uacme");
        let secondaries: Vec<String> =
            self.zone.servers_of_ours().iter().map(|server| server.ip().to_string()).collect();
        command.env("ZONE", self.zone.name()).env("PRIMARY", self.zone.primary().to_string());
        command.env("SECONDARIES", secondaries.join(" "));
        command.args(["-a", &self.directory, "-c"]).arg(self.home()).args(words);
        command
    }

    /// A peer in an environment like ours.
    fn peer(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home()).envs(self.zone.environment());
        command
    }
}

//! A zone and a CA of their own, where one command after the other is killed.

use dns01_tests::crash::{Effect, Moment, Point, Shim, points};
use dns01_tests::program::{Outcome, Program, Running, dns01};
use dns01_tests::rig::address::PRIMARY;
use dns01_tests::rig::{Pebble, Rig, Zone};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Pebble's port.
pub(super) const CA_PORT: u16 = 14000;
/// Where UPDATEs go.
pub(super) const DNS_PORT: u16 = 53;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is done before the command that is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    /// Nothing: it is the first command ever.
    First,
    /// A certificate for fewer names was obtained, and is replaced.
    Replacement,
}

pub(super) struct Stand {
    story: Story,
    zone: Zone,
    ca: Pebble,
    root: tempfile::NamedTempFile,
}

/// What the CA has made so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Made {
    orders: usize,
    certificates: usize,
}

impl Stand {
    pub(super) fn new(story: Story) -> Self {
        let rig = Rig::get();
        // NSD takes every change at once, where Knot takes one a second.
        // The primary itself: NSD gives an old answer for a moment after a new one, which over
        // hundreds of orders fails a validation now and then.
        let zone = rig.zone().secondaries(&[]).server("ns1", [PRIMARY]).create();
        let ca = rig.pebble().start();
        let root = tempfile::NamedTempFile::new().unwrap();
        fs::write(root.path(), ca.root(0)).unwrap();
        Self { story, zone, ca, root }
    }

    /// The effects of the story's last command.
    pub(super) fn watch(&self, shim: &Shim) -> Vec<Point> {
        let program = self.program();
        let log = program.state().join("effects");
        let _ = run(shim.watch(self.command(&program), &log)).succeeded();
        points(&log).unwrap()
    }

    /// Kills the story's last command there and does it again. False if the command came to
    /// its end, because it had fewer effects than the watched one.
    pub(super) fn kill_and_go_on(&self, shim: &Shim, point: &Point, moment: Moment) -> bool {
        let case = format!("killed {moment} {} {} ({})", point.effect, point.number, point.detail);
        let program = self.program();
        let before = self.made();
        let died = self.kill(shim, &program, point, moment, &case);
        self.go_on(&program, before, &case);
        died
    }

    /// Kills the story's last command at one message after the other, each time a new run in
    /// the state that the one before it has left, until one comes to its end.
    pub(super) fn kill_and_kill_again(&self, shim: &Shim, numbers: impl Iterator<Item = usize>) {
        let (program, before) = (self.program(), self.made());
        let mut moments = Moment::BOTH.into_iter().cycle();
        for number in numbers {
            let point = Point { effect: Effect::Send, number, detail: String::new() };
            let moment = moments.next().unwrap();
            if !self.kill(shim, &program, &point, moment, &format!("killed {moment} send {number}")) {
                break;
            }
        }
        self.go_on(&program, before, "killed again and again");
    }

    /// True if it was killed before it came to its end.
    fn kill(&self, shim: &Shim, program: &Program, point: &Point, moment: Moment, case: &str) -> bool {
        let killed = run(shim.kill(self.command(program), point, moment));
        let died = killed.signal == Some(9);
        assert!(died || killed.code == Some(0), "{case}: {killed}");
        self.check_files(program, case);
        died
    }

    /// The same command once more: all is as if nothing had happened.
    fn go_on(&self, program: &Program, before: Made, case: &str) {
        let again = run(self.command(program));
        let said = format!("{case}, and then: {again}");
        assert_eq!(again.code, Some(0), "{said}");
        let expected = Made { orders: before.orders + 1, certificates: before.certificates + 1 };
        assert_eq!(self.made(), expected, "{said}");
        assert_eq!(self.zone.all_txt(), [], "{said}");
        let ledger = program.run(["txt", "list", "--json"]).succeeded();
        let ledger: serde_json::Value = serde_json::from_str(&ledger.stdout).unwrap();
        assert_eq!(ledger["values"], serde_json::json!([]), "{said}");
        assert!(self.live(program).exists(), "{said}");
        self.check_files(program, &said);
        assert_eq!(self.names(program), self.wanted().len(), "{said}");
    }

    /// A state directory at the place in the story where the last command comes.
    fn program(&self) -> Program {
        let program = dns01(Rig::get()).credentials(&self.zone).patience(PATIENCE);
        if self.story == Story::Replacement {
            let _ = run(self.issue(&program, &[self.zone.name().to_owned()])).succeeded();
        }
        program
    }

    fn wanted(&self) -> Vec<String> {
        let wildcard = format!("*.{}", self.zone.name());
        match self.story {
            Story::First => vec![wildcard],
            Story::Replacement => vec![self.zone.name().to_owned(), wildcard],
        }
    }

    fn command(&self, program: &Program) -> Command {
        self.issue(program, &self.wanted())
    }

    fn issue(&self, program: &Program, names: &[String]) -> Command {
        let mut command =
            program.command(["issue", "--dns", "rfc2136", "--agree-tos", "-m", "ops@example.test"]);
        command.arg("--server").arg(self.ca.directory()).arg("--ca-bundle").arg(Rig::get().ca_bundle());
        names.iter().for_each(|name| {
            command.arg("-d").arg(name);
        });
        command
    }

    fn made(&self) -> Made {
        let log = self.ca.log();
        Made {
            orders: log.matches("Added order ").count(),
            certificates: log.matches("Issued certificate serial ").count(),
        }
    }

    fn live(&self, program: &Program) -> PathBuf {
        program.state().join("live").join(self.zone.name())
    }

    /// Whatever is live is whole: the key is the certificate's, and the chain leads to the root.
    fn check_files(&self, program: &Program, case: &str) {
        let live = self.live(program);
        if live.symlink_metadata().is_err() {
            assert!(self.story == Story::First, "{case}: the old files are gone");
            return;
        }
        let read = |file: &str| {
            fs::read_to_string(live.join(file)).unwrap_or_else(|error| panic!("{case}: {file}: {error}"))
        };
        assert_eq!(read("fullchain.pem"), read("cert.pem") + &read("chain.pem"), "{case}");
        let of_key = openssl(&["pkey", "-pubout", "-in"], &[&live.join("privkey.pem")]);
        let of_certificate = openssl(&["x509", "-noout", "-pubkey", "-in"], &[&live.join("cert.pem")]);
        assert_eq!(of_key, of_certificate, "{case}");
        let chain = live.join("chain.pem");
        let _ = openssl(
            &["verify", "-CAfile"],
            &[self.root.path(), Path::new("-untrusted"), &chain, &live.join("cert.pem")],
        );
    }

    /// How many names the live certificate has.
    fn names(&self, program: &Program) -> usize {
        let certificate = self.live(program).join("cert.pem");
        let text = openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in"], &[&certificate]);
        text.matches("DNS:").count()
    }
}

fn run(command: Command) -> Outcome {
    Running::start(command, PATIENCE).wait()
}

/// What `openssl` prints.
fn openssl(arguments: &[&str], paths: &[&Path]) -> String {
    let output = Command::new("openssl").args(arguments).args(paths).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?} {paths:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

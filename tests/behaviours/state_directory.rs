//! A state directory that cannot be used: a clear error with a hint, nothing lost, nothing
//! half-written, the old files untouched.

mod disk;

use crate::one_order::OneOrder;
use disk::Disk;
use dns01_tests::program::{Outcome, Running};
use dns01_tests::rig::{Rig, Secondary};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FILES: [&str; 4] = ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"];

/// A state directory where nothing was ever done.
fn fresh() -> OneOrder {
    OneOrder::of(Rig::get().zone().secondaries(&[Secondary::Nsd]).create())
}

/// One with a certificate in it.
fn used() -> OneOrder {
    let order = fresh();
    let _ = order.run().succeeded();
    order
}

impl OneOrder {
    fn live_files(&self) -> BTreeMap<&'static str, String> {
        let read = |file| fs::read_to_string(self.program.live(self.zone.name(), file)).unwrap();
        FILES.into_iter().map(|file| (file, read(file))).collect()
    }

    fn obtain_another(&self) -> Outcome {
        self.program.run(self.arguments(&["--force"]))
    }

    /// Asking for another certificate fails as it should, and leaves what was there.
    #[track_caller]
    fn another_is_refused(&self, message: &str, hint: &str) {
        let before = self.live_files();
        let outcome = self.obtain_another().failed_with(3).says(message).says("hint:").says(hint);
        assert_eq!(self.live_files(), before, "{outcome}");
        assert_eq!(self.ca.orders(), 1, "the CA was not troubled\n{outcome}");
        assert_eq!(self.zone.all_txt(), [], "{outcome}");
    }
}

#[test]
fn a_disk_that_fills_up_at_any_moment_spoils_nothing() {
    let order = fresh();
    let disk = Disk::on(order.program.state(), "4m");
    let _ = order.run().succeeded();
    let mut failures = 0;
    for free in (0..).step_by(8) {
        let before = order.live_files();
        disk.fill_but(free);
        let outcome = order.obtain_another();
        let after = order.live_files();
        assert_eq!(after["fullchain.pem"], format!("{}{}", after["cert.pem"], after["chain.pem"]));
        if outcome.code == Some(0) {
            assert!(free > 0, "a full disk is no hindrance?\n{outcome}");
            break;
        }
        failures += 1;
        assert_eq!(after, before, "with {free} KiB free: {outcome}");
        assert!(outcome.elapsed < Duration::from_secs(5), "with {free} KiB free: {outcome}");
        let _ = outcome.failed_with(3).says("is full").says("hint:");
        disk.empty();
        // Whatever was begun is brought to its end, and no record stays.
        let _ = order.run().succeeded();
        order.nothing_is_left();
    }
    assert!(failures >= 5, "it failed at {failures} sizes only");
}

#[test]
fn a_full_disk_at_the_first_run_leaves_nothing_in_the_way_of_the_second() {
    let order = fresh();
    let disk = Disk::on(order.program.state(), "2m");
    for free in [0, 4, 16, 48, 96, 128] {
        disk.fill_but(free);
        let outcome = order.run();
        if outcome.code != Some(0) {
            assert!(outcome.elapsed < Duration::from_secs(5), "with {free} KiB free: {outcome}");
            let _ = outcome.says("is full").says("hint:");
        }
        disk.empty();
    }
    let _ = order.run().succeeded();
    order.one_certificate_is_there();
}

#[test]
fn a_read_only_state_directory_is_named() {
    let order = fresh();
    let disk = Disk::on(order.program.state(), "4m");
    disk.make_read_only();
    let _ = order.run().failed_with(3).says("is read-only").says("hint:").says("--state-dir");
    disk.make_writable();
    let _ = order.run().succeeded();
    disk.make_read_only();
    order.another_is_refused("is read-only", "--state-dir");
    let _ = order.program.run(["list"]).failed_with(3).says("is read-only");
    disk.make_writable();
    order.one_certificate_is_there();
}

/// Copied by another process: what a test beside this one starts would have the file open for
/// writing as well, and nobody could run it.
fn copy_program(from: &OsStr, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn somebody_elses_state_directory_is_named() {
    let order = used();
    let before = order.live_files();
    // Where nobody can read it, wherever the tests were built.
    let place = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let command = order.program.command(order.arguments(&["--force"]));
    let program = place.path().join("dns01");
    copy_program(command.get_program(), &program);
    let bundle = place.path().join("ca.pem");
    fs::copy(order.ca.root_file(), &bundle).unwrap();
    fs::set_permissions(&bundle, fs::Permissions::from_mode(0o644)).unwrap();

    let mut as_nobody = Command::new(&program);
    as_nobody.args(command.get_args().map(|argument| {
        if Path::new(argument) == order.ca.root_file() { bundle.as_os_str() } else { argument }
    }));
    as_nobody.env_clear().uid(65534).gid(65534);
    as_nobody.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let outcome = Running::start(as_nobody, Duration::from_secs(60)).wait().failed_with(3);
    let state = order.program.state().to_str().unwrap();
    let _ = outcome.says(state).says("Permission denied").says("hint:").says("belongs to the user");
    assert_eq!(order.live_files(), before);
    order.one_certificate_is_there();
}

#[test]
fn a_damaged_database_is_named_and_left_as_it_is() {
    let order = used();
    let file = order.program.state().join("dns01.db");
    let good = fs::read(&file).unwrap();
    let damaged = [
        ("its header overwritten", [b"my shopping list".as_slice(), &good[16..]].concat()),
        ("cut short", good[..good.len() / 2].to_vec()),
        ("overwritten", [&good[..4096], &vec![0xff; good.len() - 4096]].concat()),
    ];
    for (how, octets) in damaged {
        fs::write(&file, &octets).unwrap();
        order.another_is_refused("dns01.db` is damaged", "restore it from a backup");
        assert_eq!(fs::read(&file).unwrap(), octets, "{how}");
    }
    fs::write(&file, &good).unwrap();
    order.one_certificate_is_there();
    let _ = order.obtain_another().succeeded();
}

#[test]
fn a_lost_master_key_is_named_and_not_replaced() {
    let order = used();
    let file = order.program.state().join("master.key");
    let good = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    order.another_is_refused("is missing", "from the backup");
    assert!(!file.exists(), "a new one would bury the old keys");
    let _ = order.program.run(["list"]).succeeded().says(order.zone.name());

    fs::write(&file, [7; 32]).unwrap();
    order.another_is_refused("is not the one", "from the backup");
    fs::write(&file, &good).unwrap();
    let _ = order.obtain_another().succeeded();
}

#[test]
fn a_state_directory_that_is_only_looked_at_is_not_made() {
    let order = fresh();
    let absent = order.program.state().join("mistyped");
    let name = absent.to_str().unwrap();
    for (arguments, code) in [
        (&["list"][..], 0),
        (&["renew"], 0),
        (&["plan"], 0),
        (&["show", "a.test"], 2),
        (&["renew", "a.test"], 2),
    ] {
        let mut command = Command::new(order.program.command([] as [&str; 0]).get_program());
        command.args(arguments).args(["--state-dir", name]).env("DNS01_CONFIG", "/dev/null");
        let outcome = Running::start(command, Duration::from_secs(60)).wait().failed_with(code);
        let _ = outcome.says("there is no state directory").says(name);
        assert!(!absent.exists(), "{arguments:?}");
    }
}

#[test]
fn without_a_home_an_ordinary_user_is_told_to_name_a_place() {
    let order = fresh();
    let place = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = place.path().join("dns01");
    copy_program(order.program.command([] as [&str; 0]).get_program(), &program);
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().uid(65534).gid(65534).current_dir(place.path());
        Running::start(command, Duration::from_secs(60)).wait()
    };
    let _ = command(&["list"]).failed_with(2).says("HOME is not set: name --state-dir");
    let _ = command(&["init", "-d", "a.test"]).failed_with(2).says("HOME is not set: name --config");
    let _ = command(&["list", "--state-dir", "here"]).succeeded();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing but the program is there");
}

#[test]
fn what_is_no_directory_is_called_that() {
    let order = fresh();
    let program = order.program.command([] as [&str; 0]).get_program().to_owned();
    for (place, hint) in [("/etc/hostname", "it is no directory"), ("/proc/nope", "that can be made")] {
        let mut command = Command::new(&program);
        command.args(["txt", "list", "--config", "/dev/null", "--state-dir", place]);
        let outcome = Running::start(command, Duration::from_secs(60)).wait().failed_with(3);
        let _ = outcome.says(place).says(hint).says("--state-dir");
    }
}

#[test]
fn a_state_directory_that_is_open_to_others_is_warned_of() {
    let order = used();
    let state = order.program.state();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let _ = order.program.run(["list"]).succeeded().says(order.zone.name());
    open(state, 0o777);
    open(&state.join("master.key"), 0o644);
    let whole = format!("hint: chmod go-w {}", state.display());
    let key = format!("hint: chmod 600 {}/master.key", state.display());
    for arguments in [vec!["list".to_owned()], order.arguments(&[])] {
        let outcome = order.program.run(arguments).succeeded().says("(mode 0777)").says(&whole).says(&key);
        assert_eq!(outcome.stderr.matches("warning: ").count(), 2, "each is said once: {outcome}");
    }
    let quiet = order.program.run(["list", "--quiet"]).succeeded();
    assert_eq!(quiet.stderr, "");
}

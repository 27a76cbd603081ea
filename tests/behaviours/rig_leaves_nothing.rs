//! A second rig inside the rig: it works beside the servers that run already, passes on how
//! its command ended, and takes everything with it, however it ends itself.

use dns01_tests::program::Running;
use dns01_tests::rig::wait_until;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_exit_code_is_the_commands_and_no_process_mount_or_file_stays() {
    let mounts = mounts();
    let keep = tempfile::tempdir().unwrap();
    let directory = keep.path().canonicalize().unwrap();
    let script = format!("touch {0}/seen; sleep 3600 {0} & exit 7", directory.display());
    let outcome = rig(&directory, &script).wait().failed_with(7).says("rig: up after");
    assert!(directory.join("seen").exists(), "the command ran:\n{outcome}");
    wait_until("every process is gone", PATIENCE, || processes(&directory).is_empty());
    assert_eq!(self::mounts(), mounts);
}

#[test]
fn a_killed_rig_takes_its_servers_with_it() {
    for signal in [Signal::TERM, Signal::KILL] {
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().canonicalize().unwrap();
        let rig = rig(&directory, "exec sleep 3600");
        wait_until("the command runs", PATIENCE, || directory.join("rig.json").exists());
        assert!(processes(&directory).len() >= 6, "the servers name their directory");
        rig.signal(signal);
        let outcome = rig.wait();
        assert_ne!(outcome.code, Some(0), "{signal:?}");
        wait_until("every process is gone", PATIENCE, || processes(&directory).is_empty());
    }
}

#[test]
fn its_temporary_directory_goes_when_none_is_kept() {
    let mut command = Command::new(program());
    command.args(["--", "true"]);
    let outcome = Running::start(command, PATIENCE).wait().succeeded();
    let directory = outcome.stderr.lines().find_map(|line| line.split_once(" ms, in ")).unwrap().1;
    assert!(!Path::new(directory).exists(), "{directory}");
}

#[test]
fn a_command_that_is_not_there_is_said_so() {
    let mut command = Command::new(program());
    command.args(["--", "/nowhere/at/all"]);
    let _ = Running::start(command, PATIENCE).wait().failed_with(127).says("/nowhere/at/all");
}

fn rig(directory: &Path, script: &str) -> Running {
    let mut command = Command::new(program());
    command.arg("--keep").arg(directory).args(["--", "sh", "-c", script]);
    Running::start(command, PATIENCE)
}

/// The program stands beside the test's own folder.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("rig")
}

/// The command lines of all processes that name `directory`.
fn processes(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(directory)).collect()
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").unwrap()
}

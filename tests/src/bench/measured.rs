//! One run of a program, measured from outside.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4 as _;

/// No run takes this long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How one run went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Whether it exited with 0.
    pub(super) success: bool,
    /// From before it was started to its end.
    pub(super) wall: Duration,
    /// User and system time, its own and that of the descendants it waited for (wait4).
    pub(super) cpu: Duration,
    /// Its largest resident set, KiB: VmHWM, read until its end. (ru_maxrss would begin with
    /// that of the program that started it.)
    pub(super) peak: u64,
}

/// Runs `command` to its end, what it says into `log`.
pub(super) fn measure(command: &mut Command, log: &Path) -> Run {
    measure_unless(command, log, || false).expect("it is not given up")
}

/// The same; `None` if `hopeless` said so before it ended, and it was killed.
pub(super) fn measure_unless(command: &mut Command, log: &Path, hopeless: impl Fn() -> bool) -> Option<Run> {
    let output = File::create(log).expect("the log can be made");
    let errors = output.try_clone().expect("the log can be opened twice");
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let start = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{}: {error}; is it installed? (tests/prepare)", command.get_program().display())
    });
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Some(end) = child.try_wait4().expect("a child can be waited for") {
            let usage = end.rusage;
            return Some(Run {
                success: end.status.success(),
                wall: start.elapsed(),
                cpu: usage.utime + usage.stime,
                peak,
            });
        }
        peak = high_water(&status).unwrap_or(peak);
        if hopeless() {
            // It may have ended meanwhile, which is just as well.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", said(log));
        std::thread::sleep(pause(start.elapsed()));
    }
}

/// Between two looks: a hundredth of the time so far, so that looking neither takes the
/// machine from long runs nor blurs short ones.
fn pause(elapsed: Duration) -> Duration {
    (elapsed / 100).clamp(Duration::from_micros(300), Duration::from_millis(5))
}

fn high_water(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// What it said.
pub(super) fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_descendants_and_the_own_memory_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo said; exit 3";
        let run = measure(Command::new("sh").args(["-c", script]), &log);
        assert!(!run.success);
        assert!(run.cpu > Duration::from_millis(5) && run.cpu <= run.wall * 2, "{run:?}");
        assert!(run.peak > 100 && run.peak < 100_000, "{run:?}");
        assert_eq!(said(&log), "said\n");
    }
}

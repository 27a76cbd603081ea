//! A zone, a CA that can fail, and the program between them.

use dns01_tests::fault_ca::{Endpoint, FaultCa, Setup};
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Secondary, Zone, address};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of a table that run at once: most of each is waiting.
const ROWS_AT_ONCE: usize = 8;

/// Where the shared Pebble takes its requests.
pub(super) fn pebble() -> SocketAddr {
    (address::PEBBLE, 14000).into()
}

/// A zone, a CA that can fail, and the program between them.
pub(super) struct Bench {
    pub(super) zone: Zone,
    pub(super) ca: FaultCa,
    pub(super) program: Program,
}

impl Bench {
    /// Nothing has been issued yet, and there is no account.
    pub(super) fn new() -> Self {
        Self::with(&Setup::before(pebble()))
    }

    pub(super) fn with(setup: &Setup) -> Self {
        // NSD gives the old answer now and then for some milliseconds after the new one, while its
        // old process ends; a validation in a thousand falls into them. Here the CA is at fault.
        let zone = Rig::get().zone().secondaries(&[Secondary::Knot]).create();
        let ca = FaultCa::start(setup).unwrap();
        let program = dns01(Rig::get()).credentials(&zone);
        Self { zone, ca, program }
    }

    /// One certificate is in place, and what is asked from here on comes after it.
    pub(super) fn with_certificate() -> Self {
        let bench = Self::new();
        let _ = bench.issue(&[]).succeeded();
        bench
    }

    /// `dns01 issue` for the zone's own name.
    #[track_caller]
    pub(super) fn issue(&self, more: &[&str]) -> Outcome {
        self.program.run(self.arguments(more))
    }

    /// The arguments of `dns01 issue` for the zone's own name.
    pub(super) fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["issue", "-d", self.zone.name(), "--dns", "rfc2136", "--agree-tos"];
        arguments.extend(["-m", "ops@example.test", "--server", self.ca.directory()]);
        arguments.extend(["--ca-bundle", self.ca.root_file().to_str().unwrap()]);
        arguments.extend(more);
        arguments
    }

    /// The four files with their contents.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.program.state().join("live").join(self.zone.name()))
    }

    /// How many requests of each kind the CA behind has answered with this status.
    pub(super) fn answered(&self, endpoint: Endpoint, status: u16) -> usize {
        let requests = self.ca.requests();
        requests.iter().filter(|asked| asked.endpoint == endpoint && asked.upstream == Some(status)).count()
    }

    /// Insists that no record of ours is left on the primary.
    #[track_caller]
    pub(super) fn nothing_left(&self) {
        assert_eq!(self.zone.all_txt(), [], "records are left in {}", self.zone.name());
    }
}

/// Every file in `folder`, links followed.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.filter(|path| path.is_file()).map(|path| (name(&path), std::fs::read(path).unwrap())).collect()
}

/// Runs `check` on every row, several at once, and names all rows that failed.
#[track_caller]
pub(super) fn each<R: Sync + std::fmt::Debug>(rows: &[R], check: impl Fn(&R) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut failed = Vec::new();
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(why) = catch_unwind(AssertUnwindSafe(|| check(row))) {
                let why = why.downcast_ref::<String>().map_or("", String::as_str);
                failed.push(format!("{row:?}: {why}"));
            }
        }
        failed
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..ROWS_AT_ONCE.min(rows.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} of {} rows failed:\n{}", failed.len(), rows.len(), failed.join("\n"));
}

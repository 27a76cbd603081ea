//! Names whose values must be removed all at once: held until the last one goes.
//!
//! A process that has values at a name holds a shared lock on a file of that name. Who removes
//! its last value there tries for the exclusive lock: if another process holds values still, it
//! leaves the removal to that one. The system lets go of the locks of a process that dies.

use crate::error::RunError;
use dns01_provider::{Fqdn, TxtValue};
use rustix::fs::FlockOperation;
use std::collections::{BTreeSet, HashMap};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long somebody else's removal is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The wait between two tries for a lock.
const PACE: Duration = Duration::from_millis(25);

/// The names at which this process has values.
#[derive(Debug)]
pub(crate) struct Holds {
    directory: PathBuf,
    held: Mutex<HashMap<Fqdn, Held>>,
}

#[derive(Debug)]
struct Held {
    values: BTreeSet<TxtValue>,
    /// Shared.
    _lock: Lock,
}

/// The right to remove everything at a name; dropped, it is over.
#[derive(Debug)]
pub(crate) struct Removal(#[allow(dead_code, reason = "dropping it lets go")] Lock);

/// A lock on the file of a name.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Closing would not do: a program that is being started beside this has a copy of the file
    /// until it runs, and the lock would last as long.
    fn drop(&mut self) {
        // What cannot be unlocked is closed all the same.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Holds {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, held: Mutex::default() }
    }

    /// `value` is about to stand at `name`.
    pub(crate) async fn hold(&self, name: &Fqdn, value: &TxtValue) -> Result<(), RunError> {
        if self.add(name, value) {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let lock = loop {
            if let Some(lock) = self.lock(name, FlockOperation::NonBlockingLockShared)? {
                break lock;
            }
            if Instant::now() >= deadline {
                return Err(RunError::Busy(name.to_string()));
            }
            tokio::time::sleep(PACE).await;
        };
        let held = Held { values: [value.clone()].into(), _lock: lock };
        self.held().insert(name.clone(), held);
        Ok(())
    }

    /// Lets go of `value` at `name`. The right to remove all that stands there, if nobody holds
    /// anything there any more.
    pub(crate) fn release(&self, name: &Fqdn, value: &TxtValue) -> Result<Option<Removal>, RunError> {
        {
            let mut names = self.held();
            if let Some(held) = names.get_mut(name) {
                held.values.remove(value);
                if !held.values.is_empty() {
                    return Ok(None);
                }
                names.remove(name);
            }
        }
        Ok(self.lock(name, FlockOperation::NonBlockingLockExclusive)?.map(Removal))
    }

    /// False if nothing is held at `name` yet.
    fn add(&self, name: &Fqdn, value: &TxtValue) -> bool {
        self.held().get_mut(name).is_some_and(|held| {
            held.values.insert(value.clone());
            true
        })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Fqdn, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock on `name`, unless somebody has it.
    fn lock(&self, name: &Fqdn, kind: FlockOperation) -> Result<Option<Lock>, RunError> {
        open_directory(&self.directory)?;
        let failed = |error: io::Error| RunError::Lock(name.to_string(), error);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(self.directory.join(name.as_str())).map_err(failed)?;
        match rustix::fs::flock(&file, kind) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Made where it is not there. One that somebody else could write to is refused: they could
/// keep us from ever removing anything.
fn open_directory(path: &Path) -> Result<(), RunError> {
    let unusable = |problem: &str| RunError::Locks { path: path.to_owned(), problem: problem.to_owned() };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(&error.to_string())),
    }
    let metadata = path.symlink_metadata().map_err(|error| unusable(&error.to_string()))?;
    if !metadata.is_dir() {
        return Err(unusable("it is no directory"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(unusable("others can write to it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn name() -> Fqdn {
        Fqdn::parse("_acme-challenge.example.test").unwrap()
    }

    fn value(text: &str) -> TxtValue {
        TxtValue::parse(text).unwrap()
    }

    #[tokio::test]
    async fn everything_goes_with_the_last_value_of_the_last_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks");
        // Locks belong to open files, so two of these are as two processes.
        let (one, two) = (Holds::new(path.clone()), Holds::new(path));
        one.hold(&name(), &value("a")).await.unwrap();
        one.hold(&name(), &value("b")).await.unwrap();
        assert!(one.release(&name(), &value("a")).unwrap().is_none(), "`b` stands there");
        two.hold(&name(), &value("c")).await.unwrap();
        assert!(one.release(&name(), &value("b")).unwrap().is_none(), "`c` stands there");
        assert!(two.release(&name(), &value("c")).unwrap().is_some());
        assert!(two.release(&name(), &value("c")).unwrap().is_some(), "it may be repeated");
    }

    /// A copy of the open file is what a program has that is just being started.
    #[tokio::test]
    async fn a_copy_of_the_open_file_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let holds = Holds::new(directory.path().join("locks"));
        holds.hold(&name(), &value("a")).await.unwrap();
        let copy = holds.held()[&name()]._lock.0.try_clone().unwrap();
        assert!(holds.release(&name(), &value("a")).unwrap().is_some());
        drop(copy);
    }

    #[tokio::test]
    async fn a_value_comes_only_when_a_removal_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let holds = Holds::new(directory.path().join("locks"));
        let removal = holds.release(&name(), &value("left by the dead")).unwrap().unwrap();
        let new = value("new");
        let here = name();
        let mut waiting = std::pin::pin!(holds.hold(&here, &new));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(early.is_err(), "it waits");
        drop(removal);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_is_gone_holds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks");
        let dead = Holds::new(path.clone());
        dead.hold(&name(), &value("a")).await.unwrap();
        let next = Holds::new(path);
        assert!(next.release(&name(), &value("a")).unwrap().is_none());
        drop(dead);
        assert!(next.release(&name(), &value("a")).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_directory_that_others_can_write_to_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let holds = Holds::new(directory.path().to_owned());
        assert!(matches!(holds.hold(&name(), &value("a")).await, Err(RunError::Locks { .. })));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(matches!(Holds::new(link).release(&name(), &value("a")), Err(RunError::Locks { .. })));
    }
}

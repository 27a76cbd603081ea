//! The file that holds the accounts, in the form of goacmedns: lego, cert-manager and dns01 can
//! share one.

use crate::account::{Account, Form};
use dns01_provider::Fqdn;
use rustix::fs::FlockOperation;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long another program that registers accounts is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// The wait between two tries for the lock.
const LOCK_PACE: Duration = Duration::from_millis(25);

/// Why the accounts cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("the accounts in `{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` holds no accounts ({problem})", path.display())]
    Form { path: PathBuf, problem: String },
    #[error("the accounts cannot be kept in `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{}` stayed locked", path.display())]
    Busy { path: PathBuf },
}

/// The file; read again whenever it has changed.
#[derive(Clone)]
pub(crate) struct Storage {
    path: PathBuf,
    seen: Arc<Mutex<Option<Seen>>>,
}

/// What was read last, and when.
type Seen = (Stamp, Arc<Accounts>);

/// What tells one state of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    octets: u64,
    modified: (i64, i64),
}

/// What the file holds.
#[derive(Default)]
pub(crate) struct Accounts {
    /// As it was read, so that it is written back whole.
    raw: Map<String, Value>,
    by_key: BTreeMap<String, Account>,
    keys: BTreeMap<Fqdn, String>,
}

impl Accounts {
    fn parse(octets: &[u8]) -> Result<Self, String> {
        if octets.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        // serde quotes what it finds, which may be a password: only the place is told.
        let raw: Map<String, Value> = serde_json::from_slice(octets)
            .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
        let mut accounts = Self { raw, ..Self::default() };
        for (key, value) in &accounts.raw {
            let wrong = |_| format!("the entry `{key}` is no account");
            let form: Form = serde_json::from_value(value.clone()).map_err(wrong)?;
            let account = Account::new(form).map_err(|error| format!("the entry `{key}`: {error}"))?;
            accounts.keys.insert(account.fulldomain.clone(), key.clone());
            accounts.by_key.insert(key.clone(), account);
        }
        Ok(accounts)
    }

    /// The account that writes at `name`, which is its own.
    pub(crate) fn at(&self, name: &Fqdn) -> Option<&Account> {
        self.by_key.get(self.keys.get(name)?)
    }

    /// The account kept under `key`.
    pub(crate) fn of(&self, key: &str) -> Option<&Account> {
        self.by_key.get(key)
    }

    /// All of them, by what they are kept under.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.by_key.iter().map(|(key, account)| (key.as_str(), account))
    }
}

impl Storage {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The accounts as they are now; none where there is no file yet.
    pub(crate) async fn accounts(&self) -> Result<Arc<Accounts>, StorageError> {
        let storage = self.clone();
        aside(move || storage.read()).await
    }

    /// [`Self::accounts`], for who may wait for a disk.
    pub(crate) fn read(&self) -> Result<Arc<Accounts>, StorageError> {
        let failed = |source| StorageError::Read { path: self.path.clone(), source };
        let stamp = match self.path.metadata() {
            Ok(metadata) => Stamp {
                inode: metadata.ino(),
                octets: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, accounts)) = &*seen
            && *before == stamp
        {
            return Ok(Arc::clone(accounts));
        }
        let octets = std::fs::read(&self.path).map_err(failed)?;
        let accounts = Accounts::parse(&octets)
            .map_err(|problem| StorageError::Form { path: self.path.clone(), problem })?;
        let accounts = Arc::new(accounts);
        *seen = Some((stamp, Arc::clone(&accounts)));
        Ok(accounts)
    }

    /// Waits until nobody else is adding accounts, and sees that one can be kept.
    pub(crate) async fn open(&self) -> Result<Addition, StorageError> {
        let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
        loop {
            let storage = self.clone();
            if let Some(addition) = aside(move || storage.try_open()).await? {
                return Ok(addition);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(StorageError::Busy { path: self.path.clone() });
            }
            tokio::time::sleep(LOCK_PACE).await;
        }
    }

    fn try_open(&self) -> Result<Option<Addition>, StorageError> {
        let failed = |source| StorageError::Write { path: self.path.clone(), source };
        // A link stays one: what it leads to is replaced.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(folder.join(name));
        let lock = lock.map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        }
        // Made now, so that nothing is registered that could not be kept; its mode is 0600.
        let draft = tempfile::Builder::new().prefix(".acme-dns.").tempfile_in(&folder).map_err(failed)?;
        Ok(Some(Addition { storage: self.clone(), path, folder, draft, _lock: lock }))
    }
}

/// The path alone: what was read holds passwords.
impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.path.display())
    }
}

/// The right to add an account; dropped, nothing has changed.
#[derive(Debug)]
pub(crate) struct Addition {
    storage: Storage,
    path: PathBuf,
    folder: PathBuf,
    draft: tempfile::NamedTempFile,
    _lock: File,
}

impl Addition {
    /// Keeps `account` under `key`: on the disk, readable for this user only, when this returns.
    pub(crate) async fn keep(self, key: &str, account: &Account, server: &str) -> Result<(), StorageError> {
        let (key, entry) = (key.to_owned(), account.stored(server));
        aside(move || {
            let mut raw = self.storage.read()?.raw.clone();
            raw.insert(key, entry);
            self.write(&Value::Object(raw))
        })
        .await
    }

    fn write(mut self, document: &Value) -> Result<(), StorageError> {
        let path = self.storage.path.clone();
        let mut replace = || -> io::Result<()> {
            writeln!(self.draft, "{document:#}")?;
            self.draft.as_file().sync_all()
        };
        let failed = |source| StorageError::Write { path, source };
        if let Err(error) = replace() {
            return Err(failed(error));
        }
        match self.draft.persist(&self.path) {
            Ok(_) => File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed),
            Err(error) => Err(failed(error.error)),
        }
    }
}

/// Off the threads that must not wait for a disk.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work).await.expect("reading and writing a file does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    /// As lego writes it.
    const LEGO: &str = r#"{"example.com":{"fulldomain":"8e57.auth.test","subdomain":"8e57",
        "username":"c36f","password":"hunter2","server_url":"https://auth.test","more":[1]}}"#;

    fn account(subdomain: &str) -> Account {
        let form = json!({ "fulldomain": format!("{subdomain}.auth.test"), "subdomain": subdomain,
            "username": "u", "password": "p" });
        Account::new(serde_json::from_value(form).unwrap()).unwrap()
    }

    fn storage(text: Option<&str>) -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        (folder, Storage::new(path))
    }

    #[tokio::test]
    async fn an_account_is_added_beside_those_of_others_for_this_user_only() {
        let (_folder, storage) = storage(Some(LEGO));
        assert_eq!(storage.accounts().await.unwrap().of("example.com").unwrap().subdomain, "8e57");
        let addition = storage.open().await.unwrap();
        addition.keep("www.example.com", &account("a1"), "https://auth.test").await.unwrap();
        let accounts = storage.accounts().await.unwrap();
        let name = Fqdn::parse("a1.auth.test").unwrap();
        assert_eq!(accounts.at(&name).unwrap().subdomain, "a1");
        assert_eq!(accounts.raw["example.com"]["more"], json!([1]), "what is not ours stays");
        let mode = storage.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_another_program_changed_is_read_again() {
        let (_folder, storage) = storage(None);
        assert_eq!(storage.accounts().await.unwrap().all().count(), 0);
        std::fs::write(storage.path(), LEGO).unwrap();
        assert_eq!(storage.accounts().await.unwrap().all().count(), 1);
        assert!(!format!("{storage:?}").contains("hunter2"));
        std::fs::write(storage.path(), "{}").unwrap();
        assert_eq!(storage.accounts().await.unwrap().all().count(), 0);
    }

    #[tokio::test]
    async fn a_link_to_the_file_stays_one() {
        let (folder, storage) = storage(Some(LEGO));
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(storage.path(), &link).unwrap();
        let through = Storage::new(link.clone());
        through.open().await.unwrap().keep("b.test", &account("b"), "https://auth.test").await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(storage.accounts().await.unwrap().all().count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_adds_holds_others_off_and_nothing_changes_unless_it_is_kept() {
        let (_folder, storage) = storage(Some(LEGO));
        let first = storage.open().await.unwrap();
        assert!(matches!(storage.open().await, Err(StorageError::Busy { .. })));
        drop(first);
        assert!(storage.open().await.is_ok());
        assert_eq!(std::fs::read_to_string(storage.path()).unwrap(), LEGO);
    }

    #[tokio::test]
    async fn what_is_no_storage_is_refused_without_showing_it() {
        for text in ["[\"hunter2\"]", r#"{"a":{"password":"hunter2"}}"#, "hunter2"] {
            let (_folder, storage) = storage(Some(text));
            let error = storage.accounts().await.err().unwrap();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let storage = Storage::new("/nowhere/at/all.json".into());
        assert!(matches!(storage.open().await, Err(StorageError::Write { .. })));
    }
}

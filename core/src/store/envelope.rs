//! Envelopes: private keys are sealed with AES-256-GCM (NIST SP 800-38D) before they reach the
//! database. The associated data names table, row, column and key version, so that a sealed
//! value opens only where it was put.
//!
//! An envelope is: one octet of format, four of key version (big-endian), the nonce, the
//! ciphertext with its tag.

use super::{Store, StoreError};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use sqlx::Row as _;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file in the state directory that holds the master key.
pub const MASTER_KEY_FILE: &str = "master.key";

const FORMAT: u8 = 1;
const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;
const HEADER_LENGTH: usize = 5;
/// The only key version until keys can be rotated.
const KEY_VERSION: u32 = 1;

/// A private key's octets (PKCS#8 DER). They are wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Zeroizing<Vec<u8>>);

impl KeyBytes {
    /// Takes the octets over.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for the one who signs with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(…)")
    }
}

/// Where a sealed value stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a str,
    pub(super) column: &'static str,
}

impl Place<'_> {
    /// Lengths go first, so that no two places read alike.
    fn associated_data(&self, key_version: u32) -> Aad<Vec<u8>> {
        let mut data = key_version.to_be_bytes().to_vec();
        for part in [self.table, self.row, self.column] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        Aad::from(data)
    }

    fn unsealable(&self) -> StoreError {
        StoreError::Unsealable { table: self.table, row: self.row.to_owned(), column: self.column }
    }
}

/// A value in its envelope, as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed(pub(super) Vec<u8>);

/// The key that seals.
pub(super) struct MasterKey(RandomizedNonceKey);

impl MasterKey {
    fn new(octets: &[u8]) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM, octets).ok().map(Self)
    }

    pub(super) fn seal(&self, place: Place<'_>, clear: &[u8]) -> Sealed {
        let mut text = clear.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(place.associated_data(KEY_VERSION), &mut text)
            .expect("a private key is shorter than AES-GCM's limit of 64 GiB");
        let mut envelope = Vec::with_capacity(HEADER_LENGTH + NONCE_LENGTH + text.len());
        envelope.push(FORMAT);
        envelope.extend_from_slice(&KEY_VERSION.to_be_bytes());
        envelope.extend_from_slice(nonce.as_ref());
        envelope.extend_from_slice(&text);
        Sealed(envelope)
    }

    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<KeyBytes, StoreError> {
        let failed = || place.unsealable();
        let (header, rest) = sealed.split_at_checked(HEADER_LENGTH).ok_or_else(failed)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LENGTH).ok_or_else(failed)?;
        let version = header
            .split_first()
            .filter(|(format, _)| **format == FORMAT)
            .and_then(|(_, version)| version.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or_else(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(nonce, place.associated_data(version), &mut text)
            .map_err(|_| failed())?
            .len();
        text.truncate(length);
        Ok(KeyBytes(text))
    }
}

const PROOF: Place<'static> = Place { table: "master_keys", row: "1", column: "proof_sealed" };

/// Reads the master key, or makes one for a database that has none yet, and proves that it
/// belongs to this database.
pub(super) async fn load(store: &Store) -> Result<MasterKey, StoreError> {
    let proof = sqlx::query("SELECT proof_sealed FROM master_keys WHERE version = $1")
        .bind(i64::from(KEY_VERSION))
        .fetch_optional(store.reads())
        .await
        .and_then(|row| row.map(|row| row.try_get::<Vec<u8>, _>(0)).transpose())
        .map_err(|error| store.failed(error))?;
    let path = store.directory().join(MASTER_KEY_FILE);
    let octets = match (read(&path)?, &proof) {
        (Some(octets), _) => octets,
        (None, Some(_)) => return Err(StoreError::MasterKeyMissing { path }),
        (None, None) => make(&path)?,
    };
    let wrong = || StoreError::WrongMasterKey { path: path.clone() };
    let key = MasterKey::new(&octets).ok_or_else(wrong)?;
    match proof {
        Some(proof) => drop(key.open(PROOF, &proof).map_err(|_| wrong())?),
        None => {
            let Sealed(proof) = key.seal(PROOF, b"dns01");
            store
                .write(move |connection| {
                    Box::pin(async move {
                        sqlx::query(
                            "INSERT INTO master_keys (version, proof_sealed) VALUES ($1, $2) \
                             ON CONFLICT (version) DO NOTHING",
                        )
                        .bind(i64::from(KEY_VERSION))
                        .bind(proof)
                        .execute(connection)
                        .await?;
                        Ok(())
                    })
                })
                .await?;
        }
    }
    Ok(key)
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::file(path, error)),
    };
    let mut octets = Zeroizing::new(Vec::with_capacity(KEY_LENGTH + 1));
    file.take(KEY_LENGTH as u64 + 1)
        .read_to_end(&mut octets)
        .map_err(|error| StoreError::file(path, error))?;
    Ok(Some(octets))
}

/// Makes the key file. It appears whole or not at all, and the first of two processes wins: a
/// file that is already there is never replaced, but read.
fn make(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut octets = Zeroizing::new(vec![0; KEY_LENGTH]);
    aws_lc_rs::rand::fill(&mut octets).expect("the system has randomness");
    let draft = draft_beside(path);
    let result = write_draft(&draft, &octets).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    // Left behind only by a crash; it is a key nobody uses.
    let _ = fs::remove_file(&draft);
    result.and_then(|()| sync_directory(path)).map_err(|error| StoreError::file(path, error))?;
    read(path)?.ok_or_else(|| StoreError::MasterKeyMissing { path: path.to_path_buf() })
}

fn draft_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", super::random_id()));
    PathBuf::from(name)
}

fn write_draft(draft: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(octets)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, temporary};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const PLACE: Place<'static> = Place { table: "orders", row: "7", column: "key_sealed" };

    #[test]
    fn a_sealed_value_opens_only_where_it_was_put() {
        let master = MasterKey::new(&[7; KEY_LENGTH]).unwrap();
        let sealed = master.seal(PLACE, b"a private key").0;
        assert_eq!(master.open(PLACE, &sealed).unwrap().expose(), b"a private key");
        let elsewhere = [
            Place { table: "accounts", ..PLACE },
            Place { row: "8", ..PLACE },
            Place { column: "next_key_sealed", ..PLACE },
            Place { table: "order", row: "s7", ..PLACE },
        ];
        for place in elsewhere {
            assert!(matches!(master.open(place, &sealed), Err(StoreError::Unsealable { .. })), "{place:?}");
        }
    }

    #[test]
    fn a_changed_octet_anywhere_is_noticed() {
        let master = MasterKey::new(&[7; KEY_LENGTH]).unwrap();
        let sealed = master.seal(PLACE, b"a private key").0;
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(master.open(PLACE, &changed).is_err(), "octet {index}");
            assert!(master.open(PLACE, &sealed[..index]).is_err(), "{index} octets");
        }
    }

    #[test]
    fn the_same_key_never_looks_the_same_twice() {
        let master = MasterKey::new(&[7; KEY_LENGTH]).unwrap();
        assert_ne!(master.seal(PLACE, b"a private key"), master.seal(PLACE, b"a private key"));
    }

    #[test]
    fn keys_are_not_shown() {
        let key = KeyBytes::new(b"a private key".to_vec());
        assert_eq!(format!("{key:?}"), "KeyBytes(…)");
    }

    #[tokio::test]
    async fn processes_that_start_together_have_one_master_key() {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = Vec::new();
        for _ in 0..8 {
            stores.push(open(directory.path()).await);
        }
        let keys = futures_util::future::join_all(stores.iter().map(Store::master_key)).await;
        let sealed = keys[0].as_ref().unwrap().seal(PLACE, b"a private key").0;
        for key in &keys {
            assert_eq!(key.as_ref().unwrap().open(PLACE, &sealed).unwrap().expose(), b"a private key");
        }
        let path = directory.path().join(MASTER_KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let drafts = fs::read_dir(directory.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("master.key."));
        assert_eq!(drafts.count(), 0);
    }

    #[tokio::test]
    async fn a_lost_master_key_is_not_replaced_by_another() {
        let (directory, store) = temporary().await;
        store.master_key().await.unwrap();
        store.close().await.unwrap();
        let path = directory.path().join(MASTER_KEY_FILE);
        fs::remove_file(&path).unwrap();
        let store = open(directory.path()).await;
        let error = store.master_key().await.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::MasterKeyMissing { .. }), "{error:?}");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn another_databases_master_key_is_told_from_ours() {
        let (directory, store) = temporary().await;
        store.master_key().await.unwrap();
        store.close().await.unwrap();
        for wrong in [vec![1; KEY_LENGTH], vec![1; KEY_LENGTH - 1], Vec::new()] {
            fs::write(directory.path().join(MASTER_KEY_FILE), &wrong).unwrap();
            let store = open(directory.path()).await;
            let error = store.master_key().await.map(drop).unwrap_err();
            assert!(matches!(error, StoreError::WrongMasterKey { .. }), "{error:?}");
        }
    }
}

//! TSIG keys (RFC 8945).

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How many zones of a rig can have a key of their own.
pub(super) const POOL: usize = 600;

/// A TSIG algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// `hmac-sha256`
    #[default]
    Sha256,
    /// `hmac-sha384`
    Sha384,
    /// `hmac-sha512`
    Sha512,
}

impl Algorithm {
    pub(super) const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }
}

/// A TSIG key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key {
    /// Its name, without the trailing dot.
    pub name: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The shared secret, base64.
    pub secret: String,
}

impl Key {
    pub(super) fn generate(name: &str, algorithm: Algorithm) -> Self {
        let mut octets = [0; 64];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut octets))
            .expect("/dev/urandom can be read");
        let secret = base64::engine::general_purpose::STANDARD.encode(octets);
        Self { name: name.to_owned(), algorithm, secret }
    }

    /// The pool BIND starts with: number `n` of each algorithm belongs to zone `n`.
    pub(super) fn pool() -> Vec<Self> {
        (0..POOL)
            .flat_map(|number| {
                Algorithm::ALL
                    .map(|algorithm| Self::generate(&format!("zone{number}.{}", algorithm.name()), algorithm))
            })
            .collect()
    }

    pub(super) fn pick(pool: &[Self], number: usize, algorithm: Algorithm) -> Self {
        pool.get(number * Algorithm::ALL.len() + algorithm as usize)
            .expect("more zones than keys: raise POOL in tests/src/rig/key.rs")
            .clone()
    }

    /// The `key` statement of BIND's files.
    pub(super) fn statement(&self) -> String {
        format!(
            "key \"{}\" {{ algorithm {}; secret \"{}\"; }};\n",
            self.name,
            self.algorithm.name(),
            self.secret
        )
    }

    /// Writes the key as `nsupdate -k` and `dig -k` read it.
    pub fn file(&self, directory: &Path) -> PathBuf {
        let path = directory.join(format!("{}.key", self.name));
        std::fs::write(&path, self.statement()).expect("the directory is writable");
        path
    }
}

/// Names the key; its secret stays untold.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_one_key_of_each_algorithm() {
        let pool = Key::pool();
        for algorithm in Algorithm::ALL {
            let key = Key::pick(&pool, 5, algorithm);
            assert_eq!((key.name, key.algorithm), (format!("zone5.{}", algorithm.name()), algorithm));
        }
    }

    #[test]
    fn a_key_shown_for_debugging_keeps_its_secret() {
        let key = Key::generate("k", Algorithm::Sha256);
        assert!(!format!("{key:?}").contains(&key.secret));
    }
}

//! The private key of a certificate.

use super::{KeyError, csr};
use rcgen::string::Ia5String;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

/// The kinds of certificate keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyType {
    /// ECDSA on P-256: small, fast, accepted everywhere today.
    #[default]
    Ec256,
    /// ECDSA on P-384.
    Ec384,
    /// RSA with 2,048 bits, for old clients.
    Rsa2048,
    /// RSA with 3,072 bits.
    Rsa3072,
    /// RSA with 4,096 bits.
    Rsa4096,
}

/// A text that names no kind of key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key type; there are ec256, ec384, rsa2048, rsa3072 and rsa4096")]
pub struct KeyTypeError(String);

impl KeyType {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Ec256, Self::Ec384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ec256 => "ec256",
            Self::Ec384 => "ec384",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
        }
    }

    /// True where making a key takes long enough (up to a second) to want a thread of its own.
    fn is_slow(self) -> bool {
        !matches!(self, Self::Ec256 | Self::Ec384)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = KeyTypeError;

    fn from_str(text: &str) -> Result<Self, KeyTypeError> {
        Self::ALL
            .into_iter()
            .find(|key_type| key_type.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| KeyTypeError(text.to_owned()))
    }
}

/// A private key for one certificate. `Debug` shows its kind only.
pub struct CertificateKey(KeyPair);

impl CertificateKey {
    /// Makes a new key. RSA keys are made on a thread for blocking work.
    ///
    /// # Errors
    /// The crypto library refused.
    pub async fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let made = if key_type.is_slow() {
            tokio::task::spawn_blocking(move || make(key_type)).await.expect("making a key does not panic")
        } else {
            make(key_type)
        };
        made.map(Self).map_err(|source| KeyError::Generate { key_type, source })
    }

    /// Reads a key from PKCS#8 DER.
    ///
    /// # Errors
    /// It is not a key of a kind that we make.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        KeyPair::try_from(der).map(Self).map_err(|source| KeyError::Read { source })
    }

    /// Its kind; `None` for one that we would not make.
    #[must_use]
    pub fn key_type(&self) -> Option<KeyType> {
        let algorithm = self.0.algorithm();
        if algorithm == &PKCS_ECDSA_P256_SHA256 {
            return Some(KeyType::Ec256);
        }
        if algorithm == &PKCS_ECDSA_P384_SHA384 {
            return Some(KeyType::Ec384);
        }
        let spki = self.public_key();
        let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).ok()?;
        match parsed.parsed().ok()? {
            PublicKey::RSA(rsa) => match rsa.key_size() {
                2048 => Some(KeyType::Rsa2048),
                3072 => Some(KeyType::Rsa3072),
                4096 => Some(KeyType::Rsa4096),
                _ => None,
            },
            _ => None,
        }
    }

    /// The key as PKCS#8 DER.
    #[must_use]
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }

    /// The key as PEM, as web servers read it.
    #[must_use]
    pub fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// A certificate signing request (PKCS#10 DER) for `names`, with an empty subject: the
    /// names stand in the subjectAltName extension, where CAs read them.
    ///
    /// # Errors
    /// The crypto library refused.
    pub fn request(&self, names: &[String]) -> Result<Vec<u8>, KeyError> {
        csr::sign_request(&self.0, names).map_err(|source| KeyError::Request { source })
    }
}

fn make(key_type: KeyType) -> Result<KeyPair, rcgen::Error> {
    match key_type {
        KeyType::Ec256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyType::Ec384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyType::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        KeyType::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
}

/// Names as subjectAltName entries; they are A-labels already, so this cannot fail for ours.
pub(super) fn dns_names(names: &[String]) -> Result<Vec<rcgen::SanType>, rcgen::Error> {
    names.iter().map(|name| Ia5String::try_from(name.as_str()).map(rcgen::SanType::DnsName)).collect()
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_kind_of_key_comes_back_from_pkcs8_as_itself() {
        for key_type in KeyType::ALL {
            let key = CertificateKey::generate(key_type).await.unwrap();
            let again = CertificateKey::from_pkcs8(&key.pkcs8()).unwrap();
            assert_eq!(key.public_key(), again.public_key(), "{key_type}");
            assert_eq!(again.key_type(), Some(key_type));
            assert_eq!(key_type.as_str().parse::<KeyType>().unwrap(), key_type);
        }
        assert!("dsa".parse::<KeyType>().is_err());
        assert!(CertificateKey::from_pkcs8(b"not a key").is_err());
    }
}

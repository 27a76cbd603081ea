//! Account keys: what signs, and how the key is shown (RFC 7517, RFC 7638).

use crate::keys::KeyType;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Signs for an account. Implementations may keep the key elsewhere (a token, a service);
/// `sign` may then take as long as that takes.
pub trait Signer: Send + Sync {
    /// How it signs.
    fn algorithm(&self) -> Algorithm;

    /// The public key.
    fn jwk(&self) -> &Jwk;

    /// The signature of `message` in its JWS form: r‖s for ECDSA (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`SignerError::Signature`] if the key cannot sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// A signature algorithm for JWS (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
        })
    }
}

/// A public key as JSON. The members stand in the order that its thumbprint is made of
/// (RFC 7638 §3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Jwk {
    /// A point on an elliptic curve.
    Ec {
        /// `P-256` or `P-384`.
        crv: String,
        /// Always `EC`.
        kty: String,
        /// base64url, as long as the field.
        x: String,
        /// base64url, as long as the field.
        y: String,
    },
    /// An RSA key.
    Rsa {
        /// base64url, shortest form.
        e: String,
        /// Always `RSA`.
        kty: String,
        /// base64url, shortest form.
        n: String,
    },
}

impl Jwk {
    fn ec(crv: &str, point: &[u8]) -> Self {
        // The uncompressed form: 4, x, y (SEC 1 §2.3.3).
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        Self::Ec {
            crv: crv.to_owned(),
            kty: "EC".to_owned(),
            x: BASE64URL_NOPAD.encode(x),
            y: BASE64URL_NOPAD.encode(y),
        }
    }

    /// The key's thumbprint, base64url: 43 characters (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let json = serde_json::to_vec(self).expect("a key of strings is JSON");
        BASE64URL_NOPAD.encode(digest(&SHA256, &json).as_ref())
    }
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The key is not one this client signs with.
    #[error("the key is not PKCS#8 for P-256, P-384 or RSA of 2048 to 8192 bits")]
    Unsupported,
    /// A key could not be made.
    #[error("the key could not be generated")]
    Generation,
    /// The key could not sign.
    #[error("the key could not sign")]
    Signature,
    /// The HMAC key of the external account binding is not base64.
    #[error("the HMAC key of the external account binding is not base64url")]
    HmacKey,
}

/// A private key held in memory. `Debug` shows its algorithm only.
pub struct SoftwareKey {
    pair: Pair,
    jwk: Jwk,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<rsa::KeyPair>),
}

impl SoftwareKey {
    /// Makes a key. RSA takes up to a second of computing: call it from `spawn_blocking`.
    ///
    /// # Errors
    /// [`SignerError::Generation`].
    pub fn generate(kind: KeyType) -> Result<Self, SignerError> {
        let ec = |algorithm| EcdsaKeyPair::generate(algorithm).map_err(|_| SignerError::Generation);
        let rsa = |size| {
            rsa::KeyPair::generate(size)
                .map(|pair| Pair::Rsa(Box::new(pair)))
                .map_err(|_| SignerError::Generation)
        };
        let pair = match kind {
            KeyType::Ec256 => Pair::P256(ec(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            KeyType::Ec384 => Pair::P384(ec(&ECDSA_P384_SHA384_FIXED_SIGNING)?),
            KeyType::Rsa2048 => rsa(rsa::KeySize::Rsa2048)?,
            KeyType::Rsa3072 => rsa(rsa::KeySize::Rsa3072)?,
            KeyType::Rsa4096 => rsa(rsa::KeySize::Rsa4096)?,
        };
        Ok(Self::of(pair))
    }

    /// Reads a key in unencrypted PKCS#8 DER; also a certificate's key, to revoke with.
    ///
    /// # Errors
    /// [`SignerError::Unsupported`] if it is anything else than P-256, P-384 or RSA.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SignerError> {
        let pair = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Pair::P256(pair)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der) {
            Pair::P384(pair)
        } else {
            let pair = rsa::KeyPair::from_pkcs8(der).map_err(|_| SignerError::Unsupported)?;
            Pair::Rsa(Box::new(pair))
        };
        Ok(Self::of(pair))
    }

    /// The private key in PKCS#8 DER, wiped when dropped.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let der = match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Rsa(pair) => pair.as_der().map(|der| der.as_ref().to_vec()),
        };
        Zeroizing::new(der.expect("a key in memory has a PKCS#8 form"))
    }

    fn of(pair: Pair) -> Self {
        let jwk = match &pair {
            Pair::P256(pair) => Jwk::ec("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => Jwk::ec("P-384", pair.public_key().as_ref()),
            Pair::Rsa(pair) => Jwk::Rsa {
                e: BASE64URL_NOPAD.encode(pair.public_key().exponent().big_endian_without_leading_zero()),
                kty: "RSA".to_owned(),
                n: BASE64URL_NOPAD.encode(pair.public_key().modulus().big_endian_without_leading_zero()),
            },
        };
        Self { pair, jwk }
    }
}

impl Signer for SoftwareKey {
    fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::P256(_) => Algorithm::Es256,
            Pair::P384(_) => Algorithm::Es384,
            Pair::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        }
        .map_err(|_| SignerError::Signature)
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareKey({})", self.algorithm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let jwk = Jwk::Rsa {
            e: "AQAB".to_owned(),
            kty: "RSA".to_owned(),
            n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw".to_owned(),
        };
        assert_eq!(jwk.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn every_kind_of_key_signs_and_survives_being_stored() {
        let kinds: [(KeyType, &dyn VerificationAlgorithm); 3] = [
            (KeyType::Ec256, &ECDSA_P256_SHA256_FIXED),
            (KeyType::Ec384, &ECDSA_P384_SHA384_FIXED),
            (KeyType::Rsa2048, &RSA_PKCS1_2048_8192_SHA256),
        ];
        for (kind, verification) in kinds {
            let key = SoftwareKey::generate(kind).unwrap();
            let stored = SoftwareKey::from_pkcs8(&key.to_pkcs8()).unwrap();
            assert_eq!(stored.jwk(), key.jwk());
            let signature = stored.sign(b"message").unwrap();
            let public = match &key.pair {
                Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_ref().to_vec(),
                Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            };
            UnparsedPublicKey::new(verification, public).verify(b"message", &signature).unwrap();
        }
    }

    #[test]
    fn other_keys_are_refused() {
        assert_eq!(SoftwareKey::from_pkcs8(b"no key").unwrap_err(), SignerError::Unsupported);
    }

    #[test]
    fn debug_shows_no_key() {
        let key = SoftwareKey::generate(KeyType::Ec256).unwrap();
        assert_eq!(format!("{key:?}"), "SoftwareKey(ES256)");
    }
}

//! Keys of certificates, and the requests made with them.
//!
//! Account keys sign and live with [`crate::acme`]; the keys here only end up in files.

mod certificate;
mod csr;

pub use certificate::{CertificateKey, KeyType, KeyTypeError};
pub use csr::{CertificateRequest, RequestError};

/// Why a key or a request could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system had no randomness, or the crypto library refused.
    #[error("a key of type {key_type} could not be made")]
    Generate {
        /// What was asked for.
        key_type: KeyType,
        /// What the library said.
        source: rcgen::Error,
    },
    /// A stored key is not a PKCS#8 private key of a kind that we make.
    #[error("the stored private key cannot be read")]
    Read {
        /// What the library said.
        source: rcgen::Error,
    },
    /// The request could not be put together.
    #[error("the certificate request could not be made")]
    Request {
        /// What the library said.
        source: rcgen::Error,
    },
}

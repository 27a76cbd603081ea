//! Certificate signing requests (PKCS#10, RFC 2986): ours, and the ones users bring.

use super::certificate::dns_names;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509CertificationRequest};

pub(super) fn sign_request(key: &KeyPair, names: &[String]) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = dns_names(names)?;
    params.serialize_request(key).map(|request| request.der().to_vec())
}

/// A request that a user made elsewhere, with a key that we never see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
    names: Vec<String>,
    public_key: Vec<u8>,
}

/// What is wrong with a user's request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Neither PEM nor DER of a PKCS#10 request.
    #[error("it is not a certificate request in PEM or DER")]
    Malformed,
    /// The signature does not belong to the key.
    #[error("its signature does not match its public key")]
    Signature,
    /// No subjectAltName extension, or none with a DNS name.
    #[error("it names no DNS names in a subjectAltName extension")]
    NoNames,
    /// A name that no DNS challenge can prove.
    #[error("it asks for `{0}`, which no DNS challenge can prove")]
    Unprovable(String),
}

impl CertificateRequest {
    /// Reads a request from PEM or DER and checks its signature.
    ///
    /// # Errors
    /// [`RequestError`] says what is wrong with it.
    pub fn parse(content: &[u8]) -> Result<Self, RequestError> {
        let der = match pem::parse(content) {
            Ok(block) if block.tag().ends_with("CERTIFICATE REQUEST") => block.into_contents(),
            Ok(_) => return Err(RequestError::Malformed),
            Err(_) => content.to_vec(),
        };
        let (rest, request) =
            X509CertificationRequest::from_der(&der).map_err(|_| RequestError::Malformed)?;
        if !rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        request.verify_signature().map_err(|_| RequestError::Signature)?;
        let names = alternative_names(&request)?;
        let public_key = request.certification_request_info.subject_pki.raw.to_vec();
        Ok(Self { names, public_key, der })
    }

    /// The request as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The names it asks for, lower case.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

fn alternative_names(request: &X509CertificationRequest<'_>) -> Result<Vec<String>, RequestError> {
    let mut names = Vec::new();
    for extension in request.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(alternative) = extension else { continue };
        for general in &alternative.general_names {
            match general {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                other => return Err(RequestError::Unprovable(other.to_string())),
            }
        }
    }
    names.sort();
    names.dedup();
    if names.is_empty() { Err(RequestError::NoNames) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{CertificateKey, KeyType};

    #[tokio::test]
    async fn our_requests_carry_their_names_and_an_empty_subject() {
        let names = ["example.test".to_owned(), "*.example.test".to_owned()];
        for key_type in KeyType::ALL {
            let key = CertificateKey::generate(key_type).await.unwrap();
            let der = key.request(&names).unwrap();
            let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
            assert_eq!(parsed.certification_request_info.subject.iter().count(), 0);
            let request = CertificateRequest::parse(&der).unwrap();
            assert_eq!(request.names(), ["*.example.test", "example.test"]);
            assert_eq!(request.public_key(), key.public_key());
            let text = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der));
            assert_eq!(CertificateRequest::parse(text.as_bytes()).unwrap(), request);
        }
    }

    #[tokio::test]
    async fn a_request_that_was_tampered_with_is_refused() {
        let key = CertificateKey::generate(KeyType::Ec256).await.unwrap();
        let mut der = key.request(&["example.test".to_owned()]).unwrap();
        let at = der.windows(12).position(|w| w == b"example.test").unwrap();
        der[at] = b'f';
        assert_eq!(CertificateRequest::parse(&der), Err(RequestError::Signature));
        assert_eq!(CertificateRequest::parse(b"garbage"), Err(RequestError::Malformed));
        let none = key.request(&[]).unwrap();
        assert_eq!(CertificateRequest::parse(&none), Err(RequestError::NoNames));
    }
}

//! What a CA hands out, checked before anyone relies on it.

use super::renewal_info::CertificateId;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A certificate and those that lead from it towards a root, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain {
    certificates: Vec<Vec<u8>>,
    /// Begin of the leaf's validity.
    pub not_before: Timestamp,
    /// Its end.
    pub not_after: Timestamp,
    /// The leaf's serial number in lower-case hex.
    pub serial: String,
    /// The common name of the leaf's issuer, or its whole name.
    pub issuer: String,
    /// The common names (or whole names) of the issuers, the leaf's first: what a preferred
    /// chain is chosen by.
    pub issuers: Vec<String>,
    /// The leaf's name towards its CA; `None` if it does not tell its issuer's key.
    pub id: Option<CertificateId>,
}

/// Why what the CA handed out is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It holds something else than certificates.
    #[error("the CA handed out something that is not a chain of certificates: {0}")]
    Malformed(String),
    /// It holds no certificate at all.
    #[error("the CA handed out no certificate")]
    Empty,
    /// It is for a key that is not ours.
    #[error("the certificate is for another key than ours")]
    ForeignKey,
    /// Its names are not those that were asked for.
    #[error("the certificate has other names than asked for{}", Difference(.missing, .surplus))]
    OtherNames {
        /// Asked for, not there.
        missing: Vec<String>,
        /// There, not asked for.
        surplus: Vec<String>,
    },
    /// It is not valid yet.
    #[error("the certificate is valid only from {from}, and it is {now}")]
    NotYetValid {
        /// Begin of its validity.
        from: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
    /// It is not valid any more.
    #[error("the certificate was valid until {until}, and it is {now}")]
    Expired {
        /// End of its validity.
        until: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
    /// A certificate of the chain is not signed by the one after it.
    #[error("the chain is broken: `{subject}` is not signed by `{next}`")]
    BrokenChain {
        /// Whose certificate.
        subject: String,
        /// The next in the chain.
        next: String,
    },
    /// It does not tell its issuer's key identifier, which renewal information needs.
    #[error("the certificate does not tell its issuer's key identifier")]
    NoAuthorityKey,
}

/// CAs date certificates back by an hour against wrong clocks, but private ones often do not:
/// our clock may be this much behind theirs.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

impl CertificateChain {
    /// Reads a PEM chain and checks it: certificates only, the leaf first; the leaf for the
    /// key `public_key` (SubjectPublicKeyInfo, DER) and exactly `names` (DNS names, `*.` for
    /// wildcards, any letter case), valid at `now`; each signed by the next.
    ///
    /// # Errors
    /// [`CertificateError`] names the first difference.
    pub fn parse_and_check(
        pem: &[u8],
        public_key: &[u8],
        names: &[String],
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let certificates = read(pem)?;
        let parsed = certificates.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
        let leaf = parsed.first().ok_or(CertificateError::Empty)?;
        if leaf.public_key().raw != public_key {
            return Err(CertificateError::ForeignKey);
        }
        check_names(leaf, names)?;
        let (not_before, not_after) = validity(leaf)?;
        if now + CLOCK_SKEW < not_before {
            return Err(CertificateError::NotYetValid { from: not_before, now });
        }
        if now >= not_after {
            return Err(CertificateError::Expired { until: not_after, now });
        }
        for pair in parsed.windows(2) {
            check_link(&pair[0], &pair[1])?;
        }
        let issuers: Vec<_> = parsed.iter().map(|certificate| short_name(certificate.issuer())).collect();
        Ok(Self {
            not_before,
            not_after,
            serial: data_encoding::HEXLOWER.encode(strip_sign(leaf.raw_serial())),
            issuer: issuers[0].clone(),
            issuers,
            id: CertificateId::of_parsed(leaf),
            certificates,
        })
    }

    /// The leaf, DER.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.certificates[0]
    }

    /// The leaf as PEM: `cert.pem`.
    #[must_use]
    pub fn leaf_pem(&self) -> String {
        encode(&self.certificates[..1])
    }

    /// The rest as PEM: `chain.pem`; empty if the leaf came alone.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        encode(&self.certificates[1..])
    }

    /// All as PEM, the leaf first: `fullchain.pem`.
    #[must_use]
    pub fn full_chain_pem(&self) -> String {
        encode(&self.certificates)
    }
}

/// The issuers' names in a PEM chain, the leaf's issuer first; empty if it cannot be read.
/// Used to choose among alternates before one is checked.
pub(super) fn issuers(pem: &[u8]) -> Vec<String> {
    let certificates = read(pem).unwrap_or_default();
    certificates.iter().filter_map(|der| Some(short_name(parse(der).ok()?.issuer()))).collect()
}

fn read(pem: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    // RFC 8555 §9.1: nothing but certificates; a private key in there would be an alarm.
    let blocks = pem::parse_many(pem).map_err(|error| CertificateError::Malformed(error.to_string()))?;
    if blocks.is_empty() {
        return Err(CertificateError::Empty);
    }
    // A chain that was cut on its way would be taken for a shorter one.
    if String::from_utf8_lossy(pem).matches("-----BEGIN ").count() != blocks.len() {
        return Err(CertificateError::Malformed("it breaks off within a block".to_owned()));
    }
    match blocks.iter().find(|block| block.tag() != "CERTIFICATE") {
        Some(block) => Err(CertificateError::Malformed(format!("a block `{}`", block.tag()))),
        None => Ok(blocks.into_iter().map(pem::Pem::into_contents).collect()),
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(CertificateError::Malformed("octets after the certificate".to_owned())),
        Err(error) => Err(CertificateError::Malformed(error.to_string())),
    }
}

fn encode(certificates: &[Vec<u8>]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    certificates
        .iter()
        .map(|der| pem::encode_config(&pem::Pem::new("CERTIFICATE", der.clone()), config))
        .collect()
}

fn check_names(leaf: &X509Certificate<'_>, wanted: &[String]) -> Result<(), CertificateError> {
    let malformed = |error: X509Error| CertificateError::Malformed(error.to_string());
    let mut found = BTreeSet::new();
    if let Some(extension) = leaf.subject_alternative_name().map_err(malformed)? {
        for name in &extension.value.general_names {
            found.insert(match name {
                GeneralName::DNSName(name) => name.to_ascii_lowercase(),
                other => other.to_string(),
            });
        }
    }
    let wanted: BTreeSet<_> = wanted.iter().map(|name| name.to_ascii_lowercase()).collect();
    if found == wanted {
        return Ok(());
    }
    Err(CertificateError::OtherNames {
        missing: wanted.difference(&found).cloned().collect(),
        surplus: found.difference(&wanted).cloned().collect(),
    })
}

fn validity(leaf: &X509Certificate<'_>) -> Result<(Timestamp, Timestamp), CertificateError> {
    let timestamp = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp())
            .map_err(|error| CertificateError::Malformed(error.to_string()))
    };
    Ok((timestamp(leaf.validity().not_before)?, timestamp(leaf.validity().not_after)?))
}

fn check_link(subject: &X509Certificate<'_>, next: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let named = subject.issuer().as_raw() == next.subject().as_raw();
    let signed = match subject.verify_signature(Some(next.public_key())) {
        Ok(()) => true,
        // An algorithm we cannot compute (P-521, say) proves nothing against the chain: the
        // names must do.
        Err(X509Error::SignatureUnsupportedAlgorithm) => true,
        Err(_) => false,
    };
    if named && signed {
        return Ok(());
    }
    Err(CertificateError::BrokenChain {
        subject: short_name(subject.subject()),
        next: short_name(next.subject()),
    })
}

pub(super) fn short_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|attribute| attribute.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

/// The zero octet that keeps a DER integer positive is not part of the serial people see.
fn strip_sign(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        serial => serial,
    }
}

struct Difference<'a>(&'a [String], &'a [String]);

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.0.is_empty() {
            write!(f, ", without {}", self.0.join(", "))?;
        }
        if !self.1.is_empty() {
            write!(f, ", with {} on top", self.1.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};

    /// A root called `name`.
    fn root(name: &str) -> (Issuer<'static, KeyPair>, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (Issuer::new(params, key), pem)
    }

    fn leaf_params(names: &[&str]) -> CertificateParams {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 11, 1);
        params.not_after = rcgen::date_time_ymd(2026, 12, 1);
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// A chain for `names`, and the key it is for.
    fn chain(names: &[&str]) -> (String, Vec<u8>) {
        let (issuer, root) = root("test root");
        let key = KeyPair::generate().unwrap();
        let leaf = leaf_params(names).signed_by(&key, &issuer).unwrap();
        (format!("{}{root}", leaf.pem()), key.subject_public_key_info())
    }

    fn check(pem: &str, key: &[u8], names: &[&str], now: &str) -> Result<CertificateChain, CertificateError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateChain::parse_and_check(pem.as_bytes(), key, &names, now.parse().unwrap())
    }

    const NOW: &str = "2026-11-22T01:00:00Z";

    #[test]
    fn a_good_chain_tells_what_it_is_and_is_written_afresh() {
        let (pem, key) = chain(&["a.test", "*.a.test"]);
        // Line ends, explanations and the order of names do not matter.
        let odd = format!("Bag Attributes\n{}", pem.replace('\n', "\r\n"));
        let checked = check(&odd, &key, &["*.A.test", "a.test"], NOW).unwrap();
        assert_eq!(checked.not_before.to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(checked.not_after.to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(checked.issuers, ["test root", "test root"]);
        assert_eq!(checked.full_chain_pem(), pem.replace("\r\n", "\n"));
        assert_eq!(checked.full_chain_pem(), checked.leaf_pem() + &checked.chain_pem());
        assert_eq!(checked.id, Some(CertificateId::of(checked.leaf()).unwrap()));
        assert!(!checked.serial.is_empty());
    }

    #[test]
    fn a_certificate_for_another_key_is_refused() {
        let (pem, _) = chain(&["a.test"]);
        let (_, other) = chain(&["a.test"]);
        assert_eq!(check(&pem, &other, &["a.test"], NOW).unwrap_err(), CertificateError::ForeignKey);
    }

    #[test]
    fn the_names_must_be_exactly_ours() {
        let (pem, key) = chain(&["a.test", "b.test"]);
        let error = check(&pem, &key, &["a.test", "*.a.test"], NOW).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the certificate has other names than asked for, without *.a.test, with b.test on top"
        );
        assert!(check(&pem, &key, &["a.test"], NOW).is_err());
        assert!(check(&pem, &key, &["a.test", "b.test", "c.test"], NOW).is_err());
    }

    #[test]
    fn the_time_must_lie_in_the_validity_but_our_clock_may_be_a_little_behind() {
        let (pem, key) = chain(&["a.test"]);
        let at = |now: &str| check(&pem, &key, &["a.test"], now);
        assert!(at("2026-10-31T23:56:00Z").is_ok());
        assert!(matches!(at("2026-10-31T23:54:00Z").unwrap_err(), CertificateError::NotYetValid { .. }));
        assert!(at("2026-11-30T23:59:59Z").is_ok());
        assert!(matches!(at("2026-12-01T00:00:00Z").unwrap_err(), CertificateError::Expired { .. }));
    }

    #[test]
    fn a_chain_of_strangers_is_refused() {
        let (pem, key) = chain(&["a.test"]);
        let leaf = pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
        assert!(check(leaf, &key, &["a.test"], NOW).is_ok(), "a leaf alone is a chain");
        // The same name on another key, and another name.
        for name in ["test root", "someone"] {
            let error = check(&format!("{leaf}{}", root(name).1), &key, &["a.test"], NOW).unwrap_err();
            assert!(matches!(error, CertificateError::BrokenChain { .. }), "{error:?}");
        }
    }

    #[test]
    fn nothing_but_certificates_is_taken() {
        let (pem, key) = chain(&["a.test"]);
        let with_key = format!("{pem}{}", KeyPair::generate().unwrap().serialize_pem());
        let cut = &pem[..pem.len() - 100];
        let malformed = [
            with_key.as_str(),
            cut,
            "<html>",
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ];
        for text in malformed {
            let error = check(text, &key, &["a.test"], NOW).unwrap_err();
            assert!(
                matches!(error, CertificateError::Malformed(_) | CertificateError::Empty),
                "{text}: {error:?}"
            );
            assert!(!error.to_string().contains("PRIVATE KEY-----"));
        }
        assert!(check(&pem.replacen("MII", "MIJ", 1), &key, &["a.test"], NOW).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(octets: Vec<u8>) {
            let pem = pem::encode(&pem::Pem::new("CERTIFICATE", octets));
            let _ = CertificateChain::parse_and_check(pem.as_bytes(), b"", &[], Timestamp::UNIX_EPOCH);
        }
    }
}

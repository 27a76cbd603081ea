//! A test CA: the proxy's own server certificate, and chains that are wrong in one way.

use super::script::WrongChain;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData, SubjectPublicKeyInfo, date_time_ymd,
};
use std::io;
use std::sync::Arc;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use x509_parser::extensions::GeneralName;

/// A root that signs what the tests need.
#[derive(Debug)]
pub(super) struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new(common_name: &str) -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = CertifiedIssuer::self_signed(params, key()?).map_err(io::Error::other)?;
        let pem = root.pem();
        Ok(Self { root, pem })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's TLS settings, with a certificate for `names` (IP addresses too).
    pub(super) fn server(&self, names: &[String]) -> io::Result<Arc<ServerConfig>> {
        let key = key()?;
        let certificate = Leaf::for_names(names.to_vec()).sign(&key, self)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(io::Error::other)?;
        Ok(Arc::new(config))
    }

    /// A chain for a certificate request (PKCS #10, DER), ours first.
    pub(super) fn chain_for(&self, request: &[u8]) -> io::Result<String> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(io::Error::other)?;
        let names = request.params.subject_alt_names.clone();
        let mut leaf = Leaf::default();
        leaf.0.subject_alt_names = names;
        Ok(leaf.sign(&request.public_key, self)?.pem() + self.pem())
    }

    /// The CA's `chain` (PEM), made wrong.
    pub(super) fn wrong(&self, chain: &str, wrong: WrongChain) -> io::Result<String> {
        let real = RealLeaf::read(chain)?;
        let blocks = blocks(chain);
        Ok(match wrong {
            WrongChain::OtherKey => Leaf::for_names(real.names).sign(&key()?, self)?.pem() + self.pem(),
            WrongChain::OtherNames => {
                let names = vec!["other.invalid".to_owned()];
                Leaf::for_names(names).sign(&real.key, self)?.pem() + self.pem()
            }
            WrongChain::Expired => {
                let mut leaf = Leaf::for_names(real.names);
                leaf.0.not_before = date_time_ymd(2000, 1, 1);
                leaf.0.not_after = date_time_ymd(2001, 1, 1);
                leaf.sign(&real.key, self)?.pem() + self.pem()
            }
            WrongChain::NotYetValid => {
                let mut leaf = Leaf::for_names(real.names);
                leaf.0.not_before = date_time_ymd(2199, 1, 1);
                leaf.0.not_after = date_time_ymd(2200, 1, 1);
                leaf.sign(&real.key, self)?.pem() + self.pem()
            }
            WrongChain::Foreign => blocks[0].clone() + self.pem(),
            WrongChain::PrivateKeyInside => {
                let key = key()?.serialize_pem();
                blocks[0].clone() + &key + &blocks[1..].concat()
            }
            WrongChain::LeafLast => blocks.iter().rev().map(String::as_str).collect(),
            WrongChain::Empty => String::new(),
        })
    }
}

fn key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

/// A server certificate to be signed.
struct Leaf(CertificateParams);

impl Default for Leaf {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.insert_extended_key_usage(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
        Self(params)
    }
}

impl Leaf {
    fn for_names(names: Vec<String>) -> Self {
        let mut leaf = Self::default();
        let params = CertificateParams::new(names).expect("the names come from a certificate or a test");
        leaf.0.subject_alt_names = params.subject_alt_names;
        leaf
    }

    fn sign(&self, key: &impl PublicKeyData, authority: &Authority) -> io::Result<rcgen::Certificate> {
        self.0.signed_by(key, &authority.root).map_err(io::Error::other)
    }
}

/// What a wrong chain keeps of the CA's own leaf.
struct RealLeaf {
    names: Vec<String>,
    key: SubjectPublicKeyInfo,
}

impl RealLeaf {
    fn read(chain: &str) -> io::Result<Self> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).map_err(io::Error::other)?;
        let certificate = pem.parse_x509().map_err(io::Error::other)?;
        let names = certificate.subject_alternative_name().map_err(io::Error::other)?;
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        Ok(Self {
            names: names.collect(),
            key: SubjectPublicKeyInfo::from_der(certificate.public_key().raw).map_err(io::Error::other)?,
        })
    }
}

/// The PEM blocks of `chain`, each with its line end.
fn blocks(chain: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    chain
        .split_inclusive(END)
        .filter(|part| part.contains(END))
        .map(|part| part.trim().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::pem::Pem;

    /// Leaf, then issuer, with the leaf's key.
    fn real() -> (String, KeyPair) {
        let authority = Authority::new("real").unwrap();
        let key = key().unwrap();
        let leaf = Leaf::for_names(vec!["a.test".into(), "*.a.test".into()]).sign(&key, &authority).unwrap();
        (leaf.pem() + authority.pem(), key)
    }

    /// The names, whether the key is `key`, whether it is valid now, whether the second signed the first.
    fn seen(chain: &str, key: &KeyPair) -> (Vec<String>, bool, bool, bool) {
        let pems: Vec<Pem> = Pem::iter_from_buffer(chain.as_bytes()).map(Result::unwrap).collect();
        let leaf = pems[0].parse_x509().unwrap();
        let issuer = pems[1].parse_x509().unwrap();
        (
            RealLeaf::read(chain).unwrap().names,
            leaf.public_key().raw == key.subject_public_key_info(),
            leaf.validity().is_valid(),
            leaf.verify_signature(Some(issuer.public_key())).is_ok(),
        )
    }

    #[test]
    fn each_wrong_chain_has_one_defect_only() {
        let (chain, key) = real();
        let authority = Authority::new("fault").unwrap();
        let names = vec!["a.test".to_owned(), "*.a.test".to_owned()];
        let wrong = |wrong| seen(&authority.wrong(&chain, wrong).unwrap(), &key);
        assert_eq!(seen(&chain, &key), (names.clone(), true, true, true));
        assert_eq!(wrong(WrongChain::OtherKey), (names.clone(), false, true, true));
        assert_eq!(wrong(WrongChain::OtherNames), (vec!["other.invalid".to_owned()], true, true, true));
        assert_eq!(wrong(WrongChain::Expired), (names.clone(), true, false, true));
        assert_eq!(wrong(WrongChain::NotYetValid), (names.clone(), true, false, true));
        assert_eq!(wrong(WrongChain::Foreign), (names, true, true, false));
    }

    #[test]
    fn blocks_are_added_and_turned_round_without_loss() {
        let (chain, _key) = real();
        let authority = Authority::new("fault").unwrap();
        let labels = |chain: &str| -> Vec<String> {
            Pem::iter_from_buffer(chain.as_bytes()).map(|pem| pem.unwrap().label).collect()
        };
        let inside = authority.wrong(&chain, WrongChain::PrivateKeyInside).unwrap();
        assert_eq!(labels(&inside), ["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE"]);
        let last = authority.wrong(&chain, WrongChain::LeafLast).unwrap();
        assert_eq!(blocks(&last), blocks(&chain).into_iter().rev().collect::<Vec<_>>());
    }
}

//! The rig's own certification authority, for its HTTPS servers only.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::{Path, PathBuf};

/// A server certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
}

pub(super) fn bundle(directory: &Path) -> PathBuf {
    directory.join("tls/ca.pem")
}

/// Makes the authority.
pub(super) fn found(directory: &Path) {
    std::fs::create_dir_all(directory.join("tls")).expect("the rig's directory is writable");
    let key = KeyPair::generate().expect("a P-256 key can be made");
    let mut parameters = CertificateParams::new(Vec::new()).expect("no name is a valid list of names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    parameters.distinguished_name.push(DnType::CommonName, "dns01 test rig");
    let certificate = parameters.self_signed(&key).expect("the authority signs itself");
    write(&bundle(directory), &certificate.pem());
    write(&directory.join("tls/ca.key"), &key.serialize_pem());
}

/// Issues a certificate for names and addresses, with `localhost` beside them. The files are called
/// after the first.
pub(super) fn issue(directory: &Path, hosts: &[&str]) -> ServerCertificate {
    let host = hosts.first().expect("a certificate is for somebody");
    let read =
        |name| std::fs::read_to_string(directory.join("tls").join(name)).expect("the authority was founded");
    let authority = KeyPair::from_pem(&read("ca.key")).expect("the authority's key is one");
    let issuer =
        Issuer::from_ca_cert_pem(&read("ca.pem"), authority).expect("the authority's certificate is one");
    let key = KeyPair::generate().expect("a P-256 key can be made");
    let names: Vec<String> = hosts.iter().chain(&["localhost"]).map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("the host is a name or an address");
    parameters.distinguished_name.push(DnType::CommonName, *host);
    let certificate = parameters.signed_by(&key, &issuer).expect("the authority signs");
    let files = ServerCertificate {
        certificate: directory.join(format!("tls/{host}.pem")),
        key: directory.join(format!("tls/{host}.key")),
    };
    write(&files.certificate, &certificate.pem());
    write(&files.key, &key.serialize_pem());
    files
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the rig's directory is writable");
}

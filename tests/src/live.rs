//! The files of a certificate, as OpenSSL reads them.

use crate::program::Program;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files in `live/<name>/`.
#[derive(Clone, Debug)]
pub struct Live {
    directory: PathBuf,
}

impl Live {
    /// Those of the certificate `name`.
    #[must_use]
    pub fn of(program: &Program, name: &str) -> Self {
        Self { directory: program.state().join("live").join(name) }
    }

    /// The path of one of them.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Insists that the four files belong together, are valid for exactly `names`, and lead to
    /// `root` (PEM).
    ///
    /// # Panics
    /// When OpenSSL says otherwise.
    #[track_caller]
    pub fn verified(&self, names: &[&str], root: &str) {
        let mut wanted: Vec<String> = names.iter().map(ToString::to_string).collect();
        wanted.sort();
        assert_eq!(self.names(), wanted, "the names of the certificate");
        let certificate = self.file("cert.pem");
        let key = openssl(&["pkey", "-pubout", "-in"], &self.file("privkey.pem"));
        assert_eq!(
            openssl(&["x509", "-noout", "-pubkey", "-in"], &certificate),
            key,
            "the key's certificate"
        );
        let read = |name: &str| std::fs::read_to_string(self.file(name)).expect("the file is there");
        assert_eq!(read("fullchain.pem"), read("cert.pem") + &read("chain.pem"), "the whole chain");
        let mut trusted = tempfile::NamedTempFile::new().expect("a temporary file");
        trusted.write_all(root.as_bytes()).expect("a temporary file is writable");
        let chain = self.file("chain.pem");
        let (trusted, chain) = (trusted.path().to_string_lossy(), chain.to_string_lossy());
        let said =
            openssl(&["verify", "-x509_strict", "-CAfile", &trusted, "-untrusted", &chain], &certificate);
        assert!(said.ends_with(": OK\n"), "{said}");
    }

    /// The DNS names in the certificate, sorted.
    #[must_use]
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        let text = openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in"], &self.file("cert.pem"));
        let names = text.split([',', '\n']).filter_map(|entry| entry.trim().strip_prefix("DNS:"));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Its serial number, hexadecimal.
    #[must_use]
    #[track_caller]
    pub fn serial(&self) -> String {
        let text = openssl(&["x509", "-noout", "-serial", "-in"], &self.file("cert.pem"));
        text.trim().trim_start_matches("serial=").to_owned()
    }

    /// The common name of who issued it.
    #[must_use]
    #[track_caller]
    pub fn issuer(&self) -> String {
        let text =
            openssl(&["x509", "-noout", "-issuer", "-nameopt", "multiline", "-in"], &self.file("cert.pem"));
        common_name(&text)
    }

    /// True if it is still valid in `seconds`.
    #[must_use]
    pub fn is_valid_in(&self, seconds: u64) -> bool {
        let seconds = seconds.to_string();
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-checkend", &seconds, "-in"]).arg(self.file("cert.pem"));
        command.output().expect("openssl can be run").status.success()
    }
}

/// The common name in the subject of the certificate `pem`.
#[must_use]
#[track_caller]
pub fn subject(pem: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(pem.as_bytes()).expect("a temporary file is writable");
    common_name(&openssl(&["x509", "-noout", "-subject", "-nameopt", "multiline", "-in"], file.path()))
}

fn common_name(text: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("commonName"));
    line.and_then(|line| line.split_once("= ")).map(|(_, name)| name.to_owned()).unwrap_or_default()
}

#[track_caller]
fn openssl(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("openssl").args(arguments).arg(file).output().expect("openssl can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?} {}: {said}", file.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! Service accounts, their key files, and what they may do.

use super::PROJECT;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use serde_json::json;

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// `roles/dns.admin` on the project.
    Project,
    /// `dns.managedZones.list` on the project.
    List,
    /// The role for writing challenges on the zone with this id, without a condition.
    Zone(String),
    /// The same, by condition for these record sets only: `(zone, [name. without its dot, type])`.
    Sets(String, Vec<(String, String)>),
}

/// A key as accounts have them.
pub(super) fn new_key() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made")
}

/// A service account with a key.
pub(super) struct Account {
    pub(super) email: String,
    pub(super) key_id: String,
    pub(super) key: RsaKeyPair,
    pub(super) access: Vec<Access>,
}

/// The file of such a key, whose token address stands at `host`.
pub(super) fn key_file(email: &str, id: &str, key: &RsaKeyPair, host: &str) -> String {
    let der: Pkcs8V1Der<'_> = key.as_der().expect("a key has a form");
    let body = data_encoding::BASE64.encode(der.as_ref());
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is text")).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": id,
        "private_key": pem,
        "client_email": email,
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": format!("{host}/token"),
        "universe_domain": "googleapis.com",
    })
    .to_string()
}

//! PEM (RFC 7468), as far as the command line looks into it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The content of the first block called `label`.
pub(crate) fn first(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// The SHA-256 of the leaf, as browsers show it.
pub(crate) fn fingerprint(chain: &str) -> Option<String> {
    let der = first(chain, "CERTIFICATE")?;
    let digest = digest(&SHA256, &der);
    Some(digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_of_the_right_kind_is_taken() {
        let text =
            "noise\n-----BEGIN A-----\nAAEC\n-----END A-----\n-----BEGIN B-----\nAw==\r\n-----END B-----\n";
        assert_eq!(first(text, "A"), Some(vec![0, 1, 2]));
        assert_eq!(first(text, "B"), Some(vec![3]));
        assert_eq!(first(text, "C"), None);
    }
}

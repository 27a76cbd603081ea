//! The directory (RFC 8555 §7.1.1): where a CA does what.

use super::error::AcmeError;
use super::problem::lenient;
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

/// A CA's directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Gives nonces.
    pub new_nonce: Url,
    /// Creates and finds accounts.
    pub new_account: Url,
    /// Opens orders.
    pub new_order: Url,
    /// Opens authorizations ahead of orders; few CAs have it.
    #[serde(default)]
    pub new_authz: Option<Url>,
    /// Revokes certificates.
    #[serde(default)]
    pub revoke_cert: Option<Url>,
    /// Changes account keys.
    #[serde(default)]
    pub key_change: Option<Url>,
    /// Says when to renew (RFC 9773 §4).
    #[serde(default)]
    pub renewal_info: Option<Url>,
    /// About the CA.
    #[serde(default)]
    pub meta: Meta,
}

impl Directory {
    /// Insists that `profile` is on offer: some CAs pass over one that they do not know, and
    /// the certificate would be of another kind than was asked for.
    ///
    /// # Errors
    /// [`AcmeError::NoSuchProfile`], with those that are.
    pub fn check_profile(&self, profile: &str) -> Result<(), AcmeError> {
        if self.meta.profiles.contains_key(profile) {
            return Ok(());
        }
        let offered = self.meta.profiles.keys().cloned().collect();
        Err(AcmeError::NoSuchProfile { profile: profile.to_owned(), offered })
    }
}

/// What a directory tells about the CA (RFC 8555 §9.7.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The terms of service.
    #[serde(deserialize_with = "lenient")]
    pub terms_of_service: Option<Url>,
    /// The CA's home page.
    #[serde(deserialize_with = "lenient")]
    pub website: Option<Url>,
    /// The names by which CAA records allow this CA (RFC 8659).
    #[serde(deserialize_with = "lenient")]
    pub caa_identities: Vec<String>,
    /// True if accounts need an external account binding.
    #[serde(deserialize_with = "lenient")]
    pub external_account_required: bool,
    /// The profiles on offer, with their descriptions (draft-ietf-acme-profiles).
    #[serde(deserialize_with = "lenient")]
    pub profiles: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_needs_only_the_three_addresses_every_client_uses() {
        let text = r#"{"newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":"https://ca.test/o",
            "Rnd0m":"https://community.letsencrypt.org/t/adding-random-entries-to-the-directory/33417"}"#;
        let directory: Directory = serde_json::from_str(text).unwrap();
        assert_eq!(directory.revoke_cert, None);
        assert!(directory.meta.profiles.is_empty());
    }

    #[test]
    fn a_profile_that_is_not_on_offer_is_told_with_those_that_are() {
        let text = r#"{"newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":"https://ca.test/o",
            "meta":{"profiles":{"classic":"The usual","shortlived":"Six days"}}}"#;
        let directory: Directory = serde_json::from_str(text).unwrap();
        directory.check_profile("classic").unwrap();
        let error = directory.check_profile("Classic").unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("it has `classic`, `shortlived`"));
    }

    #[test]
    fn odd_metadata_hides_nothing_else() {
        let text = r#"{"newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":"https://ca.test/o",
            "meta":{"termsOfService":"","caaIdentities":["ca.test"],"profiles":[],"externalAccountRequired":"yes"}}"#;
        let directory: Directory = serde_json::from_str(text).unwrap();
        assert_eq!(directory.meta.terms_of_service, None);
        assert_eq!(directory.meta.caa_identities, ["ca.test"]);
        assert!(!directory.meta.external_account_required);
    }
}

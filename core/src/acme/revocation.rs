//! Revocation (RFC 8555 §7.6).

use super::account::Account;
use super::client::Client;
use super::error::{AcmeError, Operation};
use super::problem::ProblemKind;
use super::signer::Signer;
use super::transport::Call;
use data_encoding::BASE64URL_NOPAD;

/// Why a certificate is revoked (RFC 5280 §5.3.1); CAs take these four from its holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// No reason given.
    #[default]
    Unspecified = 0,
    /// Someone else may have the private key.
    KeyCompromise = 1,
    /// Another certificate has taken its place.
    Superseded = 4,
    /// The names are no longer in use.
    CessationOfOperation = 5,
}

impl Account {
    /// Revokes the certificate `der` by the account's right (RFC 8555 §7.6). One that is
    /// revoked already counts as done.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`]; else what the CA says.
    pub async fn revoke(&self, der: &[u8], reason: RevocationReason) -> Result<(), AcmeError> {
        let directory = self.client.directory().await?;
        let url = directory.revoke_cert.as_ref().ok_or(AcmeError::NotOffered { what: "revocation" })?;
        self.client.revoke(self.call(Operation::Revocation, url), der, reason).await
    }
}

impl Client {
    /// Revokes the certificate `der` by the right of its own key `signer`, without an account
    /// (RFC 8555 §7.6). One that is revoked already counts as done.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`]; else what the CA says.
    pub async fn revoke_by_certificate_key(
        &self,
        signer: &dyn Signer,
        der: &[u8],
        reason: RevocationReason,
    ) -> Result<(), AcmeError> {
        let directory = self.directory().await?;
        let url = directory.revoke_cert.as_ref().ok_or(AcmeError::NotOffered { what: "revocation" })?;
        self.revoke(Call::new(Operation::Revocation, url, signer), der, reason).await
    }

    async fn revoke(&self, call: Call<'_>, der: &[u8], reason: RevocationReason) -> Result<(), AcmeError> {
        let payload =
            serde_json::json!({ "certificate": BASE64URL_NOPAD.encode(der), "reason": reason as u8 });
        match self.post(&call.payload(&payload)).await {
            Err(AcmeError::Problem { problem, .. }) if problem.kind == ProblemKind::AlreadyRevoked => Ok(()),
            done => done.map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, FakeCa};
    use super::super::signer::SoftwareKey;
    use super::*;
    use crate::keys::KeyType;
    use serde_json::json;

    #[tokio::test]
    async fn a_certificate_is_revoked_by_account_or_by_its_own_key() {
        let ca = FakeCa::start(|_| Answer::json(200, &json!({}))).await;
        ca.account().revoke(b"der", RevocationReason::Superseded).await.unwrap();
        let key = SoftwareKey::generate(KeyType::Ec384).unwrap();
        ca.client().revoke_by_certificate_key(&key, b"der", RevocationReason::KeyCompromise).await.unwrap();
        let asked: Vec<_> = ca.seen().into_iter().filter(|asked| asked.path == "/revoke").collect();
        assert_eq!(asked[0].payload, json!({ "certificate": "ZGVy", "reason": 4 }));
        assert!(asked[0].protected["kid"].is_string());
        assert_eq!(asked[1].payload["reason"], 1);
        assert_eq!(asked[1].protected["jwk"]["crv"], "P-384");
    }

    #[tokio::test]
    async fn a_certificate_that_is_revoked_already_counts_as_done() {
        let ca = FakeCa::start(|_| Answer::problem(400, "alreadyRevoked")).await;
        ca.account().revoke(b"der", RevocationReason::Unspecified).await.unwrap();
    }
}

//! The change of an account's key (RFC 8555 §7.3.5).

use super::account::Account;
use super::error::{AcmeError, Operation};
use super::jws;
use super::signer::{Jwk, Signer};
use serde::Serialize;
use std::sync::Arc;

/// Changes that are tried when replies are lost.
const TRIES: u32 = 3;

#[derive(Serialize)]
struct KeyChange<'a> {
    account: &'a str,
    #[serde(rename = "oldKey")]
    old_key: &'a Jwk,
}

impl Account {
    /// Changes the account's key to `new` (RFC 8555 §7.3.5) and returns the account with it.
    ///
    /// Keep `new` durably *before* the call, beside the old key, and drop the old one after
    /// it. Dropped or failed half-way, either key may be the account's: call it again with
    /// the same `new`, it finds out.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`] if the CA cannot change keys; else what the CA says.
    pub async fn change_key(&self, new: Arc<dyn Signer>) -> Result<Self, AcmeError> {
        let directory = self.client.directory().await?;
        let url = directory.key_change.as_ref().ok_or(AcmeError::NotOffered { what: "a change of keys" })?;
        let inner = KeyChange { account: self.url.as_str(), old_key: self.signer.jwk() };
        let inner = serde_json::to_vec(&inner).expect("a structure of strings is JSON");
        let inner = jws::sign(new.as_ref(), None, None, url.as_str(), &inner)?;
        let call = self.call(Operation::KeyChange, url).raw_payload(inner).once();
        let changed = Self { signer: Arc::clone(&new), ..self.clone() };
        let mut tries = 1;
        loop {
            let failed = match self.post(&call).await {
                Ok(_) => return Ok(changed),
                Err(failed) => failed,
            };
            let settled = matches!(
                &failed,
                AcmeError::ReplyLost { .. } | AcmeError::Problem { .. } | AcmeError::AccountDoesNotExist
            );
            if !settled {
                return Err(failed);
            }
            // The new key first: if it opens this account, the change took effect.
            match self.client.find_account(Arc::clone(&new)).await {
                Ok(found) if found.account.url == self.url => return Ok(changed),
                Err(AcmeError::AccountDoesNotExist)
                    if matches!(failed, AcmeError::ReplyLost { .. }) && tries < TRIES =>
                {
                    tries += 1;
                }
                _ => return Err(failed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, FakeCa, account_reply, key};
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_change_of_keys_is_signed_by_both() {
        let ca = FakeCa::start(|_| Answer::json(200, &json!({}))).await;
        let account = ca.account();
        let (old, new) = (account.thumbprint(), key());
        let changed = account.change_key(Arc::clone(&new)).await.unwrap();
        assert_eq!(changed.thumbprint(), new.jwk().thumbprint());
        assert_ne!(changed.thumbprint(), old);
        let outer = ca.seen().pop().unwrap();
        assert_eq!(outer.protected["kid"], account.url().as_str());
        let inner = |name: &str| -> serde_json::Value {
            let part = outer.payload[name].as_str().unwrap().as_bytes();
            serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(inner("protected")["jwk"], json!(new.jwk()));
        assert!(inner("protected").get("nonce").is_none());
        assert_eq!(inner("payload")["account"], account.url().as_str());
        assert_eq!(inner("payload")["oldKey"], json!(account.signer.jwk()));
    }

    #[tokio::test]
    async fn after_a_lost_change_of_keys_the_new_key_is_tried_first() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/key-change" => Answer::Close,
            _ => account_reply(200),
        })
        .await;
        let new = key();
        let changed = ca.account().change_key(Arc::clone(&new)).await.unwrap();
        assert_eq!(changed.thumbprint(), new.jwk().thumbprint());
        assert_eq!(ca.paths(), ["/key-change", "/new-account"]);
    }

    #[tokio::test]
    async fn a_change_of_keys_that_never_arrived_is_sent_again() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/key-change" if asked.earlier == 0 => Answer::Close,
            "/key-change" => Answer::json(200, &json!({})),
            _ => Answer::problem(400, "accountDoesNotExist"),
        })
        .await;
        ca.account().change_key(key()).await.unwrap();
        assert_eq!(ca.paths(), ["/key-change", "/new-account", "/key-change"]);
    }

    #[tokio::test]
    async fn a_key_that_belongs_to_another_account_is_refused() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/key-change" => Answer::problem(409, "malformed"),
            _ => Answer::json(200, &json!({})).with("location", "/account/2"),
        })
        .await;
        assert!(matches!(ca.account().change_key(key()).await.unwrap_err(), AcmeError::Problem { .. }));
    }

    #[tokio::test]
    async fn a_ca_that_cannot_change_keys_says_so() {
        let ca = FakeCa::start(|_| Answer::problem(501, "notImplemented")).await;
        let error = ca.account().change_key(key()).await.unwrap_err();
        assert_eq!(error.to_string(), "the CA does not offer a change of keys");
    }
}

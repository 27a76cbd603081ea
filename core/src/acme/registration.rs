//! Registration (RFC 8555 §7.3): how a key gets an account, or finds the one it has.

use super::account::{Account, AccountState, AccountUrl};
use super::client::Client;
use super::error::{AcmeError, Operation};
use super::jws;
use super::signer::Signer;
use super::transport::Call;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Registrations that are tried when replies are lost.
const TRIES: u32 = 3;

/// What newAccount asks for.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Where the CA may write: `mailto:` addresses.
    pub contact: Vec<String>,
    /// True if the person agrees to the CA's terms of service.
    pub terms_agreed: bool,
    /// What binds the account to one that the CA knows already.
    pub external_account: Option<ExternalAccountBinding>,
}

/// A key that the CA gave out to bind an ACME account to a person it knows (RFC 8555 §7.3.4).
#[derive(Clone, Debug)]
pub struct ExternalAccountBinding {
    /// The key's name.
    pub key_id: String,
    /// The key, base64url (or base64, with or without padding).
    pub hmac_key: SecretString,
}

/// What became of a registration.
#[derive(Debug)]
pub struct Registration {
    /// The account, ready for use.
    pub account: Account,
    /// What the CA knows of it.
    pub state: AccountState,
    /// False if the key had this account already.
    pub created: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewAccountPayload<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    contact: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    terms_of_service_agreed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    only_return_existing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_account_binding: Option<Box<RawValue>>,
}

impl Client {
    /// The account at `url` whose key is `signer`. Nothing is asked.
    #[must_use]
    pub fn account(&self, signer: Arc<dyn Signer>, url: AccountUrl) -> Account {
        Account { client: self.clone(), signer, url, agreement: None }
    }

    /// Creates the account of `signer`'s key (RFC 8555 §7.3), or finds it. Keep the key
    /// before the call and the URL after it.
    ///
    /// Dropped half-way, the account may exist; the same call finds it again.
    ///
    /// # Errors
    /// [`AcmeError::TermsNotAgreed`] and [`AcmeError::ExternalAccountRequired`] before
    /// anything is sent, if the directory tells; else what the CA says.
    pub async fn create_account(
        &self,
        signer: Arc<dyn Signer>,
        new: &NewAccount,
    ) -> Result<Registration, AcmeError> {
        let directory = self.directory().await?;
        if directory.meta.terms_of_service.is_some() && !new.terms_agreed {
            let url = directory.meta.terms_of_service.clone();
            return Err(AcmeError::TermsNotAgreed { url, instance: None });
        }
        if directory.meta.external_account_required && new.external_account.is_none() {
            return Err(AcmeError::ExternalAccountRequired);
        }
        let binding = match &new.external_account {
            Some(external) => Some(jws::bind(
                &external.key_id,
                &external.hmac_key,
                directory.new_account.as_str(),
                signer.jwk(),
            )?),
            None => None,
        };
        let payload = NewAccountPayload {
            contact: &new.contact,
            terms_of_service_agreed: new.terms_agreed,
            only_return_existing: false,
            external_account_binding: binding,
        };
        let mut tries = 1;
        loop {
            // A lost reply is not simply repeated: the binding's key may be good for one use.
            let lost = match self.post_new_account(&signer, &payload, false).await {
                Err(lost @ AcmeError::ReplyLost { .. }) => lost,
                done => return done,
            };
            match self.find_account(Arc::clone(&signer)).await {
                Err(AcmeError::AccountDoesNotExist) if tries < TRIES => tries += 1,
                Err(AcmeError::AccountDoesNotExist) => return Err(lost),
                done => return done,
            }
        }
    }

    /// Finds the account of `signer`'s key without creating one (RFC 8555 §7.3.1).
    ///
    /// # Errors
    /// [`AcmeError::AccountDoesNotExist`] if the CA knows none.
    pub async fn find_account(&self, signer: Arc<dyn Signer>) -> Result<Registration, AcmeError> {
        let payload = NewAccountPayload {
            contact: &[],
            terms_of_service_agreed: false,
            only_return_existing: true,
            external_account_binding: None,
        };
        self.post_new_account(&signer, &payload, true).await
    }

    async fn post_new_account(
        &self,
        signer: &Arc<dyn Signer>,
        payload: &NewAccountPayload<'_>,
        repeatable: bool,
    ) -> Result<Registration, AcmeError> {
        let url = &self.directory().await?.new_account;
        let call = Call::new(Operation::NewAccount, url, signer.as_ref()).payload(payload);
        let reply = self.post(&if repeatable { call } else { call.once() }).await?;
        let url = AccountUrl::new(reply.location_text()?);
        let created = reply.status == reqwest::StatusCode::CREATED;
        // The address is what counts: a body that was cut off or is odd tells nothing more.
        let state = reply.json().unwrap_or_default();
        Ok(Registration { account: self.account(Arc::clone(signer), url), state, created })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, Asked, FakeCa, account_reply, key};
    use super::*;
    use serde_json::json;

    fn is_search(asked: &Asked) -> bool {
        asked.payload["onlyReturnExisting"] == true
    }

    #[tokio::test]
    async fn a_registration_whose_reply_was_lost_is_found_again() {
        let ca =
            FakeCa::start(|asked| if is_search(asked) { account_reply(200) } else { Answer::Close }).await;
        let registration = ca.client().create_account(key(), &NewAccount::default()).await.unwrap();
        assert_eq!(registration.account.url().as_str(), format!("{}/account/1", ca.base));
        assert_eq!(ca.paths().len(), 2);
    }

    #[tokio::test]
    async fn a_registration_that_never_arrived_is_sent_again() {
        let ca = FakeCa::start(|asked| match asked.earlier {
            0 => Answer::Close,
            _ if is_search(asked) => Answer::problem(400, "accountDoesNotExist"),
            _ => account_reply(201),
        })
        .await;
        assert!(ca.client().create_account(key(), &NewAccount::default()).await.unwrap().created);
        assert_eq!(ca.paths().len(), 3);
    }

    #[tokio::test]
    async fn a_binding_goes_with_the_registration_and_its_key_is_never_shown() {
        let ca = FakeCa::start(|_| account_reply(201)).await;
        let new = NewAccount {
            contact: vec!["mailto:ops@example.com".to_owned()],
            terms_agreed: true,
            external_account: Some(ExternalAccountBinding {
                key_id: "kid-1".to_owned(),
                hmac_key: SecretString::from("c2VjcmV0LWhtYWMta2V5"),
            }),
        };
        ca.client().create_account(key(), &new).await.unwrap();
        let asked = ca.seen().pop().unwrap();
        assert_eq!(asked.payload["termsOfServiceAgreed"], true);
        assert!(asked.payload["externalAccountBinding"]["signature"].is_string());
        assert!(asked.protected["jwk"].is_object() && asked.protected.get("kid").is_none());
        let shown = format!("{new:?}");
        assert!(!shown.contains("c2Vjc") && !shown.contains("secret-hmac"), "{shown}");
    }

    #[tokio::test]
    async fn what_the_directory_asks_for_is_asked_of_the_person_first() {
        let meta = json!({ "termsOfService": "https://ca.test/terms", "externalAccountRequired": true });
        let ca = FakeCa::start_with(meta, |_| account_reply(201)).await;
        let client = ca.client();
        let error = client.create_account(key(), &NewAccount::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "the CA's terms of service are not agreed to: https://ca.test/terms");
        let agreed = NewAccount { terms_agreed: true, ..NewAccount::default() };
        let error = client.create_account(key(), &agreed).await.unwrap_err();
        assert!(matches!(error, AcmeError::ExternalAccountRequired));
        assert!(ca.paths().is_empty(), "nothing is sent before");
    }

    #[tokio::test]
    async fn an_unknown_key_has_no_account() {
        let ca = FakeCa::start(|_| Answer::problem(400, "accountDoesNotExist")).await;
        assert!(matches!(ca.client().find_account(key()).await.unwrap_err(), AcmeError::AccountDoesNotExist));
    }
}

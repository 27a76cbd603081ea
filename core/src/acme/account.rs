//! Accounts (RFC 8555 §7.3): who asks, and with which key.

use super::Client;
use super::agreement::Agreement;
use super::directory::Directory;
use super::error::{AcmeError, Operation};
use super::jws;
use super::problem::{ProblemKind, lenient, lenient_list};
use super::reply::Reply;
use super::signer::{Jwk, Signer};
use super::transport::Call;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use tokio::time::Instant;
use url::Url;

/// The address of an account, exactly as the CA wrote it: it names the key in every request
/// and is hashed into challenge names, so that not a letter of it may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountUrl(String);

impl AccountUrl {
    /// Takes what the CA once gave.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// An account as the CA last told it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountState {
    /// `valid`, `deactivated` or `revoked`.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// Where the CA may write; Let's Encrypt keeps none.
    #[serde(deserialize_with = "lenient_list")]
    pub contact: Vec<String>,
    /// The list of the account's orders, where the CA keeps one.
    #[serde(deserialize_with = "lenient")]
    pub orders: Option<Url>,
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

/// An account at a CA. Cheap to clone.
#[derive(Clone)]
pub struct Account {
    pub(super) client: Client,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) url: AccountUrl,
    pub(super) agreement: Option<Agreement>,
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

#[derive(Serialize)]
struct KeyChange<'a> {
    account: &'a str,
    #[serde(rename = "oldKey")]
    old_key: &'a Jwk,
}

/// Registrations that are tried when replies are lost.
const REGISTRATION_TRIES: u32 = 3;

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
                Err(AcmeError::AccountDoesNotExist) if tries < REGISTRATION_TRIES => tries += 1,
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
        let url = AccountUrl(reply.location_text()?);
        let created = reply.status == reqwest::StatusCode::CREATED;
        // The address is what counts: a body that was cut off or is odd tells nothing more.
        let state = reply.json().unwrap_or_default();
        Ok(Registration { account: self.account(Arc::clone(signer), url), state, created })
    }
}

impl Account {
    /// Its address.
    #[must_use]
    pub fn url(&self) -> &AccountUrl {
        &self.url
    }

    /// The client it speaks through.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The thumbprint of its key, for [`super::dns_value`].
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.signer.jwk().thumbprint()
    }

    /// The directory of its CA.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn directory(&self) -> Result<&Directory, AcmeError> {
        self.client.directory().await
    }

    /// The same account, with every call and wait ending at `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { client: self.client.until(deadline), ..self.clone() }
    }

    /// What the CA knows of the account.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn state(&self) -> Result<AccountState, AcmeError> {
        let url = self.parsed_url()?;
        self.read(Operation::Account, &url).await?.json()
    }

    /// Replaces the contacts (RFC 8555 §7.3.2).
    ///
    /// # Errors
    /// What the CA says, [`ProblemKind::InvalidContact`] for instance.
    pub async fn update_contact(&self, contact: &[String]) -> Result<AccountState, AcmeError> {
        self.update(&serde_json::json!({ "contact": contact })).await
    }

    /// Gives the account up, for ever (RFC 8555 §7.3.6). One that is given up already counts
    /// as done.
    ///
    /// # Errors
    /// What the CA says.
    pub async fn deactivate(&self) -> Result<(), AcmeError> {
        match self.update(&serde_json::json!({ "status": "deactivated" })).await {
            // The reply to a first try may have been lost: a second one is no longer let in.
            Err(AcmeError::Problem { problem, .. }) if problem.kind == ProblemKind::Unauthorized => {
                match self.client.find_account(Arc::clone(&self.signer)).await {
                    Ok(found) if found.state.status == "valid" => {
                        Err(AcmeError::Problem { during: Operation::Account, problem })
                    }
                    Ok(_) | Err(AcmeError::Problem { .. } | AcmeError::AccountDoesNotExist) => Ok(()),
                    Err(unknown) => Err(unknown),
                }
            }
            done => done.map(|_| ()),
        }
    }

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
                    if matches!(failed, AcmeError::ReplyLost { .. }) && tries < REGISTRATION_TRIES =>
                {
                    tries += 1;
                }
                _ => return Err(failed),
            }
        }
    }

    pub(super) async fn update(&self, payload: &serde_json::Value) -> Result<AccountState, AcmeError> {
        let url = self.parsed_url()?;
        self.client.post(&self.call(Operation::Account, &url).payload(payload)).await?.json()
    }

    pub(super) fn parsed_url(&self) -> Result<Url, AcmeError> {
        Url::parse(self.url.as_str()).map_err(|_| AcmeError::Configuration {
            what: format!("the account's address `{}` is not a URL", self.url),
        })
    }

    /// A request signed for this account.
    pub(super) fn call<'a>(&'a self, during: Operation, url: &'a Url) -> Call<'a> {
        Call::new(during, url, self.signer.as_ref()).account(&self.url)
    }

    /// A POST-as-GET (RFC 8555 §6.3).
    pub(super) async fn read(&self, during: Operation, url: &Url) -> Result<Reply, AcmeError> {
        self.post(&self.call(during, url)).await
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, Asked, FakeCa};
    use super::super::signer::SoftwareKey;
    use super::*;
    use crate::keys::KeyType;
    use serde_json::json;

    fn key() -> Arc<dyn Signer> {
        Arc::new(SoftwareKey::generate(KeyType::Ec256).unwrap())
    }

    fn account_reply(status: u16) -> Answer {
        Answer::json(status, &json!({ "status": "valid" })).with("location", "/account/1")
    }

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
    async fn terms_are_shown_when_the_ca_asks_for_them() {
        let ca = FakeCa::start(|_| {
            Answer::problem(403, "userActionRequired").with("link", r#"</terms/2>;rel="terms-of-service""#)
        })
        .await;
        let error = ca.account().state().await.unwrap_err();
        assert!(
            matches!(&error, AcmeError::TermsNotAgreed { url: Some(url), .. } if url.path() == "/terms/2")
        );
        assert!(error.hint().unwrap().contains("--agree-tos"));
    }

    #[tokio::test]
    async fn an_unknown_key_has_no_account() {
        let ca = FakeCa::start(|_| Answer::problem(400, "accountDoesNotExist")).await;
        assert!(matches!(ca.client().find_account(key()).await.unwrap_err(), AcmeError::AccountDoesNotExist));
    }

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

    #[tokio::test]
    async fn deactivating_twice_is_success() {
        let ca = FakeCa::start(|_| Answer::problem(403, "unauthorized")).await;
        ca.account().deactivate().await.unwrap();
    }

    #[tokio::test]
    async fn an_account_whose_end_nobody_can_confirm_does_not_count_as_deactivated() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/account/1" => Answer::problem(403, "unauthorized"),
            _ => Answer::problem(503, "serverInternal").with("retry-after", "900"),
        })
        .await;
        assert!(matches!(ca.account().deactivate().await.unwrap_err(), AcmeError::RateLimited { .. }));
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/account/1" => Answer::problem(403, "unauthorized"),
            _ => account_reply(200),
        })
        .await;
        assert!(matches!(ca.account().deactivate().await.unwrap_err(), AcmeError::Problem { .. }));
    }

    #[tokio::test]
    async fn contacts_are_replaced_as_a_whole() {
        let ca = FakeCa::start(|_| {
            Answer::json(200, &json!({ "status": "valid", "contact": ["mailto:b@example.com"] }))
        })
        .await;
        let state = ca.account().update_contact(&["mailto:b@example.com".to_owned()]).await.unwrap();
        assert_eq!(state.contact, ["mailto:b@example.com"]);
        assert_eq!(ca.seen().pop().unwrap().payload, json!({ "contact": ["mailto:b@example.com"] }));
    }
}

//! Accounts (RFC 8555 §7.3): who asks, and with which key.

use super::Client;
use super::error::{AcmeError, Operation};
use super::jws;
use super::problem::{ProblemKind, lenient, lenient_list};
use super::signer::{Jwk, Signer};
use super::transport::{Call, Reply};
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
    pub(super) deadline: Option<Instant>,
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
        Account { client: self.clone(), signer, url, deadline: None }
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
            return Err(AcmeError::TermsNotAgreed { url: directory.meta.terms_of_service.clone() });
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

    /// The same account, with every call and wait ending at `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
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

    /// Agrees to terms of service that have changed (RFC 8555 §7.3.3).
    ///
    /// # Errors
    /// What the CA says.
    pub async fn agree_to_terms(&self) -> Result<AccountState, AcmeError> {
        self.update(&serde_json::json!({ "termsOfServiceAgreed": true })).await
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
                    _ => Ok(()),
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
            let failed = match self.client.post(&call).await {
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

    async fn update(&self, payload: &serde_json::Value) -> Result<AccountState, AcmeError> {
        let url = self.parsed_url()?;
        self.client.post(&self.call(Operation::Account, &url).payload(payload)).await?.json()
    }

    fn parsed_url(&self) -> Result<Url, AcmeError> {
        Url::parse(self.url.as_str()).map_err(|_| AcmeError::Configuration {
            what: format!("the account's address `{}` is not a URL", self.url),
        })
    }

    /// A request signed for this account.
    pub(super) fn call<'a>(&'a self, during: Operation, url: &'a Url) -> Call<'a> {
        Call::new(during, url, self.signer.as_ref()).account(&self.url).until(self.deadline)
    }

    /// A POST-as-GET (RFC 8555 §6.3).
    pub(super) async fn read(&self, during: Operation, url: &Url) -> Result<Reply, AcmeError> {
        self.client.post(&self.call(during, url)).await
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.url)
    }
}

//! Accounts (RFC 8555 §7.3): who asks, and with which key.

use super::agreement::Agreement;
use super::client::Client;
use super::directory::Directory;
use super::error::{AcmeError, Operation};
use super::problem::{ProblemKind, lenient, lenient_list};
use super::reply::Reply;
use super::signer::Signer;
use super::transport::Call;
use serde::{Deserialize, Serialize};
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

/// An account at a CA. Cheap to clone.
#[derive(Clone)]
pub struct Account {
    pub(super) client: Client,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) url: AccountUrl,
    pub(super) agreement: Option<Agreement>,
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
    use super::super::fake_ca::{Answer, FakeCa, account_reply};
    use super::*;
    use serde_json::json;

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

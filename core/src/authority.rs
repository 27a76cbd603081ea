//! A CA of the configuration, and our account there: where the ACME client meets the store.

use crate::acme::{
    Account, AccountUrl, AcmeError, AsAcme, CaEndpoint, Client, ExternalAccountBinding, Limits, NewAccount,
    Shared, Signer, SoftwareKey,
};
use crate::clock::Clock;
use crate::config::{CaConfig, CaName};
use crate::store::{self, AccountName, AccountStatus, KeyBytes, Store, StoreError};
use dns01_provider::SecretError;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

/// The label of the one account that a CA has, until several are wanted.
const LABEL: &str = "default";

/// A CA with our account there.
pub struct Authority {
    config: CaConfig,
    client: Client,
    account: Shared<Account>,
}

/// Why a CA cannot be spoken to, or our account there not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The file with the CA's roots cannot be read.
    #[error("the CA bundle `{}` of `{ca}` cannot be read", path.display())]
    Bundle {
        /// The CA.
        ca: CaName,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key for the external account binding cannot be read.
    #[error("the external account binding of `{ca}` has no key")]
    ExternalAccount {
        /// The CA.
        ca: CaName,
        /// What is wrong with the secret.
        source: SecretError,
    },
    /// The account was given up, or closed by the CA.
    #[error("the account at `{ca}` is {}", status.as_str())]
    Closed {
        /// The CA.
        ca: CaName,
        /// What became of it.
        status: AccountStatus,
    },
    /// There is no account yet, and none was to be made.
    #[error("there is no account at `{ca}` yet")]
    NoAccount {
        /// The CA.
        ca: CaName,
    },
    /// The CA refused, or could not be reached.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The account could not be stored or read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AsAcme for AuthorityError {
    fn as_acme(&self) -> Option<&AcmeError> {
        match self {
            Self::Acme(error) => Some(error),
            _ => None,
        }
    }
}

impl AuthorityError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Acme(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Closed { .. } => Some("`dns01 account register` makes another one".to_owned()),
            Self::NoAccount { .. } => Some("`dns01 account register` makes one".to_owned()),
            Self::Bundle { .. } | Self::ExternalAccount { .. } => None,
        }
    }
}

impl Authority {
    /// The CA that `config` names. Nothing is sent.
    ///
    /// # Errors
    /// Its bundle of roots cannot be read, or its address or proxy is no use.
    pub fn new(config: CaConfig, clock: Clock) -> Result<Self, AuthorityError> {
        let ca_bundle = match &config.ca_bundle {
            Some(path) => Some(std::fs::read(path).map_err(|source| AuthorityError::Bundle {
                ca: config.name.clone(),
                path: path.clone(),
                source,
            })?),
            None => None,
        };
        let endpoint = CaEndpoint {
            directory: config.directory.clone(),
            ca_bundle,
            proxy: config.proxy.clone(),
            user_agent: concat!("dns01/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let client = Client::new(endpoint, Limits::default(), clock)?;
        Ok(Self { config, client, account: Shared::default() })
    }

    /// The same CA as `config` says it otherwise, with another profile for instance; `None` if it
    /// is another one, or reached in another way. They share connections, nonces and the limit of
    /// requests in flight, and our account at the CA by way of the store.
    #[must_use]
    pub fn otherwise(&self, config: &CaConfig) -> Option<Self> {
        let way =
            |config: &CaConfig| (config.directory.clone(), config.ca_bundle.clone(), config.proxy.clone());
        let is_same = way(config) == way(&self.config);
        is_same.then(|| Self {
            config: config.clone(),
            client: self.client.clone(),
            account: Shared::default(),
        })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &CaName {
        &self.config.name
    }

    /// Its directory's address, by which the store knows it.
    #[must_use]
    pub fn directory(&self) -> &str {
        self.config.directory.as_str()
    }

    /// What the configuration says of it.
    #[must_use]
    pub fn config(&self) -> &CaConfig {
        &self.config
    }

    /// The client that speaks to it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name that the store knows our account by.
    #[must_use]
    pub fn account_name(&self) -> AccountName {
        AccountName { ca: self.directory().to_owned(), label: LABEL.to_owned() }
    }

    /// Our account, made where there is none. Concurrent callers share one registration.
    ///
    /// # Errors
    /// [`AuthorityError`]; [`AcmeError::TermsNotAgreed`] among them until the terms are agreed to.
    pub async fn account(&self, store: &Store) -> Result<Account, AuthorityError> {
        self.account_through(&self.client, store).await
    }

    /// Our account, made where there is none by `deadline`; all that it does ends then.
    ///
    /// # Errors
    /// As [`Authority::account`].
    pub async fn account_until(&self, deadline: Instant, store: &Store) -> Result<Account, AuthorityError> {
        Ok(self.account_through(&self.client.until(deadline), store).await?.until(deadline))
    }

    async fn account_through(&self, client: &Client, store: &Store) -> Result<Account, AuthorityError> {
        self.account
            .get(async || match self.stored(store).await? {
                Some(stored) => self.open(client, store, stored).await,
                None => self.register(client, store).await,
            })
            .await
            .cloned()
    }

    /// Our account, made where there is none, and anew where ours was given up or the CA knows
    /// nothing of it any more.
    ///
    /// # Errors
    /// As those of [`Authority::account`].
    pub async fn account_anew(&self, store: &Store) -> Result<Account, AuthorityError> {
        match self.stored(store).await? {
            Some(stored) if is_closed(stored.status) => {
                store.put_account(&self.plan_registration(&self.client, store).await?).await?;
            }
            Some(mut stored) if self.is_forgotten(&stored).await? => {
                stored.url = None;
                store.put_account(&stored).await?;
            }
            _ => {}
        }
        self.account(store).await
    }

    async fn is_forgotten(&self, stored: &store::Account) -> Result<bool, AuthorityError> {
        let Some(url) = &stored.url else { return Ok(false) };
        let account = self.client.account(signer(&stored.key)?, AccountUrl::new(url.clone()));
        match account.state().await {
            Err(AcmeError::AccountDoesNotExist) => Ok(true),
            // Whatever else is wrong shows itself when the account is used.
            _ => Ok(false),
        }
    }

    /// Our account, if there is one.
    ///
    /// # Errors
    /// [`AuthorityError::NoAccount`] without one, [`AuthorityError::Closed`] if it was given up.
    pub async fn existing_account(&self, store: &Store) -> Result<Account, AuthorityError> {
        match self.stored(store).await? {
            Some(_) => self.account(store).await,
            None => Err(AuthorityError::NoAccount { ca: self.name().clone() }),
        }
    }

    async fn stored(&self, store: &Store) -> Result<Option<store::Account>, AuthorityError> {
        Ok(store.account(&self.account_name()).await?)
    }

    /// The stored account, ready for use. One whose registration or change of key was cut
    /// short is finished first.
    async fn open(
        &self,
        client: &Client,
        store: &Store,
        stored: store::Account,
    ) -> Result<Account, AuthorityError> {
        if is_closed(stored.status) {
            return Err(AuthorityError::Closed { ca: self.name().clone(), status: stored.status });
        }
        let Some(url) = &stored.url else {
            return self.finish_registration(client, store, stored).await;
        };
        let signer = signer(&stored.key)?;
        let account = self.client.account(signer, AccountUrl::new(url.clone()));
        let account = account.agreeing(self.config.agree_tos);
        match &stored.next_key {
            Some(next) => {
                let next = next.clone();
                self.finish_key_change(store, stored, account, next).await
            }
            None => Ok(account),
        }
    }

    async fn register(&self, client: &Client, store: &Store) -> Result<Account, AuthorityError> {
        let fresh = self.plan_registration(client, store).await?;
        // Another process may have been quicker: the first one stored is the account.
        let stored = store.add_account(&fresh).await?;
        self.finish_registration(client, store, stored).await
    }

    /// A new account with its key, which the CA does not know of yet.
    async fn plan_registration(
        &self,
        client: &Client,
        store: &Store,
    ) -> Result<store::Account, AuthorityError> {
        // What the CA would refuse anyhow is found out before a key is made and stored.
        let terms = client.directory().await?.meta.terms_of_service.clone();
        if terms.is_some() && !self.config.agree_tos {
            return Err(AcmeError::TermsNotAgreed { url: terms, instance: None }.into());
        }
        let kind = self.config.account_key;
        let key = tokio::task::spawn_blocking(move || SoftwareKey::generate(kind))
            .await
            .expect("making a key does not panic")
            .map_err(AcmeError::from)?;
        Ok(store::Account {
            name: self.account_name(),
            url: None,
            key: KeyBytes::new(key.to_pkcs8().to_vec()),
            next_key: None,
            contacts: self.config.contact.clone(),
            eab_kid: self.config.eab.as_ref().map(|eab| eab.kid.clone()),
            status: AccountStatus::Pending,
            terms_agreed: terms.map(|url| url.to_string()),
            created: store.clock().now(),
        })
    }

    async fn finish_registration(
        &self,
        client: &Client,
        store: &Store,
        mut stored: store::Account,
    ) -> Result<Account, AuthorityError> {
        let new = NewAccount {
            contact: self.config.contact.clone(),
            terms_agreed: self.config.agree_tos || stored.terms_agreed.is_some(),
            external_account: self.external_account().await?,
        };
        let signer = signer(&stored.key)?;
        let registration = client.create_account(Arc::clone(&signer), &new).await?;
        stored.url = Some(registration.account.url().to_string());
        stored.status = AccountStatus::Valid;
        stored.contacts = new.contact;
        store.put_account(&stored).await?;
        // What is kept has no deadline.
        let account = self.client.account(signer, registration.account.url().clone());
        Ok(account.agreeing(self.config.agree_tos))
    }

    async fn external_account(&self) -> Result<Option<ExternalAccountBinding>, AuthorityError> {
        let Some(eab) = &self.config.eab else { return Ok(None) };
        let hmac_key = eab
            .hmac_key
            .read()
            .await
            .map_err(|source| AuthorityError::ExternalAccount { ca: self.name().clone(), source })?;
        Ok(Some(ExternalAccountBinding { key_id: eab.kid.clone(), hmac_key }))
    }

    /// Changes the account's key (RFC 8555 §7.3.5). The new key is stored before the CA is
    /// asked, and the old one dropped only after it has agreed.
    ///
    /// # Errors
    /// [`AuthorityError`]; the account goes on with whichever key the CA holds.
    pub async fn change_key(&self, store: &Store) -> Result<Account, AuthorityError> {
        let account = self.existing_account(store).await?;
        let Some(mut stored) = self.stored(store).await? else {
            return Err(AuthorityError::NoAccount { ca: self.name().clone() });
        };
        let kind = self.config.account_key;
        let key = tokio::task::spawn_blocking(move || SoftwareKey::generate(kind))
            .await
            .expect("making a key does not panic")
            .map_err(AcmeError::from)?;
        let next = KeyBytes::new(key.to_pkcs8().to_vec());
        stored.next_key = Some(next.clone());
        store.put_account(&stored).await?;
        self.finish_key_change(store, stored, account, next).await
    }

    async fn finish_key_change(
        &self,
        store: &Store,
        mut stored: store::Account,
        account: Account,
        next: KeyBytes,
    ) -> Result<Account, AuthorityError> {
        let changed = account.change_key(signer(&next)?).await?;
        stored.key = next;
        stored.next_key = None;
        store.put_account(&stored).await?;
        Ok(changed)
    }

    /// Replaces the account's contacts, at the CA and in the store.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub async fn update_contact(&self, store: &Store, contact: &[String]) -> Result<(), AuthorityError> {
        self.existing_account(store).await?.update_contact(contact).await?;
        if let Some(mut stored) = self.stored(store).await? {
            stored.contacts = contact.to_vec();
            store.put_account(&stored).await?;
        }
        Ok(())
    }

    /// Tells the CA that its present terms of service are agreed to (RFC 8555 §7.3.3).
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub async fn agree_to_terms(&self, store: &Store) -> Result<(), AuthorityError> {
        self.existing_account(store).await?.agree_to_terms().await?;
        let terms = self.client.directory().await?.meta.terms_of_service.clone();
        if let Some(mut stored) = self.stored(store).await? {
            stored.terms_agreed = terms.map(|url| url.to_string());
            store.put_account(&stored).await?;
        }
        Ok(())
    }

    /// Gives the account up, for ever.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub async fn deactivate(&self, store: &Store) -> Result<(), AuthorityError> {
        self.existing_account(store).await?.deactivate().await?;
        if let Some(mut stored) = self.stored(store).await? {
            stored.status = AccountStatus::Deactivated;
            store.put_account(&stored).await?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.config.name)
    }
}

fn is_closed(status: AccountStatus) -> bool {
    !matches!(status, AccountStatus::Valid | AccountStatus::Pending)
}

fn signer(key: &KeyBytes) -> Result<Arc<dyn Signer>, AuthorityError> {
    Ok(Arc::new(SoftwareKey::from_pkcs8(key.expose()).map_err(AcmeError::from)?))
}

//! The plugin: the value goes to the account whose name it is.

use crate::account::{self, Account};
use crate::config::Config;
use crate::slots::Slots;
use crate::storage::Storage;
use crate::{api, error};
use async_trait::async_trait;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ScopeNeed, ScopeReport, Settings,
    SettingsError, TxtChange, TxtValue, Zone,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Values that an account holds; the older one goes when a third comes.
const VALUES: usize = 2;
/// Added to the requests' own limits, whose errors say more: a wait for the storage's lock.
const GRACE: Duration = Duration::from_secs(15);

/// acme-dns, with the accounts of one storage.
#[derive(Debug)]
pub struct AcmeDns {
    config: Config,
    storage: Storage,
    /// By the account's name.
    written: Mutex<HashMap<Fqdn, Arc<Written>>>,
}

/// What this process has written through one account.
#[derive(Debug)]
struct Written {
    /// One write at a time, since each pushes another value out.
    turn: Semaphore,
    slots: Mutex<Slots>,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(AcmeDns::new(Config::new(settings)?)))
}

impl AcmeDns {
    /// A provider with the accounts that `config` names; nothing is read or sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let storage = Storage::new(config.storage.clone());
        Self { config, storage, written: Mutex::default() }
    }

    /// The account that writes at `name`.
    async fn account(&self, name: &Fqdn) -> Result<Account, ProviderError> {
        let accounts = self.storage.accounts().await?;
        if let Some(account) = accounts.at(name) {
            return Ok(account.clone());
        }
        let path = self.storage.path();
        if !account::is_challenge(name) {
            return Err(error::strange_account(name, path));
        }
        Err(match accounts.of(account::key(name)) {
            Some(account) => error::no_alias(name, account, false, path),
            None if self.config.register => self.register(name).await?,
            None => error::no_account(name, path),
        })
    }

    /// Makes an account for `name` and keeps it. It is of use only when a CNAME leads to it:
    /// that is the error returned.
    async fn register(&self, name: &Fqdn) -> Result<ProviderError, ProviderError> {
        let path = self.storage.path();
        let addition = self.storage.open().await?;
        // Somebody else may have made one meanwhile.
        if let Some(account) = self.storage.accounts().await?.of(account::key(name)) {
            return Ok(error::no_alias(name, account, false, path));
        }
        let account = api::register(&self.config.client, &self.config.allow_from).await?;
        addition.keep(account::key(name), &account, &self.config.url).await?;
        tracing::info!(%name, account = %account.fulldomain, "an account was registered at acme-dns");
        Ok(error::no_alias(name, &account, true, path))
    }

    async fn add(&self, name: &Fqdn, value: &TxtValue) -> Result<(), ProviderError> {
        if !value.is_challenge() {
            return Err(error::not_a_challenge());
        }
        let account = self.account(name).await?;
        let written = self.written(&account.fulldomain);
        let _turn = written.turn.acquire().await.expect("it is never closed");
        let writes = {
            let mut slots = written.slots();
            let writes = slots.writes(value);
            slots.begin();
            writes
        };
        for one in &writes {
            api::update(&self.config.client, &account, one).await?;
        }
        written.slots().confirm(value, &writes);
        Ok(())
    }

    fn written(&self, name: &Fqdn) -> Arc<Written> {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Written { turn: Semaphore::new(1), slots: Mutex::default() });
        Arc::clone(all.entry(name.clone()).or_insert_with(fresh))
    }
}

impl Written {
    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DnsProvider for AcmeDns {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Record);
        // A value, and the other one once more where that is needed.
        limits.call_timeout = 2 * self.config.timeout + GRACE;
        limits.values_per_name = Some(VALUES);
        limits.can_remove = false;
        limits.challenges_only = true;
        limits.chooses_ttl = true;
        limits
    }

    /// A name without an account gets one where the settings say so. That is an error all the
    /// same: it names the CNAME to create.
    async fn apply(&self, _zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        for change in changes {
            match change {
                TxtChange::Add { name, value, .. } => self.add(name, value).await?,
                TxtChange::Remove { .. } => return Err(error::not_removable()),
            }
        }
        Ok(Applied::default())
    }

    async fn values(&self, _zone: &Zone, _name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        Ok(Listing::NotAvailable)
    }

    /// The zones in which the storage's accounts are.
    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let accounts = self.storage.accounts().await?;
        let zones: BTreeSet<_> = accounts.all().filter_map(|(_, account)| account.zone()).collect();
        Ok(Listing::Listed(zones.into_iter().map(Zone::named).collect()))
    }

    /// An account writes at its one name. What is looked at is whether each need has one that
    /// the server still takes, and which other accounts the storage holds.
    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let accounts = self.storage.accounts().await?;
        let (mut missing, mut probed, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
        for name in needs.iter().map(|need| &need.name) {
            let Some(account) = accounts.at(name).or_else(|| accounts.of(account::key(name))) else {
                missing.push(format!("the storage holds no account for `{name}`"));
                continue;
            };
            used.insert(&account.fulldomain);
            if api::may_update(&self.config.client, account).await? {
                probed.push(format!("the account for `{name}` may write `{}`", account.fulldomain));
            } else {
                missing.push(format!("the server does not let the account for `{name}` write"));
            }
        }
        if !missing.is_empty() {
            return Ok(ScopeReport::NotEnough { findings: missing });
        }
        let others = accounts.all().filter(|(_, account)| !used.contains(&account.fulldomain));
        let findings: Vec<String> =
            others.map(|(key, _)| format!("the storage holds the account for `{key}`, too")).collect();
        if findings.is_empty() {
            return Ok(ScopeReport::ExactlyEnough { probed });
        }
        Ok(ScopeReport::MoreThanNeeded { findings })
    }
}

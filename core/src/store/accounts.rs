//! Accounts at CAs (RFC 8555 §7.1.2), with their keys.

use super::envelope::{KeyBytes, Place};
use super::{Store, StoreError, timestamp};
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::fmt;

const TABLE: &str = "accounts";

/// Which account: a CA's directory and a label of ours, `default` unless several are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName {
    /// The CA's directory URL.
    pub ca: String,
    /// Our label.
    pub label: String,
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ca, self.label)
    }
}

/// What became of an account (RFC 8555 §7.1.6), as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Its key is stored; the CA has not confirmed it yet.
    Pending,
    /// In use.
    Valid,
    /// Given up by us.
    Deactivated,
    /// Closed by the CA.
    Revoked,
}

impl AccountStatus {
    /// The word for it, as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Pending, Self::Valid, Self::Deactivated, Self::Revoked]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| StoreError::malformed(TABLE, format!("status `{text}`")))
    }
}

/// An account. It is stored before it is asked for at the CA, so that its key is never lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub name: AccountName,
    /// Its URL, once the CA has answered.
    pub url: Option<String>,
    /// Its private key.
    pub key: KeyBytes,
    /// The key it is about to change to (RFC 8555 §7.3.5): stored before the CA is asked, so
    /// that after a lost reply both can be tried.
    pub next_key: Option<KeyBytes>,
    /// Contact URLs.
    pub contacts: Vec<String>,
    /// The external account it is bound to (RFC 8555 §7.3.4).
    pub eab_kid: Option<String>,
    /// What became of it.
    pub status: AccountStatus,
    /// The terms of service that were agreed to.
    pub terms_agreed: Option<String>,
    /// When it was stored first.
    pub created: Timestamp,
}

/// An account, ready to be written.
struct SealedAccount {
    account: Account,
    contacts: String,
    key: Vec<u8>,
    next_key: Option<Vec<u8>>,
}

impl SealedAccount {
    fn bind<'q>(self, sql: &'static str) -> sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments> {
        sqlx::query(sql)
            .bind(self.account.name.ca)
            .bind(self.account.name.label)
            .bind(self.account.url)
            .bind(self.key)
            .bind(self.next_key)
            .bind(self.contacts)
            .bind(self.account.eab_kid)
            .bind(self.account.status.as_str())
            .bind(self.account.terms_agreed)
            .bind(self.account.created.as_second())
    }
}

impl Store {
    /// The account called `name`.
    ///
    /// # Errors
    /// The row cannot be read or its key not opened.
    pub async fn account(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(
            "SELECT ca, label, url, key_sealed, next_key_sealed, contacts, eab_kid, status, terms_agreed, \
             created FROM accounts WHERE ca = $1 AND label = $2",
        )
        .bind(name.ca.clone())
        .bind(name.label.clone())
        .fetch_optional(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        match row {
            Some(row) => self.account_from(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// All accounts, by CA and label.
    ///
    /// # Errors
    /// A row cannot be read or its key not opened.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query(
            "SELECT ca, label, url, key_sealed, next_key_sealed, contacts, eab_kid, status, terms_agreed, \
             created FROM accounts ORDER BY ca, label",
        )
        .fetch_all(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in &rows {
            accounts.push(self.account_from(row).await?);
        }
        Ok(accounts)
    }

    /// Stores `account` unless one of its name is there, and returns the one that is there
    /// now: of two processes that start together, both use the first one's key.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn add_account(&self, account: &Account) -> Result<Account, StoreError> {
        let name = account.name.clone();
        let sealed = self.seal_account(account).await?;
        self.write(move |connection| {
            Box::pin(async move {
                sealed
                    .bind(
                        "INSERT INTO accounts (ca, label, url, key_sealed, next_key_sealed, contacts, \
                         eab_kid, status, terms_agreed, created) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                         ON CONFLICT (ca, label) DO NOTHING",
                    )
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await?;
        self.account(&name)
            .await?
            .ok_or_else(|| StoreError::Missing { kind: "account", name: name.to_string() })
    }

    /// Stores `account` in place of what was there under its name.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        let sealed = self.seal_account(account).await?;
        self.write(move |connection| {
            Box::pin(async move {
                sealed
                    .bind(
                        "INSERT INTO accounts (ca, label, url, key_sealed, next_key_sealed, contacts, \
                         eab_kid, status, terms_agreed, created) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                         ON CONFLICT (ca, label) DO UPDATE SET url = $3, key_sealed = $4, \
                         next_key_sealed = $5, contacts = $6, eab_kid = $7, status = $8, terms_agreed = $9",
                    )
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn seal_account(&self, account: &Account) -> Result<SealedAccount, StoreError> {
        let master = self.master_key().await?;
        let row = account.name.to_string();
        let seal =
            |column, key: &KeyBytes| master.seal(Place { table: TABLE, row: &row, column }, key.expose()).0;
        Ok(SealedAccount {
            contacts: serde_json::json!(account.contacts).to_string(),
            key: seal("key_sealed", &account.key),
            next_key: account.next_key.as_ref().map(|key| seal("next_key_sealed", key)),
            account: account.clone(),
        })
    }

    async fn account_from(&self, row: &AnyRow) -> Result<Account, StoreError> {
        let master = self.master_key().await?;
        let name = AccountName { ca: row.try_get(0)?, label: row.try_get(1)? };
        let place = name.to_string();
        let open = |column, sealed: &[u8]| master.open(Place { table: TABLE, row: &place, column }, sealed);
        let contacts: String = row.try_get(5)?;
        Ok(Account {
            url: row.try_get(2)?,
            key: open("key_sealed", &row.try_get::<Vec<u8>, _>(3)?)?,
            next_key: row
                .try_get::<Option<Vec<u8>>, _>(4)?
                .map(|sealed| open("next_key_sealed", &sealed))
                .transpose()?,
            contacts: serde_json::from_str(&contacts).map_err(|error| StoreError::malformed(TABLE, error))?,
            eab_kid: row.try_get(6)?,
            status: AccountStatus::parse(&row.try_get::<String, _>(7)?)?,
            terms_agreed: row.try_get(8)?,
            created: timestamp(row.try_get(9)?),
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, temporary};
    use super::*;

    fn account(label: &str) -> Account {
        Account {
            name: AccountName { ca: "https://ca.test/directory".to_owned(), label: label.to_owned() },
            url: None,
            key: KeyBytes::new(b"the account's key".to_vec()),
            next_key: None,
            contacts: vec!["mailto:ops@example.com".to_owned()],
            eab_kid: None,
            status: AccountStatus::Pending,
            terms_agreed: None,
            created: timestamp(1_800_000_000),
        }
    }

    #[tokio::test]
    async fn an_account_comes_back_as_it_was_stored() {
        let (directory, store) = temporary().await;
        let mut account = account("default");
        assert_eq!(store.add_account(&account).await.unwrap(), account);
        account.url = Some("https://ca.test/account/1".to_owned());
        account.next_key = Some(KeyBytes::new(b"the next key".to_vec()));
        account.eab_kid = Some("kid".to_owned());
        account.status = AccountStatus::Valid;
        account.terms_agreed = Some("https://ca.test/terms".to_owned());
        store.put_account(&account).await.unwrap();
        store.close().await.unwrap();
        let store = open(directory.path()).await;
        assert_eq!(store.account(&account.name).await.unwrap(), Some(account.clone()));
        assert_eq!(store.accounts().await.unwrap(), [account]);
    }

    #[tokio::test]
    async fn the_first_of_two_keys_for_one_account_is_kept() {
        let (_directory, store) = temporary().await;
        let first = account("default");
        let second = Account { key: KeyBytes::new(b"another key".to_vec()), ..first.clone() };
        store.add_account(&first).await.unwrap();
        assert_eq!(store.add_account(&second).await.unwrap(), first);
    }

    #[tokio::test]
    async fn keys_are_not_in_the_files() {
        let (directory, store) = temporary().await;
        store.add_account(&account("default")).await.unwrap();
        store.close().await.unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let octets = std::fs::read(&path).unwrap();
                let found = octets.windows(17).any(|window| window == b"the account's key");
                assert!(!found, "{}", path.display());
            }
        }
    }

    #[tokio::test]
    async fn a_key_moved_to_another_account_does_not_open() {
        let (_directory, store) = temporary().await;
        store.add_account(&account("a")).await.unwrap();
        store.add_account(&account("b")).await.unwrap();
        store
            .write(|connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE accounts SET key_sealed = (SELECT key_sealed FROM accounts WHERE label = 'a') \
                         WHERE label = 'b'",
                    )
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
            .unwrap();
        let error = store.account(&account("b").name).await.unwrap_err();
        assert!(matches!(error, StoreError::Unsealable { column: "key_sealed", .. }), "{error:?}");
    }
}

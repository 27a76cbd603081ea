//! Orders in progress, with the plan that only we know, and the last ones that ended.

use super::certificates::{NewVersion, add_version};
use super::envelope::{KeyBytes, Place};
use super::{AccountName, Store, StoreError, timestamp};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use std::fmt;

const TABLE: &str = "orders";

/// How many ended orders are kept for each certificate.
const HISTORY: i64 = 10;

/// Names an order of ours, before the CA has a URL for it: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(String);

impl OrderId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(super::random_id())
    }

    /// One that was written down before.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is stored before the CA is asked for an order (RFC 8555 §7.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Its name here.
    pub id: OrderId,
    /// The certificate it is for.
    pub certificate: String,
    /// The account that orders.
    pub account: AccountName,
    /// The identifiers, wildcards included.
    pub names: Vec<String>,
    /// The CA's profile.
    pub profile: Option<String>,
    /// The certificate it replaces, as renewal information names it (RFC 9773 §5).
    pub replaces: Option<String>,
    /// The key to be certified (PKCS#8 DER); `None` with a request of the user's own.
    pub key: Option<KeyBytes>,
    /// The user's own request (PKCS#10 DER).
    pub csr: Option<Vec<u8>>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was stored before the CA was asked. The key is gone once the order has ended.
    pub plan: NewOrder,
    /// The CA's URL for it, once known.
    pub url: Option<String>,
    /// Where it stands.
    pub state: OrderState,
    /// Why it failed.
    pub error: Option<String>,
    /// What happened in it: JSON of the caller's.
    pub steps: String,
    /// When it was stored first.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

/// Where an order stands, as far as we are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// To be gone on with.
    Open,
    /// Its certificate is stored.
    Issued,
    /// Given up, with the reason in [`Order::error`].
    Failed,
}

impl OrderState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Issued => "issued",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Open, Self::Issued, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| StoreError::malformed(TABLE, format!("state `{text}`")))
    }
}

/// Until when a CA wants to be left alone, altogether or with something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// Not before this.
    pub until: Timestamp,
    /// What it said.
    pub reason: String,
}

macro_rules! columns {
    () => {
        "SELECT id, certificate, ca, account_label, names, profile, replaces, key_sealed, csr, url, state, \
         error, steps, created, finished FROM orders "
    };
}

impl Store {
    /// Stores `order` before the CA is asked for it.
    ///
    /// # Errors
    /// The store cannot be written, or an order of this id is there.
    pub async fn begin_order(&self, order: &NewOrder) -> Result<(), StoreError> {
        let key = match &order.key {
            Some(key) => Some(self.master_key().await?.seal(key_place(&order.id), key.expose()).0),
            None => None,
        };
        let (order, now) = (order.clone(), self.clock().seconds());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO orders (id, certificate, ca, account_label, names, name_set, profile, \
                     replaces, key_sealed, csr, state, steps, created) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'open', '[]', $11)",
                )
                .bind(order.id.0)
                .bind(order.certificate)
                .bind(order.account.ca)
                .bind(order.account.label)
                .bind(serde_json::json!(order.names).to_string())
                .bind(name_set(&order.names))
                .bind(order.profile)
                .bind(order.replaces)
                .bind(key)
                .bind(order.csr)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Stores the CA's URL of order `id`, which must be done before the URL is used.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn set_order_url(&self, id: &OrderId, url: &str) -> Result<(), StoreError> {
        let (id, url) = (id.0.clone(), url.to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query("UPDATE orders SET url = $2 WHERE id = $1")
                    .bind(id)
                    .bind(url)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// The newest open order of `account` for exactly this set of `names`.
    ///
    /// # Errors
    /// The row cannot be read or its key not opened.
    pub async fn open_order(
        &self,
        account: &AccountName,
        names: &[String],
    ) -> Result<Option<Order>, StoreError> {
        let row = sqlx::query(concat!(
            columns!(),
            "WHERE name_set = $1 AND state = 'open' AND ca = $2 AND account_label = $3 \
             ORDER BY created DESC, id LIMIT 1"
        ))
        .bind(name_set(names))
        .bind(account.ca.clone())
        .bind(account.label.clone())
        .fetch_optional(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        match row {
            Some(row) => self.order_from(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// True if `certificate` has an order that was not ended.
    ///
    /// # Errors
    /// The row cannot be read.
    pub async fn has_open_order(&self, certificate: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM orders WHERE certificate = $1 AND state = 'open' LIMIT 1")
            .bind(certificate.to_owned())
            .fetch_optional(self.reads())
            .await
            .map_err(|error| self.failed(error))?;
        Ok(row.is_some())
    }

    /// All open orders, oldest first.
    ///
    /// # Errors
    /// A row cannot be read or its key not opened.
    pub async fn open_orders(&self) -> Result<Vec<Order>, StoreError> {
        let rows = sqlx::query(concat!(columns!(), "WHERE state = 'open' ORDER BY created, id"))
            .fetch_all(self.reads())
            .await
            .map_err(|error| self.failed(error))?;
        self.orders_from(&rows).await
    }

    /// The last orders for `certificate`, newest first: those in progress and at most
    /// ten that ended.
    ///
    /// # Errors
    /// A row cannot be read or its key not opened.
    pub async fn order_history(&self, certificate: &str) -> Result<Vec<Order>, StoreError> {
        let rows = sqlx::query(concat!(columns!(), "WHERE certificate = $1 ORDER BY created DESC, id"))
            .bind(certificate.to_owned())
            .fetch_all(self.reads())
            .await
            .map_err(|error| self.failed(error))?;
        self.orders_from(&rows).await
    }

    /// Stores the certificate that order `id` brought, makes it the one in use and ends the
    /// order: all or nothing. Returns the version's number.
    ///
    /// # Errors
    /// The store cannot be written, the certificate was never remembered, or the order is not
    /// open.
    pub async fn complete_order(
        &self,
        id: &OrderId,
        certificate: &str,
        version: &NewVersion,
        steps: &str,
    ) -> Result<i64, StoreError> {
        let key = match &version.key {
            Some(key) => Some(self.seal_version_key(id, key).await?),
            None => None,
        };
        let (id, certificate, version) = (id.clone(), certificate.to_owned(), version.clone());
        let (steps, now) = (steps.to_owned(), self.clock().seconds());
        self.write(move |connection| {
            Box::pin(async move {
                let number = add_version(connection, &certificate, &id, version, key, now).await?;
                end_order(connection, &id, OrderState::Issued, None, &steps, now).await?;
                Ok(number)
            })
        })
        .await
    }

    /// Ends order `id` without a certificate.
    ///
    /// # Errors
    /// The store cannot be written, or there is no such open order.
    pub async fn fail_order(&self, id: &OrderId, error: &str, steps: &str) -> Result<(), StoreError> {
        let (id, error, steps) = (id.clone(), error.to_owned(), steps.to_owned());
        let now = self.clock().seconds();
        self.write(move |connection| {
            Box::pin(
                async move { end_order(connection, &id, OrderState::Failed, Some(error), &steps, now).await },
            )
        })
        .await
    }

    /// Until when a CA wants to be left alone with `what`: its directory for everything, else an
    /// order for some names there. `None` when it does not, or when that time is over.
    ///
    /// # Errors
    /// The row cannot be read.
    pub async fn back_off(&self, what: &str) -> Result<Option<BackOff>, StoreError> {
        let row = sqlx::query("SELECT until, reason FROM ca_back_offs WHERE ca = $1 AND until > $2")
            .bind(what.to_owned())
            .bind(self.clock().seconds())
            .fetch_optional(self.reads())
            .await
            .map_err(|error| self.failed(error))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(BackOff { until: timestamp(row.try_get(0)?), reason: row.try_get(1)? }))
    }

    /// Stores that a CA wants to be left alone with `what`, as [`Store::back_off`] has it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn set_back_off(&self, what: &str, back_off: &BackOff) -> Result<(), StoreError> {
        let (what, back_off) = (what.to_owned(), back_off.clone());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO ca_back_offs (ca, until, reason) VALUES ($1, $2, $3) \
                     ON CONFLICT (ca) DO UPDATE SET until = $2, reason = $3",
                )
                .bind(what)
                .bind(back_off.until.as_second())
                .bind(back_off.reason)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn orders_from(&self, rows: &[AnyRow]) -> Result<Vec<Order>, StoreError> {
        let mut orders = Vec::with_capacity(rows.len());
        for row in rows {
            orders.push(self.order_from(row).await?);
        }
        Ok(orders)
    }

    async fn order_from(&self, row: &AnyRow) -> Result<Order, StoreError> {
        let id = OrderId(row.try_get(0)?);
        let names: String = row.try_get(4)?;
        let key = match row.try_get::<Option<Vec<u8>>, _>(7)? {
            Some(sealed) => Some(self.master_key().await?.open(key_place(&id), &sealed)?),
            None => None,
        };
        let plan = NewOrder {
            id,
            certificate: row.try_get(1)?,
            account: AccountName { ca: row.try_get(2)?, label: row.try_get(3)? },
            names: serde_json::from_str(&names).map_err(|error| StoreError::malformed(TABLE, error))?,
            profile: row.try_get(5)?,
            replaces: row.try_get(6)?,
            key,
            csr: row.try_get(8)?,
        };
        Ok(Order {
            plan,
            url: row.try_get(9)?,
            state: OrderState::parse(&row.try_get::<String, _>(10)?)?,
            error: row.try_get(11)?,
            steps: row.try_get(12)?,
            created: timestamp(row.try_get(13)?),
            finished: row.try_get::<Option<i64>, _>(14)?.map(timestamp),
        })
    }
}

fn key_place(id: &OrderId) -> Place<'_> {
    Place { table: TABLE, row: &id.0, column: "key_sealed" }
}

/// The names as a set: CAs compare orders by it, whatever the order of the names.
fn name_set(names: &[String]) -> String {
    let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" ")
}

/// Ends the order and forgets its key (the version has its own copy) and the oldest ones
/// beyond the history's length.
async fn end_order(
    connection: &mut AnyConnection,
    id: &OrderId,
    state: OrderState,
    error: Option<String>,
    steps: &str,
    now: i64,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "UPDATE orders SET state = $2, error = $3, steps = $4, finished = $5, key_sealed = NULL, csr = NULL \
         WHERE id = $1 AND state = 'open' RETURNING certificate",
    )
    .bind(id.0.clone())
    .bind(state.as_str())
    .bind(error)
    .bind(steps.to_owned())
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    let row = row.ok_or_else(|| StoreError::Missing { kind: "open order", name: id.to_string() })?;
    sqlx::query(
        "DELETE FROM orders WHERE certificate = $1 AND state <> 'open' AND id NOT IN \
         (SELECT id FROM orders WHERE certificate = $1 AND state <> 'open' \
          ORDER BY finished DESC, id LIMIT $2)",
    )
    .bind(row.try_get::<String, _>(0)?)
    .bind(HISTORY)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, temporary};
    use super::*;

    fn plan(names: &[&str]) -> NewOrder {
        NewOrder {
            id: OrderId::random(),
            certificate: "example".to_owned(),
            account: AccountName { ca: "https://ca.test/directory".to_owned(), label: "default".to_owned() },
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            profile: Some("short".to_owned()),
            replaces: None,
            key: Some(KeyBytes::new(b"the certificate's key".to_vec())),
            csr: None,
        }
    }

    fn version(order: &NewOrder) -> NewVersion {
        NewVersion {
            names: vec!["example.com".to_owned()],
            key_type: Some("ec256".to_owned()),
            chain_pem: "-----BEGIN CERTIFICATE-----".to_owned(),
            key: order.key.clone(),
            not_before: timestamp(1_800_000_000),
            not_after: timestamp(1_808_000_000),
            serial: "01:02".to_owned(),
            issuer: "Test CA".to_owned(),
            account: order.account.clone(),
            renewal_id: Some("aki.serial".to_owned()),
        }
    }

    async fn remembering() -> (tempfile::TempDir, Store) {
        let (directory, store) = temporary().await;
        store.remember_certificate("example", &["example.com".to_owned()], "{}").await.unwrap();
        (directory, store)
    }

    #[tokio::test]
    async fn an_order_is_found_again_by_account_and_set_of_names() {
        let (directory, store) = remembering().await;
        let plan = plan(&["example.com", "*.example.com"]);
        store.begin_order(&plan).await.unwrap();
        store.set_order_url(&plan.id, "https://ca.test/order/1").await.unwrap();
        store.close().await.unwrap();
        let store = open(directory.path()).await;
        let turned = ["*.Example.com".to_owned(), "example.com".to_owned()];
        let found = store.open_order(&plan.account, &turned).await.unwrap().unwrap();
        assert_eq!(found.plan, plan);
        assert_eq!(found.url.as_deref(), Some("https://ca.test/order/1"));
        assert_eq!(found.state, OrderState::Open);
        assert!(store.open_order(&plan.account, &turned[..1]).await.unwrap().is_none());
        let stranger = AccountName { label: "other".to_owned(), ..plan.account.clone() };
        assert!(store.open_order(&stranger, &turned).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_certificate_and_its_orders_end_are_one() {
        let (_directory, store) = remembering().await;
        let plan = plan(&["example.com"]);
        store.begin_order(&plan).await.unwrap();
        store.record_failure("example", "it rained", timestamp(1_800_000_100), None).await.unwrap();
        let number = store.complete_order(&plan.id, "example", &version(&plan), "[1]").await.unwrap();
        assert_eq!(number, 1);
        assert!(store.open_orders().await.unwrap().is_empty());
        let certificate = store.certificate("example").await.unwrap().unwrap();
        assert_eq!(certificate.current.unwrap().number, 1);
        assert_eq!(certificate.failure, None);
        let stored = store.version("example", 1).await.unwrap().unwrap();
        assert_eq!(stored.key, plan.key);
        // A second end of the same order stores nothing.
        let again = store.complete_order(&plan.id, "example", &version(&plan), "[1]").await;
        assert!(matches!(again, Err(StoreError::Missing { .. })), "{again:?}");
        assert_eq!(store.versions("example").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_history_keeps_the_last_ended_orders_without_their_keys() {
        let (_directory, store) = remembering().await;
        let open = plan(&["open.example.com"]);
        store.begin_order(&open).await.unwrap();
        for _ in 0..HISTORY + 5 {
            let plan = plan(&["example.com"]);
            store.begin_order(&plan).await.unwrap();
            store.fail_order(&plan.id, "it rained", "[]").await.unwrap();
        }
        let history = store.order_history("example").await.unwrap();
        assert_eq!(i64::try_from(history.len()).unwrap(), HISTORY + 1);
        for order in history.iter().filter(|order| order.plan.id != open.id) {
            assert_eq!((order.state, order.plan.key.as_ref()), (OrderState::Failed, None));
            assert_eq!(order.error.as_deref(), Some("it rained"));
        }
    }

    #[tokio::test]
    async fn a_back_off_ends_by_itself() {
        let (_directory, store) = temporary().await;
        let now = store.clock().now();
        let ca = "https://ca.test/directory";
        let back_off =
            BackOff { until: now + jiff::SignedDuration::from_secs(60), reason: "busy".to_owned() };
        store.set_back_off(ca, &back_off).await.unwrap();
        assert_eq!(store.back_off(ca).await.unwrap(), Some(back_off.clone()));
        store.set_back_off(ca, &BackOff { until: now, ..back_off }).await.unwrap();
        assert_eq!(store.back_off(ca).await.unwrap(), None);
    }
}

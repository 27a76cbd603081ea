//! Certificates: what was asked for, each version obtained, when to renew, and what went wrong.

use super::envelope::{KeyBytes, Place};
use super::{AccountName, OrderId, Store, StoreError, timestamp};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

const TABLE: &str = "certificates";
const VERSIONS: &str = "certificate_versions";

/// The columns of a version's summary, in the order [`summary_from`] reads them.
macro_rules! summary_columns {
    () => {
        "v.number, v.not_before, v.not_after, v.serial, v.issuer, v.ca, v.account_label, v.renewal_id, \
         v.issued_at, v.revoked_at, v.names, v.key_type"
    };
}

/// A certificate under management, without its keys and chains.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// What it is called, here and in `live/`.
    pub name: String,
    /// The identifiers, wildcards included, in the order asked for.
    pub names: Vec<String>,
    /// What was asked for, as JSON of the caller's: enough to renew without the command line.
    pub request: String,
    /// When it was first remembered.
    pub created: Timestamp,
    /// The version in use; `None` before the first.
    pub current: Option<VersionSummary>,
    /// The CA's advice (RFC 9773).
    pub renewal: Option<RenewalInformation>,
    /// What went wrong since the last success.
    pub failure: Option<Failure>,
}

/// One version of a certificate, without its key and chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// 1 is the first.
    pub number: i64,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid to.
    pub not_after: Timestamp,
    /// Serial number, as the caller writes it.
    pub serial: String,
    /// The issuer's name.
    pub issuer: String,
    /// The account that ordered it.
    pub account: AccountName,
    /// The CA's name for it in renewal information (RFC 9773 §4.1).
    pub renewal_id: Option<String>,
    /// When we got it.
    pub issued_at: Timestamp,
    /// When we revoked it.
    pub revoked_at: Option<Timestamp>,
    /// The identifiers it is for, wildcards included.
    pub names: Vec<String>,
    /// The kind of its key, as the caller writes it; `None` with a request of the user's own.
    pub key_type: Option<String>,
}

/// One version of a certificate, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its dates and names.
    pub summary: VersionSummary,
    /// The chain in PEM, leaf first.
    pub chain_pem: String,
    /// The private key (PKCS#8 DER); `None` when a request of the user's own was signed.
    pub key: Option<KeyBytes>,
}

/// A version that was just obtained. Its number and date of issue are the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// The chain in PEM, leaf first.
    pub chain_pem: String,
    /// The private key (PKCS#8 DER); `None` when a request of the user's own was signed.
    pub key: Option<KeyBytes>,
    /// The identifiers it is for, wildcards included.
    pub names: Vec<String>,
    /// The kind of its key, as the caller writes it.
    pub key_type: Option<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid to.
    pub not_after: Timestamp,
    /// Serial number, as the caller writes it.
    pub serial: String,
    /// The issuer's name.
    pub issuer: String,
    /// The account that ordered it.
    pub account: AccountName,
    /// The CA's name for it in renewal information (RFC 9773 §4.1).
    pub renewal_id: Option<String>,
}

/// When the CA advises to renew (RFC 9773 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInformation {
    /// The suggested window's start.
    pub start: Timestamp,
    /// The suggested window's end.
    pub end: Timestamp,
    /// The moment we chose in it.
    pub chosen: Timestamp,
    /// The CA's page about it.
    pub explanation_url: Option<String>,
    /// When to ask again.
    pub next_look: Timestamp,
}

/// What went wrong since the last success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The first failure in this row.
    pub since: Timestamp,
    /// How many there were.
    pub attempts: u32,
    /// Not before this.
    pub next_try: Timestamp,
    /// Until then resolvers may remember what the CA saw when it looked in vain, so that even
    /// a person had better not try.
    pub stale_until: Option<Timestamp>,
    /// What the last one said.
    pub last_error: String,
}

impl Store {
    /// Remembers what is asked for under `name`, in place of what was remembered before.
    /// Versions, renewal information and failures stay.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remember_certificate(
        &self,
        name: &str,
        names: &[String],
        request: &str,
    ) -> Result<(), StoreError> {
        let (name, request, now) = (name.to_owned(), request.to_owned(), self.clock().seconds());
        let names = serde_json::json!(names).to_string();
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO certificates (name, names, request, created, current_version) \
                     VALUES ($1, $2, $3, $4, 0) \
                     ON CONFLICT (name) DO UPDATE SET names = $2, request = $3",
                )
                .bind(name)
                .bind(names)
                .bind(request)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The certificate called `name`.
    ///
    /// # Errors
    /// The row cannot be read.
    pub async fn certificate(&self, name: &str) -> Result<Option<Certificate>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            summary_columns!(),
            ", c.name, c.names, c.request, c.created, c.renewal_start, c.renewal_end, c.renewal_chosen, \
             c.renewal_explanation, c.renewal_next_look, c.failing_since, c.failed_attempts, c.next_try, \
             c.last_error, c.stale_until FROM certificates c LEFT JOIN certificate_versions v \
             ON v.name = c.name AND v.number = c.current_version WHERE c.name = $1"
        ))
        .bind(name.to_owned())
        .fetch_optional(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        row.as_ref().map(certificate_from).transpose()
    }

    /// All certificates, by name.
    ///
    /// # Errors
    /// A row cannot be read.
    pub async fn certificates(&self) -> Result<Vec<Certificate>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            summary_columns!(),
            ", c.name, c.names, c.request, c.created, c.renewal_start, c.renewal_end, c.renewal_chosen, \
             c.renewal_explanation, c.renewal_next_look, c.failing_since, c.failed_attempts, c.next_try, \
             c.last_error, c.stale_until FROM certificates c LEFT JOIN certificate_versions v \
             ON v.name = c.name AND v.number = c.current_version ORDER BY c.name"
        ))
        .fetch_all(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        rows.iter().map(certificate_from).collect()
    }

    /// The versions of `name`, newest first.
    ///
    /// # Errors
    /// A row cannot be read.
    pub async fn versions(&self, name: &str) -> Result<Vec<VersionSummary>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            summary_columns!(),
            " FROM certificate_versions v WHERE v.name = $1 ORDER BY v.number DESC"
        ))
        .bind(name.to_owned())
        .fetch_all(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        rows.iter().map(summary_from).collect()
    }

    /// One version, whole.
    ///
    /// # Errors
    /// The row cannot be read or its key not opened.
    pub async fn version(&self, name: &str, number: i64) -> Result<Option<Version>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            summary_columns!(),
            ", v.chain_pem, v.key_sealed, v.order_id FROM certificate_versions v WHERE v.name = $1 AND v.number = $2"
        ))
        .bind(name.to_owned())
        .bind(number)
        .fetch_optional(self.reads())
        .await
        .map_err(|error| self.failed(error))?;
        let Some(row) = row else { return Ok(None) };
        let key = match row.try_get::<Option<Vec<u8>>, _>(13)? {
            Some(sealed) => {
                let order: String = row.try_get(14)?;
                Some(self.master_key().await?.open(key_place(&order), &sealed)?)
            }
            None => None,
        };
        Ok(Some(Version { summary: summary_from(&row)?, chain_pem: row.try_get(12)?, key }))
    }

    /// Stores the CA's advice for `name`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record_renewal(&self, name: &str, renewal: &RenewalInformation) -> Result<(), StoreError> {
        let (name, renewal) = (name.to_owned(), renewal.clone());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE certificates SET renewal_start = $2, renewal_end = $3, renewal_chosen = $4, \
                     renewal_explanation = $5, renewal_next_look = $6 WHERE name = $1",
                )
                .bind(name)
                .bind(renewal.start.as_second())
                .bind(renewal.end.as_second())
                .bind(renewal.chosen.as_second())
                .bind(renewal.explanation_url)
                .bind(renewal.next_look.as_second())
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Stores that an attempt for `name` failed, and until when resolvers may remember why. The
    /// first one's time is kept (unless it lies ahead) and attempts are counted until a version is
    /// stored.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record_failure(
        &self,
        name: &str,
        error: &str,
        next_try: Timestamp,
        stale_until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let (name, error, now) = (name.to_owned(), error.to_owned(), self.clock().seconds());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE certificates SET failing_since = CASE WHEN failing_since <= $2 \
                     THEN failing_since ELSE $2 END, failed_attempts = COALESCE(failed_attempts, 0) + 1, next_try = $3, last_error = $4, \
                     stale_until = $5 WHERE name = $1",
                )
                .bind(name)
                .bind(now)
                .bind(next_try.as_second())
                .bind(error)
                .bind(stale_until.map(Timestamp::as_second))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Stores that version `number` of `name` is revoked as of now.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn mark_revoked(&self, name: &str, number: i64) -> Result<(), StoreError> {
        let (name, now) = (name.to_owned(), self.clock().seconds());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE certificate_versions SET revoked_at = COALESCE(revoked_at, $3) \
                     WHERE name = $1 AND number = $2",
                )
                .bind(name)
                .bind(number)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Seals the key of the version that `order` brings.
    pub(super) async fn seal_version_key(
        &self,
        order: &OrderId,
        key: &KeyBytes,
    ) -> Result<Vec<u8>, StoreError> {
        Ok(self.master_key().await?.seal(key_place(order.as_str()), key.expose()).0)
    }
}

/// A version is bound to the order that brought it: its number is not known before its row.
fn key_place(order: &str) -> Place<'_> {
    Place { table: VERSIONS, row: order, column: "key_sealed" }
}

/// Adds `version`, makes it the one in use and returns its number; renewal information was
/// about the one before, and failures are over.
pub(super) async fn add_version(
    connection: &mut AnyConnection,
    name: &str,
    order: &OrderId,
    version: NewVersion,
    key_sealed: Option<Vec<u8>>,
    now: i64,
) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO certificate_versions (name, number, order_id, chain_pem, key_sealed, not_before, \
         not_after, serial, issuer, ca, account_label, renewal_id, issued_at, names, key_type) \
         SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 \
         FROM certificate_versions WHERE name = $1 RETURNING number",
    )
    .bind(name.to_owned())
    .bind(order.as_str().to_owned())
    .bind(version.chain_pem)
    .bind(key_sealed)
    .bind(version.not_before.as_second())
    .bind(version.not_after.as_second())
    .bind(version.serial)
    .bind(version.issuer)
    .bind(version.account.ca)
    .bind(version.account.label)
    .bind(version.renewal_id)
    .bind(now)
    .bind(serde_json::json!(version.names).to_string())
    .bind(version.key_type)
    .fetch_one(&mut *connection)
    .await?;
    let number = row.try_get(0)?;
    let updated = sqlx::query(
        "UPDATE certificates SET current_version = $2, renewal_start = NULL, renewal_end = NULL, \
         renewal_chosen = NULL, renewal_explanation = NULL, renewal_next_look = NULL, \
         failing_since = NULL, failed_attempts = NULL, next_try = NULL, last_error = NULL, \
         stale_until = NULL WHERE name = $1",
    )
    .bind(name.to_owned())
    .bind(number)
    .execute(connection)
    .await?;
    if updated.rows_affected() == 0 {
        return Err(StoreError::Missing { kind: "certificate", name: name.to_owned() });
    }
    Ok(number)
}

fn certificate_from(row: &AnyRow) -> Result<Certificate, StoreError> {
    let names: String = row.try_get(13)?;
    let time = |column| row.try_get::<Option<i64>, usize>(column).map(|seconds| seconds.map(timestamp));
    let renewal = match (time(16)?, time(17)?, time(18)?, time(20)?) {
        (Some(start), Some(end), Some(chosen), Some(next_look)) => {
            let explanation_url = row.try_get(19)?;
            Some(RenewalInformation { start, end, chosen, explanation_url, next_look })
        }
        _ => None,
    };
    let failure = match (time(21)?, row.try_get::<Option<i64>, _>(22)?, time(23)?, row.try_get(24)?) {
        (Some(since), Some(attempts), Some(next_try), Some(last_error)) => {
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            Some(Failure { since, attempts, next_try, stale_until: time(25)?, last_error })
        }
        _ => None,
    };
    let has_version = row.try_get::<Option<i64>, _>(0)?.is_some();
    Ok(Certificate {
        name: row.try_get(12)?,
        names: serde_json::from_str(&names).map_err(|error| StoreError::malformed(TABLE, error))?,
        request: row.try_get(14)?,
        created: timestamp(row.try_get(15)?),
        current: if has_version { Some(summary_from(row)?) } else { None },
        renewal,
        failure,
    })
}

fn summary_from(row: &AnyRow) -> Result<VersionSummary, StoreError> {
    Ok(VersionSummary {
        number: row.try_get(0)?,
        not_before: timestamp(row.try_get(1)?),
        not_after: timestamp(row.try_get(2)?),
        serial: row.try_get(3)?,
        issuer: row.try_get(4)?,
        account: AccountName { ca: row.try_get(5)?, label: row.try_get(6)? },
        renewal_id: row.try_get(7)?,
        issued_at: timestamp(row.try_get(8)?),
        revoked_at: row.try_get::<Option<i64>, _>(9)?.map(timestamp),
        names: serde_json::from_str(&row.try_get::<String, _>(10)?)
            .map_err(|error| StoreError::malformed(VERSIONS, error))?,
        key_type: row.try_get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::NewOrder;
    use super::super::tests::temporary;
    use super::*;

    fn account() -> AccountName {
        AccountName { ca: "https://ca.test/directory".to_owned(), label: "default".to_owned() }
    }

    fn version(serial: &str) -> NewVersion {
        NewVersion {
            names: vec!["example.com".to_owned()],
            key_type: Some("ec256".to_owned()),
            chain_pem: format!("chain {serial}"),
            key: Some(KeyBytes::new(serial.as_bytes().to_vec())),
            not_before: timestamp(1_800_000_000),
            not_after: timestamp(1_808_000_000),
            serial: serial.to_owned(),
            issuer: "Test CA".to_owned(),
            account: account(),
            renewal_id: None,
        }
    }

    async fn obtain(store: &Store, name: &str, serial: &str) -> i64 {
        let order = NewOrder {
            id: OrderId::random(),
            certificate: name.to_owned(),
            account: account(),
            names: vec!["example.com".to_owned()],
            profile: None,
            replaces: None,
            key: None,
            csr: None,
        };
        store.begin_order(&order).await.unwrap();
        store.complete_order(&order.id, name, &version(serial), "[]").await.unwrap()
    }

    #[tokio::test]
    async fn a_certificate_is_remembered_before_it_is_obtained() {
        let (_directory, store) = temporary().await;
        let names = ["example.com".to_owned(), "*.example.com".to_owned()];
        store.remember_certificate("example", &names, r#"{"key":"ec256"}"#).await.unwrap();
        let certificate = store.certificate("example").await.unwrap().unwrap();
        assert_eq!(certificate.names, names);
        assert_eq!(certificate.request, r#"{"key":"ec256"}"#);
        assert_eq!(certificate.current, None);
        assert_eq!(store.certificate("other").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_newest_version_is_in_use_and_the_others_are_kept() {
        let (_directory, store) = temporary().await;
        store.remember_certificate("a", &[], "{}").await.unwrap();
        store.remember_certificate("b", &[], "{}").await.unwrap();
        assert_eq!(obtain(&store, "a", "01").await, 1);
        assert_eq!(obtain(&store, "b", "02").await, 1);
        assert_eq!(obtain(&store, "a", "03").await, 2);
        let listed = store.certificates().await.unwrap();
        let serials: Vec<_> =
            listed.iter().map(|certificate| certificate.current.as_ref().unwrap().serial.as_str()).collect();
        assert_eq!(serials, ["03", "02"]);
        let numbers: Vec<_> =
            store.versions("a").await.unwrap().iter().map(|version| version.number).collect();
        assert_eq!(numbers, [2, 1]);
        let first = store.version("a", 1).await.unwrap().unwrap();
        assert_eq!((first.chain_pem.as_str(), first.key.unwrap().expose()), ("chain 01", &b"01"[..]));
    }

    #[tokio::test]
    async fn a_version_of_a_certificate_nobody_asked_for_is_not_stored() {
        let (_directory, store) = temporary().await;
        let order = NewOrder {
            id: OrderId::random(),
            certificate: "ghost".to_owned(),
            account: account(),
            names: Vec::new(),
            profile: None,
            replaces: None,
            key: None,
            csr: None,
        };
        store.begin_order(&order).await.unwrap();
        let result = store.complete_order(&order.id, "ghost", &version("01"), "[]").await;
        assert!(matches!(result, Err(StoreError::Missing { kind: "certificate", .. })), "{result:?}");
        assert!(store.versions("ghost").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn advice_is_about_one_version_only() {
        let (_directory, store) = temporary().await;
        store.remember_certificate("a", &[], "{}").await.unwrap();
        obtain(&store, "a", "01").await;
        let renewal = RenewalInformation {
            start: timestamp(1_805_000_000),
            end: timestamp(1_806_000_000),
            chosen: timestamp(1_805_500_000),
            explanation_url: Some("https://ca.test/why".to_owned()),
            next_look: timestamp(1_800_020_000),
        };
        store.record_renewal("a", &renewal).await.unwrap();
        assert_eq!(store.certificate("a").await.unwrap().unwrap().renewal, Some(renewal));
        obtain(&store, "a", "02").await;
        assert_eq!(store.certificate("a").await.unwrap().unwrap().renewal, None);
    }

    #[tokio::test]
    async fn failures_are_counted_from_the_first() {
        let (_directory, store) = temporary().await;
        store.remember_certificate("a", &[], "{}").await.unwrap();
        store.record_failure("a", "first", timestamp(1_800_000_060), None).await.unwrap();
        store
            .record_failure("a", "second", timestamp(1_800_000_120), Some(timestamp(1_800_000_090)))
            .await
            .unwrap();
        let failure = store.certificate("a").await.unwrap().unwrap().failure.unwrap();
        assert_eq!(failure.attempts, 2);
        assert_eq!(failure.since, store.clock().now());
        assert_eq!((failure.last_error.as_str(), failure.next_try), ("second", timestamp(1_800_000_120)));
        assert_eq!(failure.stale_until, Some(timestamp(1_800_000_090)));
    }

    #[tokio::test]
    async fn a_first_failure_that_lies_ahead_gives_way_to_the_next() {
        let (directory, store) = temporary().await;
        store.remember_certificate("a", &[], "{}").await.unwrap();
        let ahead = crate::clock::Clock::fixed(timestamp(4_000_000_000));
        let tasks = tokio_util::task::TaskTracker::new();
        let by_a_wrong_clock = Store::open(directory.path(), ahead, &tasks).await.unwrap();
        by_a_wrong_clock.record_failure("a", "first", timestamp(4_000_000_060), None).await.unwrap();
        store.record_failure("a", "second", timestamp(1_800_000_060), None).await.unwrap();
        let failure = store.certificate("a").await.unwrap().unwrap().failure.unwrap();
        assert_eq!((failure.since, failure.attempts), (store.clock().now(), 2));
    }

    #[tokio::test]
    async fn a_revocation_keeps_its_first_time() {
        let (_directory, store) = temporary().await;
        store.remember_certificate("a", &[], "{}").await.unwrap();
        let number = obtain(&store, "a", "01").await;
        store.mark_revoked("a", number).await.unwrap();
        let revoked = store.versions("a").await.unwrap()[0].revoked_at;
        assert_eq!(revoked, Some(store.clock().now()));
    }
}

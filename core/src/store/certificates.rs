//! Certificates: what was asked for, when to renew, and what went wrong.

use super::versions::{VersionSummary, summary_columns, summary_from};
use super::{Store, StoreError, timestamp};
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;

const TABLE: &str = "certificates";

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
    /// Remembers what is asked for under `name`, so that it can be gone on with. What has brought
    /// a certificate is what is renewed: it stays until another request has brought one
    /// ([`complete_order`](Self::complete_order)).
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
                     ON CONFLICT (name) DO UPDATE SET names = $2, request = $3 \
                     WHERE certificates.current_version = 0",
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

    /// Stores the CA's advice for version `number` of `name`, unless there is a newer one by now.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record_renewal(
        &self,
        name: &str,
        number: i64,
        renewal: &RenewalInformation,
    ) -> Result<(), StoreError> {
        let (name, renewal) = (name.to_owned(), renewal.clone());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE certificates SET renewal_start = $2, renewal_end = $3, renewal_chosen = $4, \
                     renewal_explanation = $5, renewal_next_look = $6 \
                     WHERE name = $1 AND current_version = $7",
                )
                .bind(name)
                .bind(renewal.start.as_second())
                .bind(renewal.end.as_second())
                .bind(renewal.chosen.as_second())
                .bind(renewal.explanation_url)
                .bind(renewal.next_look.as_second())
                .bind(number)
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

#[cfg(test)]
mod tests {
    use super::super::tests::temporary;
    use super::super::versions::tests::obtain;
    use super::*;

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
        store.record_renewal("a", 1, &renewal).await.unwrap();
        assert_eq!(store.certificate("a").await.unwrap().unwrap().renewal, Some(renewal.clone()));
        obtain(&store, "a", "02").await;
        assert_eq!(store.certificate("a").await.unwrap().unwrap().renewal, None);
        // Whoever asked about the first one may be late with the answer.
        store.record_renewal("a", 1, &renewal).await.unwrap();
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
}

//! Until when a CA wants to be left alone, altogether or with something.

use super::{Store, StoreError, timestamp};
use jiff::Timestamp;
use sqlx::Row as _;

/// What lies further ahead, in seconds, was written down by a clock that was wrong: a Retry-After
/// counts for a month at most.
const LONGEST: i64 = 32 * 24 * 60 * 60;

/// Until when a CA wants to be left alone, altogether or with something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// Not before this.
    pub until: Timestamp,
    /// What it said.
    pub reason: String,
}

impl Store {
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

    /// Stores that a CA wants to be left alone with `what`, as [`Store::back_off`] has it. Of two
    /// such wishes the one that lasts longer holds.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn set_back_off(&self, what: &str, back_off: &BackOff) -> Result<(), StoreError> {
        let (what, back_off) = (what.to_owned(), back_off.clone());
        let believable = self.clock().seconds() + LONGEST;
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO ca_back_offs (ca, until, reason) VALUES ($1, $2, $3) \
                     ON CONFLICT (ca) DO UPDATE SET until = $2, reason = $3 \
                     WHERE ca_back_offs.until < $2 OR ca_back_offs.until > $4",
                )
                .bind(what)
                .bind(back_off.until.as_second())
                .bind(back_off.reason)
                .bind(believable)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::temporary;
    use super::*;

    #[tokio::test]
    async fn a_back_off_ends_by_itself_and_the_longest_holds() {
        let (_directory, store) = temporary().await;
        let now = store.clock().now();
        let ca = "https://ca.test/directory";
        let busy = |seconds| BackOff {
            until: now + jiff::SignedDuration::from_secs(seconds),
            reason: format!("busy for {seconds} s"),
        };
        store.set_back_off(ca, &busy(-1)).await.unwrap();
        assert_eq!(store.back_off(ca).await.unwrap(), None);
        for (wish, holds) in [(60, 60), (30, 60), (90, 90), (LONGEST + 1, LONGEST + 1), (60, 60)] {
            store.set_back_off(ca, &busy(wish)).await.unwrap();
            assert_eq!(store.back_off(ca).await.unwrap(), Some(busy(holds)));
        }
    }
}

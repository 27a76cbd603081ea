//! Waiting until names are proven and certificates made, and why they are not.

use super::account::Account;
use super::authorization::{Authorization, AuthorizationStatus};
use super::error::{AcmeError, NameFailure, Operation};
use super::limits::{LOOKS_BEFORE_AUTHORIZATIONS, Looks, Pace};
use super::order::{Order, OrderStatus};
use super::problem::Problem;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long an order is waited for where the caller sets no deadline.
const WAIT: Duration = Duration::from_secs(600);

impl Account {
    /// Waits until everything is proven, and returns the order then (RFC 8555 §7.5.1).
    ///
    /// # Errors
    /// [`AcmeError::OrderInvalid`] with what was wrong with each name;
    /// [`AcmeError::Deadline`].
    pub async fn wait_ready(&self, order: Order) -> Result<Order, AcmeError> {
        self.wait(order, "the CA to validate", |status| {
            matches!(status, OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid)
        })
        .await
    }

    /// Waits until the certificate can be fetched, and returns the order then.
    ///
    /// # Errors
    /// [`AcmeError::OrderInvalid`]; [`AcmeError::Deadline`].
    pub async fn wait_valid(&self, order: Order) -> Result<Order, AcmeError> {
        self.wait(order, "the CA to make the certificate", |status| status == OrderStatus::Valid).await
    }

    /// Waits until an authorization that was opened ahead of any order is proven.
    ///
    /// # Errors
    /// [`AcmeError::OrderInvalid`] with what was wrong; [`AcmeError::Deadline`].
    pub async fn wait_authorized(
        &self,
        mut authorization: Authorization,
    ) -> Result<Authorization, AcmeError> {
        let deadline = self.client.deadline().unwrap_or_else(|| Instant::now() + WAIT);
        let looks = Looks::until(deadline, Instant::now());
        let mut pace = Pace::looks();
        loop {
            if authorization.status == AuthorizationStatus::Valid {
                return Ok(authorization);
            }
            let failures: Vec<_> = failure(&authorization).into_iter().collect();
            if authorization.status.is_dead() {
                return Err(AcmeError::OrderInvalid { problem: None, failures });
            }
            let Some(next) = looks.next(Instant::now(), pace.next(authorization.retry_after)) else {
                let waiting_for = format!("the CA to validate `{}`", authorization.name());
                return Err(AcmeError::Deadline { waiting_for, failures });
            };
            sleep_until(next).await;
            authorization = self.fetch_authorization(&authorization.url).await?;
        }
    }

    async fn wait(
        &self,
        mut order: Order,
        waiting_for: &str,
        done: impl Fn(OrderStatus) -> bool,
    ) -> Result<Order, AcmeError> {
        let deadline = self.client.deadline().unwrap_or_else(|| Instant::now() + WAIT);
        let looks = Looks::until(deadline, Instant::now());
        let mut pace = Pace::looks();
        let mut failures = Vec::new();
        let mut looked = 0;
        loop {
            if done(order.status) {
                return Ok(order);
            }
            if order.status == OrderStatus::Invalid {
                return Err(self.explain(&order).await);
            }
            let mut asked_for = order.retry_after;
            if order.status == OrderStatus::Pending && looked > 0 && looked % LOOKS_BEFORE_AUTHORIZATIONS == 0
            {
                let seen = self.look_at_authorizations(&order).await?;
                failures = seen.failures;
                // The order cannot be ready before them.
                asked_for = asked_for.max(seen.retry_after);
            }
            // A CA may ask for more patience than there is.
            let Some(next) = looks.next(Instant::now(), pace.next(asked_for)) else {
                return Err(AcmeError::Deadline { waiting_for: waiting_for.to_owned(), failures });
            };
            sleep_until(next).await;
            looked += 1;
            order = match self.fetch_order(&order.url).await {
                Err(AcmeError::Deadline { .. }) => {
                    return Err(AcmeError::Deadline { waiting_for: waiting_for.to_owned(), failures });
                }
                looked => looked?,
            };
        }
    }

    /// Reads the authorizations of an order that stays pending: some CAs let it stand although
    /// one has failed.
    async fn look_at_authorizations(&self, order: &Order) -> Result<Seen, AcmeError> {
        let mut seen = Seen::default();
        for url in &order.authorizations {
            let authorization = self.fetch_authorization(url).await?;
            if authorization.status.is_dead() {
                return Err(self.explain(order).await);
            }
            if authorization.status == AuthorizationStatus::Pending {
                seen.retry_after = seen.retry_after.max(authorization.retry_after);
            }
            if authorization.status == AuthorizationStatus::Pending && authorization.problem().is_some() {
                seen.failures.extend(failure(&authorization));
                // step-ca looks once and leaves the challenge pending with its error; any
                // request to the challenge makes it look again.
                for challenge in authorization.challenges.iter().filter(|challenge| challenge.error.is_some())
                {
                    self.read(Operation::Challenge, &challenge.url).await?;
                }
            }
        }
        Ok(seen)
    }

    /// Why an order is invalid: the problems stand in the challenges (RFC 8555 §8), in the
    /// order itself only at some CAs.
    pub(super) async fn explain(&self, order: &Order) -> AcmeError {
        let mut failures = Vec::new();
        for url in &order.authorizations {
            match self.fetch_authorization(url).await {
                Ok(authorization) => failures.extend(failure(&authorization)),
                // The order's failure is the news, not that its reason could not be read.
                Err(error) => tracing::debug!(%error, "an authorization could not be read"),
            }
        }
        let problem = order.error.clone().map(Box::new);
        AcmeError::OrderInvalid { problem, failures }
    }

    /// Waits for `time`, or until the deadline.
    pub(super) async fn pause(&self, time: Duration) {
        let deadline = self.client.deadline().unwrap_or_else(|| Instant::now() + WAIT);
        sleep_until(deadline.min(Instant::now() + time)).await;
    }
}

/// Once the time is up, what went wrong before says more than that it is.
pub(super) fn telling(error: AcmeError, earlier: Option<AcmeError>) -> AcmeError {
    match (error, earlier) {
        (AcmeError::Deadline { .. }, Some(earlier)) => earlier,
        (error, _) => error,
    }
}

/// What the authorizations of a pending order look like.
#[derive(Default)]
struct Seen {
    /// What is wrong so far with those that can still succeed.
    failures: Vec<NameFailure>,
    /// How long the CA wants the most patient of them not to be asked again.
    retry_after: Option<Duration>,
}

/// What is wrong with an authorization that has not succeeded.
fn failure(authorization: &Authorization) -> Option<NameFailure> {
    let problem = match authorization.problem() {
        Some(problem) => problem.clone(),
        None if authorization.status.is_dead() => {
            Problem { detail: format!("its authorization is {}", authorization.status), ..Problem::default() }
        }
        None => return None,
    };
    Some(NameFailure { name: authorization.name(), problem })
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, FakeCa, authorization, opened, order};
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn an_order_that_is_done_needs_no_look() {
        let ca = FakeCa::start(|asked| Answer::json(200, &order(&asked.base, "valid"))).await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        let order = account.wait_ready(order).await.unwrap();
        account.wait_valid(order).await.unwrap();
        assert_eq!(ca.paths(), ["/order/1"]);
    }

    #[tokio::test]
    async fn a_retry_after_is_the_least_between_two_looks() {
        let ca = FakeCa::start(|asked| {
            let status = if asked.earlier == 0 { "processing" } else { "valid" };
            Answer::json(200, &order(&asked.base, status)).with("retry-after", "1")
        })
        .await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        let begun = Instant::now();
        account.wait_valid(order).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(ca.paths().len(), 2);
    }

    #[tokio::test]
    async fn a_retry_after_of_an_authorization_holds_for_its_order_too() {
        let ca = FakeCa::start(|asked| match (asked.path.as_str(), asked.earlier) {
            ("/order/1", 0..=5) => Answer::json(200, &order(&asked.base, "pending")),
            ("/order/1", _) => Answer::json(200, &order(&asked.base, "ready")),
            _ => {
                Answer::json(200, &authorization(&asked.base, "pending", &json!({}))).with("retry-after", "3")
            }
        })
        .await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        let begun = Instant::now();
        account.wait_ready(order).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_order_that_stays_pending_is_explained_by_its_authorizations() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/order/1" => Answer::json(200, &order(&asked.base, "pending")),
            _ => {
                let error =
                    json!({ "error": { "type": "urn:ietf:params:acme:error:dns", "detail": "SERVFAIL" } });
                Answer::json(200, &authorization(&asked.base, "invalid", &error))
            }
        })
        .await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        let error = account.wait_ready(order).await.unwrap_err();
        assert_eq!(error.to_string(), "the CA found the order invalid: a.test: SERVFAIL (dns)");
        assert_eq!(
            ca.paths().iter().filter(|path| *path == "/order/1").count(),
            6,
            "one look, then five more"
        );
    }

    #[tokio::test]
    async fn a_challenge_left_pending_with_an_error_is_looked_at_again() {
        // step-ca: any request to the challenge makes it try once more.
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/order/1" if asked.earlier <= 5 => Answer::json(200, &order(&asked.base, "pending")),
            "/order/1" => Answer::json(200, &order(&asked.base, "ready")),
            "/challenge/1" => Answer::json(200, &json!({})),
            _ => {
                let error = json!({ "status": "pending", "error": { "detail": "not yet" } });
                Answer::json(200, &authorization(&asked.base, "pending", &error))
            }
        })
        .await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        account.wait_ready(order).await.unwrap();
        assert!(ca.paths().contains(&"/challenge/1".to_owned()));
    }

    #[tokio::test]
    async fn an_order_whose_ca_asks_for_a_day_is_looked_at_before_its_time_is_up() {
        let ca = FakeCa::start(|asked| {
            let status = if asked.earlier == 0 { "processing" } else { "valid" };
            Answer::json(200, &order(&asked.base, status)).with("retry-after", "86400")
        })
        .await;
        let account = ca.account().until(Instant::now() + Duration::from_secs(3));
        let order = opened(&account, &ca).await;
        account.wait_valid(order).await.unwrap();
        assert_eq!(ca.paths().len(), 2);
    }

    #[tokio::test]
    async fn an_authorization_whose_ca_asks_for_a_day_is_looked_at_before_its_time_is_up() {
        let ca = FakeCa::start(|asked| {
            let status = if asked.earlier == 0 { "pending" } else { "valid" };
            Answer::json(200, &authorization(&asked.base, status, &json!({}))).with("retry-after", "86400")
        })
        .await;
        let account = ca.account().until(Instant::now() + Duration::from_secs(3));
        let pending = account.fetch_authorization(&ca.url("/authorization/1")).await.unwrap();
        account.wait_authorized(pending).await.unwrap();
        assert_eq!(ca.paths().len(), 2);
    }

    #[tokio::test]
    async fn the_deadline_of_a_wait_says_what_was_awaited() {
        let ca = FakeCa::start(|asked| Answer::json(200, &order(&asked.base, "processing"))).await;
        let account = ca.account().until(Instant::now() + Duration::from_millis(400));
        let order = opened(&account, &ca).await;
        let error = account.wait_valid(order).await.unwrap_err();
        assert_eq!(error.to_string(), "the time was up while waiting for the CA to make the certificate");
    }
}

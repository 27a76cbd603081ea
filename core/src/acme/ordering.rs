//! What an account does at its CA: opening orders, proving names, fetching and revoking
//! certificates.

use super::account::Account;
use super::authorization::{Authorization, AuthorizationStatus};
use super::certificate;
use super::challenge::{Challenge, ChallengeStatus};
use super::error::{AcmeError, NameFailure, Operation, PRE_AUTHORIZATION};
use super::limits::{LOOKS_BEFORE_AUTHORIZATIONS, ORDERS_LOOKED_AT, ORDERS_PAGES, Pace};
use super::order::{Identifier, NewOrder, NewOrderPayload, OpenOrder, Order, OrderStatus};
use super::problem::{Problem, ProblemKind};
use super::reply::Reply;
use data_encoding::BASE64URL_NOPAD;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

/// How long an order is waited for where the caller sets no deadline.
const WAIT: Duration = Duration::from_secs(600);

impl Account {
    /// Opens an order (RFC 8555 §7.4). Keep its URL before anything else is done.
    ///
    /// Dropped half-way, an order may be open at the CA.
    ///
    /// # Errors
    /// [`AcmeError::ReplyLost`] if an order may have been opened: look with
    /// [`Account::find_open_order`] before opening another one. Else what the CA says.
    pub async fn new_order(&self, new: &NewOrder) -> Result<Order, AcmeError> {
        let with_replaces = new.replaces.is_some() && self.client.directory().await?.renewal_info.is_some();
        match self.post_new_order(new, with_replaces).await {
            // RFC 9773 §5 gives alreadyReplaced; CAs also refuse certificates that they do not
            // know, that are another account's, or that share no name with the order.
            Err(AcmeError::Problem { problem, .. }) if with_replaces && refuses_replaces(&problem) => {
                tracing::info!(problem = %problem, "the CA does not take the order as a replacement");
                self.post_new_order(new, false).await
            }
            done => done,
        }
    }

    async fn post_new_order(&self, new: &NewOrder, with_replaces: bool) -> Result<Order, AcmeError> {
        let url = &self.client.directory().await?.new_order;
        let payload = NewOrderPayload::new(new, with_replaces);
        let opening = self.client.opening().begin();
        let reply = self.client.post(&self.call(Operation::NewOrder, url).payload(&payload).once()).await?;
        drop(opening);
        // Without an address the order may be open all the same.
        let lost = |cause| AcmeError::ReplyLost { during: Operation::NewOrder, cause: Box::new(cause) };
        let url = reply.location().map_err(lost)?;
        match reply.located(&url) {
            Ok(order) => Ok(with_retry_after(order, &reply)),
            // The order is open, only its description was spoilt on the way.
            Err(_) => self.fetch_order(&url).await,
        }
    }

    /// Reads an order.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn fetch_order(&self, url: &Url) -> Result<Order, AcmeError> {
        let reply = self.read(Operation::Order, url).await?;
        Ok(with_retry_after(reply.located(url)?, &reply))
    }

    /// Looks in the account's list of orders for one that is for exactly `identifiers` and
    /// can still go on.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn find_open_order(&self, identifiers: &[Identifier]) -> Result<OpenOrder, AcmeError> {
        let Some(list) = self.state().await?.orders else { return Ok(OpenOrder::NotListed) };
        let orders = match self.orders(list).await {
            Err(AcmeError::Problem { problem, .. }) if problem.status == 404 => {
                return Ok(OpenOrder::NotListed);
            }
            orders => orders?,
        };
        for url in orders.iter().rev().take(ORDERS_LOOKED_AT) {
            let order = match self.fetch_order(url).await {
                // CAs forget old orders sooner than they take them off the list.
                Err(AcmeError::Problem { .. }) => continue,
                order => order?,
            };
            let open =
                matches!(order.status, OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing);
            if open && order.is_for(identifiers) {
                return Ok(OpenOrder::Found(Box::new(order)));
            }
        }
        Ok(OpenOrder::None)
    }

    /// All orders that the account's list names (RFC 8555 §7.1.2.1); `None` if the CA keeps
    /// no list.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn list_orders(&self) -> Result<Option<Vec<Url>>, AcmeError> {
        match self.state().await?.orders {
            Some(list) => self.orders(list).await.map(Some),
            None => Ok(None),
        }
    }

    async fn orders(&self, list: Url) -> Result<Vec<Url>, AcmeError> {
        let mut orders: Vec<Url> = Vec::new();
        let mut page = Some(list);
        for _ in 0..ORDERS_PAGES {
            let Some(url) = page.take() else { break };
            let reply = self.read(Operation::OrdersList, &url).await?;
            for order in order_urls(&reply)? {
                if !orders.contains(&order) {
                    orders.push(order);
                }
            }
            page = reply.links("next").into_iter().next();
        }
        Ok(orders)
    }

    /// Opens an authorization ahead of any order (RFC 8555 §7.4.1); never for a wildcard.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`] if the CA has no newAuthz; else what the CA says.
    pub async fn new_authorization(&self, identifier: &Identifier) -> Result<Authorization, AcmeError> {
        let directory = self.client.directory().await?;
        let url = directory.new_authz.as_ref().ok_or(AcmeError::NotOffered { what: PRE_AUTHORIZATION })?;
        let payload = serde_json::json!({ "identifier": identifier });
        // Repeating is harmless: at worst one more authorization expires unused.
        let reply = self.client.post(&self.call(Operation::NewAuthorization, url).payload(&payload)).await?;
        let url = reply.location()?;
        match reply.located(&url) {
            Ok(authorization) => Ok(authorization),
            Err(_) => self.fetch_authorization(&url).await,
        }
    }

    /// Reads an authorization.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn fetch_authorization(&self, url: &Url) -> Result<Authorization, AcmeError> {
        self.client.opening().all_open().await;
        let reply = self.read(Operation::Authorization, url).await?;
        let mut authorization: Authorization = reply.located(url)?;
        authorization.retry_after = reply.retry_after;
        Ok(authorization)
    }

    /// Gives an authorization up (RFC 8555 §7.5.2); one that is dead already counts as done.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn deactivate_authorization(&self, url: &Url) -> Result<(), AcmeError> {
        let payload = serde_json::json!({ "status": "deactivated" });
        match self.client.post(&self.call(Operation::Authorization, url).payload(&payload)).await {
            Ok(_) => Ok(()),
            Err(failed) => match self.fetch_authorization(url).await {
                Ok(authorization) if authorization.status.is_dead() => Ok(()),
                _ => Err(failed),
            },
        }
    }

    /// Tells the CA that `challenge` of `authorization` can be looked at (RFC 8555 §7.5.1).
    /// One that is past `pending` is left alone.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn respond(
        &self,
        authorization: &Authorization,
        challenge: &Challenge,
    ) -> Result<(), AcmeError> {
        let mut status = challenge.status;
        let mut pace = Pace::tries();
        let mut tries = 1;
        let mut earlier = None;
        loop {
            if !matches!(status, ChallengeStatus::Pending | ChallengeStatus::Unknown) {
                return Ok(());
            }
            let call = self.call(Operation::Challenge, &challenge.url).raw_payload(b"{}".to_vec()).once();
            let failed = match self.client.post(&call).await {
                Ok(_) => return Ok(()),
                Err(failed) => telling(failed, earlier),
            };
            // A lost reply, or a CA that says the challenge is not pending any more: what
            // counts is what the authorization says now.
            let unsure = match &failed {
                AcmeError::ReplyLost { .. } => true,
                AcmeError::Problem { problem, .. } => problem.kind == ProblemKind::Malformed,
                _ => false,
            };
            if !unsure || tries >= super::limits::TRIES {
                return Err(failed);
            }
            tries += 1;
            self.pause(pace.next(None)).await;
            let now = match self.fetch_authorization(&authorization.url).await {
                Ok(now) => now,
                Err(error) => return Err(telling(error, Some(failed))),
            };
            if now.status != AuthorizationStatus::Pending {
                return Ok(());
            }
            let same = now.challenges.iter().find(|other| other.url == challenge.url);
            status = same.map_or(ChallengeStatus::Pending, |challenge| challenge.status);
            if status == ChallengeStatus::Pending && !matches!(failed, AcmeError::ReplyLost { .. }) {
                return Err(failed);
            }
            earlier = Some(failed);
        }
    }

    /// Sends the request for the certificate (RFC 8555 §7.4), PKCS#10 in DER, and returns the
    /// order as it stands then. An order that is past `ready` is returned as it is.
    ///
    /// # Errors
    /// [`AcmeError::OrderNotReady`], or what the CA says.
    pub async fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Order, AcmeError> {
        let payload = serde_json::json!({ "csr": BASE64URL_NOPAD.encode(csr) });
        let mut pace = Pace::tries();
        let mut tries = 1;
        let mut earlier = None;
        loop {
            let call = self.call(Operation::Finalize, &order.finalize).payload(&payload).once();
            let failed = match self.client.post(&call).await {
                Ok(reply) => match reply.located(&order.url) {
                    Ok(finalized) => return Ok(with_retry_after(finalized, &reply)),
                    Err(odd) => odd,
                },
                Err(failed @ (AcmeError::ReplyLost { .. } | AcmeError::OrderNotReady { .. })) => failed,
                Err(failed) => return Err(telling(failed, earlier)),
            };
            let now = match self.fetch_order(&order.url).await {
                Ok(now) => now,
                Err(error) => return Err(telling(error, Some(failed))),
            };
            match now.status {
                OrderStatus::Processing | OrderStatus::Valid => return Ok(now),
                OrderStatus::Invalid => return Err(self.explain(&now).await),
                OrderStatus::Ready if tries < super::limits::TRIES => tries += 1,
                _ => return Err(failed),
            }
            self.pause(pace.next(now.retry_after)).await;
            earlier = Some(failed);
        }
    }

    /// Waits for `time`, or until the deadline.
    async fn pause(&self, time: Duration) {
        let deadline = self.client.deadline().unwrap_or_else(|| Instant::now() + WAIT);
        sleep_until(deadline.min(Instant::now() + time)).await;
    }

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
        let mut pace = Pace::looks();
        loop {
            if authorization.status == AuthorizationStatus::Valid {
                return Ok(authorization);
            }
            let failures: Vec<_> = failure(&authorization).into_iter().collect();
            if authorization.status.is_dead() {
                return Err(AcmeError::OrderInvalid { problem: None, failures });
            }
            let now = Instant::now();
            if now >= deadline {
                let waiting_for = format!("the CA to validate `{}`", authorization.name());
                return Err(AcmeError::Deadline { waiting_for, failures });
            }
            sleep(pace.next(authorization.retry_after).min(deadline - now)).await;
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
        let mut pace = Pace::looks();
        let mut failures = Vec::new();
        let mut looks = 0;
        loop {
            if done(order.status) {
                return Ok(order);
            }
            if order.status == OrderStatus::Invalid {
                return Err(self.explain(&order).await);
            }
            let mut asked_for = order.retry_after;
            if order.status == OrderStatus::Pending && looks > 0 && looks % LOOKS_BEFORE_AUTHORIZATIONS == 0 {
                let seen = self.look_at_authorizations(&order).await?;
                failures = seen.failures;
                // The order cannot be ready before them.
                asked_for = asked_for.max(seen.retry_after);
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(AcmeError::Deadline { waiting_for: waiting_for.to_owned(), failures });
            }
            // A CA may ask for more patience than there is: the last look is at the deadline.
            sleep(pace.next(asked_for).min(deadline - now)).await;
            looks += 1;
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
    async fn explain(&self, order: &Order) -> AcmeError {
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

    /// Fetches the certificate as the CA writes it (RFC 8555 §7.4.2), PEM: the chain with an
    /// issuer whose common name is `preferred` where the CA has one, else its default.
    ///
    /// # Errors
    /// [`AcmeError::OrderNotReady`] if there is no certificate yet; else what the CA says.
    pub async fn download(&self, order: &Order, preferred: Option<&str>) -> Result<Vec<u8>, AcmeError> {
        let url = order.certificate.as_ref().ok_or_else(|| AcmeError::OrderNotReady {
            detail: format!("it is {} and names no certificate", order.status),
        })?;
        let reply = self.read_certificate(url).await?;
        let Some(preferred) = preferred else { return Ok(reply.body) };
        let has = |pem: &[u8]| certificate::issuers(pem).iter().any(|issuer| issuer == preferred);
        if has(&reply.body) {
            return Ok(reply.body);
        }
        for alternate in reply.links("alternate") {
            match self.read_certificate(&alternate).await {
                Ok(other) if has(&other.body) => return Ok(other.body),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, %alternate, "an alternate chain could not be read"),
            }
        }
        Ok(reply.body)
    }

    async fn read_certificate(&self, url: &Url) -> Result<Reply, AcmeError> {
        let call = self.call(Operation::Certificate, url).accept("application/pem-certificate-chain");
        self.client.post(&call).await
    }
}

/// Once the time is up, what went wrong before says more than that it is.
fn telling(error: AcmeError, earlier: Option<AcmeError>) -> AcmeError {
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

fn with_retry_after(order: Order, reply: &Reply) -> Order {
    Order { retry_after: reply.retry_after, ..order }
}

fn refuses_replaces(problem: &Problem) -> bool {
    match problem.kind {
        ProblemKind::AlreadyReplaced | ProblemKind::Malformed | ProblemKind::Unauthorized => true,
        _ => matches!(problem.status, 404 | 409),
    }
}

/// `{"orders":[…]}`, or a bare array (step-ca).
fn order_urls(reply: &Reply) -> Result<Vec<Url>, AcmeError> {
    let body: serde_json::Value = reply.json()?;
    let list = body.get("orders").unwrap_or(&body).as_array();
    let list = list.ok_or_else(|| reply.unexpected("a list of orders that is none"))?;
    Ok(list.iter().filter_map(|url| reply.url.join(url.as_str()?).ok()).collect())
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
    use super::super::authorization::Authorization;
    use super::super::challenge::ChallengeType;
    use super::super::fake_ca::{Answer, FakeCa, authorization, order};
    use super::super::renewal_info::CertificateId;
    use super::*;
    use serde_json::{Value, json};

    fn names() -> Vec<Identifier> {
        vec![Identifier::dns("a.test")]
    }

    async fn opened(account: &Account, ca: &FakeCa) -> Order {
        account.fetch_order(&ca.url("/order/1")).await.unwrap()
    }

    #[tokio::test]
    async fn a_lost_new_order_is_told_and_not_repeated() {
        for lost in
            [|| Answer::Close, || Answer::problem(500, "serverInternal"), || Answer::json(201, &json!({}))]
        {
            let ca = FakeCa::start(move |_| lost()).await;
            let error = ca.account().new_order(&NewOrder::of(names())).await.unwrap_err();
            assert!(matches!(error, AcmeError::ReplyLost { .. }), "{error:?}");
            assert_eq!(ca.paths(), ["/new-order"]);
        }
    }

    #[tokio::test]
    async fn an_order_whose_description_was_cut_off_is_read_again() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/new-order" => Answer::Cut { status: 201, headers: Vec::new() }.with("location", "/order/1"),
            _ => Answer::json(200, &order(&asked.base, "pending")),
        })
        .await;
        let order = ca.account().new_order(&NewOrder::of(names())).await.unwrap();
        assert_eq!(order.url, ca.url("/order/1"));
        assert_eq!(ca.paths(), ["/new-order", "/order/1"]);
    }

    #[tokio::test]
    async fn an_order_that_is_not_taken_as_a_replacement_is_opened_without() {
        let ca = FakeCa::start(|asked| match asked.payload.get("replaces") {
            Some(_) => Answer::problem(409, "alreadyReplaced"),
            None => Answer::json(201, &order(&asked.base, "pending")).with("location", "/order/1"),
        })
        .await;
        let replaces: CertificateId = serde_json::from_value(json!("abc.def")).unwrap();
        let new = NewOrder { replaces: Some(replaces), ..NewOrder::of(names()) };
        ca.account().new_order(&new).await.unwrap();
        assert_eq!(
            ca.seen().last().unwrap().payload,
            json!({ "identifiers": [{"type": "dns", "value": "a.test"}] })
        );
        assert_eq!(ca.paths().len(), 2);
    }

    #[tokio::test]
    async fn a_refusal_that_has_nothing_to_do_with_the_replacement_stands() {
        let ca = FakeCa::start(|_| Answer::problem(400, "rejectedIdentifier")).await;
        let replaces: CertificateId = serde_json::from_value(json!("abc.def")).unwrap();
        let new = NewOrder { replaces: Some(replaces), ..NewOrder::of(names()) };
        let error = ca.account().new_order(&new).await.unwrap_err();
        assert!(error.hint().unwrap().contains("another CA"), "{error:?}");
        assert_eq!(ca.paths().len(), 1);
    }

    /// A CA that lists two pages of orders, the open one on the second.
    fn list(asked: &super::super::fake_ca::Asked) -> Answer {
        let at = |path: &str| format!("{}{path}", asked.base);
        match asked.path.as_str() {
            "/account/1" => Answer::json(200, &json!({ "status": "valid", "orders": at("/orders") })),
            "/orders" => Answer::json(200, &json!({ "orders": [at("/order/1"), at("/order/2")] }))
                .with("link", r#"</orders?cursor=2>;rel="next""#),
            "/orders?cursor=2" => Answer::json(200, &json!([at("/order/3"), at("/order/2")])),
            "/order/1" => Answer::problem(404, "malformed"),
            "/order/3" => Answer::json(200, &order(&asked.base, "pending")),
            _ => Answer::json(200, &order(&asked.base, "invalid")),
        }
    }

    #[tokio::test]
    async fn an_open_order_is_found_in_a_list_of_pages() {
        let ca = FakeCa::start(list).await;
        let account = ca.account();
        let OpenOrder::Found(found) = account.find_open_order(&names()).await.unwrap() else { panic!() };
        assert_eq!(found.url, ca.url("/order/3"));
        assert_eq!(account.find_open_order(&[Identifier::dns("b.test")]).await.unwrap(), OpenOrder::None);
        assert_eq!(account.list_orders().await.unwrap().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_ca_without_a_list_cannot_tell() {
        let ca = FakeCa::start(|_| Answer::json(200, &json!({ "status": "valid" }))).await;
        assert_eq!(ca.account().find_open_order(&names()).await.unwrap(), OpenOrder::NotListed);
    }

    /// Answers for order, authorization and challenge, with the challenge's own script.
    async fn proving(script: impl Fn(usize) -> Answer + Send + Sync + 'static, challenge: Value) -> FakeCa {
        FakeCa::start(move |asked| match asked.path.as_str() {
            "/challenge/1" => script(asked.earlier),
            _ => Answer::json(200, &authorization(&asked.base, "pending", &challenge)),
        })
        .await
    }

    async fn respond(ca: &FakeCa) -> Result<(), AcmeError> {
        let account = ca.account();
        let authorization: Authorization = account.fetch_authorization(&ca.url("/authorization/1")).await?;
        account.respond(&authorization, authorization.challenge(ChallengeType::Dns01)?).await
    }

    #[tokio::test]
    async fn a_challenge_that_is_still_pending_after_a_lost_reply_is_answered_again() {
        let lost_once = |earlier| if earlier == 0 { Answer::Close } else { Answer::json(200, &json!({})) };
        let ca = proving(lost_once, json!({ "status": "pending" })).await;
        respond(&ca).await.unwrap();
        assert_eq!(ca.paths(), ["/authorization/1", "/challenge/1", "/authorization/1", "/challenge/1"]);
    }

    #[tokio::test]
    async fn a_challenge_that_is_under_way_is_not_answered_again() {
        let ca = FakeCa::start(|asked| match asked.path.as_str() {
            "/challenge/1" => Answer::Close,
            _ if asked.earlier == 0 => Answer::json(200, &authorization(&asked.base, "pending", &json!({}))),
            _ => {
                Answer::json(200, &authorization(&asked.base, "pending", &json!({ "status": "processing" })))
            }
        })
        .await;
        respond(&ca).await.unwrap();
        assert_eq!(ca.paths(), ["/authorization/1", "/challenge/1", "/authorization/1"]);
        let ca = proving(|_| Answer::Close, json!({ "status": "valid" })).await;
        respond(&ca).await.unwrap();
        assert_eq!(ca.paths(), ["/authorization/1"]);
    }

    #[tokio::test]
    async fn a_challenge_that_is_refused_is_refused() {
        let ca = proving(|_| Answer::problem(400, "malformed"), json!({ "status": "pending" })).await;
        assert!(matches!(respond(&ca).await.unwrap_err(), AcmeError::Problem { .. }));
        assert_eq!(ca.paths(), ["/authorization/1", "/challenge/1", "/authorization/1"]);
    }

    /// A CA whose order is `first` until finalize was asked once, and `then` from then on.
    async fn finalizing(reply: impl Fn() -> Answer + Send + Sync + 'static, then: &'static str) -> FakeCa {
        let asked_once = std::sync::atomic::AtomicBool::new(false);
        FakeCa::start(move |asked| match asked.path.as_str() {
            "/finalize/1" if asked.earlier == 0 => {
                asked_once.store(true, std::sync::atomic::Ordering::SeqCst);
                reply()
            }
            "/finalize/1" => Answer::json(200, &order(&asked.base, "processing")),
            _ => {
                let asked_once = asked_once.load(std::sync::atomic::Ordering::SeqCst);
                Answer::json(200, &order(&asked.base, if asked_once { then } else { "ready" }))
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_lost_finalize_is_sent_again_only_if_the_order_is_still_ready() {
        let ca = finalizing(|| Answer::Close, "ready").await;
        let account = ca.account();
        let order = account.finalize(&opened(&account, &ca).await, b"csr").await.unwrap();
        assert_eq!(order.status, OrderStatus::Processing);
        assert_eq!(ca.paths(), ["/order/1", "/finalize/1", "/order/1", "/finalize/1"]);
        assert_eq!(ca.seen().last().unwrap().payload, json!({ "csr": "Y3Ny" }));

        for reply in [|| Answer::Close, || Answer::Endless, || Answer::text(200, "text/html", "<p>")] {
            let ca = finalizing(reply, "processing").await;
            let account = ca.account();
            account.finalize(&opened(&account, &ca).await, b"csr").await.unwrap();
            assert_eq!(ca.paths(), ["/order/1", "/finalize/1", "/order/1"]);
        }
    }

    #[tokio::test]
    async fn finalizing_an_order_that_is_not_ready_says_so() {
        let ca = finalizing(|| Answer::problem(403, "orderNotReady"), "pending").await;
        let account = ca.account();
        let error = account.finalize(&opened(&account, &ca).await, b"csr").await.unwrap_err();
        assert!(matches!(error, AcmeError::OrderNotReady { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_bad_request_for_a_certificate_is_told_at_once() {
        let ca = finalizing(|| Answer::problem(400, "badCSR"), "ready").await;
        let account = ca.account();
        let error = account.finalize(&opened(&account, &ca).await, b"csr").await.unwrap_err();
        assert!(matches!(error, AcmeError::Problem { problem, .. } if problem.kind == ProblemKind::BadCsr));
        assert_eq!(ca.paths(), ["/order/1", "/finalize/1"]);
    }

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
    async fn the_deadline_of_a_wait_says_what_was_awaited() {
        let ca = FakeCa::start(|asked| Answer::json(200, &order(&asked.base, "processing"))).await;
        let account = ca.account().until(Instant::now() + Duration::from_millis(400));
        let order = opened(&account, &ca).await;
        let error = account.wait_valid(order).await.unwrap_err();
        assert_eq!(error.to_string(), "the time was up while waiting for the CA to make the certificate");
    }

    /// A PEM chain of one self-signed certificate called `name`.
    fn pem(name: &str) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[tokio::test]
    async fn the_preferred_chain_is_taken_where_there_is_one_and_dead_alternates_harm_nothing() {
        let chains = [pem("default"), pem("other")];
        let expected = chains.clone();
        let ca = FakeCa::start(move |asked| match asked.path.as_str() {
            "/certificate/1" => Answer::text(200, "application/pem-certificate-chain", &chains[0])
                .with("link", r#"</dead>;rel="alternate", </certificate/2>;rel="alternate""#),
            "/certificate/2" => Answer::text(200, "text/plain", &chains[1]),
            "/dead" => Answer::problem(404, "malformed"),
            _ => Answer::json(200, &order(&asked.base, "valid")),
        })
        .await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        assert_eq!(account.download(&order, None).await.unwrap(), expected[0].as_bytes());
        assert_eq!(account.download(&order, Some("other")).await.unwrap(), expected[1].as_bytes());
        assert_eq!(account.download(&order, Some("nobody")).await.unwrap(), expected[0].as_bytes());
        let begun = ca.paths().len();
        account.download(&order, Some("default")).await.unwrap();
        assert_eq!(ca.paths().len(), begun + 1, "alternates are not asked for without need");
    }

    #[tokio::test]
    async fn an_authorization_can_be_opened_ahead_of_an_order() {
        let ca = FakeCa::start(|asked| {
            Answer::json(201, &authorization(&asked.base, "pending", &json!({})))
                .with("location", "/authorization/9")
        })
        .await;
        let authorization = ca.account().new_authorization(&names()[0]).await.unwrap();
        assert_eq!(authorization.url, ca.url("/authorization/9"));
        assert_eq!(
            ca.seen().last().unwrap().payload,
            json!({ "identifier": { "type": "dns", "value": "a.test" } })
        );
    }

    #[tokio::test]
    async fn giving_up_a_dead_authorization_is_success() {
        let ca = FakeCa::start(|asked| match asked.payload.get("status") {
            Some(_) => Answer::problem(403, "unauthorized"),
            None => Answer::json(200, &authorization(&asked.base, "deactivated", &json!({}))),
        })
        .await;
        ca.account().deactivate_authorization(&ca.url("/authorization/1")).await.unwrap();
    }
}

//! What an account does at its CA: opening orders, proving names, fetching and revoking
//! certificates.

use super::account::Account;
use super::authorization::{Authorization, AuthorizationStatus};
use super::certificate;
use super::challenge::{Challenge, ChallengeStatus};
use super::error::{AcmeError, NameFailure, Operation};
use super::limits::{LOOKS_BEFORE_AUTHORIZATIONS, ORDERS_LOOKED_AT, ORDERS_PAGES, Pace};
use super::order::{Identifier, NewOrder, NewOrderPayload, OpenOrder, Order, OrderStatus};
use super::problem::{Problem, ProblemKind};
use super::signer::Signer;
use super::transport::{Call, Client, Reply};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use url::Url;

/// Why a certificate is revoked (RFC 5280 §5.3.1); CAs take these four from its holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// No reason given.
    #[default]
    Unspecified = 0,
    /// Someone else may have the private key.
    KeyCompromise = 1,
    /// Another certificate has taken its place.
    Superseded = 4,
    /// The names are no longer in use.
    CessationOfOperation = 5,
}

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
        let reply = self.client.post(&self.call(Operation::NewOrder, url).payload(&payload).once()).await?;
        let url = reply.location()?;
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
            let order = self.fetch_order(url).await?;
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
        let url = directory.new_authz.as_ref().ok_or(AcmeError::NotOffered { what: "pre-authorization" })?;
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
        loop {
            if !matches!(status, ChallengeStatus::Pending | ChallengeStatus::Unknown) {
                return Ok(());
            }
            let call = self.call(Operation::Challenge, &challenge.url).raw_payload(b"{}".to_vec()).once();
            let failed = match self.client.post(&call).await {
                Ok(_) => return Ok(()),
                Err(failed) => failed,
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
            sleep(pace.next(None)).await;
            let now = self.fetch_authorization(&authorization.url).await?;
            if now.status != AuthorizationStatus::Pending {
                return Ok(());
            }
            let same = now.challenges.iter().find(|other| other.url == challenge.url);
            status = same.map_or(ChallengeStatus::Pending, |challenge| challenge.status);
            if status == ChallengeStatus::Pending && !matches!(failed, AcmeError::ReplyLost { .. }) {
                return Err(failed);
            }
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
        loop {
            let call = self.call(Operation::Finalize, &order.finalize).payload(&payload).once();
            let failed = match self.client.post(&call).await {
                Ok(reply) => match reply.located(&order.url) {
                    Ok(finalized) => return Ok(with_retry_after(finalized, &reply)),
                    Err(odd) => odd,
                },
                Err(failed @ (AcmeError::ReplyLost { .. } | AcmeError::OrderNotReady { .. })) => failed,
                Err(failed) => return Err(failed),
            };
            let now = self.fetch_order(&order.url).await?;
            match now.status {
                OrderStatus::Processing | OrderStatus::Valid => return Ok(now),
                OrderStatus::Invalid => return Err(self.explain(&now).await),
                OrderStatus::Ready if tries < super::limits::TRIES => tries += 1,
                _ => return Err(failed),
            }
            sleep(pace.next(now.retry_after)).await;
        }
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

    async fn wait(
        &self,
        mut order: Order,
        waiting_for: &str,
        done: impl Fn(OrderStatus) -> bool,
    ) -> Result<Order, AcmeError> {
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + WAIT);
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
            if order.status == OrderStatus::Pending && looks > 0 && looks % LOOKS_BEFORE_AUTHORIZATIONS == 0 {
                failures = self.look_at_authorizations(&order).await?;
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(AcmeError::Deadline { waiting_for: waiting_for.to_owned(), failures });
            }
            // A CA may ask for more patience than there is: the last look is at the deadline.
            sleep(pace.next(order.retry_after).min(deadline - now)).await;
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
    /// one has failed. Returns what is wrong so far with those that can still succeed.
    async fn look_at_authorizations(&self, order: &Order) -> Result<Vec<NameFailure>, AcmeError> {
        let mut failures = Vec::new();
        for url in &order.authorizations {
            let authorization = self.fetch_authorization(url).await?;
            if authorization.status.is_dead() {
                return Err(self.explain(order).await);
            }
            if authorization.status == AuthorizationStatus::Pending && authorization.problem().is_some() {
                failures.extend(failure(&authorization));
                // step-ca looks once and leaves the challenge pending with its error; any
                // request to the challenge makes it look again.
                for challenge in authorization.challenges.iter().filter(|challenge| challenge.error.is_some())
                {
                    self.read(Operation::Challenge, &challenge.url).await?;
                }
            }
        }
        Ok(failures)
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
        tracing::warn!(preferred, "the CA has no chain with the preferred issuer; its default is taken");
        Ok(reply.body)
    }

    async fn read_certificate(&self, url: &Url) -> Result<Reply, AcmeError> {
        let call = self.call(Operation::Certificate, url).accept("application/pem-certificate-chain");
        self.client.post(&call).await
    }

    /// Revokes the certificate `der` by the account's right (RFC 8555 §7.6). One that is
    /// revoked already counts as done.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`]; else what the CA says.
    pub async fn revoke(&self, der: &[u8], reason: RevocationReason) -> Result<(), AcmeError> {
        let directory = self.client.directory().await?;
        let url = directory.revoke_cert.as_ref().ok_or(AcmeError::NotOffered { what: "revocation" })?;
        self.client.revoke(self.call(Operation::Revocation, url), der, reason).await
    }
}

impl Client {
    /// Revokes the certificate `der` by the right of its own key `signer`, without an account
    /// (RFC 8555 §7.6). One that is revoked already counts as done.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`]; else what the CA says.
    pub async fn revoke_by_certificate_key(
        &self,
        signer: &dyn Signer,
        der: &[u8],
        reason: RevocationReason,
    ) -> Result<(), AcmeError> {
        let directory = self.directory().await?;
        let url = directory.revoke_cert.as_ref().ok_or(AcmeError::NotOffered { what: "revocation" })?;
        self.revoke(Call::new(Operation::Revocation, url, signer), der, reason).await
    }

    async fn revoke(&self, call: Call<'_>, der: &[u8], reason: RevocationReason) -> Result<(), AcmeError> {
        #[derive(Serialize)]
        struct Revocation {
            certificate: String,
            reason: u8,
        }
        let payload = Revocation { certificate: BASE64URL_NOPAD.encode(der), reason: reason as u8 };
        match self.post(&call.payload(&payload)).await {
            Err(AcmeError::Problem { problem, .. }) if problem.kind == ProblemKind::AlreadyRevoked => Ok(()),
            done => done.map(|_| ()),
        }
    }
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

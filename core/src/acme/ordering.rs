//! Opening orders, and finding those that are open.

use super::account::Account;
use super::error::{AcmeError, Operation};
use super::limits::{ORDERS_LOOKED_AT, ORDERS_PAGES, between_looks};
use super::order::{Identifier, NewOrder, NewOrderPayload, OpenOrder, Order, OrderStatus};
use super::problem::{Problem, ProblemKind};
use super::reply::Reply;
use url::Url;

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
        let opening = self.client.opening();
        let under_way = opening.begin();
        let call = self.call(Operation::NewOrder, url).payload(&payload).once().among(opening);
        let reply = self.post(&call).await;
        opening.learn(&reply);
        drop(under_way);
        let reply = reply?;
        // Without an address the order may be open all the same.
        let lost = |cause| AcmeError::ReplyLost { during: Operation::NewOrder, cause: Box::new(cause) };
        let url = reply.location().map_err(lost)?;
        match reply.located(&url) {
            Ok(order) => Ok(with_retry_after(order, &reply)),
            // The order is open, only its description was spoilt on the way.
            Err(_) => self.fetch_order(&url).await.map_err(lost),
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
}

pub(super) fn with_retry_after(order: Order, reply: &Reply) -> Order {
    Order { retry_after: between_looks(reply.retry_after), ..order }
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

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, Asked, FakeCa, order};
    use super::super::renewal_info::CertificateId;
    use super::*;
    use serde_json::json;

    fn names() -> Vec<Identifier> {
        vec![Identifier::dns("a.test")]
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

    async fn order_many(ca: &FakeCa, many: usize) -> Vec<AcmeError> {
        let account = ca.account();
        let orders =
            (0..many).map(|number| {
                let account = account.clone();
                async move {
                    account.new_order(&NewOrder::of(vec![Identifier::dns(format!("{number}.test"))])).await
                }
            });
        futures_util::future::join_all(orders).await.into_iter().filter_map(Result::err).collect()
    }

    #[tokio::test]
    async fn once_a_ca_turns_every_order_away_the_rest_of_hundreds_is_not_sent() {
        let ca = FakeCa::start(|_| Answer::problem(429, "rateLimited").with("retry-after", "9000")).await;
        let errors = order_many(&ca, 300).await;
        let held_back = errors.iter().filter(|error| matches!(error, AcmeError::HeldBack { .. })).count();
        assert_eq!(errors.len(), 300);
        assert_eq!(ca.paths().len(), 300 - held_back);
        // Ten tell that it is about all of them; those in flight meanwhile were sent as well.
        assert!(ca.paths().len() <= 10 + 32, "{} were sent", ca.paths().len());
        let words = errors.last().unwrap().to_string();
        assert!(
            words.starts_with("not ordered") && words.ends_with("2026-11-22T03:30:00Z: said the CA"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn orders_that_are_turned_away_here_and_there_hold_no_other_back() {
        let ca = FakeCa::start(|asked| match asked.payload["identifiers"][0]["value"].as_str().unwrap() {
            name if name.starts_with('1') => {
                Answer::json(201, &order(&asked.base, "pending")).with("location", "/order/1")
            }
            _ => Answer::problem(429, "rateLimited").with("retry-after", "9000"),
        })
        .await;
        let account = ca.account();
        for number in (1..=9).cycle().take(45) {
            let order = NewOrder::of(vec![Identifier::dns(format!("{number}.test"))]);
            assert_eq!(account.new_order(&order).await.is_ok(), number == 1);
        }
        assert_eq!(ca.paths().len(), 45);
    }

    /// A CA that lists two pages of orders, the open one on the second.
    fn list(asked: &Asked) -> Answer {
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
}

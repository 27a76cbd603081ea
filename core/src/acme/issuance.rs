//! Issuance: the request for the certificate, and the certificate.

use super::account::Account;
use super::certificate;
use super::error::{AcmeError, Operation};
use super::limits::{Pace, TRIES};
use super::order::{Order, OrderStatus};
use super::ordering::with_retry_after;
use super::reply::Reply;
use super::waiting::telling;
use data_encoding::BASE64URL_NOPAD;
use url::Url;

impl Account {
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
            let failed = match self.post(&call).await {
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
                OrderStatus::Ready if tries < TRIES => tries += 1,
                _ => return Err(failed),
            }
            self.pause(pace.next(now.retry_after)).await;
            earlier = Some(failed);
        }
    }

    /// Fetches the certificate as the CA writes it (RFC 8555 §7.4.2), PEM: the chain that ends at
    /// the issuer with the common name `preferred`, else one that it is in, else the default.
    ///
    /// # Errors
    /// [`AcmeError::OrderNotReady`] if there is no certificate yet; else what the CA says.
    pub async fn download(&self, order: &Order, preferred: Option<&str>) -> Result<Vec<u8>, AcmeError> {
        let url = order.certificate.as_ref().ok_or_else(|| AcmeError::OrderNotReady {
            detail: format!("it is {} and names no certificate", order.status),
        })?;
        let reply = self.read_certificate(url).await?;
        let Some(preferred) = preferred else { return Ok(reply.body) };
        let mut further_down = None;
        match place_of(preferred, &reply.body) {
            Some(PlaceInChain::Top) => return Ok(reply.body),
            Some(PlaceInChain::Below) => further_down = Some(reply.body.clone()),
            None => {}
        }
        for alternate in reply.links("alternate") {
            let other = match self.read_certificate(&alternate).await {
                Ok(other) => other.body,
                Err(error) => {
                    tracing::warn!(%error, %alternate, "an alternate chain could not be read");
                    continue;
                }
            };
            match place_of(preferred, &other) {
                Some(PlaceInChain::Top) => return Ok(other),
                Some(PlaceInChain::Below) if further_down.is_none() => further_down = Some(other),
                _ => {}
            }
        }
        Ok(further_down.unwrap_or(reply.body))
    }

    async fn read_certificate(&self, url: &Url) -> Result<Reply, AcmeError> {
        let call = self.call(Operation::Certificate, url).accept("application/pem-certificate-chain");
        self.post(&call).await
    }
}

/// Where an issuer stands in a chain.
enum PlaceInChain {
    /// It is the root that the chain ends at.
    Top,
    /// A root may be here too, in a chain that leads on to another one that has signed it.
    Below,
}

fn place_of(issuer: &str, pem: &[u8]) -> Option<PlaceInChain> {
    let issuers = certificate::issuers(pem);
    match issuers.iter().rposition(|one| one == issuer)? {
        last if last + 1 == issuers.len() => Some(PlaceInChain::Top),
        _ => Some(PlaceInChain::Below),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, FakeCa, opened, order};
    use super::super::problem::ProblemKind;
    use super::*;
    use serde_json::json;

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
    async fn a_chain_that_ends_at_the_preferred_issuer_goes_before_one_that_leads_on_from_it() {
        let (wanted, signer) = (pem("wanted root"), pem("older root"));
        let chains = [pem("leaf") + &wanted + &signer, pem("leaf") + &wanted];
        let expected = chains.clone();
        let ca = FakeCa::start(move |asked| match asked.path.as_str() {
            "/certificate/1" => Answer::text(200, "application/pem-certificate-chain", &chains[0])
                .with("link", r#"</certificate/2>;rel="alternate""#),
            "/certificate/2" => Answer::text(200, "application/pem-certificate-chain", &chains[1]),
            _ => Answer::json(200, &order(&asked.base, "valid")),
        })
        .await;
        let account = ca.account();
        let order = opened(&account, &ca).await;
        let download = async |preferred| account.download(&order, Some(preferred)).await.unwrap();
        assert_eq!(download("wanted root").await, expected[1].as_bytes());
        assert_eq!(download("older root").await, expected[0].as_bytes());
        // In no chain the last one, but in the first one further down.
        assert_eq!(download("leaf").await, expected[0].as_bytes());
    }
}

//! Agreeing to terms of service that have changed (RFC 8555 §7.3.3).

use super::account::{Account, AccountState};
use super::error::{AcmeError, Operation};
use super::reply::Reply;
use super::shared::Shared;
use super::transport::Call;
use std::sync::Arc;

/// What a person has agreed to beforehand, and whether the CA was told; one for an account.
pub(super) type Agreement = Arc<Shared<()>>;

impl Account {
    /// The same account. If it is `agreed` that the person agrees to whatever terms the CA comes
    /// to have, it tells the CA so by itself when the CA insists.
    #[must_use]
    pub fn agreeing(self, agreed: bool) -> Self {
        Self { agreement: agreed.then(Agreement::default), ..self }
    }

    /// Agrees to terms of service that have changed.
    ///
    /// # Errors
    /// [`AcmeError::TermsAgreedInVain`] if the CA wants it done another way; else what it says.
    pub async fn agree_to_terms(&self) -> Result<AccountState, AcmeError> {
        let mut update = serde_json::json!({ "termsOfServiceAgreed": true });
        let contact = self.present_contact().await;
        if !contact.is_empty() {
            update["contact"] = contact.into();
        }
        self.update(&update).await.map_err(in_vain)
    }

    /// The contacts as they are: some CAs take no update that has none, and Pebble is one.
    async fn present_contact(&self) -> Vec<String> {
        let read = async {
            let url = self.parsed_url()?;
            self.client.post(&self.call(Operation::Account, &url)).await?.json::<AccountState>()
        };
        match read.await {
            Ok(state) => state.contact,
            Err(error) => {
                tracing::debug!(%error, "agreeing without the contacts");
                Vec::new()
            }
        }
    }

    /// Sends a signed request. If the CA wants its terms agreed to first, and they are agreed
    /// to beforehand, that is told it, and the request is sent once more: it was refused.
    pub(super) async fn post(&self, call: &Call<'_>) -> Result<Reply, AcmeError> {
        let refused = match (self.client.post(call).await, &self.agreement) {
            (Err(refused @ AcmeError::TermsNotAgreed { .. }), Some(agreement)) => {
                Box::pin(agreement.get(async || self.agree_by_itself(&refused).await)).await?;
                refused
            }
            (done, _) => return done,
        };
        tracing::debug!(%refused, "asking once more");
        self.client.post(call).await.map_err(in_vain)
    }

    async fn agree_by_itself(&self, refused: &AcmeError) -> Result<(), AcmeError> {
        match self.agree_to_terms().await {
            Ok(_) => {
                tracing::warn!(%refused, "the CA was told that you agree to its terms, as you have said");
                Ok(())
            }
            // The page that the CA named is of more use than why it takes no agreement this way.
            Err(AcmeError::Problem { problem, .. }) => {
                tracing::debug!(%problem, "the CA takes no agreement from here");
                Err(in_vain(refused.clone()))
            }
            Err(error) => Err(error),
        }
    }
}

/// Nobody who has agreed is told to agree.
fn in_vain(error: AcmeError) -> AcmeError {
    match error {
        AcmeError::TermsNotAgreed { url, instance } => {
            AcmeError::TermsAgreedInVain { page: instance.or(url) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, Asked, FakeCa, order};
    use super::super::order::{Identifier, NewOrder};
    use super::*;
    use serde_json::json;

    fn new_terms() -> Answer {
        let body = json!({
            "type": "urn:ietf:params:acme:error:userActionRequired",
            "detail": "the terms have changed", "instance": "/agree",
        });
        Answer::json(403, &body).with("link", r#"</terms/2>;rel="terms-of-service""#)
    }

    fn opened(asked: &Asked) -> Answer {
        Answer::json(201, &order(&asked.base, "pending")).with("location", "/order/1")
    }

    async fn ask(account: &Account) -> Result<(), AcmeError> {
        account.new_order(&NewOrder::of(vec![Identifier::dns("a.test")])).await.map(|_| ())
    }

    #[tokio::test]
    async fn changed_terms_are_agreed_to_once_and_the_request_is_repeated() {
        let agreed = std::sync::atomic::AtomicBool::new(false);
        let ca = FakeCa::start(move |asked| match asked.path.as_str() {
            "/account/1" => {
                agreed.store(
                    asked.payload["termsOfServiceAgreed"] == true,
                    std::sync::atomic::Ordering::SeqCst,
                );
                Answer::json(200, &json!({ "status": "valid", "contact": ["mailto:b@example.com"] }))
            }
            _ if agreed.load(std::sync::atomic::Ordering::SeqCst) => opened(asked),
            _ => new_terms(),
        })
        .await;
        let account = ca.account().agreeing(true);
        let orders = futures_util::future::join_all((0..20).map(|_| ask(&account))).await;
        assert!(orders.iter().all(Result::is_ok), "{orders:?}");
        let told = ca.seen().into_iter().filter(|asked| asked.path == "/account/1");
        let told: Vec<_> = told.map(|asked| asked.payload).filter(|payload| !payload.is_null()).collect();
        let agreement = json!({ "termsOfServiceAgreed": true, "contact": ["mailto:b@example.com"] });
        assert_eq!(told, [agreement], "once for all of them, and the contacts stay");
    }

    #[tokio::test]
    async fn what_nobody_has_agreed_to_is_not_agreed_to_and_the_terms_are_shown() {
        let ca = FakeCa::start(|_| new_terms()).await;
        let error = ask(&ca.account().agreeing(false)).await.unwrap_err();
        let words = format!("the CA's terms of service are not agreed to: {}/terms/2", ca.base);
        assert_eq!(error.to_string(), words);
        assert_eq!(ca.paths(), ["/new-order"]);
    }

    #[tokio::test]
    async fn a_ca_that_wants_its_page_visited_names_the_page_and_is_not_asked_for_ever() {
        let takes_it = |asked: &Asked| match asked.path.as_str() {
            "/account/1" => Answer::json(200, &json!({ "status": "valid" })),
            _ => new_terms(),
        };
        let refuses_it = |asked: &Asked| match asked.path.as_str() {
            "/account/1" => Answer::problem(400, "malformed"),
            _ => new_terms(),
        };
        for (script, requests) in
            [(takes_it as fn(&Asked) -> Answer, 4), (refuses_it, 3), (|_| new_terms(), 3)]
        {
            let ca = FakeCa::start(script).await;
            let error = ask(&ca.account().agreeing(true)).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the CA wants its terms of service agreed to at {}/agree", ca.base)
            );
            assert!(error.hint().unwrap().contains("in a browser"), "{error:?}");
            assert_eq!(ca.paths().len(), requests);
        }
    }

    #[tokio::test]
    async fn an_action_that_has_nothing_to_do_with_terms_is_told_as_it_is() {
        let ca = FakeCa::start(|_| {
            let body = json!({
                "type": "urn:ietf:params:acme:error:userActionRequired",
                "detail": "the account is on hold", "instance": "https://ca.test/hold",
            });
            Answer::json(403, &body)
        })
        .await;
        let error = ask(&ca.account().agreeing(true)).await.unwrap_err();
        assert!(error.to_string().ends_with("the account is on hold (userActionRequired)"), "{error}");
        assert_eq!(error.hint().unwrap(), "something has to be done at https://ca.test/hold first");
        assert_eq!(ca.paths(), ["/new-order"]);
    }
}

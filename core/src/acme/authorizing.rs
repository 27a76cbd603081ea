//! Proving names: authorizations, and answering their challenges.

use super::account::Account;
use super::authorization::{Authorization, AuthorizationStatus};
use super::challenge::{Challenge, ChallengeStatus};
use super::error::{AcmeError, Operation, PRE_AUTHORIZATION};
use super::limits::{Pace, TRIES, between_looks};
use super::order::Identifier;
use super::problem::ProblemKind;
use super::waiting::telling;
use url::Url;

impl Account {
    /// Opens an authorization ahead of any order (RFC 8555 §7.4.1); never for a wildcard.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`] if the CA has no newAuthz; else what the CA says.
    pub async fn new_authorization(&self, identifier: &Identifier) -> Result<Authorization, AcmeError> {
        let directory = self.client.directory().await?;
        let url = directory.new_authz.as_ref().ok_or(AcmeError::NotOffered { what: PRE_AUTHORIZATION })?;
        let payload = serde_json::json!({ "identifier": identifier });
        // Repeating is harmless: at worst one more authorization expires unused.
        let reply = self.post(&self.call(Operation::NewAuthorization, url).payload(&payload)).await?;
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
        authorization.retry_after = between_looks(reply.retry_after);
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
            let failed = match self.post(&call).await {
                Ok(_) => return Ok(()),
                Err(failed) => telling(failed, earlier),
            };
            if !leaves_unsure(&failed) || tries >= TRIES {
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
}

/// A lost reply, or a CA that says the challenge is not pending any more: what counts is what
/// the authorization says now.
fn leaves_unsure(failed: &AcmeError) -> bool {
    match failed {
        AcmeError::ReplyLost { .. } => true,
        AcmeError::Problem { problem, .. } => problem.kind == ProblemKind::Malformed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::challenge::ChallengeType;
    use super::super::fake_ca::{Answer, FakeCa, authorization};
    use super::*;
    use serde_json::{Value, json};

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

    #[tokio::test]
    async fn an_authorization_can_be_opened_ahead_of_an_order() {
        let ca = FakeCa::start(|asked| {
            Answer::json(201, &authorization(&asked.base, "pending", &json!({})))
                .with("location", "/authorization/9")
        })
        .await;
        let authorization = ca.account().new_authorization(&Identifier::dns("a.test")).await.unwrap();
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

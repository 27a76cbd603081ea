//! Who asks: requests are signed, or carry a token.

use crate::config::{Config, Proof};
use crate::error;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::HEXLOWER;
use dns01_provider::ProviderError;
use dns01_provider::http::{AccessToken, HttpClient, Request};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One identity, with the token that it has at the moment, or what it knows of the service's
/// clock.
#[derive(Debug)]
pub(crate) struct Identity {
    proof: Proof,
    client: HttpClient,
    token: AccessToken,
    /// Seconds that the service's clock is ahead of ours.
    ahead: Mutex<Option<i64>>,
}

impl Identity {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            proof: config.proof.clone(),
            client: config.client.clone(),
            token: AccessToken::default(),
            ahead: Mutex::default(),
        }
    }

    /// True for an application with rules, false for an account with a policy.
    pub(crate) fn has_rules(&self) -> bool {
        matches!(self.proof, Proof::Signature { .. })
    }

    /// Puts the proof into `request`, which is complete.
    pub(crate) async fn prove<'a>(&self, request: Request<'a>) -> Result<Request<'a>, ProviderError> {
        let token = match &self.proof {
            Proof::Signature { key, secret, consumer } => {
                let (key, secret, consumer) =
                    (key.read().await?, secret.read().await?, consumer.read().await?);
                let time = now().saturating_add(self.ahead().await?);
                let signature = signature(&request, &secret, &consumer, time);
                return Ok(request
                    .secret_header("x-ovh-application", key)
                    .secret_header("x-ovh-consumer", consumer)
                    .secret_header("x-ovh-signature", signature.into())
                    .header("x-ovh-timestamp", &time.to_string())
                    .hiding(secret));
            }
            Proof::ServiceAccount(address) => {
                let fetch = || async {
                    let form = [("grant_type", "client_credentials"), ("scope", "all")];
                    let reply = address.client.post(&address.path).form(&form).send().await?;
                    if reply.status() == 200 { reply.json() } else { Err(error::no_token(&reply)) }
                };
                self.token.get(fetch).await?
            }
            Proof::AccessToken(token) => self.token.get(|| async { Ok(token.read().await?.into()) }).await?,
        };
        Ok(request.bearer(&token))
    }

    /// The service has refused the proof: the token may have ended, our clock may have been set.
    pub(crate) async fn forget(&self) {
        self.token.forget().await;
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How far the service's clock is ahead, asked once.
    async fn ahead(&self) -> Result<i64, ProviderError> {
        let known = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ahead) = known {
            return Ok(ahead);
        }
        let reply = self.client.get("auth/time").send().await?;
        if reply.status() != 200 {
            return Err(error::failure(&reply).into());
        }
        let ahead = reply.json::<i64>()?.saturating_sub(now());
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        Ok(ahead)
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or_default()
}

/// SHA-1 is what the service asks for; a long secret stands in front of what is signed.
fn signature(request: &Request<'_>, secret: &SecretString, consumer: &SecretString, time: i64) -> String {
    let (secret, consumer) = (secret.expose_secret(), consumer.expose_secret());
    let mut signed = format!("{secret}+{consumer}+{}+{}+", request.method(), request.address()).into_bytes();
    signed.extend_from_slice(request.body());
    signed.extend_from_slice(format!("+{time}").as_bytes());
    format!("$1${}", HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &signed).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of `sha1sum` over the text that the service documents.
    #[test]
    fn a_request_is_signed_over_method_address_body_and_time() {
        let client = HttpClient::builder("https://eu.api.ovh.com/1.0").unwrap().build();
        let sign =
            |request: Request<'_>| signature(&request, &"secret".into(), &"consumer".into(), 1_800_000_000);
        let get = client.get("domain/zone/example.com/record").query("subDomain", "_acme-challenge");
        assert_eq!(sign(get), "$1$2d642d1293414302a91dd2f863a2195cc7de8777");
        let post =
            client.post("domain/zone/example.com/record").json(&serde_json::json!({ "ttl": 60 })).unwrap();
        assert_eq!(sign(post), "$1$1a92f1bb6d9d5ab23a7ecd8c8e3eab6402eded18");
    }
}

//! Who asks: an application, the machine itself, or a token made elsewhere.

use crate::config::{Config, Machine, Proof};
use crate::error;
use dns01_provider::http::{AccessToken, HttpClient, Reply, Request, TokenReply};
use dns01_provider::{ProviderError, SecretRef};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One identity, with the token that it has at the moment.
#[derive(Debug)]
pub(crate) struct Identity {
    proof: Proof,
    audience: &'static str,
    login: HttpClient,
    machine: Machine,
    token: AccessToken,
}

impl Identity {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            proof: config.proof.clone(),
            audience: config.audience,
            login: config.login.clone(),
            machine: config.machine.clone(),
            token: AccessToken::default(),
        }
    }

    /// Sends what `request` makes, in the identity's name.
    pub(crate) async fn send<'a>(
        &self,
        request: impl Fn() -> Result<Request<'a>, ProviderError>,
    ) -> Result<Reply, ProviderError> {
        self.token.send(|| self.fetch(), request).await
    }

    /// A token that is good for a while.
    async fn fetch(&self) -> Result<TokenReply, ProviderError> {
        match &self.proof {
            Proof::Secret { tenant, client, secret } => {
                self.log_in(tenant, client, "client_secret", secret).await
            }
            Proof::Assertion { tenant, client, assertion } => {
                self.log_in(tenant, client, "client_assertion", assertion).await
            }
            Proof::AccessToken(token) => Ok(token.read().await?.into()),
            Proof::Managed(client) => self.managed(client.as_deref()).await,
        }
    }

    /// A token for an application (RFC 6749 §4.4, RFC 7523 §2.2).
    async fn log_in(
        &self,
        tenant: &str,
        client: &str,
        field: &str,
        secret: &SecretRef,
    ) -> Result<TokenReply, ProviderError> {
        let secret = secret.read().await?;
        let scope = format!("{}/.default", self.audience);
        let mut form = vec![
            ("client_id", client),
            ("grant_type", "client_credentials"),
            ("scope", &scope),
            (field, secret.expose_secret()),
        ];
        if field == "client_assertion" {
            form.push(("client_assertion_type", ASSERTION_TYPE));
        }
        let request = self.login.post(&format!("{tenant}/oauth2/v2.0/token")).form(&form);
        let reply = request.hiding(secret.clone()).send().await?;
        if reply.status() == 200 { reply.json() } else { Err(error::no_token(&reply)) }
    }

    /// A token for the machine.
    async fn managed(&self, client: Option<&str>) -> Result<TokenReply, ProviderError> {
        let mut request: Request<'_> = match &self.machine {
            Machine::Metadata(metadata) => metadata
                .get("metadata/identity/oauth2/token")
                .header("metadata", "true")
                .query("api-version", "2018-02-01"),
            Machine::Endpoint { client, path, header } => client
                .get(path)
                .secret_header("x-identity-header", header.read().await?)
                .query("api-version", "2019-08-01"),
        };
        request = request.query("resource", self.audience);
        if let Some(client) = client {
            request = request.query("client_id", client);
        }
        let reply = request.send().await.map_err(error::no_machine)?;
        if reply.status() != 200 {
            return Err(error::machine_refused(&reply));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(reply.json::<MachineToken>()?.lasting(now))
    }
}

/// What machines get: the end of a token is a time, as a text or a number.
#[derive(Deserialize)]
struct MachineToken {
    access_token: SecretString,
    #[serde(default)]
    expires_on: serde_json::Value,
}

impl MachineToken {
    fn lasting(self, now: u64) -> TokenReply {
        let end = self.expires_on.as_u64().or_else(|| self.expires_on.as_str()?.parse().ok());
        TokenReply { access_token: self.access_token, expires_in: end.map(|end| end.saturating_sub(now)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_machines_token_is_a_time() {
        let life = |end: &str| {
            let token = format!(r#"{{"access_token":"t","expires_on":{end}}}"#);
            serde_json::from_str::<MachineToken>(&token).unwrap().lasting(1000).expires_in
        };
        assert_eq!(life("\"4600\""), Some(3600));
        assert_eq!(life("4600"), Some(3600));
        assert_eq!(life("\"900\""), Some(0));
        assert_eq!(life("null"), None);
    }
}

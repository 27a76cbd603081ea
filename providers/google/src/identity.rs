//! Who asks: a service account with its key, the machine itself, or a token made elsewhere.

use crate::config::{Config, Proof, is_plain};
use crate::error;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use dns01_provider::http::{AccessToken, HttpClient, Reply, Request, TokenReply, origin_and_path};
use dns01_provider::{ProviderError, ProviderErrorKind, SecretRef};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// What a token is asked for: DNS and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
/// Where keys are turned into tokens, unless the key says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// Seconds that a signed request for a token is good for: the most that is allowed.
const ASSERTION_LIFE: u64 = 3600;

/// One identity, with the token that it has at the moment.
#[derive(Debug)]
pub(crate) struct Identity {
    proof: Proof,
    metadata: HttpClient,
    token: AccessToken,
    configured: Option<String>,
    project: OnceCell<String>,
}

/// A service account's key as Google hands it out, as far as it is needed.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: SecretString,
    private_key_id: Option<String>,
    project_id: Option<String>,
    token_uri: Option<String>,
}

impl Identity {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            proof: config.proof.clone(),
            metadata: config.metadata.clone(),
            token: AccessToken::default(),
            configured: config.project.clone(),
            project: OnceCell::new(),
        }
    }

    /// The project that has the zones.
    pub(crate) async fn project(&self) -> Result<&str, ProviderError> {
        if let Some(project) = &self.configured {
            return Ok(project);
        }
        let found = self.project.get_or_try_init(|| async {
            let found = match &self.proof {
                Proof::ServiceAccount(key) => read(key).await?.project_id.unwrap_or_default(),
                _ => {
                    let reply = metadata(&self.metadata, "project/project-id", &[]).await?;
                    String::from_utf8_lossy(reply.body()).trim().to_owned()
                }
            };
            if is_plain(&found) { Ok(found) } else { Err(error::no_project()) }
        });
        found.await.map(String::as_str)
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
            Proof::ServiceAccount(key) => token_for(&read(key).await?).await,
            Proof::AccessToken(token) => Ok(token.read().await?.into()),
            Proof::Machine => {
                let path = "instance/service-accounts/default/token";
                metadata(&self.metadata, path, &[("scopes", SCOPE)]).await?.json()
            }
        }
    }
}

/// Reads the key, anew each time: it may have been rotated.
async fn read(key: &SecretRef) -> Result<ServiceAccount, ProviderError> {
    let text = key.read().await?;
    parsed(text.expose_secret(), key)
}

fn parsed(text: &str, place: &SecretRef) -> Result<ServiceAccount, ProviderError> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    // serde's own words could quote the key.
    let malformed = |_| error::not_a_key(place);
    let Kind { kind } = serde_json::from_str(text).map_err(malformed)?;
    if kind != "service_account" {
        return Err(error::other_kind(place, &kind));
    }
    serde_json::from_str(text).map_err(malformed)
}

/// Exchanges a request signed with the key for a token (RFC 7523 §2.1).
async fn token_for(account: &ServiceAccount) -> Result<TokenReply, ProviderError> {
    let uri = account.token_uri.as_deref().unwrap_or(TOKEN_URI);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let assertion = assertion(account, uri, now)?;
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
    let (origin, path) = origin_and_path(uri).map_err(error::no_address)?;
    let client = HttpClient::builder(&origin)
        .map_err(|error| ProviderError::new(ProviderErrorKind::Auth, error.to_string()))?
        .build();
    let request = client.post(&path).form(&form).hiding(SecretString::from(assertion.as_str()));
    let reply = request.send().await?;
    if reply.status() == 200 { reply.json() } else { Err(error::no_token(&reply)) }
}

/// The signed request (RFC 7515 §3.1, RFC 7523 §3), good from `now` on.
fn assertion(account: &ServiceAccount, audience: &str, now: u64) -> Result<String, ProviderError> {
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = &account.private_key_id {
        header["kid"] = json!(id);
    }
    let claims = json!({
        "iss": account.client_email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + ASSERTION_LIFE,
    });
    let part = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(&claims));
    let key = pem::parse(account.private_key.expose_secret())
        .ok()
        .and_then(|der| RsaKeyPair::from_pkcs8(der.contents()).ok())
        .ok_or_else(error::unusable_key)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
        .map_err(|_| error::unusable_key())?;
    Ok(format!("{input}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// Asks the machine's metadata server. Its replies carry the header as well: others come from
/// something else that listens there.
async fn metadata(client: &HttpClient, path: &str, query: &[(&str, &str)]) -> Result<Reply, ProviderError> {
    let mut request = client.get(path).header("metadata-flavor", "Google");
    for (name, value) in query {
        request = request.query(name, value);
    }
    let reply = request.send().await.map_err(error::no_metadata)?;
    if reply.status() != 200 {
        return Err(error::metadata_refused(&reply));
    }
    if reply.header("metadata-flavor") != Some("Google") {
        return Err(error::not_metadata(&reply));
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    fn place() -> SecretRef {
        SecretRef::File("/run/key.json".into())
    }

    fn account(key: &RsaKeyPair) -> ServiceAccount {
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()));
        let text = json!({
            "type": "service_account", "client_email": "dns01@p.example", "private_key": pem,
            "private_key_id": "k1", "project_id": "p",
        });
        parsed(&text.to_string(), &place()).unwrap()
    }

    #[test]
    fn an_assertion_is_signed_over_header_and_claims() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let assertion = assertion(&account(&key), "https://token.example/t", 1_800_000_000).unwrap();
        let (input, signature) = assertion.rsplit_once('.').unwrap();
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref())
            .verify(input.as_bytes(), &BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap())
            .unwrap();
        let (header, claims) = input.split_once('.').unwrap();
        let read = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
        };
        assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
        let expected = json!({
            "iss": "dns01@p.example", "scope": SCOPE, "aud": "https://token.example/t",
            "iat": 1_800_000_000, "exp": 1_800_003_600,
        });
        assert_eq!(read(claims), expected);
    }

    #[test]
    fn what_is_no_service_accounts_key_is_refused_without_being_shown() {
        let refused = |text: &str| parsed(text, &place()).err().unwrap();
        for text in ["hunter2", "{}", r#"{"type":"service_account","private_key":"hunter2"}"#] {
            let error = refused(text);
            assert_eq!(error.kind(), ProviderErrorKind::Auth, "{error}");
            assert!(error.hint().is_some() && error.to_string().contains("/run/key.json"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let error = refused(r#"{"type":"external_account","audience":"x"}"#);
        assert!(error.to_string().contains("`external_account`"), "{error}");
        let mut broken = account(&RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        broken.private_key = SecretString::from("hunter2");
        let error = assertion(&broken, TOKEN_URI, 0).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

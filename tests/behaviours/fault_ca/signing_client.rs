//! As much of an ACME client as it takes to sign requests of the test's choice.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use dns01_tests::fault_ca::FaultCa;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(super) struct SigningClient {
    http: reqwest::Client,
    pub(super) directory: Value,
    key: EcdsaKeyPair,
    account: String,
}

/// Status, Location and body of a reply.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) location: String,
    pub(super) text: String,
}

impl Told {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl SigningClient {
    /// A client with a new account.
    pub(super) async fn register(ca: &FaultCa) -> Self {
        let root = reqwest::Certificate::from_pem(ca.root_pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([root]).user_agent("a test").no_proxy();
        let http = http.build().unwrap();
        let directory = http.get(ca.directory()).send().await.unwrap().bytes().await.unwrap();
        let directory: Value = serde_json::from_slice(&directory).unwrap();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let mut client = Self { http, directory, key, account: String::new() };
        let url = client.url("newAccount");
        client.account = client.post(&url, json!({ "termsOfServiceAgreed": true })).await.location;
        client
    }

    pub(super) fn url(&self, resource: &str) -> String {
        self.directory[resource].as_str().unwrap().to_owned()
    }

    /// A signed POST of `payload`; `Value::Null` makes it a POST-as-GET.
    pub(super) async fn post(&self, url: &str, payload: Value) -> Told {
        let nonce = self.http.head(self.url("newNonce")).send().await.unwrap();
        let nonce = nonce.headers()["replay-nonce"].to_str().unwrap().to_owned();
        let mut header = json!({ "alg": "ES256", "nonce": nonce, "url": url });
        if self.account.is_empty() {
            header["jwk"] = self.jwk();
        } else {
            header["kid"] = json!(self.account);
        }
        let protected = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
        let payload = if payload.is_null() { String::new() } else { payload.to_string() };
        let payload = BASE64URL_NOPAD.encode(payload.as_bytes());
        let signed =
            self.key.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.encode(signed.as_ref());
        let jws = json!({ "protected": protected, "payload": payload, "signature": signature });
        let request = self.http.post(url).header("content-type", "application/jose+json");
        let reply = request.body(jws.to_string()).send().await.unwrap();
        let location = reply.headers().get("location").map(|url| url.to_str().unwrap().to_owned());
        Told {
            status: reply.status().as_u16(),
            location: location.unwrap_or_default(),
            text: reply.text().await.unwrap(),
        }
    }

    /// Answers a dns-01 challenge of each authorization of `order`.
    pub(super) async fn prove(&self, order: &Value) {
        for authorization in order["authorizations"].as_array().unwrap() {
            let authorization = self.post(authorization.as_str().unwrap(), Value::Null).await.json();
            let challenges = authorization["challenges"].as_array().unwrap();
            let challenge = challenges.iter().find(|challenge| challenge["type"] == "dns-01").unwrap();
            self.post(challenge["url"].as_str().unwrap(), json!({})).await;
        }
    }

    /// Reads the object at `url` until it has this status.
    pub(super) async fn until(&self, url: &str, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let told = self.post(url, Value::Null).await.json();
            if told["status"] == status {
                return;
            }
            assert!(Instant::now() < deadline, "not {status}: {told}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The TXT value that proves a challenge with `token` (RFC 8555 §8.4).
    pub(super) fn text_value(&self, token: &str) -> String {
        let thumbprint = digest(&SHA256, self.jwk().to_string().as_bytes());
        let key_authorization = format!("{token}.{}", BASE64URL_NOPAD.encode(thumbprint.as_ref()));
        BASE64URL_NOPAD.encode(digest(&SHA256, key_authorization.as_bytes()).as_ref())
    }

    /// The public key; `Value` keeps its members in the order of their names, as RFC 7638 wants.
    fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({ "crv": "P-256", "kty": "EC", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y) })
    }
}

/// A certificate request for `names`, as finalize wants it.
pub(super) fn request_for(names: &[&str]) -> Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let request = rcgen::CertificateParams::new(names).unwrap().serialize_request(&key).unwrap();
    json!({ "csr": BASE64URL_NOPAD.encode(request.der()) })
}

/// A newOrder or newAuthz payload's identifier.
pub(super) fn dns(name: &str) -> Value {
    json!({ "type": "dns", "value": name })
}

//! The HTTP client that all HTTP plugins share.
//!
//! It reads secrets at each request, never follows a redirect to another host, bounds time and
//! body, and turns a bad answer into a [`ProviderError`] that shows no secret. Making one costs
//! nothing; connections and trust roots are set up by the first request.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use dns01_provider::SecretRef;
//! use dns01_provider::http::{Credentials, HttpClient};
//!
//! let token = SecretRef::Env("API_TOKEN".into());
//! let client = HttpClient::builder("https://api.example.net/v1")?.credentials(Credentials::bearer(token)).build();
//! let reply = client.post("zones/1/records").json(&serde_json::json!({ "type": "TXT" }))?.send().await?;
//! let record: serde_json::Value = reply.success()?.json()?;
//! # Ok(())
//! # }
//! ```

mod access_token;
mod reply;
#[cfg(test)]
mod tests;

pub use access_token::{AccessToken, TokenReply};
pub use reply::{Reply, in_short};

use crate::error::{ProviderError, ProviderErrorKind};
use crate::plugin::SettingsError;
use crate::secret::SecretRef;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::OnceCell;
use url::Url;

/// A connection may take this long to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A request may take this long in all, unless [`Builder::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body that is read, unless [`Builder::body_cap`] says otherwise.
const BODY_CAP: usize = 1024 * 1024;
/// Redirects of one GET that are followed, all on the same host.
const REDIRECTS: usize = 3;

/// A client for one service. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct HttpClient(Arc<Shared>);

struct Shared {
    base: Url,
    headers: HeaderMap,
    credentials: Vec<Credentials>,
    ca_bundle: Option<PathBuf>,
    timeout: Duration,
    body_cap: usize,
    client: OnceCell<reqwest::Client>,
}

/// What proves to the service who asks. The secret is read at each request.
#[derive(Clone)]
pub struct Credentials(Proof);

#[derive(Clone)]
enum Proof {
    Header { name: HeaderName, prefix: &'static str, secret: SecretRef },
    Basic { user: String, password: SecretRef },
}

impl Credentials {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(token: SecretRef) -> Self {
        Self::authorization("Bearer ", token)
    }

    /// `Authorization: …` in a scheme of the service's own; `scheme` ends with a blank.
    #[must_use]
    pub fn authorization(scheme: &'static str, secret: SecretRef) -> Self {
        Self(Proof::Header { name: header::AUTHORIZATION, prefix: scheme, secret })
    }

    /// `Authorization: Token …`, as services made with Django REST framework want it.
    #[must_use]
    pub fn token(token: SecretRef) -> Self {
        Self(Proof::Header { name: header::AUTHORIZATION, prefix: "Token ", secret: token })
    }

    /// A header of the service's own, whose whole value is the secret.
    ///
    /// # Panics
    /// `name` is not a header name in lower case.
    #[must_use]
    pub fn header(name: &'static str, secret: SecretRef) -> Self {
        Self(Proof::Header { name: HeaderName::from_static(name), prefix: "", secret })
    }

    /// `Authorization: Basic …` (RFC 7617).
    pub fn basic(user: impl Into<String>, password: SecretRef) -> Self {
        Self(Proof::Basic { user: user.into(), password })
    }
}

/// Settings of an [`HttpClient`] to be.
#[derive(Debug)]
pub struct Builder(Shared);

impl HttpClient {
    /// A client for the service at `base`; what requests name is relative to it.
    ///
    /// # Errors
    /// `base` is no `http` or `https` address, or has a user, a password, a query or a
    /// fragment.
    pub fn builder(base: &str) -> Result<Builder, SettingsError> {
        let wrong = |what: &str| SettingsError::new(None, format!("the service's address {what}"));
        let mut base = Url::parse(base).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        if !matches!(base.scheme(), "https" | "http") {
            return Err(wrong("must begin with `https://`"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("must not hold a user or a password")
                .with_hint("secrets have settings of their own, which are never shown"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("must end with its path"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Builder(Shared {
            base,
            headers,
            credentials: Vec::new(),
            ca_bundle: None,
            timeout: TIMEOUT,
            body_cap: BODY_CAP,
            client: OnceCell::new(),
        }))
    }

    /// A GET of `path`, relative to the base.
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// A POST to `path`, relative to the base.
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    /// A PUT to `path`, relative to the base.
    pub fn put(&self, path: &str) -> Request<'_> {
        self.request(Method::PUT, path)
    }

    /// A PATCH of `path`, relative to the base.
    pub fn patch(&self, path: &str) -> Request<'_> {
        self.request(Method::PATCH, path)
    }

    /// A DELETE of `path`, relative to the base.
    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    fn request(&self, method: Method, path: &str) -> Request<'_> {
        let mut url = self.0.base.clone();
        // Joined as text: a segment with a colon would be taken for another scheme by
        // `Url::join`, and would leave the host.
        url.set_path(&format!("{}{}", self.0.base.path(), path.trim_start_matches('/')));
        Request {
            client: self,
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            secrets: Vec::new(),
            wrong: None,
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.base)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Proof::Header { name, secret, .. } => write!(f, "Credentials({name} from {secret})"),
            Proof::Basic { password, .. } => write!(f, "Credentials(password from {password})"),
        }
    }
}

impl Builder {
    /// Sends `credentials` with every request.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.0.credentials.push(credentials);
        self
    }

    /// Trusts the roots of this PEM file only, for services behind a private CA.
    #[must_use]
    pub fn ca_bundle(mut self, path: PathBuf) -> Self {
        self.0.ca_bundle = Some(path);
        self
    }

    /// The time that one request may take in all; 30 s otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// The octets of body that are read at most; 1 MiB otherwise.
    #[must_use]
    pub fn body_cap(mut self, octets: usize) -> Self {
        self.0.body_cap = octets;
        self
    }

    /// The client; the network is not touched before its first request.
    #[must_use]
    pub fn build(self) -> HttpClient {
        HttpClient(Arc::new(self.0))
    }
}

impl Shared {
    async fn client(&self) -> Result<&reqwest::Client, ProviderError> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<reqwest::Client, ProviderError> {
        let failed = |message: String| ProviderError::new(ProviderErrorKind::Invalid, message);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("dns01/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &self.ca_bundle {
            let shown = path.display();
            let pem = tokio::fs::read(path).await.map_err(|error| {
                failed(format!("the CA bundle `{shown}` cannot be read")).with_source(error)
            })?;
            let roots = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if roots.is_empty() {
                return Err(failed(format!("the CA bundle `{shown}` has no certificate in PEM form")));
            }
            builder = builder.tls_certs_only(roots);
        }
        builder.build().map_err(|error| failed("no HTTP client can be made".to_owned()).with_source(error))
    }

    /// The headers that prove who asks, and the secrets in them, which must not be shown.
    async fn prove(&self) -> Result<(HeaderMap, Vec<SecretString>), ProviderError> {
        let mut headers = self.headers.clone();
        let mut secrets = Vec::new();
        for Credentials(proof) in &self.credentials {
            let (name, prefix, secret) = match proof {
                Proof::Header { name, prefix, secret } => (name.clone(), *prefix, secret.read().await),
                Proof::Basic { user, password } => {
                    let pair = password.read().await.map(|password| {
                        secrets.push(password.clone());
                        basic(user, &password)
                    });
                    (header::AUTHORIZATION, "Basic ", pair)
                }
            };
            let unread = |error| {
                ProviderError::new(ProviderErrorKind::Auth, "the credential cannot be read")
                    .with_source(error)
            };
            let secret = secret.map_err(unread)?;
            let text = SecretString::from(format!("{prefix}{}", secret.expose_secret()));
            headers.insert(name, sensitive(&text)?);
            secrets.push(secret);
        }
        Ok((headers, secrets))
    }
}

/// A header's value that the HTTP library does not show either.
fn sensitive(text: &SecretString) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text.expose_secret()).map_err(|_| unfit("the credential"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unfit(what: &str) -> ProviderError {
    let message = format!("{what} has characters that no header can carry");
    ProviderError::new(ProviderErrorKind::Auth, message)
        .with_hint("look for line breaks in the middle of the secret")
}

fn basic(user: &str, password: &SecretString) -> SecretString {
    let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
    SecretString::from(data_encoding::BASE64.encode(pair.expose_secret().as_bytes()))
}

/// A request that is being put together.
#[must_use]
pub struct Request<'a> {
    client: &'a HttpClient,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    /// What must not be shown, beside the client's own credentials.
    secrets: Vec<SecretString>,
    /// Why it cannot be sent.
    wrong: Option<ProviderError>,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, shown(&self.url))
    }
}

impl Request<'_> {
    /// Adds `name=value` to the query string.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sets a header that is no secret. A value that no header can carry fails when the request
    /// is sent.
    ///
    /// # Panics
    /// `name` is not a header name in lower case.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(HeaderName::from_static(name), value);
            }
            Err(_) => self.wrong = Some(unfit(&format!("what `{name}` would say"))),
        }
        self
    }

    /// Sets a header whose whole value is a secret, which is never shown.
    ///
    /// # Panics
    /// `name` is not a header name in lower case.
    pub fn secret_header(mut self, name: &'static str, value: SecretString) -> Self {
        match sensitive(&value) {
            Ok(header) => {
                self.headers.insert(HeaderName::from_static(name), header);
            }
            Err(error) => self.wrong = Some(error),
        }
        self.secrets.push(value);
        self
    }

    /// `Authorization: Bearer …` with a token that was fetched (see [`AccessToken`]).
    pub fn bearer(self, token: &SecretString) -> Self {
        let value = SecretString::from(format!("Bearer {}", token.expose_secret()));
        let mut request = self.secret_header("authorization", value);
        request.secrets.push(token.clone());
        request
    }

    /// Keeps `secret`, which is part of the body, from being shown.
    pub fn hiding(mut self, secret: SecretString) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Sets the body, as a form (`application/x-www-form-urlencoded`).
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.headers.insert(header::CONTENT_TYPE, kind);
        self.body = Some(body.into_bytes());
        self
    }

    /// Sets the body, as JSON.
    ///
    /// # Errors
    /// `body` has no form in JSON.
    pub fn json(mut self, body: &impl serde::Serialize) -> Result<Self, ProviderError> {
        let bytes = serde_json::to_vec(body).map_err(|error| {
            ProviderError::new(ProviderErrorKind::Invalid, "the request has no form in JSON")
                .with_source(error)
        })?;
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Some(bytes);
        Ok(self)
    }

    /// The method, for services that want it signed.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The whole address as it will be sent, query string included, for services that want it
    /// signed.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.as_str()
    }

    /// The body as it will be sent, for services that want it signed; empty where there is none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Sends it and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// No answer, a redirect that is not followed, or a body over the cap. A bad status is
    /// no error here: see [`Reply::success`].
    pub async fn send(self) -> Result<Reply, ProviderError> {
        let place = format!("{} {}", self.method, shown(&self.url));
        let result = tokio::time::timeout(self.client.0.timeout, self.exchange()).await;
        let result = result.unwrap_or_else(|_| Err(unavailable("no answer in time")));
        result.map_err(|error| error.with_context("request", place))
    }

    async fn exchange(self) -> Result<Reply, ProviderError> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let shared = &self.client.0;
        let client = shared.client().await?;
        let (proof, mut secrets) = shared.prove().await?;
        secrets.extend(self.secrets);
        let mut url = self.url;
        for _ in 0..=REDIRECTS {
            let mut request = client
                .request(self.method.clone(), url.clone())
                .headers(proof.clone())
                .headers(self.headers.clone());
            if let Some(body) = &self.body {
                request = request.body(body.clone());
            }
            let response = request.send().await.map_err(transport)?;
            if !response.status().is_redirection() {
                return read(response, shared.body_cap, &self.method, &url, secrets).await;
            }
            url = redirected(&self.method, &url, &response)?;
        }
        Err(unavailable("it redirects in circles"))
    }
}

/// Where a redirect leads, if it may be followed: a repeated POST could do its work twice, and
/// another host must not see the credential.
fn redirected(method: &Method, from: &Url, response: &reqwest::Response) -> Result<Url, ProviderError> {
    let refuse = |message: String| {
        ProviderError::new(ProviderErrorKind::Invalid, message)
            .with_hint("configure the address it redirects to")
    };
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let status = response.status().as_u16();
    let target = location
        .and_then(|location| from.join(location).ok())
        .ok_or_else(|| refuse(format!("it answers {status} without saying where to go")))?;
    if *method != Method::GET {
        return Err(refuse(format!("it redirects to {}", shown(&target))));
    }
    if target.origin() != from.origin() {
        return Err(refuse(format!("it redirects to another host, {}", shown(&target))));
    }
    Ok(target)
}

async fn read(
    mut response: reqwest::Response,
    cap: usize,
    method: &Method,
    url: &Url,
    secrets: Vec<SecretString>,
) -> Result<Reply, ProviderError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > cap {
            let message = format!("the answer is longer than {cap} octets");
            return Err(ProviderError::new(ProviderErrorKind::Invalid, message));
        }
        body.extend_from_slice(&chunk);
    }
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Ok(Reply {
        place: format!("{method} {}", shown(url)),
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        retry_after: wait.and_then(|text| reply::retry_after(text, SystemTime::now())),
        body,
        secrets,
    })
}

/// The address without what may be secret: user, query, fragment.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn unavailable(message: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Unavailable, message)
}

/// The library's errors name the whole address, query string included: it is taken out.
fn transport(error: reqwest::Error) -> ProviderError {
    let message = if error.is_connect() {
        "no connection to the service"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke"
    };
    unavailable(message).with_source(error.without_url())
}

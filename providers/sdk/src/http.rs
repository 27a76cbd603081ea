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
mod credentials;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use access_token::{AccessToken, TokenReply};
pub use credentials::Credentials;
pub use reply::{Reply, in_short};
pub use request::Request;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::plugin::SettingsError;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

/// A connection may take this long to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A request may take this long in all, unless [`Builder::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body that is read, unless [`Builder::body_cap`] says otherwise.
const BODY_CAP: usize = 1024 * 1024;

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
        Request::new(self, method, url)
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
}

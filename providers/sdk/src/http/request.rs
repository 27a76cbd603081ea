//! One request to a service, and the reading of its answer.

use super::HttpClient;
use super::credentials::{prove, sensitive, unfit};
use super::reply::{Reply, retry_after};
use crate::error::{ProviderError, ProviderErrorKind};
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::time::SystemTime;
use url::Url;

/// Redirects of one GET that are followed, all on the same host.
pub(super) const REDIRECTS: usize = 3;

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

impl<'a> Request<'a> {
    pub(super) fn new(client: &'a HttpClient, method: Method, url: Url) -> Self {
        let (headers, secrets) = (HeaderMap::new(), Vec::new());
        Self { client, method, url, headers, body: None, secrets, wrong: None }
    }

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

    /// `Authorization: Bearer …` with a token that was fetched (see [`AccessToken`](super::AccessToken)).
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
        let mut headers = shared.headers.clone();
        let mut secrets = prove(&shared.credentials, &mut headers).await?;
        secrets.extend(self.secrets);
        let mut url = self.url;
        for _ in 0..=REDIRECTS {
            let mut request = client
                .request(self.method.clone(), url.clone())
                .headers(headers.clone())
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
        retry_after: wait.and_then(|text| retry_after(text, SystemTime::now())),
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

//! HTTP for the SDK, over the one HTTP library that this program has.
//!
//! The SDK would bring a client with a TLS of its own; it is given this connector instead. No
//! redirect is followed, time and body are bounded, and what proves who asks is marked so that
//! the HTTP library does not show it either.

use aws_sdk_route53::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use secrecy::SecretString;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A connection may take this long to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A request may take this long in all, unless the SDK asks for less.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body that is read: a page of 300 sets is far smaller.
const BODY_CAP: usize = 8 * 1024 * 1024;
/// Headers that prove who asks.
const PROOFS: [&str; 2] = ["authorization", SESSION_TOKEN];
const SESSION_TOKEN: &str = "x-amz-security-token";

/// The session token that a reply's request carried, which must not be shown where the service
/// repeats it.
#[derive(Clone, Debug)]
pub(crate) struct SentToken(pub(crate) SecretString);

/// The client that the SDK is given. The network is not touched before its first request.
pub(crate) fn http_client() -> SharedHttpClient {
    let clients = Arc::new(Clients::default());
    http_client_fn(move |settings, _| {
        // Metadata services are asked with timeouts of a second, since they may not be there.
        let timeout = settings.read_timeout().map_or(TIMEOUT, |read| read.min(TIMEOUT));
        SharedHttpConnector::new(Connector { clients: Arc::clone(&clients), timeout })
    })
}

#[derive(Debug, Default)]
struct Clients {
    usual: OnceLock<Result<Client, String>>,
    direct: OnceLock<Result<Client, String>>,
}

impl Clients {
    /// The client for `url`. A machine's metadata is its own: a proxy's would be another's.
    fn of(&self, url: &Url) -> Result<&Client, ConnectorError> {
        let direct = url.host_str().is_some_and(is_link_local);
        let client = if direct { &self.direct } else { &self.usual };
        let client = client.get_or_init(|| {
            let builder = Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none());
            let builder = if direct { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| error.to_string())
        });
        client.as_ref().map_err(|error| refused(format!("no HTTP client can be made: {error}")))
    }
}

/// The addresses at which containers and instances find their credentials.
fn is_link_local(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.segments()[0] == 0xfd00 || address.is_unicast_link_local(),
        Err(_) => false,
    }
}

#[derive(Clone, Debug)]
struct Connector {
    clients: Arc<Clients>,
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.exchange(&request).await })
    }
}

impl Connector {
    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let url = Url::parse(request.uri()).map_err(|_| refused("the service's address is no URL"))?;
        let method =
            Method::from_bytes(request.method().as_bytes()).map_err(|_| refused("no such method"))?;
        let body = request.body().bytes().ok_or_else(|| refused("a body that cannot be repeated"))?;
        let mut sent =
            self.clients.of(&url)?.request(method, url.clone()).timeout(self.timeout).body(body.to_vec());
        for (name, value) in request.headers() {
            let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            let (Ok(name), Ok(mut value)) = header else {
                return Err(refused(format!(
                    "what `{name}` would say has characters that no header can carry"
                )));
            };
            value.set_sensitive(PROOFS.contains(&name.as_str()));
            sent = sent.header(name, value);
        }
        let response = sent.send().await.map_err(broken)?;
        if response.status().is_redirection() {
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            let target = location.and_then(|location| url.join(location).ok());
            let target = target.map_or_else(|| "nowhere".to_owned(), |url| shown(&url));
            return Err(refused(format!("the service redirects to {target}, which is not followed")));
        }
        let mut reply = read(response).await?;
        if let Some(token) = request.headers().get(SESSION_TOKEN) {
            reply.add_extension(SentToken(SecretString::from(token)));
        }
        Ok(reply)
    }
}

async fn read(mut response: reqwest::Response) -> Result<HttpResponse, ConnectorError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > BODY_CAP {
            return Err(refused(format!("the answer is longer than {BODY_CAP} octets")));
        }
        body.extend_from_slice(&chunk);
    }
    if response.status().is_success() && !is_whole(&body) {
        return Err(refused("the answer is not what is documented: it ends before its end"));
    }
    let status = StatusCode::try_from(response.status().as_u16()).expect("it is a status code");
    let mut reply = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in response.headers() {
        // A header that is not text is none that the SDK reads.
        if let Ok(value) = value.to_str() {
            reply.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(reply)
}

/// False for a document of XML without its end: the SDK would take it for a shorter one, and a
/// list cut short for an empty one.
fn is_whole(body: &[u8]) -> bool {
    let text = body.trim_ascii();
    let Some(mut rest) = text.strip_prefix(b"<") else { return true };
    if rest.starts_with(b"?") {
        let Some(end) = rest.windows(2).position(|two| two == b"?>") else { return false };
        let Some(root) = rest[end + 2..].trim_ascii_start().strip_prefix(b"<") else { return false };
        rest = root;
    }
    let Some(end) = rest.iter().position(|octet| *octet == b'>') else { return false };
    let head = &rest[..end];
    let name = head.split(|octet| octet.is_ascii_whitespace() || *octet == b'/').next().unwrap_or_default();
    head.ends_with(b"/") && rest.len() == end + 1 || text.ends_with(&[b"</", name, b">"].concat())
}

/// A repetition cannot help.
fn refused(message: impl Into<String>) -> ConnectorError {
    ConnectorError::user(message.into().into())
}

/// A repetition can help. The library's errors name the whole address: it is taken out.
fn broken(error: reqwest::Error) -> ConnectorError {
    let timed_out = error.is_timeout();
    let error = error.without_url().into();
    if timed_out { ConnectorError::timeout(error) } else { ConnectorError::io(error) }
}

/// The address without what may be secret.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_cut_short_anywhere_is_not_whole() {
        let whole = "<?xml version=\"1.0\"?>\n<A xmlns=\"n\"><B>x</B></A>";
        assert!(is_whole(whole.as_bytes()) && is_whole(b"<A/>\n") && is_whole(b"") && is_whole(b"{}"));
        for end in 1..whole.len() {
            assert!(!is_whole(&whole.as_bytes()[..end]), "{}", &whole[..end]);
        }
    }

    #[test]
    fn a_machines_metadata_is_asked_without_a_proxy_and_nobody_else() {
        for host in ["169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[fe80::1]"] {
            assert!(is_link_local(host), "{host}");
        }
        for host in ["route53.amazonaws.com", "127.0.0.1", "10.0.0.1", "[2001:db8::1]"] {
            assert!(!is_link_local(host), "{host}");
        }
    }
}

//! DNS over HTTPS (RFC 8484), which also goes through an HTTP proxy.

use super::message::{Fit, Question, fit};
use super::resolver::Resolver;
use hickory_proto::op::Message;
use reqwest::header::{ACCEPT, AGE, CONTENT_TYPE};
use reqwest::redirect::Policy;
use std::error::Error;
use std::time::Duration;
use url::Url;

const MEDIA_TYPE: &str = "application/dns-message";
/// The time to connect, a proxy and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A question with its answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// No DNS message is longer.
const LONGEST_MESSAGE: usize = 65_535;

/// One resolver that is asked over HTTPS.
pub(super) struct HttpsResolver {
    client: reqwest::Client,
    url: Url,
}

impl HttpsResolver {
    /// Prepares connections to `url`; none is made yet.
    ///
    /// # Errors
    /// In words, which setting cannot be used.
    pub(super) fn new(resolver: &Resolver, url: &Url) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("dns01/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXCHANGE_TIMEOUT)
            .redirect(Policy::none())
            .https_only(true)
            .referer(false);
        if let (Some(host), Some(address)) = (url.host_str(), resolver.address()) {
            builder = builder.resolve(host, address);
        }
        if let Some(proxy) = resolver.proxy() {
            let proxy = reqwest::Proxy::all(proxy.as_str());
            builder = builder.proxy(proxy.map_err(|_| "the proxy's address is not usable".to_owned())?);
        }
        if let Some(path) = resolver.ca_bundle() {
            let unusable = |what: &str| format!("the CA bundle `{}` cannot be used: {what}", path.display());
            let pem = std::fs::read(path).map_err(|error| unusable(&error.to_string()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| unusable("it is not PEM"))?;
            if roots.is_empty() {
                return Err(unusable("it holds no certificate"));
            }
            builder = builder.tls_certs_only(roots);
        }
        let client = builder.build().map_err(|error| innermost(&error))?;
        Ok(Self { client, url: url.clone() })
    }

    /// Asks one question.
    ///
    /// # Errors
    /// In words, what came instead of an answer.
    pub(super) async fn ask(&self, question: &Question) -> Result<Message, String> {
        // RFC 8484 §4.1: the id is 0; HTTP tells answers apart.
        let octets = question.message(0, false).to_vec().map_err(|error| error.to_string())?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, MEDIA_TYPE);
        let mut response =
            request.header(ACCEPT, MEDIA_TYPE).body(octets).send().await.map_err(|error| reason(&error))?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if !status.is_success() {
            return Err(format!("HTTP status {}", status.as_u16()));
        }
        if header(CONTENT_TYPE).is_none_or(|found| !found.starts_with(MEDIA_TYPE)) {
            return Err("something that is no DNS message".to_owned());
        }
        let age = header(AGE).and_then(|age| age.trim().parse::<u32>().ok()).unwrap_or(0);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_MESSAGE {
                return Err("more than a DNS message can be".to_owned());
            }
        }
        let mut message = match fit(&body, 0, question) {
            Fit::Answer(message) => message,
            // A resolver may fold the letters as it likes here.
            Fit::OtherCase => Message::from_vec(&body).map_err(|_| "something unreadable".to_owned())?,
            _ => return Err("something that does not answer the question".to_owned()),
        };
        // RFC 8484 §5.1: the time in an HTTP cache counts.
        for record in message.answers.iter_mut().chain(&mut message.authorities) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Ok(message)
    }
}

fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "nothing over HTTPS in time".to_owned();
    }
    let cause = innermost(error);
    match error.is_connect() {
        _ if cause.contains("invalid peer certificate") => {
            format!("a certificate that is not trusted ({cause})")
        }
        true => format!("no connection over HTTPS ({cause})"),
        false => format!("no answer over HTTPS ({cause})"),
    }
}

/// The cause at the bottom. The layers above repeat the address, which may hold a proxy's
/// password.
fn innermost(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    causes.last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

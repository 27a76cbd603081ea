//! One request: written down, forwarded, and its reply spoilt where the script says so.

use super::certificates::Authority;
use super::endpoint::Endpoint;
use super::journal::{Entry, Journal, Jws, Request};
use super::preauthorization::Preauthorization;
use super::reply::{Delivery, REPLAY_NONCE, Reply};
use super::script::{Fault, Gate, RetryAfter, Script, Verdict};
use super::{Setup, lock};
use bytes::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LINK, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
    USER_AGENT,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};
use tempfile::NamedTempFile;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How long the CA may take for one reply.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);

/// A request, received whole.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) body: Bytes,
}

impl Asked {
    /// `https://` and the authority that the client used, for URLs of the proxy's own.
    pub(super) fn base(&self) -> String {
        let host = self.head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        format!("https://{host}")
    }
}

/// How a connection ends when there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    Reset,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the script ends the connection: {self:?}")
    }
}

impl std::error::Error for Ending {}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) script: Mutex<Script>,
    pub(super) journal: Mutex<Journal>,
    upstream: SocketAddr,
    client: reqwest::Client,
    authority: Authority,
    root_file: NamedTempFile,
    preauthorization: Option<Preauthorization>,
    /// Pebble 2.10.1 locks up now and then when it is asked for an authorization while it makes
    /// another order: the one holds the authorization and waits for the store, the other the
    /// store and waits for the authorization. So newOrder goes in alone, as a writer.
    turn: RwLock<()>,
}

/// A request's turn at the CA behind.
enum Turn<'a> {
    Alone { _turn: RwLockWriteGuard<'a, ()> },
    Shared { _turn: RwLockReadGuard<'a, ()> },
}

impl Exchange {
    pub(super) fn new(setup: &Setup, authority: Authority) -> io::Result<Self> {
        // The upstream is on this machine and its certificate is no part of any test.
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(UPSTREAM_TIMEOUT)
            .build()
            .map_err(io::Error::other)?;
        let root_file = NamedTempFile::with_suffix(".pem")?;
        std::fs::write(root_file.path(), authority.pem())?;
        Ok(Self {
            script: Mutex::default(),
            journal: Mutex::default(),
            upstream: setup.upstream,
            client,
            authority,
            root_file,
            preauthorization: setup.preauthorization.map(Preauthorization::new),
            turn: RwLock::default(),
        })
    }

    pub(super) fn root_file(&self) -> &Path {
        self.root_file.path()
    }

    pub(super) fn root_pem(&self) -> &str {
        self.authority.pem()
    }

    /// From request to reply, or to a connection that ends without one.
    pub(super) async fn answer(&self, asked: Asked) -> Result<Reply, Ending> {
        let endpoint = Endpoint::of(asked.head.uri.path());
        let decision = lock(&self.script).decide(endpoint);
        let jws = Jws::read(&asked.body);
        let entry = self.write_down(&asked, endpoint, jws.clone(), decision.fault.clone());
        pass(decision.before_forward).await?;
        let reply = match &decision.fault {
            Some(fault) if !fault.forwards() => self.refuse(fault).await?,
            fault => {
                let reply = self.ask_ca(&asked, endpoint, jws.as_ref()).await?;
                lock(&self.journal).at(entry).upstream = Some(reply.status.as_u16());
                match fault {
                    Some(fault) => self.spoil(reply, fault).await?,
                    None => reply,
                }
            }
        };
        pass(decision.before_reply).await?;
        let retry_after = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        {
            let mut journal = lock(&self.journal);
            let request = journal.at(entry);
            request.replied = Some(reply.status.as_u16());
            request.retry_after = retry_after.map(str::to_owned);
        }
        Ok(reply)
    }

    fn write_down(&self, asked: &Asked, endpoint: Endpoint, jws: Option<Jws>, fault: Option<Fault>) -> Entry {
        lock(&self.journal).add(Request {
            endpoint,
            method: asked.head.method.to_string(),
            path: asked.head.uri.path().to_owned(),
            at: Instant::now(),
            jws,
            fault,
            upstream: None,
            replied: None,
            retry_after: None,
        })
    }

    /// The CA's reply, or that of the fake pre-authorization where it is concerned.
    async fn ask_ca(&self, asked: &Asked, endpoint: Endpoint, jws: Option<&Jws>) -> Result<Reply, Ending> {
        let Some(fake) = &self.preauthorization else { return self.forward(asked).await };
        if let Some(jws) = jws
            && let Some(reply) = fake.answer(asked, endpoint, jws, &self.authority).await
        {
            return Ok(reply.with(REPLAY_NONCE, &self.nonce().await?));
        }
        let mut reply = self.forward(asked).await?;
        match endpoint {
            Endpoint::Directory => reply.edit_json(|directory| fake.announce(directory, &asked.base())),
            Endpoint::NewAccount => {
                let location = reply.headers.get(LOCATION).and_then(|url| url.to_str().ok());
                if let (Some(jws), Some(account)) = (jws, location) {
                    fake.remember_account(account, &jws.header["jwk"]);
                }
            }
            _ => {}
        }
        Ok(reply)
    }

    async fn forward(&self, asked: &Asked) -> Result<Reply, Ending> {
        let path = asked.head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = asked.head.headers.clone();
        headers.remove(CONNECTION);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
        let request = self
            .client
            .request(asked.head.method.clone(), format!("https://{}{path}", self.upstream))
            .headers(headers)
            .body(asked.body.clone());
        let _turn = match Endpoint::of(path) {
            Endpoint::NewOrder => Turn::Alone { _turn: self.turn.write().await },
            _ => Turn::Shared { _turn: self.turn.read().await },
        };
        let response = request.send().await.map_err(|_| Ending::Close)?;
        let (status, mut headers) = (response.status(), response.headers().clone());
        headers.remove(CONNECTION);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
        let body = response.bytes().await.map_err(|_| Ending::Close)?;
        Ok(Reply { status, headers, body, delivery: Delivery::Whole })
    }

    /// A nonce of the CA's own.
    async fn nonce(&self) -> Result<String, Ending> {
        let url = format!("https://{}/nonce-plz", self.upstream);
        // Pebble refuses whoever does not name himself (RFC 8555 §6.1).
        let request = self.client.request(Method::HEAD, url).header(USER_AGENT, "fault-ca");
        let reply = request.send().await.map_err(|_| Ending::Close)?;
        let nonce = reply.headers().get(REPLAY_NONCE).and_then(|nonce| nonce.to_str().ok());
        nonce.map(str::to_owned).ok_or(Ending::Close)
    }

    /// What a client hears when the CA is not asked.
    async fn refuse(&self, fault: &Fault) -> Result<Reply, Ending> {
        match fault {
            Fault::StatusBefore(status, retry_after) => Ok(refusal(*status, retry_after)),
            Fault::ProblemBefore(status, kind) => Ok(Reply::problem(code(*status), kind, SCRIPTED)),
            Fault::BadNonce => {
                let problem = Reply::problem(StatusCode::BAD_REQUEST, "badNonce", SCRIPTED);
                Ok(problem.with(REPLAY_NONCE, &self.nonce().await?))
            }
            Fault::NewTerms => Ok(new_terms()),
            Fault::Redirect(status, to) => {
                Ok(Reply::new(code(*status), "text/plain", "moved").with(LOCATION, to))
            }
            _ => Err(Ending::Reset),
        }
    }

    /// The CA's reply, spoilt.
    async fn spoil(&self, mut reply: Reply, fault: &Fault) -> Result<Reply, Ending> {
        match fault {
            Fault::ReplyLost => return Err(Ending::Close),
            Fault::ResetAfter => return Err(Ending::Reset),
            Fault::Hang => std::future::pending().await,
            Fault::StatusAfter(status, retry_after) => return Ok(refusal(*status, retry_after)),
            Fault::HtmlPage(status) => {
                reply.status = code(*status);
                reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                reply.body = Bytes::from_static(HTML.as_bytes());
            }
            Fault::TruncatedJson => reply.body.truncate(reply.body.len() / 2),
            Fault::CutShort => return Ok(reply.delivered(Delivery::CutShort)),
            Fault::EndlessBody => return Ok(reply.delivered(Delivery::Endless)),
            Fault::OneByteASecond => return Ok(reply.delivered(Delivery::OneByteASecond)),
            Fault::SilentBody => return Ok(reply.delivered(Delivery::Silent)),
            Fault::EndlessProcessing => reply.edit_json(keep_processing),
            Fault::EndlessPending => reply.edit_json(keep_pending),
            Fault::Patience(retry_after) => return Ok(asking_for(reply, retry_after)),
            Fault::WrongContentType => {
                reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }
            Fault::UnknownChallengesFirst => reply.edit_json(offer_unknown_challenges),
            Fault::Chain(wrong) => {
                let chain = String::from_utf8_lossy(&reply.body);
                reply.body = self.authority.wrong(&chain, *wrong).map_err(|_| Ending::Close)?.into();
            }
            Fault::ResetBefore
            | Fault::StatusBefore(..)
            | Fault::ProblemBefore(..)
            | Fault::BadNonce
            | Fault::NewTerms
            | Fault::Redirect(..) => {}
        }
        Ok(reply)
    }
}

const SCRIPTED: &str = "the script says so";
const HTML: &str = "<!DOCTYPE html>\n<html><head><title>Bad Gateway</title></head>\
    <body><h1>Bad Gateway</h1><p>The server is having a rest.</p></body></html>\n";

async fn pass(gate: Option<Gate>) -> Result<(), Ending> {
    let Some(gate) = gate else { return Ok(()) };
    match gate.pass().await {
        Verdict::GoOn => Ok(()),
        Verdict::Discard => Err(Ending::Close),
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("the tests use statuses that exist")
}

fn refusal(status: u16, retry_after: &RetryAfter) -> Reply {
    let kind = if status == 429 { "rateLimited" } else { "serverInternal" };
    asking_for(Reply::problem(code(status), kind, SCRIPTED), retry_after)
}

fn asking_for(reply: Reply, retry_after: &RetryAfter) -> Reply {
    match retry_after {
        RetryAfter::Absent => reply,
        RetryAfter::Seconds(seconds) => reply.with(RETRY_AFTER, &seconds.to_string()),
        RetryAfter::Date(ahead) => {
            reply.with(RETRY_AFTER, &httpdate::fmt_http_date(SystemTime::now() + *ahead))
        }
        RetryAfter::Text(text) => reply.with(RETRY_AFTER, text),
    }
}

/// An order that failed is not done yet.
fn keep_pending(order: &mut Value) {
    if order["status"] == "invalid" {
        order["status"] = json!("pending");
    }
}

fn new_terms() -> Reply {
    let mut reply = Reply::problem(StatusCode::FORBIDDEN, "userActionRequired", "the terms have changed");
    reply.edit_json(|problem| problem["instance"] = json!("https://fault-ca.invalid/agree"));
    reply.with(LINK, r#"<https://fault-ca.invalid/terms/2>;rel="terms-of-service""#)
}

/// An order that was finalized is not done yet.
fn keep_processing(order: &mut Value) {
    if order["status"] == "valid" {
        order["status"] = json!("processing");
        order.as_object_mut().map(|order| order.remove("certificate"));
    }
}

/// Puts three challenges that no client can know, or can do nothing with, before the real ones.
fn offer_unknown_challenges(authorization: &mut Value) {
    let Some(challenges) = authorization["challenges"].as_array_mut() else { return };
    let Some(url) = challenges.first().map(|challenge| challenge["url"].clone()) else { return };
    let unknown = [
        json!({ "type": "carrier-pigeon-01", "url": url, "status": "pending", "token": "coo" }),
        json!({ "type": "carrier-pigeon-02", "url": url, "status": "pending" }),
        json!({
            "type": "dns-persist-01", "url": url, "status": "pending",
            "issuer-domain-names": ["fault-ca.invalid"],
        }),
    ];
    challenges.splice(0..0, unknown);
}

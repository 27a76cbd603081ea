//! A service of one's own that takes lego's httpreq requests, and is strict about them: method,
//! path, type, Basic authentication, every field of the body and no other.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What stands before `/present` and `/cleanup`.
const PREFIX: &str = "/hook";
/// Octets of a body that are read.
const LARGEST_BODY: usize = 4096;
/// The TTL in seconds of what the service makes.
const TTL: u32 = 120;

/// Runs after each change, before the answer: whether it came or went, name and value.
pub type OnChange = Box<dyn Fn(Change, &str, &str) + Send + Sync>;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `POST /present`.
    Present,
    /// `POST /cleanup`.
    Cleanup,
}

/// The running service; dropping it closes it.
pub struct HttpReqService {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    authorization: String,
    held: Mutex<BTreeMap<String, (u32, Vec<String>)>>,
    asked: Mutex<Vec<(Change, String, String)>>,
    refuses_for_rate: bool,
    on_change: OnChange,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    fqdn: String,
    value: String,
}

type Reply = Response<Full<Bytes>>;

impl HttpReqService {
    /// Starts it for one user on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no socket or thread is to be had.
    pub fn start(user: &str, password: &str, on_change: OnChange) -> io::Result<Self> {
        Self::open(user, password, false, on_change)
    }

    /// One that answers everything with 429 and a Retry-After of three seconds.
    ///
    /// # Errors
    /// When no socket or thread is to be had.
    pub fn start_refusing_for_rate(user: &str, password: &str) -> io::Result<Self> {
        Self::open(user, password, true, Box::new(|_, _, _| {}))
    }

    fn open(user: &str, password: &str, refuses_for_rate: bool, on_change: OnChange) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        // Apart from the test's own runtime, so that plain tests can use it, too; two threads,
        // because `on_change` may block one.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared {
            authorization: format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))),
            held: Mutex::default(),
            asked: Mutex::default(),
            refuses_for_rate,
            on_change,
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// What to put into `endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}{PREFIX}", self.address)
    }

    /// TTL and values at `fqdn`, which ends in a dot.
    #[must_use]
    pub fn records(&self, fqdn: &str) -> (u32, Vec<String>) {
        lock(&self.shared.held).get(fqdn).cloned().unwrap_or_default()
    }

    /// Puts somebody else's records at `fqdn`, in place of all that stand there.
    pub fn write(&self, fqdn: &str, ttl: u32, values: Vec<String>) {
        let mut held = lock(&self.shared.held);
        if values.is_empty() {
            held.remove(fqdn);
        } else {
            held.insert(fqdn.to_owned(), (ttl, values));
        }
    }

    /// What was asked and granted so far, oldest first.
    #[must_use]
    pub fn asked(&self) -> Vec<(Change, String, String)> {
        lock(&self.shared.asked).clone()
    }

    /// True if nothing is held any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        lock(&self.shared.held).is_empty()
    }
}

impl std::fmt::Debug for HttpReqService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpReqService({})", self.endpoint())
    }
}

impl Drop for HttpReqService {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, std::convert::Infallible>(shared.answer(request).await) }
            });
            let _how_it_ended = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        if self.refuses_for_rate {
            let mut reply = reply(StatusCode::TOO_MANY_REQUESTS, "slow down");
            reply.headers_mut().insert(RETRY_AFTER, 3.into());
            return reply;
        }
        if header(AUTHORIZATION) != Some(&self.authorization) {
            let mut reply = reply(StatusCode::UNAUTHORIZED, "who are you?");
            reply.headers_mut().insert(WWW_AUTHENTICATE, "Basic realm=\"hook\"".parse().expect("a header"));
            return reply;
        }
        let change = match request.uri().path().strip_prefix(PREFIX) {
            Some("/present") => Change::Present,
            Some("/cleanup") => Change::Cleanup,
            _ => return reply(StatusCode::NOT_FOUND, "no such path"),
        };
        if request.method() != Method::POST {
            return reply(StatusCode::METHOD_NOT_ALLOWED, "only POST");
        }
        if header(CONTENT_TYPE) != Some("application/json") {
            return reply(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only application/json");
        }
        let Ok(body) = Limited::new(request.into_body(), LARGEST_BODY).collect().await else {
            return reply(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
        };
        let body: Body = match serde_json::from_slice(&body.to_bytes()) {
            Ok(body) => body,
            Err(error) => return reply(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if !body.fqdn.starts_with("_acme-challenge.") || !body.fqdn.ends_with('.') || body.value.is_empty() {
            return reply(StatusCode::BAD_REQUEST, "not an absolute challenge name with a value");
        }
        self.carry_out(change, body);
        reply(StatusCode::OK, "done")
    }

    fn carry_out(&self, change: Change, Body { fqdn, value }: Body) {
        {
            let mut held = lock(&self.held);
            let (_, values) = held.entry(fqdn.clone()).or_insert((TTL, Vec::new()));
            values.retain(|present| *present != value);
            if change == Change::Present {
                values.push(value.clone());
            }
            if values.is_empty() {
                held.remove(&fqdn);
            }
        }
        (self.on_change)(change, &fqdn, &value);
        lock(&self.asked).push((change, fqdn, value));
    }
}

fn reply(status: StatusCode, text: &str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text.to_owned())));
    *reply.status_mut() = status;
    reply
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

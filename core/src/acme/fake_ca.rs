//! A scripted CA for tests: HTTP/1.1 on a loopback port. It gives out the directory and
//! nonces by itself; everything else is answered by the test's own script.

use super::account::{Account, AccountUrl};
use super::client::Client;
use super::limits::Limits;
use super::order::Order;
use super::reach::CaEndpoint;
use super::signer::{Signer, SoftwareKey};
use crate::clock::Clock;
use crate::keys::KeyType;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// One request as the CA saw it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Where the CA is, for the addresses in its answers.
    pub(super) base: String,
    pub(super) path: String,
    /// The protected header; null for unsigned requests.
    pub(super) protected: Value,
    /// The payload; null for POST-as-GET.
    pub(super) payload: Value,
    /// How many requests to this path came before.
    pub(super) earlier: usize,
}

/// What the CA does.
pub(super) enum Answer {
    /// A whole reply.
    Reply { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// The connection is closed without a word.
    Close,
    /// Headers that promise more than comes.
    Cut { status: u16, headers: Vec<(&'static str, String)> },
    /// Octets without end.
    Endless,
    /// Nothing, ever.
    Silence,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(super) fn text(status: u16, content_type: &str, body: &str) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self::Reply { status, headers, body: body.as_bytes().to_vec() }
    }

    pub(super) fn problem(status: u16, kind: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        Self::json(status, &json!({ "type": kind, "detail": "said the CA" }))
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Reply { headers, .. } | Self::Cut { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// The CA. Its tasks end with the test's runtime.
pub(super) struct FakeCa {
    pub(super) base: String,
    seen: Arc<Mutex<Vec<Asked>>>,
    most_at_once: Arc<AtomicUsize>,
}

struct Shared {
    base: String,
    meta: Value,
    script: Box<Script>,
    seen: Arc<Mutex<Vec<Asked>>>,
    nonces: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: Arc<AtomicUsize>,
}

impl FakeCa {
    /// A CA that answers by `script`.
    pub(super) async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(json!({}), script).await
    }

    /// The same with `meta` in its directory.
    pub(super) async fn start_with(
        meta: Value,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (seen, most_at_once) = (Arc::default(), Arc::<AtomicUsize>::default());
        let shared = Arc::new(Shared {
            base: base.clone(),
            meta,
            script: Box::new(script),
            seen: Arc::clone(&seen),
            nonces: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: Arc::clone(&most_at_once),
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { shared.serve(BufStream::new(stream)).await });
            }
        });
        Self { base, seen, most_at_once }
    }

    /// All requests so far but those for the directory.
    pub(super) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// The paths of [`Self::seen`], without newNonce.
    pub(super) fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|asked| asked.path).filter(|path| path != "/new-nonce").collect()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// A client of this CA with the bounds of tests.
    pub(super) fn client(&self) -> Client {
        let limits = Limits {
            request: Duration::from_millis(700),
            patience: Duration::from_secs(3),
            ..Limits::default()
        };
        let endpoint = CaEndpoint {
            directory: format!("{}/directory", self.base).parse().unwrap(),
            ca_bundle: None,
            proxy: None,
            user_agent: "dns01-test".to_owned(),
        };
        Client::new(endpoint, limits, Clock::fixed("2026-11-22T01:00:00Z".parse().unwrap())).unwrap()
    }

    /// An account at this CA, with 20 s for all of a test.
    pub(super) fn account(&self) -> Account {
        let account = self.client().account(key(), AccountUrl::new(format!("{}/account/1", self.base)));
        // So that a broken rule fails a test instead of hanging it.
        account.until(Instant::now() + Duration::from_secs(20))
    }

    /// The address of `path`.
    pub(super) fn url(&self, path: &str) -> url::Url {
        format!("{}{path}", self.base).parse().unwrap()
    }
}

/// A new account key.
pub(super) fn key() -> Arc<dyn Signer> {
    Arc::new(SoftwareKey::generate(KeyType::Ec256).unwrap())
}

/// The reply that tells an account.
pub(super) fn account_reply(status: u16) -> Answer {
    Answer::json(status, &json!({ "status": "valid" })).with("location", "/account/1")
}

/// The order of `ca`, as it stands.
pub(super) async fn opened(account: &Account, ca: &FakeCa) -> Order {
    account.fetch_order(&ca.url("/order/1")).await.unwrap()
}

/// An order at `base` with one authorization.
pub(super) fn order(base: &str, status: &str) -> Value {
    json!({
        "status": status,
        "identifiers": [{ "type": "dns", "value": "a.test" }],
        "authorizations": [format!("{base}/authorization/1")],
        "finalize": format!("{base}/finalize/1"),
        "certificate": format!("{base}/certificate/1"),
    })
}

/// Its authorization.
pub(super) fn authorization(base: &str, status: &str, challenge: &Value) -> Value {
    let mut offer = json!({ "type": "dns-01", "url": format!("{base}/challenge/1"), "token": "abc" });
    offer.as_object_mut().unwrap().extend(challenge.as_object().unwrap().clone());
    json!({ "status": status, "identifier": { "type": "dns", "value": "a.test" }, "challenges": [offer] })
}

impl Shared {
    async fn serve(&self, mut stream: BufStream<TcpStream>) {
        while let Some((method, path, body)) = read_request(&mut stream).await {
            self.most_at_once.fetch_max(self.at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let answer = self.answer(&method, &path, &body);
            let alive = self.write(&mut stream, answer, method == "HEAD").await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            if alive.is_none() {
                return;
            }
        }
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let jws: Value = serde_json::from_slice(body).unwrap_or_default();
        let part = |name: &str| {
            let decoded = BASE64URL_NOPAD.decode(jws[name].as_str().unwrap_or_default().as_bytes()).unwrap();
            serde_json::from_slice(&decoded).unwrap_or_default()
        };
        let asked = {
            let mut seen = self.seen.lock().unwrap();
            let earlier = seen.iter().filter(|asked| asked.path == path).count();
            let (protected, payload) = (part("protected"), part("payload"));
            let (base, path) = (self.base.clone(), path.to_owned());
            let asked = Asked { base, path, protected, payload, earlier };
            if asked.path != "/directory" {
                seen.push(asked.clone());
            }
            asked
        };
        match (method, path) {
            ("GET", "/directory") => Answer::json(200, &self.directory()),
            ("HEAD", "/new-nonce") => Answer::Reply { status: 200, headers: Vec::new(), body: Vec::new() },
            _ => (self.script)(&asked),
        }
    }

    fn directory(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.base);
        json!({
            "newNonce": at("/new-nonce"), "newAccount": at("/new-account"), "newOrder": at("/new-order"),
            "newAuthz": at("/new-authz"), "revokeCert": at("/revoke"), "keyChange": at("/key-change"),
            "renewalInfo": at("/renewal-info"), "meta": self.meta,
        })
    }

    async fn write(&self, stream: &mut BufStream<TcpStream>, answer: Answer, head: bool) -> Option<()> {
        let (status, headers, body, length) = match answer {
            Answer::Reply { status, headers, body } => {
                let length = body.len();
                (status, headers, body, length)
            }
            Answer::Cut { status, headers } => (status, headers, b"{".to_vec(), 1000),
            Answer::Endless => (200, Vec::new(), vec![b' '; 2 << 20], usize::MAX >> 1),
            Answer::Silence => return std::future::pending().await,
            Answer::Close => return None,
        };
        let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n");
        let nonce = self.nonces.fetch_add(1, Ordering::SeqCst);
        text.push_str(&format!("replay-nonce: nonce-{nonce}\r\n"));
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).await.ok()?;
        if !head {
            stream.write_all(&body).await.ok()?;
        }
        stream.flush().await.ok()?;
        (length == body.len()).then_some(())
    }
}

async fn read_request(stream: &mut BufStream<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = lines.first()?.split(' ');
    Some((words.next()?.to_owned(), words.next()?.to_owned(), body))
}

//! One request: written down, limited, answered, and spoilt where the test says so.

use super::held::{Held, Window};
use super::{Service, lock};
use crate::fault_names::FaultServer;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::http::request::Parts;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A request, received whole.
#[derive(Debug)]
pub struct Asked {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query string as they were sent, for services that have them signed.
    pub target: String,
    /// The segments of the path below the service's base.
    pub segments: Vec<String>,
    /// The query string, decoded, in its order.
    pub query: Vec<(String, String)>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Asked {
    /// `None` outside the service's base.
    pub(super) fn new(head: &Parts, body: Bytes, base: &str) -> Option<Self> {
        let path = head.uri.path().strip_prefix(base)?.strip_prefix('/')?;
        // The base does not matter, a relative address cannot be parsed alone.
        let url = reqwest::Url::parse(&format!("http://fake.invalid{}", head.uri)).ok()?;
        Some(Self {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            segments: path.split('/').map(str::to_owned).collect(),
            query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers: head.headers.clone(),
            body,
        })
    }

    /// A header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// A query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        field(&self.query, name)
    }

    /// A query parameter that is none of `known`, if there is one.
    #[must_use]
    pub fn unknown_parameter(&self, known: &[&str]) -> Option<&str> {
        self.query.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
    }

    /// The body, if it is a JSON object and is said to be one.
    #[must_use]
    pub fn object(&self) -> Option<Map<String, Value>> {
        let typed = self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) if typed => Some(object),
            _ => None,
        }
    }

    /// The body's fields, if it is a form and is said to be one.
    #[must_use]
    pub fn form(&self) -> Option<Vec<(String, String)>> {
        let typed = self.header("content-type")?.starts_with("application/x-www-form-urlencoded");
        let text = std::str::from_utf8(&self.body).ok().filter(|_| typed)?;
        let url = reqwest::Url::parse(&format!("http://fake.invalid/?{text}")).ok()?;
        Some(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The segments of the path, for matching.
    #[must_use]
    pub fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    fn line(&self) -> String {
        format!("{} /{}", self.method, self.segments.join("/"))
    }
}

/// A field of a form or a query string.
pub(super) fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A member of a JSON object that is none of `known`, if there is one.
pub(super) fn unknown_member<'a>(object: &'a Map<String, Value>, known: &[&str]) -> Option<&'a str> {
    object.keys().map(String::as_str).find(|name| !known.contains(name))
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How long it is held back.
    pub(super) delay: Duration,
}

impl Answer {
    /// A reply with a JSON body.
    ///
    /// # Panics
    /// `status` is no status code.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A reply with a body of any kind.
    ///
    /// # Panics
    /// `status` is no status code.
    #[must_use]
    pub fn text(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self::new(status, content_type, body.into())
    }

    /// A page as the edge of a service shows it.
    ///
    /// # Panics
    /// `status` is no status code.
    #[must_use]
    pub fn page(status: u16, text: &str) -> Self {
        Self::new(status, "text/html", format!("<!DOCTYPE html>\n<html><body>{text}</body></html>\n"))
    }

    fn new(status: u16, content_type: &'static str, body: String) -> Self {
        let status = StatusCode::from_u16(status).expect("the fake answers with status codes");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into(), delay: Duration::ZERO }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// `value` cannot be one.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).expect("the fake's headers are visible text"));
        self
    }

    /// True for 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }
}

/// What may happen to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing: this request passes, and the next fault in line is for the next one.
    Nothing,
    /// The work is done, and the reply comes this much later.
    Late(Duration),
    /// The work is done and the connection closed without a reply.
    ReplyLost,
    /// This reply instead of any work.
    Instead(Answer),
    /// The work is done, and half of the reply's body comes.
    CutShort,
    /// A body of this many octets instead of any work.
    Huge(usize),
    /// A redirect to this address instead of any work.
    Redirect(String),
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Exchange<S> {
    pub(super) service: S,
    pub(super) journal: Mutex<Vec<String>>,
    pub(super) faults: Mutex<VecDeque<Fault>>,
    limit: Mutex<Option<Limit>>,
    held: Mutex<(Held, Option<Window>)>,
}

/// So many requests in a window of time, which begins with the first.
#[derive(Debug)]
struct Limit {
    most: usize,
    window: Duration,
    begun: Instant,
    count: usize,
}

impl Limit {
    /// How long to wait, if this request is one too many.
    fn exceeded(&mut self) -> Option<Duration> {
        if self.begun.elapsed() >= self.window {
            (self.begun, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
        (self.count > self.most).then(|| self.window.saturating_sub(self.begun.elapsed()))
    }
}

impl<S: Service> Exchange<S> {
    pub(super) fn new(service: S) -> Self {
        Self {
            service,
            journal: Mutex::default(),
            faults: Mutex::default(),
            limit: Mutex::default(),
            held: Mutex::default(),
        }
    }

    pub(super) fn limit(&self, most: usize, window: Duration) {
        *lock(&self.limit) = Some(Limit { most, window, begun: Instant::now(), count: 0 });
    }

    pub(super) fn serve(&self, server: FaultServer) {
        let (held, window) = &mut *lock(&self.held);
        window.insert(Window::new(server)).show(held);
    }

    /// Changes what is held, and what is shown of it.
    pub(super) fn edit<T>(&self, edit: impl FnOnce(&S, &mut Held) -> T) -> T {
        let (held, window) = &mut *lock(&self.held);
        let result = edit(&self.service, held);
        if let Some(window) = window {
            window.show(held);
        }
        result
    }

    /// From request to reply; `None` closes the connection.
    pub(super) fn answer(&self, head: &Parts, body: Bytes) -> Option<Answer> {
        let Some(asked) = Asked::new(head, body, self.service.base()) else {
            return Some(Answer::page(404, "nothing here"));
        };
        lock(&self.journal).push(asked.line());
        let exceeded = lock(&self.limit).as_mut().and_then(Limit::exceeded);
        if let Some(wait) = exceeded {
            // Whole seconds, never too few.
            let seconds = wait.as_secs() + 1;
            return Some(self.service.throttled().with(RETRY_AFTER, &seconds.to_string()));
        }
        let fault = lock(&self.faults).pop_front();
        let work = || self.edit(|service, held| service.answer(&asked, held));
        match fault {
            None | Some(Fault::Nothing) => Some(work()),
            Some(Fault::Late(delay)) => Some(Answer { delay, ..work() }),
            Some(Fault::ReplyLost) => {
                work();
                None
            }
            Some(Fault::CutShort) => {
                let answer = work();
                let half = answer.body.slice(..answer.body.len() / 2);
                Some(Answer { body: half, ..answer })
            }
            Some(Fault::Instead(answer)) => Some(answer),
            Some(Fault::Huge(octets)) => Some(Answer::new(200, "application/json", " ".repeat(octets))),
            Some(Fault::Redirect(target)) => Some(Answer::page(302, "elsewhere").with(LOCATION, &target)),
        }
    }
}

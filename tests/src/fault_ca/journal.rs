//! What clients asked, and what they were told.

use super::endpoint::Endpoint;
use super::script::Fault;
use serde_json::Value;
use std::time::Instant;

/// One request as it arrived, and what became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which resource it was for.
    pub endpoint: Endpoint,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// When its last octet had arrived.
    pub at: Instant,
    /// The signed message, where the body was one.
    pub jws: Option<Jws>,
    /// The fault that was played on it.
    pub fault: Option<Fault>,
    /// The status with which the CA answered; `None` when it was not forwarded.
    pub upstream: Option<u16>,
    /// The status that was sent to the client; `None` when it got no reply.
    pub replied: Option<u16>,
    /// The Retry-After that was sent to the client.
    pub retry_after: Option<String>,
}

/// A JSON Web Signature's parts, decoded but not verified.
#[derive(Debug, Clone)]
pub struct Jws {
    /// The protected header.
    pub header: Value,
    /// The payload; `Value::Null` for the empty one of POST-as-GET (RFC 8555 §6.3).
    pub payload: Value,
}

impl Jws {
    /// Reads a flattened JWS; `None` when `body` is something else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let message: Value = serde_json::from_slice(body).ok()?;
        let part =
            |name: &str| data_encoding::BASE64URL_NOPAD.decode(message[name].as_str()?.as_bytes()).ok();
        let payload = part("payload")?;
        Some(Self {
            header: serde_json::from_slice(&part("protected")?).ok()?,
            payload: if payload.is_empty() { Value::Null } else { serde_json::from_slice(&payload).ok()? },
        })
    }
}

/// All requests so far, oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    requests: Vec<Request>,
}

/// A request's place in the [`Journal`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry(usize);

impl Journal {
    pub(super) fn add(&mut self, request: Request) -> Entry {
        self.requests.push(request);
        Entry(self.requests.len() - 1)
    }

    pub(super) fn at(&mut self, entry: Entry) -> &mut Request {
        &mut self.requests[entry.0]
    }

    pub(super) fn requests(&self) -> &[Request] {
        &self.requests
    }
}

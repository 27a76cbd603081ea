//! A reply on its way to the client, and the ways to deliver it badly.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// The header that carries a fresh nonce (RFC 8555 §6.5.1).
pub(super) const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// A body of whatever kind; its error closes the connection.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    OneByteASecond,
    /// Half of it, then the connection is closed.
    CutShort,
    /// None of it, and the connection stays open.
    Silent,
    /// Blanks instead of it, for ever.
    Endless,
}

/// A whole reply.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delivery: Delivery,
}

impl Reply {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into(), delivery: Delivery::Whole }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A problem document (RFC 8555 §6.7); `kind` is the error's last part.
    pub(super) fn problem(status: StatusCode, kind: &str, detail: &str) -> Self {
        let body = json!({
            "type": format!("urn:ietf:params:acme:error:{kind}"),
            "detail": detail,
            "status": status.as_u16(),
        });
        Self::new(status, "application/problem+json", body.to_string())
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("header values of the tests are visible text");
        self.headers.insert(name, value);
        self
    }

    pub(super) fn delivered(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// Changes the JSON body; leaves alone what is not JSON.
    pub(super) fn edit_json(&mut self, edit: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_slice(&self.body) {
            edit(&mut value);
            self.body = value.to_string().into();
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let Self { status, mut headers, body, delivery } = self;
        if !matches!(delivery, Delivery::Whole | Delivery::Endless) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let body = match delivery {
            Delivery::Whole => Full::new(body).map_err(|never| match never {}).boxed_unsync(),
            Delivery::OneByteASecond => stream_of(stream::unfold(body, |mut rest| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                (!rest.is_empty()).then(|| (Ok(rest.split_to(1)), rest))
            })),
            Delivery::CutShort => {
                let half = body.slice(..body.len() / 2);
                let cut = io::Error::from(io::ErrorKind::ConnectionAborted);
                // The half must be on its way before the error closes the connection.
                let later = stream::once(async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Err(cut)
                });
                stream_of(stream::once(async { Ok(half) }).chain(later))
            }
            Delivery::Silent => stream_of(stream::pending()),
            Delivery::Endless => stream_of(stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 8192])))),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn stream_of(chunks: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    BodyExt::boxed_unsync(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
}

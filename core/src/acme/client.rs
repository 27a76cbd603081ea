//! A CA: what it tells everybody, and the way in for signed requests.

use super::directory::Directory;
use super::error::{AcmeError, Operation};
use super::limits::{ADVICE_PATIENCE, Limits};
use super::opening::Opening;
use super::reach::{self, CaEndpoint};
use super::renewal_info::{CertificateId, RenewalInfo};
use super::reply::Reply;
use super::shared::Shared;
use super::transport::{Ask, Call, Transport, out_of_time};
use crate::clock::Clock;
use jiff::SignedDuration;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// A CA. Cheap to clone; all clones share connections, nonces and the limit of requests in
/// flight. Nothing is sent before the first call.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// When every call of this clone ends.
    deadline: Option<Instant>,
}

struct Inner {
    transport: Transport,
    directory: Shared<Directory>,
    /// By how much our clock was ahead of the CA's when the directory came.
    clock_ahead: OnceLock<SignedDuration>,
    first_nonce: Shared<()>,
    opening: Opening,
}

impl Client {
    /// A client for the CA at `endpoint`.
    ///
    /// # Errors
    /// [`AcmeError::Configuration`]: plain HTTP to another machine, a bundle without
    /// certificates, a proxy that is none.
    pub fn new(endpoint: CaEndpoint, limits: Limits, clock: Clock) -> Result<Self, AcmeError> {
        let inner = Inner {
            transport: Transport::new(endpoint, limits, clock)?,
            directory: Shared::default(),
            clock_ahead: OnceLock::new(),
            first_nonce: Shared::default(),
            opening: Opening::default(),
        };
        Ok(Self { inner: Arc::new(inner), deadline: None })
    }

    /// The same client, whose calls all end at `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The orders being opened at this CA.
    pub(super) fn opening(&self) -> &Opening {
        &self.inner.opening
    }

    /// When every call of this client ends, if that was said.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The CA's directory, fetched once.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn directory(&self) -> Result<&Directory, AcmeError> {
        // Somebody else may be fetching it, with more time than there is here.
        let fetched = self.inner.directory.get(async || self.fetch_directory().await);
        timeout_at(self.end_of_call(), fetched)
            .await
            .unwrap_or_else(|_| Err(out_of_time(Operation::Directory)))
    }

    /// The directory, if it has come already; nothing is sent.
    #[must_use]
    pub fn known_directory(&self) -> Option<&Directory> {
        self.inner.directory.known()
    }

    /// By how much this machine's clock is ahead of the CA's, to the second: as the reply with
    /// the directory told. `None` where it did not, or has not come.
    #[must_use]
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.inner.clock_ahead.get().copied()
    }

    async fn fetch_directory(&self) -> Result<Directory, AcmeError> {
        let reply = self.get(Operation::Directory, &self.inner.transport.endpoint.directory).await?;
        if let Some(ahead) = reply.clock_ahead(self.inner.transport.clock.now()) {
            let _ = self.inner.clock_ahead.set(ahead);
        }
        let directory: Directory = reply.json()?;
        let asked = [&directory.new_nonce, &directory.new_account, &directory.new_order];
        match asked.iter().find(|url| !reach::is_secure(url)) {
            Some(url) => Err(reply.unexpected(&format!("the plain HTTP address `{url}`"))),
            None => Ok(directory),
        }
    }

    /// Fetches directory and a first nonce, to be called beside other preparations. Only the
    /// first call of a client asks; a nonce that was never needed is worth one request.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn warm_up(&self) -> Result<(), AcmeError> {
        let first = self.inner.first_nonce.get(async || {
            let ask = Ask::Nonce { new_nonce: &self.directory().await?.new_nonce };
            let reply = self.inner.transport.repeat(&ask, self.end_of_call()).await?;
            self.inner.transport.keep_nonce(reply.nonce());
            Ok(())
        });
        let first = timeout_at(self.end_of_call(), first).await;
        first.unwrap_or_else(|_| Err(out_of_time(Operation::NewNonce))).copied()
    }

    /// When the CA advises to renew the certificate `id` (RFC 9773 §4.2); nothing is signed.
    /// Advice is not worth a long wait: it is given up after [`ADVICE_PATIENCE`].
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`] if the CA gives no such advice; else what it says.
    pub async fn renewal_info(&self, id: &CertificateId) -> Result<RenewalInfo, AcmeError> {
        let soon = Instant::now() + ADVICE_PATIENCE;
        let client = self.until(self.deadline.map_or(soon, |deadline| deadline.min(soon)));
        let base = client.directory().await?.renewal_info.as_ref();
        let base = base.ok_or(AcmeError::NotOffered { what: "renewal information" })?;
        // The identifier is appended, not resolved: the base may have a query of its own.
        let mut url = base.clone();
        url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), id.as_str()));
        let reply = client.get(Operation::RenewalInfo, &url).await?;
        RenewalInfo::parse(&reply.body, reply.retry_after).map_err(|odd| reply.unexpected(&odd))
    }

    /// Sends a signed request, again and again as long as that is safe and can help.
    pub(super) async fn post(&self, call: &Call<'_>) -> Result<Reply, AcmeError> {
        let new_nonce = &self.directory().await?.new_nonce;
        if !reach::is_secure(call.url) {
            let what = format!("the CA names `{}`, which is not an `https` address", call.url);
            return Err(AcmeError::Configuration { what });
        }
        self.inner.transport.repeat(&Ask::Signed { call, new_nonce }, self.end_of_call()).await
    }

    /// An unsigned GET.
    pub(super) async fn get(&self, during: Operation, url: &Url) -> Result<Reply, AcmeError> {
        self.inner.transport.repeat(&Ask::Get { during, url }, self.end_of_call()).await
    }

    fn end_of_call(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + self.inner.transport.limits.call)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.inner.transport.endpoint.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, FakeCa};
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn renewal_advice_is_asked_for_unsigned() {
        let ca = FakeCa::start(|_| {
            let window =
                r#"{"suggestedWindow":{"start":"2026-01-02T00:00:00Z","end":"2026-01-03T00:00:00Z"}}"#;
            Answer::text(200, "application/json", window).with("retry-after", "7200")
        })
        .await;
        let id: CertificateId = serde_json::from_str(r#""aYhb.AIdl""#).unwrap();
        let info = ca.client().renewal_info(&id).await.unwrap();
        assert_eq!(info.ask_again, Duration::from_secs(7200));
        let asked = ca.seen();
        assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/renewal-info/aYhb.AIdl"));
        assert!(asked[0].protected.is_null());
    }

    #[tokio::test]
    async fn plain_http_to_another_machine_is_refused() {
        let endpoint = CaEndpoint {
            directory: "http://ca.example/directory".parse().unwrap(),
            ca_bundle: None,
            proxy: None,
            user_agent: "dns01-test".to_owned(),
        };
        let error = Client::new(endpoint, Limits::default(), Clock::system()).unwrap_err();
        assert!(matches!(error, AcmeError::Configuration { .. }), "{error:?}");
    }
}

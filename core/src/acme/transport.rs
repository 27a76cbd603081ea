//! One request to a CA with all its repetitions: nonces, waits, lost replies.

use super::account::AccountUrl;
use super::directory::Directory;
use super::error::{AcmeError, Operation, Unreachable};
use super::jws;
use super::limits::{
    ADVICE_PATIENCE, BAD_NONCE_TRIES, CONNECT_TRIES, LARGEST_BODY, Limits, Pace, REDIRECTS, TRIES,
    retry_after,
};
use super::nonce::NoncePool;
use super::opening::Opening;
use super::reach;
use super::renewal_info::{CertificateId, RenewalInfo};
use super::reply::{Reply, Trouble, judge};
use super::shared::Shared;
use super::signer::Signer;
use crate::clock::Clock;
use jiff::SignedDuration;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

/// Where a CA is, and the way to it. `Debug` leaves out the proxy's password.
#[derive(Clone)]
pub struct CaEndpoint {
    /// The directory; `https`, or `http` on this very machine.
    pub directory: Url,
    /// The roots to trust in place of the system's, PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// The proxy to go through; without one, what the environment says (`HTTPS_PROXY`).
    pub proxy: Option<Url>,
    /// How the client introduces itself (RFC 8555 §6.1 wants it to).
    pub user_agent: String,
}

/// A CA. Cheap to clone; all clones share connections, nonces and the limit of requests in
/// flight. Nothing is sent before the first call.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// When every call of this clone ends.
    deadline: Option<Instant>,
}

struct Inner {
    endpoint: CaEndpoint,
    limits: Limits,
    clock: Clock,
    http: reqwest::Client,
    directory: Shared<Directory>,
    /// By how much our clock was ahead of the CA's when the directory came.
    clock_ahead: OnceLock<SignedDuration>,
    nonces: NoncePool,
    first_nonce: OnceCell<()>,
    in_flight: Semaphore,
    opening: Opening,
}

/// One call: what to ask, of whom, signed by whom, and how often.
pub(super) struct Call<'a> {
    during: Operation,
    url: &'a Url,
    signer: &'a dyn Signer,
    account: Option<&'a AccountUrl>,
    payload: Vec<u8>,
    accept: Option<&'static str>,
    repeatable: bool,
}

impl<'a> Call<'a> {
    /// A POST-as-GET, signed with the key itself.
    pub(super) fn new(during: Operation, url: &'a Url, signer: &'a dyn Signer) -> Self {
        Self { during, url, signer, account: None, payload: Vec::new(), accept: None, repeatable: true }
    }

    /// Signed by `account`.
    pub(super) fn account(self, account: &'a AccountUrl) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Carries `payload` as JSON.
    pub(super) fn payload(self, payload: &impl Serialize) -> Self {
        self.raw_payload(serde_json::to_vec(payload).expect("payloads are structures of strings"))
    }

    /// Carries `payload` as it is.
    pub(super) fn raw_payload(self, payload: Vec<u8>) -> Self {
        Self { payload, ..self }
    }

    /// Asks for this content type.
    pub(super) fn accept(self, content_type: &'static str) -> Self {
        Self { accept: Some(content_type), ..self }
    }

    /// Not to be repeated if it may have taken effect: [`AcmeError::ReplyLost`] then.
    pub(super) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }
}

/// What to ask of the CA.
enum Ask<'a> {
    Signed { call: &'a Call<'a>, new_nonce: &'a Url },
    Get { during: Operation, url: &'a Url },
    Nonce { new_nonce: &'a Url },
}

impl Ask<'_> {
    fn during(&self) -> Operation {
        match self {
            Self::Signed { call, .. } => call.during,
            Self::Get { during, .. } => *during,
            Self::Nonce { .. } => Operation::NewNonce,
        }
    }

    fn is_repeatable(&self) -> bool {
        match self {
            Self::Signed { call, .. } => call.repeatable,
            Self::Get { .. } | Self::Nonce { .. } => true,
        }
    }
}

impl Client {
    /// A client for the CA at `endpoint`.
    ///
    /// # Errors
    /// [`AcmeError::Configuration`]: plain HTTP to another machine, a bundle without
    /// certificates, a proxy that is none.
    pub fn new(endpoint: CaEndpoint, limits: Limits, clock: Clock) -> Result<Self, AcmeError> {
        let configuration = |what: String| AcmeError::Configuration { what };
        if !reach::is_secure(&endpoint.directory) {
            let what = format!("the directory `{}` is not an `https` address", endpoint.directory);
            return Err(configuration(what));
        }
        let http = reach::http_client(&endpoint, &limits).map_err(configuration)?;
        let in_flight = Semaphore::new(limits.in_flight);
        let (directory, nonces, first_nonce) = (Shared::default(), NoncePool::default(), OnceCell::new());
        let clock_ahead = OnceLock::new();
        let opening = Opening::default();
        let inner = Inner {
            endpoint,
            limits,
            clock,
            http,
            directory,
            clock_ahead,
            nonces,
            first_nonce,
            in_flight,
            opening,
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

    fn end_of_call(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + self.inner.limits.call)
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
        let reply = self.get(Operation::Directory, &self.inner.endpoint.directory).await?;
        if let Some(ahead) = reply.clock_ahead(self.inner.clock.now()) {
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
        let first = self.inner.first_nonce.get_or_try_init(async || {
            let ask = Ask::Nonce { new_nonce: &self.directory().await?.new_nonce };
            let reply = self.repeat(&ask, self.end_of_call()).await?;
            reply.nonce().into_iter().for_each(|nonce| self.inner.nonces.put(nonce));
            Ok(())
        });
        first.await.copied()
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
        self.repeat(&Ask::Signed { call, new_nonce }, self.end_of_call()).await
    }

    /// An unsigned GET.
    async fn get(&self, during: Operation, url: &Url) -> Result<Reply, AcmeError> {
        self.repeat(&Ask::Get { during, url }, self.end_of_call()).await
    }

    /// Tries until it succeeds or trying again cannot help. Each try holds one of the slots in
    /// flight; pauses hold none.
    async fn repeat(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Reply, AcmeError> {
        let mut pace = Pace::tries();
        let (mut bad_nonces, mut tries) = (0, 0);
        let mut spent = Duration::ZERO;
        let mut nonce = None;
        loop {
            let slot = timeout_at(deadline, self.inner.in_flight.acquire()).await;
            let Ok(slot) = slot else { return Err(out_of_time(ask.during())) };
            let begun = Instant::now();
            // Boxed, so that the hundreds that wait for a slot are small.
            let attempt = Box::pin(self.attempt(ask, nonce.take(), deadline));
            let trouble = match attempt.await {
                Ok(reply) => return Ok(reply),
                Err(trouble) => trouble,
            };
            drop(slot);
            if let Trouble::BadNonce(fresh, error) = trouble {
                bad_nonces += 1;
                if bad_nonces >= BAD_NONCE_TRIES || Instant::now() >= deadline {
                    return Err(error);
                }
                nonce = fresh;
                continue;
            }
            tries += 1;
            let (pause, most_tries, error) = match trouble {
                Trouble::BadNonce(_, error) | Trouble::Refused(error) => return Err(error),
                Trouble::Lost(_, cause) if !ask.is_repeatable() => {
                    return Err(AcmeError::ReplyLost { during: ask.during(), cause: Box::new(cause) });
                }
                Trouble::Wait(wait, error) => (pace.next(Some(wait)), u32::MAX, error),
                Trouble::NoConnection(error) => (pace.next(None), CONNECT_TRIES, error),
                Trouble::Busy(error) => (pace.next(None), TRIES, error),
                Trouble::Lost(wait, error) => (pace.next(wait), TRIES, error),
            };
            spent += begun.elapsed() + pause;
            let hopeless = !can_be_waited_out(&error) || tries >= most_tries;
            if hopeless || spent > self.inner.limits.patience || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, ?pause, "trying again");
            sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        ask: &Ask<'_>,
        fresh: Option<String>,
        deadline: Instant,
    ) -> Result<Reply, Trouble> {
        match *ask {
            Ask::Signed { call, new_nonce } => self.attempt_signed(call, new_nonce, fresh, deadline).await,
            Ask::Get { during, url } => self.follow(during, url, deadline).await,
            Ask::Nonce { new_nonce } => self.new_nonce(new_nonce, deadline).await,
        }
    }

    /// One signed request; signed afresh at each try, since the nonce is signed too.
    async fn attempt_signed(
        &self,
        call: &Call<'_>,
        new_nonce: &Url,
        fresh: Option<String>,
        deadline: Instant,
    ) -> Result<Reply, Trouble> {
        let nonce = match fresh.or_else(|| self.inner.nonces.take()) {
            Some(nonce) => nonce,
            None => self.new_nonce(new_nonce, deadline).await?.nonce().expect("a newNonce reply has a nonce"),
        };
        let body = jws::sign(call.signer, call.account, Some(&nonce), call.url.as_str(), &call.payload)
            .map_err(|error| Trouble::Refused(error.into()))?;
        // RFC 8555 §6.2: exactly this content type.
        let mut request = self
            .inner
            .http
            .request(Method::POST, call.url.clone())
            .header(CONTENT_TYPE, "application/jose+json");
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        let reply = self.exchange(call.during, call.url, request.body(body), deadline).await?;
        let nonce = reply.nonce();
        match judge(reply, self.inner.clock.now()) {
            Err(Trouble::BadNonce(_, error)) => Err(Trouble::BadNonce(nonce, error)),
            verdict => {
                nonce.into_iter().for_each(|nonce| self.inner.nonces.put(nonce));
                verdict
            }
        }
    }

    /// A GET, up to [`REDIRECTS`] redirects further.
    async fn follow(&self, during: Operation, url: &Url, deadline: Instant) -> Result<Reply, Trouble> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let request = self.inner.http.request(Method::GET, url.clone());
            let reply = self.exchange(during, &url, request, deadline).await?;
            if !reply.status.is_redirection() {
                return judge(reply, self.inner.clock.now());
            }
            url = reply.location().map_err(Trouble::Refused)?;
            if !reach::is_secure(&url) {
                return Err(Trouble::Refused(reply.unexpected("a redirect to plain HTTP")));
            }
        }
        let found = format!("more than {REDIRECTS} redirects");
        Err(Trouble::Refused(AcmeError::Unexpected { during, host: reach::host(&url), found }))
    }

    /// Fetches a nonce (RFC 8555 §7.2); its reply has one. Not put into the pool: it is the
    /// caller's.
    async fn new_nonce(&self, url: &Url, deadline: Instant) -> Result<Reply, Trouble> {
        let request = self.inner.http.request(Method::HEAD, url.clone());
        // Whatever befalls it, the request it was for has not been sent.
        let not_sent = |trouble| match trouble {
            Trouble::Lost(_, error) => Trouble::Busy(error),
            other => other,
        };
        let reply = self.exchange(Operation::NewNonce, url, request, deadline).await.map_err(not_sent)?;
        let reply = judge(reply, self.inner.clock.now()).map_err(not_sent)?;
        if reply.nonce().is_none() {
            return Err(Trouble::Refused(reply.unexpected("a reply without a nonce")));
        }
        Ok(reply)
    }

    /// Sends one request and reads its reply, within the time for one request.
    async fn exchange(
        &self,
        during: Operation,
        url: &Url,
        request: reqwest::RequestBuilder,
        deadline: Instant,
    ) -> Result<Reply, Trouble> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::Refused(out_of_time(during)));
        }
        let unreachable = |cause| AcmeError::Unreachable { during, host: reach::host(url), cause };
        let mut response = match request.timeout(left.min(self.inner.limits.request)).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let cause = reach::diagnose(&error, url, &self.inner.endpoint).await;
                return Err(Trouble::NoConnection(unreachable(cause)));
            }
            Err(error) if error.is_builder() => {
                let what = format!("`{url}` cannot be asked");
                return Err(Trouble::Refused(AcmeError::Configuration { what }));
            }
            Err(error) => return Err(Trouble::Lost(None, unreachable(reach::broken(&error)))),
        };
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| retry_after(text, self.inner.clock.now()));
        let mut reply = Reply::new(during, url.clone(), status, headers, retry_after);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if reply.body.len() + chunk.len() > LARGEST_BODY => {
                    let found = format!("more than {} MiB", LARGEST_BODY >> 20);
                    reply.cut = Some(reply.unexpected(&found));
                    break;
                }
                Ok(Some(chunk)) => reply.body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => {
                    reply.cut = Some(unreachable(reach::broken(&error)));
                    break;
                }
            }
        }
        Ok(reply)
    }
}

/// Untrusted certificates do not heal within seconds, and an endless body comes again.
fn can_be_waited_out(error: &AcmeError) -> bool {
    match error {
        AcmeError::Unreachable { cause, .. } => {
            !matches!(cause, Unreachable::Untrusted { .. } | Unreachable::Tls(_))
        }
        AcmeError::Unexpected { .. } => false,
        _ => true,
    }
}

fn out_of_time(during: Operation) -> AcmeError {
    AcmeError::Deadline { waiting_for: format!("the reply to {during}"), failures: Vec::new() }
}

impl fmt::Debug for CaEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaEndpoint")
            .field("directory", &self.directory.as_str())
            .field("ca_bundle", &self.ca_bundle.is_some())
            .field("proxy", &self.proxy.as_ref().map(reach::host))
            .field("user_agent", &self.user_agent)
            .finish()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.inner.endpoint.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ca::{Answer, FakeCa, order};
    use super::super::order::{Identifier, NewOrder};
    use super::super::problem::ProblemKind;
    use super::*;
    use std::collections::BTreeSet;

    async fn look(ca: &FakeCa) -> Result<super::super::order::Order, AcmeError> {
        ca.account().fetch_order(&ca.url("/order/1")).await
    }

    #[tokio::test]
    async fn a_bad_nonce_is_retried_with_the_nonce_of_its_reply() {
        let ca = FakeCa::start(|asked| match asked.earlier {
            0..4 => Answer::problem(400, "badNonce"),
            _ => Answer::json(200, &order(&asked.base, "ready")),
        })
        .await;
        look(&ca).await.unwrap();
        // Nonces are numbered in the order of replies: the directory's is 0, newNonce's 1.
        let nonces: Vec<_> = ca.seen()[1..].iter().map(|asked| asked.protected["nonce"].clone()).collect();
        assert_eq!(nonces, ["nonce-1", "nonce-2", "nonce-3", "nonce-4", "nonce-5"]);
    }

    #[tokio::test]
    async fn bad_nonces_for_ever_end_after_thirty_tries() {
        let ca = FakeCa::start(|_| Answer::problem(400, "badNonce")).await;
        let error = look(&ca).await.unwrap_err();
        assert!(matches!(error, AcmeError::Problem { problem, .. } if problem.kind == ProblemKind::BadNonce));
        assert_eq!(ca.paths().len(), BAD_NONCE_TRIES as usize);
    }

    #[tokio::test]
    async fn no_nonce_is_used_twice_and_no_more_requests_than_allowed_are_in_flight() {
        let ca = FakeCa::start(|asked| Answer::json(200, &order(&asked.base, "ready"))).await;
        let account = ca.account();
        let looks: Vec<_> = (0..200)
            .map(|_| {
                let (account, url) = (account.clone(), ca.url("/order/1"));
                tokio::spawn(async move { account.fetch_order(&url).await.unwrap() })
            })
            .collect();
        for look in looks {
            look.await.unwrap();
        }
        let posts: Vec<_> = ca.seen().into_iter().filter(|asked| asked.path == "/order/1").collect();
        let nonces: BTreeSet<_> = posts.iter().map(|asked| asked.protected["nonce"].to_string()).collect();
        assert_eq!((posts.len(), nonces.len()), (200, 200));
        assert!(ca.most_at_once() <= 32, "{} at once", ca.most_at_once());
        assert!(ca.seen().len() - posts.len() <= 32, "each slot in flight costs one nonce at most");
    }

    #[tokio::test]
    async fn a_short_retry_after_is_waited_out() {
        let ca = FakeCa::start(|asked| match asked.earlier {
            0 => Answer::problem(503, "serverInternal").with("retry-after", "1"),
            1 => Answer::problem(429, "rateLimited").with("retry-after", "Sun, 22 Nov 2026 01:00:01 GMT"),
            _ => Answer::json(200, &order(&asked.base, "ready")),
        })
        .await;
        let begun = Instant::now();
        look(&ca).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_long_retry_after_is_told_and_not_waited_out() {
        let ca = FakeCa::start(|_| {
            Answer::problem(429, "rateLimited")
                .with("retry-after", "3600")
                .with("link", r#"</limits>;rel="help", <x>;rel="index""#)
        })
        .await;
        let AcmeError::RateLimited { until, detail, help, .. } = look(&ca).await.unwrap_err() else {
            panic!()
        };
        assert_eq!(until.to_string(), "2026-11-22T02:00:00Z");
        assert_eq!(detail, "said the CA");
        assert_eq!(help.unwrap(), ca.url("/limits").as_str());
        assert_eq!(ca.paths().len(), 1);
    }

    #[tokio::test]
    async fn a_pause_without_retry_after_is_never_retried() {
        let ca = FakeCa::start(|_| Answer::problem(429, "rateLimited")).await;
        assert!(matches!(look(&ca).await.unwrap_err(), AcmeError::Paused { .. }));
        assert_eq!(ca.paths().len(), 1);
    }

    #[tokio::test]
    async fn what_is_safe_to_repeat_is_repeated_after_a_lost_reply() {
        let ca = FakeCa::start(|asked| match asked.earlier {
            0 => Answer::Close,
            1 => Answer::text(502, "text/html", "<html>bad gateway"),
            2 => Answer::Cut { status: 200, headers: Vec::new() },
            _ => Answer::json(200, &order(&asked.base, "ready")),
        })
        .await;
        look(&ca).await.unwrap();
        assert_eq!(ca.paths().len(), 4);
    }

    #[tokio::test]
    async fn a_ca_that_stays_out_of_order_is_given_up() {
        let ca = FakeCa::start(|_| Answer::problem(500, "serverInternal")).await;
        let error = look(&ca).await.unwrap_err();
        assert!(error.is_transient());
        let words = error.to_string();
        assert!(words.ends_with("is out of order: 500 on the order request: said the CA"), "{words}");
    }

    #[tokio::test]
    async fn a_signed_request_follows_no_redirect() {
        let ca = FakeCa::start(|_| Answer::text(302, "text/plain", "").with("location", "/elsewhere")).await;
        let error = look(&ca).await.unwrap_err().to_string();
        assert!(error.ends_with("a redirect to `/elsewhere`"), "{error}");
        assert_eq!(ca.paths(), ["/order/1"]);
    }

    #[tokio::test]
    async fn an_unsigned_get_follows_three_redirects() {
        let moved = |to: String| Answer::text(302, "text/plain", "").with("location", to);
        let ca = FakeCa::start(move |asked| match asked.path.as_str() {
            "/1" => moved("/2".to_owned()),
            "/2" => moved("3".to_owned()),
            "/3" => moved(format!("{}/4", asked.base)),
            "/4" => Answer::text(200, "text/plain", "here"),
            "/plain" => moved("http://ca.example/".to_owned()),
            _ => moved("/1".to_owned()),
        })
        .await;
        let client = ca.client();
        assert_eq!(client.get(Operation::Directory, &ca.url("/1")).await.unwrap().body, b"here");
        let error = client.get(Operation::Directory, &ca.url("/0")).await.err().unwrap().to_string();
        assert!(error.ends_with("more than 3 redirects"), "{error}");
        let error = client.get(Operation::Directory, &ca.url("/plain")).await.err().unwrap().to_string();
        assert!(error.ends_with("a redirect to plain HTTP"), "{error}");
    }

    #[tokio::test]
    async fn an_endless_body_is_cut_off() {
        let ca = FakeCa::start(|_| Answer::Endless).await;
        let error = look(&ca).await.unwrap_err().to_string();
        assert!(error.ends_with("more than 1 MiB"), "{error}");
        assert_eq!(ca.paths().len(), 1);
    }

    #[tokio::test]
    async fn silence_ends_in_time() {
        let ca = FakeCa::start(|_| Answer::Silence).await;
        let begun = Instant::now();
        let error = look(&ca).await.unwrap_err();
        assert!(matches!(error, AcmeError::Unreachable { cause: Unreachable::Timeout(_), .. }), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_deadline_ends_every_call() {
        let ca = FakeCa::start(|_| Answer::problem(503, "serverInternal").with("retry-after", "1")).await;
        let account = ca.account().until(Instant::now() + Duration::from_millis(300));
        let begun = Instant::now();
        assert!(account.fetch_order(&ca.url("/order/1")).await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(900));
    }

    #[tokio::test]
    async fn a_page_in_place_of_acme_is_shown() {
        let ca = FakeCa::start(|_| Answer::text(200, "text/html", "<html>\n Please   log in")).await;
        let error = look(&ca).await.unwrap_err().to_string();
        assert!(error.contains("is not ACME: HTTP 200, text/html, `<html> Please log in`"), "{error}");
    }

    #[tokio::test]
    async fn nothing_listens_there() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = CaEndpoint {
            directory: format!("https://127.0.0.1:{port}/").parse().unwrap(),
            ca_bundle: None,
            proxy: None,
            user_agent: "dns01-test".to_owned(),
        };
        let client = Client::new(endpoint, Limits::default(), Clock::system()).unwrap();
        let error = client.directory().await.unwrap_err();
        assert!(matches!(error, AcmeError::Unreachable { cause: Unreachable::Refused, .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("firewall"));
    }

    #[test]
    fn the_password_of_a_proxy_is_never_shown() {
        let endpoint = CaEndpoint {
            directory: "https://ca.example/directory".parse().unwrap(),
            ca_bundle: None,
            proxy: Some("http://user:hunter2@proxy.example:3128".parse().unwrap()),
            user_agent: "dns01-test".to_owned(),
        };
        let shown = format!("{endpoint:?}");
        assert!(shown.contains("proxy.example:3128") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_dead_proxy_is_named_in_place_of_the_ca() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = CaEndpoint {
            directory: "https://ca.example/directory".parse().unwrap(),
            ca_bundle: None,
            proxy: Some(format!("http://user:hunter2@127.0.0.1:{port}").parse().unwrap()),
            user_agent: "dns01-test".to_owned(),
        };
        let client = Client::new(endpoint, Limits::default(), Clock::system()).unwrap();
        let error = client.directory().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "no reply from `ca.example` to the request for its directory: the proxy failed \
                 (`127.0.0.1:{port}`: the connection was refused)"
            )
        );
        assert!(!format!("{error:?}").contains("hunter2"));
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

    #[tokio::test]
    async fn a_request_carries_what_the_rfc_wants() {
        let ca = FakeCa::start(|asked| {
            Answer::json(201, &order(&asked.base, "pending")).with("location", "order/7")
        })
        .await;
        let order = ca.account().new_order(&NewOrder::of(vec![Identifier::dns("a.test")])).await.unwrap();
        assert_eq!(order.url, ca.url("/order/7"), "a relative Location is resolved");
        let asked = ca.seen().pop().unwrap();
        assert_eq!(asked.protected["url"], format!("{}/new-order", ca.base));
        assert_eq!(asked.protected["kid"], format!("{}/account/1", ca.base));
        assert_eq!(asked.payload["identifiers"][0]["value"], "a.test");
    }

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
}

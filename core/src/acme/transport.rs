//! One request to a CA with all its repetitions: nonces, waits, lost replies.

use super::account::AccountUrl;
use super::error::{AcmeError, Operation, Unreachable};
use super::jws;
use super::limits::{
    BAD_NONCE_TRIES, CONNECT_TRIES, LARGEST_BODY, Limits, Pace, REDIRECTS, TRIES, retry_after,
};
use super::nonce::NoncePool;
use super::opening::Opening;
use super::reach::{self, CaEndpoint};
use super::reply::{Reply, Trouble, judge};
use super::signer::Signer;
use crate::clock::Clock;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

/// The way to one CA, with the nonces that came on it; everybody who asks that CA shares it.
pub(super) struct Transport {
    pub(super) endpoint: CaEndpoint,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    http: reqwest::Client,
    nonces: NoncePool,
    in_flight: Semaphore,
}

/// One call: what to ask, of whom, signed by whom, and how often.
pub(super) struct Call<'a> {
    during: Operation,
    pub(super) url: &'a Url,
    signer: &'a dyn Signer,
    account: Option<&'a AccountUrl>,
    payload: Vec<u8>,
    accept: Option<&'static str>,
    repeatable: bool,
    opening: Option<&'a Opening>,
}

impl<'a> Call<'a> {
    /// A POST-as-GET, signed with the key itself.
    pub(super) fn new(during: Operation, url: &'a Url, signer: &'a dyn Signer) -> Self {
        let payload = Vec::new();
        Self { during, url, signer, account: None, payload, accept: None, repeatable: true, opening: None }
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

    /// Opens an order beside those of `opening`: held back once they are turned away.
    pub(super) fn among(self, opening: &'a Opening) -> Self {
        Self { opening: Some(opening), ..self }
    }
}

/// What to ask of the CA.
pub(super) enum Ask<'a> {
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

    /// Why it is not to be sent after all.
    fn held_back(&self, now: Timestamp) -> Option<AcmeError> {
        match self {
            Self::Signed { call, .. } => call.opening?.held_back(now),
            Self::Get { .. } | Self::Nonce { .. } => None,
        }
    }
}

impl Transport {
    /// The way to `endpoint`; nothing is sent yet.
    pub(super) fn new(endpoint: CaEndpoint, limits: Limits, clock: Clock) -> Result<Self, AcmeError> {
        let configuration = |what: String| AcmeError::Configuration { what };
        if !reach::is_secure(&endpoint.directory) {
            let what = format!("the directory `{}` is not an `https` address", endpoint.directory);
            return Err(configuration(what));
        }
        let http = reach::http_client(&endpoint, &limits).map_err(configuration)?;
        let in_flight = Semaphore::new(limits.in_flight);
        Ok(Self { endpoint, limits, clock, http, nonces: NoncePool::default(), in_flight })
    }

    /// Tries until it succeeds or trying again cannot help. Each try holds one of the slots in
    /// flight; pauses hold none.
    pub(super) async fn repeat(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Reply, AcmeError> {
        let mut pace = Pace::tries();
        let (mut bad_nonces, mut tries) = (0, 0);
        let mut spent = Duration::ZERO;
        let mut nonce = None;
        loop {
            let slot = timeout_at(deadline, self.in_flight.acquire()).await;
            let Ok(slot) = slot else { return Err(out_of_time(ask.during())) };
            // Hundreds may have waited for a slot while others were turned away.
            if let Some(error) = ask.held_back(self.clock.now()) {
                return Err(error);
            }
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
            let (pause, most_tries, error) = outlook(trouble, ask, &mut pace)?;
            spent += begun.elapsed() + pause;
            let hopeless = !can_be_waited_out(&error) || tries >= most_tries;
            if hopeless || spent > self.limits.patience || Instant::now() + pause >= deadline {
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
        let nonce = match fresh.or_else(|| self.nonces.take()) {
            Some(nonce) => nonce,
            None => self.new_nonce(new_nonce, deadline).await?.nonce().expect("a newNonce reply has a nonce"),
        };
        let body = jws::sign(call.signer, call.account, Some(&nonce), call.url.as_str(), &call.payload)
            .map_err(|error| Trouble::Refused(error.into()))?;
        // RFC 8555 §6.2: exactly this content type.
        let mut request =
            self.http.request(Method::POST, call.url.clone()).header(CONTENT_TYPE, "application/jose+json");
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        let reply = self.exchange(call.during, call.url, request.body(body), deadline).await?;
        let nonce = reply.nonce();
        match judge(reply, self.clock.now()) {
            Err(Trouble::BadNonce(_, error)) => Err(Trouble::BadNonce(nonce, error)),
            verdict => {
                self.keep_nonce(nonce);
                verdict
            }
        }
    }

    /// A GET, up to [`REDIRECTS`] redirects further.
    async fn follow(&self, during: Operation, url: &Url, deadline: Instant) -> Result<Reply, Trouble> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let request = self.http.request(Method::GET, url.clone());
            let reply = self.exchange(during, &url, request, deadline).await?;
            if !reply.status.is_redirection() {
                return judge(reply, self.clock.now());
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
        let request = self.http.request(Method::HEAD, url.clone());
        // Whatever befalls it, the request it was for has not been sent.
        let not_sent = |trouble| match trouble {
            Trouble::Lost(_, error) => Trouble::Busy(error),
            other => other,
        };
        let reply = self.exchange(Operation::NewNonce, url, request, deadline).await.map_err(not_sent)?;
        let reply = judge(reply, self.clock.now()).map_err(not_sent)?;
        if reply.nonce().is_none() {
            return Err(Trouble::Refused(reply.unexpected("a reply without a nonce")));
        }
        Ok(reply)
    }

    /// Keeps the nonce that a reply brought, if it brought one, for a later request.
    pub(super) fn keep_nonce(&self, nonce: Option<String>) {
        nonce.into_iter().for_each(|nonce| self.nonces.put(nonce));
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
        let response = match request.timeout(left.min(self.limits.request)).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let cause = reach::diagnose(&error, url, &self.endpoint).await;
                return Err(Trouble::NoConnection(unreachable(cause)));
            }
            Err(error) if error.is_builder() => {
                let what = format!("`{url}` cannot be asked");
                return Err(Trouble::Refused(AcmeError::Configuration { what }));
            }
            Err(error) => return Err(Trouble::Lost(None, unreachable(reach::broken(&error)))),
        };
        Ok(self.read(during, url, response).await)
    }

    /// Reads a reply to its end, or as far as it comes.
    async fn read(&self, during: Operation, url: &Url, mut response: reqwest::Response) -> Reply {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| retry_after(text, self.clock.now()));
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
                    let (host, cause) = (reach::host(url), reach::broken(&error));
                    reply.cut = Some(AcmeError::Unreachable { during, host, cause });
                    break;
                }
            }
        }
        reply
    }
}

/// How long to pause before the next try, how many tries it is worth in all, and what to say
/// when there is none; an error where another try cannot help or would not be safe.
fn outlook(
    trouble: Trouble,
    ask: &Ask<'_>,
    pace: &mut Pace,
) -> Result<(Duration, u32, AcmeError), AcmeError> {
    match trouble {
        Trouble::BadNonce(_, error) | Trouble::Refused(error) => Err(error),
        Trouble::Lost(_, cause) if !ask.is_repeatable() => {
            Err(AcmeError::ReplyLost { during: ask.during(), cause: Box::new(cause) })
        }
        Trouble::Wait(wait, error) => Ok((pace.next(Some(wait)), u32::MAX, error)),
        Trouble::NoConnection(error) => Ok((pace.next(None), CONNECT_TRIES, error)),
        Trouble::Busy(error) => Ok((pace.next(None), TRIES, error)),
        Trouble::Lost(wait, error) => Ok((pace.next(wait), TRIES, error)),
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

pub(super) fn out_of_time(during: Operation) -> AcmeError {
    AcmeError::Deadline { waiting_for: format!("the reply to {during}"), failures: Vec::new() }
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
}

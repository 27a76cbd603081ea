//! One request to a CA with all its repetitions: nonces, waits, lost replies.

use super::account::AccountUrl;
use super::directory::Directory;
use super::error::{AcmeError, Operation, Unreachable};
use super::jws;
use super::limits::{
    BAD_NONCE_TRIES, CONNECT_TRIES, LARGEST_BODY, Limits, Pace, REDIRECTS, TRIES, retry_after,
};
use super::nonce::{NoncePool, is_nonce};
use super::problem::{Problem, ProblemKind};
use super::reach;
use super::renewal_info::{CertificateId, RenewalInfo};
use super::signer::Signer;
use crate::clock::Clock;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

/// Where a CA is, and the way to it.
#[derive(Clone, Debug)]
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
pub struct Client(Arc<Inner>);

struct Inner {
    endpoint: CaEndpoint,
    limits: Limits,
    clock: Clock,
    http: reqwest::Client,
    directory: OnceCell<Directory>,
    nonces: NoncePool,
    in_flight: Semaphore,
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
    deadline: Option<Instant>,
}

impl<'a> Call<'a> {
    /// A POST-as-GET, signed with the key itself.
    pub(super) fn new(during: Operation, url: &'a Url, signer: &'a dyn Signer) -> Self {
        let (account, accept, deadline) = (None, None, None);
        Self { during, url, signer, account, payload: Vec::new(), accept, repeatable: true, deadline }
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

    /// Ends at `deadline`.
    pub(super) fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }
}

/// A reply, read to its end or as far as it came.
pub(super) struct Reply {
    during: Operation,
    pub(super) url: Url,
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// How long the CA wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Why the body is not whole.
    cut: Option<AcmeError>,
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

/// Why a try brought no usable reply, and what that means for the next one.
enum Trouble {
    /// Refused for its nonce; the fresh one that came with it.
    BadNonce(Option<String>, AcmeError),
    /// Not carried out: the CA wants to be left alone for so long.
    Wait(Duration, AcmeError),
    /// Not carried out: no connection.
    NoConnection(AcmeError),
    /// Not carried out: the CA is out of order.
    Busy(AcmeError),
    /// Perhaps carried out.
    Lost(Option<Duration>, AcmeError),
    /// Refused; repeating it changes nothing.
    Refused(AcmeError),
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
        let (directory, nonces) = (OnceCell::new(), NoncePool::default());
        Ok(Self(Arc::new(Inner { endpoint, limits, clock, http, directory, nonces, in_flight })))
    }

    /// The CA's directory, fetched once.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn directory(&self) -> Result<&Directory, AcmeError> {
        self.0.directory.get_or_try_init(|| self.fetch_directory()).await
    }

    async fn fetch_directory(&self) -> Result<Directory, AcmeError> {
        let reply = self.get(Operation::Directory, &self.0.endpoint.directory).await?;
        let directory: Directory = reply.json()?;
        let asked = [&directory.new_nonce, &directory.new_account, &directory.new_order];
        match asked.iter().find(|url| !reach::is_secure(url)) {
            Some(url) => Err(reply.unexpected(&format!("the plain HTTP address `{url}`"))),
            None => Ok(directory),
        }
    }

    /// Fetches directory and a first nonce, to be called beside other preparations.
    ///
    /// # Errors
    /// What the CA says, or that it cannot be reached.
    pub async fn warm_up(&self) -> Result<(), AcmeError> {
        let ask = Ask::Nonce { new_nonce: &self.directory().await?.new_nonce };
        let reply = self.repeat(&ask, Instant::now() + self.0.limits.call).await?;
        reply.nonce().into_iter().for_each(|nonce| self.0.nonces.put(nonce));
        Ok(())
    }

    /// When the CA advises to renew the certificate `id` (RFC 9773 §4.2); nothing is signed.
    ///
    /// # Errors
    /// [`AcmeError::NotOffered`] if the CA gives no such advice; else what it says.
    pub async fn renewal_info(&self, id: &CertificateId) -> Result<RenewalInfo, AcmeError> {
        let base = self.directory().await?.renewal_info.as_ref();
        let base = base.ok_or(AcmeError::NotOffered { what: "renewal information" })?;
        // The identifier is appended, not resolved: the base may have a query of its own.
        let mut url = base.clone();
        url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), id.as_str()));
        let reply = self.get(Operation::RenewalInfo, &url).await?;
        RenewalInfo::parse(&reply.body, reply.retry_after).map_err(|odd| reply.unexpected(&odd))
    }

    /// Sends a signed request, again and again as long as that is safe and can help.
    pub(super) async fn post(&self, call: &Call<'_>) -> Result<Reply, AcmeError> {
        let new_nonce = &self.directory().await?.new_nonce;
        if !reach::is_secure(call.url) {
            let what = format!("the CA names `{}`, which is not an `https` address", call.url);
            return Err(AcmeError::Configuration { what });
        }
        let deadline = call.deadline.unwrap_or_else(|| Instant::now() + self.0.limits.call);
        self.repeat(&Ask::Signed { call, new_nonce }, deadline).await
    }

    /// An unsigned GET.
    async fn get(&self, during: Operation, url: &Url) -> Result<Reply, AcmeError> {
        self.repeat(&Ask::Get { during, url }, Instant::now() + self.0.limits.call).await
    }

    /// Tries until it succeeds or trying again cannot help. Each try holds one of the slots in
    /// flight; pauses hold none.
    async fn repeat(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Reply, AcmeError> {
        let mut pace = Pace::tries();
        let (mut bad_nonces, mut tries) = (0, 0);
        let mut spent = Duration::ZERO;
        let mut nonce = None;
        loop {
            let slot = timeout_at(deadline, self.0.in_flight.acquire()).await;
            let Ok(slot) = slot else { return Err(out_of_time(ask.during())) };
            let begun = Instant::now();
            let trouble = match self.attempt(ask, nonce.take(), deadline).await {
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
            if hopeless || spent > self.0.limits.patience || Instant::now() + pause >= deadline {
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
        let nonce = match fresh.or_else(|| self.0.nonces.take()) {
            Some(nonce) => nonce,
            None => self.new_nonce(new_nonce, deadline).await?.nonce().expect("a newNonce reply has a nonce"),
        };
        let body = jws::sign(call.signer, call.account, Some(&nonce), call.url.as_str(), &call.payload)
            .map_err(|error| Trouble::Refused(error.into()))?;
        // RFC 8555 §6.2: exactly this content type.
        let mut request =
            self.0.http.request(Method::POST, call.url.clone()).header(CONTENT_TYPE, "application/jose+json");
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        let reply = self.exchange(call.during, call.url, request.body(body), deadline).await?;
        let nonce = reply.nonce();
        match self.judge(reply) {
            Err(Trouble::BadNonce(_, error)) => Err(Trouble::BadNonce(nonce, error)),
            verdict => {
                nonce.into_iter().for_each(|nonce| self.0.nonces.put(nonce));
                verdict
            }
        }
    }

    /// A GET, up to [`REDIRECTS`] redirects further.
    async fn follow(&self, during: Operation, url: &Url, deadline: Instant) -> Result<Reply, Trouble> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let request = self.0.http.request(Method::GET, url.clone());
            let reply = self.exchange(during, &url, request, deadline).await?;
            if !reply.status.is_redirection() {
                return self.judge(reply);
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
        let request = self.0.http.request(Method::HEAD, url.clone());
        // Whatever befalls it, the request it was for has not been sent.
        let not_sent = |trouble| match trouble {
            Trouble::Lost(_, error) => Trouble::Busy(error),
            other => other,
        };
        let reply = self.exchange(Operation::NewNonce, url, request, deadline).await.map_err(not_sent)?;
        let reply = self.judge(reply).map_err(not_sent)?;
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
        let mut response = match request.timeout(left.min(self.0.limits.request)).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let cause = reach::diagnose(&error, url, &self.0.endpoint).await;
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
        let retry_after = header.and_then(|text| retry_after(text, self.0.clock.now()));
        let mut reply =
            Reply { during, url: url.clone(), status, headers, body: Vec::new(), retry_after, cut: None };
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

    /// What a reply means.
    fn judge(&self, mut reply: Reply) -> Result<Reply, Trouble> {
        let status = reply.status;
        if status.is_success() {
            // A reply with a Location has told the essential, even if it was cut off.
            return match reply.cut.take() {
                Some(error) if !reply.headers.contains_key(LOCATION) => match error {
                    // An endless body is no accident; the next one would be endless too.
                    AcmeError::Unexpected { .. } if reply.during != Operation::NewOrder => {
                        Err(Trouble::Refused(error))
                    }
                    error => Err(Trouble::Lost(None, error)),
                },
                _ => Ok(reply),
            };
        }
        if status.is_redirection() {
            let to = reply.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            return Err(Trouble::Refused(reply.unexpected(&format!("a redirect to `{to}`"))));
        }
        let problem = reply.problem();
        let detail = problem.as_ref().map_or_else(String::new, |problem| problem.detail.clone());
        let limited = problem.as_ref().is_some_and(|problem| problem.kind == ProblemKind::RateLimited);
        let (during, host) = (reply.during, reach::host(&reply.url));
        let out_of_order = AcmeError::OutOfOrder { during, host, status: status.as_u16(), detail };
        match (status, problem) {
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, problem) => {
                Err(self.limited(&reply, problem, out_of_order))
            }
            (_, problem) if limited => Err(self.limited(&reply, problem, out_of_order)),
            (StatusCode::NOT_IMPLEMENTED, _) => {
                Err(Trouble::Refused(AcmeError::NotOffered { what: not_offered(reply.during) }))
            }
            (status, _) if status.is_server_error() => Err(Trouble::Lost(reply.retry_after, out_of_order)),
            (_, Some(problem)) => Err(refused(&reply, problem)),
            (_, None) => Err(Trouble::Refused(reply.unexpected(&reply.glimpse()))),
        }
    }

    /// A CA that wants to be left alone.
    fn limited(&self, reply: &Reply, problem: Option<Problem>, out_of_order: AcmeError) -> Trouble {
        let during = reply.during;
        let help = reply.links("help").into_iter().next().map(String::from);
        let detail = problem.map_or_else(|| reply.glimpse(), |problem| problem.detail);
        match reply.retry_after {
            Some(wait) => {
                let until = self.0.clock.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
                Trouble::Wait(wait, AcmeError::RateLimited { during, until, detail, help })
            }
            None if reply.status == StatusCode::SERVICE_UNAVAILABLE => Trouble::Busy(out_of_order),
            None => Trouble::Refused(AcmeError::Paused { during, detail, help }),
        }
    }
}

/// Maps a refusal to the error a caller can act on.
fn refused(reply: &Reply, problem: Problem) -> Trouble {
    let during = reply.during;
    let error = match problem.kind {
        ProblemKind::AccountDoesNotExist => AcmeError::AccountDoesNotExist,
        ProblemKind::ExternalAccountRequired => AcmeError::ExternalAccountRequired,
        ProblemKind::OrderNotReady => AcmeError::OrderNotReady { detail: problem.detail },
        ProblemKind::UserActionRequired => {
            let instance = problem.instance.as_deref().and_then(|page| reply.url.join(page).ok());
            let terms = reply.links("terms-of-service").into_iter().next();
            AcmeError::TermsNotAgreed { url: instance.or(terms) }
        }
        ProblemKind::BadNonce => {
            let error = AcmeError::Problem { during, problem: Box::new(problem) };
            return Trouble::BadNonce(None, error);
        }
        _ => {
            let status = if problem.status == 0 { reply.status.as_u16() } else { problem.status };
            AcmeError::Problem { during, problem: Box::new(Problem { status, ..problem }) }
        }
    };
    Trouble::Refused(error)
}

fn not_offered(during: Operation) -> &'static str {
    match during {
        Operation::KeyChange => "a change of keys",
        Operation::Revocation => "revocation",
        Operation::NewAuthorization => "pre-authorization",
        _ => "what was asked",
    }
}

/// Untrusted certificates and unknown names do not heal within seconds.
fn can_be_waited_out(error: &AcmeError) -> bool {
    !matches!(
        error,
        AcmeError::Unreachable { cause: Unreachable::Untrusted { .. } | Unreachable::Tls(_), .. }
    )
}

fn out_of_time(during: Operation) -> AcmeError {
    AcmeError::Deadline { waiting_for: format!("the reply to {during}"), failures: Vec::new() }
}

impl Reply {
    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, AcmeError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.unexpected(&format!("{}: {error}", self.glimpse())))
    }

    /// The body as an object that lives at `url`.
    pub(super) fn located<T: DeserializeOwned>(&self, url: &Url) -> Result<T, AcmeError> {
        let mut object: serde_json::Map<String, serde_json::Value> = self.json()?;
        object.insert("url".to_owned(), url.as_str().into());
        serde_json::from_value(object.into())
            .map_err(|error| self.unexpected(&format!("{}: {error}", self.glimpse())))
    }

    /// Where the thing lives that the request made or found; relative addresses are resolved.
    pub(super) fn location(&self) -> Result<Url, AcmeError> {
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        location
            .and_then(|text| self.url.join(text).ok())
            .ok_or_else(|| self.unexpected("no usable Location"))
    }

    /// The Location letter by letter, if it is absolute.
    pub(super) fn location_text(&self) -> Result<String, AcmeError> {
        let location = self.location()?;
        let text = self.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(if Url::parse(text).is_ok() { text.to_owned() } else { location.into() })
    }

    /// The targets of the Link headers with this relation (RFC 8288), resolved.
    pub(super) fn links(&self, relation: &str) -> Vec<Url> {
        let headers = self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        headers
            .flat_map(|text| links(text, relation))
            .filter_map(|target| self.url.join(target).ok())
            .collect()
    }

    /// An error that says what came instead of ACME.
    pub(super) fn unexpected(&self, found: &str) -> AcmeError {
        AcmeError::Unexpected { during: self.during, host: reach::host(&self.url), found: found.to_owned() }
    }

    fn nonce(&self) -> Option<String> {
        let nonce = self.headers.get("replay-nonce")?.to_str().ok()?;
        is_nonce(nonce).then(|| nonce.to_owned())
    }

    /// The problem document, whatever content type it comes with.
    fn problem(&self) -> Option<Problem> {
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&self.body)
            .ok()
            .and_then(|object| serde_json::from_value(object.into()).ok())
    }

    /// Status, content type and the beginning of the body, for an error message.
    fn glimpse(&self) -> String {
        const LONGEST: usize = 80;
        let content_type =
            self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("no type");
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<_> = text.split_whitespace().collect();
        let mut start: String = words.join(" ").chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        if start.len() >= LONGEST {
            start.push('…');
        }
        format!("HTTP {}, {content_type}, `{start}`", self.status.as_u16())
    }
}

/// The targets in one Link header whose relation is `relation`. Commas and semicolons inside
/// `<…>` and quotes belong to them.
fn links<'a>(header: &'a str, relation: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        let mut quoted = false;
        let end = after.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, next) = end.map_or((after, ""), |at| after.split_at(at));
        if parameters.split(';').any(|parameter| is_relation(parameter, relation)) {
            found.push(target.trim());
        }
        rest = next;
    }
    found
}

fn is_relation(parameter: &str, relation: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.into_iter().any(|r| r.eq_ignore_ascii_case(relation))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.endpoint.directory)
    }
}

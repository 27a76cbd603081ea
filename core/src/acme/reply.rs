//! What came back from a CA, and what it means for the request.

use super::error::{AcmeError, LimitScope, Operation, PRE_AUTHORIZATION};
use super::nonce::is_nonce;
use super::problem::{Problem, ProblemKind};
use super::reach;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{AGE, CONTENT_TYPE, DATE, HeaderMap, LINK, LOCATION};
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

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
    pub(super) cut: Option<AcmeError>,
}

/// Why a try brought no usable reply, and what that means for the next one.
pub(super) enum Trouble {
    /// Refused for its nonce; the fresh one that came with it.
    BadNonce(Option<String>, AcmeError),
    /// Not carried out: the CA wants to be left alone for so long.
    Wait(Duration, AcmeError),
    /// Not carried out: no connection.
    NoConnection(AcmeError),
    /// Not carried out: the CA is out of order.
    Busy(AcmeError),
    /// Perhaps carried out; the CA may want to be left alone for so long.
    Lost(Option<Duration>, AcmeError),
    /// Refused; repeating it changes nothing.
    Refused(AcmeError),
}

/// What a reply means, received at `now`.
pub(super) fn judge(mut reply: Reply, now: Timestamp) -> Result<Reply, Trouble> {
    let status = reply.status;
    if status.is_success() {
        return match reply.cut.take() {
            Some(error) if !reply.has_told_where() => Err(Trouble::Lost(None, error)),
            _ => Ok(reply),
        };
    }
    if status.is_redirection() {
        let to = reply.header(LOCATION).unwrap_or("nowhere");
        return Err(Trouble::Refused(reply.unexpected(&format!("a redirect to `{to}`"))));
    }
    let problem = reply.problem();
    let limited = problem.as_ref().is_some_and(|problem| problem.kind == ProblemKind::RateLimited);
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(limit(&reply, problem, now)),
        _ if limited => Err(limit(&reply, problem, now)),
        StatusCode::NOT_IMPLEMENTED => {
            Err(Trouble::Refused(AcmeError::NotOffered { what: not_offered(reply.during) }))
        }
        _ if status.is_server_error() => Err(Trouble::Lost(reply.retry_after, out_of_order(&reply, problem))),
        _ => Err(match problem {
            Some(problem) => refuse(&reply, problem),
            None => Trouble::Refused(reply.unexpected(&reply.glimpse())),
        }),
    }
}

/// A CA that wants to be left alone.
fn limit(reply: &Reply, problem: Option<Problem>, now: Timestamp) -> Trouble {
    let during = reply.during;
    let help = reply.links("help").into_iter().next().map(String::from);
    let scope = scope(reply, problem.as_ref());
    let words = |problem: Option<Problem>| problem.map_or_else(|| reply.glimpse(), |problem| problem.detail);
    match reply.retry_after {
        Some(wait) => {
            let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
            Trouble::Wait(wait, AcmeError::RateLimited { during, until, detail: words(problem), help, scope })
        }
        None if reply.status == StatusCode::SERVICE_UNAVAILABLE => {
            Trouble::Busy(out_of_order(reply, problem))
        }
        None => Trouble::Refused(AcmeError::Paused { during, detail: words(problem), help }),
    }
}

/// RFC 8555 §6.6 has no field that tells. What is refused as `rateLimited` on the way of an order
/// is mostly about its names: so many certificates for them, so many failed validations. 503 is
/// for everybody, and what is not an ACME problem comes from something before the CA, which
/// knows no names.
fn scope(reply: &Reply, problem: Option<&Problem>) -> LimitScope {
    let of_an_order = matches!(
        reply.during,
        Operation::NewOrder | Operation::NewAuthorization | Operation::Challenge | Operation::Finalize
    );
    let limited = problem.is_some_and(|problem| problem.kind == ProblemKind::RateLimited);
    match of_an_order && limited && reply.status != StatusCode::SERVICE_UNAVAILABLE {
        true => LimitScope::Order,
        false => LimitScope::Ca,
    }
}

fn out_of_order(reply: &Reply, problem: Option<Problem>) -> AcmeError {
    AcmeError::OutOfOrder {
        during: reply.during,
        host: reach::host(&reply.url),
        status: reply.status.as_u16(),
        detail: problem.map(|problem| problem.detail).unwrap_or_default(),
    }
}

/// Maps a refusal to the error a caller can act on.
fn refuse(reply: &Reply, problem: Problem) -> Trouble {
    let during = reply.during;
    let terms = reply.links("terms-of-service").into_iter().next();
    let error = match problem.kind {
        ProblemKind::AccountDoesNotExist => AcmeError::AccountDoesNotExist,
        ProblemKind::ExternalAccountRequired => AcmeError::ExternalAccountRequired,
        ProblemKind::OrderNotReady => AcmeError::OrderNotReady { detail: problem.detail },
        // RFC 8555 §7.3.3 wants the link; without it something else is to be done.
        ProblemKind::UserActionRequired if terms.is_some() || during == Operation::NewAccount => {
            let instance = problem.instance.as_deref().and_then(|page| reply.url.join(page).ok());
            AcmeError::TermsNotAgreed { url: terms, instance }
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
        Operation::NewAuthorization => PRE_AUTHORIZATION,
        _ => "what was asked",
    }
}

impl Reply {
    /// A reply whose body has not been read.
    pub(super) fn new(
        during: Operation,
        url: Url,
        status: StatusCode,
        headers: HeaderMap,
        retry_after: Option<Duration>,
    ) -> Self {
        Self { during, url, status, headers, body: Vec::new(), retry_after, cut: None }
    }

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

    /// By how much our clock, which says `now`, is ahead of the one that dated the reply. A
    /// cache in between tells how old the reply is (RFC 9111 §5.1).
    pub(super) fn clock_ahead(&self, now: Timestamp) -> Option<SignedDuration> {
        let dated = httpdate::parse_http_date(self.header(DATE)?).ok()?;
        let age = self.header(AGE).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let theirs = Timestamp::try_from(dated).ok()?.checked_add(SignedDuration::from_secs(age)).ok()?;
        Some(SignedDuration::from_secs(now.as_second() - theirs.as_second()))
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
        let text = self.header(LOCATION).unwrap_or_default();
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

    /// The nonce it brought.
    pub(super) fn nonce(&self) -> Option<String> {
        self.header("replay-nonce").filter(|nonce| is_nonce(nonce)).map(str::to_owned)
    }

    fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// True if the essential is known though the body is not whole: where the new thing is.
    fn has_told_where(&self) -> bool {
        let makes =
            matches!(self.during, Operation::NewAccount | Operation::NewOrder | Operation::NewAuthorization);
        makes && self.location().is_ok()
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
        let content_type = self.header(CONTENT_TYPE).unwrap_or("no type");
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(headers: &[(&'static str, &str)]) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let url = "https://ca.test/acme/order/1".parse().unwrap();
        Reply::new(Operation::Order, url, StatusCode::OK, map, None)
    }

    #[test]
    fn links_come_in_several_headers_and_in_lists() {
        let reply = reply(&[
            ("link", r#"<https://ca.test/directory>;rel="index""#),
            ("link", r#"<../alt/1>; title="a, <b>; rel=no"; rel="alternate", </alt/2>;REL=alternate"#),
            ("link", r#"<https://ca.test/alt/3>;rel="help alternate""#),
        ]);
        let found: Vec<_> = reply.links("alternate").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["https://ca.test/acme/alt/1", "https://ca.test/alt/2", "https://ca.test/alt/3"]);
        assert_eq!(reply.links("index").len(), 1);
        assert!(reply.links("next").is_empty());
    }

    #[test]
    fn a_location_is_resolved_but_an_absolute_one_keeps_its_letters() {
        assert_eq!(
            reply(&[("location", "../acct/1")]).location_text().unwrap(),
            "https://ca.test/acme/acct/1"
        );
        let odd = "https://CA.test:443/Acct/%7e1";
        assert_eq!(reply(&[("location", odd)]).location_text().unwrap(), odd);
        assert!(reply(&[]).location().is_err());
    }

    #[test]
    fn the_date_of_a_reply_tells_how_far_our_clock_is_ahead() {
        let now: Timestamp = "2026-11-22T01:00:00Z".parse().unwrap();
        let ahead =
            |headers: &[(&'static str, &str)]| reply(headers).clock_ahead(now).map(|ahead| ahead.as_secs());
        assert_eq!(ahead(&[("date", "Sun, 22 Nov 2026 00:59:00 GMT")]), Some(60));
        assert_eq!(ahead(&[("date", "Sun, 22 Nov 2026 01:07:00 GMT")]), Some(-420));
        assert_eq!(ahead(&[("date", "Sun, 22 Nov 2026 00:00:00 GMT"), ("age", "3600")]), Some(0));
        assert_eq!(ahead(&[("date", "soon")]), None);
        assert_eq!(ahead(&[]), None);
    }

    #[test]
    fn a_limit_is_about_the_names_only_where_an_order_is_refused_as_rate_limited() {
        let scope = |during, status, body: &str| {
            let url = "https://ca.test/acme".parse().unwrap();
            let status = StatusCode::from_u16(status).unwrap();
            let mut reply = Reply::new(during, url, status, HeaderMap::new(), Some(Duration::from_secs(9)));
            reply.body = body.as_bytes().to_vec();
            match judge(reply, Timestamp::UNIX_EPOCH) {
                Err(Trouble::Wait(_, AcmeError::RateLimited { scope, .. })) => scope,
                _ => panic!("{during} {status}"),
            }
        };
        let limited = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates"}"#;
        for during in
            [Operation::NewOrder, Operation::NewAuthorization, Operation::Challenge, Operation::Finalize]
        {
            assert_eq!(scope(during, 429, limited), LimitScope::Order, "{during}");
            assert_eq!(scope(during, 403, limited), LimitScope::Order, "{during}");
            assert_eq!(scope(during, 503, limited), LimitScope::Ca, "{during}");
            assert_eq!(scope(during, 429, "<html>slow down</html>"), LimitScope::Ca, "{during}");
        }
        for during in [Operation::Directory, Operation::NewNonce, Operation::NewAccount, Operation::Order] {
            assert_eq!(scope(during, 429, limited), LimitScope::Ca, "{during}");
        }
    }

    #[test]
    fn an_odd_nonce_is_none() {
        assert_eq!(reply(&[("replay-nonce", "abc-_1")]).nonce().as_deref(), Some("abc-_1"));
        assert_eq!(reply(&[("replay-nonce", "a b")]).nonce(), None);
    }

    proptest! {
        #[test]
        fn no_link_header_makes_the_reader_panic(text in r#"[<>;,"= a-z/]{0,60}"#) {
            links(&text, "next");
        }

        #[test]
        fn a_link_is_found_whatever_stands_around_it(before in r#"(<[a-z]{0,5}>;rel=("[a-z, ]{1,4}"|[a-z]{1,4}), ?){0,3}"#) {
            let header = format!(r#"{before}<target>;rel="wanted""#);
            prop_assert_eq!(links(&header, "wanted"), ["target"]);
        }
    }
}

//! A fake of pre-authorization (RFC 8555 §7.4.1), which Pebble lacks: for names that were
//! pre-authorized the proxy plays the CA itself, from newOrder to the certificate.

use super::certificates::Authority;
use super::endpoint::Endpoint;
use super::exchange::Asked;
use super::journal::Jws;
use super::reply::Reply;
use super::{Proof, lock};
use crate::rig::query;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::rr::RecordType;
use hyper::StatusCode;
use hyper::header::LOCATION;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

/// The fake: which names were proven, and the orders made from them.
#[derive(Debug)]
pub(super) struct Preauthorization {
    proof: Proof,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Account URL → key thumbprint (RFC 7638).
    thumbprints: HashMap<String, String>,
    authorizations: Vec<Authorization>,
    orders: Vec<Order>,
}

#[derive(Debug, Clone)]
struct Authorization {
    account: String,
    name: String,
    token: String,
    status: &'static str,
}

#[derive(Debug)]
struct Order {
    names: Vec<String>,
    /// Places in [`State::authorizations`].
    authorizations: Vec<usize>,
    chain: Option<String>,
}

impl Preauthorization {
    pub(super) fn new(proof: Proof) -> Self {
        Self { proof, state: Mutex::default() }
    }

    pub(super) fn announce(&self, directory: &mut Value, base: &str) {
        directory["newAuthz"] = json!(format!("{base}/fake/new-authz"));
    }

    /// Notes the key of an account of the CA behind, to check TXT values with.
    pub(super) fn remember_account(&self, account: &str, jwk: &Value) {
        if let Some(thumbprint) = thumbprint(jwk) {
            lock(&self.state).thumbprints.insert(account.to_owned(), thumbprint);
        }
    }

    /// The reply to a request of the fake's own; `None` leaves it to the CA behind.
    pub(super) async fn answer(
        &self,
        asked: &Asked,
        endpoint: Endpoint,
        jws: &Jws,
        authority: &Authority,
    ) -> Option<Reply> {
        let path = asked.head.uri.path();
        let base = asked.base();
        let account = jws.header["kid"].as_str().unwrap_or_default();
        if endpoint == Endpoint::NewOrder {
            return self.new_order(account, &jws.payload, &base);
        }
        let rest = path.strip_prefix("/fake/")?;
        if rest == "new-authz" {
            return Some(self.new_authorization(account, &jws.payload, &base));
        }
        let (kind, number) = rest.split_once('/')?;
        let place = number.parse().ok()?;
        let reply = match kind {
            "authz" => self.authorization(place, &base),
            "challenge" => self.challenge(place, &jws.payload, &base).await,
            "order" => self.order(place, &base),
            "finalize" => self.finalize(place, &jws.payload, &base, authority),
            "certificate" => self.certificate(place),
            _ => None,
        };
        Some(reply.unwrap_or_else(|| Reply::problem(StatusCode::NOT_FOUND, "malformed", "no such thing")))
    }

    fn new_authorization(&self, account: &str, payload: &Value, base: &str) -> Reply {
        let name = payload["identifier"]["value"].as_str().unwrap_or_default();
        if payload["identifier"]["type"] != "dns" || name.is_empty() || name.starts_with("*.") {
            let detail = "a pre-authorization is for one dns identifier without wildcard";
            return Reply::problem(StatusCode::BAD_REQUEST, "malformed", detail);
        }
        let mut state = lock(&self.state);
        if !state.thumbprints.contains_key(account) {
            return Reply::problem(StatusCode::BAD_REQUEST, "accountDoesNotExist", "register first");
        }
        let place = state.authorizations.len();
        let token = BASE64URL_NOPAD.encode(digest(&SHA256, format!("{name} {place}").as_bytes()).as_ref());
        state.authorizations.push(Authorization {
            account: account.to_owned(),
            name: name.to_owned(),
            token,
            status: "pending",
        });
        let body = state.authorizations[place].show(place, base);
        Reply::json(StatusCode::CREATED, &body).with(LOCATION, &format!("{base}/fake/authz/{place}"))
    }

    fn authorization(&self, place: usize, base: &str) -> Option<Reply> {
        let body = lock(&self.state).authorizations.get(place)?.show(place, base);
        Some(Reply::json(StatusCode::OK, &body))
    }

    /// A challenge read, or, where the payload is an object, answered and validated at once.
    async fn challenge(&self, place: usize, payload: &Value, base: &str) -> Option<Reply> {
        let (authorization, thumbprint) = {
            let state = lock(&self.state);
            let authorization = state.authorizations.get(place)?.clone();
            let thumbprint = state.thumbprints.get(&authorization.account)?.clone();
            (authorization, thumbprint)
        };
        if payload.is_object() && authorization.status == "pending" {
            let status = if self.proven(&authorization, &thumbprint).await { "valid" } else { "invalid" };
            lock(&self.state).authorizations[place].status = status;
        }
        let state = lock(&self.state);
        Some(Reply::json(StatusCode::OK, &state.authorizations[place].show(place, base)["challenges"][0]))
    }

    async fn proven(&self, authorization: &Authorization, thumbprint: &str) -> bool {
        let Proof::LookedUp(server) = self.proof else { return true };
        let key_authorization = format!("{}.{thumbprint}", authorization.token);
        let value = BASE64URL_NOPAD.encode(digest(&SHA256, key_authorization.as_bytes()).as_ref());
        let name = format!("_acme-challenge.{}.", authorization.name);
        let ask = move || query::resolve_tcp(server, &name, RecordType::TXT);
        let Ok(Ok(answer)) = tokio::task::spawn_blocking(ask).await else { return false };
        answer.answers.iter().filter_map(query::text).any(|text| text == value)
    }

    /// An order whose names were all pre-authorized by this account; others are the CA's.
    fn new_order(&self, account: &str, payload: &Value, base: &str) -> Option<Reply> {
        let identifiers = payload["identifiers"].as_array()?;
        let names: Vec<String> =
            identifiers.iter().filter_map(|id| id["value"].as_str().map(str::to_owned)).collect();
        let mut state = lock(&self.state);
        let proven = |name: &String| {
            let mut authorizations = state.authorizations.iter();
            authorizations.position(|a| a.account == account && a.name == *name && a.status == "valid")
        };
        let authorizations = names.iter().map(proven).collect::<Option<Vec<_>>>()?;
        let place = state.orders.len();
        state.orders.push(Order { names, authorizations, chain: None });
        let body = state.orders[place].show(place, base);
        Some(Reply::json(StatusCode::CREATED, &body).with(LOCATION, &format!("{base}/fake/order/{place}")))
    }

    fn order(&self, place: usize, base: &str) -> Option<Reply> {
        Some(Reply::json(StatusCode::OK, &lock(&self.state).orders.get(place)?.show(place, base)))
    }

    fn finalize(&self, place: usize, payload: &Value, base: &str, authority: &Authority) -> Option<Reply> {
        let mut state = lock(&self.state);
        let order = state.orders.get_mut(place)?;
        if order.chain.is_some() {
            return Some(Reply::problem(
                StatusCode::FORBIDDEN,
                "orderNotReady",
                "the order is valid already",
            ));
        }
        let request = payload["csr"].as_str().and_then(|csr| BASE64URL_NOPAD.decode(csr.as_bytes()).ok());
        let Some(chain) = request.and_then(|request| authority.chain_for(&request).ok()) else {
            return Some(Reply::problem(StatusCode::BAD_REQUEST, "badCSR", "the request cannot be read"));
        };
        order.chain = Some(chain);
        let body = order.show(place, base);
        Some(Reply::json(StatusCode::OK, &body).with(LOCATION, &format!("{base}/fake/order/{place}")))
    }

    fn certificate(&self, place: usize) -> Option<Reply> {
        let chain = lock(&self.state).orders.get(place)?.chain.clone()?;
        Some(Reply::new(StatusCode::OK, "application/pem-certificate-chain", chain))
    }
}

impl Authorization {
    fn show(&self, place: usize, base: &str) -> Value {
        json!({
            "status": self.status,
            "identifier": { "type": "dns", "value": self.name },
            "expires": "2099-01-01T00:00:00Z",
            "challenges": [{
                "type": "dns-01",
                "status": self.status,
                "url": format!("{base}/fake/challenge/{place}"),
                "token": self.token,
            }],
        })
    }
}

impl Order {
    fn show(&self, place: usize, base: &str) -> Value {
        let mut order = json!({
            "status": if self.chain.is_some() { "valid" } else { "ready" },
            "expires": "2099-01-01T00:00:00Z",
            "identifiers": self.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect::<Vec<_>>(),
            "authorizations": self.authorizations.iter().map(|at| format!("{base}/fake/authz/{at}")).collect::<Vec<_>>(),
            "finalize": format!("{base}/fake/finalize/{place}"),
        });
        if self.chain.is_some() {
            order["certificate"] = json!(format!("{base}/fake/certificate/{place}"));
        }
        order
    }
}

/// The thumbprint of a public key (RFC 7638 §3): its required members, in the order of their names.
fn thumbprint(jwk: &Value) -> Option<String> {
    let members: &[&str] = match jwk["kty"].as_str()? {
        "EC" => &["crv", "kty", "x", "y"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let members: Vec<String> = members.iter().map(|name| format!("\"{name}\":{}", jwk[*name])).collect();
    let canonical = format!("{{{}}}", members.join(","));
    Some(BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        assert_eq!(thumbprint(&jwk).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}

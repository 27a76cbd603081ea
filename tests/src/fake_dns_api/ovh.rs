//! OVHcloud's API, as far as TXT records and zones go, with its token address.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, every
//! signature is computed anew, and the service's clock is ahead of ours. What is written is held
//! back until the zone is refreshed; the same record may be written twice.

mod access;
mod answers;
mod records;

pub use access::{Keys, State, rules};

use super::tokens::Tokens;
use super::{Answer, Asked, Held, HeldZone, Service, lock};
use access::{Account, Consumer, Who};
use answers::{classed, refusal};
use hyper::header::HeaderName;
use records::Pending;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// All that writing challenges takes of a service account.
pub const ACTIONS: [&str; 4] = [
    "dnsZone:apiovh:record/get",
    "dnsZone:apiovh:record/create",
    "dnsZone:apiovh:record/delete",
    "dnsZone:apiovh:refresh",
];

/// The service.
#[derive(Debug)]
pub struct Ovh {
    consumers: Mutex<Vec<Consumer>>,
    accounts: Mutex<Vec<Account>>,
    /// Those of accounts.
    tokens: Tokens,
    /// By the name of the zone.
    pending: Mutex<Vec<(String, Pending)>>,
    ahead: AtomicI64,
    failing: AtomicUsize,
}

impl Default for Ovh {
    fn default() -> Self {
        Self::new()
    }
}

impl Ovh {
    /// A service that knows nobody yet, a quarter of an hour ahead.
    #[must_use]
    pub fn new() -> Self {
        Self {
            consumers: Mutex::default(),
            accounts: Mutex::default(),
            tokens: Tokens::default(),
            pending: Mutex::default(),
            ahead: AtomicI64::new(900),
            failing: AtomicUsize::new(0),
        }
    }

    /// An application with a consumer key for these methods and paths.
    #[must_use]
    pub fn keys(&self, rules: &[(&str, String)], state: State) -> Keys {
        let mut consumers = lock(&self.consumers);
        let number = consumers.len();
        let keys = Keys {
            application: format!("application-{number}"),
            secret: format!("application-secret-{number}"),
            consumer: format!("consumer-key-{number}"),
        };
        let rules = rules.iter().map(|(method, path)| ((*method).to_owned(), path.clone())).collect();
        consumers.push(Consumer { keys: keys.clone(), rules, state });
        keys
    }

    /// A service account that may do `actions` in `zones`: its id and its secret.
    #[must_use]
    pub fn account(&self, zones: &[&str], actions: &[&str]) -> (String, String) {
        let mut accounts = lock(&self.accounts);
        let number = accounts.len();
        let (id, secret) = (format!("EU.account-{number}"), format!("account-secret-{number}"));
        let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
        let rights = zones.iter().map(|&zone| (zone.to_owned(), actions.clone())).collect();
        accounts.push(Account { id: id.clone(), secret: secret.clone(), rights });
        (id, secret)
    }

    /// The tokens that were given out and are still taken.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.taken()
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        self.tokens.end();
    }

    /// Sets the service's clock ahead of ours.
    pub fn set_clock(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::SeqCst);
    }

    /// The next `count` refreshes fail.
    pub fn fail_refreshes(&self, count: usize) {
        self.failing.store(count, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        i64::try_from(now).unwrap_or_default() + self.ahead.load(Ordering::SeqCst)
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let segments = asked.path();
        let method = asked.method.as_str();
        match (method, &segments[..]) {
            ("GET", ["1.0", "auth", "time"]) => return Ok(Answer::json(200, &json!(self.now()))),
            ("POST", ["auth", "oauth2", "token"]) => return Ok(self.token(asked)),
            _ => {}
        }
        let who = self.who(asked)?;
        match (method, &segments[..]) {
            ("GET", ["1.0", "auth", "currentCredential"]) => self.credential(&who),
            ("POST", ["v2", "iam", "resource", urn, "authorization", "check"]) => {
                self.check(asked, held, urn, &who)
            }
            ("GET", ["1.0", "domain", "zone"]) => self.list_zones(asked, held, &who),
            (_, ["1.0", "domain", "zone", zone, rest @ ..]) => {
                let action = match (method, rest) {
                    ("GET", ["record"] | ["record", _]) => ACTIONS[0],
                    ("POST", ["record"]) => ACTIONS[1],
                    ("DELETE", ["record", _]) => ACTIONS[2],
                    ("POST", ["refresh"]) => ACTIONS[3],
                    _ => return Err(refusal(404, "", "Got an invalid (or empty) URL")),
                };
                self.allow(&who, asked, zone, action)?;
                let number = held.next_number();
                let zone = held.zones.iter_mut().find(|one| one.name == *zone);
                let zone = zone.ok_or_else(|| {
                    classed(404, "Client::NotFound", "This service does not exist", &json!({}))
                })?;
                self.zone(asked, zone, method, rest, number)
            }
            _ => Err(refusal(404, "", "Got an invalid (or empty) URL")),
        }
    }

    fn list_zones(&self, asked: &Asked, held: &Held, who: &Who) -> Result<Answer, Answer> {
        if let Who::Consumer(_) = who {
            self.allow(who, asked, "", "")?;
        }
        let seen = |zone: &&HeldZone| match who {
            Who::Consumer(_) => true,
            Who::Account(number) => {
                lock(&self.accounts)[*number].rights.iter().any(|(name, _)| *name == zone.name)
            }
        };
        let names: Vec<&str> = held.zones.iter().filter(seen).map(|zone| zone.name.as_str()).collect();
        Ok(Answer::json(200, &json!(names)))
    }
}

impl Service for Ovh {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let answer = self.route(asked, held).unwrap_or_else(|refusal| refusal);
        answer.with(HeaderName::from_static("x-ovh-queryid"), "EU.ext-1.query-1")
    }

    fn throttled(&self) -> Answer {
        classed(429, "Client::TooManyRequests", "Too many requests", &json!({}))
    }
}

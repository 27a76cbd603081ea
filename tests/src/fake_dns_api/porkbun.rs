//! Porkbun's API v3, as far as TXT records and domains go.
//!
//! Stricter than the service: fields and parameters that are not documented are refused, and so
//! are names that have the domain behind them, of which the service would make another name.

use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The TTL to which a lower one is raised without a word.
const SMALLEST_TTL: u32 = 600;
/// Domains of a page.
const PAGE: usize = 1000;
/// Requests in a second before the proxy refuses.
const BURST: usize = 3;

#[derive(Debug, Clone)]
struct Key {
    key: String,
    secret: String,
    /// `None`: every domain of the account.
    domains: Option<Vec<String>>,
}

/// The service.
#[derive(Debug, Default)]
pub struct Porkbun {
    keys: Mutex<Vec<Key>>,
    opted_out: Mutex<BTreeSet<String>>,
    odd_lists: AtomicBool,
    throttling: AtomicBool,
    recent: Mutex<VecDeque<Instant>>,
}

impl Porkbun {
    /// A service that knows no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A key pair for these domains, or for all.
    #[must_use]
    pub fn keys(&self, domains: Option<&[&str]>) -> (String, String) {
        let mut keys = lock(&self.keys);
        let (key, secret) = Self::unknown_keys(keys.len() as u64 + 1);
        let domains = domains.map(|domains| domains.iter().map(|&domain| domain.to_owned()).collect());
        keys.push(Key { key: key.clone(), secret: secret.clone(), domains });
        (key, secret)
    }

    /// A pair of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_keys(number: u64) -> (String, String) {
        (format!("pk1_{number:064x}"), format!("sk1_{number:064x}"))
    }

    /// Switches API access off for a domain.
    pub fn opt_out(&self, domain: &str) {
        lock(&self.opted_out).insert(domain.to_owned());
    }

    /// Lists by name show the records of other names from now on, as has been seen.
    pub fn odd_lists(&self) {
        self.odd_lists.store(true, Ordering::SeqCst);
    }

    /// Refuses from now on what comes too fast.
    pub fn throttle(&self) {
        self.throttling.store(true, Ordering::SeqCst);
    }

    fn too_fast(&self) -> bool {
        if !self.throttling.load(Ordering::SeqCst) {
            return false;
        }
        let mut recent = lock(&self.recent);
        let now = Instant::now();
        recent.retain(|call| now.duration_since(*call) < Duration::from_secs(1));
        recent.push_back(now);
        recent.len() > BURST
    }

    /// The keys of the body win over those of the headers.
    fn key(&self, asked: &Asked, body: &Map<String, Value>) -> Result<Key, Answer> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let (key, secret) = match (text("apikey"), text("secretapikey")) {
            (None, None) => (asked.header("x-api-key"), asked.header("x-secret-api-key")),
            pair => pair,
        };
        let key = key.ok_or_else(|| refusal("MISSING_APIKEY", "The API key is missing.", "authenticate"))?;
        let secret = secret.ok_or_else(|| {
            refusal("MISSING_SECRETAPIKEY", "The secret API key is missing.", "authenticate")
        })?;
        let keys = lock(&self.keys);
        let known = keys.iter().find(|one| one.key == key && one.secret == secret);
        known.cloned().ok_or_else(|| refusal("INVALID_API_KEYS_001", "Invalid API key.", "authenticate"))
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let body = body(asked)?;
        let key = self.key(asked, &body)?;
        let writes = asked.method == "POST";
        if !writes && asked.method != "GET" {
            return Err(Answer::page(405, "method not allowed"));
        }
        match &asked.path()[..] {
            ["ping"] => {
                only(asked, &body, &[], &[])?;
                Ok(success(json!({ "yourIp": "127.0.0.1" })))
            }
            ["domain", "listAll"] => self.domains(asked, &body, held, &key),
            ["dns", action, domain, rest @ ..] => {
                let number = held.next_number();
                let zone = self.zone(domain, held, &key)?;
                match (*action, rest) {
                    ("retrieve", []) => {
                        only(asked, &body, &[], &[])?;
                        Ok(records(zone.records.iter()))
                    }
                    ("retrieve", [id]) => {
                        only(asked, &body, &[], &[])?;
                        Ok(records(zone.records.iter().filter(|record| record.id == *id)))
                    }
                    ("retrieveByNameType", [kind, name @ ..]) if name.len() < 2 => {
                        only(asked, &body, &[], &[])?;
                        let name = zone.absolute(name.first().copied().unwrap_or_default(), "");
                        let odd = self.odd_lists.load(Ordering::SeqCst);
                        let here =
                            |record: &&HeldRecord| record.kind == *kind && (record.name == name) != odd;
                        Ok(records(zone.records.iter().filter(here)))
                    }
                    ("create", []) if writes => create(asked, &body, zone, number),
                    ("delete", [id]) if writes => {
                        only(asked, &body, &[], &[])?;
                        let found = zone.records.iter().position(|record| record.id == *id);
                        let index = found.ok_or_else(|| refusal("", "Invalid record ID.", "fix_request"))?;
                        zone.records.remove(index);
                        Ok(success(json!({})))
                    }
                    _ => Err(no_such_call()),
                }
            }
            _ => Err(no_such_call()),
        }
    }

    fn zone<'a>(&self, domain: &str, held: &'a mut Held, key: &Key) -> Result<&'a mut HeldZone, Answer> {
        let zone = held.zones.iter_mut().find(|zone| zone.name == domain);
        let zone = zone.ok_or_else(|| refusal("INVALID_DOMAIN", "Invalid domain.", "fix_request"))?;
        if key.domains.as_ref().is_some_and(|domains| !domains.iter().any(|one| one == domain)) {
            let message = "This API key is not allowed to access this domain.";
            return Err(answer(403, "", message, "enable_setting"));
        }
        if lock(&self.opted_out).contains(domain) {
            return Err(refusal("", "Domain is not opted in to API access.", "enable_setting"));
        }
        Ok(zone)
    }

    fn domains(
        &self,
        asked: &Asked,
        body: &Map<String, Value>,
        held: &Held,
        key: &Key,
    ) -> Result<Answer, Answer> {
        only(asked, body, &["start", "apiAccess"], &["start", "apiAccess"])?;
        let start = asked.parameter("start").map(str::to_owned);
        let start = start.or_else(|| body.get("start").map(|start| start.to_string()));
        let start: usize = start
            .map_or(Ok(0), |start| start.trim_matches('"').parse())
            .map_err(|_| refusal("", "start is no number", "fix_request"))?;
        let opted_out = lock(&self.opted_out);
        let access = |zone: &HeldZone| !opted_out.contains(&zone.name);
        let wanted = asked.parameter("apiAccess") == Some("yes");
        let allowed =
            |zone: &HeldZone| key.domains.as_ref().is_none_or(|domains| domains.contains(&zone.name));
        let shown: Vec<Value> = held
            .zones
            .iter()
            .filter(|zone| allowed(zone) && (!wanted || access(zone)))
            .skip(start)
            .take(PAGE)
            .map(|zone| {
                json!({
                    "domain": zone.name,
                    "status": "ACTIVE",
                    "tld": "test",
                    "createDate": "2026-01-01 00:00:00",
                    "expireDate": "2027-01-01 00:00:00",
                    "securityLock": "1",
                    "whoisPrivacy": "1",
                    "autoRenew": 0,
                    "notLocal": 0,
                    "apiAccess": access(zone),
                })
            })
            .collect();
        Ok(success(json!({ "domains": shown })))
    }
}

impl Service for Porkbun {
    fn base(&self) -> &'static str {
        "/api/json/v3"
    }

    fn identifier(&self, number: u64) -> String {
        (106_926_600 + number).to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        if self.too_fast() {
            return self.throttled();
        }
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        Answer::page(503, "503 Service Temporarily Unavailable")
    }
}

fn success(mut body: Value) -> Answer {
    body["status"] = json!("SUCCESS");
    Answer::json(200, &body)
}

fn answer(status: u16, code: &str, message: &str, next: &str) -> Answer {
    let mut body = json!({ "status": "ERROR", "message": message });
    if !code.is_empty() {
        body["code"] = json!(code);
        body["next_action"] = json!({ "type": next, "hint": "see the documentation" });
    }
    Answer::json(status, &body)
}

fn refusal(code: &str, message: &str, next: &str) -> Answer {
    answer(400, code, message, next)
}

fn no_such_call() -> Answer {
    answer(404, "", "no such call", "fix_request")
}

/// One answer for everything that is wrong with a new record.
fn not_created() -> Answer {
    refusal("", "Create error: We were unable to create the DNS record.", "fix_request")
}

/// The body: a JSON object, or nothing.
fn body(asked: &Asked) -> Result<Map<String, Value>, Answer> {
    if asked.body.is_empty() {
        return Ok(Map::new());
    }
    let wrong = || refusal("", "The request is not valid JSON.", "fix_request");
    if asked.method == "GET" {
        return Err(wrong());
    }
    serde_json::from_slice(&asked.body).map_err(|_| wrong())
}

fn only(asked: &Asked, body: &Map<String, Value>, fields: &[&str], query: &[&str]) -> Result<(), Answer> {
    let field = body.keys().map(String::as_str);
    let stranger =
        field.filter(|name| !["apikey", "secretapikey"].contains(name)).find(|name| !fields.contains(name));
    match stranger.or_else(|| asked.unknown_parameter(query)) {
        None => Ok(()),
        Some(name) => Err(refusal("", &format!("unknown field {name}"), "fix_request")),
    }
}

fn records<'a>(found: impl Iterator<Item = &'a HeldRecord>) -> Answer {
    let shown: Vec<Value> = found
        .map(|record| {
            json!({
                "id": record.id,
                "name": record.name,
                "type": record.kind,
                "content": record.form,
                "ttl": record.ttl.to_string(),
                "prio": "0",
                "notes": "",
            })
        })
        .collect();
    success(json!({ "cloudflare": "enabled", "records": shown }))
}

fn create(
    asked: &Asked,
    body: &Map<String, Value>,
    zone: &mut HeldZone,
    number: u64,
) -> Result<Answer, Answer> {
    only(asked, body, &["name", "type", "content", "ttl", "prio", "notes", "dryRun"], &[])?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let wrong = |what: &str| refusal("", what, "fix_request");
    if text("type") != Some("TXT") {
        return Err(wrong("this fake takes TXT only"));
    }
    let name = match body.get("name") {
        None | Some(Value::Null) => "",
        Some(name) => name.as_str().ok_or_else(|| wrong("name is no text"))?,
    };
    if name.ends_with('.') || zone.contains(name) {
        return Err(wrong("the name has the domain behind it"));
    }
    let content = text("content").filter(|content| !content.is_empty() && !content.ends_with(' '));
    let content = content.ok_or_else(not_created)?.to_owned();
    let ttl = match body.get("ttl") {
        None | Some(Value::Null) => Some(u64::from(SMALLEST_TTL)),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_u64(),
    };
    let ttl = ttl.and_then(|ttl| u32::try_from(ttl).ok()).ok_or_else(not_created)?.max(SMALLEST_TTL);
    let name = zone.absolute(&name.to_lowercase(), "");
    let mut here = zone.records.iter().filter(|one| one.name == name);
    if here.any(|one| one.kind == "CNAME" || one.data == content) {
        return Err(not_created());
    }
    match body.get("dryRun") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => return Ok(success(json!({ "dryRun": true, "wouldSucceed": true }))),
        Some(_) => return Err(wrong("dryRun is no truth value")),
    }
    let id = 106_926_600 + number;
    let (kind, form) = ("TXT".to_owned(), content.clone());
    zone.records.push(HeldRecord { id: id.to_string(), name, kind, ttl, data: content, form });
    Ok(success(json!({ "id": id })))
}

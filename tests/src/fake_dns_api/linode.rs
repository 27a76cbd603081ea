//! Linode's API v4, as far as TXT records and domains go.
//!
//! Stricter than the service: fields, parameters and filters that are not documented are
//! refused, and so are TTLs that it would round.

use super::exchange::unknown_member;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The TTLs that are kept as they are sent.
const TTLS: [u64; 15] = [
    0, 30, 120, 300, 3600, 7200, 14_400, 28_800, 57_600, 86_400, 172_800, 345_600, 604_800, 1_209_600,
    2_419_200,
];
/// Entries of a page: the least, without a wish, and the most.
const PER_PAGE: (usize, usize, usize) = (25, 100, 500);
/// What every record of a list has beside name, type, target and TTL.
const OTHER_FIELDS: [&str; 5] = ["priority", "weight", "port", "service", "protocol"];

/// What a token may do.
#[derive(Debug, Clone)]
struct Token {
    secret: String,
    scopes: String,
    /// The domains that its user may edit (true) or read; `None`: an unrestricted user.
    grants: Option<BTreeMap<String, bool>>,
}

/// The service.
#[derive(Debug, Default)]
pub struct Linode {
    tokens: Mutex<Vec<Token>>,
    /// Type and status of domains that are not `master` and `active`.
    states: Mutex<BTreeMap<String, (String, String)>>,
    forgetful: AtomicBool,
}

impl Linode {
    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token with these scopes, of a user who may edit (true) or read the domains with these
    /// ids, or of one who may do everything.
    #[must_use]
    pub fn token(&self, scopes: &str, grants: Option<&[(&str, bool)]>) -> String {
        let mut tokens = lock(&self.tokens);
        let secret = Self::unknown_token(tokens.len() as u64 + 1);
        let grants =
            grants.map(|grants| grants.iter().map(|(id, edits)| ((*id).to_owned(), *edits)).collect());
        tokens.push(Token { secret: secret.clone(), scopes: scopes.to_owned(), grants });
        secret
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("{number:064x}")
    }

    /// Gives a domain another type or status.
    pub fn state(&self, domain: &str, kind: &str, status: &str) {
        lock(&self.states).insert(domain.to_owned(), (kind.to_owned(), status.to_owned()));
    }

    /// The TTL of a creation is dropped from now on, as has been seen.
    pub fn drop_ttls(&self) {
        self.forgetful.store(true, Ordering::SeqCst);
    }

    fn token_of(&self, asked: &Asked) -> Result<Token, Answer> {
        let secret = asked.bearer();
        let tokens = lock(&self.tokens);
        let known = secret.and_then(|secret| tokens.iter().find(|token| token.secret == secret));
        known.cloned().ok_or_else(|| refusal(401, "Invalid Token"))
    }

    fn route(&self, asked: &Asked, held: &mut Held, token: &Token) -> Result<Answer, Answer> {
        let (method, segments) = (asked.method.as_str(), asked.path());
        match (method, &segments[..]) {
            ("GET", ["profile", "grants"]) => Ok(grants(held, token)),
            ("GET", ["domains"]) => {
                token.needs(&["domains:read_only", "domains:read_write"])?;
                let shown: Vec<Value> = held
                    .zones
                    .iter()
                    .filter(|zone| token.sees(&zone.id))
                    .map(|zone| self.domain(zone))
                    .collect();
                page(asked, shown, &["domain"])
            }
            (_, ["domains", id, rest @ ..]) => {
                let reads = method == "GET";
                let either = ["domains:read_write", "domains:read_only"];
                token.needs(if reads { &either } else { &either[..1] })?;
                let number = held.next_number();
                let zone = held.zone_mut(id).filter(|_| token.sees(id)).ok_or_else(not_found)?;
                if !reads && !token.edits(id) {
                    return Err(refusal(403, "Unauthorized"));
                }
                match (method, rest) {
                    ("GET", []) => Ok(Answer::json(200, &self.domain(zone))),
                    ("GET", ["records"]) => {
                        let shown = zone.records.iter().map(|record| shown(zone, record)).collect();
                        page(asked, shown, &["type", "name"])
                    }
                    ("GET", ["records", record]) => {
                        let found = zone.records.iter().find(|one| one.id == *record);
                        Ok(Answer::json(200, &shown(zone, found.ok_or_else(not_found)?)))
                    }
                    ("POST", ["records"]) => self.create(asked, zone, number),
                    ("PUT", ["records", record]) => change(asked, zone, record),
                    ("DELETE", ["records", record]) => {
                        let found = zone.records.iter().position(|one| one.id == *record);
                        zone.records.remove(found.ok_or_else(not_found)?);
                        Ok(Answer::json(200, &json!({})))
                    }
                    _ => Err(not_found()),
                }
            }
            _ => Err(not_found()),
        }
    }

    fn domain(&self, zone: &HeldZone) -> Value {
        let states = lock(&self.states);
        let (kind, status) =
            states.get(&zone.name).map_or(("master", "active"), |(kind, status)| (kind, status));
        json!({
            "id": number(&zone.id), "domain": zone.name, "type": kind, "status": status, "ttl_sec": 0,
            "soa_email": "admin@example.test", "description": null, "tags": [], "group": "",
            "retry_sec": 0, "refresh_sec": 0, "expire_sec": 0, "master_ips": [], "axfr_ips": [],
        })
    }

    fn create(&self, asked: &Asked, zone: &mut HeldZone, number: u64) -> Result<Answer, Answer> {
        let body =
            object(asked, &["type", "name", "target", "ttl_sec", "priority", "weight", "port", "tag"])?;
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        if text("type") != Some("TXT") {
            return Err(invalid("type", "this fake takes TXT only"));
        }
        let name = name(zone, text("name").unwrap_or_default());
        let target = text("target").filter(|target| !target.is_empty());
        let target = target.ok_or_else(|| invalid("target", "target is required"))?.to_owned();
        let ttl = if self.forgetful.load(Ordering::SeqCst) { 0 } else { ttl(&body)?.unwrap_or(0) };
        if zone.records.iter().any(|one| one.name == name && one.kind == "CNAME") {
            return Err(invalid("name", "A CNAME record with this hostname exists already"));
        }
        // An identical record is made all the same.
        let (kind, form) = ("TXT".to_owned(), target.clone());
        zone.records.push(HeldRecord { id: number.to_string(), name, kind, ttl, data: target, form });
        Ok(Answer::json(200, &shown(zone, zone.records.last().expect("one was just added"))))
    }
}

impl Service for Linode {
    fn base(&self) -> &'static str {
        "/v4"
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let header = HeaderName::from_static;
        match self.token_of(asked) {
            Ok(token) => self
                .route(asked, held, &token)
                .unwrap_or_else(|refusal| refusal)
                .with(header("x-oauth-scopes"), &token.scopes)
                .with(header("x-accepted-oauth-scopes"), "domains:read_write")
                .with(header("x-ratelimit-limit"), "200"),
            Err(refusal) => refusal,
        }
    }

    fn throttled(&self) -> Answer {
        refusal(429, "Too many requests")
    }
}

impl Token {
    fn needs(&self, one_of: &[&str]) -> Result<(), Answer> {
        let held = |scope: &str| scope == "*" || one_of.contains(&scope);
        if self.scopes.split(' ').any(held) {
            Ok(())
        } else {
            Err(refusal(401, "Your OAuth token is not authorized to use this endpoint."))
        }
    }

    fn sees(&self, id: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.contains_key(id))
    }

    fn edits(&self, id: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.get(id) == Some(&true))
    }
}

fn refusal(status: u16, reason: &str) -> Answer {
    Answer::json(status, &json!({ "errors": [{ "reason": reason }] }))
}

fn invalid(field: &str, reason: &str) -> Answer {
    Answer::json(400, &json!({ "errors": [{ "reason": reason, "field": field }] }))
}

fn not_found() -> Answer {
    refusal(404, "Not found")
}

fn number(id: &str) -> u64 {
    id.parse().expect("ids are numbers here")
}

/// Absolute, from a relative or absolute name.
fn name(zone: &HeldZone, given: &str) -> String {
    let given = given.trim_end_matches('.').to_lowercase();
    let absolute = zone.contains(&given);
    match (given.is_empty(), absolute) {
        (true, _) => zone.name.clone(),
        (_, true) => given,
        (_, false) => format!("{given}.{}", zone.name),
    }
}

fn shown(zone: &HeldZone, record: &HeldRecord) -> Value {
    let relative = record.name.strip_suffix(&zone.name).unwrap_or(&record.name).trim_end_matches('.');
    let mut shown = json!({
        "id": number(&record.id),
        "type": record.kind,
        "name": relative,
        "target": record.form,
        "ttl_sec": record.ttl,
        "tag": null,
        "created": "2026-11-22T00:00:00",
        "updated": "2026-11-22T00:00:00",
    });
    for field in OTHER_FIELDS {
        shown[field] = if matches!(field, "service" | "protocol") { Value::Null } else { json!(0) };
    }
    shown
}

fn object(asked: &Asked, known: &[&str]) -> Result<Map<String, Value>, Answer> {
    let body = asked.object().ok_or_else(|| refusal(400, "the body is no JSON object"))?;
    match unknown_member(&body, known) {
        None => Ok(body),
        Some(key) => Err(invalid(key, "unknown field")),
    }
}

fn ttl(body: &Map<String, Value>) -> Result<Option<u32>, Answer> {
    let Some(ttl) = body.get("ttl_sec") else { return Ok(None) };
    let ttl = ttl.as_u64().filter(|ttl| TTLS.contains(ttl));
    let ttl = ttl.ok_or_else(|| invalid("ttl_sec", "this TTL would be rounded"))?;
    Ok(u32::try_from(ttl).ok())
}

fn change(asked: &Asked, zone: &mut HeldZone, id: &str) -> Result<Answer, Answer> {
    let body = object(asked, &["ttl_sec"])?;
    let ttl = ttl(&body)?;
    let index = zone.records.iter().position(|one| one.id == id).ok_or_else(not_found)?;
    if let Some(ttl) = ttl {
        zone.records[index].ttl = ttl;
    }
    Ok(Answer::json(200, &shown(zone, &zone.records[index])))
}

fn grants(held: &Held, token: &Token) -> Answer {
    let Some(grants) = &token.grants else { return Answer::text(204, "application/json", "") };
    let domain = |zone: &HeldZone| {
        let permissions = grants.get(&zone.id).map(|edits| if *edits { "read_write" } else { "read_only" });
        json!({ "id": number(&zone.id), "label": zone.name, "permissions": permissions })
    };
    let domains: Vec<Value> = held.zones.iter().map(domain).collect();
    let body = json!({ "domain": domains, "linode": [], "global": { "add_domains": false, "account_access": null } });
    Answer::json(200, &body)
}

/// The page of those that fit the filter.
fn page(asked: &Asked, mut found: Vec<Value>, filters: &[&str]) -> Result<Answer, Answer> {
    if let Some(name) = asked.unknown_parameter(&["page", "page_size"]) {
        return Err(invalid(name, "unknown parameter"));
    }
    if let Some(filter) = asked.header("x-filter") {
        let wrong = || refusal(400, "Cannot filter on this");
        let filter: Map<String, Value> = serde_json::from_str(filter).map_err(|_| wrong())?;
        if unknown_member(&filter, filters).is_some() {
            return Err(wrong());
        }
        found.retain(|one| filter.iter().all(|(key, value)| one[key] == *value));
    }
    let number =
        |name: &str, default: usize, range: (usize, usize)| match asked.parameter(name).map(str::parse) {
            None => Ok(default),
            Some(Ok(number)) if (range.0..=range.1).contains(&number) => Ok(number),
            Some(_) => Err(invalid(name, "out of range")),
        };
    let size = number("page_size", PER_PAGE.1, (PER_PAGE.0, PER_PAGE.2))?;
    let pages = found.len().div_ceil(size).max(1);
    let page = number("page", 1, (1, usize::MAX))?;
    if page > pages {
        return Err(not_found());
    }
    let data: Vec<&Value> = found.iter().skip((page - 1) * size).take(size).collect();
    let body = json!({ "data": data, "page": page, "pages": pages, "results": found.len() });
    Ok(Answer::json(200, &body))
}

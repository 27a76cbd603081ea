//! deSEC's API v1, as far as TXT RRsets, domains and token policies go; written after the
//! service's own source.
//!
//! Stricter than the service: fields and parameters that are not documented are refused, and a
//! character-string must have at most 255 octets.

use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock, text_of};
use hyper::header::LINK;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Characters of a token.
const TOKEN_LENGTH: usize = 28;
/// Seconds that every TTL has at least and at most.
const TTLS: (u64, u64) = (3600, 86_400);
/// Entries of a page.
const PAGE: usize = 500;
/// Octets that all records of an RRset may have together.
const LARGEST_SET: usize = 65_000;
/// Writes of one domain.
const WRITES: [(usize, Duration); 2] = [(2, Duration::from_secs(1)), (15, Duration::from_secs(60))];
/// Reads of the account.
const READS: [(usize, Duration); 2] = [(10, Duration::from_secs(1)), (50, Duration::from_secs(60))];

/// One rule of what a token may write; what is `None` fits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The domain's name.
    pub domain: Option<String>,
    /// Relative to the domain.
    pub subname: Option<String>,
    /// `TXT` and so on.
    pub kind: Option<String>,
    /// Whether what fits may be written.
    pub write: bool,
}

impl Policy {
    /// TXT at one name may be written.
    #[must_use]
    pub fn txt(domain: &str, subname: &str) -> Self {
        Self {
            domain: Some(domain.to_owned()),
            subname: Some(subname.to_owned()),
            kind: Some("TXT".to_owned()),
            write: true,
        }
    }

    /// Everything in one domain may be written.
    #[must_use]
    pub fn domain(domain: &str) -> Self {
        Self { domain: Some(domain.to_owned()), write: true, ..Self::default() }
    }
}

#[derive(Debug, Clone)]
struct Token {
    secret: String,
    id: String,
    manages: bool,
    /// None: it may write everything.
    policies: Vec<Policy>,
}

/// The service.
#[derive(Debug)]
pub struct Desec {
    tokens: Mutex<Vec<Token>>,
    /// RRsets that somebody else writes right after a write: name and values.
    overwrites: Mutex<VecDeque<(String, Vec<String>)>>,
    page: AtomicUsize,
    throttling: AtomicBool,
    calls: Mutex<BTreeMap<String, VecDeque<Instant>>>,
}

impl Default for Desec {
    fn default() -> Self {
        Self {
            tokens: Mutex::default(),
            overwrites: Mutex::default(),
            page: AtomicUsize::new(PAGE),
            throttling: AtomicBool::new(false),
            calls: Mutex::default(),
        }
    }
}

impl Desec {
    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token and its id. With no `policies` it may write everything; otherwise a closed
    /// default policy stands before them.
    #[must_use]
    pub fn token(&self, policies: &[Policy]) -> (String, String) {
        self.add(policies, false)
    }

    /// A token with `perm_manage_tokens`, and its id.
    #[must_use]
    pub fn managing_token(&self, policies: &[Policy]) -> (String, String) {
        self.add(policies, true)
    }

    fn add(&self, policies: &[Policy], manages: bool) -> (String, String) {
        let mut tokens = lock(&self.tokens);
        let number = tokens.len() as u64 + 1;
        let (secret, id) = (Self::unknown_token(number), uuid(number));
        let closed = (!policies.is_empty()).then(Policy::default);
        let policies = closed.into_iter().chain(policies.iter().cloned()).collect();
        tokens.push(Token { secret: secret.clone(), id: id.clone(), manages, policies });
        (secret, id)
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("token{number:a>width$}", width = TOKEN_LENGTH - 5)
    }

    /// Somebody else writes `values` at `name` right after the next write, in place of what
    /// stands there then; several calls meet the next writes in turn.
    pub fn overwrite(&self, name: &str, values: &[&str]) {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        lock(&self.overwrites).push_back((name.to_owned(), values));
    }

    /// Lists have pages of `entries` from now on.
    pub fn pages_of(&self, entries: usize) {
        self.page.store(entries, Ordering::SeqCst);
    }

    /// Refuses from now on what is more than the service's own rates allow.
    pub fn throttle(&self) {
        self.throttling.store(true, Ordering::SeqCst);
    }

    fn token_of(&self, asked: &Asked) -> Result<Token, Answer> {
        let Some(header) = asked.header("authorization") else {
            return Err(detail(401, "Authentication credentials were not provided."));
        };
        let tokens = lock(&self.tokens);
        let secret = header.strip_prefix("Token ");
        let known = secret.and_then(|secret| tokens.iter().find(|token| token.secret == secret));
        known.cloned().ok_or_else(|| detail(401, "Invalid token."))
    }

    /// Counts a call in `bucket`, or says when it may be made.
    fn count(&self, bucket: &str, rates: &[(usize, Duration)]) -> Result<(), Answer> {
        if !self.throttling.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut calls = lock(&self.calls);
        let (calls, now) = (calls.entry(bucket.to_owned()).or_default(), Instant::now());
        for (most, window) in rates {
            let recent = calls.iter().filter(|call| now.duration_since(**call) < *window).count();
            if recent >= *most {
                let wait = window.as_secs();
                let answer =
                    detail(429, &format!("Request was throttled. Expected available in {wait} seconds."));
                return Err(answer.with(hyper::header::RETRY_AFTER, &wait.to_string()));
            }
        }
        calls.push_back(now);
        Ok(())
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let token = self.token_of(asked)?;
        let (method, segments) = (asked.method.as_str(), asked.path());
        if segments.last() != Some(&"") {
            return Err(Answer::page(301, "the path ends with a slash"));
        }
        match (method, &segments[..segments.len() - 1]) {
            ("GET", ["auth", "tokens"]) => {
                only(asked, &["cursor"])?;
                if token.manages { Ok(self.list_tokens()) } else { Err(forbidden()) }
            }
            ("GET", ["auth", "tokens", id, "policies", "rrsets"]) => self.policies(&token, id),
            ("GET", ["domains"]) => {
                self.count("", &READS)?;
                self.domains(asked, held)
            }
            (_, ["domains", name, rest @ ..]) => {
                let zone = held.zones.iter_mut().find(|zone| zone.name == *name);
                let zone = zone.ok_or_else(not_found)?;
                if method == "GET" {
                    self.count("", &READS)?;
                } else {
                    self.count(name, &WRITES)?;
                }
                let before = zone.clone();
                let result = self.in_zone(asked, zone, rest, &token);
                match &result {
                    Err(_) => *zone = before,
                    Ok(_) if method != "GET" => self.interfere(zone),
                    Ok(_) => {}
                }
                result
            }
            _ => Err(not_found()),
        }
    }

    fn in_zone(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        rest: &[&str],
        token: &Token,
    ) -> Result<Answer, Answer> {
        match (asked.method.as_str(), rest) {
            ("GET", []) => Ok(Answer::json(200, &domain(zone))),
            ("GET", ["rrsets"]) => self.list(asked, zone),
            ("POST" | "PATCH" | "PUT", ["rrsets"]) => {
                only(asked, &[])?;
                write_many(asked, zone, token)
            }
            (method, ["rrsets", subname, "TXT"]) => {
                only(asked, &[])?;
                let subname = if *subname == "@" { "" } else { subname.trim_end_matches("...") };
                one_set(asked, method, zone, subname, token)
            }
            _ => Err(not_found()),
        }
    }

    fn list_tokens(&self) -> Answer {
        let tokens = lock(&self.tokens);
        let shown: Vec<Value> = tokens
            .iter()
            .map(|token| json!({ "id": token.id, "name": "", "perm_manage_tokens": token.manages }))
            .collect();
        Answer::json(200, &Value::Array(shown))
    }

    /// A token may read its own policies.
    fn policies(&self, token: &Token, id: &str) -> Result<Answer, Answer> {
        if !token.manages && token.id != id {
            return Err(forbidden());
        }
        let tokens = lock(&self.tokens);
        let of = tokens.iter().find(|one| one.id == id).ok_or_else(not_found)?;
        let shown = of.policies.iter().enumerate().map(|(number, policy)| {
            json!({
                "id": uuid(number as u64 + 1000),
                "domain": policy.domain,
                "subname": policy.subname,
                "type": policy.kind,
                "perm_write": policy.write,
            })
        });
        Ok(Answer::json(200, &shown.collect()))
    }

    fn domains(&self, asked: &Asked, held: &Held) -> Result<Answer, Answer> {
        only(asked, &["owns_qname", "cursor"])?;
        let found: Vec<&HeldZone> = match asked.parameter("owns_qname") {
            None => held.zones.iter().collect(),
            Some(name) => {
                let owns = |zone: &&HeldZone| name == zone.name || name.ends_with(&format!(".{}", zone.name));
                held.zones.iter().filter(owns).max_by_key(|zone| zone.name.len()).into_iter().collect()
            }
        };
        self.page(asked, &found.into_iter().map(domain).collect::<Vec<_>>())
    }

    fn list(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        only(asked, &["type", "subname", "cursor"])?;
        let fits = |set: &&(String, String)| {
            asked.parameter("type").is_none_or(|kind| set.1 == kind)
                && asked.parameter("subname").is_none_or(|subname| subname_of(zone, &set.0) == subname)
        };
        let places: BTreeSet<(String, String)> =
            zone.records.iter().map(|record| (record.name.clone(), record.kind.clone())).collect();
        let found: Vec<Value> =
            places.iter().filter(fits).map(|(name, kind)| shown(zone, name, kind)).collect();
        self.page(asked, &found)
    }

    /// A page, or all of what is found where it fits on one.
    fn page(&self, asked: &Asked, found: &[Value]) -> Result<Answer, Answer> {
        let size = self.page.load(Ordering::SeqCst);
        if found.len() <= size {
            return Ok(Answer::json(200, &Value::Array(found.to_vec())));
        }
        let address = |cursor: &str| {
            let host = asked.header("host").unwrap_or_default();
            let path = asked.segments.join("/");
            let others: String = asked
                .query
                .iter()
                .filter(|(name, _)| name != "cursor")
                .map(|(name, value)| format!("&{name}={value}"))
                .collect();
            format!("<http://{host}/api/v1/{path}?cursor={cursor}{others}>")
        };
        let first = format!("{}; rel=\"first\"", address(""));
        let Some(cursor) = asked.parameter("cursor") else {
            let text = format!("Pagination required. You can query up to {size} items at a time.");
            return Err(detail(400, &text).with(LINK, &first));
        };
        let start = match cursor.strip_prefix("p=") {
            None if cursor.is_empty() => 0,
            Some(number) => number.parse().map_err(|_| detail(404, "Invalid cursor"))?,
            None => return Err(detail(404, "Invalid cursor")),
        };
        let some: Vec<Value> = found.iter().skip(start).take(size).cloned().collect();
        let answer = Answer::json(200, &Value::Array(some));
        let next = start + size;
        Ok(if next < found.len() {
            answer.with(LINK, &format!("{first}, {}; rel=\"next\"", address(&format!("p%3D{next}"))))
        } else {
            answer.with(LINK, &first)
        })
    }

    fn interfere(&self, zone: &mut HeldZone) {
        let Some((name, values)) = lock(&self.overwrites).pop_front() else { return };
        let records = values.iter().map(|value| record(&name, 7200, value.clone())).collect();
        zone.replace_set(&name, "TXT", records);
    }
}

impl Service for Desec {
    fn base(&self) -> &'static str {
        "/api/v1"
    }

    fn identifier(&self, number: u64) -> String {
        uuid(number)
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        detail(429, "Request was throttled.")
    }
}

impl Token {
    /// Of the policies that fit, the most special one decides.
    fn may_write(&self, domain: &str, subname: &str, kind: &str) -> bool {
        let fits = |rule: &Option<String>, value: &str| rule.as_deref().is_none_or(|rule| rule == value);
        let deciding = self
            .policies
            .iter()
            .filter(|one| fits(&one.domain, domain) && fits(&one.subname, subname) && fits(&one.kind, kind))
            .max_by_key(|one| (one.domain.is_some(), one.subname.is_some(), one.kind.is_some()));
        self.policies.is_empty() || deciding.is_some_and(|policy| policy.write)
    }
}

fn uuid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn detail(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "detail": text }))
}

fn not_found() -> Answer {
    detail(404, "Not found.")
}

fn forbidden() -> Answer {
    detail(403, "Insufficient token permissions.")
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(detail(400, &format!("unknown parameter {name}"))),
    }
}

fn domain(zone: &HeldZone) -> Value {
    json!({
        "created": "2026-11-22T00:00:00.000000Z",
        "published": "2026-11-22T00:00:00.000000Z",
        "touched": "2026-11-22T00:00:00.000000Z",
        "name": zone.name,
        "minimum_ttl": TTLS.0,
    })
}

/// Empty at the apex.
fn subname_of<'a>(zone: &HeldZone, name: &'a str) -> &'a str {
    name.strip_suffix(&zone.name).unwrap_or(name).trim_end_matches('.')
}

fn name_of(zone: &HeldZone, subname: &str) -> String {
    if subname.is_empty() { zone.name.clone() } else { format!("{subname}.{}", zone.name) }
}

/// One form for every text, whatever it was written in.
fn canonical(text: &str) -> String {
    let one = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets).replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{text}\"")
    };
    text.as_bytes().chunks(255).map(one).collect::<Vec<_>>().join(" ")
}

fn record(name: &str, ttl: u32, data: String) -> HeldRecord {
    let form = canonical(&data);
    HeldRecord { id: String::new(), name: name.to_owned(), kind: "TXT".to_owned(), ttl, data, form }
}

fn shown(zone: &HeldZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    let form = |record: &&HeldRecord| {
        if kind == "TXT" { canonical(&record.data) } else { record.data.clone() }
    };
    json!({
        "created": "2026-11-22T00:00:00.000000Z",
        "domain": zone.name,
        "subname": subname_of(zone, name),
        "name": format!("{name}."),
        "type": kind,
        "ttl": set.first().map(|record| record.ttl),
        "records": set.iter().map(form).collect::<Vec<_>>(),
        "touched": "2026-11-22T00:00:00.000000Z",
    })
}

/// Creates, changes or deletes RRsets together, or says what is wrong with each.
fn write_many(asked: &Asked, zone: &mut HeldZone, token: &Token) -> Result<Answer, Answer> {
    let body: Value =
        serde_json::from_slice(&asked.body).map_err(|_| detail(400, "JSON parse error - Expecting value"))?;
    if !asked.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(detail(415, "Unsupported media type in request."));
    }
    let method = asked.method.as_str();
    let (items, single) = match body {
        Value::Array(items) => (items, false),
        item @ Value::Object(_) if method == "POST" => (vec![item], true),
        _ => {
            let text = "Expected a list of items but got dict.";
            return Err(Answer::json(400, &json!({ "non_field_errors": [text] })));
        }
    };
    let key = |item: &Value| (item["subname"].as_str().map(str::to_owned), item["type"].clone());
    let mut errors = vec![json!({}); items.len()];
    let mut sets = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let twin = items.iter().enumerate().find(|(other, one)| *other != index && key(one) == key(item));
        let checked = match twin {
            Some((other, _)) => Err(Refusal::Item(non_field(&format!(
                "Same subname and type as in position(s) {other}, but must be unique."
            )))),
            None => checked(item, method, zone, token),
        };
        match checked {
            Ok(set) => sets.push(set),
            Err(Refusal::Item(error)) => errors[index] = error,
            Err(Refusal::Whole) => return Err(forbidden()),
        }
    }
    if errors.iter().any(|error| *error != json!({})) {
        let body = if single { errors.remove(0) } else { Value::Array(errors) };
        return Err(Answer::json(400, &body));
    }
    let mut written = Vec::new();
    for set in sets {
        let empty = set.values.is_empty();
        let name = name_of(zone, &set.subname);
        let records = set.values.into_iter().map(|value| record(&name, set.ttl, value)).collect();
        zone.replace_set(&name, "TXT", records);
        if !empty {
            written.push(shown(zone, &name, "TXT"));
        }
    }
    let status = if method == "POST" { 201 } else { 200 };
    Ok(Answer::json(status, &if single { written.remove(0) } else { Value::Array(written) }))
}

/// What an RRset shall be.
struct Set {
    subname: String,
    ttl: u32,
    values: Vec<String>,
}

/// Why an RRset is not taken.
enum Refusal {
    /// This is wrong with it.
    Item(Value),
    /// The token may not write it, for which the whole list is refused.
    Whole,
}

fn non_field(text: &str) -> Value {
    json!({ "non_field_errors": [text] })
}

fn field(name: &str, text: &str) -> Refusal {
    Refusal::Item(json!({ name: [text] }))
}

/// In the order of the service: the form of each field, permission, and only then content.
fn checked(item: &Value, method: &str, zone: &HeldZone, token: &Token) -> Result<Set, Refusal> {
    let wrong = |text: &str| Refusal::Item(non_field(text));
    let item = item.as_object().ok_or_else(|| wrong("Expected a dictionary, but got str."))?;
    if let Some(name) = item.keys().find(|key| !["subname", "type", "ttl", "records"].contains(&key.as_str()))
    {
        return Err(field(name, "unknown field"));
    }
    let subname = item.get("subname").and_then(Value::as_str);
    let subname = subname.ok_or_else(|| field("subname", "This field is required."))?;
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | '*');
    if !subname.chars().all(allowed) {
        return Err(field("subname", "Subname can only use (lowercase) a-z, 0-9, ., -, and _"));
    }
    match item.get("type").and_then(Value::as_str) {
        Some("TXT") => {}
        Some(_) => return Err(field("type", "this fake takes TXT only")),
        None => return Err(field("type", "This field is required.")),
    }
    let name = name_of(zone, subname);
    let present = zone.set(&name, "TXT");
    let forms = item.get("records").map(forms).transpose()?;
    let goes = forms.as_ref().is_some_and(Vec::is_empty);
    if !goes && !zone.set(&name, "CNAME").is_empty() {
        return Err(wrong(
            "RRset with conflicting type present: database (CNAME). (No other RRsets are allowed alongside CNAME.)",
        ));
    }
    // Only a PATCH of what is there, or to nothing, may leave fields out.
    let partial = method == "PATCH" && (goes || !present.is_empty());
    let ttl = ttl(item, partial)?;
    let forms = match forms {
        Some(forms) if goes && method == "POST" => {
            drop(forms);
            return Err(field("records", "This field must not be empty when using POST."));
        }
        Some(forms) => forms,
        None if partial => present.iter().map(|record| canonical(&record.data)).collect(),
        None => return Err(field("records", "This field is required.")),
    };
    if !token.may_write(&zone.name, subname, "TXT") {
        return Err(Refusal::Whole);
    }
    if method == "POST" && !present.is_empty() {
        return Err(wrong(
            "Another RRset with the same subdomain and type exists for this domain. (Try modifying it.)",
        ));
    }
    let ttl = ttl.or_else(|| present.first().map(|record| record.ttl)).unwrap_or_default();
    Ok(Set { subname: subname.to_owned(), ttl, values: texts(&forms).map_err(|text| wrong(&text))? })
}

fn forms(records: &Value) -> Result<Vec<String>, Refusal> {
    let list = records.as_array().ok_or_else(|| field("records", "Expected a list of items."))?;
    let text = |one: &Value| one.as_str().map(str::to_owned);
    list.iter().map(|one| text(one).ok_or_else(|| field("records", "Must be a string."))).collect()
}

fn ttl(item: &Map<String, Value>, partial: bool) -> Result<Option<u32>, Refusal> {
    let Some(ttl) = item.get("ttl") else {
        return if partial { Ok(None) } else { Err(field("ttl", "This field is required.")) };
    };
    match ttl.as_u64() {
        None => Err(field("ttl", "A valid integer is required.")),
        Some(low) if low < TTLS.0 => {
            Err(field("ttl", &format!("Ensure this value is greater than or equal to {}.", TTLS.0)))
        }
        Some(high) if high > TTLS.1 => {
            Err(field("ttl", &format!("Ensure this value is less than or equal to {}.", TTLS.1)))
        }
        Some(fine) => Ok(u32::try_from(fine).ok()),
    }
}

/// What quoted records hold.
fn texts(forms: &[String]) -> Result<Vec<String>, String> {
    let texts: Option<Vec<String>> = forms.iter().map(|form| text_of(form)).collect();
    let texts = texts.ok_or("Cannot parse record contents: Content must be quoted.")?;
    if texts.iter().collect::<BTreeSet<_>>().len() != texts.len() {
        return Err("Duplicate: records must be semantically unique".to_owned());
    }
    let octets: usize = texts.iter().map(|text| text.len() + 12).sum();
    if octets > LARGEST_SET {
        return Err(format!("Total length of RRset exceeds limit by {} bytes.", octets - LARGEST_SET));
    }
    Ok(texts)
}

/// One RRset under its own address, which older clients use.
fn one_set(
    asked: &Asked,
    method: &str,
    zone: &mut HeldZone,
    subname: &str,
    token: &Token,
) -> Result<Answer, Answer> {
    let name = name_of(zone, subname);
    let there = !zone.set(&name, "TXT").is_empty();
    match method {
        "GET" if there => Ok(Answer::json(200, &shown(zone, &name, "TXT"))),
        "DELETE" => {
            if !token.may_write(&zone.name, subname, "TXT") {
                return Err(forbidden());
            }
            zone.replace_set(&name, "TXT", Vec::new());
            Ok(Answer::text(204, "application/json", ""))
        }
        "PATCH" if there => {
            let mut item = asked.object().ok_or_else(|| detail(400, "JSON parse error"))?;
            item.insert("subname".to_owned(), json!(subname));
            item.insert("type".to_owned(), json!("TXT"));
            let set =
                checked(&Value::Object(item), method, zone, token).map_err(|refusal| match refusal {
                    Refusal::Item(error) => Answer::json(400, &error),
                    Refusal::Whole => forbidden(),
                })?;
            let records = set.values.into_iter().map(|value| record(&name, set.ttl, value)).collect();
            zone.replace_set(&name, "TXT", records);
            Ok(Answer::json(200, &shown(zone, &name, "TXT")))
        }
        _ => Err(not_found()),
    }
}

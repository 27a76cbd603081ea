//! Cloudflare's API v4, as far as TXT records and zones go.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, and
//! so are changes of records (`patches`, `puts`), which nobody here makes.

use super::exchange::unknown_member;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock, text_of};
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The owner's key.
const GLOBAL_KEY: &str = "c2547eb745079dac9320b638f5e225cf483cc";
/// Octets of a token.
const TOKEN_LENGTH: usize = 40;
/// Records in one batch on the smallest plan.
const LARGEST_BATCH: usize = 200;
/// Characters that all TXT records of one name may have together.
const LARGEST_SET: usize = 8192;
/// Entries of a page unless asked otherwise, and the most.
const PER_PAGE: (usize, usize) = (100, 100);

/// What a token may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// `Zone / DNS / Edit` on the zone with this id.
    Edit(String),
    /// `Zone / DNS / Read` on the zone with this id.
    ReadRecords(String),
    /// `Zone / Zone / Read` on the zone with this id.
    Read(String),
    /// `Zone / Zone Settings / Read` on the zone with this id.
    Settings(String),
    /// `Zone / Page Rules / Read` on the zone with this id.
    PageRules(String),
    /// `User / User Details / Read`.
    UserDetails,
    /// `User / API Tokens / Read`.
    Tokens,
}

impl Access {
    /// As the service calls the permission, and what it is for.
    fn policy(&self) -> (&'static str, String) {
        let zone = |id: &str| format!("com.cloudflare.api.account.zone.{id}");
        let user = || format!("com.cloudflare.api.user.{}", hex(1));
        match self {
            Self::Edit(id) => ("DNS Write", zone(id)),
            Self::ReadRecords(id) => ("DNS Read", zone(id)),
            Self::Read(id) => ("Zone Read", zone(id)),
            Self::Settings(id) => ("Zone Settings Read", zone(id)),
            Self::PageRules(id) => ("Page Rules Read", zone(id)),
            Self::UserDetails => ("User Details Read", user()),
            Self::Tokens => ("API Tokens Read", user()),
        }
    }
}

/// Who asks.
#[derive(Debug)]
enum Caller {
    /// A token with its place among all tokens.
    Token(usize, Vec<Access>),
    /// The owner's Global API Key.
    Owner,
}

impl Caller {
    fn may(&self, access: &Access) -> bool {
        match self {
            Self::Owner => true,
            Self::Token(_, all) => all.contains(access),
        }
    }
}

/// The service.
#[derive(Debug, Default)]
pub struct Cloudflare {
    tokens: Mutex<Vec<(String, Vec<Access>)>>,
    owner: Mutex<Option<String>>,
    stale: AtomicBool,
}

impl Cloudflare {
    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that may do this and no more.
    #[must_use]
    pub fn token(&self, access: &[Access]) -> String {
        let mut tokens = lock(&self.tokens);
        let token = Self::unknown_token(tokens.len() as u64 + 1);
        tokens.push((token.clone(), access.to_vec()));
        token
    }

    /// The Global API Key of the owner with this address; there is only one owner.
    #[must_use]
    pub fn global_key(&self, email: &str) -> String {
        *lock(&self.owner) = Some(email.to_owned());
        GLOBAL_KEY.to_owned()
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("token-{number:0>width$}", width = TOKEN_LENGTH - 6)
    }

    /// Lists show no record from now on, as when another place of the service answers.
    pub fn hide_records(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    fn caller(&self, asked: &Asked) -> Result<Caller, Answer> {
        if let Some(key) = asked.header("x-auth-key") {
            let owner = lock(&self.owner);
            let known =
                key == GLOBAL_KEY && owner.is_some() && asked.header("x-auth-email") == owner.as_deref();
            return if known {
                Ok(Caller::Owner)
            } else {
                Err(refusal(403, 9103, "Unknown X-Auth-Key or X-Auth-Email"))
            };
        }
        let Some(header) = asked.header("authorization") else {
            return Err(refusal(401, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers"));
        };
        let token = header.strip_prefix("Bearer ").filter(|token| token.len() == TOKEN_LENGTH);
        let Some(token) = token else {
            let chain = (6111, "Invalid format for Authorization header");
            return Err(chained(400, 6003, "Invalid request headers", chain));
        };
        let tokens = lock(&self.tokens);
        let known = tokens.iter().position(|(one, _)| one == token);
        let known = known.ok_or_else(|| refusal(403, 9109, "Invalid access token"))?;
        Ok(Caller::Token(known, tokens[known].1.clone()))
    }

    /// `/user` and its tokens.
    fn user(&self, asked: &Asked, caller: &Caller, rest: &[&str]) -> Result<Answer, Answer> {
        only(asked, &[])?;
        no_body(asked)?;
        let unless = |access: Access| match caller.may(&access) {
            true => Ok(()),
            false => Err(refusal(403, 9109, "Unauthorized to access requested resource")),
        };
        match (rest, caller) {
            ([], _) => {
                unless(Access::UserDetails)?;
                Ok(ok(&json!({ "id": hex(1), "email": "owner@example.test" })))
            }
            (["tokens", "verify"], Caller::Token(number, _)) => {
                Ok(ok(&json!({ "id": hex(*number as u64 + 1), "status": "active" })))
            }
            (["tokens", id], _) if is_id(id) => {
                unless(Access::Tokens)?;
                let tokens = lock(&self.tokens);
                let token = (1..).zip(tokens.iter()).find(|(number, _)| hex(*number) == **id);
                let (_, (_, access)) = token.ok_or_else(|| no_route(asked))?;
                let policies: Vec<Value> = access.iter().map(Access::policy).map(|(name, resource)| {
                    json!({ "effect": "allow", "permission_groups": [{ "name": name }], "resources": { resource: "*" } })
                }).collect();
                Ok(ok(&json!({ "id": id, "status": "active", "policies": policies })))
            }
            _ => Err(no_route(asked)),
        }
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let caller = self.caller(asked)?;
        let (method, segments) = (asked.method.as_str(), asked.path());
        let (id, rest) = match (method, &segments[..]) {
            ("GET", ["zones"]) => {
                no_body(asked)?;
                return list_zones(asked, held, &caller);
            }
            ("GET", ["user", rest @ ..]) => return self.user(asked, &caller, rest),
            ("GET", ["zones", id, what @ ("settings" | "pagerules")]) if is_id(id) => {
                return about_zone(asked, &caller, id, what);
            }
            (_, ["zones", id, "dns_records", rest @ ..]) if is_id(id) => (*id, rest),
            _ => return Err(no_route(asked)),
        };
        let reads = method == "GET" && caller.may(&Access::ReadRecords(id.to_owned()));
        if !(reads || caller.may(&Access::Edit(id.to_owned()))) {
            return Err(refusal(403, 10_000, "Authentication error"));
        }
        let number = held.next_number();
        let zone = held.zone_mut(id).ok_or_else(|| no_route(asked))?;
        let before = zone.clone();
        let result = match (method, rest) {
            ("GET", []) => no_body(asked).and_then(|()| self.list_records(asked, zone)),
            ("POST", []) => {
                object(asked).and_then(|record| add(zone, &record, &hex(number))).map(|one| ok(&one))
            }
            ("POST", ["batch"]) => object(asked).and_then(|body| batch(zone, &body, number)),
            ("DELETE", [record]) => no_body(asked).and_then(|()| remove(zone, record)).map(|one| ok(&one)),
            _ => Err(no_route(asked)),
        };
        if result.is_err() {
            *zone = before;
        }
        result
    }

    fn list_records(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        let known = [
            "type",
            "name",
            "name.exact",
            "name.startswith",
            "content",
            "content.exact",
            "match",
            "order",
            "direction",
            "page",
            "per_page",
        ];
        only(asked, &known)?;
        let parameter = |names: [&str; 2]| names.iter().find_map(|name| asked.parameter(name));
        let same_name = |wanted: &str, name: &str| name.eq_ignore_ascii_case(wanted);
        let fits = |record: &&HeldRecord| {
            asked.parameter("type").is_none_or(|kind| record.kind == kind)
                && parameter(["name", "name.exact"]).is_none_or(|name| same_name(name, &record.name))
                && asked
                    .parameter("name.startswith")
                    .is_none_or(|start| record.name.starts_with(&start.to_lowercase()))
                && parameter(["content", "content.exact"]).is_none_or(|content| record.form == content)
        };
        let hidden = self.stale.load(Ordering::SeqCst);
        let found: Vec<Value> = zone.records.iter().filter(|_| !hidden).filter(fits).map(shown).collect();
        page(asked, &found)
    }
}

impl Service for Cloudflare {
    fn base(&self) -> &'static str {
        "/client/v4"
    }

    fn identifier(&self, number: u64) -> String {
        hex(number)
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let answer = self.route(asked, held).unwrap_or_else(|refusal| refusal);
        answer
            .with(HeaderName::from_static("ratelimit"), "\"default\";r=1199;t=300")
            .with(HeaderName::from_static("ratelimit-policy"), "\"default\";q=1200;w=300")
    }

    fn throttled(&self) -> Answer {
        Answer::page(429, "You are being rate limited")
    }
}

fn hex(number: u64) -> String {
    format!("{number:032x}")
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

fn ok(result: &Value) -> Answer {
    Answer::json(200, &json!({ "success": true, "errors": [], "messages": [], "result": result }))
}

fn refused(status: u16, errors: &Value) -> Answer {
    Answer::json(status, &json!({ "success": false, "errors": errors, "messages": [], "result": null }))
}

fn refusal(status: u16, code: u32, message: &str) -> Answer {
    refused(status, &json!([{ "code": code, "message": message }]))
}

fn chained(status: u16, code: u32, message: &str, (cause, why): (u32, &str)) -> Answer {
    let chain = json!([{ "code": cause, "message": why }]);
    refused(status, &json!([{ "code": code, "message": message, "error_chain": chain }]))
}

fn invalid(cause: u32, why: &str) -> Answer {
    chained(400, 1004, "DNS Validation Error", (cause, why))
}

fn no_route(asked: &Asked) -> Answer {
    let path = asked.segments.join("/");
    let errors = json!([
        { "code": 7003, "message": format!("Could not route to /client/v4/{path}, perhaps your object identifier is invalid?") },
        { "code": 7000, "message": "No route for that URI" },
    ]);
    refused(404, &errors)
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(refusal(400, 1004, &format!("unknown parameter {name}"))),
    }
}

/// Some clients send `{}` with every request.
fn no_body(asked: &Asked) -> Result<(), Answer> {
    if asked.body.is_empty() || &asked.body[..] == b"{}" { Ok(()) } else { Err(refusal(400, 1004, "a body")) }
}

fn object(asked: &Asked) -> Result<Map<String, Value>, Answer> {
    only(asked, &[])?;
    asked.object().ok_or_else(|| refusal(400, 6007, "Malformed JSON in request body"))
}

/// The page that is asked for; one beyond the last is empty.
fn page(asked: &Asked, found: &[Value]) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize, most: usize| match asked.parameter(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(refusal(400, 1004, &format!("{name} is out of range"))),
    };
    let (page, per_page) = (number("page", 1, 10_000)?, number("per_page", PER_PAGE.0, PER_PAGE.1)?);
    let result: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    let info = json!({
        "page": page,
        "per_page": per_page,
        "count": result.len(),
        "total_count": found.len(),
        "total_pages": found.len().div_ceil(per_page),
    });
    let body =
        json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info });
    Ok(Answer::json(200, &body))
}

/// Settings and page rules, of which nothing is told here.
fn about_zone(asked: &Asked, caller: &Caller, id: &str, what: &str) -> Result<Answer, Answer> {
    only(asked, &[])?;
    no_body(asked)?;
    let access = match what {
        "settings" => Access::Settings(id.to_owned()),
        _ => Access::PageRules(id.to_owned()),
    };
    match caller.may(&access) {
        true => Ok(ok(&json!([]))),
        false => Err(refusal(403, 10_000, "Authentication error")),
    }
}

fn list_zones(asked: &Asked, held: &Held, caller: &Caller) -> Result<Answer, Answer> {
    only(asked, &["name", "status", "account.id", "match", "order", "direction", "page", "per_page"])?;
    let visible = |zone: &&HeldZone| caller.may(&Access::Read(zone.id.clone()));
    if !held.zones.iter().any(|zone| visible(&zone)) {
        let needed = "Requires permission \"com.cloudflare.api.account.zone.list\" to list zones";
        return Err(refusal(403, 0, needed));
    }
    let fits = |zone: &&HeldZone| asked.parameter("name").is_none_or(|name| zone.name == name);
    let found: Vec<Value> = held
        .zones
        .iter()
        .filter(visible)
        .filter(fits)
        .map(|zone| json!({ "id": zone.id, "name": zone.name, "status": "active", "account": { "id": hex(1) } }))
        .collect();
    page(asked, &found)
}

/// A record as the service shows it, without `zone_id` and `zone_name`, which it dropped.
fn shown(record: &HeldRecord) -> Value {
    json!({
        "id": record.id,
        "name": record.name,
        "type": record.kind,
        "content": record.form,
        "ttl": record.ttl,
        "proxiable": false,
        "proxied": false,
        "settings": {},
        "meta": {},
        "comment": null,
        "tags": [],
        "created_on": "2026-11-22T00:00:00.000000Z",
        "modified_on": "2026-11-22T00:00:00.000000Z",
    })
}

fn add(zone: &mut HeldZone, record: &Map<String, Value>, id: &str) -> Result<Value, Answer> {
    let known = ["type", "name", "content", "ttl", "comment", "tags", "proxied", "data", "priority"];
    if let Some(name) = unknown_member(record, &known) {
        return Err(invalid(9000, &format!("unknown field {name}")));
    }
    let text = |key: &str| record.get(key).and_then(Value::as_str).ok_or_else(|| invalid(9000, key));
    let (kind, name, form) = (text("type")?, text("name")?.to_lowercase(), text("content")?);
    let ttl = record.get("ttl").map_or(Some(1), Value::as_u64);
    let ttl = ttl.filter(|ttl| *ttl == 1 || (60..=86_400).contains(ttl));
    let ttl =
        ttl.ok_or_else(|| invalid(9021, "Invalid TTL. Must be between 60 and 86400, or 1 for Automatic"))?;
    if kind != "TXT" {
        return Err(invalid(9000, "this fake takes TXT only"));
    }
    if !zone.contains(&name) {
        return Err(invalid(9000, "the name is not in the zone"));
    }
    let data = content_text(form).ok_or_else(|| invalid(9000, "the content's quotes are wrong"))?;
    let here: Vec<&HeldRecord> = zone.records.iter().filter(|one| one.name == name).collect();
    if here.iter().any(|one| one.kind == "CNAME") {
        return Err(refusal(400, 81_053, "A CNAME record with that host already exists."));
    }
    if here.iter().any(|one| one.kind == kind && one.data == data) {
        return Err(refusal(400, 81_058, "An identical record already exists."));
    }
    if here.iter().map(|one| one.data.len()).sum::<usize>() + data.len() > LARGEST_SET {
        return Err(invalid(9000, "too many characters at one name"));
    }
    let ttl = u32::try_from(ttl).expect("it was checked");
    let (id, kind, form) = (id.to_owned(), kind.to_owned(), form.to_owned());
    zone.records.push(HeldRecord { id, name, kind, ttl, data, form });
    Ok(shown(zone.records.last().expect("one was just added")))
}

fn remove(zone: &mut HeldZone, id: &str) -> Result<Value, Answer> {
    let found = zone.records.iter().position(|record| record.id == id);
    let index = found.ok_or_else(|| refusal(404, 81_044, "Record does not exist."))?;
    zone.records.remove(index);
    Ok(json!({ "id": id }))
}

/// Deletions, then additions; the caller puts the zone back where one is refused.
fn batch(zone: &mut HeldZone, body: &Map<String, Value>, number: u64) -> Result<Answer, Answer> {
    if unknown_member(body, &["deletes", "patches", "puts", "posts"]).is_some() {
        return Err(invalid(9000, "unknown field"));
    }
    let part = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(&[][..]),
        Some(Value::Array(part)) => Ok(part.as_slice()),
        Some(_) => Err(invalid(9000, key)),
    };
    if !part("patches")?.is_empty() || !part("puts")?.is_empty() {
        return Err(invalid(9000, "this fake changes no records"));
    }
    let (deletes, posts) = (part("deletes")?, part("posts")?);
    if deletes.len() + posts.len() > LARGEST_BATCH {
        return Err(refusal(400, 1004, "too many records in one batch"));
    }
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for one in deletes {
        removed.push(remove(zone, one["id"].as_str().unwrap_or_default())?);
    }
    for (index, one) in posts.iter().enumerate() {
        let record = one.as_object().ok_or_else(|| invalid(9000, "posts"))?;
        // Above all numbers that requests have, so that ids stay unlike.
        added.push(add(zone, record, &format!("{number:016x}{:016x}", index + 1))?);
    }
    Ok(ok(&json!({ "deletes": removed, "patches": [], "puts": [], "posts": added })))
}

/// The text of a content: quoted, or bare.
fn content_text(content: &str) -> Option<String> {
    if content.starts_with('"') {
        text_of(content)
    } else {
        (!content.is_empty()).then(|| content.to_owned())
    }
}

//! DigitalOcean's API v2, as far as domains, TXT records and a look at other things go.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, and so
//! are changes of records (PUT, PATCH), which nobody here makes.

use super::exchange::unknown_member;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::sync::Mutex;

/// Entries of a page unless asked otherwise, and the most.
const PER_PAGE: (usize, usize) = (20, 200);
/// Octets that a value may have in its encoded form.
const LARGEST_VALUE: usize = 509;
/// The smallest TTL.
const SMALLEST_TTL: u64 = 30;
/// Lists of other things, each with the scope that shows it.
const OTHER_LISTS: [(&[&str], &str); 6] = [
    (&["account"], "account:read"),
    (&["droplets"], "droplet:read"),
    (&["kubernetes", "clusters"], "kubernetes:read"),
    (&["databases"], "database:read"),
    (&["projects"], "project:read"),
    (&["customers", "my", "balance"], "billing:read"),
];

/// The service.
#[derive(Debug, Default)]
pub struct DigitalOcean {
    tokens: Mutex<Vec<(String, Vec<&'static str>)>>,
}

impl DigitalOcean {
    /// The scopes of the smallest token that can write records.
    pub const SMALLEST: [&'static str; 2] = ["domain:read", "domain:update"];
    /// Some scopes of the token that people make first.
    pub const EVERYTHING: [&'static str; 10] = [
        "domain:read",
        "domain:create",
        "domain:update",
        "domain:delete",
        "account:read",
        "droplet:read",
        "kubernetes:read",
        "database:read",
        "project:read",
        "billing:read",
    ];

    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token with these scopes and no more.
    #[must_use]
    pub fn token(&self, scopes: &[&'static str]) -> String {
        let mut tokens = lock(&self.tokens);
        let token = Self::unknown_token(tokens.len() as u64 + 1);
        tokens.push((token.clone(), scopes.to_vec()));
        token
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("dop_v1_{number:064x}")
    }

    fn scopes(&self, asked: &Asked) -> Result<Vec<&'static str>, Answer> {
        let token = asked.bearer();
        let tokens = lock(&self.tokens);
        let known = tokens.iter().find(|(one, _)| Some(one.as_str()) == token);
        known
            .map(|(_, scopes)| scopes.clone())
            .ok_or_else(|| refusal(401, "unauthorized", "Unable to authenticate you"))
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let scopes = self.scopes(asked)?;
        let needs = |any: &[&str]| {
            let message = "You do not have permission to perform this action.";
            let granted = any.iter().any(|scope| scopes.contains(scope));
            granted.then_some(()).ok_or_else(|| refusal(403, "forbidden", message))
        };
        let mut segments = asked.path();
        // Some clients end lists with a slash.
        if segments.last() == Some(&"") && asked.method == "GET" {
            segments.pop();
        }
        let other = OTHER_LISTS.iter().find(|(path, _)| *path == &segments[..]);
        match (asked.method.as_str(), &segments[..], other) {
            ("GET", _, Some((_, scope))) => {
                needs(&[scope])?;
                Ok(Answer::json(200, &json!({ "meta": { "total": 0 }, "links": {} })))
            }
            ("GET", ["domains"], _) => {
                needs(&["domain:read"])?;
                only(asked, &["page", "per_page"])?;
                let shown = |zone: &HeldZone| json!({ "name": zone.name, "ttl": 1800, "zone_file": "" });
                page(asked, "domains", &held.zones.iter().map(shown).collect::<Vec<_>>())
            }
            ("DELETE", ["domains", name], _) => {
                needs(&["domain:delete"])?;
                assert!(held.zones.iter().all(|zone| zone.name != *name), "nobody here deletes a domain");
                Err(not_found())
            }
            (_, ["domains", name, "records", rest @ ..], _) => records(asked, held, name, rest, &needs),
            _ => Err(not_found()),
        }
    }
}

impl Service for DigitalOcean {
    fn base(&self) -> &'static str {
        "/v2"
    }

    fn identifier(&self, number: u64) -> String {
        // Ids passed 32 bits long ago.
        (5_000_000_000 + number).to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let answer = self.route(asked, held).unwrap_or_else(|refusal| refusal);
        answer
            .with(HeaderName::from_static("ratelimit-limit"), "5000")
            .with(HeaderName::from_static("ratelimit-remaining"), "4999")
            .with(HeaderName::from_static("ratelimit-reset"), "1700000000")
    }

    fn throttled(&self) -> Answer {
        refusal(429, "too_many_requests", "API rate limit exceeded.")
    }
}

fn refusal(status: u16, id: &str, message: &str) -> Answer {
    let request = "4d9d8375-3c56-4925-a3e7-eb137fed17e9";
    Answer::json(status, &json!({ "id": id, "message": message, "request_id": request }))
}

fn not_found() -> Answer {
    refusal(404, "not_found", "The resource you requested could not be found.")
}

fn unprocessable(message: &str) -> Answer {
    refusal(422, "unprocessable_entity", message)
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(unprocessable(&format!("unknown parameter {name}"))),
    }
}

/// Some clients send `{}` with every request.
fn no_body(asked: &Asked) -> Result<(), Answer> {
    if asked.body.is_empty() || &asked.body[..] == b"{}" { Ok(()) } else { Err(unprocessable("a body")) }
}

fn zone<'a>(held: &'a mut Held, name: &str) -> Result<&'a mut HeldZone, Answer> {
    held.zones.iter_mut().find(|zone| zone.name == name).ok_or_else(not_found)
}

/// What can be asked of the records of the domain `name`.
fn records(
    asked: &Asked,
    held: &mut Held,
    name: &str,
    rest: &[&str],
    needs: &dyn Fn(&[&str]) -> Result<(), Answer>,
) -> Result<Answer, Answer> {
    match (asked.method.as_str(), rest) {
        ("GET", []) => {
            needs(&["domain:read"])?;
            no_body(asked)?;
            list(asked, zone(held, name)?)
        }
        ("POST", []) => {
            needs(&["domain:create", "domain:update"])?;
            only(asked, &[])?;
            let record = asked.object().ok_or_else(|| unprocessable("the body is no JSON object"))?;
            let id = held.next_number();
            add(zone(held, name)?, &record, id)
        }
        ("DELETE", [id]) => {
            needs(&["domain:delete", "domain:update"])?;
            only(asked, &[])?;
            no_body(asked)?;
            let zone = zone(held, name)?;
            let found = zone.records.iter().position(|record| record.id == *id).ok_or_else(not_found)?;
            zone.records.remove(found);
            Ok(Answer::text(204, "application/json", ""))
        }
        _ => Err(not_found()),
    }
}

/// The page that is asked for; one beyond the last is empty.
fn page(asked: &Asked, key: &str, found: &[Value]) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize, most: usize| match asked.parameter(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(unprocessable(&format!("{name} is out of range"))),
    };
    let (page, per_page) = (number("page", 1, 10_000)?, number("per_page", PER_PAGE.0, PER_PAGE.1)?);
    let shown: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    let mut links = Map::new();
    if page * per_page < found.len() {
        // Another host: whoever follows it sends the token there.
        let next = format!("https://api.digitalocean.com/v2/{}?page={}", asked.segments.join("/"), page + 1);
        links.insert("pages".to_owned(), json!({ "next": next }));
    }
    let body = json!({ key: shown, "links": links, "meta": { "total": found.len() } });
    Ok(Answer::json(200, &body))
}

fn list(asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
    only(asked, &["type", "name", "page", "per_page"])?;
    // The filter wants the whole name, while records have it relative.
    let fits = |record: &&HeldRecord| {
        asked.parameter("type").is_none_or(|kind| record.kind == kind)
            && asked.parameter("name").is_none_or(|name| record.name.eq_ignore_ascii_case(name))
    };
    let found: Vec<Value> =
        zone.records.iter().filter(fits).map(|record| shown(&zone.name, record)).collect();
    page(asked, "domain_records", &found)
}

fn shown(zone: &str, record: &HeldRecord) -> Value {
    let relative = record.name.strip_suffix(zone).expect("the record lies in its zone");
    json!({
        "id": record.id.parse::<u64>().expect("ids are numbers"),
        "type": record.kind,
        "name": relative.strip_suffix('.').unwrap_or("@"),
        "data": record.data,
        "priority": null,
        "port": null,
        "ttl": record.ttl,
        "weight": null,
        "flags": null,
        "tag": null,
    })
}

fn add(zone: &mut HeldZone, record: &Map<String, Value>, id: u64) -> Result<Answer, Answer> {
    let known = ["type", "name", "data", "ttl", "priority", "port", "weight", "flags", "tag"];
    if let Some(name) = unknown_member(record, &known) {
        return Err(unprocessable(&format!("unknown field {name}")));
    }
    let text = |key: &str| {
        let text = record.get(key).and_then(Value::as_str);
        text.ok_or_else(|| unprocessable(&format!("{key} is missing")))
    };
    let (kind, name, data) = (text("type")?, absolute(zone, text("name")?)?, text("data")?);
    let ttl = record.get("ttl").map_or(Some(1800), Value::as_u64).filter(|ttl| *ttl >= SMALLEST_TTL);
    let ttl = ttl.ok_or_else(|| unprocessable("TTL must be at least 30"))?;
    if kind != "TXT" {
        return Err(unprocessable("this fake takes TXT only"));
    }
    let encoded = 2 + data.len() + data.matches('"').count() + 3 * (data.len().saturating_sub(1) / 255);
    if data.is_empty() || data.starts_with('"') || data.contains('\\') || encoded > LARGEST_VALUE {
        return Err(unprocessable("Data needs to be a bare text without backslashes of at most 509 octets"));
    }
    if zone.records.iter().any(|one| one.name == name && one.kind == "CNAME") {
        return Err(unprocessable("CNAME records cannot share a name with other records"));
    }
    // The same record twice is two records.
    let (kind, data) = (kind.to_owned(), data.to_owned());
    let ttl = u32::try_from(ttl).map_err(|_| unprocessable("TTL is too large"))?;
    let id = (5_000_000_000 + id).to_string();
    zone.records.push(HeldRecord { id, name, kind, ttl, form: data.clone(), data });
    let body = shown(&zone.name, zone.records.last().expect("one was just added"));
    Ok(Answer::json(201, &json!({ "domain_record": body })))
}

/// Names are relative, or absolute with a dot at their end.
fn absolute(zone: &HeldZone, name: &str) -> Result<String, Answer> {
    let name = name.to_lowercase();
    if name == "@" {
        return Ok(zone.name.clone());
    }
    let Some(given) = name.strip_suffix('.') else {
        let fits = !name.is_empty() && !name.split('.').any(str::is_empty);
        return fits
            .then(|| format!("{name}.{}", zone.name))
            .ok_or_else(|| unprocessable("the name is empty"));
    };
    zone.contains(given)
        .then(|| given.to_owned())
        .ok_or_else(|| unprocessable("the name is not in the domain"))
}

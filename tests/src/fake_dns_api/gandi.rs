//! Gandi's LiveDNS, and the page on which Gandi tells what a token may do.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, values
//! need their quotes to be right, and the calls that replace a whole name or a whole zone are not
//! there.

use super::exchange::unknown_member;
use super::held::quoted;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock, text_of};
use hyper::header::{HeaderName, LINK};
use serde_json::{Map, Value, json};
use std::sync::Mutex;

/// Entries of a page unless asked otherwise, and the most.
const PER_PAGE: (usize, usize) = (100, 500);
/// Seconds.
const TTLS: (u64, u64) = (300, 2_592_000);
const DEFAULT_TTL: u32 = 10_800;
/// Octets of an API key.
const KEY_LENGTH: usize = 24;

/// A personal access token.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    scopes: Vec<&'static str>,
    /// The domains that it is kept to; none is all.
    domains: Vec<String>,
    /// Seconds; 0 is over.
    expires_in: u64,
}

/// The service.
#[derive(Debug, Default)]
pub struct Gandi {
    tokens: Mutex<Vec<Token>>,
    others: Mutex<Others>,
}

/// What another program does between this one's requests.
#[derive(Debug, Default)]
struct Others {
    /// Writes that are undone right away, by one that wrote what it had read before.
    stale: usize,
    /// A value that is there by the time of the next POST.
    quicker: Option<String>,
}

impl Gandi {
    /// The one scope that writes records.
    pub const SMALLEST: [&'static str; 1] = ["domain:tech"];

    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token with these scopes, kept to `domains` (to none: all).
    #[must_use]
    pub fn token(&self, scopes: &[&'static str], domains: &[&str]) -> String {
        self.make(scopes, domains, 90 * 86_400)
    }

    /// One whose time is over.
    #[must_use]
    pub fn expired_token(&self) -> String {
        self.make(&Self::SMALLEST, &[], 0)
    }

    fn make(&self, scopes: &[&'static str], domains: &[&str], expires_in: u64) -> String {
        let mut tokens = lock(&self.tokens);
        let text = Self::unknown_token(tokens.len() as u64 + 1);
        let domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        tokens.push(Token { text: text.clone(), scopes: scopes.to_vec(), domains, expires_in });
        text
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("{number:040x}")
    }

    /// The API key of the owner of everything.
    #[must_use]
    pub fn key() -> String {
        "k".repeat(KEY_LENGTH)
    }

    /// After each of the next `writes`, another program puts back what stood there before.
    pub fn overwrite(&self, writes: usize) {
        lock(&self.others).stale = writes;
    }

    /// Another program makes an RRset of `value` just before the next one would be made.
    pub fn be_quicker(&self, value: &str) {
        lock(&self.others).quicker = Some(value.to_owned());
    }

    /// Who asks.
    fn token_of(&self, asked: &Asked) -> Result<Token, Answer> {
        let header = asked.header("authorization").unwrap_or_default();
        if header.strip_prefix("Apikey ") == Some(&Self::key()) {
            let scopes = vec!["domain:tech", "domain:view", "organization:view"];
            return Ok(Token { text: Self::key(), scopes, domains: Vec::new(), expires_in: 1 });
        }
        let text = header.strip_prefix("Bearer ");
        let known = lock(&self.tokens).iter().find(|token| Some(token.text.as_str()) == text).cloned();
        match known {
            Some(token) if token.expires_in > 0 => Ok(token),
            Some(_) => Err(denied()),
            None => Err(refusal(
                401,
                "The server could not verify that you authorized to access the document you requested.",
            )),
        }
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let token = self.token_of(asked)?;
        let may = |scope: &str| token.scopes.contains(&scope);
        let sees = |name: &str| token.domains.is_empty() || token.domains.iter().any(|one| one == name);
        if asked.method == "GET" || asked.method == "DELETE" {
            no_body(asked)?;
        }
        match (asked.method.as_str(), &asked.path()[..]) {
            ("GET", ["tokeninfo"]) if token.text != Self::key() => Ok(info(&token)),
            ("GET", ["v5", "organization", "organizations"]) if may("organization:view") => {
                Ok(Answer::json(200, &json!([])))
            }
            ("GET", ["v5", "domain", "domains"]) if may("domain:view") => Ok(Answer::json(200, &json!([]))),
            ("GET", ["v5", "livedns", "domains"]) if may("domain:tech") || may("domain:view") => {
                only(asked, &["page", "per_page", "sharing_id"])?;
                let zones = held.zones.iter().filter(|zone| sees(&zone.name));
                page(asked, &zones.map(|zone| json!({ "fqdn": zone.name })).collect::<Vec<_>>())
            }
            (method, ["v5", "livedns", "domains", name, rest @ ..]) => {
                if !may("domain:tech") || !sees(name) {
                    return Err(denied());
                }
                let number = held.next_number();
                let zone = held.zones.iter_mut().find(|zone| zone.name == *name);
                let zone = zone.ok_or_else(|| refusal(404, "The resource could not be found."))?;
                self.records(asked, zone, (method, rest), number)
            }
            _ => Err(denied()),
        }
    }

    fn records(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        (method, rest): (&str, &[&str]),
        number: u64,
    ) -> Result<Answer, Answer> {
        match (method, rest) {
            ("GET", []) => Ok(Answer::json(200, &json!({ "fqdn": zone.name }))),
            ("GET", ["records"]) => {
                only(asked, &["rrset_name", "rrset_type", "page", "per_page"])?;
                let fits = |rrset: &&Value| {
                    ["rrset_name", "rrset_type"]
                        .iter()
                        .all(|key| asked.parameter(key).is_none_or(|wanted| rrset[*key] == wanted))
                };
                let rrsets = rrsets(zone);
                page(asked, &rrsets.iter().filter(fits).cloned().collect::<Vec<_>>())
            }
            ("GET", ["records", name, kind]) => {
                only(asked, &[])?;
                let mut rrsets = rrsets(zone).into_iter();
                let found = rrsets.find(|rrset| rrset["rrset_name"] == *name && rrset["rrset_type"] == *kind);
                found.map(|rrset| Answer::json(200, &rrset)).ok_or_else(no_such_set)
            }
            ("DELETE", ["records", name, "TXT"]) => {
                only(asked, &[])?;
                let name = zone.absolute(name, "@");
                if zone.set(&name, "TXT").is_empty() {
                    return Err(no_such_set());
                }
                zone.replace_set(&name, "TXT", Vec::new());
                Ok(Answer::text(204, "application/json", ""))
            }
            ("POST" | "PUT", ["records", name, "TXT"]) => self.write(asked, zone, method, name, number),
            _ => Err(refusal(404, "The resource could not be found.")),
        }
    }

    fn write(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        method: &str,
        name: &str,
        number: u64,
    ) -> Result<Answer, Answer> {
        only(asked, &[])?;
        let body = asked.object().ok_or_else(|| invalid("body", "is no JSON object"))?;
        let name = zone.absolute(name, "@");
        let records = content(&body, &name, number)?;
        if !zone.set(&name, "CNAME").is_empty() {
            return Err(invalid("rrset_type", "a CNAME record already exists for this name"));
        }
        let mut others = lock(&self.others);
        if method == "POST" {
            if let Some(value) = others.quicker.take() {
                let set = vec![record(&name, &format!("{number}-0"), 3607, &value)];
                zone.replace_set(&name, "TXT", set);
            }
            absent(&zone.set(&name, "TXT"), &records)?;
        }
        let before: Vec<HeldRecord> = zone.set(&name, "TXT").into_iter().cloned().collect();
        zone.replace_set(&name, "TXT", records);
        if others.stale > 0 {
            others.stale -= 1;
            zone.replace_set(&name, "TXT", before);
        }
        Ok(Answer::json(201, &json!({ "message": "DNS Record Created" })))
    }
}

impl Service for Gandi {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        Answer::page(429, "Too Many Requests")
    }
}

fn info(token: &Token) -> Answer {
    Answer::json(
        200,
        &json!({
            "pat_name": "dns01",
            "scope": token.scopes,
            "entities": token.domains,
            "expires_in": token.expires_in,
        }),
    )
}

fn refusal(status: u16, message: &str) -> Answer {
    let (object, cause) = match status {
        401 => ("HTTPUnauthorized", "Unauthorized"),
        403 => ("HTTPForbidden", "Forbidden"),
        404 => ("HTTPNotFound", "Not Found"),
        _ => ("HTTPConflict", "Conflict"),
    };
    Answer::json(status, &json!({ "code": status, "message": message, "object": object, "cause": cause }))
}

fn denied() -> Answer {
    refusal(403, "Access was denied to this resource.")
}

fn no_such_set() -> Answer {
    refusal(404, "Can't find the DNS record")
}

fn invalid(name: &str, description: &str) -> Answer {
    let errors = json!([{ "location": "body", "name": name, "description": description }]);
    Answer::json(400, &json!({ "status": "error", "errors": errors }))
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(invalid(name, "unknown parameter")),
    }
}

/// Some clients send `{}` with every request.
fn no_body(asked: &Asked) -> Result<(), Answer> {
    if asked.body.is_empty() || &asked.body[..] == b"{}" { Ok(()) } else { Err(invalid("body", "not here")) }
}

/// The page that is asked for; one beyond the last is empty.
fn page(asked: &Asked, found: &[Value]) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize, most: usize| match asked.parameter(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(invalid(name, "out of range")),
    };
    let (page, per_page) = (number("page", 1, 10_000)?, number("per_page", PER_PAGE.0, PER_PAGE.1)?);
    let some: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    let total = found.len().to_string();
    let answer = Answer::json(200, &json!(some)).with(HeaderName::from_static("total-count"), &total);
    if page * per_page >= found.len() {
        return Ok(answer);
    }
    // Another host: whoever follows it sends the token there.
    let next =
        format!("<https://api.gandi.net/{}?page={}>; rel=\"next\"", asked.segments.join("/"), page + 1);
    Ok(answer.with(LINK, &next))
}

/// All RRsets, each where its first record stands; values always quoted.
fn rrsets(zone: &HeldZone) -> Vec<Value> {
    let mut places: Vec<(&str, &str)> = Vec::new();
    for record in &zone.records {
        let place = (record.name.as_str(), record.kind.as_str());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let shown = |(name, kind): &(&str, &str)| {
        let set = zone.set(name, kind);
        let values: Vec<&str> = set.iter().map(|record| record.form.as_str()).collect();
        let relative = name.strip_suffix(&zone.name).expect("the record lies in its zone");
        json!({
            "rrset_name": relative.strip_suffix('.').unwrap_or("@"),
            "rrset_type": kind,
            "rrset_ttl": set.first().map(|record| record.ttl),
            "rrset_values": values,
            "rrset_href": "https://api.gandi.net/v5/livedns/…",
        })
    };
    places.iter().map(shown).collect()
}

/// A set is made only where there is none.
fn absent(present: &[&HeldRecord], wanted: &[HeldRecord]) -> Result<(), Answer> {
    if present.is_empty() {
        return Ok(());
    }
    let same = present.iter().map(|record| &record.data).eq(wanted.iter().map(|record| &record.data));
    Err(if same {
        Answer::json(200, &json!({ "message": "A DNS Record already exists with same value" }))
    } else {
        refusal(409, "A DNS Record already exists with another value")
    })
}

/// The letter case stays, and counts.
fn record(name: &str, id: &str, ttl: u32, text: &str) -> HeldRecord {
    let (id, name, kind) = (id.to_owned(), name.to_owned(), "TXT".to_owned());
    HeldRecord { id, name, kind, ttl, data: text.to_owned(), form: quoted(text) }
}

fn content(body: &Map<String, Value>, name: &str, number: u64) -> Result<Vec<HeldRecord>, Answer> {
    if let Some(field) = unknown_member(body, &["rrset_ttl", "rrset_values"]) {
        return Err(invalid(field, "unknown field"));
    }
    let ttl = match body.get("rrset_ttl") {
        None => DEFAULT_TTL,
        Some(ttl) => {
            let ttl = ttl.as_u64().filter(|ttl| (TTLS.0..=TTLS.1).contains(ttl));
            let ttl = ttl.and_then(|ttl| u32::try_from(ttl).ok());
            ttl.ok_or_else(|| invalid("rrset_ttl", "must be between 300 and 2592000"))?
        }
    };
    let values = body.get("rrset_values").and_then(Value::as_array).filter(|values| !values.is_empty());
    let values = values.ok_or_else(|| invalid("rrset_values", "shorter than minimum length 1"))?;
    let mut records: Vec<HeldRecord> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let value = value.as_str().unwrap_or_default();
        let text = if value.starts_with('"') {
            text_of(value)
        } else {
            (1..=255).contains(&value.len()).then(|| value.to_owned())
        };
        let text = text.ok_or_else(|| invalid("rrset_values", "not a valid TXT value"))?;
        if records.iter().any(|record| record.data == text) {
            return Err(invalid("rrset_values", "a value is given twice"));
        }
        let mut record = record(name, &format!("{number}-{}", index + 1), ttl, &text);
        if value.starts_with('"') {
            value.clone_into(&mut record.form);
        }
        records.push(record);
    }
    Ok(records)
}

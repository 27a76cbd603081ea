//! Hetzner's Cloud API, as far as zones, TXT RRsets and actions go.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, and so
//! are `set_records` and other ways to overwrite what others wrote, which nobody here uses.

use super::exchange::unknown_member;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock, text_of};
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::sync::Mutex;

/// Entries of a page unless asked otherwise, the most, and the most of RRsets.
const PER_PAGE: (usize, usize, usize) = (25, 50, 100);
/// Values of one request.
const MOST_VALUES: usize = 50;
/// What a project may hold beside zones.
const OTHER_THINGS: [&str; 9] = [
    "servers",
    "volumes",
    "load_balancers",
    "networks",
    "firewalls",
    "certificates",
    "floating_ips",
    "primary_ips",
    "ssh_keys",
];

/// What a token may do in its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `Read`.
    Read,
    /// `Read & Write`.
    Write,
}

/// The service, with one project.
#[derive(Debug, Default)]
pub struct Hetzner {
    tokens: Mutex<Vec<(String, Access)>>,
    things: Mutex<Vec<String>>,
    work: Mutex<Work>,
}

/// Changes that were taken: they are carried out at once, and said to be so only later.
#[derive(Debug, Default)]
struct Work {
    actions: Vec<Action>,
    /// Looks at the zone that still find it `updating`.
    updating: usize,
    /// The next actions fail.
    failing: bool,
}

#[derive(Debug, Clone)]
struct Action {
    id: u64,
    command: &'static str,
    zone: String,
    /// Looks that still find it running.
    running: usize,
    failed: bool,
}

impl Hetzner {
    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token for the project.
    #[must_use]
    pub fn token(&self, access: Access) -> String {
        let mut tokens = lock(&self.tokens);
        let token = Self::unknown_token(tokens.len() as u64 + 1);
        tokens.push((token.clone(), access));
        token
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("{number:064x}")
    }

    /// Puts something of the kind `things` (`servers`, say) into the project.
    pub fn own(&self, things: &str) {
        lock(&self.things).push(things.to_owned());
    }

    /// Changes are taken and then fail, from now on.
    pub fn fail_actions(&self) {
        lock(&self.work).failing = true;
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let token = asked.bearer();
        let known = lock(&self.tokens).iter().find(|(one, _)| Some(one.as_str()) == token).cloned();
        let (_, access) =
            known.ok_or_else(|| refusal(401, "unauthorized", "the provided token is invalid"))?;
        if asked.method != "GET" && access == Access::Read {
            return Err(refusal(403, "token_readonly", "only GET is allowed with a read-only token"));
        }
        match (asked.method.as_str(), &asked.path()[..]) {
            ("GET", path) => self.look(asked, held, path),
            ("POST", ["zones", id, "rrsets", name, "TXT", "actions", verb]) => {
                self.change(asked, held, id, name, verb)
            }
            _ => Err(not_found("no such path")),
        }
    }

    fn look(&self, asked: &Asked, held: &mut Held, path: &[&str]) -> Result<Answer, Answer> {
        match path {
            [things] if OTHER_THINGS.contains(things) => {
                only(asked, &["page", "per_page"])?;
                let owned = lock(&self.things).iter().filter(|one| one == things).count();
                page(asked, things, &vec![json!({}); owned], PER_PAGE.1)
            }
            ["zones"] => {
                only(asked, &["name", "page", "per_page"])?;
                let fits = |zone: &&HeldZone| asked.parameter("name").is_none_or(|name| zone.name == name);
                let found: Vec<Value> = held.zones.iter().filter(fits).map(|zone| self.zone(zone)).collect();
                page(asked, "zones", &found, PER_PAGE.1)
            }
            ["zones", id] => {
                only(asked, &[])?;
                let zone = self.zone(zone(held, id)?);
                let mut work = lock(&self.work);
                work.updating = work.updating.saturating_sub(1);
                Ok(Answer::json(200, &json!({ "zone": zone })))
            }
            ["actions"] => {
                only(asked, &["id", "page", "per_page"])?;
                let ids = asked.query.iter().filter(|(name, _)| name == "id").map(|(_, id)| id.as_str());
                let found = ids.map(|id| self.action(id)).collect::<Result<Vec<_>, _>>()?;
                page(asked, "actions", &found, PER_PAGE.1)
            }
            ["actions", id] | ["zones", "actions", id] => {
                Ok(Answer::json(200, &json!({ "action": self.action(id)? })))
            }
            ["zones", id, "rrsets"] => list(asked, zone(held, id)?),
            ["zones", id, "rrsets", name, "TXT"] => {
                only(asked, &[])?;
                let zone = zone(held, id)?;
                let name = absolute(zone, name)?;
                let found = rrset(zone, &name).ok_or_else(|| not_found("rrset not found"))?;
                Ok(Answer::json(200, &json!({ "rrset": found })))
            }
            _ => Err(not_found("no such path")),
        }
    }

    fn change(
        &self,
        asked: &Asked,
        held: &mut Held,
        zone_id: &str,
        name: &str,
        verb: &str,
    ) -> Result<Answer, Answer> {
        only(asked, &[])?;
        let (record, number) = (held.next_number(), held.next_number());
        let zone = zone(held, zone_id)?;
        let name = absolute(zone, name)?;
        let body = asked.object().ok_or_else(|| refusal(400, "json_error", "the body is no JSON object"))?;
        let values = values(&body)?;
        let command = match verb {
            "add_records" => {
                add(zone, &name, &values, &body, record)?;
                "add_rrset_records"
            }
            "remove_records" => {
                fields(&body, &["records"])?;
                remove(zone, &name, &values)?;
                "remove_rrset_records"
            }
            _ => return Err(not_found("this fake only adds and removes records")),
        };
        let mut work = lock(&self.work);
        let failed = work.failing;
        let action = Action { id: number, command, zone: zone.id.clone(), running: 1, failed };
        work.updating = 2;
        work.actions.push(action.clone());
        Ok(Answer::json(201, &json!({ "action": shown(&action) })))
    }

    fn zone(&self, zone: &HeldZone) -> Value {
        let status = if lock(&self.work).updating > 1 { "updating" } else { "ok" };
        json!({
            "id": zone.id.parse::<u64>().expect("ids are numbers"),
            "name": zone.name,
            "mode": "primary",
            "status": status,
            "ttl": 3600,
            "record_count": zone.records.len(),
            "authoritative_nameservers": { "assigned": [], "delegated": [], "delegation_status": "valid" },
        })
    }

    /// The action as it is now; each look brings it nearer its end.
    fn action(&self, id: &str) -> Result<Value, Answer> {
        let mut work = lock(&self.work);
        let action = work.actions.iter_mut().find(|action| action.id.to_string() == id);
        let action = action.ok_or_else(|| not_found("action not found"))?;
        let now = shown(action);
        action.running = action.running.saturating_sub(1);
        Ok(now)
    }
}

impl Service for Hetzner {
    fn base(&self) -> &'static str {
        "/v1"
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let answer = self.route(asked, held).unwrap_or_else(|refusal| refusal);
        answer
            .with(HeaderName::from_static("ratelimit-limit"), "3600")
            .with(HeaderName::from_static("ratelimit-remaining"), "3456")
            .with(HeaderName::from_static("ratelimit-reset"), "1700000000")
            .with(HeaderName::from_static("x-correlation-id"), "65bb1b30a8b8b4e5")
    }

    fn throttled(&self) -> Answer {
        refusal(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "code": code, "message": message, "details": null } }))
}

fn invalid(field: &str, message: &str) -> Answer {
    let details = json!({ "fields": [{ "name": field, "messages": [message] }] });
    let error = json!({ "code": "invalid_input", "message": message, "details": details });
    Answer::json(422, &json!({ "error": error }))
}

fn not_found(message: &str) -> Answer {
    refusal(404, "not_found", message)
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(invalid(name, "unknown parameter")),
    }
}

fn fields(body: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    let unknown = unknown_member(body, known);
    unknown.map_or(Ok(()), |name| Err(invalid(name, "unknown field")))
}

fn shown(action: &Action) -> Value {
    let (status, progress) = match (action.running, action.failed) {
        (0, false) => ("success", 100),
        (0, true) => ("error", 100),
        _ => ("running", 50),
    };
    let error = (status == "error").then(|| json!({ "code": "action_failed", "message": "Action failed" }));
    json!({
        "id": action.id,
        "command": action.command,
        "status": status,
        "progress": progress,
        "started": "2026-11-22T00:00:00+00:00",
        "finished": null,
        "resources": [{ "id": action.zone.parse::<u64>().expect("ids are numbers"), "type": "zone" }],
        "error": error,
    })
}

/// By id or by name.
fn zone<'a>(held: &'a mut Held, id: &str) -> Result<&'a mut HeldZone, Answer> {
    let found = held.zones.iter_mut().find(|zone| zone.id == id || zone.name == id);
    found.ok_or_else(|| not_found("zone not found"))
}

/// Names are relative, in lower case, and never end with the zone's.
fn absolute(zone: &HeldZone, name: &str) -> Result<String, Answer> {
    if name == "@" {
        return Ok(zone.name.clone());
    }
    let wrong = name.is_empty()
        || name.ends_with('.')
        || name.chars().any(|c| c.is_uppercase())
        || zone.contains(name);
    if wrong { Err(invalid("name", "invalid name")) } else { Ok(format!("{name}.{}", zone.name)) }
}

/// The page that is asked for; one beyond the last is empty.
fn page(asked: &Asked, key: &str, found: &[Value], most: usize) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize, most: usize| match asked.parameter(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(invalid(name, "out of range")),
    };
    let (page, per_page) = (number("page", 1, 10_000)?, number("per_page", PER_PAGE.0, most)?);
    let last = found.len().div_ceil(per_page).max(1);
    let some: Vec<&Value> = found.iter().skip((page - 1) * per_page).take(per_page).collect();
    let pagination = json!({
        "page": page,
        "per_page": per_page,
        "previous_page": (page > 1).then(|| page - 1),
        "next_page": (page < last).then(|| page + 1),
        "last_page": last,
        "total_entries": found.len(),
    });
    Ok(Answer::json(200, &json!({ key: some, "meta": { "pagination": pagination } })))
}

fn list(asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
    only(asked, &["name", "type", "page", "per_page"])?;
    if asked.parameter("type") != Some("TXT") {
        return Err(invalid("type", "this fake lists TXT only"));
    }
    let mut names: Vec<&str> = Vec::new();
    for record in zone.records.iter().filter(|record| record.kind == "TXT") {
        if !names.contains(&record.name.as_str()) {
            names.push(&record.name);
        }
    }
    let wanted = asked.parameter("name").map(|name| absolute(zone, name)).transpose()?;
    names.retain(|name| wanted.as_deref().is_none_or(|wanted| wanted == *name));
    let found: Vec<Value> = names.iter().filter_map(|name| rrset(zone, name)).collect();
    page(asked, "rrsets", &found, PER_PAGE.2)
}

fn rrset(zone: &HeldZone, name: &str) -> Option<Value> {
    let set = zone.set(name, "TXT");
    let ttl = set.first()?.ttl;
    let relative = name.strip_suffix(&zone.name)?.strip_suffix('.').unwrap_or("@");
    // The order of records is not stable.
    let records: Vec<Value> =
        set.iter().rev().map(|record| json!({ "value": record.form, "comment": "" })).collect();
    Some(json!({
        "id": format!("{relative}/TXT"),
        "name": relative,
        "type": "TXT",
        "ttl": ttl,
        "labels": {},
        "protection": { "change": false },
        "records": records,
        "zone": zone.id.parse::<u64>().expect("ids are numbers"),
    }))
}

/// The values of a change, checked, with the text that each holds.
fn values(body: &Map<String, Value>) -> Result<Vec<(String, String)>, Answer> {
    let records = body.get("records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !(1..=MOST_VALUES).contains(&records.len()) {
        return Err(invalid("records", "between 1 and 50 records"));
    }
    let mut values: Vec<(String, String)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let field = format!("records[{index}].value");
        let record = record.as_object().ok_or_else(|| invalid(&field, "no record"))?;
        fields(record, &["value", "comment"])?;
        let form = record.get("value").and_then(Value::as_str).unwrap_or_default();
        let text = text_of(form)
            .ok_or_else(|| invalid(&field, "a TXT value is quoted strings of at most 255 characters each"))?;
        if values.iter().any(|(_, other)| *other == text) {
            return Err(invalid(&field, &format!("duplicate value '{form}'")));
        }
        values.push((form.to_owned(), text));
    }
    Ok(values)
}

fn ttl_of(body: &Map<String, Value>) -> Result<Option<u32>, Answer> {
    let Some(ttl) = body.get("ttl").filter(|ttl| !ttl.is_null()) else { return Ok(None) };
    let ttl = ttl.as_u64().filter(|ttl| (60..=2_147_483_647).contains(ttl));
    let ttl = ttl.and_then(|ttl| u32::try_from(ttl).ok());
    ttl.map(Some).ok_or_else(|| invalid("ttl", "must be 60 to 2147483647"))
}

fn add(
    zone: &mut HeldZone,
    name: &str,
    values: &[(String, String)],
    body: &Map<String, Value>,
    number: u64,
) -> Result<(), Answer> {
    fields(body, &["records", "ttl"])?;
    let ttl = ttl_of(body)?;
    if !zone.set(name, "CNAME").is_empty() {
        return Err(invalid("name", "a CNAME RRSet exists for this name"));
    }
    let present = zone.set(name, "TXT");
    let kept = present.first().map(|record| record.ttl);
    if let (Some(kept), Some(ttl)) = (kept, ttl)
        && kept != ttl
    {
        return Err(invalid("ttl", "the TTL must be that of the RRSet"));
    }
    for (index, (form, text)) in values.iter().enumerate() {
        if present.iter().any(|record| record.data == *text) {
            let field = format!("records[{index}].value");
            return Err(invalid(&field, &format!("duplicate value '{form}'")));
        }
    }
    let ttl = kept.or(ttl).unwrap_or(3600);
    for (index, (form, text)) in values.iter().enumerate() {
        zone.records.push(HeldRecord {
            id: format!("{number}-{index}"),
            name: name.to_owned(),
            kind: "TXT".to_owned(),
            ttl,
            data: text.clone(),
            form: form.clone(),
        });
    }
    Ok(())
}

/// The value in its exact form is the key.
fn remove(zone: &mut HeldZone, name: &str, values: &[(String, String)]) -> Result<(), Answer> {
    let present = zone.set(name, "TXT");
    if present.is_empty() {
        return Err(not_found("rrset not found"));
    }
    for (index, (form, _)) in values.iter().enumerate() {
        if !present.iter().any(|record| record.form == *form) {
            return Err(invalid(&format!("records[{index}].value"), "value not found"));
        }
    }
    let gone = |record: &HeldRecord| {
        record.name == name && record.kind == "TXT" && values.iter().any(|(form, _)| *form == record.form)
    };
    zone.records.retain(|record| !gone(record));
    Ok(())
}

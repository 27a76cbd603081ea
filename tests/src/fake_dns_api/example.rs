//! The service of the tutorial docs/write-a-provider.md, which nobody runs but the tests.

use super::exchange::unknown_member;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Records on one page.
const PAGE: usize = 3;
/// TTLs that are taken, in seconds.
const TTLS: std::ops::RangeInclusive<u64> = 60..=86_400;

/// The service; a zone's id is its name.
#[derive(Debug, Default)]
pub struct Example {
    /// The zones that each token may write.
    tokens: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Example {
    /// A service that knows no token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `token` write the TXT records of the zones with these ids.
    pub fn allow(&self, token: &str, zones: &[&str]) {
        let zones = zones.iter().map(|&zone| zone.to_owned()).collect();
        lock(&self.tokens).insert(token.to_owned(), zones);
    }

    /// Everything about who asks comes before what is asked.
    fn entered<'h>(&self, asked: &Asked, zone: &str, held: &'h mut Held) -> Result<&'h mut HeldZone, Answer> {
        let tokens = lock(&self.tokens);
        let token = asked.bearer();
        let Some(zones) = token.and_then(|token| tokens.get(token)) else {
            return Err(refusal(401, "bad_token", "who are you?"));
        };
        let Some(zone) = held.zones.iter_mut().find(|one| one.name == zone) else {
            return Err(refusal(404, "no_such_zone", "there is no such zone"));
        };
        match zones.contains(&zone.id) {
            true => Ok(zone),
            false => Err(refusal(403, "forbidden", "the token is for another zone")),
        }
    }
}

impl Service for Example {
    fn base(&self) -> &'static str {
        "/v1"
    }

    fn identifier(&self, number: u64) -> String {
        format!("r{number}")
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let id = self.identifier(held.next_number());
        let path = asked.path();
        let ["zones", zone, "txt", rest @ ..] = path.as_slice() else {
            return Answer::text(404, "text/plain", "no such page\n");
        };
        let zone = match self.entered(asked, zone, held) {
            Ok(zone) => zone,
            Err(refusal) => return refusal,
        };
        match (asked.method.as_str(), rest) {
            ("GET", []) => list(asked, zone),
            ("POST", []) => create(asked, zone, &id),
            ("DELETE", [id]) => delete(zone, id),
            _ => Answer::text(405, "text/plain", "no such method\n"),
        }
    }

    fn throttled(&self) -> Answer {
        refusal(429, "slow_down", "too many requests")
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "message": message }))
}

fn invalid(message: &str) -> Answer {
    refusal(422, "invalid", message)
}

fn list(asked: &Asked, zone: &HeldZone) -> Answer {
    if let Some(unknown) = asked.unknown_parameter(&["name", "page"]) {
        return invalid(&format!("{unknown} is no parameter"));
    }
    let Some(name) = asked.parameter("name") else { return invalid("no name") };
    let records = zone.set(name, "TXT");
    let from = asked.parameter("page").map_or(Ok(0), str::parse);
    let Some(from) = from.ok().filter(|from| *from == 0 || *from < records.len()) else {
        return invalid("no such page");
    };
    let page: Vec<Value> = records[from..]
        .iter()
        .take(PAGE)
        .map(|record| json!({ "id": record.id, "name": name, "value": record.data, "ttl": record.ttl }))
        .collect();
    let next = (from + PAGE < records.len()).then(|| (from + PAGE).to_string());
    Answer::json(200, &json!({ "records": page, "next": next }))
}

fn create(asked: &Asked, zone: &mut HeldZone, id: &str) -> Answer {
    let Some(body) = asked.object() else { return invalid("no JSON object") };
    if unknown_member(&body, &["name", "value", "ttl"]).is_some() {
        return invalid("an unknown field");
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let ttl = body.get("ttl").and_then(Value::as_u64).filter(|ttl| TTLS.contains(ttl));
    let (Some(name), Some(value), Some(ttl)) = (text("name"), text("value"), ttl) else {
        return invalid("`name`, `value` and a `ttl` of 60 to 86400 are needed");
    };
    if !name.ends_with(&format!(".{}", zone.name)) {
        return invalid("the name is not in the zone");
    }
    if !zone.set(name, "CNAME").is_empty() {
        return refusal(409, "cname_exists", "a CNAME stands there");
    }
    let records = zone.set(name, "TXT");
    if records.iter().any(|record| record.data == value) {
        return refusal(409, "record_exists", "it is there");
    }
    let ttl = u32::try_from(ttl).expect("it is in range");
    if records.iter().any(|record| record.ttl != ttl) {
        return invalid("an RRset has one TTL");
    }
    zone.records.push(HeldRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: "TXT".to_owned(),
        ttl,
        data: value.to_owned(),
        form: value.to_owned(),
    });
    Answer::json(201, &json!({ "id": id }))
}

fn delete(zone: &mut HeldZone, id: &str) -> Answer {
    let before = zone.records.len();
    zone.records.retain(|record| record.id != id || record.kind != "TXT");
    match zone.records.len() < before {
        true => Answer::text(204, "text/plain", ""),
        false => refusal(404, "no_such_record", "it is gone"),
    }
}

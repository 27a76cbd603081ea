//! What the service says: refusals, zones, changes, and lists page by page.

use crate::fake_dns_api::{Answer, Asked, HeldZone};
use serde_json::{Value, json};

/// Entries of a page, whatever is asked for.
const PER_PAGE: usize = 100;

pub(super) fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let errors = json!([{ "domain": "global", "reason": reason, "message": message }]);
    Answer::json(code, &json!({ "error": { "code": code, "message": message, "errors": errors } }))
}

pub(super) fn forbidden(permission: &str) -> Answer {
    refusal(403, "forbidden", &format!("Permission '{permission}' denied on resource"))
}

pub(super) fn invalid(field: &str, value: &str) -> Answer {
    refusal(400, "invalid", &format!("Invalid value for 'entity.change.{field}': '{value}'"))
}

/// Clients say how they would like the JSON.
pub(super) fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    let known = [known, &["alt", "prettyPrint"]].concat();
    match asked.unknown_parameter(&known) {
        None => Ok(()),
        Some(name) => Err(refusal(400, "invalidParameter", &format!("Unknown name \"{name}\""))),
    }
}

/// A zone's number in the form of the service.
pub(super) fn number_of(zone: &HeldZone) -> String {
    zone.id.replace("zone-", "41000000000000")
}

pub(super) fn shown_zone(zone: &HeldZone) -> Value {
    json!({
        "kind": "dns#managedZone",
        "name": zone.id,
        "id": number_of(zone),
        "dnsName": format!("{}.", zone.name),
        "visibility": "public",
        "nameServers": ["ns-cloud-a1.googledomains.com."],
    })
}

pub(super) fn change_state(id: &str, status: &str) -> Value {
    json!({ "kind": "dns#change", "id": id, "status": status, "startTime": "2026-11-22T00:00:00.000Z" })
}

/// The page that is asked for.
pub(super) fn page(asked: &Asked, key: &str, found: &[Value]) -> Result<Answer, Answer> {
    let most = match asked.parameter("maxResults").map(str::parse) {
        None => PER_PAGE,
        Some(Ok(most)) if most > 0 => PER_PAGE.min(most),
        Some(_) => return Err(refusal(400, "invalidParameter", "maxResults")),
    };
    let start = match asked.parameter("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|start| start.parse().ok())
            .ok_or_else(|| refusal(400, "invalidParameter", "pageToken"))?,
    };
    let some: Vec<&Value> = found.iter().skip(start).take(most).collect();
    let mut body = json!({ "kind": "dns#listResponse" });
    body[key] = json!(some);
    if start + most < found.len() {
        body["nextPageToken"] = json!(format!("from-{}", start + most));
    }
    Ok(Answer::json(200, &body))
}

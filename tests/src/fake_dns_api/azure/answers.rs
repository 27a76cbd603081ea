//! What the service says: refusals, zones, and lists page by page.

use super::{SUBSCRIPTION, zone_path};
use crate::fake_dns_api::exchange::unknown_member;
use crate::fake_dns_api::{Answer, Asked, HeldZone};
use serde_json::{Map, Value, json};

/// Entries of a page, whatever is asked for.
const PER_PAGE: usize = 2;
pub(super) const VERSION: &str = "2018-05-01";

pub(super) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let answer = Answer::json(status, &json!({ "error": { "code": code, "message": message } }));
    let header = hyper::header::WWW_AUTHENTICATE;
    if status == 401 { answer.with(header, "Bearer error=\"invalid_token\"") } else { answer }
}

pub(super) fn only(asked: &Asked, version: &str, known: &[&str]) -> Result<(), Answer> {
    if asked.parameter("api-version") != Some(version) {
        return Err(refusal(
            400,
            "MissingApiVersionParameter",
            "The api-version is required and must be known.",
        ));
    }
    match asked.unknown_parameter(&[known, &["api-version"]].concat()) {
        None => Ok(()),
        Some(name) => Err(refusal(400, "InvalidRequestUri", &format!("unknown parameter {name}"))),
    }
}

pub(super) fn fields(object: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    match unknown_member(object, known) {
        None => Ok(()),
        Some(key) => Err(refusal(400, "BadRequest", &format!("unknown field {key}"))),
    }
}

pub(super) fn known_subscription(subscription: &str) -> Result<(), Answer> {
    if subscription == SUBSCRIPTION {
        return Ok(());
    }
    let message = format!("The subscription '{subscription}' could not be found.");
    Err(refusal(404, "SubscriptionNotFound", &message))
}

/// Ids come in another spelling than they are documented.
pub(super) fn shown_zone(zone: &HeldZone) -> Value {
    json!({
        "id": zone_path(&zone.name).replace("resourceGroups", "resourcegroups").replace("dnsZones", "dnszones"),
        "name": zone.name,
        "type": "Microsoft.Network/dnszones",
        "etag": "00000000-0000-0000-0000-000000000001",
        "location": "global",
        "tags": {},
        "properties": { "nameServers": ["ns1-01.azure-dns.com."], "zoneType": "Public", "numberOfRecordSets": 2 },
    })
}

pub(super) fn page(asked: &Asked, found: &[Value]) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize| match asked.parameter(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(refusal(400, "InvalidRequestUri", name)),
    };
    let (most, start) = (number("$top", PER_PAGE)?.clamp(1, PER_PAGE), number("$skiptoken", 0)?);
    let some: Vec<&Value> = found.iter().skip(start).take(most).collect();
    let mut body = json!({ "value": some });
    if start + most < found.len() {
        let (host, path) = (asked.header("host").unwrap_or_default(), asked.segments.join("/"));
        body["nextLink"] =
            json!(format!("https://{host}/{path}?api-version={VERSION}&%24skiptoken={}", start + most));
    }
    Ok(Answer::json(200, &body))
}

//! What the service says: refusals, domains, and RRsets in their one form.

use crate::fake_dns_api::held::quoted;
use crate::fake_dns_api::{Answer, Asked, HeldRecord, HeldZone};
use serde_json::{Value, json};

/// Seconds that every TTL has at least and at most.
pub(super) const TTLS: (u64, u64) = (3600, 86_400);

pub(super) fn detail(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "detail": text }))
}

pub(super) fn not_found() -> Answer {
    detail(404, "Not found.")
}

pub(super) fn forbidden() -> Answer {
    detail(403, "Insufficient token permissions.")
}

pub(super) fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(detail(400, &format!("unknown parameter {name}"))),
    }
}

pub(super) fn domain(zone: &HeldZone) -> Value {
    json!({
        "created": "2026-11-22T00:00:00.000000Z",
        "published": "2026-11-22T00:00:00.000000Z",
        "touched": "2026-11-22T00:00:00.000000Z",
        "name": zone.name,
        "minimum_ttl": TTLS.0,
    })
}

pub(super) fn shown(zone: &HeldZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    let form = |record: &&HeldRecord| {
        if kind == "TXT" { quoted(&record.data) } else { record.data.clone() }
    };
    json!({
        "created": "2026-11-22T00:00:00.000000Z",
        "domain": zone.name,
        "subname": zone.relative(name, ""),
        "name": format!("{name}."),
        "type": kind,
        "ttl": set.first().map(|record| record.ttl),
        "records": set.iter().map(form).collect::<Vec<_>>(),
        "touched": "2026-11-22T00:00:00.000000Z",
    })
}

//! What the service says: two forms of errors, and records.

use crate::fake_dns_api::{Answer, Asked, HeldRecord, HeldZone};
use serde_json::{Value, json};

/// The older form of an error.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let mut body = json!({ "message": message, "httpCode": format!("{status} Refused") });
    if !code.is_empty() {
        body["errorCode"] = json!(code);
    }
    Answer::json(status, &body)
}

/// The newer form.
pub(super) fn classed(status: u16, class: &str, message: &str, details: &Value) -> Answer {
    Answer::json(status, &json!({ "class": class, "message": message, "details": details }))
}

pub(super) fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => {
            Err(classed(400, "Client::BadRequest", &format!("unknown parameter {name}"), &json!({})))
        }
    }
}

/// Targets of texts are shown in quotes, however they came.
pub(super) fn shown(zone: &HeldZone, record: &HeldRecord) -> Value {
    let target = if record.kind == "TXT" && !record.form.starts_with('"') {
        format!("\"{}\"", record.form.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        record.form.clone()
    };
    json!({
        "id": record.id.parse::<u64>().unwrap_or_default(),
        "zone": zone.name,
        "subDomain": zone.relative(&record.name, ""),
        "fieldType": record.kind,
        "target": target,
        "ttl": record.ttl,
    })
}

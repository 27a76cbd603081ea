//! RRsets as they are sent: what is wrong with them, and what becomes of them.

use super::answers::{TTLS, detail, forbidden, not_found, shown};
use super::record;
use super::tokens::Token;
use crate::fake_dns_api::exchange::unknown_member;
use crate::fake_dns_api::held::quoted;
use crate::fake_dns_api::{Answer, Asked, HeldZone, text_of};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Octets that all records of an RRset may have together.
const LARGEST_SET: usize = 65_000;

/// Creates, changes or deletes RRsets together, or says what is wrong with each.
pub(super) fn write_many(asked: &Asked, zone: &mut HeldZone, token: &Token) -> Result<Answer, Answer> {
    let method = asked.method.as_str();
    let (items, single) = items(asked)?;
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
        let name = zone.absolute(&set.subname, "");
        let records = set.values.into_iter().map(|value| record(&name, set.ttl, value)).collect();
        zone.replace_set(&name, "TXT", records);
        if !empty {
            written.push(shown(zone, &name, "TXT"));
        }
    }
    let status = if method == "POST" { 201 } else { 200 };
    Ok(Answer::json(status, &if single { written.remove(0) } else { Value::Array(written) }))
}

/// The RRsets that are sent, and whether it is one without a list.
fn items(asked: &Asked) -> Result<(Vec<Value>, bool), Answer> {
    let body: Value =
        serde_json::from_slice(&asked.body).map_err(|_| detail(400, "JSON parse error - Expecting value"))?;
    if !asked.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(detail(415, "Unsupported media type in request."));
    }
    match body {
        Value::Array(items) => Ok((items, false)),
        item @ Value::Object(_) if asked.method == "POST" => Ok((vec![item], true)),
        _ => Err(Answer::json(400, &non_field("Expected a list of items but got dict."))),
    }
}

/// One RRset under its own address, which older clients use.
pub(super) fn one_set(
    asked: &Asked,
    method: &str,
    zone: &mut HeldZone,
    subname: &str,
    token: &Token,
) -> Result<Answer, Answer> {
    let name = zone.absolute(subname, "");
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
    let subname = place(item)?;
    let name = zone.absolute(subname, "");
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
        Some(_) if goes && method == "POST" => {
            return Err(field("records", "This field must not be empty when using POST."));
        }
        Some(forms) => forms,
        None if partial => present.iter().map(|record| quoted(&record.data)).collect(),
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

/// Relative to the zone, of an RRset of texts.
fn place(item: &Map<String, Value>) -> Result<&str, Refusal> {
    if let Some(name) = unknown_member(item, &["subname", "type", "ttl", "records"]) {
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
    Ok(subname)
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

//! TXT record sets: how they are shown, held against an ETag, and written.

use super::answers::{VERSION, fields, only, page, refusal};
use super::{Azure, lowered, zone_path};
use crate::fake_dns_api::{Answer, Asked, HeldRecord, HeldZone, lock};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;

/// Characters of one set in the public cloud.
const LARGEST_SET: usize = 4096;
/// Records of one set.
const MOST_RECORDS: usize = 400;

impl Azure {
    pub(super) fn list_sets(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        only(asked, VERSION, &["$top", "$skiptoken", "$recordsetnamesuffix"])?;
        let mut names: Vec<&str> = Vec::new();
        for record in zone.records.iter().filter(|record| record.kind == "TXT") {
            let fits =
                asked.parameter("$recordsetnamesuffix").is_none_or(|suffix| record.name.contains(suffix));
            if fits && !names.contains(&record.name.as_str()) {
                names.push(&record.name);
            }
        }
        let found: Vec<Value> =
            names.iter().filter_map(|name| self.shown(zone, zone.relative(name, "@"))).collect();
        page(asked, &found)
    }

    pub(super) fn set(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        method: &str,
        relative: &str,
        number: u64,
    ) -> Result<Answer, Answer> {
        only(asked, VERSION, &[])?;
        let absent = || {
            refusal(
                404,
                "NotFound",
                &format!("The resource record '{relative}' does not exist in resource group."),
            )
        };
        if method == "GET" {
            return self.shown(zone, relative).map(|set| Answer::json(200, &set)).ok_or_else(absent);
        }
        let name = zone.absolute(relative, "@");
        self.let_somebody_write(zone, &name, number);
        let present = self.shown(zone, relative);
        self.hold_against(asked, present.as_ref())?;
        if method == "DELETE" {
            if present.is_none() {
                return Ok(Answer::text(204, "application/json", ""));
            }
            zone.replace_set(&name, "TXT", Vec::new());
            let path = lowered(&format!("{}/TXT/{relative}", zone_path(&zone.name)));
            lock(&self.notes).remove(&path);
            // Roles stand on a resource and go with it.
            for (_, assignments) in lock(&self.principals).iter_mut() {
                assignments.retain(|(place, _)| *place != path);
            }
            return Ok(Answer::text(200, "application/json", ""));
        }
        self.put(asked, zone, relative, number)?;
        let shown = self.shown(zone, relative).expect("it was just put");
        Ok(Answer::json(if present.is_some() { 200 } else { 201 }, &shown))
    }

    /// What somebody else writes just before the write of the set at `name`.
    fn let_somebody_write(&self, zone: &mut HeldZone, name: &str, number: u64) {
        let Some(value) = lock(&self.intruder).take() else { return };
        let ttl = zone.set(name, "TXT").first().map_or(300, |record| record.ttl);
        let form = json!([value]).to_string();
        let (id, name, kind) = (format!("r{number}-i"), name.to_owned(), "TXT".to_owned());
        zone.records.push(HeldRecord { id, name, kind, ttl, data: value, form });
    }

    /// The set as the service shows it, with its ETag.
    fn shown(&self, zone: &HeldZone, relative: &str) -> Option<Value> {
        let name = zone.absolute(relative, "@");
        let records = zone.set(&name, "TXT");
        let first = records.first()?;
        let path = format!("{}/TXT/{relative}", zone_path(&zone.name));
        let notes = lock(&self.notes).get(&lowered(&path)).cloned();
        let texts: Vec<Value> =
            records.iter().map(|record| json!({ "value": strings(&record.form) })).collect();
        let mut hasher = DefaultHasher::new();
        (first.ttl, json!(texts).to_string(), json!(notes).to_string()).hash(&mut hasher);
        let mut properties = json!({
            "fqdn": format!("{name}."), "TTL": first.ttl, "TXTRecords": texts, "targetResource": {},
            "provisioningState": "Succeeded",
        });
        if let Some(notes) = notes {
            properties["metadata"] = notes;
        }
        Some(json!({
            "id": path.replace("resourceGroups", "resourcegroups").replace("dnsZones", "dnszones"),
            "name": relative,
            "type": "Microsoft.Network/dnszones/TXT",
            "etag": format!("{:016x}", hasher.finish()),
            "properties": properties,
        }))
    }

    /// `If-Match` and `If-None-Match` (RFC 9110 §13.1).
    fn hold_against(&self, asked: &Asked, present: Option<&Value>) -> Result<(), Answer> {
        let etag = present.and_then(|set| set["etag"].as_str());
        let stale = |header: &str, value: &str| {
            let message = format!(
                "The condition '{value}' in the {header} header was not satisfied. The current was '{}'.",
                etag.unwrap_or("n/a")
            );
            let conflicts = self.conflicts.load(Ordering::SeqCst);
            let (status, code) = if conflicts { (409, "Conflict") } else { (412, "PreconditionFailed") };
            Err(refusal(status, code, &message))
        };
        match (asked.header("if-match"), asked.header("if-none-match")) {
            (Some(_), Some(_)) => Err(refusal(400, "BadRequest", "both conditions")),
            (Some("*"), None) if etag.is_none() && asked.method == "PUT" => stale("If-Match", "*"),
            (Some("*"), None) | (None, None) => Ok(()),
            (Some(wanted), None) if etag == Some(wanted) || (etag.is_none() && asked.method == "DELETE") => {
                Ok(())
            }
            (Some(wanted), None) => stale("If-Match", wanted),
            (None, Some("*")) if etag.is_none() => Ok(()),
            (None, Some(wanted)) => stale("If-None-Match", wanted),
        }
    }

    fn put(&self, asked: &Asked, zone: &mut HeldZone, relative: &str, number: u64) -> Result<(), Answer> {
        let Wanted { ttl, texts, notes } = wanted(asked)?;
        let name = zone.absolute(relative, "@");
        if zone.records.iter().any(|record| record.name == name && record.kind == "CNAME") {
            return Err(refusal(
                409,
                "Conflict",
                "A CNAME record with the same name already exists in this zone.",
            ));
        }
        let record = |(index, (data, form)): (usize, &(String, String))| HeldRecord {
            id: format!("r{number}-{index}"),
            name: name.clone(),
            kind: "TXT".to_owned(),
            ttl,
            data: data.clone(),
            form: form.clone(),
        };
        zone.replace_set(&name, "TXT", texts.iter().enumerate().map(record).collect());
        let path = lowered(&format!("{}/TXT/{relative}", zone_path(&zone.name)));
        match notes {
            Some(notes) => drop(lock(&self.notes).insert(path, notes)),
            None => drop(lock(&self.notes).remove(&path)),
        }
        Ok(())
    }
}

/// What a set shall be.
struct Wanted {
    ttl: u32,
    /// What each record holds, and its form.
    texts: Vec<(String, String)>,
    notes: Option<Value>,
}

/// What is sent, if it is as the service takes it.
fn wanted(asked: &Asked) -> Result<Wanted, Answer> {
    let bad = |what: &str| refusal(400, "BadRequest", what);
    let body = asked.object().ok_or_else(|| bad("no JSON"))?;
    fields(&body, &["properties", "etag"])?;
    let properties = body.get("properties").and_then(Value::as_object).ok_or_else(|| bad("no properties"))?;
    fields(properties, &["TTL", "TXTRecords", "metadata"])?;
    let ttl = properties.get("TTL").and_then(Value::as_u64).and_then(|ttl| u32::try_from(ttl).ok());
    let ttl = ttl.filter(|ttl| (1..=2_147_483_647).contains(ttl)).ok_or_else(|| bad("TTL"))?;
    let records = properties.get("TXTRecords").and_then(Value::as_array);
    let records = records.ok_or_else(|| bad("TXTRecords"))?;
    let texts: Option<Vec<(String, String)>> = records.iter().map(text).collect();
    let texts = texts.ok_or_else(|| bad("TXTRecords"))?;
    if texts.is_empty()
        || texts.len() > MOST_RECORDS
        || texts.iter().map(|text| text.0.len()).sum::<usize>() > LARGEST_SET
    {
        return Err(bad("The record set has too many or too long records, or none."));
    }
    if (1..texts.len()).any(|index| texts[..index].contains(&texts[index])) {
        return Err(bad("The record set has the same record twice."));
    }
    let notes = properties.get("metadata").filter(|notes| notes.is_object()).cloned();
    Ok(Wanted { ttl, texts, notes })
}

/// The character-strings of a record's form; what a test wrote plainly is one.
fn strings(form: &str) -> Value {
    match serde_json::from_str(form) {
        Ok(strings @ Value::Array(_)) => strings,
        _ => json!([form.trim_matches('"')]),
    }
}

/// What a record holds, and the form in which it is kept: its character-strings as JSON.
fn text(record: &Value) -> Option<(String, String)> {
    let object = record.as_object().filter(|object| object.len() == 1)?;
    let strings = object.get("value")?.as_array()?;
    let mut text = String::new();
    for string in strings {
        let string = string.as_str().filter(|string| string.len() <= 255)?;
        text += string;
    }
    (!text.is_empty()).then(|| (text, json!(strings).to_string()))
}

//! Record sets of one zone, and changes of them.

use super::Google;
use super::answers::{change_state, forbidden, invalid, only, page, refusal};
use crate::fake_dns_api::exchange::unknown_member;
use crate::fake_dns_api::{Answer, Asked, HeldRecord, HeldZone, lock, text_of};
use serde_json::{Map, Value, json};

/// Sets that may come, and that may go, in one change.
const LARGEST_CHANGE: usize = 1000;
/// Octets of data in one change.
const MOST_DATA: usize = 100_000;
/// Values of one set.
const LARGEST_SET: usize = 100;

impl Google {
    pub(super) fn look_at(&self, id: &str) -> Result<Answer, Answer> {
        let mut changes = lock(&self.changes);
        let looks = id.parse::<usize>().ok().and_then(|id| changes.get_mut(id));
        let message = format!("The 'parameters.changeId' resource named '{id}' does not exist.");
        let looks = looks.ok_or_else(|| refusal(404, "notFound", &message))?;
        *looks += 1;
        Ok(Answer::json(200, &change_state(id, if *looks > 1 { "done" } else { "pending" })))
    }

    pub(super) fn change(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        sets: Option<&[(String, String)]>,
        number: u64,
    ) -> Result<Answer, Answer> {
        only(asked, &[])?;
        let body = asked.object().ok_or_else(|| refusal(400, "parseError", "Parse Error"))?;
        let change = Change::read(&body, zone)?;
        let allowed = |set: &Set| {
            sets.is_none_or(|sets| sets.iter().any(|(name, kind)| *name == set.name && *kind == set.kind))
        };
        if !change.deletions.iter().chain(&change.additions).all(allowed) {
            return Err(forbidden("dns.resourceRecordSets.create"));
        }
        if let Some(value) = lock(&self.intruder).take() {
            let set = change.additions.first().or(change.deletions.first()).expect("it is not empty");
            let form = format!("\"{value}\"");
            zone.records.push(HeldRecord {
                data: value,
                form,
                ..set.record(&format!("r{number}-intruder"), "\"x\"")
            });
        }
        let before = zone.clone();
        if let Err(refusal) = change.carry_out(zone, number) {
            *zone = before;
            return Err(refusal);
        }
        let mut changes = lock(&self.changes);
        changes.push(0);
        Ok(Answer::json(200, &change_state(&(changes.len() - 1).to_string(), "pending")))
    }
}

pub(super) fn list_sets(asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
    only(asked, &["name", "type", "maxResults", "pageToken"])?;
    let (name, kind) = (asked.parameter("name"), asked.parameter("type"));
    if kind.is_some() && name.is_none() {
        return Err(refusal(400, "invalidParameter", "type can only be given with name"));
    }
    let mut places: Vec<(&str, &str)> = Vec::new();
    for record in &zone.records {
        let fits = name.is_none_or(|name| format!("{}.", record.name) == name)
            && kind.is_none_or(|kind| record.kind == kind);
        if fits && !places.contains(&(&record.name, &record.kind)) {
            places.push((&record.name, &record.kind));
        }
    }
    let shown = |(name, kind): &(&str, &str)| {
        let records = zone.set(name, kind);
        json!({
            "kind": "dns#resourceRecordSet",
            "name": format!("{name}."),
            "type": kind,
            "ttl": records[0].ttl,
            "rrdatas": records.iter().map(|record| &record.form).collect::<Vec<_>>(),
            "signatureRrdatas": [],
        })
    };
    let found: Vec<Value> = places.iter().map(shown).collect();
    page(asked, "rrsets", &found)
}

/// One record set of a request, checked.
#[derive(Debug)]
struct Set {
    /// Without the final dot.
    name: String,
    kind: String,
    ttl: u32,
    forms: Vec<String>,
}

#[derive(Debug)]
struct Change {
    deletions: Vec<Set>,
    additions: Vec<Set>,
}

impl Change {
    fn read(body: &Map<String, Value>, zone: &HeldZone) -> Result<Self, Answer> {
        if let Some(key) = unknown_member(body, &["kind", "additions", "deletions"]) {
            return Err(refusal(400, "invalid", &format!("Unknown name \"{key}\"")));
        }
        let part = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(sets)) => sets
                .iter()
                .enumerate()
                .map(|(index, set)| Set::read(set, &format!("{key}[{index}]"), zone))
                .collect(),
            Some(_) => Err(refusal(400, "parseError", key)),
        };
        let change = Self { deletions: part("deletions")?, additions: part("additions")? };
        if change.deletions.is_empty() && change.additions.is_empty() {
            return Err(refusal(400, "required", "Required field 'entity.change' not specified"));
        }
        for (sets, what) in [(&change.additions, "additions"), (&change.deletions, "deletions")] {
            if sets.len() > LARGEST_CHANGE {
                let message = format!("The change would exceed quota for {what} per change.");
                return Err(refusal(403, "quotaExceeded", &message));
            }
        }
        let all = change.deletions.iter().chain(&change.additions);
        if all.flat_map(|set| &set.forms).map(String::len).sum::<usize>() > MOST_DATA {
            return Err(refusal(
                403,
                "quotaExceeded",
                "The change would exceed quota for total rrdata size per change.",
            ));
        }
        Ok(change)
    }

    fn carry_out(&self, zone: &mut HeldZone, number: u64) -> Result<(), Answer> {
        for (index, set) in self.deletions.iter().enumerate() {
            set.delete(index, zone)?;
        }
        for (index, set) in self.additions.iter().enumerate() {
            set.add(index, zone, number)?;
        }
        Ok(())
    }
}

impl Set {
    fn read(set: &Value, place: &str, zone: &HeldZone) -> Result<Self, Answer> {
        let wrong = |key: &str, value: &Value| invalid(&format!("{place}.{key}"), &value.to_string());
        let object = set.as_object().ok_or_else(|| invalid(place, "no object"))?;
        let known = ["kind", "name", "type", "ttl", "rrdatas", "signatureRrdatas"];
        if let Some(key) = unknown_member(object, &known) {
            return Err(refusal(400, "invalid", &format!("Unknown name \"{key}\" at '{place}'")));
        }
        let name = set["name"]
            .as_str()
            .and_then(|name| name.strip_suffix('.'))
            .ok_or_else(|| wrong("name", &set["name"]))?;
        if !zone.contains(name)
            || name != name.to_lowercase()
            || name.split('.').any(|label| label.is_empty() || label.len() > 63)
        {
            return Err(wrong("name", &set["name"]));
        }
        let kind = set["type"].as_str().ok_or_else(|| wrong("type", &set["type"]))?;
        // Some clients write it as a text.
        let ttl = set["ttl"].as_u64().or_else(|| set["ttl"].as_str()?.parse().ok());
        let ttl = ttl.and_then(|ttl| i32::try_from(ttl).ok()).and_then(|ttl| u32::try_from(ttl).ok());
        let ttl = ttl.ok_or_else(|| wrong("ttl", &set["ttl"]))?;
        let rrdatas = set["rrdatas"].as_array().ok_or_else(|| wrong("rrdatas", &set["rrdatas"]))?;
        let form = |data: &Value| match (kind, data.as_str()) {
            ("TXT", Some(text)) => txt_form(text).ok_or_else(|| wrong("rrdata", data)),
            (_, Some(text)) => Ok(text.to_owned()),
            (_, None) => Err(wrong("rrdata", data)),
        };
        let forms = rrdatas.iter().map(form).collect::<Result<Vec<_>, _>>()?;
        let mut unlike = forms.clone();
        unlike.sort_unstable();
        unlike.dedup();
        if forms.is_empty() || forms.len() > LARGEST_SET || unlike.len() < forms.len() {
            return Err(wrong("rrdatas", &set["rrdatas"]));
        }
        Ok(Self { name: name.to_owned(), kind: kind.to_owned(), ttl, forms })
    }

    /// As the deletion with this index.
    fn delete(&self, index: usize, zone: &mut HeldZone) -> Result<(), Answer> {
        let there = zone.set(&self.name, &self.kind);
        if there.is_empty() {
            let message = format!(
                "The 'entity.change.deletions[{index}]' resource named '{}. ({})' does not exist.",
                self.name, self.kind
            );
            return Err(refusal(404, "notFound", &message));
        }
        let sorted = |mut forms: Vec<String>| {
            forms.sort_unstable();
            forms
        };
        let forms = there.iter().map(|record| record.form.clone()).collect();
        if there[0].ttl != self.ttl || sorted(forms) != sorted(self.forms.clone()) {
            let message = format!("Precondition not met for 'entity.change.deletions[{index}]'");
            return Err(refusal(412, "conditionNotMet", &message));
        }
        zone.replace_set(&self.name, &self.kind, Vec::new());
        Ok(())
    }

    /// As the addition with this index, of the change with this number.
    fn add(&self, index: usize, zone: &mut HeldZone, number: u64) -> Result<(), Answer> {
        if zone
            .records
            .iter()
            .any(|one| one.name == self.name && (one.kind == "CNAME") != (self.kind == "CNAME"))
        {
            let message = format!(
                "The resource record set 'entity.change.additions[{index}]' is invalid because the DNS name '{}.' \
                 may have either one CNAME resource record set or resource record sets of other types, but not both.",
                self.name
            );
            return Err(refusal(400, "cnameResourceRecordSetConflict", &message));
        }
        if !zone.set(&self.name, &self.kind).is_empty() {
            let message = format!(
                "The 'entity.change.additions[{index}]' resource named '{}. ({})' already exists.",
                self.name, self.kind
            );
            return Err(refusal(409, "alreadyExists", &message));
        }
        let records = self.forms.iter().enumerate();
        let records =
            records.map(|(nth, form)| self.record(&format!("r{number}-{index}-{nth}"), form)).collect();
        zone.replace_set(&self.name, &self.kind, records);
        Ok(())
    }

    fn record(&self, id: &str, form: &str) -> HeldRecord {
        let data = if self.kind == "TXT" { text_of(form).unwrap_or_default() } else { form.to_owned() };
        HeldRecord {
            id: id.to_owned(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            ttl: self.ttl,
            data,
            form: form.to_owned(),
        }
    }
}

/// Quoted as the service shows it; a text without quotes is one string if it has no blank.
fn txt_form(text: &str) -> Option<String> {
    if text.starts_with('"') {
        return text_of(text).map(|_| text.to_owned());
    }
    let bare = !text.is_empty() && text.len() <= 255 && !text.contains([' ', '"', '\\']);
    bare.then(|| format!("\"{text}\""))
}

//! The records of a zone, with what is held back until it is refreshed.

use super::Ovh;
use super::answers::{classed, only, refusal, shown};
use crate::fake_dns_api::exchange::unknown_member;
use crate::fake_dns_api::{Answer, Asked, HeldRecord, HeldZone, lock};
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

/// What was asked for and is not served yet.
#[derive(Debug)]
pub(super) enum Pending {
    Add(HeldRecord),
    Remove(String),
}

impl Ovh {
    pub(super) fn zone(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        method: &str,
        rest: &[&str],
        number: u64,
    ) -> Result<Answer, Answer> {
        let gone = |id: &str| refusal(404, "", &format!("The requested object (id = {id}) does not exist"));
        match (method, rest) {
            ("GET", ["record"]) => self.list(asked, zone),
            ("GET", ["record", id]) => {
                only(asked, &[])?;
                let view = self.view(zone);
                let record = view.iter().find(|record| record.id == *id).ok_or_else(|| gone(id))?;
                Ok(Answer::json(200, &shown(zone, record)))
            }
            ("POST", ["record"]) => {
                let record = self.new_record(asked, zone, number)?;
                let answer = Answer::json(200, &shown(zone, &record));
                lock(&self.pending).push((zone.name.clone(), Pending::Add(record)));
                Ok(answer)
            }
            ("DELETE", ["record", id]) => {
                only(asked, &[])?;
                if !self.view(zone).iter().any(|record| record.id == *id) {
                    return Err(gone(id));
                }
                lock(&self.pending).push((zone.name.clone(), Pending::Remove((*id).to_owned())));
                Ok(Answer::json(200, &Value::Null))
            }
            _ => {
                only(asked, &[])?;
                self.refresh(zone)
            }
        }
    }

    /// The ids of the records that are asked for.
    fn list(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        only(asked, &["fieldType", "subDomain"])?;
        let (kind, like) = (asked.parameter("fieldType"), asked.parameter("subDomain"));
        let fits = |record: &&HeldRecord| {
            kind.is_none_or(|kind| record.kind == kind)
                && like.is_none_or(|like| is_like(like, zone.relative(&record.name, "")))
        };
        let view = self.view(zone);
        let ids: Vec<u64> = view.iter().filter(fits).filter_map(|record| record.id.parse().ok()).collect();
        Ok(Answer::json(200, &json!(ids)))
    }

    fn refresh(&self, zone: &mut HeldZone) -> Result<Answer, Answer> {
        let left = self.failing.load(Ordering::SeqCst);
        if left > 0 {
            self.failing.store(left - 1, Ordering::SeqCst);
            return Err(classed(500, "Server::InternalServerError", "Internal server error", &json!({})));
        }
        zone.records = self.view(zone);
        lock(&self.pending).retain(|(name, _)| *name != zone.name);
        Ok(Answer::json(200, &Value::Null))
    }

    /// The zone as the API shows it, with what is not served yet.
    fn view(&self, zone: &HeldZone) -> Vec<HeldRecord> {
        let mut records = zone.records.clone();
        for (_, pending) in lock(&self.pending).iter().filter(|(name, _)| *name == zone.name) {
            match pending {
                Pending::Add(record) => records.push(record.clone()),
                Pending::Remove(id) => records.retain(|record| record.id != *id),
            }
        }
        records
    }

    fn new_record(&self, asked: &Asked, zone: &HeldZone, number: u64) -> Result<HeldRecord, Answer> {
        only(asked, &[])?;
        let bad = |what: &str| classed(400, "Client::BadRequest", what, &json!({}));
        let body: Map<String, Value> = asked.object().ok_or_else(|| bad("no JSON"))?;
        if let Some(key) = unknown_member(&body, &["fieldType", "subDomain", "target", "ttl"]) {
            return Err(bad(&format!("unknown field {key}")));
        }
        // The service says so of a wrong type.
        let typed = || refusal(400, "INVALID_SIGNATURE", "Invalid signature");
        let text = |key: &str| body.get(key).map_or(Ok(""), |value| value.as_str().ok_or_else(typed));
        let (kind, sub_domain, form) = (text("fieldType")?, text("subDomain")?, text("target")?);
        let ttl = body.get("ttl").map_or(Ok(0), |ttl| ttl.as_u64().ok_or_else(typed))?;
        let ttl = u32::try_from(ttl).ok().filter(|ttl| *ttl == 0 || (60..=2_147_483_647).contains(ttl));
        let ttl = ttl.ok_or_else(|| bad("Invalid ttl"))?;
        if kind != "TXT" {
            return Err(bad("this fake takes TXT only"));
        }
        if sub_domain.ends_with('.') || sub_domain.split('.').any(|label| label.len() > 63) {
            return Err(bad("Invalid subDomain"));
        }
        let name = zone.absolute(sub_domain, "").to_lowercase();
        if self.view(zone).iter().any(|record| record.name == name && record.kind == "CNAME") {
            return Err(bad("A CNAME already exists for this subdomain"));
        }
        let data = text_of_target(form).ok_or_else(|| bad("Invalid target"))?;
        let (id, kind, form) = (number.to_string(), kind.to_owned(), form.to_owned());
        Ok(HeldRecord { id, name, kind, ttl, data, form })
    }
}

/// `_` stands for one character, `%` for any, without regard to case.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('%') => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .any(|at| is_like(characters.as_str(), &text[at..])),
        Some(one) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|other| one == '_' || one == other)
                && is_like(characters.as_str(), rest.as_str())
        }
    }
}

/// What quoted strings of any length hold, or a text without quotes.
fn text_of_target(target: &str) -> Option<String> {
    if !target.starts_with('"') {
        return (!target.is_empty() && !target.contains('"')).then(|| target.to_owned());
    }
    let (mut text, mut inside) = (String::new(), false);
    let mut characters = target.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => inside = !inside,
            '\\' if inside => text.push(characters.next()?),
            other if inside => text.push(other),
            ' ' => {}
            _ => return None,
        }
    }
    (!inside && !text.is_empty()).then_some(text)
}

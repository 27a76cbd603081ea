//! Lists of domains and RRsets, page by page.

use super::Desec;
use super::answers::{detail, domain, only, shown};
use crate::fake_dns_api::{Answer, Asked, Held, HeldZone};
use hyper::header::LINK;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

impl Desec {
    pub(super) fn domains(&self, asked: &Asked, held: &Held) -> Result<Answer, Answer> {
        only(asked, &["owns_qname", "cursor"])?;
        let found: Vec<&HeldZone> = match asked.parameter("owns_qname") {
            None => held.zones.iter().collect(),
            Some(name) => {
                let owning = held.zones.iter().filter(|zone| zone.contains(name));
                owning.max_by_key(|zone| zone.name.len()).into_iter().collect()
            }
        };
        self.page(asked, &found.into_iter().map(domain).collect::<Vec<_>>())
    }

    pub(super) fn list(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        only(asked, &["type", "subname", "cursor"])?;
        let fits = |set: &&(String, String)| {
            asked.parameter("type").is_none_or(|kind| set.1 == kind)
                && asked.parameter("subname").is_none_or(|subname| zone.relative(&set.0, "") == subname)
        };
        let places: BTreeSet<(String, String)> =
            zone.records.iter().map(|record| (record.name.clone(), record.kind.clone())).collect();
        let found: Vec<Value> =
            places.iter().filter(fits).map(|(name, kind)| shown(zone, name, kind)).collect();
        self.page(asked, &found)
    }

    /// A page, or all of what is found where it fits on one.
    fn page(&self, asked: &Asked, found: &[Value]) -> Result<Answer, Answer> {
        let size = self.page.load(Ordering::SeqCst);
        if found.len() <= size {
            return Ok(Answer::json(200, &Value::Array(found.to_vec())));
        }
        let address = |cursor: &str| {
            let host = asked.header("host").unwrap_or_default();
            let path = asked.segments.join("/");
            let others: String = asked
                .query
                .iter()
                .filter(|(name, _)| name != "cursor")
                .map(|(name, value)| format!("&{name}={value}"))
                .collect();
            format!("<http://{host}/api/v1/{path}?cursor={cursor}{others}>")
        };
        let first = format!("{}; rel=\"first\"", address(""));
        let Some(cursor) = asked.parameter("cursor") else {
            let text = format!("Pagination required. You can query up to {size} items at a time.");
            return Err(detail(400, &text).with(LINK, &first));
        };
        let start = match cursor.strip_prefix("p=") {
            None if cursor.is_empty() => 0,
            Some(number) => number.parse().map_err(|_| detail(404, "Invalid cursor"))?,
            None => return Err(detail(404, "Invalid cursor")),
        };
        let some: Vec<Value> = found.iter().skip(start).take(size).cloned().collect();
        let answer = Answer::json(200, &Value::Array(some));
        let next = start + size;
        Ok(if next < found.len() {
            answer.with(LINK, &format!("{first}, {}; rel=\"next\"", address(&format!("p%3D{next}"))))
        } else {
            answer.with(LINK, &first)
        })
    }
}

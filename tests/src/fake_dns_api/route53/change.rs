//! Changes as they are asked for, and the values that the service takes.

use super::super::{Answer, Asked, HeldRecord, text_of};
use super::xml::Element;
use super::{NAMESPACE, refusal};

/// ResourceRecord elements, and characters of values, in one request.
const LARGEST_CHANGE: (usize, usize) = (1000, 32_000);

/// One change, read and in normal form.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) action: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) ttl: u32,
    pub(super) values: Vec<String>,
}

/// The changes of a request, whose elements must stand in the documented order.
pub(super) fn changes(asked: &Asked) -> Result<Vec<Change>, Answer> {
    let wrong = |what: &str| refusal(400, "InvalidInput", &format!("Invalid XML ; {what}"));
    let text = std::str::from_utf8(&asked.body).map_err(|_| wrong("not text"))?;
    let root = Element::parse(text).ok_or_else(|| wrong("malformed"))?;
    if root.name != "ChangeResourceRecordSetsRequest" || root.namespace.as_deref() != Some(NAMESPACE) {
        return Err(wrong("the root is another"));
    }
    let read = || {
        let batch = root.only(&["ChangeBatch"])?[0]?;
        let changes = batch.only(&["Comment", "Changes"])?[1]?;
        changes.all("Change")?.iter().map(change).collect::<Option<Vec<Change>>>()
    };
    let changes =
        read().ok_or_else(|| wrong("cvc-complex-type: an element is missing, unknown or out of order"))?;
    // An UPSERT counts twice.
    let weight = |change: &Change| if change.action == "UPSERT" { 2 } else { 1 };
    let records: usize = changes.iter().map(|change| weight(change) * change.values.len()).sum();
    let characters = |change: &Change| change.values.iter().map(|value| value.chars().count()).sum::<usize>();
    let characters: usize = changes.iter().map(|change| weight(change) * characters(change)).sum();
    if records > LARGEST_CHANGE.0 {
        return Err(refusal(400, "InvalidChangeBatch", "[Number of records limit of 1000 exceeded.]"));
    }
    if characters > LARGEST_CHANGE.1 {
        return Err(refusal(400, "InvalidChangeBatch", "[RDATA character limit exceeded.]"));
    }
    Ok(changes)
}

fn change(element: &Element) -> Option<Change> {
    let parts = element.only(&["Action", "ResourceRecordSet"])?;
    let action = parts[0]?.text.clone();
    let set = parts[1]?.only(&["Name", "Type", "TTL", "ResourceRecords"])?;
    let name = set[0]?.text.strip_suffix('.').unwrap_or(&set[0]?.text).to_lowercase();
    let kind = set[1]?.text.clone();
    let ttl = set[2]?.text.parse().ok().filter(|ttl| *ttl <= 0x7fff_ffff)?;
    let records = set[3]?.all("ResourceRecord")?;
    let values = records.iter().map(|record| Some(record.only(&["Value"])?[0]?.text.clone()));
    let known = ["CREATE", "DELETE", "UPSERT"].contains(&action.as_str())
        && ["A", "CNAME", "TXT"].contains(&kind.as_str());
    let values = values.collect::<Option<Vec<String>>>()?;
    known.then_some(Change { action, name, kind, ttl, values })
}

/// A record of the form that the service takes.
pub(super) fn record(name: &str, kind: &str, ttl: u32, value: &str) -> Result<HeldRecord, String> {
    let data = if kind == "TXT" {
        let fatal =
            |what: &str| format!("Invalid Resource Record: FATAL problem: {what} encountered with '{value}'");
        if !value.starts_with('"') || !value.ends_with('"') || value.len() < 2 {
            return Err(fatal("InvalidCharacterString (Value should be enclosed in quotation marks)"));
        }
        text_of(value).ok_or_else(|| fatal("CharacterStringTooLong (Value is too long)"))?
    } else {
        value.to_owned()
    };
    let (name, kind, form) = (name.to_owned(), kind.to_owned(), value.to_owned());
    Ok(HeldRecord { id: String::new(), name, kind, ttl, data, form })
}

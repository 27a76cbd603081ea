//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use crate::api::SetChange;
use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde_json::Value;

/// One thing that the service says is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    /// Which of the RRsets that were sent, where the service tells.
    index: Option<usize>,
    /// The field, where it is one.
    field: Option<String>,
    text: String,
}

/// The error that `reply` stands for, which answered the RRsets `sent`.
pub(crate) fn refused(reply: &Reply, sent: &[SetChange]) -> ProviderError {
    let complaints = match serde_json::from_slice(reply.body()) {
        Ok(body) => complaints(&body),
        // The edge of the service answers in HTML.
        Err(_) => Vec::new(),
    };
    let mut error = if complaints.is_empty() {
        reply.error()
    } else {
        let words = words(&complaints);
        let message = format!("the service answered {}: {words}", reply.status());
        reply
            .error_of(kind(reply.status(), &words), &message)
            .with_retryable(passes(reply.status(), &complaints))
    };
    let culprit = complaints.iter().find_map(|complaint| sent.get(complaint.index?));
    if let Some(set) = culprit {
        error = error.with_context("subname", format!("`{}`", set.subname));
    }
    error.with_optional_hint(hint(reply.status(), &words(&complaints)))
}

fn kind(status: u16, words: &str) -> ProviderErrorKind {
    use ProviderErrorKind as Kind;
    match status {
        400 if in_the_way(words) || words.contains("This field is required") => Kind::Conflict,
        401 => Kind::Auth,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        429 => Kind::RateLimited,
        500..=599 => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}

/// Whether the same call may succeed later.
fn passes(status: u16, complaints: &[Complaint]) -> bool {
    // An RRset that kept its TTL is gone since it was read, so that it is new and needs one.
    let vanished = |one: &Complaint| one.field.as_deref() == Some("ttl") && one.text.contains("required");
    match status {
        400 => complaints.iter().all(vanished),
        409 | 429 | 500..=599 => true,
        _ => false,
    }
}

fn hint(status: u16, words: &str) -> Option<&'static str> {
    Some(match status {
        400 if in_the_way(words) => "remove the CNAME at the name, or configure the zone that it points to",
        400 if words.contains("greater than or equal to") => {
            "the domain's smallest TTL is another: `minimum_ttl` must say it"
        }
        401 => {
            "check that the token is whole, not deleted and not expired, and that its `allowed_subnets` has this machine"
        }
        403 => {
            "the token's policies must let it write TXT at each name: `dns01 scope recipe` has the commands"
        }
        404 => "the account has no domain of this name: `zones` must name the domain as deSEC lists it",
        _ => return None,
    })
}

fn in_the_way(words: &str) -> bool {
    words.contains("conflicting type")
}

/// All that a body complains of: `{"detail":"…"}`, `{"ttl":["…"]}`, or a list with one such
/// object for each RRset, `{}` where nothing is wrong.
fn complaints(body: &Value) -> Vec<Complaint> {
    match body {
        Value::Array(list) => list
            .iter()
            .enumerate()
            .flat_map(|(index, one)| {
                complaints(one).into_iter().map(move |one| Complaint { index: Some(index), ..one })
            })
            .collect(),
        Value::Object(fields) => fields.iter().flat_map(|(field, said)| of_field(field, said)).collect(),
        _ => Vec::new(),
    }
}

fn of_field(field: &str, said: &Value) -> Vec<Complaint> {
    let mut texts = Vec::new();
    gather(said, &mut texts);
    let field = (!matches!(field, "detail" | "non_field_errors")).then(|| field.to_owned());
    texts.into_iter().map(|text| Complaint { index: None, field: field.clone(), text }).collect()
}

/// The texts in `said`, however deep.
fn gather(said: &Value, texts: &mut Vec<String>) {
    match said {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|one| gather(one, texts)),
        Value::Object(fields) => fields.values().for_each(|one| gather(one, texts)),
        _ => {}
    }
}

fn words(complaints: &[Complaint]) -> String {
    let one = |complaint: &Complaint| {
        let text: String = complaint.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim_end_matches('.');
        complaint.field.as_ref().map_or_else(|| text.to_owned(), |field| format!("{field}: {text}"))
    };
    let mut all: Vec<String> = complaints.iter().map(one).collect();
    all.dedup();
    in_short(&all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_answer_that_the_service_gives_has_its_kind() {
        use ProviderErrorKind as Kind;
        for (status, text, expected) in [
            (400, "ttl: Ensure this value is greater than or equal to 3600", Kind::Invalid),
            (400, "RRset with conflicting type present: database (CNAME)", Kind::Conflict),
            (400, "ttl: This field is required", Kind::Conflict),
            (401, "Invalid token", Kind::Auth),
            (403, "Insufficient token permissions", Kind::Permission),
            (404, "Not found", Kind::NotFound),
            (409, "Conflict: x", Kind::Conflict),
            (429, "Request was throttled", Kind::RateLimited),
            (500, "Internal Server Error", Kind::Unavailable),
        ] {
            assert_eq!(kind(status, text), expected, "{status} {text}");
        }
    }

    #[test]
    fn complaints_are_read_in_each_of_the_forms_and_tell_which_rrset() {
        let list = complaints(&json!([{}, { "ttl": ["too low."], "non_field_errors": ["no"] }]));
        assert_eq!(words(&list), "no; ttl: too low");
        assert!(list.iter().all(|one| one.index == Some(1)), "{list:?}");
        let deep = complaints(&json!({ "records": [{ "content": ["bad"] }] }));
        assert_eq!((words(&deep).as_str(), deep[0].index), ("records: bad", None));
        assert_eq!(words(&complaints(&json!({ "detail": "Not\nfound." }))), "Not found");
        for strange in [json!("text"), json!(7), json!([])] {
            assert_eq!(complaints(&strange), []);
        }
    }

    #[test]
    fn an_rrset_that_vanished_meanwhile_is_worth_another_try_and_a_bad_one_is_not() {
        let of = |body: &Value| passes(400, &complaints(body));
        assert!(of(&json!([{}, { "ttl": ["This field is required."] }])));
        assert!(!of(&json!([{ "ttl": ["This field is required."] }, { "records": ["bad"] }])));
        assert!(!passes(403, &[]) && passes(409, &[]) && passes(429, &[]));
    }

    #[test]
    fn what_a_reader_can_do_something_about_comes_with_a_hint() {
        for status in [401, 403, 404] {
            assert!(hint(status, "").is_some(), "{status}");
        }
        assert!(hint(400, "RRset with conflicting type present").unwrap().contains("CNAME"));
        assert!(
            hint(400, "ttl: Ensure this value is greater than or equal to 60")
                .unwrap()
                .contains("minimum_ttl")
        );
    }
}

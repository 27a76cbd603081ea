//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind};
use serde::Deserialize;

/// The error body, in one of two forms. A proxy before the service may send anything else.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Complaint>,
}

/// What is wrong with a request.
#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
}

/// The error that `reply` stands for.
pub(crate) fn refused(reply: &Reply) -> ProviderError {
    let Ok(body) = serde_json::from_slice::<Body>(reply.body()) else {
        return reply.error().with_optional_hint(meaning(reply.status(), "").1);
    };
    let text = body.text();
    let (kind, hint) = meaning(reply.status(), &text);
    let kind = kind.unwrap_or_else(|| reply.error().kind());
    let message = format!("the service answered {}: {text}", reply.status());
    reply.error_of(kind, &message).with_optional_hint(hint)
}

impl Body {
    fn text(&self) -> String {
        let complaints = self.errors.iter().map(|one| format!("{}: {}", one.name, one.description));
        let message = Some(self.message.trim_end_matches('.').to_owned()).filter(|text| !text.is_empty());
        let words = message.into_iter().chain(complaints).collect::<Vec<_>>().join("; ");
        in_short(&words)
    }
}

/// What a status with the service's words means; `None` where the status says it all.
fn meaning(status: u16, text: &str) -> (Option<ProviderErrorKind>, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match status {
        401 => (None, Some("check that the token is whole, not revoked and not expired: all of them end")),
        // Some bad and expired tokens get this too.
        403 => (
            None,
            Some(
                "the token must not be expired, must be of the organization that owns the domain, made for this \
                 domain, with `Manage technical configuration of domains`",
            ),
        ),
        404 => (None, Some("the zone must be a domain that LiveDNS serves")),
        400 if text.contains("CNAME") => (
            Some(Kind::Conflict),
            Some("remove the CNAME at the name, or configure the zone that it points to"),
        ),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_can_do_something_about_comes_with_a_hint() {
        for (status, text) in [(401, ""), (403, ""), (404, ""), (400, "a CNAME is there")] {
            assert!(meaning(status, text).1.is_some(), "{status}");
        }
        assert_eq!(meaning(400, "a CNAME is there").0, Some(ProviderErrorKind::Conflict));
        assert_eq!(meaning(400, "rrset_ttl: too small"), (None, None));
    }

    #[test]
    fn both_forms_of_the_error_body_are_read() {
        let text = |body: &str| serde_json::from_str::<Body>(body).unwrap().text();
        let plain = r#"{"code":401,"message":"No.","object":"HTTPUnauthorized","cause":"Unauthorized"}"#;
        assert_eq!(text(plain), "No");
        let listed = r#"{"status":"error","errors":[{"location":"body","name":"rrset_ttl","description":"300 is
            the least"},{"location":"body","name":"x","description":"unknown"}]}"#;
        assert!(
            text(&listed.replace('\n', " ")).starts_with("rrset_ttl: 300 is"),
            "{}",
            text(&listed.replace('\n', " "))
        );
    }
}

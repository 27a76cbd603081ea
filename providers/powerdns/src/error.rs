//! What the server's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::http::{Reply, in_short};
use dns01_provider::{ProviderError, ProviderErrorKind, Zone};
use serde::Deserialize;

/// The error body: `{"error":"…"}`. A proxy before the server may send anything else.
#[derive(Deserialize)]
struct Body {
    error: String,
}

/// The error that `reply` stands for.
pub(crate) fn refused(reply: &Reply) -> ProviderError {
    let Ok(body) = serde_json::from_slice::<Body>(reply.body()) else {
        return reply.error().with_optional_hint(hint(reply.status(), ""));
    };
    let text = in_short(&body.error);
    let message = format!("the server answered {}: {text}", reply.status());
    reply.error_of(kind(reply.status(), &text), &message).with_optional_hint(hint(reply.status(), &text))
}

/// The server has only words, no codes, for what is wrong with an RRset.
fn kind(status: u16, text: &str) -> ProviderErrorKind {
    use ProviderErrorKind as Kind;
    match status {
        401 => Kind::Auth,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        422 if in_the_way(text) => Kind::Conflict,
        429 => Kind::RateLimited,
        500..=599 => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}

fn hint(status: u16, text: &str) -> Option<&'static str> {
    Some(match status {
        401 => "`api_key` must be the server's `api-key`",
        403 => "the server's `webserver-allow-from`, or a proxy before it, does not let this machine in",
        404 => {
            "the server has no such zone, or `url` or `server_id` is wrong: it answers the same to all three"
        }
        422 if in_the_way(text) => "a CNAME stands at the name: write where it points to, or remove it",
        422 if text.contains("out of zone") => "check `zones`: the name must lie in the zone",
        500 => "look into the server's log: with SQLite it answers so when two writers meet",
        _ => return None,
    })
}

fn in_the_way(text: &str) -> bool {
    text.contains("Conflicts with pre-existing RRset")
}

/// A zone that comes from elsewhere: the server takes the change, and the next transfer wipes it.
pub(crate) fn secondary(zone: &Zone, zone_kind: &str) -> ProviderError {
    let message = format!("the server is a secondary for the zone (`{zone_kind}`): a change would be lost");
    ProviderError::new(ProviderErrorKind::Invalid, message)
        .with_context("zone", &zone.name)
        .with_hint("configure the server that is the zone's primary")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_that_the_server_gives_has_its_kind() {
        use ProviderErrorKind as Kind;
        for (status, text, expected) in [
            (400, "Bad Request", Kind::Invalid),
            (401, "Unauthorized", Kind::Auth),
            (404, "Not Found", Kind::NotFound),
            (409, "Conflict", Kind::Conflict),
            (422, "Duplicate record in RRset a. IN TXT", Kind::Invalid),
            (422, "RRset a.example. IN TXT: Name is out of zone", Kind::Invalid),
            (422, "RRset a. IN TXT: Conflicts with pre-existing RRset", Kind::Conflict),
            (429, "", Kind::RateLimited),
            (500, "Internal Server Error", Kind::Unavailable),
        ] {
            assert_eq!(kind(status, text), expected, "{status} {text}");
        }
    }

    #[test]
    fn what_a_reader_can_do_something_about_comes_with_a_hint() {
        for status in [401, 403, 404, 500] {
            assert!(hint(status, "").is_some(), "{status}");
        }
        let alias = hint(422, "RRset a. IN TXT: Conflicts with pre-existing RRset").unwrap();
        assert!(alias.contains("CNAME"), "{alias}");
        assert!(hint(422, "RRset a. IN TXT: Name is out of zone").unwrap().contains("`zones`"));
    }
}

//! Addresses, taken apart and put together.

use url::{ParseError, Url};

/// Origin and path of an address that is used as it stands, as those of token endpoints are: the
/// base of a client always ends with a slash, such a path need not.
///
/// # Errors
/// It is no address.
pub fn origin_and_path(address: &str) -> Result<(String, String), ParseError> {
    let url = Url::parse(address)?;
    Ok((url.origin().ascii_serialization(), url.path().to_owned()))
}

/// True for what can be one segment of a path: letters, digits and the characters of `also`, and
/// not dots alone, which would lead to another path.
#[must_use]
pub fn is_segment(text: &str, also: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    text.chars().all(fits) && !text.chars().all(|c| c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_stays_as_it_stands() {
        let parts = |address: &str| origin_and_path(address).unwrap();
        assert_eq!(parts("https://a.test/token"), ("https://a.test".into(), "/token".into()));
        assert_eq!(parts("http://127.0.0.1:8/a/t/"), ("http://127.0.0.1:8".into(), "/a/t/".into()));
        assert!(origin_and_path("token").is_err());
    }

    #[test]
    fn a_segment_leads_nowhere_else() {
        for text in ["zone-1", "example.com", "..a"] {
            assert!(is_segment(text, "-."), "{text}");
        }
        for text in ["", ".", "..", "a/b", "a?b", "a%2fb", "a b", "a:b", "\u{e4}"] {
            assert!(!is_segment(text, "-."), "{text}");
        }
    }
}

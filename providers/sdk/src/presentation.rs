//! TXT records in the presentation format of zone files (RFC 1035 §5.1), which most services
//! speak.

use crate::record::TxtValue;

impl TxtValue {
    /// Quoted character-strings of at most 255 octets, one blank between them.
    #[must_use]
    pub fn presentation(&self) -> String {
        let one = |octets: &[u8]| {
            let text = String::from_utf8_lossy(octets).replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"")
        };
        self.character_strings().map(one).collect::<Vec<_>>().join(" ")
    }

    /// What quoted character-strings hold together, whichever way they were cut and escaped.
    /// `None` where the text is malformed or what it holds is no [`TxtValue`].
    #[must_use]
    pub fn from_presentation(text: &str) -> Option<Self> {
        let mut octets = Vec::new();
        let mut rest = text.bytes();
        let mut inside = false;
        while let Some(octet) = rest.next() {
            match octet {
                b'"' => inside = !inside,
                b'\\' if inside => octets.push(escaped(&mut rest)?),
                _ if inside => octets.push(octet),
                b' ' | b'\t' => {}
                _ => return None,
            }
        }
        if inside {
            return None;
        }
        Self::parse(&String::from_utf8(octets).ok()?).ok()
    }
}

/// What stands behind a backslash: three decimal digits, or the octet itself.
fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = rest.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, rest.next()?, rest.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_read_from_every_form_that_others_write() {
        let read = |text: &str| TxtValue::from_presentation(text).map(|value| value.to_string());
        assert_eq!(read(r#""abc""#).as_deref(), Some("abc"));
        assert_eq!(read(r#""ab"  "c""#).as_deref(), Some("abc"));
        assert_eq!(read(r#""a\"\\\065""#).as_deref(), Some("a\"\\A"));
        for foreign in ["abc", r#""abc"#, r#""\9""#, r#""\300""#, r#""a\195\164""#, r#""""#, ""] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn no_character_string_is_longer_than_255_octets() {
        let written = TxtValue::parse(&"x".repeat(256)).unwrap().presentation();
        assert_eq!(written, format!("\"{}\" \"x\"", "x".repeat(255)));
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was_written(text in "[ -~]{1,1024}") {
            let value = TxtValue::parse(&text).unwrap();
            prop_assert_eq!(TxtValue::from_presentation(&value.presentation()), Some(value));
        }
    }
}

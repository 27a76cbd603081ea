//! Patterns of rights: actions and paths.

/// Whether `text` is what `pattern` says, in which one `*` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((first, last)) => {
            text.len() >= first.len() + last.len() && text.starts_with(first) && text.ends_with(last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_anything_and_no_octet_is_counted_twice() {
        for pattern in ["*", "a/*", "*/c", "a/*c", "a/b/c"] {
            assert!(fits(pattern, "a/b/c"), "{pattern}");
        }
        for pattern in ["", "a", "b/*", "*/b", "a/b/*/b/c"] {
            assert!(!fits(pattern, "a/b/c"), "{pattern}");
        }
    }
}

//! What is wrong with a configuration, and exactly where.

use std::fmt;
use std::path::PathBuf;

/// Why there is no [`Config`](super::Config).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration `{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was read, and is wrong in these places; at least one.
    #[error("{}", Summary(.0))]
    Mistakes(Vec<Mistake>),
}

impl ConfigError {
    /// The stable id of the (first) error, as in `docs/errors.md`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config-unreadable",
            Self::Mistakes(mistakes) => {
                mistakes.first().map_or(MistakeKind::Value.id(), |first| first.kind.id())
            }
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("write the file, or name another with `--config`")
            }
            Self::Unreadable { .. } => None,
            Self::Mistakes(mistakes) => mistakes.first().and_then(|first| first.hint.as_deref()),
        }
    }
}

impl From<Mistake> for ConfigError {
    fn from(mistake: Mistake) -> Self {
        Self::Mistakes(vec![mistake])
    }
}

struct Summary<'a>(&'a [Mistake]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            write!(f, "{}{mistake}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// One thing that is wrong, or (among the warnings) unwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What kind of mistake.
    pub kind: MistakeKind,
    /// What is wrong: lower case, no full stop, literals in backticks.
    pub message: String,
    /// Where; `None` where it comes from a flag or a default.
    pub place: Option<Box<Place>>,
    /// A few words to stand beside the caret.
    pub label: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake that stands in no file.
    pub fn new(kind: MistakeKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, label: None, hint: None }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place.map(Box::new);
        self
    }

    /// Puts a few words beside the caret.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The kinds of mistake; each has a stable id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MistakeKind {
    /// The file is not TOML.
    Syntax,
    /// A key that nobody knows.
    UnknownKey,
    /// A key that must be there is not.
    MissingKey,
    /// A number where a text is wanted, and so on.
    WrongType,
    /// The right type, but not a value that can be.
    Value,
    /// Twice the same.
    Duplicate,
    /// A CA or a provider that does not exist.
    UnknownReference,
    /// A domain that no DNS challenge can prove.
    Domain,
    /// Something that a later version will do.
    NotYet,
    /// No `[dns.*]` table has a zone that contains the name.
    NoCredential,
    /// A name that a wildcard beside it covers already (a warning).
    RedundantName,
    /// A secret written out in a file that everybody can read (a warning).
    ReadableSecret,
}

impl MistakeKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Syntax,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::Value,
        Self::Duplicate,
        Self::UnknownReference,
        Self::Domain,
        Self::NotYet,
        Self::NoCredential,
        Self::RedundantName,
        Self::ReadableSecret,
    ];

    /// The stable id, as in `docs/errors.md`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Syntax => "config-syntax",
            Self::UnknownKey => "config-unknown-key",
            Self::MissingKey => "config-missing-key",
            Self::WrongType => "config-wrong-type",
            Self::Value => "config-value",
            Self::Duplicate => "config-duplicate",
            Self::UnknownReference => "config-unknown-reference",
            Self::Domain => "config-domain",
            Self::NotYet => "config-not-yet",
            Self::NoCredential => "config-no-credential",
            Self::RedundantName => "config-redundant-name",
            Self::ReadableSecret => "config-readable-secret",
        }
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In characters; at least 1.
    pub length: usize,
    /// The whole line. Secrets in it are replaced by `…`.
    pub source: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// The one of `candidates` that `word` was probably meant to be.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().filter_map(|candidate| Some((distance(word, candidate)?, candidate)));
    near.min().map(|(_, candidate)| candidate)
}

/// The slips of the finger between the two, unless they are too many. Dotted names are compared
/// label by label: that all else is the same makes no `www` an `api`.
fn distance(word: &str, candidate: &str) -> Option<usize> {
    let slips = |one: &str, other: &str, reach: usize| {
        Some(strsim::damerau_levenshtein(one, other)).filter(|slips| *slips <= reach)
    };
    let count = |name: &str| name.split('.').count();
    match (count(word), count(candidate)) {
        (1, 1) => slips(word, candidate, (word.len() / 3).max(1)),
        (one, other) if one != other => slips(word, candidate, 1),
        _ => {
            let pairs = word.split('.').zip(candidate.split('.'));
            pairs.map(|(one, other)| slips(one, other, one.len().max(other.len()) / 3)).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_near_label_by_label() {
        let names = ["api.example.test", "example.test", "shop.example.test"];
        let near = |word| nearest(word, names);
        assert_eq!(near("www.example.test"), None);
        assert_eq!(near("b.example.test"), None);
        assert_eq!(near("exmaple.test"), Some("example.test"));
        assert_eq!(near("shpo.example.test"), Some("shop.example.test"));
        assert_eq!(near("shopexample.test"), Some("shop.example.test"));
        assert_eq!(nearest("lap", ["lab", "other"]), Some("lab"));
    }
}

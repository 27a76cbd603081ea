//! Raw tables to typed ones: collects every mistake instead of stopping at the first.

use super::file::{Document, KeyPath, Part};
use super::mistake::{Mistake, MistakeKind, nearest};
use crate::dns::server_address;
use figment::error::{Actual, Kind};
use figment::value::Value;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// What has been found wrong so far.
pub(super) struct Check {
    pub(super) document: Option<Arc<Document>>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

impl Check {
    pub(super) fn new(document: Option<Arc<Document>>) -> Self {
        Self { document, mistakes: Vec::new(), warnings: Vec::new() }
    }

    /// Notes a mistake at the key or the value of `path`.
    pub(super) fn wrong(&mut self, path: &KeyPath, part: Part, mistake: Mistake) {
        let mistake = self.placed(path, part, mistake);
        self.mistakes.push(mistake);
    }

    /// Notes something unwise.
    pub(super) fn warn(&mut self, path: &KeyPath, part: Part, warning: Mistake) {
        let warning = self.placed(path, part, warning);
        self.warnings.push(warning);
    }

    fn placed(&self, path: &KeyPath, part: Part, mistake: Mistake) -> Mistake {
        let place = self.document.as_ref().and_then(|document| document.place(path, part));
        mistake.at(place)
    }

    /// The table at `path` as a `T`; a mistake is noted.
    pub(super) fn table<T: DeserializeOwned>(&mut self, path: &KeyPath, value: &Value) -> Option<T> {
        value.deserialize().map_err(|error| self.figment(path, error)).ok()
    }

    /// Notes figment's errors, which stand below `path`.
    pub(super) fn figment(&mut self, path: &KeyPath, error: figment::Error) {
        for error in error {
            let at = path.extended(&error.path);
            let (part, mistake) = self.translate(&at, error.kind);
            self.wrong(&at, part, mistake);
        }
    }

    fn translate(&self, at: &KeyPath, kind: Kind) -> (Part, Mistake) {
        let key = at.key().to_owned();
        if self.document.as_ref().is_some_and(|document| document.is_secret(at)) {
            return (Part::Value, secret_written_out(&key));
        }
        match kind {
            Kind::UnknownField(field, known) => {
                let parent = at.parent();
                (Part::Key, unknown_key(&field, &parent.heading(), known.iter().copied()))
            }
            Kind::MissingField(field) => (
                Part::Key,
                Mistake::new(MistakeKind::MissingKey, format!("{} has no `{field}`", at.heading())),
            ),
            Kind::UnknownVariant(variant, known) => {
                (Part::Value, unknown_word(&key, &variant, known.iter().copied()))
            }
            Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => (
                Part::Value,
                Mistake::new(
                    MistakeKind::WrongType,
                    format!("`{key}` must be {}, not {}", wanted_in_words(&wanted), found_in_words(&found)),
                )
                .with_hint(
                    (found == Actual::Map && key == "certificate")
                        .then(|| "write [[certificate]]".to_owned()),
                ),
            ),
            Kind::Message(message) => (Part::Value, Mistake::new(MistakeKind::Value, message)),
            other => (
                Part::Value,
                Mistake::new(MistakeKind::WrongType, format!("`{key}` cannot be read: {other}")),
            ),
        }
    }

    /// `text` at `path` through `parse`; a mistake is noted.
    pub(super) fn parse<T, E: fmt::Display>(
        &mut self,
        path: &KeyPath,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text)
            .map_err(|error| {
                self.wrong(path, Part::Value, Mistake::new(MistakeKind::Value, error.to_string()));
            })
            .ok()
    }

    /// As [`Check::parse`], for the key itself.
    pub(super) fn parse_key<T, E: fmt::Display>(
        &mut self,
        path: &KeyPath,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(key)
            .map_err(|error| {
                self.wrong(path, Part::Key, Mistake::new(MistakeKind::Value, error.to_string()));
            })
            .ok()
    }

    /// As [`Check::parse`], for a value that stands at `path` itself or at `key` below it.
    pub(super) fn parse_either<T, E: fmt::Display>(
        &mut self,
        path: &KeyPath,
        key: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let below = path.join(key);
        let has = self.document.as_ref().is_some_and(|document| document.has(&below));
        self.parse(if has { &below } else { path }, text, parse)
    }

    /// Where item `index` of a list stands that may also be a single value.
    pub(super) fn item(&self, list: &KeyPath, index: usize) -> KeyPath {
        self.document.as_ref().map_or_else(|| list.clone(), |document| document.item(list, index))
    }

    /// `path`, relative to the directory of the file.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.document.as_ref().map_or_else(|| path.to_owned(), |document| document.beside(path))
    }

    /// A length of time such as `"3m"`.
    pub(super) fn duration(&mut self, path: &KeyPath, text: &str) -> Option<Duration> {
        self.parse(path, text, parse_duration)
    }

    /// Addresses of DNS servers, port 53 where none is given.
    pub(super) fn servers(&mut self, path: &KeyPath, texts: &[String]) -> Vec<SocketAddr> {
        let texts = texts.iter().enumerate();
        texts.filter_map(|(index, text)| self.parse(&path.join(index), text, parse_server)).collect()
    }
}

/// A length of time as people write it: `90s`, `3m`, `1h 30m`.
///
/// # Errors
/// In words, what is wrong.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = text.trim().parse::<jiff::SignedDuration>().ok();
    let duration = span
        .and_then(|span| Duration::try_from(span).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("`{text}` is not a length of time such as `30s`, `3m` or `1h`"))?;
    at_most_a_year(text, duration)
}

/// Refuses what would, added to the time of day, be more than a clock knows.
pub(super) fn at_most_a_year(text: &str, duration: Duration) -> Result<Duration, String> {
    match duration > YEAR {
        true => Err(format!("`{text}` is longer than a year")),
        false => Ok(duration),
    }
}

/// The address of a DNS server, with its port where that is not 53.
///
/// # Errors
/// In words, what is wrong.
pub fn parse_server(text: &str) -> Result<SocketAddr, String> {
    server_address(text.trim())
        .ok_or_else(|| format!("`{text}` is not an IP address, with or without a port"))
}

/// A key that nobody knows, with the one that was probably meant, or all there are.
pub(super) fn unknown_key<'a>(
    key: &str,
    heading: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Mistake {
    let message = match heading {
        "the file" => format!("unknown key `{key}`"),
        heading => format!("unknown key `{key}` in {heading}"),
    };
    let hint = match nearest(key, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", listed(known)),
    };
    Mistake::new(MistakeKind::UnknownKey, message).with_hint(hint)
}

fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A word that is not one of a closed choice.
fn unknown_word<'a>(key: &str, word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Mistake {
    let hint = match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", listed(known)),
    };
    Mistake::new(MistakeKind::Value, format!("`{key}` cannot be `{word}`")).with_hint(hint)
}

/// A secret where the place of one should stand.
pub(super) fn secret_written_out(key: &str) -> Mistake {
    let itself = |what: &str, hint: &str| {
        Mistake::new(MistakeKind::Value, format!("`{key}` is not {what}, and may be the secret itself"))
            .with_hint(hint.to_owned())
    };
    match key {
        "file" => {
            let hint = "put the secret into a file and write its path; one beside this file is `./NAME`";
            return itself("the path of a file that is there", hint);
        }
        "env" => {
            return itself(
                "the name of a variable",
                "put the secret into a variable and write its name, which has capitals, digits and `_` only",
            );
        }
        _ => {}
    }
    Mistake::new(MistakeKind::WrongType, format!("`{key}` must say where the secret is kept"))
        .with_hint("write `{ file = \"…\" }`, `{ env = \"…\" }` or `{ exec = [\"…\"] }`".to_owned())
}

fn wanted_in_words(wanted: &str) -> &str {
    match wanted {
        "a string" | "string" | "path string" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a table",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number, 0 or more",
        "a nonzero usize" => "a whole number, 1 or more",
        wanted if wanted.starts_with("struct ") || wanted.starts_with("enum ") => "a table",
        wanted => wanted,
    }
}

fn found_in_words(found: &Actual) -> String {
    match found {
        Actual::Bool(_) => "`true` or `false`".to_owned(),
        Actual::Unsigned(number) => format!("{number}"),
        Actual::Signed(number) => format!("{number}"),
        Actual::Float(number) => format!("{number}"),
        Actual::Str(_) | Actual::Char(_) => "a text".to_owned(),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        _ => "this".to_owned(),
    }
}

/// `"one"` or `["one", "two"]`.
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, items: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(items)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

/// A table, or a text that stands for one.
pub(super) struct TextOr<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + From<String>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr(T::from(text.to_owned())))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(TextOr)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

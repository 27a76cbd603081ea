//! The file itself: parsed once, with the span of every key and value, for figment to lay
//! over the defaults and for every mistake to point at.

use super::mistake::{ConfigError, Mistake, MistakeKind, Place};
use dns01_provider::SecretRef;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Where a key stands in the tree of tables: `dns`, `example`, `zones`, `0`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath(Vec<String>);

impl KeyPath {
    pub(super) fn of<const N: usize>(keys: [&str; N]) -> Self {
        Self(keys.map(str::to_owned).to_vec())
    }

    pub(super) fn join(&self, key: impl fmt::Display) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.to_string());
        Self(keys)
    }

    pub(super) fn extended(&self, keys: &[String]) -> Self {
        Self([self.0.as_slice(), keys].concat())
    }

    pub(super) fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    /// The last key that is not a number, for messages.
    pub(super) fn key(&self) -> &str {
        self.0.iter().rev().find(|key| key.parse::<usize>().is_err()).map_or("", String::as_str)
    }

    /// The table this is or belongs to, as the reader finds it in the file.
    pub(super) fn heading(&self) -> String {
        let (heading, rest) = match self.0.split_at_checked(2) {
            Some(([first, _], rest)) if first == "certificate" => ("[[certificate]]".to_owned(), rest),
            Some(([first, second], rest)) if matches!(first.as_str(), "dns" | "ca") => {
                (format!("[{first}.{second}]"), rest)
            }
            _ => match self.0.split_first() {
                Some((first, rest)) => (format!("[{first}]"), rest),
                None => ("the file".to_owned(), &[][..]),
            },
        };
        match rest.iter().rev().find(|key| key.parse::<usize>().is_err()) {
            Some(inner) => format!("`{inner}` of {heading}"),
            None => heading,
        }
    }
}

struct Spans {
    key: Range<usize>,
    value: Range<usize>,
}

/// Which half of `key = value` a mistake is in.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Key,
    Value,
}

/// A configuration file with its spans. `Debug` shows its path only.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
    spans: BTreeMap<KeyPath, Spans>,
    /// Values that must never be shown.
    secrets: Vec<Range<usize>>,
    values: Dict,
    /// The first secret that is written out.
    literal: Option<KeyPath>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.path).finish()
    }
}

impl Document {
    /// Reads and parses the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, text).map_err(ConfigError::from)
    }

    /// Parses `text`, which stands in `path`.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Mistake> {
        let mut document = Self {
            path: path.to_owned(),
            text: String::new(),
            spans: BTreeMap::new(),
            secrets: Vec::new(),
            values: Dict::new(),
            literal: None,
        };
        match DeTable::parse(&text) {
            Ok(table) => {
                document.values = document.table(&KeyPath::default(), table.get_ref(), false);
                document.text = text;
                Ok(document)
            }
            Err(error) => {
                document.secrets = suspected_secrets(&text);
                document.text = text;
                let place = error.span().map(|span| document.place_of(&span));
                Err(Mistake::new(MistakeKind::Syntax, format!("not TOML: {}", error.message())).at(place))
            }
        }
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A secret that is written out in the file, if there is one.
    pub(super) fn literal_secret(&self) -> Option<&KeyPath> {
        self.literal.as_ref()
    }

    /// True if `key` stands in the file.
    pub(super) fn has(&self, key: &KeyPath) -> bool {
        self.spans.contains_key(key)
    }

    /// Where item `index` of a list stands that may also be a single value.
    pub(super) fn item(&self, list: &KeyPath, index: usize) -> KeyPath {
        let item = list.join(index);
        if self.has(&item) { item } else { list.clone() }
    }

    /// Where `key` stands; the nearest table around it if it does not.
    pub(super) fn place(&self, key: &KeyPath, part: Part) -> Option<Place> {
        match self.spans.get(key) {
            Some(spans) => Some(self.place_of(match part {
                Part::Key => &spans.key,
                Part::Value => &spans.value,
            })),
            None if key.0.is_empty() => None,
            None => self.place(&key.parent(), Part::Key),
        }
    }

    /// True if the value of `key` must not be shown.
    pub(super) fn is_secret(&self, key: &KeyPath) -> bool {
        self.spans.get(key).is_some_and(|spans| self.secrets.contains(&spans.value))
    }

    /// The texts below `path` that stand where the place of a secret should.
    pub(super) fn plain_secrets(&self, path: &KeyPath) -> Vec<KeyPath> {
        let below = self.spans.keys().filter(|key| key.0.starts_with(&path.0));
        below.filter(|key| self.is_secret(key) && key.key() != "literal").cloned().collect()
    }

    /// `message` without any secret that stands in the file.
    pub(super) fn redacted(&self, message: &str) -> String {
        let mut text = message.to_owned();
        for secret in &self.secrets {
            let shown = self.text[secret.clone()].trim_matches(['"', '\'', '\n']);
            if shown.len() > 2 {
                text = text.replace(shown, "…");
            }
        }
        text
    }

    fn place_of(&self, span: &Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let (mut source, mut column, mut length) = (String::new(), 1, 0);
        let mut hidden: Option<&Range<usize>> = None;
        for (offset, character) in self.text[line_start..line_end].char_indices() {
            let at = line_start + offset;
            let secret = self.secrets.iter().find(|secret| secret.contains(&at));
            let shown = match secret {
                Some(secret) if hidden == Some(secret) => continue,
                Some(_) => '…',
                None => character,
            };
            hidden = secret;
            source.push(shown);
            column += usize::from(at < start);
            length += usize::from(at >= start && at < span.end);
        }
        Place {
            file: self.path.clone(),
            line: self.text[..line_start].matches('\n').count() + 1,
            column,
            length: length.max(1),
            source: source.trim_end().to_owned(),
        }
    }

    fn table(&mut self, path: &KeyPath, table: &DeTable<'_>, secret: bool) -> Dict {
        let mut dict = Dict::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let at = path.join(name);
            self.spans.insert(at.clone(), Spans { key: key.span(), value: value.span() });
            let place_of_secret = matches!(name, "file" | "env" | "exec");
            let secret = names_secret(name) || secret && !place_of_secret;
            let value = self.value(&at, value.get_ref(), value.span(), secret);
            dict.insert(name.to_owned(), value);
        }
        if self.is_misplaced(path, &dict) {
            let written = dict.keys().filter_map(|name| self.spans.get(&path.join(name)));
            self.secrets.extend(written.map(|spans| spans.value.clone()));
        }
        // A secret's file is meant relative to the file that names it.
        if let (1, Some(Value::String(tag, file))) = (dict.len(), dict.get("file")) {
            let file = self.beside(Path::new(file)).to_string_lossy().into_owned();
            dict.insert("file".to_owned(), Value::String(*tag, file));
        }
        dict
    }

    /// True if the reference to a secret at `path` may hold the secret itself.
    fn is_misplaced(&self, path: &KeyPath, reference: &Dict) -> bool {
        let is_place = match (reference.len(), reference.iter().next()) {
            (1, Some((name, Value::String(_, place)))) => match name.as_str() {
                "file" => self.beside(Path::new(place)).exists() || SecretRef::File(place.into()).is_place(),
                // The variables of a program may have any name.
                "env" => path.key() == "environment" || SecretRef::Env(place.clone()).is_place(),
                _ => true,
            },
            _ => true,
        };
        !is_place
    }

    fn value(&mut self, path: &KeyPath, value: &DeValue<'_>, span: Range<usize>, secret: bool) -> Value {
        match value {
            DeValue::String(text) => {
                if secret || holds_password(text) {
                    self.secrets.push(span);
                    if path.0.last().is_some_and(|key| key == "literal") {
                        self.literal.get_or_insert_with(|| path.clone());
                    }
                }
                Value::from(text.as_ref())
            }
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(number.to_string()),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(number.as_str()),
            },
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Array(items) => Value::from(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let at = path.join(index);
                        self.spans.insert(at.clone(), Spans { key: item.span(), value: item.span() });
                        self.value(&at, item.get_ref(), item.span(), secret)
                    })
                    .collect::<Vec<_>>(),
            ),
            DeValue::Table(table) => Value::from(self.table(path, table, secret)),
        }
    }

    /// `path`, relative to the directory of this file.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }
}

impl Provider for &Document {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.path.display().to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// True if a value under `key` is, or may be, a secret written out.
fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "literal"
        || ["token", "secret", "password", "passphrase", "hmac", "api_key", "apikey", "private_key"]
            .iter()
            .any(|word| key.contains(word))
}

/// True if `text` is an address with a password in it, such as a proxy's.
fn holds_password(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}

/// What may be a secret in a file that cannot be parsed: right-hand sides of suspicious
/// lines, and everything where strings run over several lines.
fn suspected_secrets(text: &str) -> Vec<Range<usize>> {
    if text.contains("\"\"\"") || text.contains("'''") {
        return std::iter::once(0..text.len()).collect();
    }
    let mut start = 0;
    let mut ranges = Vec::new();
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end_matches(['\n', '\r']).len();
        if let Some(equals) = line.find('=')
            && (names_secret(line) || line.contains("literal") || holds_password(line))
        {
            let value = start + equals + 1;
            ranges.push(value + usize::from(text[value..end].starts_with(' '))..end);
        }
        start += line.len();
    }
    ranges
}

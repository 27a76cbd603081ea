//! What a fake holds, and the same as its name server shows it.

use crate::fault_names::FaultServer;
use hickory_proto::rr::RecordType;
use std::collections::{BTreeMap, BTreeSet};

/// All zones of a fake.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// In the order in which they were made.
    pub zones: Vec<HeldZone>,
    numbers: u64,
}

/// One zone.
#[derive(Debug, Clone)]
pub struct HeldZone {
    /// The service's identifier.
    pub id: String,
    /// Without the trailing dot.
    pub name: String,
    /// In the order in which they were made.
    pub records: Vec<HeldRecord>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRecord {
    /// The service's identifier.
    pub id: String,
    /// Absolute, without the trailing dot.
    pub name: String,
    /// `TXT`, `CNAME` and so on.
    pub kind: String,
    /// Seconds.
    pub ttl: u32,
    /// A TXT's text without quotes; of other types what a zone file has.
    pub data: String,
    /// The data as it was written through the API.
    pub form: String,
}

impl Held {
    /// A number that was not given before.
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn add_zone(&mut self, name: &str, identifier: impl Fn(u64) -> String) -> String {
        let id = identifier(self.next_number());
        self.zones.push(HeldZone { id: id.clone(), name: name.to_owned(), records: Vec::new() });
        id
    }

    /// The zone with this identifier.
    pub fn zone_mut(&mut self, id: &str) -> Option<&mut HeldZone> {
        self.zones.iter_mut().find(|zone| zone.id == id)
    }
}

impl HeldZone {
    /// The records of one RRset.
    #[must_use]
    pub fn set(&self, name: &str, kind: &str) -> Vec<&HeldRecord> {
        self.records.iter().filter(|record| record.name == name && record.kind == kind).collect()
    }

    /// Whether `name` is the zone's own or below it.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        name.strip_suffix(&self.name).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }

    /// `name` without the zone's; the zone's own is `apex`.
    #[must_use]
    pub fn relative<'a>(&self, name: &'a str, apex: &'a str) -> &'a str {
        name.strip_suffix(&self.name).map_or(name, |front| front.strip_suffix('.').unwrap_or(apex))
    }

    /// The other way round.
    #[must_use]
    pub fn absolute(&self, relative: &str, apex: &str) -> String {
        if relative == apex { self.name.clone() } else { format!("{relative}.{}", self.name) }
    }

    /// Puts `records` in place of the RRset at their name.
    pub fn replace_set(&mut self, name: &str, kind: &str, records: Vec<HeldRecord>) {
        self.records.retain(|record| record.name != name || record.kind != kind);
        self.records.extend(records);
    }
}

/// The text of quoted character-strings (RFC 1035 §5.1), each of at most 255 octets with one
/// blank between two; `None` for anything else. Stricter than readers have to be.
#[must_use]
pub fn text_of(presentation: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = presentation.chars();
    loop {
        if characters.next()? != '"' {
            return None;
        }
        let mut string = String::new();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => string.push(characters.next()?),
                other => string.push(other),
            }
        }
        if string.len() > 255 {
            return None;
        }
        text += &string;
        match characters.next() {
            None => return Some(text),
            Some(' ') => {}
            Some(_) => return None,
        }
    }
}

/// The other way round: each string as long as it may be.
pub(super) fn quoted(text: &str) -> String {
    let one = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets);
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    text.as_bytes().chunks(255).map(one).collect::<Vec<_>>().join(" ")
}

/// RRsets by owner and type, as they were shown last.
type Shown = BTreeMap<(String, String), Vec<String>>;

/// A name server that shows what is held.
#[derive(Debug)]
pub(super) struct Window {
    server: FaultServer,
    zones: BTreeSet<String>,
    shown: Shown,
}

impl Window {
    pub(super) fn new(server: FaultServer) -> Self {
        Self { server, zones: BTreeSet::new(), shown: Shown::new() }
    }

    /// Changes the RRsets that differ, and no others: the test's own NS records stay.
    pub(super) fn show(&mut self, held: &Held) {
        let mut now = Shown::new();
        for zone in &held.zones {
            if self.zones.insert(zone.name.clone()) {
                self.server.zone(&zone.name);
            }
            for record in &zone.records {
                now.entry((record.name.clone(), record.kind.clone())).or_default().push(data(record));
            }
        }
        let places: BTreeSet<_> = self.shown.keys().chain(now.keys()).cloned().collect();
        for place in places {
            if self.shown.get(&place) == now.get(&place) {
                continue;
            }
            let kind: RecordType = place.1.parse().expect("fakes hold types of the DNS only");
            self.server.remove(&place.0, kind);
            for data in now.get(&place).into_iter().flatten() {
                self.server.add(&place.0, kind, data);
            }
        }
        self.shown = now;
    }
}

/// The record's data as a zone file has it.
fn data(record: &HeldRecord) -> String {
    if record.kind == "TXT" { quoted(&record.data) } else { record.data.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_contains_itself_and_what_is_below_it() {
        let (id, name) = (String::new(), "example.test".to_owned());
        let zone = HeldZone { id, name, records: Vec::new() };
        for (name, relative) in [("example.test", "@"), ("www.example.test", "www")] {
            assert!(zone.contains(name), "{name}");
            assert_eq!(zone.relative(name, "@"), relative);
            assert_eq!(zone.absolute(relative, "@"), name);
        }
        assert!(!zone.contains("anexample.test") && !zone.contains("test"));
    }

    #[test]
    fn a_quoted_text_is_read_back() {
        let text = format!("a \"b\" \\c {}", "x".repeat(300));
        let form = quoted(&text);
        assert!(form.contains("\" \""), "two strings: {form}");
        assert_eq!(text_of(&form), Some(text));
        assert_eq!(text_of("bare"), None);
    }
}

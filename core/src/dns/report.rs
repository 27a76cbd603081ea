//! What every server answered, as data and as the table a person reads.

use super::progress::{shown_address, span};
use dns01_provider::name::{Fqdn, ZoneName};
use dns01_provider::record::TxtValue;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

/// A propagation that did not come to its end.
#[derive(Clone, Debug)]
pub struct PropagationFailure {
    /// Why it stopped.
    pub reason: FailureReason,
    /// How long was waited.
    pub elapsed: Duration,
    /// What was waited for: names with their values, or with none where an alias was.
    pub awaited: Vec<(Fqdn, Vec<TxtValue>)>,
    /// What each server of the zone at fault answered.
    pub table: PropagationTable,
    /// What to do, computed from the table.
    pub hint: Option<String>,
}

/// Why a wait failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// The time was over with servers still lacking values.
    TimedOut,
    /// Nobody at all answered: where name servers were asked, port 53 looks blocked from here.
    NothingAnswered,
    /// A resolver will go on giving an answer without the values for longer than is waited.
    Remembered,
    /// The program is stopping.
    Cancelled,
}

/// Who was asked about a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observers {
    /// Its authoritative servers.
    NameServers {
        /// The zone that delegates it; `None` where the configuration names the servers.
        parent: Option<String>,
        /// How many there are.
        count: usize,
    },
    /// Recursive resolvers.
    Resolvers,
}

/// What each server of a zone answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationTable {
    /// The zone.
    pub zone: ZoneName,
    /// Who was asked.
    pub observers: Observers,
    /// One row per address of a name server, or per resolver.
    pub rows: Vec<Row>,
}

/// One address of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name server, or the resolver.
    pub server: String,
    /// Its address, where that is known.
    pub address: Option<SocketAddr>,
    /// What the answer means.
    pub standing: Standing,
    /// What it answered last, in words, with the transport where it matters.
    pub answer: String,
    /// The zone's serial there, where it could be asked.
    pub serial: Option<u32>,
    /// Time from the start of the wait to the first answer of this kind.
    pub since: Duration,
    /// How often it was asked.
    pub looks: usize,
}

/// What an answer means for the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Everything is there.
    Confirmed,
    /// It answers, and something is missing: it blocks.
    Blocking,
    /// Everything is there, but the server does not answer for the zone.
    WithoutAuthority,
    /// It is silent, refuses or is out of order; passed by after a while.
    OutOfOrder,
    /// This machine has no route to it; it was not asked.
    NoRoute,
    /// No answer yet.
    Unknown,
}

impl PropagationFailure {
    pub(super) fn new(
        reason: FailureReason,
        elapsed: Duration,
        awaited: Vec<(Fqdn, Vec<TxtValue>)>,
        table: PropagationTable,
    ) -> Self {
        let hint = hint(reason, &table);
        Self { reason, elapsed, awaited, table, hint }
    }

    /// Zone, records and table as plain text, each line indented by two spaces; without the
    /// sentence itself (its `Display`) and without the hint.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("  zone {} ({})", self.table.zone, self.table.delegation());
        if let Some((name, values)) = self.awaited.first() {
            let values: Vec<_> = values.iter().map(|value| shortened(value.as_str())).collect();
            let what = if values.is_empty() { "alias" } else { "record" };
            let txt = if values.is_empty() { "" } else { " TXT " };
            text.push_str(&format!(" · {what} {name}{txt}{}", values.join(" ")));
        }
        if self.awaited.len() > 1 {
            text.push_str(&format!(" and {} more", self.awaited.len() - 1));
        }
        format!("{text}\n\n{}", self.table.render())
    }
}

impl fmt::Display for PropagationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = span(self.elapsed);
        match self.reason {
            FailureReason::TimedOut => {
                let what = if self.awaited.iter().map(|(_, values)| values.len()).sum::<usize>() == 1 {
                    "the value"
                } else {
                    "every value"
                };
                match self.table.observers {
                    Observers::NameServers { .. } => write!(
                        f,
                        "not every authoritative name server of `{}` has {what} after {waited}",
                        self.table.zone
                    ),
                    Observers::Resolvers => {
                        write!(f, "not every resolver shows {what} in `{}` after {waited}", self.table.zone)
                    }
                }
            }
            FailureReason::Remembered => write!(
                f,
                "a resolver remembers an answer without the values of `{}` for longer than is waited",
                self.table.zone
            ),
            FailureReason::NothingAnswered if self.table.observers == Observers::Resolvers => {
                write!(f, "no resolver has answered for `{}` at all after {waited}", self.table.zone)
            }
            FailureReason::NothingAnswered => {
                write!(f, "no name server of `{}` has answered at all after {waited}", self.table.zone)
            }
            FailureReason::Cancelled => {
                write!(f, "stopped while waiting for the values in `{}` to be seen", self.table.zone)
            }
        }
    }
}

impl std::error::Error for PropagationFailure {}

impl PropagationTable {
    /// The table as plain text with its heading, one line per address, each line indented by
    /// two spaces and ended by a line break.
    #[must_use]
    pub fn render(&self) -> String {
        let who = if self.observers == Observers::Resolvers { "resolver" } else { "name server" };
        let heading = [who, "address", "answer", "since"].map(str::to_owned);
        let lines: Vec<[String; 4]> =
            std::iter::once(heading).chain(self.rows.iter().map(Row::cells)).collect();
        let width =
            |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        let mut text = String::new();
        for [server, address, answer, since] in &lines {
            let [a, b, c] = widths;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {server:a$}  {address:b$}  {answer:c$}  {since}");
        }
        text
    }

    fn delegation(&self) -> String {
        let Observers::NameServers { parent, count } = &self.observers else {
            let resolvers = if self.rows.len() == 1 { "resolver" } else { "resolvers" };
            return format!("looked at by {} {resolvers}", self.rows.len());
        };
        let servers = if *count == 1 { "name server" } else { "name servers" };
        match parent.as_deref() {
            Some(".") => format!("delegated by the root to {count} {servers}"),
            Some(parent) => format!("delegated by {parent}. to {count} {servers}"),
            None => format!("{count} {servers} by configuration"),
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 4] {
        let serial = match (self.standing, self.serial) {
            (Standing::Blocking, Some(serial)) => format!(", serial {serial}"),
            _ => String::new(),
        };
        let looks = match (self.standing, self.looks) {
            (Standing::Confirmed | Standing::NoRoute | Standing::Unknown, _) => String::new(),
            (_, 1) => ", 1 look".to_owned(),
            (_, looks) => format!(", {looks} looks"),
        };
        let since = self.since.as_secs();
        [
            self.server.clone(),
            self.address.map_or_else(|| "by its name".to_owned(), shown_address),
            format!("{}{serial}", self.answer),
            format!("{}:{:02}{looks}", since / 60, since % 60),
        ]
    }
}

/// What to do, from what the servers said.
fn hint(reason: FailureReason, table: &PropagationTable) -> Option<String> {
    let standing = |wanted| table.rows.iter().filter(move |row: &&Row| row.standing == wanted);
    match reason {
        FailureReason::Cancelled => return None,
        FailureReason::NothingAnswered if standing(Standing::NoRoute).count() == table.rows.len() => {
            return Some(format!("this machine has no route to any of them: {}", other_modes()));
        }
        FailureReason::NothingAnswered if table.observers == Observers::Resolvers => {
            return Some(
                "none of these `resolvers` can be reached from here: name some that can, or let `HTTPS_PROXY` name the way out"
                    .to_owned(),
            );
        }
        FailureReason::NothingAnswered => return Some(blocked()),
        FailureReason::Remembered => return Some(hint_on_memory(table)),
        FailureReason::TimedOut if table.observers == Observers::Resolvers => {
            return Some(hint_on_resolvers(table));
        }
        FailureReason::TimedOut => {}
    }
    if let Some(blocking) = standing(Standing::Blocking).next() {
        // One that told its serial says more.
        let confirmed = standing(Standing::Confirmed).min_by_key(|row| row.serial.is_none());
        return Some(hint_on_blocking(blocking, confirmed));
    }
    if let Some(row) = standing(Standing::OutOfOrder).next() {
        return Some(format!(
            "{} does not serve {} ({}): repair it or take it out of the delegation, or lower `quorum`",
            row.server, table.zone, row.answer
        ));
    }
    if let Some(row) = standing(Standing::WithoutAuthority).next() {
        return Some(format!(
            "{} answers without authority: is something between here and there answering in its place?",
            row.server
        ));
    }
    standing(Standing::NoRoute)
        .next()
        .map(|row| format!("this machine has no route to {}: lower `quorum` to do without it", row.server))
}

/// Nobody answers at port 53: what to do.
pub(super) fn blocked() -> String {
    format!("port 53 looks blocked from here: let UDP and TCP to port 53 out, or {}", other_modes())
}

/// The check modes that need no way to the name servers, as they are written.
pub(super) fn other_modes() -> &'static str {
    "give the zone another check (docs/propagation.md): \
     `propagation = { check = \"recursive\", resolvers = [\"https://dns.google/dns-query\"] }`, which goes through an HTTPS proxy, \
     `propagation = { check = \"provider\" }` or `propagation = { wait = \"60s\" }`; \
     by flags with --zone: --propagation-check, --propagation-resolver, --propagation-wait"
}

/// A negative answer that outlasts the wait.
fn hint_on_memory(table: &PropagationTable) -> String {
    let blocking = table.rows.iter().find(|row| row.standing == Standing::Blocking);
    let told = blocking.map_or_else(String::new, |row| format!("{} says: {}; ", row.server, row.answer));
    format!(
        "{told}wait longer with `timeout` (--propagation-timeout, and --timeout for the order), ask later for the first time with `wait`, or lower the last number of the SOA record of `{}`",
        table.zone
    )
}

/// Resolvers that do not show it in time.
fn hint_on_resolvers(table: &PropagationTable) -> String {
    let of = |wanted| table.rows.iter().find(move |row: &&Row| row.standing == wanted);
    match (of(Standing::Blocking), of(Standing::OutOfOrder)) {
        (Some(row), _) => format!(
            "{} does not see it: check that the provider writes to the zone that is delegated, and that this resolver sees the public's view",
            row.server
        ),
        (None, Some(row)) => {
            format!("{} does not answer ({}): name another in `resolvers`", row.server, row.answer)
        }
        (None, None) => "name other `resolvers`".to_owned(),
    }
}

fn hint_on_blocking(blocking: &Row, confirmed: Option<&Row>) -> String {
    let server = &blocking.server;
    let Some(confirmed) = confirmed else {
        return "no server shows it: check that the provider writes to the zone that is delegated".to_owned();
    };
    match (blocking.serial, confirmed.serial) {
        (Some(old), Some(new)) if is_newer(new, old) => {
            format!(
                "{server} still serves serial {old}, {} has {new}: check the transfer to it",
                confirmed.server
            )
        }
        (Some(old), Some(new)) if old == new => format!(
            "{server} serves serial {old} as {} does, but not the same content: check whether both get the zone from one primary",
            confirmed.server
        ),
        _ => format!("check that {server} gets the zone from the server that is written to"),
    }
}

/// Serial arithmetic (RFC 1982 §3.2).
fn is_newer(new: u32, old: u32) -> bool {
    new != old && new.wrapping_sub(old) < 1 << 31
}

/// A value's two ends, quoted.
fn shortened(value: &str) -> String {
    match (value.get(..6), value.get(value.len().saturating_sub(6)..)) {
        (Some(start), Some(end)) if value.len() > 16 => format!("\"{start}…{end}\""),
        _ => format!("\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, address: &str, standing: Standing, answer: &str, serial: Option<u32>) -> Row {
        Row {
            server: server.to_owned(),
            address: Some(SocketAddr::new(address.parse().unwrap(), 53)),
            standing,
            answer: answer.to_owned(),
            serial,
            since: Duration::from_secs(1),
            looks: 31,
        }
    }

    fn failure(reason: FailureReason, rows: Vec<Row>) -> PropagationFailure {
        let table = PropagationTable {
            zone: ZoneName::parse("example.com").unwrap(),
            observers: Observers::NameServers { parent: Some("com".to_owned()), count: 2 },
            rows,
        };
        let awaited = vec![(
            Fqdn::parse("_acme-challenge.example.com").unwrap(),
            vec![TxtValue::parse("gfj9XqaaaaaaaaaaaaaaaaaaaaaaRg85nM").unwrap()],
        )];
        PropagationFailure::new(reason, Duration::from_secs(180), awaited, table)
    }

    #[test]
    fn the_table_lines_up_and_shows_serials_where_values_lack() {
        let failure = failure(
            FailureReason::TimedOut,
            vec![
                row(
                    "ns1.example.net",
                    "192.0.2.53",
                    Standing::Confirmed,
                    "the value, authoritative",
                    Some(2),
                ),
                row("ns2.example.net", "2001:db8::53", Standing::Blocking, "no such name", Some(1)),
            ],
        );
        assert_eq!(
            failure.to_string(),
            "not every authoritative name server of `example.com` has the value after 3 min"
        );
        assert_eq!(
            failure.render(),
            "  zone example.com (delegated by com. to 2 name servers) · \
             record _acme-challenge.example.com TXT \"gfj9Xq…Rg85nM\"\n\n\
             \x20 name server      address       answer                    since\n\
             \x20 ns1.example.net  192.0.2.53    the value, authoritative  0:01\n\
             \x20 ns2.example.net  2001:db8::53  no such name, serial 1    0:01, 31 looks\n"
        );
    }

    #[test]
    fn the_hint_follows_from_the_table() {
        let hint = |reason, rows| failure(reason, rows).hint.unwrap();
        let seen = |serial| row("ns1", "192.0.2.1", Standing::Confirmed, "the value", serial);
        let blocks = |serial| row("ns2", "192.0.2.2", Standing::Blocking, "no such name", serial);
        let late = FailureReason::TimedOut;
        assert_eq!(
            hint(late, vec![seen(Some(0)), blocks(Some(u32::MAX))]),
            format!("ns2 still serves serial {}, ns1 has 0: check the transfer to it", u32::MAX),
            "serials wrap round"
        );
        assert!(hint(late, vec![seen(Some(5)), blocks(Some(5))]).contains("serves serial 5 as ns1 does"));
        assert!(hint(late, vec![seen(None), blocks(None)]).contains("check that ns2 gets the zone"));
        assert!(hint(late, vec![blocks(None)]).contains("no server shows it"));
        let silent = row("ns2", "192.0.2.2", Standing::OutOfOrder, "nothing over UDP and TCP", None);
        assert!(hint(late, vec![seen(None), silent.clone()]).contains("lower `quorum`"));
        assert!(hint(FailureReason::NothingAnswered, vec![silent]).contains("port 53 looks blocked"));
        let away = row("ns2", "192.0.2.2", Standing::NoRoute, "no route from here", None);
        assert!(hint(FailureReason::NothingAnswered, vec![away]).contains("no route"));
    }
}

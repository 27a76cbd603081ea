//! What every server answered, as data and as the table a person reads.

use dns01_provider::name::{Fqdn, ZoneName};
use dns01_provider::record::TxtValue;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A propagation that did not come to its end.
#[derive(Clone, Debug)]
pub struct PropagationFailure {
    /// Why it stopped.
    pub reason: FailureReason,
    /// How long was waited.
    pub elapsed: Duration,
    /// What was waited for: names with their values.
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
    /// No server at all answered: port 53 looks blocked from here.
    NothingAnswered,
    /// The program is stopping.
    Cancelled,
}

/// What each server of a zone answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationTable {
    /// The zone.
    pub zone: ZoneName,
    /// The zone that delegates it; `None` where the configuration names the servers.
    pub parent: Option<String>,
    /// How many name servers it has.
    pub name_servers: usize,
    /// One row per address.
    pub rows: Vec<Row>,
}

/// One address of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name server.
    pub server: String,
    /// Its address.
    pub address: SocketAddr,
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
    /// It is silent, refuses or is out of order; passed by after a while.
    OutOfOrder,
    /// This machine has no route to it; it was not asked.
    NoRoute,
    /// No answer yet.
    Unknown,
}

impl fmt::Display for PropagationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            FailureReason::TimedOut => {
                write!(f, "not every authoritative name server of `{}` has the value", self.table.zone)
            }
            FailureReason::NothingAnswered => write!(f, "no name server of `{}` answered", self.table.zone),
            FailureReason::Cancelled => f.write_str("stopped while waiting for the name servers"),
        }
    }
}

impl std::error::Error for PropagationFailure {}

impl PropagationTable {
    /// The table as plain text, one line per address, each line indented by two spaces.
    #[must_use]
    pub fn render(&self) -> String {
        String::new()
    }
}

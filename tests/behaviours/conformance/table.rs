//! Providers × promises, as `tests/run` prints it at its end.

use dns01_provider::conformance::{Promise, Report, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// The variable that names the file in which the table is wanted.
const VARIABLE: &str = "DNS01_CONFORMANCE_TABLE";

/// Adds `report` to the table, if one is wanted.
pub(super) fn add(provider: &str, report: &Report) {
    static REPORTS: Mutex<BTreeMap<String, Report>> = Mutex::new(BTreeMap::new());
    let Some(path) = std::env::var_os(VARIABLE) else { return };
    let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    reports.insert(provider.to_owned(), report.clone());
    std::fs::write(path, table(&reports)).unwrap();
}

/// One column a provider, one row a promise; below it why something is neither kept nor broken.
fn table(reports: &BTreeMap<String, Report>) -> String {
    let mut table = format!("{:<38}", "");
    let mut notes = String::new();
    for provider in reports.keys() {
        let _ = write!(table, "  {provider}");
    }
    for promise in Promise::ALL {
        let _ = write!(table, "\n{promise:<38}");
        for (provider, report) in reports {
            let (word, note) = match report.verdict(promise) {
                Verdict::Kept => ("kept", None),
                Verdict::NotApplicable(reason) => ("n/a", Some(reason)),
                Verdict::Broken(what) => ("BROKEN", Some(what)),
            };
            let _ = write!(table, "  {word:<width$}", width = provider.len());
            if let Some(note) = note {
                let _ = writeln!(notes, "{provider}: {promise}: {word}, {note}");
            }
        }
    }
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    format!("{}\n\n{notes}", lines.join("\n"))
}

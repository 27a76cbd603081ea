//! Providers × promises, as `tests/run conformance` prints it at its end.

use dns01_provider::conformance::{Promise, Report, Subject, Verdict, run};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// The variable that names the file in which the table is wanted.
const VARIABLE: &str = "DNS01_CONFORMANCE_TABLE";

/// Tries every promise on `subject`, puts the verdicts into the table and fails if one is broken.
pub(super) async fn assert_kept(subject: &Subject) -> Report {
    let report = run(subject).await;
    add(&report);
    report.assert_kept();
    report
}

/// The same for a peer that lets every promise be tried: none may be left out.
pub(super) async fn assert_all_kept(subject: &Subject) {
    let report = assert_kept(subject).await;
    for promise in Promise::ALL {
        assert_eq!(report.verdict(promise), &Verdict::Kept, "nothing is left out: {promise}");
    }
}

/// Adds `report` to the table, if one is wanted.
fn add(report: &Report) {
    static REPORTS: Mutex<BTreeMap<(String, String), Report>> = Mutex::new(BTreeMap::new());
    let Some(path) = std::env::var_os(VARIABLE) else { return };
    let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    reports.insert((report.provider().to_owned(), report.peer().to_owned()), report.clone());
    std::fs::write(path, table(reports.values())).unwrap();
}

/// One row a provider and peer, one column a promise; below it what the columns are, and why
/// something is neither kept nor broken.
fn table<'a>(reports: impl Iterator<Item = &'a Report> + Clone) -> String {
    let width = reports.clone().map(|report| report.provider().len()).max().unwrap_or_default();
    let mut table = format!("{:<width$}", "");
    for number in 1..=Promise::ALL.len() {
        let _ = write!(table, " {number:>3}");
    }
    table += "  peer\n";
    let mut notes = String::new();
    for report in reports {
        let _ = write!(table, "{:<width$}", report.provider());
        for promise in Promise::ALL {
            let (word, note) = match report.verdict(promise) {
                Verdict::Kept => ("ok", None),
                Verdict::NotApplicable(reason) => ("-", Some(reason)),
                Verdict::Broken(what) => ("NO", Some(what)),
            };
            let _ = write!(table, " {word:>3}");
            if let Some(note) = note {
                let _ = writeln!(
                    notes,
                    "{word:>2} {} at {}: {promise}: {note}",
                    report.provider(),
                    report.peer()
                );
            }
        }
        let _ = writeln!(table, "  {}", report.peer());
    }
    table.push('\n');
    for (number, promise) in (1..).zip(Promise::ALL) {
        let _ = writeln!(table, "{number:>3} {promise}");
    }
    format!("{table}\nok kept, - cannot be tried, NO broken\n{notes}")
}

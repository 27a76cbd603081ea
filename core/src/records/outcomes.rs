//! What became of a round's changes, and who need not wait for the rest of them.

use super::Place;
use super::ledger::RowId;
use dns01_provider::{ProviderError, Receipt, TxtChange};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One call that was not divided further.
pub(super) struct Call {
    pub(super) changes: Vec<TxtChange>,
    pub(super) result: Result<Option<Receipt>, Arc<ProviderError>>,
}

/// What became of the changes of a round.
#[derive(Default)]
pub(super) struct Outcomes {
    /// How many there were so far.
    calls: usize,
    /// Which call wrote a value, or why none did.
    pub(super) added: HashMap<RowId, Result<usize, Arc<ProviderError>>>,
    pub(super) removed: HashMap<RowId, Result<usize, Arc<ProviderError>>>,
    /// By call.
    pub(super) receipts: HashMap<usize, Receipt>,
}

impl Outcomes {
    /// Takes up what became of one batch; returns the rows that it was about.
    pub(super) fn take(&mut self, place: &Place, calls: Vec<Call>) -> Vec<RowId> {
        let mut settled = Vec::new();
        for call in calls {
            let number = self.calls;
            self.calls += 1;
            for change in &call.changes {
                let id = RowId::new(place, change.name(), change.value());
                let result = call.result.as_ref().map(|_| number).map_err(Arc::clone);
                settled.push(id.clone());
                match change {
                    TxtChange::Add { .. } => self.added.insert(id, result),
                    TxtChange::Remove { .. } => self.removed.insert(id, result),
                };
            }
            if let Ok(Some(receipt)) = call.result {
                self.receipts.insert(number, receipt);
            }
        }
        settled
    }
}

/// Somebody who waits for an answer of a round, by its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Arrival(usize),
    Removal(usize),
}

/// Who waits in a round for rows whose calls have not ended.
#[derive(Default)]
pub(super) struct Unsettled {
    /// By row.
    waiting: HashMap<RowId, Vec<usize>>,
    /// How many rows each still waits for.
    counts: Vec<(Who, usize)>,
}

impl Unsettled {
    pub(super) fn add(&mut self, who: Who, rows: HashSet<RowId>) {
        if rows.is_empty() {
            return;
        }
        let index = self.counts.len();
        self.counts.push((who, rows.len()));
        for row in rows {
            self.waiting.entry(row).or_default().push(index);
        }
    }

    /// Those who waited for `rows` and for nothing else any more.
    pub(super) fn settle(&mut self, rows: &[RowId]) -> Vec<Who> {
        let mut done = Vec::new();
        for index in rows.iter().filter_map(|row| self.waiting.remove(row)).flatten() {
            let (who, count) = &mut self.counts[index];
            *count -= 1;
            if *count == 0 {
                done.push(*who);
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{CredentialName, Fqdn, TxtValue, ZoneName};

    fn row(text: &str) -> RowId {
        let place = (CredentialName::parse("c").unwrap(), ZoneName::parse("example.test").unwrap());
        RowId::new(&place, &Fqdn::parse("example.test").unwrap(), &TxtValue::parse(text).unwrap())
    }

    #[test]
    fn whoever_has_its_last_row_settled_waits_no_longer() {
        let mut unsettled = Unsettled::default();
        let rows = |texts: &[&str]| texts.iter().map(|text| row(text)).collect();
        unsettled.add(Who::Arrival(0), rows(&["a", "b"]));
        unsettled.add(Who::Arrival(1), rows(&["b"]));
        unsettled.add(Who::Removal(0), rows(&["c"]));
        unsettled.add(Who::Removal(1), rows(&[]));
        assert_eq!(unsettled.settle(&[row("b")]), [Who::Arrival(1)]);
        assert_eq!(unsettled.settle(&[row("b"), row("x")]), []);
        assert_eq!(unsettled.settle(&[row("c"), row("a")]), [Who::Removal(0), Who::Arrival(0)]);
    }
}

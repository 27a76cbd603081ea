//! Columns for people.

use super::words::printable;

/// A table with a heading; columns are as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    headed: bool,
}

impl Table {
    /// A table under these headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        let headings = headings.map(|heading| heading.to_uppercase()).to_vec();
        Self { rows: vec![headings], headed: true }
    }

    /// A table without headings.
    pub(crate) fn bare() -> Self {
        Self { rows: Vec::new(), headed: false }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// True if there is nothing below the headings.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == usize::from(self.headed)
    }

    /// The lines, without blanks at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", printable(cell)));
            format!(" {}", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["certificate", "ca", "renewal"]);
        table.row(["example.com".to_owned(), "letsencrypt".to_owned(), "from 2027-01-20".to_owned()]);
        table.row(["lab".to_owned(), "internal".to_owned(), "x".repeat(60)]);
        assert_eq!(
            table.lines().join("\n"),
            format!(
                " CERTIFICATE  CA           RENEWAL\n example.com  letsencrypt  from 2027-01-20\n lab          internal     {}",
                "x".repeat(60)
            )
        );
    }
}

//! Aligned columns without lines: the same on a terminal and in a pipe.

use std::fmt::Write as _;

use anstyle::Style;
use comfy_table::{CellAlignment, ContentArrangement, presets::NOTHING};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// The narrowest terminal for which tables wrap, in characters.
const WIDTH_MIN: u16 = 80;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers and money.
    Right(&'static str),
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Left(name) | Self::Right(name) => name,
        }
    }
}

/// A table under construction.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// The table as text, one line per row unless the terminal is too narrow. It ends with a line break.
    pub fn show(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        // Wraps long notes on a terminal. On a very narrow terminal, or without a known width, it prints long lines instead of
        // columns of single letters.
        if table.width().is_some_and(|width| width >= WIDTH_MIN) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(self.columns.iter().map(|column| column.name()).collect::<Vec<_>>());
        for row in &self.rows {
            table.add_row(row.clone());
        }
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(shown) = table.column_mut(index) {
                shown.set_padding((0, 2));
                if matches!(column, Column::Right(_)) {
                    shown.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let text = table.trim_fmt();
        let (header, rows) = text.split_once('\n').unwrap_or((&text, ""));
        let rows = if rows.is_empty() { String::new() } else { format!("{rows}\n") };
        format!("{DIM}{header}{DIM:#}\n{rows}")
    }
}

/// A heading on a line of its own.
pub fn heading(text: &str) -> String {
    format!("{BOLD}{text}{BOLD:#}\n")
}

/// Aligned names and values, without those that have no value.
pub fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "  {DIM}{name:width$}{DIM:#}  {value}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_right_aligned_without_trailing_space() {
        let mut table = Table::new([Column::Left("account"), Column::Right("amount"), Column::Left("rule")]);
        table.row(["escrow".to_owned(), "1,000.00 USD".to_owned(), "R4".to_owned()]);
        table.row(["fees".to_owned(), "5.00 USD".to_owned(), String::new()]);
        let text = anstream::adapter::strip_str(&table.show()).to_string();
        assert_eq!(text, "account        amount  rule\nescrow   1,000.00 USD  R4\nfees         5.00 USD\n");
    }
}

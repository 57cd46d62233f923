//! The table of each path's cost in `docs/operations.md`.

use std::{collections::BTreeSet, fmt::Write as _};

use super::bill::Actions;

/// The table's header.
const HEADER: &str = "| path | actions | which | events |";

/// The cost of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The path.
    pub path: String,
    /// The billed actions by kind.
    pub actions: Vec<(String, u64)>,
    /// The history events of each of its cases, the outermost first.
    pub events: Vec<u64>,
}

impl Row {
    /// A row of counted numbers.
    pub fn new(path: &str, actions: &Actions, events: Vec<u64>) -> Self {
        let actions = actions.iter().map(|(action, count)| (action.to_string(), *count)).collect();
        Self { path: path.to_owned(), actions, events }
    }

    fn total(&self) -> u64 {
        self.actions.iter().map(|(_, count)| count).sum()
    }

    fn count(&self, name: &str) -> u64 {
        self.actions.iter().filter(|(other, _)| other == name).map(|(_, count)| count).sum()
    }

    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [path, total, which, events] = cells.as_slice() else { return None };
        let action = |text: &str| {
            let (count, name) = text.split_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        let actions = which.split(", ").map(action).collect::<Option<_>>()?;
        let events = events.split(" + ").map(|events| events.parse().ok()).collect::<Option<_>>()?;
        let row = Self { path: (*path).to_owned(), actions, events };
        (row.total().to_string() == *total).then_some(row)
    }

    fn show(&self) -> String {
        let which: Vec<String> = self.actions.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let events: Vec<String> = self.events.iter().map(u64::to_string).collect();
        format!("| {} | {} | {} | {} |", self.path, self.total(), which.join(", "), events.join(" + "))
    }

    /// The differences from the table's row, in words: `Notices.tell` rose from 2 to 3.
    fn differs_from(&self, table: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, was: u64, is: u64| {
            if is != was {
                let how = if is > was { "rose" } else { "sank" };
                found.push(format!("{}: {what} {how} from {was} to {is}", self.path));
            }
        };
        let names: BTreeSet<&String> = self.actions.iter().chain(&table.actions).map(|(name, _)| name).collect();
        for name in names {
            compare(name, table.count(name), self.count(name));
        }
        let cases = self.events.len().max(table.events.len());
        for case in 0..cases {
            let events = |row: &Self| row.events.get(case).copied().unwrap_or_default();
            compare(&format!("history events of case {} of {cases}", case + 1), events(table), events(self));
        }
        found
    }
}

/// The rows of the page's table.
///
/// # Panics
/// If there is no table, a row cannot be read, or its sum differs from that of its parts.
pub fn read(page: &str) -> Vec<Row> {
    let (_, after) = page.split_once(HEADER).expect("docs/operations.md has the table of what a case costs");
    let rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|line| Row::read(line).unwrap_or_else(|| panic!("this row does not read or add up: {line}"))).collect()
}

/// The page with these rows.
pub fn write(page: &str, rows: &[Row]) -> String {
    let (before, after) = page.split_once(HEADER).expect("docs/operations.md has the table of what a case costs");
    let after: Vec<&str> = after.lines().skip(1).skip_while(|line| line.starts_with('|')).collect();
    let mut table = String::from("\n|---|---|---|---|\n");
    for row in rows {
        let _ = writeln!(table, "{}", row.show());
    }
    format!("{before}{HEADER}{table}{}\n", after.join("\n"))
}

/// The differences between the table and the counted numbers, in words; none if the table is true.
pub fn differences(table: &[Row], counted: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    for row in counted {
        match table.iter().find(|other| other.path == row.path) {
            Some(other) => found.extend(row.differs_from(other)),
            None => found.push(format!("{}: is not in the table", row.path)),
        }
    }
    let gone = table.iter().filter(|row| counted.iter().all(|other| other.path != row.path));
    found.extend(gone.map(|row| format!("{}: is in the table, and is played no more", row.path)));
    found
}

#[test]
fn differences_from_the_table_name_path_and_kind() {
    let row = |path: &str, timers, events: &[u64]| Row {
        path: path.to_owned(),
        actions: vec![("start".to_owned(), 1), ("timer".to_owned(), timers)],
        events: events.to_vec(),
    };
    let page = format!("# Page\n\n{HEADER}\n|---|---|---|---|\n| gone | 1 | 1 start | 5 |\n\nAfter.\n");
    let rows = [row("dispute: silence", 2, &[25, 13]), row("deposit", 1, &[9])];
    let written = write(&page, &rows);
    assert!(written.contains("\n| dispute: silence | 3 | 1 start, 2 timer | 25 + 13 |\n"), "{written}");
    assert!(written.starts_with("# Page\n\n|") && written.ends_with(" 9 |\n\nAfter.\n"), "{written}");
    assert_eq!(read(&written), rows);
    assert_eq!(differences(&read(&written), &rows), [""; 0]);
    let now = [row("dispute: silence", 3, &[25, 12]), row("new", 1, &[9])];
    assert_eq!(
        differences(&rows, &now),
        [
            "dispute: silence: timer rose from 2 to 3",
            "dispute: silence: history events of case 2 of 2 sank from 13 to 12",
            "new: is not in the table",
            "deposit: is in the table, and is played no more",
        ]
    );
}

#[test]
#[should_panic(expected = "does not read or add up: | a | 3 | 1 start, 1 timer | 9 |")]
fn a_row_that_does_not_add_up_is_found() {
    read(&format!("{HEADER}\n|---|---|---|---|\n| a | 3 | 1 start, 1 timer | 9 |\n"));
}

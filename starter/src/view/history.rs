//! The movements in the ledger, and where the money is.

use std::fmt::Write as _;

use jiff::Timestamp;
use recourse_client::words::words;
use recourse_domain::money::{Amount, Currency};
use recourse_ledger::{ChainReport, CheckReport, Entry, History, OpenHold};
use recourse_workflows::describe;

use super::{Column, Table, fields, heading};

/// A contract's history: its balances, the holds of cases on its escrow, and every posting.
pub fn history(history: &History, holds: &[OpenHold]) -> String {
    let money = |minor: i64| money(minor, &history.currency);
    let balances = &history.balances;
    let some = |minor: i64| if minor == 0 { String::new() } else { money(minor) };
    let mut text = heading(&format!("contract {}", history.contract));
    text.push_str(&fields([
        ("escrow", money(balances.escrow)),
        ("client", money(balances.client)),
        ("freelancer, pending", money(balances.freelancer_pending)),
        ("freelancer, available", money(balances.freelancer_available)),
        ("fees", some(balances.fees)),
        ("suspense", some(balances.suspense)),
    ]));
    text.push('\n');
    let holds: Vec<&OpenHold> = holds.iter().filter(|hold| !hold.amount.is_zero()).collect();
    if !holds.is_empty() {
        let mut table = Table::new([Column::Left("held by"), Column::Right("amount")]);
        for hold in holds {
            table.row([hold.case.clone(), money(hold.amount.minor())]);
        }
        text.push_str(&table.show());
        text.push('\n');
    }
    text.push_str(&entries(&history.entries, &history.currency));
    text
}

fn entries(entries: &[Entry], currency: &str) -> String {
    let mut table = Table::new([
        Column::Left("when"),
        Column::Left("what"),
        Column::Right("amount"),
        Column::Left("from"),
        Column::Left("to"),
        Column::Left("rule"),
        Column::Left("posting"),
    ]);
    for entry in entries {
        table.row([
            entry.at.parse().map_or_else(|_| entry.at.clone(), |at: Timestamp| describe::instant(at)),
            what(entry),
            money(entry.amount, currency),
            entry.debit.clone(),
            entry.credit.clone(),
            entry.rule.clone(),
            entry.id.clone(),
        ]);
    }
    table.show()
}

/// What a posting was for, and whose share of the arbitration fee it moved.
fn what(entry: &Entry) -> String {
    let kind = words(&entry.kind);
    entry.share_of.map_or_else(|| kind.clone(), |party| format!("{kind}, {party}'s share"))
}

/// What a case held, but holds no longer.
pub fn freed(case: &str, freed: &[OpenHold], currency: &str) -> String {
    let held: Vec<_> = freed.iter().filter(|hold| !hold.amount.is_zero()).collect();
    if held.is_empty() {
        return format!("{case} holds nothing\n");
    }
    held.iter().fold(String::new(), |mut text, hold| {
        let _ = writeln!(
            text,
            "{} that {case} held since {} is free in escrow now; no money has moved",
            money(hold.amount.minor(), currency),
            describe::instant(hold.opened_at),
        );
        text
    })
}

/// The result of a check of the whole ledger.
pub fn check_report(report: &CheckReport) -> String {
    let held: Vec<String> = report.held.iter().map(|held| money(held.amount, &held.currency)).collect();
    let verdict = if report.is_sound() { "the ledger is sound" } else { "the ledger is NOT sound" };
    let counts = format!("{} postings on {} accounts", report.postings, report.accounts);
    let mut text = format!("{verdict}: {counts}");
    if !held.is_empty() {
        let _ = write!(text, "; in escrow {}", held.join(", "));
    }
    text.push('\n');
    for finding in &report.findings {
        let _ = writeln!(text, "  {} {}: {}", finding.law, finding.culprit, finding.problem);
    }
    text
}

/// Whether the journal is unchanged, and the head to keep.
pub fn chain_report(report: &ChainReport) -> String {
    let verdict =
        if report.is_whole() { "the journal is what was posted" } else { "the journal is NOT what was posted" };
    let mut text = format!("{verdict}: {} postings\n", report.postings);
    if let Some(head) = &report.head {
        let _ = writeln!(text, "  head {head}");
    }
    for finding in &report.findings {
        let _ = writeln!(text, "  {} {}: {}", finding.law, finding.culprit, finding.problem);
    }
    text
}

fn money(minor: i64, currency: &str) -> String {
    match (Amount::new(minor), Currency::from_code(currency)) {
        (Ok(amount), Ok(currency)) => currency.show(amount),
        _ => format!("{minor} {currency} (minor units)"),
    }
}

#[cfg(test)]
mod tests {
    use recourse_ledger::Balances;

    use super::*;

    fn hold() -> OpenHold {
        OpenHold {
            case_ref: "refund-request:c-1#2".into(),
            case: "refund-request:c-1".into(),
            amount: Amount::new(20_000).unwrap(),
            opened_at: "2026-12-01T10:00:00Z".parse().unwrap(),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_history_shows_which_cases_hold_the_escrow() {
        let balances = Balances { escrow: 20_000, ..Balances::default() };
        let history = History { contract: "c-1".into(), currency: "USD".into(), balances, entries: Vec::new() };
        let with = plain(&super::history(&history, &[hold()]));
        assert!(with.contains("\n\nheld by                 amount\nrefund-request:c-1  200.00 USD\n\nwhen"), "{with}");
        assert!(!plain(&super::history(&history, &[])).contains("held by"));
    }

    #[test]
    fn freed_holds_are_shown_as_money() {
        assert_eq!(
            freed("refund-request:c-1", &[hold()], "USD"),
            "200.00 USD that refund-request:c-1 held since Tue 1 Dec 2026 10:00 UTC is free in escrow now; no money has \
             moved\n"
        );
        let empty = OpenHold { amount: Amount::new(0).unwrap(), ..hold() };
        for nothing in [&[][..], &[empty]] {
            assert_eq!(freed("dispute:c-1", nothing, ""), "dispute:c-1 holds nothing\n");
        }
    }
}

//! What moved in the ledger, and where the money is.

use std::fmt::Write as _;

use jiff::Timestamp;
use recourse_activities::ledger::{CheckReport, Entry, History};
use recourse_workflows::{
    describe,
    domain::money::{Amount, Currency},
};

use super::{Column, Table, fields, heading, words};

/// A contract's history: its balances and every posting.
pub fn history(history: &History) -> String {
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
            words(&entry.kind),
            money(entry.amount, currency),
            entry.debit.clone(),
            entry.credit.clone(),
            entry.rule.clone(),
            entry.id.clone(),
        ]);
    }
    table.show()
}

/// What a check of the whole ledger found.
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

fn money(minor: i64, currency: &str) -> String {
    match (Amount::new(minor), Currency::from_code(currency)) {
        (Ok(amount), Ok(currency)) => currency.show(amount),
        _ => format!("{minor} {currency} (minor units)"),
    }
}

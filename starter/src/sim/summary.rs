//! The results of a run: counts and sums that do not depend on the order in which its contracts were played.

use std::{collections::BTreeMap, fmt::Write as _};

use recourse_client::words::words;
use recourse_domain::money::{Amount, Currency};
use recourse_ledger::CheckReport;
use recourse_simulation::{End, Record, Trouble, money::Money};
use serde::Serialize;

use super::super::view::{Column, Table, check_report, fields, heading};

/// How many failed contracts to keep. Nobody needs more to find the mistake, and it bounds the memory.
pub const FAILURES_MAX: usize = 20;

/// The results of a run.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    contracts: u64,
    cases: u64,
    #[serde(serialize_with = "as_list")]
    outcomes: BTreeMap<End, u64>,
    days: Days,
    #[serde(serialize_with = "as_money")]
    money: BTreeMap<&'static str, Money>,
    commands: Commands,
    failures: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckReport>,
}

/// The number of commands.
#[derive(Debug, Default, Serialize)]
struct Commands {
    given: u64,
    refused: u64,
}

/// A contract with a problem.
#[derive(Debug, Serialize)]
struct Failed {
    number: u64,
    contract: String,
    #[serde(flatten)]
    trouble: Trouble,
}

/// How long those cases took that waited for somebody, in virtual days.
#[derive(Debug, Default, Serialize)]
struct Days {
    #[serde(flatten)]
    lengths: Lengths,
    /// How many cases do not count here, because their policy's days depend on the weekday.
    by_working_days: u64,
}

/// How many cases took how many quarters of a day.
#[derive(Debug, Default)]
struct Lengths(BTreeMap<u32, u64>);

impl Lengths {
    /// The length that `percent` of the cases do not exceed, in days.
    fn at_most(&self, percent: u64) -> f64 {
        let total: u64 = self.0.values().sum();
        let mut left = (total * percent).div_ceil(100);
        for (quarters, count) in &self.0 {
            left = left.saturating_sub(*count);
            if left == 0 {
                return f64::from(*quarters) / 4.0;
            }
        }
        0.0
    }
}

impl Serialize for Lengths {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            cases: u64,
            median: f64,
            percentile_95: f64,
            max: f64,
        }
        let [median, percentile_95, max] = [50, 95, 100].map(|percent| self.at_most(percent));
        Shown { cases: self.0.values().sum(), median, percentile_95, max }.serialize(serializer)
    }
}

impl Summary {
    /// Adds the results of a contract.
    pub fn add(&mut self, record: Record) {
        self.contracts += 1;
        self.cases += record.ends.len() as u64;
        for end in record.ends {
            *self.outcomes.entry(end).or_default() += 1;
        }
        if record.counts_working_days {
            self.days.by_working_days += record.quarter_days.len() as u64;
        } else {
            for quarters in record.quarter_days {
                *self.days.lengths.0.entry(quarters).or_default() += 1;
            }
        }
        if let Some(money) = &record.money {
            self.money.entry(record.currency).or_default().add(money);
        }
        self.commands.given += record.given;
        self.commands.refused += record.refused;
        if let Some(trouble) = record.trouble {
            let Record { number, contract, .. } = record;
            self.failures.push(Failed { number, contract, trouble });
            self.failures.sort_by_key(|failed| failed.number);
        }
    }

    /// Adds the result of a check of the whole ledger.
    pub fn checked(&mut self, report: CheckReport) {
        self.check = Some(report);
    }

    /// Whether so many contracts failed that it makes no sense to continue.
    pub const fn is_hopeless(&self) -> bool {
        self.failures.len() >= FAILURES_MAX
    }

    /// The problem, in words; none if the run is correct.
    pub fn problem(&self) -> Option<String> {
        let unsound = self.check.as_ref().is_some_and(|report| !report.is_sound());
        match (self.failures.as_slice(), unsound) {
            ([], false) => None,
            ([], true) => Some("the ledger is not sound".to_owned()),
            (failures, _) => {
                Some(format!("{} of {} contracts did not go as they must", failures.len(), self.contracts))
            }
        }
    }

    /// The number of the first contract that failed.
    pub fn first_failure(&self) -> Option<u64> {
        self.failures.first().map(|failed| failed.number)
    }

    /// The summary as text. The same run always gives the same text.
    pub fn show(&self) -> String {
        let mut text = heading(&format!("{} contracts, {} cases", self.contracts, self.cases));
        let mut table = Table::new([
            Column::Left("case"),
            Column::Left("result"),
            Column::Left("decided by"),
            Column::Left("rule"),
            Column::Right("cases"),
        ]);
        for (end, count) in &self.outcomes {
            let End { kind, result, decided_by, rule } = end;
            table.row([words(kind), words(result), words(decided_by), rule.clone(), count.to_string()]);
        }
        text.push_str(&table.show());
        text.push('\n');
        text.push_str(&self.show_money());
        text.push('\n');
        let lengths = &self.days.lengths;
        let [median, most, max] = [50, 95, 100].map(|percent| lengths.at_most(percent).to_string());
        let apart = match self.days.by_working_days {
            0 => String::new(),
            count => format!(" ({count} more count working days, which depend on today's)"),
        };
        let days = format!("median {median}, 95 % within {most}, at most {max}{apart}");
        let commands =
            format!("{} given, {} of them refused, as they must be", self.commands.given, self.commands.refused);
        text.push_str(&fields([("days to resolution", days), ("commands", commands)]));
        if let Some(report) = &self.check {
            text.push_str(&check_report(report));
        }
        for Failed { number, contract, trouble } in &self.failures {
            let _ = writeln!(text, "FAILED  contract {number} ({contract}): {trouble}");
        }
        text
    }

    fn show_money(&self) -> String {
        let mut table = Table::new([
            Column::Left("money"),
            Column::Right("deposited"),
            Column::Right("released"),
            Column::Right("refunded"),
            Column::Right("in escrow"),
            Column::Right("in suspense"),
            Column::Right("bonuses"),
            Column::Right("returned"),
            Column::Right("fees"),
        ]);
        for (currency, money) in &self.money {
            let Money { deposited, released, refunded, escrow, suspense, bonuses, returned, fees } = *money;
            let mut row = vec![(*currency).to_owned()];
            let amounts = [deposited, released, refunded, escrow, suspense, bonuses, returned, fees];
            row.extend(amounts.map(|minor| shown(minor, currency)));
            table.row(row);
        }
        table.show()
    }
}

/// The number alone. The row already names the currency.
fn shown(minor: i64, currency: &str) -> String {
    let shown = Currency::from_code(currency).ok().zip(Amount::new(minor).ok());
    shown.map_or_else(|| minor.to_string(), |(currency, amount)| currency.number(amount))
}

fn as_list<S: serde::Serializer>(outcomes: &BTreeMap<End, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        end: &'a End,
        cases: u64,
    }
    serializer.collect_seq(outcomes.iter().map(|(end, cases)| Row { end, cases: *cases }))
}

fn as_money<S: serde::Serializer>(money: &BTreeMap<&'static str, Money>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        currency: &'a str,
        #[serde(flatten)]
        money: &'a Money,
    }
    serializer.collect_seq(money.iter().map(|(currency, money)| Row { currency, money }))
}

#[cfg(test)]
mod tests {
    use recourse_domain::{
        ids::CaseKind,
        outcome::{DecidedBy, Outcome, ResultKind},
        rule::Rule,
    };

    use super::*;

    fn record(number: u64, quarter_days: u32, result: ResultKind) -> Record {
        let mut record = Record::new(number, format!("sim-1-{number}"));
        record.currency = "USD";
        record.quarter_days = vec![quarter_days];
        record.money = Some(Money { deposited: 30_000, refunded: 30_000, ..Money::default() });
        (record.given, record.refused) = (3, 1);
        record.end(CaseKind::RefundRequest, &Outcome::without_money(result, DecidedBy::FreelancerSilence, Rule::R4));
        record
    }

    fn summary(order: [u64; 4]) -> Summary {
        let mut summary = Summary::default();
        for number in order {
            let mut record = record(number, u32::try_from(number).unwrap() * 4, ResultKind::Refunded);
            record.counts_working_days = number == 4;
            summary.add(record);
        }
        summary
    }

    #[test]
    fn a_summary_does_not_depend_on_the_order_of_the_contracts() {
        let mut one = summary([1, 2, 3, 4]);
        let mut other = summary([4, 2, 1, 3]);
        for summary in [&mut one, &mut other] {
            for number in if summary.contracts == 4 { [9, 8] } else { [8, 9] } {
                let mut failed = record(number, 2, ResultKind::Settled);
                failed.trouble = Some(Trouble::new("lost"));
                summary.add(failed);
            }
        }
        assert_eq!(one.show(), other.show());
        assert_eq!(serde_json::to_value(&one).unwrap(), serde_json::to_value(&other).unwrap());
        assert_eq!(one.first_failure(), Some(8));
        assert_eq!(one.problem().as_deref(), Some("2 of 6 contracts did not go as they must"));
    }

    #[test]
    fn the_summary_shows_every_count() {
        let summary = summary([1, 2, 3, 4]);
        let text = anstream::adapter::strip_str(&summary.show()).to_string();
        for words in [
            "4 contracts, 4 cases",
            "refund request  refunded  freelancer silence  R4        4",
            "1,200.00",
            "median 2, 95 % within 3, at most 3 (1 more count working days",
            "12 given, 4 of them refused",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(summary.problem(), None);
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["outcomes"][0]["decided_by"], "freelancer_silence");
        assert_eq!((json["days"]["median"].as_f64(), json["days"]["cases"].as_u64()), (Some(2.0), Some(3)));
        assert_eq!(json["money"][0]["deposited"], 120_000);
    }

    #[test]
    fn an_unsound_ledger_is_a_problem() {
        let mut summary = summary([1, 2, 3, 4]);
        let report = serde_json::json!({
            "postings": 1, "accounts": 1, "currencies": [], "held": [],
            "findings": [{"law": "L1", "culprit": "escrow:c-1", "problem": "is overdrawn"}],
        });
        summary.checked(serde_json::from_value(report).unwrap());
        assert_eq!(summary.problem().as_deref(), Some("the ledger is not sound"));
    }

    #[test]
    fn a_percentile_is_the_length_of_a_case() {
        let lengths = Lengths((1..=100).map(|days| (days * 4, 1)).collect());
        let shown = |lengths: &Lengths, percent| lengths.at_most(percent).to_string();
        assert_eq!([50, 95, 100].map(|percent| shown(&lengths, percent)), ["50", "95", "100"]);
        assert_eq!(shown(&Lengths([(3, 1)].into()), 50), "0.75");
        assert_eq!(shown(&Lengths::default(), 95), "0");
    }
}

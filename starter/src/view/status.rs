//! A case's status and outcome: its stage, whose turn it is, what silence does, who can do what, what happened.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use recourse_client::{
    Money,
    words::{moment, named, note_of, roles, words},
};
use recourse_domain::{
    case::TimelineEntry,
    fee::Arbitration,
    ids::CaseKind,
    messages::Status,
    money::{Amount, Currency},
    outcome::{DecidedBy, Outcome},
    party::Role,
    stage::Stage,
};
use recourse_workflows::describe;

use super::{
    Column, Table, fields, heading, money,
    positions::{positions, subject},
};

const WARN: Style = AnsiColor::Yellow.on_default();

/// A whole status at `now`, the case's own time, with what is known of its money.
pub fn case(status: &Status, known: &Money, now: Timestamp) -> String {
    let mut text = heading(&format!("{}  ({})", status.case, words(status.stage.name())));
    let contract = ("contract", status.contract.to_string());
    let standing = std::iter::once(contract).chain(subject(status)).chain(standing(status, now));
    text.push_str(&fields(standing.chain(allowed(status)).chain(positions(status, now))));
    if !status.offers.is_empty() {
        text.push('\n');
        text.push_str(&offers(status));
    }
    if !status.timeline.is_empty() {
        text.push('\n');
        text.push_str(&timeline(&status.timeline));
    }
    if status.refusals_omitted > 0 {
        let _ = writeln!(text, "  and {} refusals that are not shown", status.refusals_omitted);
    }
    if let Some(ended) = &status.outcome {
        text.push('\n');
        text.push_str(&outcome(ended, status.currency));
    }
    if !known.movements.is_empty() {
        text.push('\n');
        text.push_str(&money(known, now));
    }
    text
}

fn standing(status: &Status, now: Timestamp) -> [(&'static str, String); 6] {
    let until = status.deadline.map(|deadline| {
        let silence = status.if_silent.map(|silence| format!("; silence {}", silence.in_words())).unwrap_or_default();
        format!("{}{silence}", moment(deadline, now))
    });
    let overdue =
        if status.overdue { format!("{WARN}yes: no resolution by the target{WARN:#}") } else { String::new() };
    let goes_on = if status.outcome.is_some() { "was decided in" } else { "goes on in" };
    let dispute = status.dispute.as_ref().map(|dispute| format!("{goes_on} {dispute}")).unwrap_or_default();
    // Released money is not in escrow, so a request for a payment holds nothing.
    let holds = status.kind != CaseKind::PaymentRefund;
    [
        ("held", if holds { status.currency.show(status.held) } else { String::new() }),
        ("waits for", roles(&status.waiting_on)),
        ("until", until.unwrap_or_default()),
        ("overdue", overdue),
        ("dispute", dispute),
        ("arbitration", arbitration(status)),
    ]
}

/// The price of arbitration for each party, and who has paid, once a party can demand it (A1).
fn arbitration(status: &Status) -> String {
    let Some(Arbitration { fee_share, shares }) = &status.arbitration else { return String::new() };
    if shares.is_empty() && status.stage != Stage::AwaitingArbitrationDemand {
        return String::new();
    }
    let costs = if fee_share.is_zero() {
        "costs nothing".to_owned()
    } else {
        format!("{} from each party that demands it", status.currency.show(*fee_share))
    };
    let stands = shares.iter().map(|(party, state)| format!("; the {party}'s share: {}", named(state)));
    format!("{costs}{}", stands.collect::<String>())
}

/// Who can do what now.
fn allowed(status: &Status) -> impl Iterator<Item = (&'static str, String)> {
    status.allowed.iter().map(|(role, command_kinds)| {
        let name = match role {
            Role::Client => "client can",
            Role::Freelancer => "freelancer can",
            Role::Mediator => "mediator can",
            Role::Arbitrator => "arbitrator can",
            Role::Operator => "operator can",
        };
        (name, command_kinds.iter().map(|command_kind| command_kind.name()).collect::<Vec<_>>().join(", "))
    })
}

fn offers(status: &Status) -> String {
    let rest = if describe::is_about_a_milestone(status) { "stays in escrow" } else { "to client" };
    let mut table = Table::new([
        Column::Right("offer"),
        Column::Left("by"),
        Column::Right("to freelancer"),
        Column::Right(rest),
        Column::Left("state"),
        Column::Left("message"),
    ]);
    for offer in &status.offers {
        table.row([
            offer.number.to_string(),
            offer.by.to_string(),
            status.currency.show(offer.to_freelancer),
            status.currency.show(offer.to_client),
            named(&offer.state),
            offer.message.clone().unwrap_or_default(),
        ]);
    }
    table.show()
}

/// What happened, oldest first, in the case's own time.
pub fn timeline(entries: &[TimelineEntry]) -> String {
    let mut table =
        Table::new([Column::Left("when"), Column::Left("who"), Column::Left("rule"), Column::Left("what happened")]);
    for entry in entries {
        let what = named(&entry.what);
        let note = entry.note.as_deref().map(|note| format!(": {}", note_of(entry.what, note))).unwrap_or_default();
        table.row([
            describe::instant(entry.at),
            named(&entry.by),
            entry.rule.map(|rule| rule.to_string()).unwrap_or_default(),
            format!("{what}{note}"),
        ]);
    }
    table.show()
}

/// How it ended.
pub fn outcome(outcome: &Outcome, currency: Currency) -> String {
    let show = |amount: Amount| currency.show(amount);
    let some = |amount: Amount| if amount.is_zero() { String::new() } else { show(amount) };
    let optional = |amount: Option<Amount>| amount.map(show).unwrap_or_default();
    let is_deposit = outcome.charged.is_some();
    let (freelancer, client) = (show(outcome.to_freelancer), show(outcome.to_client));
    let nothing_moved = is_deposit || (outcome.to_freelancer.is_zero() && outcome.to_client.is_zero());
    let decided_by = match outcome.decided_by {
        DecidedBy::Rule => String::new(),
        decided_by => format!(", {}", named(&decided_by)),
    };
    let result = format!("{} (rule {}{decided_by})", named(&outcome.result), outcome.rule);
    heading("outcome")
        + &fields([
            ("result", result),
            ("why", outcome.message.clone().unwrap_or_default()),
            ("charged", optional(outcome.charged)),
            ("from held", outcome.from_held.map(some).unwrap_or_default()),
            ("in escrow", optional(outcome.held)),
            ("freelancer gets", if nothing_moved { String::new() } else { freelancer }),
            ("client gets", if nothing_moved { String::new() } else { client }),
            ("escrow", some(outcome.kept_in_escrow)),
            ("bonus", some(outcome.bonus)),
            ("bonus failed", if outcome.bonus_failed { "yes".to_owned() } else { String::new() }),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        serde_json::from_value(serde_json::json!({
            "case": "dispute:c-1", "kind": "dispute", "contract": "c-1", "currency": "USD",
            "stage": "awaiting_parties", "waiting_on": ["client"], "held": 20000,
            "deadline": "2026-12-03T10:00:00Z", "if_silent": "notice_of_non_resolution", "overdue": false,
            "allowed": {"client": ["accept", "reject", "offer"], "freelancer": ["offer"], "mediator": []},
            "claim": {"amount": 15000, "reason": "work_delivered", "details": "All of it", "evidence": []},
            "rejection": null,
            "offers": [{"number": 1, "by": "client", "to_freelancer": 5000, "to_client": 15000, "state": "open"}],
            "resolution": {"to_freelancer": 9000, "to_client": 11000, "rationale": "Half was done"},
            "answers": {"freelancer": "accepted"},
            "timeline": [{"at": "2026-12-01T10:00:00Z", "by": "freelancer", "what": "claim_filed", "rule": "R6",
                          "note": "150.00 USD"}],
            "outcome": null
        }))
        .unwrap()
    }

    #[test]
    fn a_status_shows_turn_deadline_and_effect_of_silence() {
        let text = case(&status(), &Money::default(), "2026-11-30T06:00:00Z".parse().unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            text,
            "dispute:c-1  (awaiting parties)\n\
             \x20 contract        c-1\n\
             \x20 held            200.00 USD\n\
             \x20 waits for       client\n\
             \x20 until           Thu 3 Dec 2026 10:00 UTC (in 3 d 4 h); silence gives the Notice of Non-Resolution\n\
             \x20 client can      accept, reject, offer\n\
             \x20 freelancer can  offer\n\
             \x20 claim           150.00 USD, work delivered: All of it\n\
             \x20 resolution      90.00 USD to the freelancer, 110.00 USD to the client: Half was done\n\
             \x20 answers         freelancer accepted\n\
             \n\
             offer  by      to freelancer   to client  state  message\n\
             \x20   1  client      50.00 USD  150.00 USD  open\n\
             \n\
             when                      who         rule  what happened\n\
             Tue 1 Dec 2026 10:00 UTC  freelancer  R6    claim filed: 150.00 USD\n"
        );
    }

    /// D3: the part of a milestone that the freelancer does not get does not go back to the client.
    #[test]
    fn a_split_of_a_milestones_money_says_what_stays_in_escrow() {
        let status = Status { case: "dispute:c-1:m-1".into(), ..status() };
        let text = case(&status, &Money::default(), "2026-11-30T06:00:00Z".parse().unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        let resolution =
            "90.00 USD to the freelancer, 110.00 USD stays in escrow for the next milestone: Half was done";
        assert!(text.contains(&format!("resolution      {resolution}\n")), "{text}");
        let offers = "offer  by      to freelancer  stays in escrow  state  message\n\
                      \x20   1  client      50.00 USD       150.00 USD  open\n";
        assert!(text.contains(offers) && !text.contains("to the client"), "{text}");
    }

    #[test]
    fn an_outcome_shows_the_split_and_the_rule() {
        let ended: Outcome = serde_json::from_value(serde_json::json!({
            "result": "settled", "decided_by": "resolution_accepted", "rule": "M5", "to_freelancer": 9000,
            "to_client": 11000, "kept_in_escrow": 0
        }))
        .unwrap();
        let text = outcome(&ended, Currency::from_code("USD").unwrap());
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "outcome\n  result           settled (rule M5, resolution accepted)\n  freelancer gets  90.00 USD\n  client gets      110.00 USD\n"
        );
    }
}

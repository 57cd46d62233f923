//! What an operator reads in the Web UI: a case's current details, and the summaries of its timers and activities.
//! They contain ids and amounts, never names or a party's own words.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use recourse_domain::{
    ids::dispute_id,
    messages::Status,
    money::{Amount, Currency},
    notice::Notice,
    party::{Contract, Role},
    posting::Movement,
};

use crate::effects::{HeldByOther, HoldRequest};

/// An instant as people read it: `Thu 3 Dec 2026 10:00 UTC`.
pub fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%a %-d %b %Y %H:%M UTC").to_string()
}

/// The case's current details, in Markdown.
pub(crate) fn details(status: &Status) -> String {
    let mut text = format!(
        "**{}** of contract `{}`: {}\n",
        status.kind.name().replace('_', " "),
        status.contract,
        status.stage.name().replace('_', " ")
    );
    if !status.held.is_zero() {
        let _ = write!(text, "\n- held: {}", status.currency.show(status.held));
    }
    if let Some(review) = &status.review {
        let _ = write!(text, "\n- milestone: `{}`, submission {}", review.milestone.id, review.submissions);
    }
    if let Some(payment) = &status.payment {
        let (asked, left) = (status.currency.show(payment.asked), status.currency.show(payment.left));
        let _ = write!(text, "\n- asked back: {asked} of the {left} left of payment `{}`", payment.id);
    }
    if let Some(claim) = &status.claim {
        let _ = write!(text, "\n- claimed: {}", status.currency.show(claim.amount));
    }
    if let Some(resolution) = &status.resolution {
        let (freelancer, rest) =
            (status.currency.show(resolution.to_freelancer), status.currency.show(resolution.to_client));
        let _ = write!(text, "\n- proposed: {freelancer} to the freelancer, {rest} {}", rest_of_a_split(status));
    }
    if !status.waiting_on.is_empty() {
        let _ = write!(text, "\n- waits for: {}", names(&status.waiting_on));
    }
    if let Some(deadline) = status.deadline {
        let _ = write!(text, "\n- until: {}", instant(deadline));
    }
    if let Some(silence) = status.if_silent {
        let _ = write!(text, "; silence {}", silence.in_words());
    }
    if status.overdue {
        text.push_str("\n- **overdue**: no resolution by the target");
    }
    if let Some(dispute) = &status.dispute {
        let _ = write!(text, "\n- the dispute: `{dispute}`");
    }
    if let Some(outcome) = &status.outcome {
        let shown = |amount: Amount| status.currency.show(amount);
        let _ = write!(
            text,
            "\n- outcome: {} by rule {}: {} to the freelancer, {} to the client, {} kept in escrow",
            outcome.result.name().replace('_', " "),
            outcome.rule,
            shown(outcome.to_freelancer),
            shown(outcome.to_client),
            shown(outcome.kept_in_escrow)
        );
        if !outcome.bonus.is_zero() {
            let _ = write!(text, ", and a bonus of {}", shown(outcome.bonus));
        }
        if outcome.bonus_failed {
            text.push_str("; the bonus could not be charged");
        }
        if let Some(message) = &outcome.message {
            let _ = write!(text, " ({message})");
        }
    }
    text
}

/// Where the rest of a proposed or offered split goes, as a clause after the amount. In a dispute about a milestone the rest
/// does not go back to the client while the contract goes on (D3).
pub fn rest_of_a_split(status: &Status) -> &'static str {
    if is_about_a_milestone(status) { "stays in escrow for the next milestone" } else { "to the client" }
}

/// Whether a dispute is about a milestone of an active contract. Its id says so.
pub fn is_about_a_milestone(status: &Status) -> bool {
    let (case, _) = status.case.split_once('#').unwrap_or((&status.case, ""));
    let milestone = case.strip_prefix(&dispute_id(&status.contract, None));
    milestone.is_some_and(|milestone| milestone.starts_with(':'))
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

/// The summary of the timer that runs until `at`.
pub(crate) fn timer(status: &Status, at: Timestamp) -> String {
    let who = names(&status.waiting_on);
    match (status.deadline, status.if_silent) {
        (Some(deadline), Some(silence)) => {
            let look = if at == deadline { String::new() } else { format!("look in at {}; ", instant(at)) };
            format!("{look}{who} can answer until {}; silence {}", instant(deadline), silence.in_words())
        }
        _ => format!("look in at {}; {who} awaited", instant(at)),
    }
}

/// The summary of an order to take escrow.
pub(crate) fn take(take: &HoldRequest, contract: &Contract) -> String {
    let id = &contract.id;
    match take {
        HoldRequest::Free | HoldRequest::AtContractEnd { .. } => format!("take the free escrow of contract {id}"),
        HoldRequest::Over { case } => format!("take over what {case} holds"),
        HoldRequest::Milestone { milestone, amount, .. } => {
            format!("take the {} of milestone {milestone}", contract.currency.show(*amount))
        }
        HoldRequest::HeldOver { milestone } => format!("take what is held over from milestone {milestone}"),
        HoldRequest::Unreviewed { milestone, .. } => format!("take the escrow of milestone {milestone}"),
        HoldRequest::Payment { payment } => format!("look at payment {payment}"),
    }
}

/// The summary of an order to move money.
pub(crate) fn movements(movements: &[Movement], currency: Currency) -> String {
    if movements.is_empty() {
        return "let go of the escrow; nothing moves".to_owned();
    }
    let said = movements.iter().map(|movement| match movement {
        Movement::Release { amount, rule, .. } => {
            format!("release {} to the freelancer ({rule})", currency.show(*amount))
        }
        Movement::Refund { amount, rule, deposit, .. } => {
            format!("refund {} of deposit {deposit} ({rule})", currency.show(*amount))
        }
        Movement::FeeReturn { amount, rule, .. } => {
            format!("give back the {} arbitration fee ({rule})", currency.show(*amount))
        }
    });
    said.collect::<Vec<_>>().join(", ")
}

/// The other cases that hold a part of the same escrow, as a clause.
pub fn held_elsewhere(others: &[HeldByOther], currency: Currency) -> Option<String> {
    let said = others.iter().map(|other| format!("{} holds {}", other.case_ref, currency.show(other.amount)));
    Some(said.collect::<Vec<_>>().join(", ")).filter(|said| !said.is_empty())
}

/// The summary of an order to send notices.
pub(crate) fn notices(notices: &[Notice]) -> String {
    let mut events: Vec<(&str, Vec<Role>)> = Vec::new();
    for notice in notices {
        match events.iter_mut().find(|(event, _)| *event == notice.event.name()) {
            Some((_, roles)) => roles.push(notice.to),
            None => events.push((notice.event.name(), vec![notice.to])),
        }
    }
    let said = events.iter().map(|(event, roles)| format!("{}: {}", names(roles), event.replace('_', " ")));
    format!("tell {}", said.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(case: &str) -> Status {
        serde_json::from_value(serde_json::json!({
            "case": case, "kind": "dispute", "contract": "c-1", "currency": "USD",
            "stage": "awaiting_parties",
            "waiting_on": [], "held": 20_000, "deadline": null, "if_silent": null, "overdue": false, "allowed": {},
            "claim": null, "rejection": null, "offers": [], "answers": {}, "timeline": [], "outcome": null,
            "resolution": {"to_freelancer": 9_000, "to_client": 11_000, "rationale": "Half was done"},
        }))
        .unwrap()
    }

    /// D3: nothing goes to the client while the contract goes on.
    #[test]
    fn a_proposal_says_where_the_rest_goes() {
        for (case, rest) in [
            ("dispute:c-1", "110.00 USD to the client"),
            ("dispute:c-1:m-1", "110.00 USD stays in escrow for the next milestone"),
        ] {
            let text = details(&status(case));
            assert!(text.ends_with(&format!("- proposed: 90.00 USD to the freelancer, {rest}")), "{text}");
        }
        assert!(!is_about_a_milestone(&status("dispute:c-12")));
    }
}

//! `recourse list`.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;
use recourse_client::{
    CasePage, CaseRow, Filters,
    words::{moment, roles, words},
};
use recourse_domain::{
    ids::{CaseKind, Id},
    party::Role,
    stage::Stage,
};
use serde::Serialize;

use super::{
    answer::{Answer, Failure},
    connect,
    progress::waiting,
    values,
    view::{Column, Table},
};

/// List cases, newest first.
///
/// The list comes from Temporal's own visibility and may be slightly older than `recourse show`. It marks cases whose money
/// Recourse is still trying to move (L9). It leaves out deposits unless you ask for them.
///
/// Example: `recourse list --waiting-on mediator --overdue`
///
/// Next: `recourse show <case>`.
#[derive(Debug, Args)]
pub struct List {
    /// Only cases of this contract.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    contract: Option<Id>,
    /// Only cases in this stage, such as `awaiting_freelancer` or `in_mediation`.
    #[arg(long, value_parser = values::stage)]
    stage: Option<Stage>,
    /// Only cases that wait for this role.
    #[arg(long, value_name = "ROLE", value_parser = values::role)]
    waiting_on: Option<Role>,
    /// Only cases whose resolution is overdue (M1).
    #[arg(long)]
    overdue: bool,
    /// Only open cases.
    #[arg(long, conflicts_with = "closed")]
    open: bool,
    /// Only closed cases.
    #[arg(long)]
    closed: bool,
    /// Only cases of this kind: `milestone_review`, `refund_request`, `dispute`, `payment_refund` or `escrow_deposit`. May be
    /// repeated.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// How many at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// The next page: `next` of the JSON document before.
    #[arg(long, value_name = "NEXT")]
    page: Option<String>,
}

/// The kinds in a list by default: those in which somebody may have to act.
const KINDS: [CaseKind; 4] =
    [CaseKind::MilestoneReview, CaseKind::RefundRequest, CaseKind::Dispute, CaseKind::PaymentRefund];

impl List {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let filters = Filters {
            kinds: kinds(&self.kind)?,
            contract: self.contract,
            stage: self.stage,
            waiting_on: self.waiting_on,
            overdue: self.overdue,
            open: (self.open || self.closed).then_some(self.open),
            limit: Some(self.limit),
            ..Filters::default()
        };
        let client = connect().await?;
        let page = waiting("listing cases", client.list(&filters, self.page.as_deref())).await?;
        let retried = waiting("looking whether money is being tried again", client.retried(&page.cases)).await;
        let retried: BTreeSet<String> = retried.into_iter().map(|order| order.case).collect();
        let text = show(&page, &retried, Timestamp::now());
        Answer::new(&Listed { page: &page, retried: &retried }, text)
    }
}

fn kinds(named: &[String]) -> Result<Vec<CaseKind>, Failure> {
    if named.is_empty() {
        return Ok(KINDS.to_vec());
    }
    named.iter().map(|kind| values::named("kind", kind)).collect()
}

/// A page, and which of its open cases have money that a worker tries again (L9).
#[derive(Debug, Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    page: &'a CasePage,
    retried: &'a BTreeSet<String>,
}

fn show(page: &CasePage, retried: &BTreeSet<String>, now: Timestamp) -> String {
    if page.cases.is_empty() {
        return "no cases\n".to_owned();
    }
    let mut table = Table::new([
        Column::Left("case"),
        Column::Left("stage"),
        Column::Left("waits for"),
        Column::Left("deadline"),
        Column::Right("held"),
    ]);
    let later: BTreeSet<&str> =
        page.cases.iter().filter(|case| case.case != case.workflow_id).map(|case| case.workflow_id.as_str()).collect();
    for case in &page.cases {
        let held = case.held.zip(case.currency).map(|(held, currency)| currency.show(held));
        let deadline = case.deadline.map(|deadline| moment(deadline, now));
        table.row([
            name_of(case, &later),
            stage_of(case, retried.contains(&case.case)),
            roles(&case.waiting_on),
            deadline.unwrap_or_default(),
            held.unwrap_or_default(),
        ]);
    }
    let more = page.next.as_ref().map(|next| format!("more: --page {next}\n")).unwrap_or_default();
    format!("{}{more}", table.show())
}

/// The name for a case. The first case also gets its number if there is a later one, because its bare id leads to the later one
/// (L8).
fn name_of(case: &CaseRow, later: &BTreeSet<&str>) -> String {
    if case.case == case.workflow_id && later.contains(case.case.as_str()) {
        return format!("{}#1", case.case);
    }
    case.case.clone()
}

/// The stage in words. Also says how a closed case ended, that a case is overdue, and that a worker tries its money again.
fn stage_of(case: &CaseRow, retried: bool) -> String {
    let stage = words(case.stage.map_or("unknown", Stage::name));
    let stage = if retried { format!("{stage}, money tried again") } else { stage };
    match (&case.outcome, case.overdue, case.open) {
        (Some(outcome), ..) => format!("{stage}: {}", words(outcome)),
        (None, true, _) => format!("{stage}, overdue"),
        (None, false, false) if case.stage != Some(Stage::Closed) => format!("stopped in {stage}"),
        _ => stage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L8: the printed name leads to the right case.
    #[test]
    fn the_list_tells_the_first_case_from_a_later_one() {
        let row = |case: &str| CaseRow {
            case: case.to_owned(),
            workflow_id: case.split('#').next().unwrap_or_default().to_owned(),
            ..serde_json::from_value(serde_json::json!({"case": "", "waiting_on": [], "overdue": false, "open": true}))
                .unwrap()
        };
        let page = CasePage { cases: ["dispute:c-1#2", "dispute:c-1", "dispute:c-2"].map(row).to_vec(), next: None };
        let shown = show(&page, &BTreeSet::new(), Timestamp::UNIX_EPOCH);
        let names: Vec<&str> = shown.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["dispute:c-1#2", "dispute:c-1#1", "dispute:c-2"]);
    }

    #[test]
    fn lists_leave_out_deposits_by_default() {
        assert_eq!(kinds(&[]).unwrap(), KINDS);
        assert!(!KINDS.contains(&CaseKind::EscrowDeposit));
        for kind in KINDS.into_iter().chain([CaseKind::EscrowDeposit]) {
            assert_eq!(kinds(&[kind.name().to_owned()]).unwrap(), [kind]);
        }
        let failure = kinds(&["review".to_owned()]).unwrap_err();
        assert!(failure.exit == 2 && failure.message.contains("milestone_review"), "{}", failure.message);
    }

    #[test]
    fn a_list_has_one_line_per_case() {
        let case: CaseRow = serde_json::from_value(serde_json::json!({
            "case": "dispute:c-1", "kind": "dispute", "contract": "c-1", "client": "cl-1", "freelancer": "fl-1",
            "stage": "in_mediation", "waiting_on": ["mediator"], "deadline": "2026-12-03T10:00:00Z", "held": 20000,
            "currency": "USD", "overdue": true, "outcome": null, "open": true, "started_at": null
        }))
        .unwrap();
        let page = CasePage { cases: vec![case], next: None };
        let text = show(&page, &BTreeSet::new(), "2026-11-30T06:00:00Z".parse().unwrap());
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "case         stage                  waits for  deadline                                     held\n\
             dispute:c-1  in mediation, overdue  mediator   Thu 3 Dec 2026 10:00 UTC (in 3 d 4 h)  200.00 USD\n"
        );
    }
}

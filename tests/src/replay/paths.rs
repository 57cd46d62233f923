//! The paths: every way through every workflow, as stories. Each has the commands of the recorded case and its outcome.

use recourse_domain::ids::CaseKind;
use serde_json::Value;

use super::play::policy_with;

/// The kinds of cases, one for each workflow.
pub const KINDS: [CaseKind; 5] = [
    CaseKind::EscrowDeposit,
    CaseKind::MilestoneReview,
    CaseKind::RefundRequest,
    CaseKind::Dispute,
    CaseKind::PaymentRefund,
];

/// A way through one workflow, or through one and the workflows that it meets.
pub struct Path {
    /// The contract's id, and the name of the files.
    pub name: &'static str,
    /// The kinds of the cases whose histories are kept; the outcome is the first one's.
    pub records: &'static [&'static str],
    /// What differs from the default policy, as JSON.
    pub policy: &'static str,
    /// The story.
    pub script: &'static str,
    /// The outcome of the first of the recorded cases.
    pub comes_to: &'static str,
}

impl Path {
    /// The policy of the path's cases.
    pub fn policy(&self) -> Value {
        policy_with(self.policy)
    }

    /// Whether it stops the worker, so that it needs a world of its own.
    pub fn stops_the_worker(&self) -> bool {
        self.script.contains("down")
    }

    const fn with(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }
}

/// A path of cases with the default policy.
pub const fn path(
    name: &'static str,
    records: &'static [&'static str],
    script: &'static str,
    comes_to: &'static str,
) -> Path {
    Path { name, records, policy: "", script, comes_to }
}

const DEPOSIT: &[&str] = &["escrow_deposit"];
const REVIEW: &[&str] = &["milestone_review"];
const END: &[&str] = &["refund_request"];
const DISPUTE: &[&str] = &["dispute"];
const DISPUTE_AND_END: &[&str] = &["dispute", "refund_request"];
const DISPUTE_AND_REVIEW: &[&str] = &["dispute", "milestone_review"];
const END_AND_REVIEW: &[&str] = &["refund_request", "milestone_review"];
const PAYMENT: &[&str] = &["payment_refund"];

/// Every path.
pub fn all() -> impl Iterator<Item = &'static Path> {
    [DEPOSITS, REVIEWS, ENDS, DISPUTES, ARBITRATIONS, MILESTONE_DISPUTES, PAYMENTS].into_iter().flatten()
}

/// E2, E6, L2: charged, drawn from what is held over, declined, refused.
const DEPOSITS: &[Path] = &[
    path("deposited", DEPOSIT, "deposit 30000", "deposited rule E2 0/0/0"),
    path("deposited-for-a-milestone", DEPOSIT, "fund m-1 30000", "deposited rule E2 0/0/0"),
    path(
        "deposited-from-held-over",
        DEPOSIT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve 18000; over milestone_review; fund m-2 15000",
        "deposited rule E6 0/0/0",
    ),
    path("deposit-declined", DEPOSIT, "decline; deposit 30000", "declined rule E2 0/0/0"),
    path(
        "deposit-conflicts",
        DEPOSIT,
        r#"deposit 30000; start escrow_deposit escrow-deposit:ID:d-1 {"contract": CONTRACT, "deposit": "d-1", "amount": 1, "source": {"id": "card", "verified": true}}"#,
        "refused rule L2 0/0/0",
    ),
    path(
        "deposit-unverified",
        DEPOSIT,
        r#"start escrow_deposit escrow-deposit:ID:d-1 {"contract": CONTRACT, "deposit": "d-1", "amount": 1, "source": {"id": "card", "verified": false}}"#,
        "refused rule E2 0/0/0",
    ),
    path("deposit-unreadable", DEPOSIT, "start escrow_deposit escrow-deposit:ID:d-1 [7]", "refused rule E2 0/0/0"),
];

/// E3–E8, E11, E13: a review's ends without a dispute.
const REVIEWS: &[Path] = &[
    path(
        "review-silence",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 13.5; 14",
        "released client_silence E4 30000/0/0",
    ),
    path(
        "review-approved",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 2 client approve",
        "released client_approval E5 30000/0/0",
    ),
    path(
        "review-approved-by-signal",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 2; signal client approve",
        "released client_approval E5 30000/0/0",
    ),
    path(
        "review-approved-less",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 2 client approve 20000",
        "released client_approval E6 20000/0/10000",
    ),
    path(
        "review-approved-more",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 2 client approve 35000",
        "released client_approval E7 30000/0/0",
    ),
    path(
        "review-bonus-declined",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; decline; 2 client approve 35000",
        "released client_approval E7 30000/0/0",
    ),
    path(
        "review-changes-requested",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 12.5 client request; 40 freelancer submit; 54",
        "released client_silence E4 30000/0/0",
    ),
    path(
        "review-extended",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 2 mediator extend 24; refused 3 mediator extend 24; 14.5; 15",
        "released client_silence E4 30000/0/0",
    ),
    path(
        "review-superseded-by-operator",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 2 operator supersede",
        "superseded contract_end E11 0/0/30000",
    ),
    path(
        "review-whole-contract",
        REVIEW,
        "deposit 30000; submit m-1 1 10000; 1 client approve; over milestone_review; submit m-2 2 20000; 1 client approve",
        "released client_approval E5 20000/0/0",
    ),
    path("review-unfunded", REVIEW, "submit m-1 1 30000", "refused rule E13 0/0/0"),
    path("review-out-of-order", REVIEW, "fund m-2 30000; submit m-2 2 30000", "refused rule E3 0/0/0"),
    path("review-unreadable", REVIEW, "start milestone_review milestone-review:ID:m-1 {}", "refused rule E3 0/0/0"),
    path(
        "review-nonsense",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; signal_bytes approve {; refused 1 freelancer claim 30001; \
         refused 1 client withdraw; 2 client approve",
        "released client_approval E5 30000/0/0",
    ),
];

/// R1–R4, R7, R10, E11: a refund request's ends without a dispute.
const ENDS: &[Path] = &[
    path("end-nothing-held", END, "end 0", "nothing_held contract_end R1 0/0/0"),
    path("end-paid-in-full", END, "deposit 30000; end 30000", "paid_in_full contract_end R2 30000/0/0"),
    path("end-too-much", END, "deposit 30000; end 30001", "refused rule R2 0/0/30000"),
    path("end-silence", END, "deposit 30000; end 10000; 6.5; 7", "settled freelancer_silence R4 10000/20000/0"),
    path("end-silence-nothing-paid", END, "deposit 30000; end 0; 7", "refunded freelancer_silence R4 0/30000/0"),
    path(
        "end-approved",
        END,
        "deposit 10000; deposit 20000; end 5000; 3 freelancer approve",
        "settled freelancer_approval R4 5000/25000/0",
    ),
    path(
        "end-approved-by-signal",
        END,
        "deposit 30000; end 0; 3; signal freelancer approve",
        "refunded freelancer_approval R4 0/30000/0",
    ),
    path("end-released", END, "deposit 30000; end 10000; 2 client release", "released client_release R10 30000/0/0"),
    path(
        "end-extended",
        END,
        "deposit 30000; end 0; 1 operator extend 24; 7.5 freelancer approve",
        "refunded freelancer_approval R4 0/30000/0",
    ),
    path(
        "end-nonsense",
        END,
        "deposit 30000; end 0; signal_bytes approve {; signal_bytes dispute null; signal_bytes no_such_command {}; \
         refused 1 freelancer claim 30001; refused 1 client approve; 1 freelancer approve",
        "refunded freelancer_approval R4 0/30000/0",
    ),
    path("end-unreadable", END, r#"start refund_request refund-request:ID {"pay_now": -1}"#, "refused rule R1 0/0/0"),
    path(
        "end-hourly",
        END,
        r#"start refund_request refund-request:ID {"contract": {"id": "end-hourly", "title": "Logo", "kind": "hourly", "currency": "USD", "client": {"id": "cl"}, "freelancer": {"id": "fl"}}, "pay_now": 0}"#,
        "refused rule E1 0/0/0",
    ),
    path(
        "end-of-another",
        END,
        r#"deposit 30000; start refund_request refund-request:ID {"contract": {"id": "end-of-another", "title": "Logo", "kind": "fixed_price", "currency": "EUR", "client": {"id": "cl"}, "freelancer": {"id": "fl"}}, "pay_now": 0}"#,
        "refused rule E1 0/0/0",
    ),
    path(
        "end-supersedes",
        END_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 3; end 10000; 1 freelancer approve",
        "settled freelancer_approval R4 10000/20000/0",
    ),
    path("end-supersedes-not", END, "fund m-1 30000; submit m-1 1 30000; 3; end 30001", "refused rule R2 0/0/0"),
    path(
        "end-review-is-gone",
        END,
        "fund m-1 30000; deposit 4000; submit m-1 1 30000; terminate milestone_review; end 0; 1 freelancer approve",
        "refunded freelancer_approval R4 0/4000/0",
    ),
    path(
        "end-dispute-stopped",
        END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; terminate dispute",
        "on_hold rule E10 10000/0/20000",
    ),
    path(
        "end-told-before-it-opens",
        END,
        r#"deposit 30000; down; start refund_request refund-request:ID {"contract": CONTRACT, "pay_now": 0, "policy": POLICY}; signal freelancer approve; up"#,
        "refunded freelancer_approval R4 0/30000/0",
    ),
    path(
        "end-told-late",
        END,
        "deposit 30000; end 0; down; pass_deadline; signal freelancer approve at_deadline; up",
        "refunded freelancer_silence R4 0/30000/0",
    )
    .with(r#"{"reminder_hours": []}"#),
];

/// R6, D2–D6, M1–M7: a dispute of an ended contract, before arbitration.
const DISPUTES: &[Path] = &[
    path(
        "dispute-silence",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 5.5; 6",
        "settled client_silence D3 15000/5000/0",
    ),
    path(
        "dispute-silence-all-held",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 6",
        "released client_silence D3 20000/0/0",
    )
    .with(r#"{"client_silence": "all_held"}"#),
    path(
        "dispute-accepted",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 2 client accept claim",
        "settled client_acceptance D3 15000/5000/0",
    ),
    path(
        "dispute-amended",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 2 freelancer amend 20000; 3 client accept claim",
        "released client_acceptance D3 20000/0/0",
    ),
    path(
        "dispute-withdrawn",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 2 freelancer withdraw",
        "withdrawn freelancer_withdrawal D5 0/20000/0",
    ),
    path(
        "dispute-agreed",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 2 client offer 11000; 2.5 client retract 1; \
         3 client offer 12000; 3.1 freelancer offer 14000; 3.2 client reject offer 3; 3.5 freelancer accept offer 2",
        "settled agreement M7 12000/8000/0",
    ),
    path(
        "dispute-agreed-in-mediation",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 2 client reject claim; 3 freelancer offer 20000; \
         4 client accept offer 1",
        "released agreement M7 20000/0/0",
    ),
    path(
        "dispute-resolved",
        DISPUTE_AND_END,
        "deposit 30000; end 10000; 1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; \
         3.5 client accept resolution; refused 3.6 client accept resolution; 4.5 freelancer accept resolution",
        "settled resolution_accepted M5 9000/11000/0",
    ),
    path(
        "dispute-by-signals",
        DISPUTE,
        "deposit 30000; end 0; 1 freelancer claim 15000; 2; signal client reject claim; 3; signal mediator propose 0; \
         3.5; signal client accept resolution; 4.5; signal freelancer accept resolution",
        "refunded resolution_accepted M5 0/30000/0",
    ),
    path(
        "dispute-nonsense",
        DISPUTE,
        "deposit 30000; end 0; 1 freelancer claim 15000; signal_bytes reject {; refused 1.5 freelancer accept offer 9; \
         refused 1.5 client award 1; refused 1.5 freelancer amend 30001; 2 client accept claim",
        "settled client_acceptance D3 15000/15000/0",
    ),
    path(
        "dispute-extended",
        DISPUTE,
        "deposit 30000; end 0; 1 freelancer claim 15000; 2 operator extend 24; 6.5; 7",
        "settled client_silence D3 15000/15000/0",
    ),
    path(
        "dispute-unreadable",
        DISPUTE,
        r#"start dispute dispute:ID {"grounds": "boredom"}"#,
        "refused rule D1 0/0/0",
    ),
    path(
        "dispute-alone",
        DISPUTE,
        r#"deposit 1000; end 1000; over refund_request; deposit 20000; start dispute dispute:ID {"contract": CONTRACT, "grounds": "refund_request", "claim": {"amount": 15000, "reason": "work_delivered", "details": "It is done."}, "policy": POLICY}; 2 client accept claim"#,
        "settled client_acceptance D3 15000/5000/0",
    ),
    path(
        "dispute-where-nothing-is-held",
        DISPUTE,
        r#"deposit 1000; end 1000; over refund_request; deposit 20000; start dispute dispute:ID {"contract": CONTRACT, "grounds": "refund_request", "claim": {"amount": 20001, "reason": "work_delivered", "details": "It is done."}, "policy": POLICY}"#,
        "refused rule R5 0/0/20000",
    ),
    path(
        "dispute-told-late",
        DISPUTE,
        "deposit 30000; end 0; 1 freelancer claim 15000; down; pass_deadline; signal client reject claim at_deadline; up",
        "settled client_silence D3 15000/15000/0",
    )
    .with(r#"{"reminder_hours": []}"#),
];

/// M2, M6, A1–A5: from the Notice of Non-Resolution on.
const ARBITRATIONS: &[Path] = &[
    path(
        "arbitration-nobody",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 9.5; 10",
        "refunded arbitration_default A2 0/20000/0",
    ),
    path(
        "mediation-overdue",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 5; 22; 29",
        "refunded arbitration_default A2 0/20000/0",
    ),
    path(
        "resolution-rejected",
        DISPUTE,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; \
         3.5 client reject resolution; 11",
        "refunded arbitration_default A2 0/20000/0",
    ),
    path(
        "resolution-silence",
        DISPUTE,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; \
         3.5 client accept resolution; 5; 12",
        "refunded arbitration_default A2 0/20000/0",
    ),
    path(
        "arbitration-nobody-released",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 10",
        "released arbitration_default A2 20000/0/0",
    )
    .with(r#"{"no_arbitration": "release_freelancer"}"#),
    path(
        "arbitration-nobody-follows",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; 5; 12",
        "settled arbitration_default A2 9000/11000/0",
    )
    .with(r#"{"no_arbitration": "follow_resolution"}"#),
    path(
        "arbitration-nobody-holds",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 10",
        "on_hold arbitration_default A2 0/0/20000",
    )
    .with(r#"{"no_arbitration": "hold"}"#),
    path(
        "arbitration-client-only",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 client demand; 10",
        "refunded arbitration_sole_demand A3 0/20000/0",
    ),
    path(
        "arbitration-freelancer-only",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 freelancer demand; 10",
        "released arbitration_sole_demand A3 20000/0/0",
    ),
    path(
        "arbitration-fee-declined",
        DISPUTE,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; decline; \
         4 client demand; 5 client demand; 10",
        "refunded arbitration_sole_demand A3 0/20000/0",
    ),
    path(
        "arbitration-award",
        DISPUTE_AND_END,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 freelancer demand; \
         5 client demand; 40; 41 arbitrator award 12000",
        "settled arbitration_award A5 12000/8000/0",
    ),
    path(
        "arbitration-award-nothing",
        DISPUTE,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 freelancer demand; \
         5 client demand; 6 arbitrator award 0",
        "refunded arbitration_award A5 0/20000/0",
    ),
    path(
        "arbitration-agreed",
        DISPUTE,
        "deposit 20000; end 0; 1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 freelancer demand; \
         5 client offer 5000; 6 freelancer accept offer 1",
        "settled agreement M7 5000/15000/0",
    ),
];

/// D1, D3, D5, E6, E11: a dispute on an active contract, and the review that it came from.
const MILESTONE_DISPUTES: &[Path] = &[
    path(
        "milestone-silence",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 6",
        "settled client_silence D3 20000/0/10000",
    ),
    path(
        "milestone-accepted",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 30000; 2 client accept claim",
        "released client_acceptance D3 30000/0/0",
    ),
    path(
        "milestone-agreed",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 2 client offer 25000; 3 freelancer accept offer 1",
        "settled agreement M7 25000/0/5000",
    ),
    path(
        "milestone-resolved",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 2 client reject claim; 3 mediator propose 9000; \
         3.5 client accept resolution; 4.5 freelancer accept resolution",
        "settled resolution_accepted M5 9000/0/21000",
    ),
    path(
        "milestone-declined",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 2 client reject claim; 3 mediator close; 10",
        "declined arbitration_default A2 0/0/30000",
    ),
    path(
        "milestone-sole-demand",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 2 client reject claim; 3 mediator close; \
         4 freelancer demand; 11",
        "released arbitration_sole_demand A3 30000/0/0",
    ),
    path(
        "milestone-award",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 2 client reject claim; 3 mediator close; \
         4 freelancer demand; 5 client demand; 6 arbitrator award 12000",
        "settled arbitration_award A5 12000/0/18000",
    ),
    path(
        "milestone-on-hold",
        DISPUTE_AND_REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; 2 client reject claim; 3 mediator close; 10",
        "on_hold arbitration_default A2 0/0/30000",
    )
    .with(r#"{"no_arbitration": "hold"}"#),
    path(
        "milestone-withdrawn",
        &["milestone_review", "dispute"],
        "fund m-1 30000; submit m-1 1 30000; 10 freelancer claim 20000; 12 freelancer withdraw; on milestone_review; 14.1",
        "released client_silence E4 30000/0/0",
    ),
    path(
        "milestone-withdrawn-after-the-end",
        &["milestone_review", "dispute", "refund_request"],
        "fund m-1 30000; deposit 4000; submit m-1 1 30000; 1 freelancer claim 20000; end 0; 1 freelancer approve; \
         on dispute; 2 freelancer withdraw",
        "superseded contract_end E11 0/0/30000",
    ),
    path(
        "milestone-dispute-stopped",
        REVIEW,
        "fund m-1 30000; submit m-1 1 30000; 1 freelancer claim 20000; terminate dispute",
        "on_hold rule E10 0/0/30000",
    ),
    path(
        "held-over-disputed",
        DISPUTE,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve 18000; over milestone_review; \
         dispute_alone partial_release m-1 4000; 2 client accept claim",
        "settled client_acceptance D3 4000/0/8000",
    ),
    path(
        "milestone-reviewed-elsewhere",
        DISPUTE,
        "fund m-1 30000; dispute_alone non_release m-1 20000; 2 freelancer withdraw",
        "withdrawn freelancer_withdrawal D5 0/0/30000",
    ),
];

/// P1–P4: released money.
const PAYMENTS: &[Path] = &[
    path(
        "payment-returned",
        PAYMENT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve; over milestone_review; ask_back release 30000; \
         2 freelancer approve",
        "refunded freelancer_approval P2 0/30000/0",
    ),
    path(
        "payment-returned-in-part",
        PAYMENT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve 35000; over milestone_review; ask_back bonus 5000; \
         2; signal freelancer approve 2000",
        "refunded freelancer_approval P2 0/2000/0",
    ),
    path(
        "payment-kept",
        PAYMENT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve; over milestone_review; ask_back release 30000; \
         signal_bytes approve {; refused 1 freelancer approve 30001; 2 freelancer keep",
        "declined freelancer_rejection P2 0/0/0",
    ),
    path(
        "payment-silence",
        PAYMENT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve; over milestone_review; ask_back release 30000; \
         31; refused 32 client ask; 179.5; 180.1",
        "declined freelancer_silence P2 0/0/0",
    ),
    path(
        "payment-mediated",
        PAYMENT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve; over milestone_review; ask_back release 30000; \
         20 client ask; 21 mediator opinion; 22 mediator extend 24; 23 freelancer keep",
        "declined freelancer_rejection P2 0/0/0",
    ),
    path(
        "payment-unknown",
        PAYMENT,
        r#"deposit 30000; start payment_refund payment-refund:milestone-review:nobody:m-1/release {"contract": CONTRACT, "payment": "milestone-review:nobody:m-1/release", "released_at": NOW, "amount": 1, "message": "", "policy": POLICY}"#,
        "refused rule P1 0/0/0",
    ),
    path(
        "payment-more-than-left",
        PAYMENT,
        "fund m-1 30000; submit m-1 1 30000; 1 client approve; over milestone_review; ask_back release 30001",
        "refused rule P4 0/0/0",
    ),
    path("payment-unreadable", PAYMENT, "start payment_refund payment-refund:ID/release {}", "refused rule P1 0/0/0"),
];

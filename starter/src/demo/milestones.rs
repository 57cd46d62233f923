//! The stories of milestones on a continuing contract, and of a payment that the client asks back.
//!
//! Every case has its own clock. If one case of a story follows another, days pass only in the last one, so that the story
//! stays in order.

use recourse_domain::{
    claim::{Claim, Grounds},
    command::CommandKind,
    ids::PaymentId,
    messages::{DisputeStart, PaymentRefundStart},
    party::Role,
};
use recourse_ledger::Ledger;
use serde_json::{Value, json};

use super::{
    super::{answer::Failure, ask_back::paid_at},
    stage::{Stage, amount, made},
};

/// Silence releases the milestone (E4).
pub async fn silent_review(stage: &mut Stage<'_>) -> Result<String, Failure> {
    let review = stage.deposit_and_submit().await?;
    stage.pass(&review, 14, "Ada says nothing, so Ben gets the milestone's escrow (E4)").await?;
    Ok(review)
}

/// A part is released, the rest is held over, and both accept the mediator's split of that (E6, D1, M5).
pub async fn partial_release(stage: &mut Stage<'_>) -> Result<String, Failure> {
    let review = stage.deposit_and_submit().await?;
    let told = ("E6", "Ada approves 200.00 USD of it; the other 100.00 USD are held over");
    stage.act(&review, Role::Client, CommandKind::Approve, json!({"amount": 20_000}), told).await?;
    // The freelancer can dispute money that is held over as soon as the review has given up its hold.
    let status = stage.ended(&review).await?;
    let milestone = status.particulars.review.map(|review| review.milestone.id);
    let claim = json!({"amount": 10_000, "reason": "work_delivered", "details": "Both drafts are in use"});
    let filing = DisputeStart {
        contract: stage.contract().clone(),
        grounds: Grounds::PartialRelease,
        milestone,
        claim: made::<Claim>(claim)?,
        contacted_client: Some(true),
        attested_by: None,
        policy: None,
    };
    let told = ("D1", "Ben has written to Ada, which did not help, and claims the 100.00 USD that are held over");
    let dispute = stage.begin(filing, told).await?;
    let rejection =
        json!({"of": "claim", "reason": "incomplete", "details": "The second draft is a copy of the first"});
    stage.act(&dispute, Role::Client, CommandKind::Reject, rejection, ("D4", "Ada rejects the claim")).await?;
    stage.pass(&dispute, 1, "the mediator reads what both sent").await?;
    let resolution = json!({"to_freelancer": 6_000, "rationale": "The second draft has changes of its own"});
    let told = ("M3", "Max, the mediator, proposes 60.00 USD for Ben; the rest stays in escrow");
    stage.act(&dispute, Role::Mediator, CommandKind::Propose, resolution, told).await?;
    let accept = json!({"of": "resolution"});
    let told = ("M4", "Ben accepts the resolution");
    stage.act(&dispute, Role::Freelancer, CommandKind::Accept, accept.clone(), told).await?;
    stage.pass(&dispute, 1, "Ada thinks about it").await?;
    let told = ("M5", "Ada accepts it too: 60.00 USD for Ben, 40.00 USD for the next milestone");
    stage.act(&dispute, Role::Client, CommandKind::Accept, accept, told).await?;
    Ok(dispute)
}

/// The client paid a milestone, and the freelancer returns a part of the payment (E5, P1, P2).
pub async fn returned_payment(stage: &mut Stage<'_>, ledger: &Ledger) -> Result<String, Failure> {
    let review = stage.deposit_and_submit().await?;
    let told = ("E5", "Ada approves it, and Ben gets the 300.00 USD");
    stage.act(&review, Role::Client, CommandKind::Approve, Value::Null, told).await?;
    stage.ended(&review).await?;
    let paid = stage.newest_payment(ledger).await?;
    let request = PaymentRefundStart {
        contract: stage.contract().clone(),
        payment: PaymentId::new(&paid.id).map_err(|error| Failure::new("demo", 1, error.to_string()))?,
        released_at: paid_at(&paid)?,
        amount: amount(10_000)?,
        message: "One of the drafts was not original".to_owned(),
        policy: None,
    };
    let asked = stage.begin(request, ("P1", "Ada asks Ben to give 100.00 USD of it back")).await?;
    stage.pass(&asked, 2, "Ben thinks about it").await?;
    let told = ("P2", "Ben returns 60.00 USD");
    stage.act(&asked, Role::Freelancer, CommandKind::Approve, json!({"amount": 6_000}), told).await?;
    Ok(asked)
}

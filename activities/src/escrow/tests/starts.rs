//! Which starts open a case and which deposits are charged, by what the ledger knows (E1, E14, E15, D1, L8).

use recourse_domain::{
    claim::Grounds,
    fee,
    ids::PaymentId,
    money::AMOUNT_MAX,
    opening::ClaimRequest,
    party::{Actor, Agency},
    rule::Rule,
};

use super::*;

fn claim(grounds: Grounds, milestone: Option<&str>, minor: i64, attested_by: Option<Actor>) -> StartRequest {
    let milestone = milestone.map(id);
    StartRequest::Claim(ClaimRequest { grounds, milestone, amount: amount(minor), attested_by, unfit: None })
}

fn by(party: Role, name: &str) -> Actor {
    Actor { party, id: id(name) }
}

impl World {
    /// The rule that refuses a start, or nothing.
    async fn asks(&self, case: &str, run: &str, take: HoldRequest, asked: StartRequest) -> Option<Rule> {
        let order = OpenCase { take, asked, ..Self::opening(case, run, None) };
        let judged = self.effects.ledger.would_open(&order).await.unwrap();
        let receipt = self.effects.ledger.open(&order).await.unwrap();
        assert_eq!(judged, receipt, "`would_open` predicts the answer");
        match receipt {
            OpenReceipt::Opened(_) => None,
            OpenReceipt::Refused { rule, .. } => Some(rule),
            other => panic!("{other:?}"),
        }
    }

    async fn ends(&self, run: &str, pay_now: i64) -> Option<Rule> {
        let take = HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
        self.asks("refund-request:c-1", run, take, StartRequest::End { pay_now: amount(pay_now) }).await
    }

    async fn claims_the_rest(&self, run: &str) -> Option<Rule> {
        self.asks("dispute:c-1", run, HoldRequest::Free, claim(Grounds::RefundRequest, None, 1, None)).await
    }

    async fn claims(&self, run: &str, attested_by: Option<Actor>) -> Option<Rule> {
        let take = HoldRequest::Unreviewed { milestone: id("m-1"), claim: amount(10) };
        self.asks("dispute:c-1:m-1", run, take, claim(Grounds::NonRelease, Some("m-1"), 10, attested_by)).await
    }
}

/// D1: a party's word alone takes no escrow. A refund request is disputed only after the contract's end, and a later
/// deposit does not undo that.
#[tokio::test]
async fn a_dispute_of_a_refund_needs_the_contracts_end() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    assert_eq!(world.claims_the_rest("run-1").await, Some(Rule::D1));
    assert_eq!(world.held().await, []);
    assert_eq!(world.ends("run-1", 0).await, None);
    world.effects.ledger.free("refund-request:c-1").await.unwrap();
    world.deposit("d-2", 100).await;
    assert_eq!(world.claims_the_rest("run-2").await, None);
}

/// A1: a share of the fee is not charged to a billing method that is known to be somebody else's. An unused one is
/// charged.
#[tokio::test]
async fn a_share_is_charged_to_nobody_elses_card() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    let mut attempt = 0;
    let mut charged = async |party: Role, source: &str| {
        attempt += 1;
        let step = fee::charge_step(party, attempt);
        let order = FeeOrder { party, source: id(source), step, ..fee_order() };
        let receipt = world.effects.take_fee(&order).await.unwrap();
        assert_eq!(world.effects.take_fee(&order).await.unwrap(), receipt, "the same again");
        matches!(receipt, FeeReceipt::Paid { .. })
    };
    assert!(!charged(Role::Freelancer, "card-1").await, "it is the client's");
    assert!(charged(Role::Freelancer, "fl-card").await);
    assert!(!charged(Role::Client, "fl-card").await, "it has paid the freelancer's share");
    assert!(charged(Role::Freelancer, "fl-card").await);
    assert!(charged(Role::Client, "card-1").await);
    assert!(charged(Role::Client, "card-2").await, "nobody has used it");
}

/// D1: a milestone can be disputed if it was submitted and not superseded since, or if an operator attests it. A party
/// can attest nothing (E14), and neither can anybody else.
#[tokio::test]
async fn a_dispute_of_a_milestone_needs_its_submission() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 100).await;
    assert_eq!(world.claims("run-1", None).await, Some(Rule::D1));
    assert_eq!(world.claims("run-1", Some(by(Role::Operator, "fl-1"))).await, Some(Rule::E14));
    assert_eq!(world.claims("run-1", Some(by(Role::Freelancer, "op-1"))).await, Some(Rule::D1));
    assert_eq!(world.held().await, []);

    let review = world.review(1, 100).await;
    world.close(&review, Vec::new(), Remainder::Superseded, false).await;
    assert_eq!(world.claims("run-2", None).await, Some(Rule::D1));
    assert_eq!(world.claims("run-2", Some(by(Role::Operator, "op-1"))).await, None);
    world.effects.ledger.free("dispute:c-1:m-1").await.unwrap();

    let OpenReceipt::Opened(again) = world.review_again("run-3", 1, 100).await else {
        panic!("it can be submitted again")
    };
    world.close(&again, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.claims("run-4", None).await, None, "its submission stands");
    world.effects.ledger.free("dispute:c-1:m-1").await.unwrap();

    assert_eq!(world.ends("run-5", 0).await, None);
    world.effects.ledger.free("refund-request:c-1").await.unwrap();
    world.fund("d-2", "m-1", 100).await;
    assert_eq!(world.claims("run-6", None).await, Some(Rule::D1), "the contract's end superseded it");
}

/// L8: a refused start takes no case number and leaves nothing behind; the next accepted one is the second case.
#[tokio::test]
async fn a_refused_start_takes_no_number() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    assert_eq!(world.ends("run-1", 101).await, Some(Rule::R2));
    assert_eq!(world.ends("run-2", 0).await, None);
    world.effects.ledger.free("refund-request:c-1").await.unwrap();
    assert_eq!(world.ends("run-3", 101).await, Some(Rule::R2));
    let take = HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
    let asked = StartRequest::End { pay_now: Amount::ZERO };
    let order = OpenCase { take, asked, ..World::opening("refund-request:c-1", "run-4", None) };
    let OpenReceipt::Opened(opened) = world.effects.ledger.open(&order).await.unwrap() else { panic!("it is free") };
    assert_eq!(opened.case_ref, "refund-request:c-1#2");
}

/// E1: a case belongs to the contract that its id names, whoever starts it.
#[tokio::test]
async fn a_case_under_another_contracts_id_is_refused() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    let end = || HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
    let nothing = || StartRequest::End { pay_now: Amount::ZERO };
    let back = PaymentId::new("dispute:c-1/release").unwrap();
    let asked =
        StartRequest::Return { payment: back.clone(), amount: amount(1), released_at: at(), policy: Box::default() };
    for (case, take, asked) in [
        ("refund-request:c-2", end(), nothing()),
        ("dispute:c-1", end(), nothing()),
        ("dispute:c-2", HoldRequest::Free, claim(Grounds::RefundRequest, None, 1, None)),
        (
            "dispute:c-1:m-2",
            HoldRequest::HeldOver { milestone: id("m-1") },
            claim(Grounds::PartialRelease, Some("m-1"), 1, None),
        ),
        ("milestone-review:c-2:m-1", milestone(1, 50), StartRequest::Review),
        ("payment-refund:dispute:c-2/release", HoldRequest::Payment { payment: back }, asked),
    ] {
        assert_eq!(world.asks(case, "run", take, asked).await, Some(Rule::E1), "{case}");
    }
    let order = DepositOrder { case: "escrow-deposit:c-2:d-2".into(), ..World::order("d-2", 100) };
    let receipt = world.effects.make_deposit(&order).await.unwrap();
    assert!(matches!(receipt, DepositReceipt::Refused { rule: Rule::E1, .. }), "{receipt:?}");
}

/// E14: nobody is on both sides, and no party has the name with which cases address each other. The refusal comes
/// before the charge.
#[tokio::test]
async fn nobody_is_on_both_sides_of_a_contract() {
    let world = World::new().await;
    let mut own_agency = contract("c-1");
    own_agency.freelancer.agency = Some(Agency { id: id("cl-1"), name: None });
    let mut cases_own = contract("c-1");
    cases_own.freelancer.id = id("contract-end");
    for contract in [own_agency, cases_own] {
        let order = DepositOrder { contract: contract.clone(), ..World::order("d-1", 100) };
        let receipt = world.effects.make_deposit(&order).await.unwrap();
        assert!(matches!(receipt, DepositReceipt::Refused { rule: Rule::E14, .. }), "{receipt:?}");
        let take = HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
        let asked = StartRequest::End { pay_now: Amount::ZERO };
        let order = OpenCase { contract, take, asked, ..World::opening("refund-request:c-1", "run", None) };
        let receipt = world.effects.ledger.open(&order).await.unwrap();
        assert!(matches!(receipt, OpenReceipt::Refused { rule: Rule::E14, .. }), "{receipt:?}");
    }
    assert!(world.bank.look_up("escrow-deposit:c-1:d-1/deposit").await.unwrap().is_none());
}

/// E15: a deposit that would make a sum too large is refused before the charge; a charge of an earlier build goes back.
#[tokio::test]
async fn a_deposit_that_makes_a_sum_too_large_is_not_charged() {
    let world = World::new().await;
    let made = world.deposit("d-1", AMOUNT_MAX).await;
    assert!(matches!(made, DepositReceipt::Deposited { .. }), "{made:?}");
    let refused = |receipt: &DepositReceipt| matches!(receipt, DepositReceipt::Refused { rule: Rule::E15, .. });
    let receipt = world.deposit("d-2", 1).await;
    assert!(refused(&receipt), "{receipt:?}");
    assert!(world.bank.look_up("escrow-deposit:c-1:d-2/deposit").await.unwrap().is_none());

    let charge = Charge { source: id("card-1"), currency: contract("c-1").currency, amount: amount(1) };
    world.bank.charge("escrow-deposit:c-1:d-3/deposit", &charge).await.unwrap();
    for _ in 0..2 {
        let receipt = world.deposit("d-3", 1).await;
        assert!(refused(&receipt), "{receipt:?}");
    }
    let back = world.bank.look_up("escrow-deposit:c-1:d-3/deposit/back").await.unwrap().unwrap();
    assert!(back.declined.is_none(), "{back:?}");
    let receipt = world.fund("d-4", "m-1", 1).await;
    assert!(refused(&receipt), "{receipt:?}");
}

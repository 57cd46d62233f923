use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use recourse_database::testing::{TestDatabase, amount, at, contract, id};
use recourse_domain::{
    opening::StartRequest,
    party::Role,
    posting::{Close, Remainder, refund_legs},
};
use recourse_notifications::NoticeBook;
use recourse_payments::{Fault, GatewayMovement, PayOut, SandboxBank};
use recourse_workflows::effects::{DepositOrder, DepositReceipt, HoldRequest, OpenCase, OpenReceipt, OpenedCase};
use temporalio_sdk::WorkerOptions;

use super::*;
use crate::NoticeActivities;
use steps::{held_over_from, milestone};

mod closing;
mod contracts;
mod holds;
mod milestone_deposits;
mod milestones;
mod payments;
mod starts;
mod steps;
mod together;

struct World {
    test: TestDatabase,
    bank: SandboxBank,
    effects: EscrowActivities,
}

impl World {
    async fn new() -> Self {
        let test = TestDatabase::new().await;
        let bank = SandboxBank::new(test.database.clone());
        let effects = EscrowActivities::new(Ledger::new(test.database.clone()), Arc::new(bank.clone()));
        Self { test, bank, effects }
    }

    fn order(deposit: &str, minor: i64) -> DepositOrder {
        DepositOrder {
            case: format!("escrow-deposit:c-1:{deposit}"),
            contract: contract("c-1"),
            deposit: id(deposit),
            milestone: None,
            amount: amount(minor),
            source: id("card-1"),
            at: at(),
        }
    }

    async fn deposit(&self, deposit: &str, minor: i64) -> DepositReceipt {
        self.effects.make_deposit(&Self::order(deposit, minor)).await.unwrap()
    }

    fn opening(case: &str, first_run: &str, take_over: Option<&str>) -> OpenCase {
        OpenCase {
            case: case.into(),
            first_run: first_run.into(),
            contract: contract("c-1"),
            take: take_over.map_or(HoldRequest::Free, |case| HoldRequest::Over { case: case.into() }),
            asked: StartRequest::Nothing,
            at: at(),
        }
    }

    async fn open(&self, case: &str, first_run: &str, take_over: Option<&str>) -> Result<OpenedCase, LedgerError> {
        match self.effects.ledger.open(&Self::opening(case, first_run, take_over)).await? {
            OpenReceipt::Opened(opened) => Ok(opened),
            other => unreachable!("{other:?}"),
        }
    }

    fn settlement(opened: &OpenedCase, movements: Vec<Movement>, close: bool) -> Settlement {
        Settlement {
            case: opened.case_ref.split('#').next().unwrap().into(),
            case_ref: opened.case_ref.clone(),
            contract: contract("c-1"),
            movements,
            close: close.then_some(Close { remainder: Remainder::AsItWas, milestone_done: false }),
            at: at(),
        }
    }

    async fn settle(&self, opened: &OpenedCase, movements: Vec<Movement>, close: bool) -> Result<Settled, EscrowError> {
        self.effects.carry_out(&Self::settlement(opened, movements, close)).await
    }

    /// Runs an effect as Temporal does: again and again until it succeeds. Fails the test if it never does.
    async fn until_it_answers<T, F>(&self, effect: impl Fn() -> F) -> (T, u32)
    where
        F: Future<Output = Result<T, EscrowError>>,
    {
        for tries in 1..20 {
            match effect().await {
                Ok(answer) => return (answer, tries),
                Err(error) => {
                    assert!(matches!(error, EscrowError::Gateway(GatewayError::Unavailable { .. })), "{error}");
                }
            }
        }
        unreachable!("the effect never answers");
    }

    /// What the bank moved and what the ledger posted: the same ids and amounts, each once.
    async fn both_sides(&self) -> Vec<(String, i64)> {
        let moved = |movement: GatewayMovement| {
            let minor = match &movement.request {
                Request::Charge(charge) => charge.amount.minor(),
                Request::Refund(refund) => refund.amount.minor(),
                Request::PayOut(pay_out) => pay_out.amount.minor(),
            };
            movement.declined.is_none().then_some((movement.key, minor))
        };
        let bank: Vec<_> = self.bank.movements().await.unwrap().into_iter().filter_map(moved).collect();
        let history = self.effects.ledger.history(&id("c-1"), at()).await.unwrap();
        let ledger: Vec<_> = history
            .into_iter()
            .flat_map(|history| history.entries)
            .filter(|entry| entry.debit.starts_with("source:") || entry.credit.starts_with("source:"))
            .map(|entry| (entry.id, entry.amount))
            .collect();
        let sorted = |mut movements: Vec<(String, i64)>| {
            movements.sort();
            movements
        };
        assert_eq!(sorted(bank), sorted(ledger.clone()), "the bank's books and the ledger differ");
        let report = self.effects.ledger.check().await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        ledger
    }
}

fn release(step: &str, minor: i64) -> Movement {
    Movement::Release { step: step.into(), amount: amount(minor), rule: Rule::D3, available_at: at() }
}

fn refund(deposit: &str, minor: i64) -> Movement {
    Movement::Refund {
        step: format!("refund:{deposit}"),
        amount: amount(minor),
        rule: Rule::R4,
        deposit: id(deposit),
        source: id("card-1"),
        charge: format!("escrow-deposit:c-1:{deposit}/deposit"),
        expected_by: at(),
    }
}

const FAULTS: [Option<Fault>; 4] =
    [None, Some(Fault::FailBefore), Some(Fault::FailAfter), Some(Fault::Late(Duration::from_millis(5)))];

fn fee_order() -> FeeOrder {
    FeeOrder {
        case: "dispute:c-1".into(),
        case_ref: "dispute:c-1".into(),
        contract: contract("c-1"),
        party: Role::Client,
        source: id("card-1"),
        step: "fee:client".into(),
        amount: amount(33_750),
        at: at(),
    }
}

/// L5, L6: whatever fault the provider has, each movement is made once on both sides.
#[tokio::test]
async fn every_fault_of_the_provider_leaves_one_movement_on_both_sides() {
    for fault in FAULTS {
        let world = World::new().await;
        let plan = async |times| {
            if let Some(fault) = fault {
                world.bank.set_fault(Some(&id("card-1")), fault, times).await.unwrap();
            }
        };
        plan(2).await;
        let order = World::order("d-1", 30_000);
        let (receipt, tries) = world.until_it_answers(|| world.effects.make_deposit(&order)).await;
        let deposited =
            DepositReceipt::Deposited { charged: amount(30_000), from_held: Amount::ZERO, held: amount(30_000) };
        assert_eq!(receipt, deposited, "{fault:?}");
        assert_eq!(
            tries,
            match fault {
                Some(Fault::FailBefore) => 3,
                Some(Fault::FailAfter) => 2,
                _ => 1,
            },
            "{fault:?}"
        );
        world.bank.clear_faults().await.unwrap();

        plan(1).await;
        let fee = fee_order();
        let (receipt, _) = world.until_it_answers(|| world.effects.take_fee(&fee)).await;
        assert_eq!(receipt, FeeReceipt::Paid { charge: "dispute:c-1/fee:client".into() });
        world.bank.clear_faults().await.unwrap();

        let opened = world.open("dispute:c-1", "run", None).await.unwrap();
        plan(3).await;
        let fee_return = Movement::FeeReturn {
            step: "fee-return:client".into(),
            amount: amount(33_750),
            rule: Rule::A3,
            source: id("card-1"),
            charge: "dispute:c-1/fee:client".into(),
            expected_by: at(),
        };
        let movements = vec![release("release", 9_000), refund("d-1", 21_000), fee_return];
        let settlement = World::settlement(&opened, movements, true);
        let (settled, _) = world.until_it_answers(|| world.effects.carry_out(&settlement)).await;
        assert_eq!(settled.postings.len(), 3);
        assert_eq!(world.effects.carry_out(&settlement).await.unwrap(), settled, "asked again");
        assert_eq!(
            world.both_sides().await,
            [
                ("escrow-deposit:c-1:d-1/deposit".to_owned(), 30_000),
                ("dispute:c-1/fee:client".to_owned(), 33_750),
                ("dispute:c-1/refund:d-1".to_owned(), 21_000),
                ("dispute:c-1/fee-return:client".to_owned(), 33_750),
            ],
            "{fault:?}"
        );
    }
}

/// L5: a retry repairs a crash between the provider and the ledger.
#[tokio::test]
async fn a_retry_repairs_a_crash_between_charge_and_posting() {
    let world = World::new().await;
    let charge = Charge { source: id("card-1"), currency: contract("c-1").currency, amount: amount(500) };
    world.bank.charge("escrow-deposit:c-1:d-1/deposit", &charge).await.unwrap();
    world.deposit("d-1", 500).await;
    assert_eq!(world.both_sides().await, [("escrow-deposit:c-1:d-1/deposit".to_owned(), 500)]);
}

/// A provider that forgets its keys after a while, as real ones do. Only a look-up keeps it from charging again.
#[derive(Debug)]
struct Forgetful {
    bank: SandboxBank,
    charges: AtomicU32,
}

#[async_trait::async_trait]
impl PaymentGateway for Forgetful {
    async fn charge(&self, key: &str, charge: &Charge) -> Result<(), GatewayError> {
        self.charges.fetch_add(1, Ordering::SeqCst);
        self.bank.charge(key, charge).await
    }

    async fn refund(&self, key: &str, refund: &Refund) -> Result<(), GatewayError> {
        self.bank.refund(key, refund).await
    }

    async fn pay_out(&self, key: &str, pay_out: &PayOut) -> Result<(), GatewayError> {
        self.bank.pay_out(key, pay_out).await
    }

    async fn look_up(&self, key: &str) -> Result<Option<GatewayMovement>, GatewayError> {
        self.bank.look_up(key).await
    }
}

/// L6: the effect looks an unknown outcome up, and does not charge again.
#[tokio::test]
async fn a_charge_with_a_lost_answer_is_looked_up_and_not_repeated() {
    let world = World::new().await;
    let gateway = Arc::new(Forgetful { bank: world.bank.clone(), charges: AtomicU32::new(0) });
    let effects = EscrowActivities::new(world.effects.ledger.clone(), gateway.clone());
    world.bank.set_fault(None, Fault::FailAfter, 1).await.unwrap();
    let order = World::order("d-1", 500);
    let (receipt, tries) = world.until_it_answers(|| effects.make_deposit(&order)).await;
    assert!(matches!(receipt, DepositReceipt::Deposited { .. }));
    assert_eq!((tries, gateway.charges.load(Ordering::SeqCst)), (2, 1));
    world.both_sides().await;
}

/// As with a worker that Temporal has given up and that still works.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_deposit_at_once_is_made_once_and_gets_one_answer() {
    let world = Arc::new(World::new().await);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.deposit("d-1", 500).await })
        })
        .collect();
    for task in tasks {
        let made = DepositReceipt::Deposited { charged: amount(500), from_held: Amount::ZERO, held: amount(500) };
        assert_eq!(task.await.unwrap(), made);
    }
    assert_eq!(world.both_sides().await.len(), 1);
}

#[tokio::test]
async fn a_declined_charge_deposits_nothing_and_stays_declined() {
    let world = World::new().await;
    world.bank.set_fault(None, Fault::Decline, 2).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(world.deposit("d-1", 500).await, DepositReceipt::Declined { .. }));
    }
    let order = DepositOrder { amount: amount(600), ..World::order("d-1", 500) };
    assert!(matches!(world.effects.make_deposit(&order).await.unwrap(), DepositReceipt::Conflict { .. }));
    assert_eq!(world.both_sides().await, []);
    world.bank.clear_faults().await.unwrap();
    assert!(matches!(world.deposit("d-2", 500).await, DepositReceipt::Deposited { .. }));
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    let FeeReceipt::Declined { reason } = world.effects.take_fee(&fee_order()).await.unwrap() else {
        unreachable!("the bank was told to decline")
    };
    assert!(!reason.is_empty());
    assert_eq!(world.both_sides().await.len(), 1);
}

#[tokio::test]
async fn a_deposit_with_other_content_is_a_conflict_and_charges_nothing() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    let first = world.deposit("d-1", 500).await;
    world.deposit("d-2", 100).await;
    assert_eq!(world.deposit("d-1", 500).await, first, "the same answer, although the escrow holds more now");
    let order = World::order("d-1", 500);
    let mut euros = World::order("d-3", 500);
    euros.contract.currency = Currency::from_code("EUR").unwrap();
    for (other, word) in [
        (DepositOrder { amount: amount(600), ..order.clone() }, "amount was 5.00 and is now 6.00"),
        (DepositOrder { source: id("card-2"), ..order.clone() }, "source was card-1 and is now card-2"),
        (DepositOrder { milestone: Some(id("m-1")), ..order.clone() }, "milestone was none and is now m-1"),
        (euros, "currency was USD and is now EUR"),
    ] {
        let DepositReceipt::Conflict { reason } = world.effects.make_deposit(&other).await.unwrap() else {
            unreachable!("{word}")
        };
        assert!(reason.contains(word), "{reason}");
    }
    assert_eq!(world.both_sides().await.len(), 2);
    let error = world.effects.make_deposit(&World::order("d-4", 0)).await.unwrap_err();
    assert_eq!(error.type_name(), "NothingToCharge");
}

/// L2: the same id with other content calls an operator, before any money moves.
#[tokio::test]
async fn the_same_posting_id_with_other_content_is_an_error() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    let opened = world.open("refund-request:c-1", "run", None).await.unwrap();
    world.settle(&opened, vec![release("pay-now", 100)], false).await.unwrap();
    world.settle(&opened, vec![release("pay-now", 100)], false).await.unwrap();
    let error = world.settle(&opened, vec![refund("d-1", 50), release("pay-now", 101)], false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "posting refund-request:c-1/pay-now was made before with other content: amount was 100 and is now 101"
    );
    assert_eq!(error.type_name(), "PostingConflict");
    assert_eq!(world.both_sides().await.len(), 1, "the earlier refund was not made either");
}

/// L3, R7: the effect never asks the provider for what the ledger would refuse.
#[tokio::test]
async fn the_provider_is_never_asked_for_more_than_a_case_holds() {
    let world = World::new().await;
    world.deposit("d-1", 300).await;
    world.deposit("d-2", 200).await;
    let opened = world.open("refund-request:c-1", "run", None).await.unwrap();
    let stranger = OpenedCase { case_ref: "dispute:c-1:m-1".into(), ..opened.clone() };
    let wrong_source = Movement::Refund {
        step: "refund:d-1".into(),
        amount: amount(1),
        rule: Rule::R4,
        deposit: id("d-1"),
        source: id("card-2"),
        charge: "escrow-deposit:c-1:d-1/deposit".into(),
        expected_by: at(),
    };
    for (case, movements, name) in [
        (&opened, vec![refund("d-1", 300), refund("d-2", 200), release("release", 1)], "ExceedsHold"),
        (&stranger, vec![refund("d-1", 1)], "ExceedsHold"),
        (&stranger, vec![release("release", 1)], "ExceedsHold"),
        (&opened, vec![refund("d-2", 201)], "RefundMismatch"),
        (&opened, vec![refund("d-9", 1)], "RefundMismatch"),
        (&opened, vec![wrong_source], "RefundMismatch"),
    ] {
        let error = world.settle(case, movements, true).await.unwrap_err();
        assert_eq!(error.type_name(), name, "{error}");
    }
    assert_eq!(world.both_sides().await.len(), 2);
    world.settle(&opened, vec![release("nothing", 0)], true).await.unwrap();
    let error = world.settle(&opened, vec![release("release", 1)], true).await.unwrap_err();
    assert_eq!(error.type_name(), "ExceedsHold", "a closed case moves nothing");
}

#[tokio::test]
async fn a_repeated_opening_gets_the_same_answer_and_a_second_case_its_own_number() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    let first = world.open("refund-request:c-1", "run-1", None).await.unwrap();
    assert_eq!((first.case_ref.as_str(), first.held), ("refund-request:c-1", amount(500)));
    world.settle(&first, vec![release("release", 200)], false).await.unwrap();
    assert_eq!(world.open("refund-request:c-1", "run-1", None).await.unwrap(), first, "the same answer as before");
    world.settle(&first, vec![refund("d-1", 100)], true).await.unwrap();
    let second = world.open("refund-request:c-1", "run-2", None).await.unwrap();
    assert_eq!((second.case_ref.as_str(), second.held), ("refund-request:c-1#2", amount(200)));
    assert_eq!(second.deposits[0].left, amount(400));
    world.settle(&second, vec![refund("d-1", 200)], true).await.unwrap();
    assert_eq!(world.both_sides().await.len(), 3);
}

/// R6: a dispute decides about the money that its refund request held, and about no other.
#[tokio::test]
async fn a_dispute_takes_over_the_whole_hold() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    let request = world.open("refund-request:c-1", "run", None).await.unwrap();
    world.settle(&request, vec![release("pay-now", 100)], false).await.unwrap();
    world.deposit("d-2", 70).await;
    let dispute = world.open("dispute:c-1", "run", Some("refund-request:c-1")).await.unwrap();
    assert_eq!(dispute.held, amount(400));
    assert_eq!(world.open("dispute:c-1", "run", Some("refund-request:c-1")).await.unwrap(), dispute);
    let error = world.settle(&request, vec![release("release", 1)], false).await.unwrap_err();
    assert_eq!(error.type_name(), "ExceedsHold");
    world.settle(&request, vec![release("pay-now", 100)], true).await.unwrap();
    let legs = refund_legs(&dispute.deposits, amount(400), Rule::A2, at()).unwrap();
    world.settle(&dispute, legs, true).await.unwrap();
    assert_eq!(world.open("other", "run", None).await.unwrap().held, amount(70));
    let error = world.open("other-2", "run", Some("no-such-case")).await.unwrap_err();
    assert_eq!(error.type_name(), "UnknownCase");
    let balances = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().balances;
    assert_eq!((balances.escrow, balances.client, balances.freelancer_available), (70, 400, 100));
    world.both_sides().await;
}

/// L3, L5: many cases at once, all of them retried, never overdraw.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_cases_never_overdraw() {
    const CLIENTS: usize = 32;
    let world = Arc::new(World::new().await);
    world.deposit("d-1", 1_000).await;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let world = world.clone();
            tokio::spawn(async move {
                // Two tasks for each case, as with a worker that Temporal has given up and that still works.
                let opened = world.open(&format!("dispute:c-1:m-{}", number / 2), "run", None).await.unwrap();
                let some = opened.held.min(amount(300));
                let legs = vec![release("release", some.minor()), release("greedy", 1)];
                let greedy = world.settle(&opened, legs, false).await;
                assert_eq!(greedy.is_err(), opened.held.is_zero(), "{greedy:?}");
                let done = world.settle(&opened, vec![refund("d-1", some.minor())], false).await.unwrap();
                (opened.held, done.postings.len())
            })
        })
        .collect();
    let mut held = Vec::new();
    for task in tasks {
        held.push(task.await.unwrap().0.minor());
    }
    held.sort_unstable();
    let (nothing, everything) = held.split_at(CLIENTS - 2);
    assert!(nothing.iter().all(|held| *held == 0) && everything == [1_000, 1_000], "one case got it all: {held:?}");
    assert_eq!(world.both_sides().await.len(), 2);
    let balances = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().balances;
    assert_eq!((balances.escrow, balances.client, balances.freelancer_available), (399, 300, 301));
}

/// The declarations name the effects; this checks that each is implemented.
#[tokio::test]
async fn the_effects_can_be_registered_with_a_worker() {
    let World { test, effects, .. } = World::new().await;
    let notices = NoticeActivities::new(NoticeBook::new(test.database.clone()));
    let _: WorkerOptions =
        WorkerOptions::new("recourse").register_activities(effects).register_activities(notices).build();
}

#[tokio::test]
async fn a_failing_effect_is_retryable_and_names_its_cause_once() {
    let world = World::new().await;
    world.bank.set_fault(None, Fault::FailAfter, 1).await.unwrap();
    let error = world.effects.make_deposit(&World::order("d-1", 500)).await.unwrap_err();
    let ActivityError::Application(failure) = retryable(error) else { unreachable!("an application failure") };
    assert_eq!((failure.type_name(), failure.is_non_retryable()), (Some("PaymentUnknown"), false));
    let error = failure.source_error();
    assert_eq!(error.to_string(), "the payment provider gave no answer to escrow-deposit:c-1:d-1/deposit");
    assert_eq!(error.source().unwrap().to_string(), "the sandbox bank broke off, as it was told to");
}

//! The desk with the real ledger, the sandbox bank and the notice book.

use recourse_activities::{EscrowActivities, escrow::EscrowError};
use recourse_database::testing::{TestDatabase, amount, at, contract, id, refused_by};
use recourse_domain::{
    money::Amount,
    opening::StartRequest,
    party::Actor,
    posting::{Close, Movement, Remainder},
    rule::Rule,
};
use recourse_notifications::notices::{NoticeFilter, StoredNotice};
use recourse_payments::{Charge, Fault, GatewayMovement, PayOut, Refund, SandboxBank};
use recourse_workflows::effects::{DepositOrder, FeeOrder, HoldRequest, OpenCase, OpenReceipt, Settled, Settlement};

use super::*;

mod give_up;
mod hints;
mod operator;
mod schema;
mod sweep;

const KEY: &str = "refund-request:c-1/refund:d-1";

/// Five business days after [`at`], a Thursday.
fn expected_by() -> Timestamp {
    "2026-12-10T10:00:00Z".parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    expected_by() + jiff::SignedDuration::from_hours(hours)
}

fn operator() -> Actor {
    Actor { party: Role::Operator, id: id("op-1") }
}

fn failed(reason: &str) -> Report {
    Report::Failed { reason: reason.into() }
}

struct World {
    test: TestDatabase,
    bank: SandboxBank,
    effects: EscrowActivities,
    desk: RefundDesk,
    ledger: Ledger,
    book: NoticeBook,
}

impl World {
    /// A world with 5.00 USD of card-1 in escrow.
    async fn new() -> Self {
        let test = TestDatabase::new().await;
        let bank = SandboxBank::new(test.database.clone());
        let ledger = Ledger::new(test.database.clone());
        let book = NoticeBook::new(test.database.clone());
        let effects = EscrowActivities::new(ledger.clone(), Arc::new(bank.clone()));
        let desk = RefundDesk::new(ledger.clone(), Arc::new(bank.clone()), book.clone());
        let world = Self { test, bank, effects, desk, ledger, book };
        let order = DepositOrder {
            case: "escrow-deposit:c-1:d-1".into(),
            contract: contract("c-1"),
            deposit: id("d-1"),
            milestone: None,
            amount: amount(500),
            source: id("card-1"),
            at: at(),
        };
        world.effects.make_deposit(&order).await.unwrap();
        world
    }

    /// The same, with all of it refunded.
    async fn refunded() -> Self {
        let world = Self::new().await;
        world.refund().await.unwrap();
        world
    }

    async fn refund(&self) -> Result<Settled, EscrowError> {
        self.give_back(Self::part("refund:d-1", 500)).await
    }

    fn part(step: &str, minor: i64) -> Movement {
        Movement::Refund {
            step: step.into(),
            amount: amount(minor),
            rule: Rule::R4,
            deposit: id("d-1"),
            source: id("card-1"),
            charge: "escrow-deposit:c-1:d-1/deposit".into(),
            expected_by: expected_by(),
        }
    }

    async fn give_back(&self, movement: Movement) -> Result<Settled, EscrowError> {
        self.settle(vec![movement]).await
    }

    async fn settle(&self, movements: Vec<Movement>) -> Result<Settled, EscrowError> {
        let order = OpenCase {
            case: "refund-request:c-1".into(),
            first_run: "run".into(),
            contract: contract("c-1"),
            take: HoldRequest::Free,
            asked: StartRequest::Nothing,
            at: at(),
        };
        let OpenReceipt::Opened(_) = self.ledger.open(&order).await.unwrap() else { unreachable!("it is free") };
        let settlement = Settlement {
            case: "refund-request:c-1".into(),
            case_ref: "refund-request:c-1".into(),
            contract: contract("c-1"),
            movements,
            close: Some(Close { remainder: Remainder::AsItWas, milestone_done: false }),
            at: at(),
        };
        self.effects.carry_out(&settlement).await
    }

    async fn only(&self) -> TrackedRefund {
        let mut all = self.desk.list(&RefundFilter::default(), at()).await.unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// The amounts in escrow, in suspense, and back at the client's billing methods. Checks that the ledger is sound.
    async fn money(&self) -> (i64, i64, i64) {
        let report = self.ledger.check().await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        let balances = self.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().balances;
        (balances.escrow, balances.suspense, balances.client)
    }

    /// The ids of the postings after the deposit's.
    async fn postings(&self) -> Vec<String> {
        let entries = self.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries;
        entries.into_iter().skip(1).map(|entry| entry.id).collect()
    }

    async fn told(&self) -> Vec<StoredNotice> {
        self.book.list(&NoticeFilter::default()).await.unwrap()
    }

    /// Event and recipient of every notice.
    async fn events(&self) -> Vec<(String, Role)> {
        self.told().await.into_iter().map(|notice| (notice.event, notice.recipient)).collect()
    }
}

fn events(names: &[&str]) -> Vec<(String, Role)> {
    names.iter().flat_map(|name| [Role::Operator, Role::Client].map(|role| ((*name).to_owned(), role))).collect()
}

#[tokio::test]
async fn a_refund_is_issued_with_its_posting_and_settles_when_the_source_confirms() {
    let world = World::refunded().await;
    let issued = world.only().await;
    assert_eq!((issued.id.as_str(), issued.origin.as_str(), issued.kind.as_str()), (KEY, KEY, "refund"));
    assert_eq!((issued.amount, issued.source.clone(), issued.state), (amount(500), id("card-1"), RefundState::Issued));
    assert_eq!((issued.issued_at, issued.expected_by, issued.overdue), (at(), expected_by(), false));
    assert_eq!(world.refund().await.unwrap().postings, [KEY], "the effect again");
    assert_eq!(world.only().await, issued);
    for _ in 0..2 {
        let settled = world.desk.report(KEY, &Report::Settled).await.unwrap();
        assert_eq!(settled, TrackedRefund { state: RefundState::Settled, ..issued.clone() });
    }
    assert_eq!(world.money().await, (0, 0, 500));
    assert_eq!(world.postings().await, [KEY]);
    assert_eq!(world.told().await, []);
}

/// N2: each recipient gets one notice, the client also an email.
#[tokio::test]
async fn a_failed_refund_is_parked_once_and_an_operator_is_notified() {
    let world = World::refunded().await;
    for reason in ["the card was closed", "again"] {
        let refund = world.desk.report(KEY, &failed(reason)).await.unwrap();
        assert_eq!((refund.state, refund.reason.as_deref()), (RefundState::Failed, Some("the card was closed")));
        assert_eq!(world.money().await, (0, 500, 0), "it did not reach the client");
    }
    let parked = format!("{KEY}/to_suspense");
    assert_eq!(world.postings().await, [KEY, &parked]);
    let entry = world.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries.remove(2);
    assert_eq!(
        (entry.kind.as_str(), entry.debit.as_str(), entry.credit.as_str(), entry.case.as_str(), entry.rule.as_str()),
        ("to_suspense", "source:card-1", "suspense:c-1", "refund-request:c-1", "R8")
    );
    world.desk.park_overdue(later(100)).await.unwrap();
    assert_eq!(world.events().await, events(&["refund_failed"]));
    let told = world.told().await;
    assert!(told.iter().all(|notice| notice.case_ref == KEY && notice.rule == "R8" && notice.number == 1));
    assert!(told[0].text.contains("the card was closed") && told[0].text.contains("5.00 USD"), "{}", told[0].text);
    let emails = world.book.emails().await.unwrap();
    assert_eq!(emails.iter().map(|email| email.recipient).collect::<Vec<_>>(), [Role::Client]);
}

#[tokio::test]
async fn contradictory_and_unknown_reports_are_errors_and_move_nothing() {
    let world = World::refunded().await;
    let error = world.desk.report("refund-request:c-1/refund:d-9", &Report::Settled).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no refund refund-request:c-1/refund:d-9");
    world.desk.report(KEY, &Report::Settled).await.unwrap();
    let error = world.desk.report(KEY, &failed("late")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("refund {KEY} is reported as failed, and is settled already"));
    assert_eq!(world.money().await, (0, 0, 500));

    let world = World::refunded().await;
    world.desk.report(KEY, &failed("closed")).await.unwrap();
    let error = world.desk.report(KEY, &Report::Settled).await.unwrap_err();
    assert!(matches!(error, RefundError::Contradiction { state: RefundState::Failed, .. }), "{error}");
    assert_eq!(world.money().await, (0, 500, 0));
}

/// It is decided whose money it is: the case goes on, and an operator handles the money.
#[tokio::test]
async fn a_refund_declined_for_good_is_posted_and_parked_and_its_effect_succeeds() {
    let world = World::new().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.refund().await.unwrap().postings, [KEY]);
    }
    let refund = world.only().await;
    assert_eq!(refund.state, RefundState::Failed);
    assert_eq!(refund.reason.as_deref(), Some("declined, as it was told to"));
    assert_eq!(world.money().await, (0, 500, 0));
    assert_eq!(world.postings().await, [KEY.to_owned(), format!("{KEY}/to_suspense")]);
    assert_eq!(world.told().await, [], "the desk stores the notices, not the effect");
    assert_eq!(world.desk.park_overdue(at()).await.unwrap(), Swept::default());
    assert_eq!(world.events().await, events(&["refund_failed"]));
    assert!(world.bank.unsettled().await.unwrap().is_empty());
}

/// A fee was never the contract's money, so it does not count as the client's. The notice goes to the party that paid
/// the fee.
#[tokio::test]
async fn a_fee_return_is_followed_like_a_refund_and_the_payer_is_notified() {
    for (source, owner) in [("card-1", Role::Client), ("fl-1", Role::Freelancer)] {
        let world = World::new().await;
        let fee = FeeOrder {
            case: "refund-request:c-1".into(),
            case_ref: "refund-request:c-1".into(),
            contract: contract("c-1"),
            party: owner,
            source: id(source),
            step: "fee".into(),
            amount: amount(70),
            at: at(),
        };
        world.effects.take_fee(&fee).await.unwrap();
        world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
        let movement = Movement::FeeReturn {
            step: "fee_return".into(),
            amount: amount(70),
            rule: Rule::A3,
            source: id(source),
            charge: "refund-request:c-1/fee".into(),
            expected_by: expected_by(),
        };
        world.give_back(movement).await.unwrap();
        assert_eq!(world.money().await, (500, 70, 0));
        world.desk.park_overdue(at()).await.unwrap();
        let told = world.events().await;
        assert_eq!(told, [("refund_failed".to_owned(), Role::Operator), ("refund_failed".to_owned(), owner)]);
        let retried = world.desk.retry("refund-request:c-1/fee_return", &operator(), at()).await.unwrap();
        assert_eq!((retried.kind.as_str(), retried.state), ("fee_return", RefundState::Issued));
        assert_eq!(world.money().await, (500, 0, 0));
        world.desk.report(&retried.id, &failed("again")).await.unwrap();
        assert_eq!(world.money().await, (500, 70, 0));
    }
}

#[tokio::test]
async fn an_overdue_refund_is_marked_at_its_date_and_parked_once_with_notices() {
    let world = World::refunded().await;
    let flagged =
        async |now| world.desk.list(&RefundFilter { only: Only::Parked, ..RefundFilter::default() }, now).await;
    assert_eq!(flagged(later(-1)).await.unwrap(), []);
    assert_eq!(world.desk.park_overdue(later(-1)).await.unwrap(), Swept::default());
    let about_to_be = flagged(expected_by()).await.unwrap().remove(0);
    assert_eq!((about_to_be.state, about_to_be.overdue), (RefundState::Issued, true));
    assert_eq!(world.money().await, (0, 0, 500));
    let swept = world.desk.park_overdue(expected_by()).await.unwrap();
    assert_eq!(swept, Swept { overdue: 1, ..Swept::default() });
    assert_eq!(world.desk.park_overdue(later(1)).await.unwrap(), Swept::default());
    let parked = flagged(at()).await.unwrap().remove(0);
    assert_eq!((parked.state, parked.overdue), (RefundState::Overdue, true));
    assert_eq!(world.money().await, (0, 500, 0));
    assert_eq!(world.events().await, events(&["refund_overdue"]));
}

#[tokio::test]
async fn an_overdue_refund_that_settles_after_all_leaves_suspense_and_one_that_fails_stays() {
    let world = World::refunded().await;
    world.desk.park_overdue(later(0)).await.unwrap();
    for _ in 0..2 {
        let settled = world.desk.report(KEY, &Report::Settled).await.unwrap();
        assert_eq!((settled.state, settled.overdue, settled.reason), (RefundState::Settled, false, None));
        assert_eq!(world.money().await, (0, 0, 500));
    }
    assert_eq!(world.postings().await[2], format!("{KEY}/from_suspense"));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_settled_after_all"]));

    let world = World::refunded().await;
    world.desk.park_overdue(later(0)).await.unwrap();
    let refund = world.desk.report(KEY, &failed("closed")).await.unwrap();
    assert_eq!((refund.state, refund.reason.as_deref()), (RefundState::Failed, Some("closed")));
    assert_eq!((world.money().await, world.postings().await.len()), ((0, 500, 0), 2));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_failed"]));
}

/// L6: the desk asks the provider before it marks anything as overdue.
#[tokio::test]
async fn the_sweep_finds_refunds_that_settled_or_failed_without_a_report() {
    let world = World::refunded().await;
    world.bank.settle(KEY).await.unwrap();
    assert_eq!(world.desk.park_overdue(later(0)).await.unwrap(), Swept { settled: 1, ..Swept::default() });
    assert_eq!((world.money().await, world.only().await.state), ((0, 0, 500), RefundState::Settled));

    let world = World::refunded().await;
    world.bank.fail(KEY, "closed").await.unwrap();
    assert_eq!(world.desk.park_overdue(later(0)).await.unwrap(), Swept { failed: 1, ..Swept::default() });
    assert_eq!((world.money().await, world.only().await.reason.as_deref()), ((0, 500, 0), Some("closed")));
    assert_eq!(world.events().await, events(&["refund_failed"]));
}

/// A provider that never answers.
#[derive(Debug)]
struct Silent;

impl Silent {
    fn answer<T>(key: &str) -> Result<T, GatewayError> {
        Err(GatewayError::Unavailable { key: key.to_owned(), source: "no answer".into() })
    }
}

#[async_trait::async_trait]
impl PaymentGateway for Silent {
    async fn charge(&self, key: &str, _: &Charge) -> Result<(), GatewayError> {
        Self::answer(key)
    }

    async fn refund(&self, key: &str, _: &Refund) -> Result<(), GatewayError> {
        Self::answer(key)
    }

    async fn pay_out(&self, key: &str, _: &PayOut) -> Result<(), GatewayError> {
        Self::answer(key)
    }

    async fn look_up(&self, key: &str) -> Result<Option<GatewayMovement>, GatewayError> {
        Self::answer(key)
    }
}

#[tokio::test]
async fn the_sweep_asks_again_about_a_refund_without_an_answer() {
    let world = World::refunded().await;
    let silent = RefundDesk::new(world.ledger.clone(), Arc::new(Silent), world.book.clone());
    assert_eq!(silent.park_overdue(later(0)).await.unwrap(), Swept { unanswered: 1, ..Swept::default() });
    assert_eq!((world.money().await, world.only().await.state), ((0, 0, 500), RefundState::Issued));
    assert_eq!(world.desk.park_overdue(later(0)).await.unwrap(), Swept { overdue: 1, ..Swept::default() });
}

/// As with several workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sweeps_and_reports_at_once_park_once() {
    let world = World::refunded().await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let desk = world.desk.clone();
            tokio::spawn(async move {
                if number % 2 == 0 {
                    desk.park_overdue(later(0)).await.unwrap().overdue
                } else {
                    desk.report(KEY, &failed("closed")).await.unwrap();
                    0
                }
            })
        })
        .collect();
    let mut parked = 0;
    for task in tasks {
        parked += task.await.unwrap();
    }
    assert!(parked <= 1, "{parked}");
    assert_eq!((world.money().await, world.only().await.state), ((0, 500, 0), RefundState::Failed));
    assert_eq!(world.postings().await.len(), 2);
    let told = world.events().await;
    assert!(told.len() <= 4 && told.contains(&("refund_failed".to_owned(), Role::Client)), "{told:?}");
}

#[tokio::test]
async fn the_desk_sweeps_at_once_and_stops_at_shutdown() {
    let world = World::new().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    world.refund().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(world.desk.clone().run(async {
        let _ = stopped.await;
    }));
    let told = async {
        while world.told().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), running).await.unwrap().unwrap();
}

#[tokio::test]
async fn refunds_are_listed_by_contract_and_state() {
    let world = World::refunded().await;
    let count = async |contract: Option<&str>, only| {
        let filter = RefundFilter { contract: contract.map(id), only, ..RefundFilter::default() };
        world.desk.list(&filter, at()).await.unwrap().len()
    };
    assert_eq!((count(None, Only::All).await, count(Some("c-1"), Only::All).await), (1, 1));
    assert_eq!(count(Some("c-2"), Only::All).await, 0);
    assert_eq!((count(None, Only::Open).await, count(None, Only::Parked).await), (1, 0));
    world.bank.fail(KEY, "closed").await.unwrap();
    world.desk.report(KEY, &failed("closed")).await.unwrap();
    assert_eq!((count(None, Only::Open).await, count(None, Only::Parked).await), (1, 1));
    let next = world.desk.retry(KEY, &operator(), at()).await.unwrap();
    assert_eq!((count(None, Only::All).await, count(None, Only::Open).await), (2, 1));
    world.desk.report(&next.id, &Report::Settled).await.unwrap();
    assert_eq!((count(None, Only::Open).await, count(None, Only::Parked).await), (0, 0));
}

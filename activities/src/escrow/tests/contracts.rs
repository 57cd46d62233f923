//! E1: a contract's first deposit fixes its parties, and nobody else moves its money.

use recourse_domain::party::{Agency, Contract};

use super::*;

/// The contract with one change that matters for money, and the word for it.
fn others() -> [(Contract, &'static str); 4] {
    let changed = |change: fn(&mut Contract)| {
        let mut contract = contract("c-1");
        change(&mut contract);
        contract
    };
    [
        (changed(|other| other.client.id = id("cl-9")), "client was cl-1 and is now cl-9"),
        (changed(|other| other.freelancer.id = id("fl-9")), "freelancer was fl-1 and is now fl-9"),
        (
            changed(|other| other.freelancer.agency = Some(Agency { id: id("ag-9"), name: None })),
            "agency was none and is now ag-9",
        ),
        (changed(|other| other.currency = Currency::from_code("EUR").unwrap()), "currency was USD and is now EUR"),
    ]
}

/// The same contract for the ledger: only names differ.
fn renamed() -> Contract {
    let mut renamed = contract("c-1");
    renamed.title = "Another title".into();
    renamed.client.name = None;
    renamed.freelancer.email = None;
    renamed
}

#[tokio::test]
async fn a_deposit_for_another_contract_is_a_conflict_and_charges_nothing() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    for (other, word) in others() {
        for deposit in ["d-1", "d-2"] {
            let order = DepositOrder { contract: other.clone(), ..World::order(deposit, 500) };
            let receipt = world.effects.make_deposit(&order).await.unwrap();
            let DepositReceipt::Conflict { reason } = receipt else { unreachable!("{word}") };
            assert!(reason.contains(word), "{reason}");
        }
    }
    assert_eq!(world.both_sides().await.len(), 1, "nothing more was charged");
    let order = DepositOrder { contract: renamed(), ..World::order("d-2", 500) };
    assert!(matches!(world.effects.make_deposit(&order).await.unwrap(), DepositReceipt::Deposited { .. }));
}

#[tokio::test]
async fn a_contract_without_its_agency_is_another_contract() {
    let world = World::new().await;
    let mut agency = contract("c-1");
    agency.freelancer.agency = Some(Agency { id: id("ag-1"), name: Some("Studio".into()) });
    let order = DepositOrder { contract: agency.clone(), ..World::order("d-1", 500) };
    world.effects.make_deposit(&order).await.unwrap();
    let DepositReceipt::Conflict { reason } = world.deposit("d-2", 500).await else { unreachable!("it is another") };
    assert!(reason.contains("agency was ag-1 and is now none"), "{reason}");
    if let Some(studio) = &mut agency.freelancer.agency {
        studio.name = None;
    }
    let order = DepositOrder { contract: agency, ..World::order("d-2", 500) };
    assert!(matches!(world.effects.make_deposit(&order).await.unwrap(), DepositReceipt::Deposited { .. }));
}

#[tokio::test]
async fn a_declined_deposit_pins_nothing() {
    let world = World::new().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    assert!(matches!(world.deposit("d-1", 500).await, DepositReceipt::Declined { .. }));
    let [(other, _), ..] = others();
    let order = DepositOrder { contract: other, ..World::order("d-2", 500) };
    assert!(matches!(world.effects.make_deposit(&order).await.unwrap(), DepositReceipt::Deposited { .. }));
}

/// Charges, while another first deposit is made at the same instant.
#[derive(Debug)]
struct Overtaken {
    bank: SandboxBank,
    other: EscrowActivities,
    order: DepositOrder,
}

#[async_trait::async_trait]
impl PaymentGateway for Overtaken {
    async fn charge(&self, key: &str, charge: &Charge) -> Result<(), GatewayError> {
        let receipt = self.other.make_deposit(&self.order).await.unwrap();
        assert!(matches!(receipt, DepositReceipt::Deposited { .. }));
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

/// A client who was charged never gets the answer that nothing was charged, however often the deposit is repeated.
#[tokio::test]
async fn a_charged_first_deposit_that_another_overtakes_is_never_reported_as_uncharged() {
    let world = World::new().await;
    let [(other, _), ..] = others();
    let gateway = Overtaken {
        bank: world.bank.clone(),
        other: world.effects.clone(),
        order: DepositOrder { contract: other.clone(), ..World::order("d-1", 500) },
    };
    let (slow, order) =
        (EscrowActivities::new(world.effects.ledger.clone(), Arc::new(gateway)), World::order("d-2", 70));
    for effects in [&slow, &slow, &world.effects] {
        let error = effects.make_deposit(&order).await.unwrap_err();
        assert_eq!(error.type_name(), "ChargeWithoutPlace");
        assert!(error.to_string().contains("client was cl-9 and is now cl-1"), "{error}");
    }
    let entries = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries;
    assert_eq!(entries.len(), 1, "the ledger has only the other deposit");
    // After the contract is corrected, the charge goes to its escrow.
    let put_right = DepositOrder { contract: other, ..order };
    assert!(matches!(world.effects.make_deposit(&put_right).await.unwrap(), DepositReceipt::Deposited { .. }));
    assert_eq!(world.both_sides().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_first_deposits_at_once_one_pins_the_contract() {
    let world = Arc::new(World::new().await);
    let orders = (0..8).map(|number| {
        let mut order = World::order(&format!("d-{number}"), 500);
        order.contract.client.id = id(&format!("cl-{}", number % 2));
        order
    });
    let tasks: Vec<_> = orders
        .map(|order| {
            let world = world.clone();
            tokio::spawn(async move { (order.contract.client.id.clone(), world.effects.make_deposit(&order).await) })
        })
        .collect();
    let mut winners = std::collections::BTreeSet::new();
    for task in tasks {
        match task.await.unwrap() {
            (client, Ok(DepositReceipt::Deposited { .. })) => drop(winners.insert(client)),
            (_, Ok(DepositReceipt::Conflict { .. }) | Err(EscrowError::ChargeWithoutPlace { .. })) => {}
            (_, other) => unreachable!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert!(world.effects.ledger.check().await.unwrap().is_sound());
}

#[tokio::test]
async fn opening_a_case_of_another_contract_is_a_conflict_and_leaves_no_trace() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    let request = world.open("refund-request:c-1", "run", None).await.unwrap();
    for (other, word) in others() {
        for take_over in [None, Some("refund-request:c-1")] {
            let order = OpenCase { contract: other.clone(), ..World::opening("dispute:c-1", "run-1", take_over) };
            for _ in 0..2 {
                let receipt = world.effects.ledger.open(&order).await.unwrap();
                let OpenReceipt::Conflict { reason } = receipt else { unreachable!("{word}") };
                assert!(reason.contains(word), "{reason}");
            }
        }
    }
    let order = OpenCase { contract: renamed(), ..World::opening("dispute:c-1", "run-2", Some("refund-request:c-1")) };
    let OpenReceipt::Opened(opened) = world.effects.ledger.open(&order).await.unwrap() else {
        unreachable!("it is the same contract")
    };
    assert_eq!((opened.case_ref.as_str(), opened.held), ("dispute:c-1", request.held), "and not #2");
}

/// A case from before the first deposit holds nothing, and closes whatever contract is pinned later.
#[tokio::test]
async fn a_contract_without_a_deposit_opens_with_nothing() {
    let world = World::new().await;
    let [(other, _), ..] = others();
    let order = OpenCase { contract: other.clone(), ..World::opening("refund-request:c-1", "run", None) };
    let opened = world.effects.ledger.open(&order).await.unwrap();
    let OpenReceipt::Opened(early) = &opened else { unreachable!("nothing is pinned") };
    assert_eq!((early.held, early.deposits.len()), (Amount::ZERO, 0));
    world.deposit("d-1", 500).await;
    assert_eq!(world.effects.ledger.open(&order).await.unwrap(), opened, "the same answer as before");
    let close = Settlement { contract: other, ..World::settlement(early, vec![release("nothing", 0)], true) };
    world.effects.carry_out(&close).await.unwrap();
    assert_eq!(world.effects.ledger.holds(&id("c-1")).await.unwrap(), []);
}

#[tokio::test]
async fn another_contract_settles_nothing_and_pays_no_fee() {
    let world = World::new().await;
    let error = world.effects.take_fee(&fee_order()).await.unwrap_err();
    assert_eq!(error.type_name(), "OtherContract", "a fee is about money in escrow");
    world.deposit("d-1", 500).await;
    let opened = world.open("dispute:c-1", "run", None).await.unwrap();
    let another = contract("c-2");
    let c_2 =
        DepositOrder { case: "escrow-deposit:c-2:d-1".into(), contract: another.clone(), ..World::order("d-1", 500) };
    world.effects.make_deposit(&c_2).await.unwrap();
    let all = others().into_iter().chain([(another, "dispute:c-1 is about contract c-1, not c-2")]);
    for (other, word) in all {
        let back = Movement::Refund {
            step: "refund:d-1".into(),
            amount: amount(500),
            rule: Rule::R4,
            deposit: id("d-1"),
            source: id("card-1"),
            charge: format!("escrow-deposit:{}:d-1/deposit", other.id),
            expected_by: at(),
        };
        for movements in [vec![back], vec![release("release", 500)], Vec::new()] {
            let settlement = Settlement { contract: other.clone(), ..World::settlement(&opened, movements, true) };
            let error = world.effects.carry_out(&settlement).await.unwrap_err();
            assert_eq!(error.type_name(), "OtherContract");
            assert!(error.to_string().contains(word), "{error}");
        }
        let error = world.effects.take_fee(&FeeOrder { contract: other, ..fee_order() }).await.unwrap_err();
        assert_eq!(error.type_name(), "OtherContract", "{word}");
    }
    assert_eq!(world.bank.movements().await.unwrap().len(), 2, "the bank made only the two deposits");
    assert_eq!(world.effects.ledger.holds(&id("c-1")).await.unwrap()[0].amount, amount(500), "and the hold is there");
    let settlement = Settlement { contract: renamed(), ..World::settlement(&opened, vec![refund("d-1", 500)], true) };
    world.effects.carry_out(&settlement).await.unwrap();
}

use std::collections::BTreeSet;

use recourse_database::testing::{TestDatabase, amount, contract, id};

use super::*;

#[tokio::test]
async fn the_bank_respects_its_keys_and_refunds_no_more_than_it_charged() {
    let test = TestDatabase::new().await;
    let bank = SandboxBank::new(test.database.clone());
    let usd = contract("c-1").currency;
    let charge = |minor| Charge { source: id("card-1"), currency: usd, amount: amount(minor) };
    bank.charge("k", &charge(100)).await.unwrap();
    bank.charge("k", &charge(100)).await.unwrap();
    assert!(matches!(bank.charge("k", &charge(101)).await, Err(GatewayError::KeyReused { .. })));
    let give_back =
        |source: &str, minor| Refund { charge: "k".into(), source: id(source), currency: usd, amount: amount(minor) };
    bank.refund("r-1", &give_back("card-1", 60)).await.unwrap();
    let mut declined = BTreeSet::new();
    for (key, refund) in [("r-2", give_back("card-1", 41)), ("r-3", give_back("card-2", 1))] {
        let Err(GatewayError::Declined { reason, .. }) = bank.refund(key, &refund).await else { unreachable!("{key}") };
        declined.insert(reason);
    }
    assert_eq!(declined.len(), 2, "{declined:?}");
    bank.refund("r-4", &give_back("card-1", 40)).await.unwrap();
    assert_eq!(bank.movements().await.unwrap().len(), 5);
    bank.set_fault(Some(&id("card-2")), Fault::Decline, 1).await.unwrap();
    bank.charge("k-2", &charge(1)).await.unwrap();
    assert_eq!(bank.faults().await.unwrap().len(), 1, "a fault for another billing method stays");
    bank.clear_faults().await.unwrap();
    assert_eq!(bank.faults().await.unwrap(), []);
}

/// R8: a refund is on its way until somebody settles or fails it, and the charge of a failed one may be refunded again.
#[tokio::test]
async fn a_refund_settles_or_fails_later_and_a_failed_one_frees_its_charge() {
    let test = TestDatabase::new().await;
    let bank = SandboxBank::new(test.database.clone());
    let (source, currency) = (id("card-1"), contract("c-1").currency);
    bank.charge("k", &Charge { source: source.clone(), currency, amount: amount(100) }).await.unwrap();
    let whole = Refund { charge: "k".into(), source, currency, amount: amount(100) };
    bank.refund("r-1", &whole).await.unwrap();
    let arrival = async |key| bank.look_up(key).await.unwrap().unwrap().arrival;
    assert_eq!((arrival("k").await, arrival("r-1").await), (Arrival::Settled, Arrival::Pending));
    assert_eq!(bank.unsettled().await.unwrap().len(), 1);
    assert!(matches!(bank.refund("r-2", &whole).await, Err(GatewayError::Declined { .. })), "it is under way");
    for reason in ["closed", "again"] {
        bank.fail("r-1", reason).await.unwrap();
        assert_eq!(arrival("r-1").await, Arrival::Failed { reason: "closed".into() });
    }
    let error = bank.settle("r-1").await.unwrap_err();
    assert_eq!(error.to_string(), "the sandbox bank's refund r-1 has failed, and that is final");
    assert!(bank.unsettled().await.unwrap().is_empty());

    bank.refund("r-3", &whole).await.unwrap();
    for _ in 0..2 {
        bank.settle("r-3").await.unwrap();
    }
    assert!(matches!(bank.fail("r-3", "late").await, Err(SandboxError::FinalBefore { .. })));
    assert!(matches!(bank.refund("r-4", &whole).await, Err(GatewayError::Declined { .. })), "it is settled");
    for key in ["k", "r-2", "no-such-key"] {
        assert!(matches!(bank.settle(key).await, Err(SandboxError::UnknownRefund { .. })), "{key}");
        assert!(matches!(bank.fail(key, "").await, Err(SandboxError::UnknownRefund { .. })), "{key}");
    }
}

#[tokio::test]
async fn a_pay_out_needs_no_charge_and_happens_once_per_key() {
    let test = TestDatabase::new().await;
    let bank = SandboxBank::new(test.database.clone());
    let pay_out = |minor| PayOut { to: id("bank-9"), currency: contract("c-1").currency, amount: amount(minor) };
    bank.set_fault(Some(&id("bank-9")), Fault::FailAfter, 1).await.unwrap();
    assert!(bank.pay_out("p", &pay_out(100)).await.is_err());
    bank.pay_out("p", &pay_out(100)).await.unwrap();
    assert!(matches!(bank.pay_out("p", &pay_out(101)).await, Err(GatewayError::KeyReused { .. })));
    let movements = bank.movements().await.unwrap();
    assert_eq!((movements.len(), movements[0].request.clone()), (1, Request::PayOut(pay_out(100))));
}

/// As a real provider does, the bank declines a charge to an unknown billing method for good.
#[tokio::test]
async fn a_strict_bank_declines_unknown_billing_methods() {
    let test = TestDatabase::new().await;
    let bank = SandboxBank::new(test.database.clone()).with_sources(BTreeSet::from([id("card-1")]));
    let usd = contract("c-1").currency;
    let charge = |source: &str| Charge { source: id(source), currency: usd, amount: amount(100) };
    bank.charge("k-1", &charge("card-1")).await.unwrap();
    for _ in 0..2 {
        let Err(GatewayError::Declined { reason, .. }) = bank.charge("k-2", &charge("fl-1")).await else {
            panic!("a party's id is no billing method")
        };
        assert_eq!(reason, "there is no billing method fl-1");
    }
    let refund = Refund { charge: "k-1".into(), source: id("card-1"), currency: usd, amount: amount(100) };
    bank.refund("r-1", &refund).await.unwrap();
    bank.pay_out("p-1", &PayOut { to: id("bank-7"), currency: usd, amount: amount(100) }).await.unwrap();
}

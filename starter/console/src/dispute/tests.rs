use std::collections::BTreeSet;

use recourse_client::Money;
use recourse_ledger::{FreeMoney, Grounded, OpenHold};

use super::*;
use crate::parts::People;

fn seen(unheld: &[(KeptFor, i64)], holds: Vec<OpenHold>) -> ContractView {
    let contract = serde_json::from_value(json!({
        "id": "c-1", "kind": "fixed_price", "currency": "USD", "client": {"id": "cl-1", "name": "Ada"},
        "freelancer": {"id": "fl-1", "name": "Ben"},
    }));
    let contract: recourse_domain::party::Contract = contract.unwrap();
    let unheld = unheld
        .iter()
        .map(|(kept_for, minor)| FreeMoney { kept_for: kept_for.clone(), amount: Amount::new(*minor).unwrap() })
        .collect();
    let people = People::of(Some(&contract));
    ContractView {
        contract,
        roles: BTreeSet::from([Role::Freelancer]),
        history: None,
        money: Money::default(),
        holds,
        unheld,
        grounds: Grounded { ended: true, submitted: vec![Id::new("m-2").unwrap()] },
        people,
    }
}

fn subjects(seen: &ContractView) -> Vec<String> {
    let shown = |subject: &Subject| {
        let milestone = subject.milestone.as_ref().map_or("-", Id::as_str);
        format!("{} {milestone} {}", name(subject.grounds), subject.held.minor())
    };
    Subject::all(seen).iter().map(shown).collect()
}

#[test]
fn money_in_no_case_can_be_disputed_by_its_purpose() {
    let id = |text: &str| Id::new(text).unwrap();
    let free = [
        (KeptFor::Contract, 300),
        (KeptFor::Milestone(id("m-2")), 200),
        (KeptFor::Next(Some(id("m-1"))), 50),
        (KeptFor::Next(None), 7),
    ];
    let own = ["non_release - 300", "non_release m-2 200", "partial_release m-1 50"];
    let nobody = seen(&free, Vec::new());
    assert_eq!(subjects(&nobody), [&own[..], &["refund_request - 357"]].concat());
    let hold = json!({"case_ref": "x", "case": "dispute:c-1:m-9", "amount": 1, "opened_at": "2026-11-26T10:00:00Z"});
    let hold: OpenHold = serde_json::from_value(hold).unwrap();
    assert_eq!(subjects(&seen(&free, vec![hold])), own, "money that another case holds is disputed there");
    assert!(subjects(&seen(&[], Vec::new())).is_empty());
    assert_eq!(offer(&seen(&[], Vec::new())).into_string(), "");
    let fresh = ContractView { grounds: Grounded::default(), ..seen(&free, Vec::new()) };
    assert_eq!(subjects(&fresh), ["partial_release m-1 50"], "nothing ended, and nothing was submitted");
    let shown = offer(&nobody).into_string();
    assert!(shown.contains("/contracts/c-1/dispute?grounds=partial_release&amp;about=m-1"), "{shown}");
}

#[test]
fn a_claim_shows_its_effect_on_the_money() {
    let seen = seen(&[], Vec::new());
    let about = |grounds| Subject { grounds, milestone: None, held: Amount::new(5_000).unwrap() };
    let told = |grounds, minor| about(grounds).consequence(&seen, Amount::new(minor).unwrap());
    assert!(told(Grounds::PartialRelease, 3_000).contains("30.00 USD goes to Ben, 20.00 USD stays in escrow."));
    assert!(told(Grounds::RefundRequest, 3_000).contains("30.00 USD goes to Ben, 20.00 USD goes back to Ada."));
    assert!(told(Grounds::RefundRequest, 5_000).contains("50.00 USD goes to Ben. No money moves now."));
}

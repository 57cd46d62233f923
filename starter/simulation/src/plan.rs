//! The plan of a simulated contract before anybody acts: its parties, its currency, its policy, its payments, and its end.

use recourse_domain::{
    ids::Id,
    milestone::Milestone,
    money::Amount,
    party::Contract,
    policy::{ClientSilence, NoArbitration, Policy},
    window::{Unit, Window},
};
use serde_json::json;

use super::dice::{Dice, amount};

/// Which rules the contracts of a run use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// All of them.
    Everything,
    /// Deposits for the whole contract, its end, and the dispute after it.
    EndsOnly,
}

/// The plan of a contract.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The contract. No person is a party of two contracts: whether a freelancer's balance covers a return (P4) must not depend
    /// on earlier contracts.
    pub contract: Contract,
    /// The policy of its cases; the default policy if absent.
    pub policy: Option<Policy>,
    /// The deposits for the whole contract, one after the other.
    pub deposits: Vec<Amount>,
    /// The milestones, in their order.
    pub milestones: Vec<Work>,
    /// When the contract ends.
    pub ending: Ending,
    /// How many payments the client asks back at the end, in percent.
    pub asks_back: u64,
    /// Whether the bank reports on refunds later.
    pub reports: bool,
}

/// A milestone, and how it is funded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The milestone.
    pub milestone: Milestone,
    /// Whether it gets a deposit of its own.
    pub own_deposit: bool,
}

/// When a contract ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After its last milestone.
    AfterWork,
    /// During a review, or a milestone's dispute, after this many moves in them.
    During {
        /// How many.
        moves: u32,
    },
    /// Never, unless a milestone comes to a halt.
    Never,
}

impl Plan {
    /// The plan of the contract with this number in the run with this seed.
    ///
    /// # Errors
    /// If such a contract is not possible: why not.
    pub fn draw(dice: &mut Dice, seed: u64, number: u64, mix: Mix) -> Result<Self, String> {
        let contract = contract(dice, seed, number)?;
        let policy = policy(dice);
        let (milestones, whole) = match mix {
            Mix::EndsOnly => (Vec::new(), true),
            Mix::Everything if dice.chance(30) => (Vec::new(), true),
            Mix::Everything => {
                let whole = dice.chance(25);
                (milestones(dice, whole)?, whole)
            }
        };
        let deposits = if !whole {
            Vec::new()
        } else if milestones.is_empty() {
            let count = *dice.pick(&1, &[1, 2, 3]);
            (0..count).map(|_| deposit(dice)).collect()
        } else {
            // Exactly the sum of the milestones. Recourse refuses a milestone that has no money on the way (E13).
            let sum = milestones.iter().map(|work| work.milestone.amount.minor()).sum();
            vec![amount(sum)]
        };
        let ending = match (milestones.is_empty(), dice.below(10)) {
            (true, _) | (_, 0..=3) => Ending::AfterWork,
            (false, 4..=7) => Ending::During { moves: u32::try_from(dice.below(6)).unwrap_or(0) },
            _ => Ending::Never,
        };
        let everything = mix == Mix::Everything;
        let asks_back = if everything { *dice.pick(&0, &[30, 60]) } else { 0 };
        let reports = everything && dice.chance(60);
        Ok(Self { contract, policy, deposits, milestones, ending, asks_back, reports })
    }

    /// Whether the policy counts working days in a window for which a case waits. The window's length then depends on the
    /// weekday on which the simulation runs.
    pub fn counts_working_days(&self) -> bool {
        let Some(policy) = &self.policy else { return false };
        let waited_for = [
            policy.milestone_review,
            policy.refund_response,
            policy.claim_response,
            policy.mediation_limit,
            policy.resolution_response,
            policy.arbitration_demand,
            policy.payment_refund,
        ];
        waited_for.iter().any(|window| window.unit == Unit::Business)
    }
}

fn contract(dice: &mut Dice, seed: u64, number: u64) -> Result<Contract, String> {
    let id = format!("sim-{seed}-{number}");
    let currency = *dice.pick(&"USD", &["USD", "USD", "USD", "EUR", "JPY", "KWD"]);
    let kind = *dice.pick(&"fixed_price", &["fixed_price", "project_catalog", "consultation"]);
    let mut contract = json!({
        "id": id, "title": format!("Contract {number}"), "kind": kind, "currency": currency,
        "client": {"id": format!("cl-{id}")}, "freelancer": {"id": format!("fl-{id}")},
    });
    if dice.chance(25) {
        contract["freelancer"]["agency"] = json!({"id": format!("ag-{id}")});
    }
    serde_json::from_value(contract).map_err(|error| format!("contract {id}: {error}"))
}

fn policy(dice: &mut Dice) -> Option<Policy> {
    let policy = Policy::default();
    Some(match dice.below(12) {
        0 => Policy { claim_response: Window::business(5), ..policy },
        1 => Policy {
            milestone_review: Window::business(10),
            refund_response: Window::business(5),
            claim_response: Window::business(5),
            arbitration_demand: Window::business(5),
            ..policy
        },
        2 => Policy { client_silence: ClientSilence::AllHeld, ..policy },
        3 => Policy { no_arbitration: NoArbitration::ReleaseFreelancer, ..policy },
        4 => Policy { no_arbitration: NoArbitration::FollowResolution, ..policy },
        5 => Policy { no_arbitration: NoArbitration::Hold, ..policy },
        6 => Policy { arbitration_fee_share: Amount::ZERO.into(), ..policy },
        7 => Policy { reminder_hours: vec![24, 2], ..policy },
        8 => Policy { arbitration_answer: Window::business(3), arbitration_fee_share: amount(5_000).into(), ..policy },
        _ => return None,
    })
}

fn milestones(dice: &mut Dice, whole: bool) -> Result<Vec<Work>, String> {
    let count = u32::try_from(1 + dice.below(3)).unwrap_or(1);
    let milestone = |ordinal: u32| {
        let id = Id::new(&format!("m-{ordinal}")).map_err(|error| error.to_string())?;
        let name = format!("Milestone {ordinal}");
        let milestone = Milestone { id, ordinal, name, amount: deposit(dice), description: None };
        Ok(Work { milestone, own_deposit: !whole })
    };
    (1..=count).map(milestone).collect()
}

/// The amount of a deposit: mostly hundreds or thousands, sometimes a few minor units, which are hard to divide.
fn deposit(dice: &mut Dice) -> Amount {
    let minor = if dice.chance(8) { dice.minor(1, 9) } else { dice.minor(5_000, 500_000) };
    amount(minor)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plans(mix: Mix) -> Vec<Plan> {
        (1..=500).map(|number| Plan::draw(&mut Dice::new(1, number), 1, number, mix).unwrap()).collect()
    }

    #[test]
    fn the_rules_accept_every_planned_contract_and_policy() {
        for plan in plans(Mix::Everything) {
            plan.contract.check().unwrap();
            plan.policy.clone().unwrap_or_default().check().unwrap();
            assert!(plan.deposits.iter().all(|amount| !amount.is_zero()));
            for work in &plan.milestones {
                work.milestone.check().unwrap();
                assert_eq!(work.own_deposit, plan.deposits.is_empty());
            }
            assert!(!plan.milestones.is_empty() || !plan.deposits.is_empty(), "nothing to play");
            assert!(plan.milestones.len() <= 3);
        }
    }

    /// If no plan used a rule, nobody would simulate it, and nobody would notice.
    #[test]
    fn plans_use_every_kind_of_contract() {
        let plans = plans(Mix::Everything);
        let currencies: BTreeSet<_> = plans.iter().map(|plan| plan.contract.currency.code()).collect();
        assert_eq!(currencies, BTreeSet::from(["EUR", "JPY", "KWD", "USD"]));
        let some = |is: fn(&Plan) -> bool| plans.iter().filter(|plan| is(plan)).count() > 10;
        assert!(some(|plan| plan.contract.freelancer.agency.is_some()));
        assert!(some(|plan| plan.milestones.len() == 3));
        assert!(some(|plan| plan.milestones.is_empty() && plan.deposits.len() == 3));
        assert!(some(|plan| plan.milestones.len() == 1 && plan.deposits.len() == 1));
        assert!(some(Plan::counts_working_days) && some(|plan| !plan.counts_working_days()));
        assert!(some(|plan| plan.ending == Ending::Never));
        assert!(some(|plan| matches!(plan.ending, Ending::During { moves: 1.. })));
        assert!(some(|plan| plan.asks_back > 0) && some(|plan| plan.reports));
        let is = |policy: &Policy, no_arbitration| policy.no_arbitration == no_arbitration;
        for no_arbitration in [NoArbitration::Hold, NoArbitration::FollowResolution, NoArbitration::ReleaseFreelancer] {
            assert!(plans.iter().any(|plan| plan.policy.as_ref().is_some_and(|policy| is(policy, no_arbitration))));
        }
    }

    #[test]
    fn runs_of_ends_only_have_no_milestones_and_nothing_after_the_end() {
        for plan in plans(Mix::EndsOnly) {
            assert!(plan.milestones.is_empty() && plan.ending == Ending::AfterWork);
            assert!(plan.asks_back == 0 && !plan.reports);
        }
    }
}

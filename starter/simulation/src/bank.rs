//! The bank's later reports on refunds (R8): arrived, or not; and what an operator does about those that did not arrive.

use jiff::Timestamp;
use recourse_domain::{
    ids::Id,
    party::{Actor, Role},
};
use recourse_refunds::{RefundFilter, RefundState, Report, TrackedRefund};

use super::{dice::Dice, record::Trouble, world::World};

/// The bank reports on some of the contract's refunds, returns and returned fees. An operator handles some of those that did
/// not arrive.
pub async fn report(dice: &mut Dice, world: &World, contract: &Id) -> Result<(), Trouble> {
    for refund in refunds(world, contract, RefundState::Issued).await? {
        let report = match dice.below(10) {
            0..=5 => Report::Settled,
            6 | 7 => Report::Failed { reason: "the account is closed".to_owned() },
            _ => continue,
        };
        world.bank_says(&refund.id, &report).await?;
    }
    for refund in refunds(world, contract, RefundState::Failed).await? {
        see_to(dice, world, &refund).await?;
    }
    Ok(())
}

async fn refunds(world: &World, contract: &Id, state: RefundState) -> Result<Vec<TrackedRefund>, Trouble> {
    let filter = RefundFilter { contract: Some(contract.clone()), ..RefundFilter::default() };
    let mut refunds = world.desk().list(&filter, Timestamp::now()).await.map_err(|error| trouble(&error))?;
    refunds.retain(|refund| refund.state == state);
    Ok(refunds)
}

async fn see_to(dice: &mut Dice, world: &World, refund: &TrackedRefund) -> Result<(), Trouble> {
    let by = Actor { party: Role::Operator, id: id("op-1")? };
    let done = match dice.below(3) {
        0 => world.desk().retry(&refund.id, &by, Timestamp::now()).await,
        1 => world.desk().pay_otherwise(&refund.id, id("bank-1")?, &by, "by hand", Timestamp::now()).await,
        _ => return Ok(()),
    };
    done.map(drop).map_err(|error| trouble(&error))
}

fn id(text: &str) -> Result<Id, Trouble> {
    Id::new(text).map_err(|error| trouble(&error))
}

fn trouble(error: &dyn std::error::Error) -> Trouble {
    Trouble::new(error.to_string())
}

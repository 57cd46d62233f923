//! What is known of a case's money (L9).

use jiff::Timestamp;
use recourse_client::{
    Money,
    money::{Movement, SUSPENSE, sentence},
    words::moment,
};

use super::{Column, Table};

/// Every movement and what is known of it; empty if there is none.
pub fn money(money: &Money, now: Timestamp) -> String {
    if money.movements.is_empty() {
        return String::new();
    }
    let mut table = Table::new([Column::Left("money"), Column::Left("what is known of it")]);
    for movement in &money.movements {
        table.row([movement.what("the client", "the freelancer"), known(movement, now)]);
    }
    let suspense = if money.is_in_suspense() { format!("{SUSPENSE}\n") } else { String::new() };
    table.show() + &suspense
}

/// What is known of a movement, on one line.
pub fn known(movement: &Movement, now: Timestamp) -> String {
    sentence(&movement.known(now), |at| moment(at, now))
}

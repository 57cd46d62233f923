//! A state of the model: a story on paper, and the parts of it that decide how it can continue.

use std::{
    fmt::Write as _,
    hash::{Hash, Hasher},
};

use recourse_domain::{command::Message, order::Order};

use super::footprint;
use crate::paper::{Paper, To, on_case};

/// The state of a story.
#[derive(Clone)]
pub struct State {
    /// The story.
    pub paper: Paper,
    /// Whether the case is getting commands: an activation has begun and `run` has not continued yet.
    pub handing: bool,
    /// The commands taken so far, with their keys, on one of the ways to this state: not part of the footprint.
    pub taken: Vec<(To, Message)>,
    /// The laws that the last step broke.
    pub faults: Vec<String>,
    /// Everything that decides how the story can continue, with times relative to the clock.
    pub footprint: String,
}

impl State {
    /// The state of this story.
    pub fn of(mut paper: Paper, handing: bool) -> Self {
        paper.forget_what_was_told();
        let footprint = footprint(&paper, handing);
        Self { paper, handing, taken: Vec::new(), faults: Vec::new(), footprint }
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.footprint.hash(state);
        self.faults.hash(state);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.footprint == other.footprint && self.faults == other.faults
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = |to| self.paper.status(to).map_or("", |status| status.stage.name());
        write!(f, "{} {}", stage(To::Main), stage(To::Dispute))?;
        write!(f, " [{}]", self.paper.books.shown())?;
        if let Some(outcome) = self.paper.outcome() {
            write!(f, " {}", crate::harness::shown(outcome))?;
        }
        for fault in self.faults.iter().chain(&self.paper.books.faults) {
            write!(f, " BROKEN: {fault}")?;
        }
        Ok(())
    }
}

fn footprint(paper: &Paper, handing: bool) -> String {
    let mut text = on_case!(&paper.main, case => footprint::of(case, paper.now));
    if let Some(child) = &paper.dispute {
        text.push_str(&footprint::of(&child.case, child.now));
    }
    let books = &paper.books;
    let left = books.deposits().into_iter().map(|deposit| deposit.left.minor());
    let money = [books.escrow, books.to_freelancer, books.to_client, books.bonus, books.returned, books.fees];
    let held = books.holds.values().copied();
    for minor in money.into_iter().chain(left).chain(held) {
        let _ = write!(text, "{minor},");
    }
    for ask in &paper.asked {
        let _ = match ask {
            Order::ChargeFee(fee) => write!(text, "fee of the {},", fee.party),
            Order::ReturnPayment { amount, .. } => write!(text, "return {},", amount.minor()),
            _ => write!(text, "bonus,"),
        };
    }
    let _ = write!(text, "{handing} {:?}", books.faults);
    text
}

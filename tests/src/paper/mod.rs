//! A case on paper: the domain's state machines, combined as the workflows combine them, with a small book instead of a ledger
//! and a bank that answers as the caller says. No server, no I/O; its clock is a field.
//!
//! The model (`crate::model`) explores it, and the differential test (`crate::differential`) plays scripts on it and on the
//! real server and compares. The domain decides the order of the effects, for the workflows and here
//! ([`order`](recourse_domain::order)). This module must decide nothing.
//!
//! An activation of a workflow hands over all commands first, and then lets `run` continue until it waits: here
//! [`Paper::receive`] for each command, then [`Paper::run`]. So the case sees a timely command before the timer that raced it
//! (T2); a worker that was down brings both late.

mod any;
mod books;
mod case;

use std::collections::VecDeque;

use jiff::Timestamp;
use recourse_domain::{
    case::Case,
    command::{CommandKind, Message, Refusal, Unreadable},
    dispute::{DisputeCase, Opened},
    ids::{CaseKind, dispute_id, payment_refund_id, refund_request_id},
    messages::Status,
    milestone_review::MilestoneReviewCase,
    money::Amount,
    order::{Done, Next, Order},
    outcome::Outcome,
    party::Role,
    payment_refund::PaymentRefundCase,
    refund_request::RefundRequestCase,
    stage::Stage,
    starts::{DisputeStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
};

pub use any::AnyCase;
pub(crate) use any::on_case;
pub use books::Books;
pub use case::{contract, is_over};
use case::{forget, kind_of, readable, ticked};

/// A story on paper: a case, its dispute if there is one, and the money.
#[derive(Debug, Clone)]
pub struct Paper {
    /// The case's clock.
    pub now: Timestamp,
    /// The case.
    pub main: AnyCase,
    /// The dispute that it waits for.
    pub dispute: Option<Child>,
    /// The dispute that ended last.
    pub ended: Option<DisputeCase>,
    /// The money.
    pub books: Books,
    /// The orders that wait for the bank, in this order. The answers come with an activation.
    pub asked: VecDeque<Order>,
    /// Whether the dispute and the case have one clock, as in reality; or two, as on a server that skips time.
    pub one_clock: bool,
}

/// A dispute that another case waits for.
#[derive(Debug, Clone)]
pub struct Child {
    /// The dispute.
    pub case: DisputeCase,
    /// Its clock.
    pub now: Timestamp,
    /// Which of the parent's disputes it is, from 1.
    pub number: u32,
}

/// The case that gets a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum To {
    /// The story's own case.
    Main,
    /// Its dispute.
    Dispute,
}

impl Paper {
    /// The contract ends, with this much in escrow (R1, R2).
    pub fn contract_ends(end: RefundRequestStart, books: Books, now: Timestamp) -> Self {
        let id = refund_request_id(&end.contract.id);
        let mut case = RefundRequestCase::begin(id.clone(), end, now);
        let mut paper = Self::begun(books, now);
        if !case.is_decided() {
            let held = paper.books.take(&id);
            case.opened(held, paper.books.deposits(), None, now);
        }
        paper.with(AnyCase::RefundRequest(case))
    }

    /// The freelancer files a claim on a milestone's held-over money of an active contract (D1), without another case.
    pub fn claim_is_filed(filing: DisputeStart, books: Books, now: Timestamp) -> Self {
        let id = dispute_id(&filing.contract.id, filing.milestone.as_ref());
        let mut case = DisputeCase::begin(id.clone(), filing, now);
        let mut paper = Self::begun(books, now);
        if !case.is_decided() {
            let held = paper.books.take(&id);
            case.opened(Opened { held, deposits: paper.books.deposits() }, None, None, now);
        }
        paper.with(AnyCase::Dispute(case))
    }

    /// The freelancer submits a milestone whose whole amount is in escrow (E4, E13).
    pub fn milestone_is_submitted(id: &str, first: MilestoneReviewStart, books: Books, now: Timestamp) -> Self {
        let mut case = MilestoneReviewCase::begin(id.to_owned(), first, now);
        let mut paper = Self::begun(books, now);
        if !case.is_decided() {
            paper.books.take(id);
            case.opened(&paper.books.deposits(), now);
        }
        paper.with(AnyCase::Review(case))
    }

    /// The client asks for released money back: what was paid, and when (P1).
    pub fn payment_is_asked_back(
        asked: PaymentRefundStart,
        (paid, returned, at): (Amount, Amount, Timestamp),
        books: Books,
        now: Timestamp,
    ) -> Self {
        let mut case = PaymentRefundCase::begin(payment_refund_id(&asked.payment), asked, now);
        if !case.is_decided() {
            case.opened(paid, returned, at, now);
        }
        Self::begun(books, now).with(AnyCase::Payment(case))
    }

    fn begun(books: Books, now: Timestamp) -> Unopened {
        Unopened { now, books }
    }

    /// The case that waits for a command or silence: the dispute while there is one.
    pub fn current(&self) -> To {
        if self.dispute.is_some() { To::Dispute } else { To::Main }
    }

    /// The clock of the current case.
    pub fn clock(&self) -> Timestamp {
        self.dispute.as_ref().map_or(self.now, |child| child.now)
    }

    /// Advances the current case's clock to `at`. No worker has looked yet: see [`run`](Self::run).
    pub fn pass(&mut self, at: Timestamp) {
        match &mut self.dispute {
            Some(child) => {
                child.now = at;
                if self.one_clock {
                    self.now = at;
                }
            }
            None => self.now = at,
        }
    }

    /// The status of one of the cases.
    pub fn status(&self, of: To) -> Option<Status> {
        match (of, &self.dispute) {
            (To::Main, _) => Some(on_case!(&self.main, case => Status::of(case))),
            (To::Dispute, Some(child)) => Some(Status::of(&child.case)),
            (To::Dispute, None) => None,
        }
    }

    /// The next instant at which the current case's clock must tick; none while the case waits for an effect.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if !self.asked.is_empty() {
            return None;
        }
        match &self.dispute {
            Some(child) => child.case.wake_at(),
            None => on_case!(&self.main, case => case.wake_at()),
        }
    }

    /// The current case's deadline.
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.dispute {
            Some(child) => child.case.file().deadline,
            None => on_case!(&self.main, case => case.file().deadline),
        }
    }

    /// How many offers were made in the current case (M7).
    pub fn offers(&self) -> usize {
        match &self.dispute {
            Some(child) => child.case.particulars().offers.len(),
            None => on_case!(&self.main, case => case.particulars().offers.len()),
        }
    }

    /// Whether one of the cases' workflows takes this command at all.
    pub fn takes(&self, to: To, command_kind: CommandKind) -> bool {
        command_kind.is_taken_by(match to {
            To::Main => on_case!(&self.main, case => kind_of(case)),
            To::Dispute => CaseKind::Dispute,
        })
    }

    /// The commands that one of the cases offers to this role.
    pub fn allowed(&self, to: To, role: Role) -> Vec<CommandKind> {
        match (to, &self.dispute) {
            (To::Main, _) => on_case!(&self.main, case => case.allowed(role)),
            (To::Dispute, Some(child)) => child.case.allowed(role),
            (To::Dispute, None) => Vec::new(),
        }
    }

    /// Hands a command over, as the handlers do: before `run` continues.
    pub fn receive(&mut self, to: To, command_kind: CommandKind, message: Message) -> Result<(), Refusal> {
        let message = self.readable(to, Ok(message));
        self.receive_read(to, command_kind, message)
    }

    /// Whether the message has the fields that such a case needs.
    pub fn readable(&self, to: To, read: Result<Message, Unreadable>) -> Result<Message, Unreadable> {
        let message = read?;
        match to {
            To::Main => on_case!(&self.main, case => readable(case, &message)),
            To::Dispute => DisputeCase::readable(&message.command),
        }?;
        Ok(message)
    }

    /// Hands over a message, or the reason why it could not be read.
    pub fn receive_read(
        &mut self,
        to: To,
        command_kind: CommandKind,
        read: Result<Message, Unreadable>,
    ) -> Result<(), Refusal> {
        if let (To::Dispute, Some(child)) = (to, &mut self.dispute) {
            return child.case.receive(command_kind, read, child.now);
        }
        let now = self.now;
        on_case!(&mut self.main, case => case.receive(command_kind, read, now))
    }

    /// Forgets what only grows and decides nothing: notices, and the timeline except the claim's amendments, which the rules
    /// count (D5).
    pub fn forget_what_was_told(&mut self) {
        on_case!(&mut self.main, case => forget(case.file_mut()));
        if let Some(child) = &mut self.dispute {
            forget(child.case.file_mut());
        }
    }

    /// The current case's stage.
    pub fn stage(&self) -> Stage {
        match &self.dispute {
            Some(child) => child.case.stage(),
            None => on_case!(&self.main, case => case.stage()),
        }
    }

    /// The story's outcome, once it is over.
    pub fn outcome(&self) -> Option<&Outcome> {
        on_case!(&self.main, case => case.outcome().filter(|_| is_over(case)))
    }

    /// Whether the case is over, and no effect is under way.
    pub fn is_over(&self) -> bool {
        on_case!(&self.main, case => is_over(case))
    }

    /// The bank answers its first order: charged or declined, covered or not.
    fn bank_answers(&mut self, yes: bool) {
        let Some(ask) = self.asked.pop_front() else { return };
        let now = self.clock();
        let declined = || "declined".to_owned();
        let id = match &self.dispute {
            Some(child) => child.case.file().id.clone(),
            None => on_case!(&self.main, case => case.file().id.clone()),
        };
        let done = match ask {
            Order::ChargeFee(fee) => {
                let charge = self.books.fee(&id, &fee, yes);
                Done::Fee { party: fee.party, charged: charge.ok_or_else(declined) }
            }
            Order::PayBonus(bonus) => {
                if yes {
                    self.books.bonus(&id, bonus.amount);
                }
                Done::Bonus { amount: bonus.amount, charged: if yes { Ok(()) } else { Err(declined()) } }
            }
            Order::ReturnPayment { amount, .. } if yes => {
                self.books.give_back(&id, amount);
                Done::Returned(amount)
            }
            Order::ReturnPayment { .. } => Done::NotCovered(Amount::ZERO),
            other => return self.books.broken(format!("nobody asks the bank for {other:?}")),
        };
        match &mut self.dispute {
            Some(child) => child.case.done(done, now),
            None => on_case!(&mut self.main, case => case.done(done, now)),
        }
    }

    /// `run` continues until it waits: with the bank's answer, if there is one; then it does what the case asks for, as
    /// `drive.rs` does.
    pub fn run(&mut self, bank: Option<bool>) {
        if let Some(yes) = bank {
            self.bank_answers(yes);
        }
        while self.asked.is_empty() {
            let now = self.clock();
            let next = match &mut self.dispute {
                Some(child) => child.case.next(now),
                None => on_case!(&mut self.main, case => case.next(now)),
            };
            match next {
                Next::Wait if self.ticked(now) => {}
                Next::Wait => return,
                Next::PayBeside(payment) => {
                    let id = on_case!(&self.main, case => case.file().id.clone());
                    self.books.post(&id, vec![payment], None);
                }
                Next::Do(orders) => orders.into_iter().for_each(|order| self.perform(order, now)),
                Next::Over => match self.dispute.take() {
                    Some(child) => {
                        let outcome = child.case.outcome().cloned().expect("a closed case has an outcome");
                        self.ended = Some(child.case);
                        let now = self.now;
                        on_case!(&mut self.main, case => case.done(Done::Disputed(Ok(outcome)), now));
                    }
                    None => return,
                },
            }
        }
    }

    /// Does what the current case asks for. An order to the bank waits for its answer.
    fn perform(&mut self, order: Order, now: Timestamp) {
        let (id, outcome) = match &self.dispute {
            Some(child) => (child.case.file().id.clone(), child.case.outcome().cloned()),
            None => on_case!(&self.main, case => (case.file().id.clone(), case.outcome().cloned())),
        };
        match order {
            Order::Settle { movements, close } => {
                self.books.post(&id, movements, outcome.as_ref());
                self.books.let_go(&id, close.as_ref());
                match &mut self.dispute {
                    Some(child) => child.case.done(Done::Settled, now),
                    None => on_case!(&mut self.main, case => case.done(Done::Settled, now)),
                }
            }
            Order::Dispute(start) => self.dispute_opens(*start, now),
            asked => self.asked.push_back(asked),
        }
    }

    /// Lets a due silence or alarm of the current case act.
    fn ticked(&mut self, now: Timestamp) -> bool {
        match &mut self.dispute {
            Some(child) => ticked(&mut child.case, now),
            None => on_case!(&mut self.main, case => ticked(case, now)),
        }
    }

    /// Conducts the dispute as a case of its own, which takes over the money that this one holds (R6, D1).
    fn dispute_opens(&mut self, start: DisputeStart, now: Timestamp) {
        let parent = on_case!(&self.main, case => case.file().id.clone());
        let id = dispute_id(&start.contract.id, start.milestone.as_ref());
        let review = start.milestone.is_some().then(|| parent.clone());
        let mut case = DisputeCase::begin(id.clone(), start, now);
        let held = self.books.take_over(&parent, &id);
        case.opened(Opened { held, deposits: self.books.deposits() }, review, None, now);
        if case.is_decided() {
            self.books.broken("the dispute does not take a claim that its parent took".to_owned());
        }
        let number = self.books.openings(&id);
        self.dispute = Some(Child { case, now, number });
    }
}

/// A story whose case does not exist yet.
struct Unopened {
    now: Timestamp,
    books: Books,
}

impl Unopened {
    fn with(self, main: AnyCase) -> Paper {
        let Self { now, books } = self;
        let asked = VecDeque::new();
        let mut paper = Paper { now, main, dispute: None, ended: None, books, asked, one_clock: true };
        paper.run(None);
        paper
    }
}

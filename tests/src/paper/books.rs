//! The money of a story: deposits, the holds of the escrow, and every posting. It enforces the ledger's law (L1–L3) in its own
//! way, and records a breach instead of stopping.

use std::collections::{BTreeMap, BTreeSet};

use recourse_domain::{
    fee::FeeDue,
    ids::Id,
    money::Amount,
    outcome::{DecidedBy, Outcome},
    posting::{Close, FundedDeposit, Movement, PostingKind, Remainder},
};

/// One posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// `{case}/{step}` (L2).
    pub id: String,
    /// What it is for.
    pub kind: PostingKind,
    /// How much, in minor units.
    pub minor: i64,
    /// The decision behind it, if it belongs to a case's settlement.
    pub decided_by: Option<DecidedBy>,
}

/// The money of one contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// What was deposited.
    pub deposited: i64,
    /// What is in escrow.
    pub escrow: i64,
    /// What the freelancer got from the escrow.
    pub to_freelancer: i64,
    /// What the client got back from the escrow.
    pub to_client: i64,
    /// The paid bonuses (E7).
    pub bonus: i64,
    /// What the freelancer returned (P2).
    pub returned: i64,
    /// The arbitration fees that were paid and not given back.
    pub fees: i64,
    /// How much of the escrow each case holds.
    pub holds: BTreeMap<String, i64>,
    /// Every posting, in order.
    pub postings: Vec<Posting>,
    /// The breaches of the ledger's law.
    pub faults: Vec<String>,
    left: Vec<FundedDeposit>,
    openings: BTreeMap<String, u32>,
    ids: BTreeSet<String>,
}

fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap_or_default()
}

impl Books {
    /// Books with these deposits from one billing method.
    pub fn with(deposits: &[i64], source: &str) -> Self {
        let mut books = Self::default();
        for (index, minor) in deposits.iter().enumerate() {
            let deposit = Id::new(&format!("d-{}", index + 1)).unwrap();
            let (source, charge) = (Id::new(source).unwrap(), format!("charge-{}", index + 1));
            books.left.push(FundedDeposit { deposit, source, charge, left: amount(*minor) });
            books.deposited += minor;
            books.escrow += minor;
            books.book(format!("deposit-{}", index + 1), PostingKind::Deposit, *minor, None);
        }
        books
    }

    /// The same, with an earlier release of this amount to the freelancer.
    pub fn and_paid(mut self, id: &str, minor: i64) -> Self {
        self.escrow -= minor;
        self.to_freelancer += minor;
        self.book(id.to_owned(), PostingKind::Release, minor, None);
        self
    }

    /// The deposits in order, with the rest of each.
    pub fn deposits(&self) -> Vec<FundedDeposit> {
        self.left.clone()
    }

    /// All postings except the deposits, as `kind amount, …`, the form of the ledger's history.
    pub fn shown(&self) -> String {
        self.postings.iter().map(|each| format!("{} {}", each.kind.name(), each.minor)).collect::<Vec<_>>().join(", ")
    }

    /// How often a case with this id has opened.
    pub fn openings(&self, case: &str) -> u32 {
        self.openings.get(case).copied().unwrap_or_default()
    }

    /// Records the breach of a law.
    pub fn broken(&mut self, how: String) {
        self.faults.push(how);
    }

    /// A case takes the escrow that no other case holds.
    pub fn take(&mut self, case: &str) -> Amount {
        let free = self.escrow - self.holds.values().sum::<i64>();
        self.opens(case, free);
        amount(free)
    }

    /// A dispute takes over what its parent holds.
    pub fn take_over(&mut self, from: &str, case: &str) -> Amount {
        let held = self.holds.remove(from).unwrap_or_default();
        self.opens(case, held);
        amount(held)
    }

    fn opens(&mut self, case: &str, held: i64) {
        *self.openings.entry(case.to_owned()).or_default() += 1;
        if let Some(before) = self.holds.insert(case.to_owned(), held) {
            self.broken(format!("{case} opens while it holds {before}"));
        }
    }

    /// The reference in the ids of this case's postings.
    fn reference(&self, case: &str) -> String {
        match self.openings(case) {
            0 | 1 => case.to_owned(),
            number => format!("{case}#{number}"),
        }
    }

    fn book(&mut self, id: String, kind: PostingKind, minor: i64, decided_by: Option<DecidedBy>) {
        if !self.ids.insert(id.clone()) {
            self.broken(format!("L2: {id} is posted twice"));
        }
        self.postings.push(Posting { id, kind, minor, decided_by });
    }

    /// Moves money as decided. Like `Escrow.settle`, it leaves out a movement of nothing.
    pub fn post(&mut self, case: &str, movements: Vec<Movement>, outcome: Option<&Outcome>) {
        let reference = self.reference(case);
        let decided_by = outcome.map(|outcome| outcome.decided_by);
        for movement in movements {
            let (Movement::Release { step, amount, .. }
            | Movement::Refund { step, amount, .. }
            | Movement::FeeReturn { step, amount, .. }) = &movement;
            let (id, minor) = (format!("{reference}/{step}"), amount.minor());
            if minor == 0 {
                continue;
            }
            match &movement {
                Movement::Release { .. } => {
                    self.draw(case, minor);
                    self.to_freelancer += minor;
                    self.book(id, PostingKind::Release, minor, decided_by);
                }
                Movement::Refund { deposit, .. } => {
                    self.draw(case, minor);
                    self.to_client += minor;
                    let from = self.left.iter_mut().find(|from| from.deposit == *deposit);
                    match from.as_ref().and_then(|from| from.left.minus(*amount)) {
                        Some(left) => from.into_iter().for_each(|from| from.left = left),
                        None => self.broken(format!("R7: {id} gives back more than {deposit} has left")),
                    }
                    self.book(id, PostingKind::Refund, minor, decided_by);
                }
                Movement::FeeReturn { .. } => {
                    self.fees -= minor;
                    if self.fees < 0 {
                        self.broken(format!("A3: {id} gives back a fee that was not paid"));
                    }
                    self.book(id, PostingKind::FeeReturn, minor, decided_by);
                }
            }
        }
    }

    fn draw(&mut self, case: &str, minor: i64) {
        self.escrow -= minor;
        let held = self.holds.get(case).copied().unwrap_or_default();
        if minor > held {
            self.broken(format!("L3: {case} moves {minor} and holds {held}"));
        }
        self.holds.insert(case.to_owned(), held - minor);
    }

    /// Releases a case's hold, if the case ends it.
    pub fn let_go(&mut self, case: &str, how: Option<&Close>) {
        let Some(close) = how else {
            // Without money there is no hold to release.
            self.holds.retain(|holder, held| holder != case || *held != 0);
            return;
        };
        let left = self.holds.remove(case).unwrap_or_default();
        if let Remainder::Back { case } = &close.remainder {
            *self.holds.entry(case.clone()).or_default() += left;
        }
    }

    /// Charges a share of the arbitration fee, unless the bank declined it (A1); returns the charge's key.
    pub fn fee(&mut self, case: &str, fee: &FeeDue, paid: bool) -> Option<String> {
        let charge = format!("{}/{}", self.reference(case), fee.step);
        paid.then(|| {
            self.fees += fee.amount.minor();
            self.book(charge.clone(), PostingKind::Fee, fee.amount.minor(), None);
            charge
        })
    }

    /// Charges a bonus and pays it on (E7).
    pub fn bonus(&mut self, case: &str, amount: Amount) {
        self.bonus += amount.minor();
        self.book(format!("{}/bonus", self.reference(case)), PostingKind::Bonus, amount.minor(), None);
    }

    /// Returns a payment: to the oldest deposits first (P4).
    pub fn give_back(&mut self, case: &str, amount: Amount) {
        use recourse_domain::posting::return_legs;
        self.returned += amount.minor();
        let Some(legs) = return_legs(&self.left, amount) else {
            return self.broken(format!("P4: the deposits do not have {} left", amount.minor()));
        };
        for leg in legs {
            let deposit = leg.deposit.clone().expect("a release was paid by deposits");
            let from = self.left.iter_mut().find(|from| from.deposit == deposit).expect("a known deposit");
            from.left = from.left.minus(leg.amount).unwrap_or_default();
            self.book(format!("{case}/return:{deposit}"), PostingKind::Return, leg.amount.minor(), None);
        }
        if self.returned > self.to_freelancer {
            self.broken("P4: more is returned than was paid".to_owned());
        }
    }
}

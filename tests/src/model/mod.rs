//! The rules, explored exhaustively: every order of commands, deadlines, repetitions and late arrivals that a case can meet,
//! within the bounds below. The checker is `stateright`; it explores a story on paper ([`crate::paper`]), which calls the same
//! functions as the workflows.
//!
//! - **Always**: nothing is paid twice, and the paid and held money equals the deposits; escrow goes back to the client only as
//!   E10 says; an answer, a paid demand and an outcome never change; a refused command changes nothing; a case never takes a late
//!   command, and never refuses a timely one as late, unless it has decided; a repeated command acts once.
//! - **Sometimes**: each way that can decide such a case does so.
//! - **In the end**: from every state, a case closes if everybody is silent. The checker's own `eventually` misses paths that
//!   end in a circle, or in a state that another path reached; so this is an `always` that makes everybody silent from the
//!   present state, which is exact. By rule two waits have no end, and the law names them: for an award (A4), and for a milestone
//!   with requested changes (E8).
//!
//! Bounds. Amounts are nothing, a part, all, and too much of 3 minor units in two deposits. Time moves to the instants that can
//! make a difference: a second before each deadline or alarm, that instant, and an hour after the deadline, when every worker
//! was down. Each command comes without a receipt time, or once the deadline has passed with one from before it, from before
//! the stage, and from the future. At most two offers are made. Each run (`runs`) lists its commands; everybody tries the first
//! of each line, allowed or not. Windows are in calendar days, so that no state depends on the day of the week.

mod footprint;
mod laws;
mod moves;
mod runs;
mod state;

use recourse_domain::{command::Message, outcome::DecidedBy};
use stateright::{Model, Property};

use self::{
    moves::{Move, Repertoire, SECOND, Until},
    state::State,
};
use crate::paper::{Paper, To};

/// The most offers in a case (M7). The rules allow more, but more offers would show nothing new.
const OFFERS_MAX: usize = 2;

/// Sometimes: this decides.
fn decides(decided_by: DecidedBy) -> Property<Cases> {
    macro_rules! sometimes {
        ($($name:ident)+) => {
            match decided_by {
                $(DecidedBy::$name => Property::sometimes(
                    concat!(stringify!($name), " decides"),
                    |_, state: &State| laws::is_decided_by(state, DecidedBy::$name),
                ),)+
            }
        };
    }
    sometimes! {
        ClientApproval ClientSilence ClientRelease ClientAcceptance FreelancerApproval FreelancerSilence
        FreelancerRejection FreelancerWithdrawal Agreement ResolutionAccepted ArbitrationDefault ArbitrationSoleDemand
        ArbitrationAward ContractEnd Rule
    }
}

/// The cases that a run of the checker explores.
struct Cases {
    begun: Vec<Paper>,
    repertoire: Repertoire,
    reachable: &'static [DecidedBy],
}

impl Model for Cases {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        self.begun.iter().map(|paper| State::of(paper.clone(), false)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Move>) {
        moves::moves(state, &self.repertoire, actions);
    }

    fn next_state(&self, before: &State, next: Move) -> Option<State> {
        let mut paper = before.paper.clone();
        let (mut taken, mut faults) = (before.taken.clone(), Vec::new());
        let handing = match next {
            Move::Pass(until) => {
                let at = match until {
                    Until::JustBefore => paper.wake_at()? - SECOND,
                    Until::Then => paper.wake_at()?.max(paper.clock()),
                    Until::TooLate => paper.deadline()?.max(paper.clock()) + SECOND * 3600,
                };
                paper.pass(at);
                true
            }
            Move::Run(bank) => {
                paper.run(bank);
                false
            }
            Move::Wrong(_, _, _, fault) => {
                faults.push(fault.to_owned());
                before.handing
            }
            Move::Say(index, to, stamp) => {
                let saying = &self.repertoire.0[index];
                let message = Message {
                    at: stamp.at(moves::times(before, to)?),
                    key: Some(format!("key-{}", taken.len())),
                    ..saying.message.clone()
                };
                let answer = paper.receive(to, saying.command_kind, message.clone());
                assert!(answer.is_ok(), "{}: it was taken a moment ago", saying.words);
                taken.push((to, message));
                true
            }
        };
        if paper.dispute.is_none() {
            taken.retain(|(to, _)| *to == To::Main);
        }
        let after = State::of(paper, handing);
        faults.extend(laws::answers_that_changed(before, &after));
        Some(State { taken, faults, ..after })
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.paper.offers() <= OFFERS_MAX
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always("every step keeps to the rules", |_, state: &State| state.faults.is_empty()),
            Property::always("paid at most once, and paid and held is what was deposited", |_, state| {
                laws::money_adds_up(state)
            }),
            Property::always("cases and books agree", |_, state| laws::cases_and_books_agree(state)),
            Property::always("nothing to the client but by rule", |_, state| {
                laws::nothing_to_the_client_but_by_rule(state)
            }),
            Property::always("disputes end as they were answered", |_, state| {
                laws::disputes_end_as_they_were_answered(state)
            }),
            Property::always("twice is once", |_, state| laws::twice_is_once(state)),
            Property::always("silence closes the case", |_, state| laws::silence_closes(state)),
        ];
        all.extend(self.reachable.iter().map(|decided_by| decides(*decided_by)));
        all
    }
}

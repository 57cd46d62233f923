//! The rules, explored exhaustively: every order of commands, deadlines, repetitions and late arrivals that a case can
//! meet, within the bounds below. The checker is `stateright`; what it explores is a story on paper ([`crate::paper`]), so
//! the very functions that the workflows call.

mod laws;
mod moves;
mod state;

use std::time::Instant;

use jiff::Timestamp;
use recourse_workflows::domain::{
    command::Message,
    outcome::DecidedBy,
    policy::{ClientSilence, NoArbitration, Policy},
    refund_request::ContractEnd,
    window::Window,
};
use stateright::{Checker as _, Model, Property};

use self::{
    moves::{Move, Repertoire, SECOND, Until},
    state::State,
};
use crate::paper::{Books, Paper, To, contract};

/// What a run of the checker explores.
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
                let answer = paper.receive(to, saying.verb, message.clone());
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

    fn properties(&self) -> Vec<Property<Self>> {
        let all = vec![
            Property::always("every step keeps to the rules", |_, state: &State| state.faults.is_empty()),
            Property::always("paid at most once, and paid and held is what was deposited", |_, state| {
                laws::money_adds_up(state)
            }),
            Property::always("cases and books agree", |_, state| laws::cases_and_books_agree(state)),
            Property::always("nothing to the client but by rule", |_, state| {
                laws::nothing_to_the_client_but_by_rule(state)
            }),
            Property::always("twice is once", |_, state| laws::twice_is_once(state)),
            Property::always("silence closes the case", |_, state| laws::silence_closes(state)),
        ];
        all
    }
}

const START: i64 = 1_793_534_400;

fn policy(client_silence: ClientSilence, no_arbitration: NoArbitration, share: i64) -> Policy {
    Policy {
        client_silence,
        no_arbitration,
        arbitration_fee_share: recourse_workflows::domain::money::Amount::new(share).unwrap(),
        resolution_target: Window::calendar(2),
        refund_settlement: Window::calendar(5),
        reminder_hours: vec![],
        ..Policy::default()
    }
}

#[test]
fn probe() {
    let now = Timestamp::from_second(START).unwrap();
    let books = Books::with(&[1, 2], "card-1");
    let end = ContractEnd {
        contract: contract(),
        pay_now: recourse_workflows::domain::money::Amount::new(1).unwrap(),
        reason: None,
        policy: policy(ClientSilence::ClaimedAmount, NoArbitration::RefundClient, 5),
    };
    let begun = vec![Paper::contract_ends(end, books, now)];
    let repertoire = Repertoire::new(
        "freelancer: approve
         freelancer: claim 1, claim 2, claim 0, claim 3
         client: release
         client: accept claim
         client: reject claim
         client: accept resolution
         freelancer: accept resolution
         client: reject resolution
         freelancer: reject resolution
         freelancer: amend 2, amend 0
         freelancer: withdraw
         mediator: propose 1, propose 3
         mediator: close
         client: demand_arbitration
         freelancer: demand_arbitration
         arbitrator: award 1, award 3
         operator: extend 24, extend 0",
    );
    let model = Cases { begun, repertoire, reachable: &[] };
    println!("{} sayings", model.repertoire.0.len());
    let started = Instant::now();
    let limit = std::time::Duration::from_secs(40);
    let checker = model.checker().timeout(limit).spawn_bfs().join();
    println!("{} unique, {} generated, {:?}", checker.unique_state_count(), checker.state_count(), started.elapsed());
    checker.assert_properties();
}

//! The possible next moves: commands of everybody, at every instant that can make a difference, in every order; the passing of
//! time; and the bank's answers.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use recourse_domain::{
    case::Case,
    command::{CommandKind, Message},
    party::Role,
};

use super::{laws, state::State};
use crate::{
    harness::command_of,
    paper::{Paper, To, on_case},
};

/// The least difference that the model makes between two instants.
pub const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A move.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The clock advances, and then a worker looks.
    Pass(Until),
    /// A case gets a command; the number is its place in the [`Repertoire`].
    Say(usize, To, Stamp),
    /// The command was tried, and the answer breaks a law.
    Wrong(usize, To, Stamp, &'static str),
    /// `run` continues, with the bank's answer if there is one.
    Run(Option<bool>),
}

/// How far the clock advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A second before the next deadline or alarm.
    JustBefore,
    /// The next deadline or alarm.
    Then,
    /// An hour after the deadline: every worker was down, and the alarms before it go unseen.
    TooLate,
}

/// The receipt time of a command (T2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// None.
    None,
    /// A second before the deadline, which has passed: the API got the command in time, and the case gets it late.
    InTime,
    /// Before the stage opened: a wrong clock.
    BeforeTheStage,
    /// In an hour: a wrong clock.
    InTheFuture,
}

/// A command that can be given.
pub struct Saying {
    /// Who gives it.
    pub who: Role,
    /// In words.
    pub words: String,
    /// Its kind.
    pub command_kind: CommandKind,
    /// The message; without a key and a receipt time.
    pub message: Message,
}

/// Every command that a run of the model tries.
pub struct Repertoire(pub Vec<Saying>);

impl Repertoire {
    /// The command that `who` gives in these words.
    pub fn saying(who: Role, words: &str) -> Saying {
        let contract = serde_json::to_value(crate::paper::contract()).unwrap();
        let (command_kind, body) = command_of(&contract, who.name(), words);
        let message = Message::read(command_kind, &serde_json::to_vec(&body).unwrap()).unwrap();
        Saying { who, words: words.to_owned(), command_kind, message }
    }

    /// Made of lines like `client: accept claim, offer 1`. Roles without the right to a command try it too, once in each form.
    pub fn new(lines: &str) -> Self {
        let mut all: Vec<Saying> = Vec::new();
        let mut say = |who: Role, words: &str| {
            if all.iter().any(|before| before.who == who && before.words == words) {
                return;
            }
            all.push(Self::saying(who, words));
        };
        let lines: Vec<(&str, &str)> = lines.lines().filter_map(|line| line.trim().split_once(": ")).collect();
        for (who, words) in &lines {
            let who = Role::ALL.into_iter().find(|role| role.name() == *who).unwrap();
            words.split(", ").for_each(|words| say(who, words));
        }
        // Everybody tries the first command of each line: most have no right to it.
        for (_, words) in &lines {
            let words = words.split(", ").next().unwrap();
            for who in Role::ALL {
                say(who, words);
            }
        }
        Self(all)
    }
}

/// A case's clock, its deadline, and when its stage opened.
pub type Times = (Timestamp, Option<Timestamp>, Timestamp);

/// The clock, deadline and stage's beginning of one of the cases.
pub fn times(state: &State, to: To) -> Option<Times> {
    let of = |now: Timestamp, file: &recourse_domain::case::CaseFile| (now, file.deadline, file.stage_opened_at);
    match (to, &state.paper.dispute) {
        (To::Main, _) => Some(on_case!(&state.paper.main, case => of(state.paper.now, case.file()))),
        (To::Dispute, Some(child)) => Some(of(child.now, child.case.file())),
        (To::Dispute, None) => None,
    }
}

impl Stamp {
    /// The instant that it says.
    pub fn at(self, (now, deadline, opened): Times) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::InTime => deadline.map(|deadline| deadline - SECOND),
            Self::BeforeTheStage => Some(opened - SECOND),
            Self::InTheFuture => Some(now + SECOND * 3600),
        }
    }
}

/// The possible moves in this state. A refused command leads to no new state: it is tried here, one after another, and must
/// change nothing.
pub fn moves(state: &State, repertoire: &Repertoire, moves: &mut Vec<Move>) {
    let paper = &state.paper;
    if state.handing {
        moves.push(Move::Run(None));
    } else if let Some(at) = paper.wake_at() {
        if at - SECOND > paper.clock() {
            moves.push(Move::Pass(Until::JustBefore));
        }
        moves.push(Move::Pass(Until::Then));
        if paper.deadline().is_some() {
            moves.push(Move::Pass(Until::TooLate));
        }
    }
    if !paper.asked.is_empty() {
        moves.extend([Move::Run(Some(true)), Move::Run(Some(false))]);
    }
    let (mut tried, mut refused) = (paper.clone(), Vec::new());
    for to in [To::Main, To::Dispute] {
        commands(state, to, (&mut tried, &mut refused), repertoire, moves);
    }
    // All refused commands, again, one after another.
    let mut unmoved = paper.clone();
    for (to, command_kind, message) in refused {
        let _ = unmoved.receive(to, command_kind, message);
    }
    if State::of(unmoved, state.handing).footprint != state.footprint {
        moves.push(Move::Wrong(0, To::Main, Stamp::None, "a command was refused, and changed something"));
    }
}

fn commands(
    state: &State,
    to: To,
    (tried, refused): (&mut Paper, &mut Vec<(To, CommandKind, Message)>),
    repertoire: &Repertoire,
    moves: &mut Vec<Move>,
) {
    let Some(times @ (now, deadline, _)) = times(state, to) else { return };
    let passed = deadline.is_some_and(|deadline| deadline <= now);
    let stamps: &[Stamp] =
        if passed { &[Stamp::None, Stamp::InTime, Stamp::BeforeTheStage, Stamp::InTheFuture] } else { &[Stamp::None] };
    let offered = Role::ALL.map(|role| state.paper.allowed(to, role));
    for (index, saying) in
        repertoire.0.iter().enumerate().filter(|(_, saying)| state.paper.takes(to, saying.command_kind))
    {
        for stamp in stamps {
            let message = Message { at: stamp.at(times), ..saying.message.clone() };
            let answer = tried.receive(to, saying.command_kind, message.clone());
            let offered = offered[saying.who as usize].contains(&saying.command_kind);
            if let Some(fault) = laws::wrong_answer(state, (to, times), *stamp, offered, &answer) {
                moves.push(Move::Wrong(index, to, *stamp, fault));
            }
            if answer.is_ok() {
                moves.push(Move::Say(index, to, *stamp));
                *tried = state.paper.clone();
            } else {
                refused.push((to, saying.command_kind, message));
            }
        }
    }
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(until) => write!(f, "time passes: {until:?}"),
            Self::Say(index, to, stamp) => write!(f, "command {index} for {to:?}, stamp {stamp:?}"),
            Self::Wrong(index, to, stamp, fault) => {
                write!(f, "command {index} for {to:?}, stamp {stamp:?}: {fault}")
            }
            Self::Run(None) => f.write_str("run"),
            Self::Run(Some(yes)) => write!(f, "run, and the bank says {}", if *yes { "yes" } else { "no" }),
        }
    }
}

//! Whole cases, played by bytes: each step is a command that a sender might send, or bytes that nobody would, at some hour. The
//! case stays sound, and in the end the held money is paid, refunded or kept, to the last minor unit.

use std::{collections::BTreeSet, fmt::Debug};

use jiff::{SignedDuration, Timestamp};
use recourse_domain::{
    case::{Case, REFUSALS_KEPT_MAX, What},
    claim::Grounds,
    command::{CommandKind, Message, Refusal},
    dispute::{DisputeCase, Opened},
    ids::Id,
    messages::Status,
    milestone::{Milestone, Submission},
    milestone_review::MilestoneReviewCase,
    money::{AMOUNT_MAX, Amount},
    party::{Contract, Role},
    payment_refund::PaymentRefundCase,
    policy::{ClientSilence, NoArbitration, Policy},
    posting::{FundedDeposit, Movement},
    refund_request::RefundRequestCase,
    starts::{DisputeStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
    text::NOTE_BYTES_MAX,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{Bytes, kept, plain};

/// A case that can be written and read again.
trait Playable: Case + Serialize + DeserializeOwned + PartialEq + Debug {}
impl<C: Case + Serialize + DeserializeOwned + PartialEq + Debug> Playable for C {}

/// The largest status in bytes: it is the answer to every update and query, and a server takes 2 MB.
const STATUS_BYTES_MAX: usize = 1_900_000;

/// The most steps that are played; the rest of the bytes is ignored.
const STEPS_MAX: usize = 200;

/// The first byte chooses the kind of case, the next the held money and the policy; the rest are the steps.
pub fn cases(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 3 {
        0 => contract_end(&mut bytes),
        1 => milestone_review(&mut bytes),
        _ => payment_refund(&mut bytes),
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_793_534_400).expect("an instant")
}

fn contract() -> Contract {
    let contract = json!({
        "id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD",
        "client": {"id": "cl-1", "name": "Cleo"}, "freelancer": {"id": "fl-1", "name": "Finn"},
    });
    serde_json::from_value(contract).expect("a contract")
}

fn id(text: &str) -> Id {
    Id::new(text).expect("an id")
}

fn amount(bytes: &mut Bytes<'_>) -> Amount {
    let number = bytes.number();
    let minor = match number {
        0..60_000 => number,
        _ => AMOUNT_MAX - (65_535 - number),
    };
    Amount::new(minor).expect("an amount")
}

fn policy(bytes: &mut Bytes<'_>) -> Policy {
    Policy {
        client_silence: bytes.one_of(&[ClientSilence::ClaimedAmount, ClientSilence::AllHeld]),
        no_arbitration: bytes.one_of(&[
            NoArbitration::RefundClient,
            NoArbitration::ReleaseFreelancer,
            NoArbitration::FollowResolution,
            NoArbitration::Hold,
        ]),
        arbitration_fee_share: amount(bytes).into(),
        reminder_hours: bytes.one_of(&[&[24][..], &[], &[1, 2, 48]]).to_vec(),
        ..Policy::default()
    }
}

fn deposits(amounts: &[Amount]) -> Vec<FundedDeposit> {
    let deposit = |(index, left): (usize, &Amount)| FundedDeposit {
        deposit: id(&format!("d-{index}")),
        source: id("card-1"),
        charge: format!("charge-{index}"),
        left: *left,
    };
    amounts.iter().enumerate().map(deposit).collect()
}

/// One step: after some hours this JSON comes in under this name.
struct Step {
    hours: u8,
    command_kind: CommandKind,
    json: Vec<u8>,
    /// For all other choices.
    flags: u8,
}

fn step(bytes: &mut Bytes<'_>, now: Timestamp) -> Step {
    let (command_kind, hours, flags) = (bytes.one_of(&CommandKind::ALL), bytes.byte(), bytes.byte());
    let form = bytes.byte();
    if form % 4 == 3 {
        let length = usize::from(bytes.byte());
        return Step { hours, command_kind, json: bytes.take(length).to_vec(), flags };
    }
    let mut json = serde_json::to_vec(&body(bytes, now)).expect("an object can be written");
    if form % 4 == 2 {
        let at = usize::try_from(bytes.number()).unwrap_or_default() % json.len();
        json[at] = bytes.byte();
    }
    Step { hours, command_kind, json, flags }
}

/// An object with the fields of all commands.
fn body(bytes: &mut Bytes<'_>, now: Timestamp) -> Map<String, Value> {
    let role = bytes.one_of(&Role::ALL);
    let who = match role {
        Role::Client => bytes.one_of(&["cl-1", "cl-1", "cl-1", "cl-2"]),
        Role::Freelancer => bytes.one_of(&["fl-1", "fl-1", "fl-1", "cl-1"]),
        _ => "somebody",
    };
    let amount = amount(bytes).minor();
    let number = bytes.byte();
    let long = "é".repeat(usize::from(number) * 60);
    let text = bytes.one_of(&["Words.", "Words.", "", "\u{1b}[2J\u{0}\n", &long]);
    let evidence = json!([{
        "sha256": "ab".repeat(32), "size": number, "name": text,
        "media_type": bytes.one_of(&["application/pdf", text]),
    }]);
    let evidence = if number.is_multiple_of(5) { evidence } else { json!([]) };
    let mut body = json!({
        "by": {"party": role, "id": who}, "amount": amount, "to_freelancer": amount, "number": number % 8,
        "hours": number, "reason": bytes.one_of(&["other", "other", text]), "details": text, "message": text, "text": text,
        "rationale": text, "reference": text, "note": text, "contacted_client": !number.is_multiple_of(7),
        "evidence": evidence, "files": evidence,
    });
    if let Some(of) = bytes.one_of(&[None, Some("claim"), Some("resolution"), Some("offer")]) {
        body["of"] = json!(of);
    }
    if let Some(key) = bytes.one_of(&[None, None, Some("k-1"), Some("k-2")]) {
        body["key"] = json!(key);
    }
    if let Some(hours) = bytes.one_of(&[None, None, Some(-30), Some(30)]) {
        body["at"] = json!(now + SignedDuration::from_hours(hours));
    }
    let Value::Object(body) = body else { unreachable!("an object") };
    body
}

/// Advances the case's clock to `now`.
fn pass<C: Case>(case: &mut C, now: Timestamp) {
    while let Some(at) = case.wake_at().filter(|at| *at <= now) {
        let before = (case.file().version(), case.wake_at());
        case.tick(at);
        let after = (case.file().version(), case.wake_at());
        assert!(case.is_decided() || after != before, "a clock that ticks for nothing would never stop");
    }
}

/// The status without its timeline.
fn apart_from_its_timeline<C: Case>(case: &C) -> Status {
    Status { timeline: Vec::new(), refusals_omitted: 0, ..Status::of(case) }
}

fn receive<C: Case>(case: &mut C, step: &Step, now: Timestamp) -> Option<Result<(), Refusal>> {
    // Like the handlers: a command that this kind of case does not have never reaches it.
    if !step.command_kind.is_taken_by(C::KIND) {
        return None;
    }
    let message = Message::read(step.command_kind, &step.json);
    let message = message.and_then(|message| C::readable(&message.command).map(|()| message));
    Some(case.receive(step.command_kind, message, now))
}

fn play<C: Playable>(case: &mut C, step: &Step, now: Timestamp) {
    pass(case, now);
    let before = apart_from_its_timeline(case);
    let happened = case.file().timeline.len();
    let Some(answer) = receive(case, step, now) else { return };
    let after = apart_from_its_timeline(case);
    assert!(case.file().timeline.len() >= happened, "the timeline never shrinks");
    let readable = Message::read(step.command_kind, &step.json);
    match &answer {
        Ok(()) => {
            let message = readable.as_ref().expect("what was taken can be read");
            let offered = before
                .allowed
                .get(&message.by.party)
                .is_some_and(|command_kinds| command_kinds.contains(&step.command_kind));
            let repeated = message.key.is_some() && before == after;
            assert!(offered || repeated, "{message:?} was taken though the status did not offer it");
        }
        Err(refusal) => {
            plain(&refusal.to_string());
            assert_eq!(before, after, "nothing has changed but the timeline");
        }
    }
    if let (Some(outcome), true) = (&before.outcome, before.allowed.values().all(Vec::is_empty)) {
        assert_eq!(after.outcome.as_ref(), Some(outcome), "an outcome never changes");
    }
    if readable.is_ok_and(|message| message.key.is_some()) {
        let again = receive(case, step, now).expect("a step before");
        let reason = |answer: &Result<(), Refusal>| answer.as_ref().err().map(|refusal| refusal.kind);
        assert_eq!(reason(&again), reason(&answer), "L7: the second gets the first one's answer");
        assert_eq!(apart_from_its_timeline(case), after, "L7: it acts once");
    }
    for notice in case.file_mut().take_notices() {
        kept(&notice);
    }
    sound(case);
}

fn sound<C: Playable>(case: &C) {
    let file = case.file();
    let refusals = file.timeline.iter().filter(|entry| matches!(entry.what, What::Refused | What::Unreadable)).count();
    assert!(refusals <= REFUSALS_KEPT_MAX);
    for note in file.timeline.iter().filter_map(|entry| entry.note.as_deref()) {
        assert!(note.len() <= NOTE_BYTES_MAX && !note.chars().any(char::is_control), "{note:?}");
    }
    let status = Status::of(case);
    assert!(serde_json::to_vec(&status).is_ok_and(|json| json.len() < STATUS_BYTES_MAX));
    if case.is_decided() {
        assert!(status.allowed.values().all(Vec::is_empty), "nothing is offered once it is decided");
    }
}

/// An escrow from which movements are taken one by one.
struct Books {
    escrow: i128,
    left: Vec<FundedDeposit>,
    to_freelancer: i128,
    to_client: i128,
    steps: BTreeSet<String>,
}

impl Books {
    fn of(deposits: Vec<FundedDeposit>) -> Self {
        let escrow = deposits.iter().map(|deposit| i128::from(deposit.left.minor())).sum();
        Self { escrow, left: deposits, to_freelancer: 0, to_client: 0, steps: BTreeSet::new() }
    }

    fn post(&mut self, case: &str, movements: Vec<Movement>) {
        for movement in movements {
            let (step, out) = match &movement {
                Movement::Release { step, amount, .. } => {
                    self.to_freelancer += i128::from(amount.minor());
                    (step, amount.minor())
                }
                Movement::Refund { step, amount, deposit, .. } => {
                    let from = self.left.iter_mut().find(|from| from.deposit == *deposit).expect("a deposit");
                    from.left = from.left.minus(*amount).expect("L3: no more goes back than was charged");
                    self.to_client += i128::from(amount.minor());
                    (step, amount.minor())
                }
                Movement::FeeReturn { step, .. } => (step, 0),
            };
            assert!(self.steps.insert(format!("{case}/{step}")), "L2: {case}/{step} is one movement");
            self.escrow -= i128::from(out);
            assert!(self.escrow >= 0, "L3: the escrow is never below zero");
        }
    }
}

fn pay_fees(case: &mut DisputeCase, flags: u8, now: Timestamp) {
    for fee in case.take_fees_due() {
        let charged = if flags & 1 == 0 { Ok("charge".into()) } else { Err("the card was \u{7}declined".into()) };
        case.fee_charged(fee.party, charged, now);
    }
}

/// Everybody is silent until the end, except an arbitrator who gives an award.
fn end(dispute: &mut DisputeCase, now: Timestamp) {
    let json = json!({"by": {"party": "arbitrator", "id": "arb-1"}, "to_freelancer": 0, "reference": "AAA-1"});
    let json = serde_json::to_vec(&json).expect("an object can be written");
    play(dispute, &Step { hours: 0, command_kind: CommandKind::Award, json, flags: 0 }, now);
    assert!(dispute.is_decided(), "{}", dispute.stage());
}

const FOREVER: SignedDuration = SignedDuration::from_hours(24 * 400);

fn contract_end(bytes: &mut Bytes<'_>) {
    let policy = policy(bytes);
    let funded: Vec<_> = (0..bytes.byte() % 4).map(|_| Amount::new(bytes.number()).expect("an amount")).collect();
    let held = funded.iter().try_fold(Amount::ZERO, |sum, part| sum.plus(*part)).expect("small amounts");
    let mut books = Books::of(deposits(&funded));
    let end_of_contract =
        RefundRequestStart { contract: contract(), pay_now: amount(bytes), reason: None, policy: Some(policy) };
    let mut now = start();
    let mut parent = RefundRequestCase::begin("refund-request:c-1".into(), end_of_contract, now);
    parent.opened(held, deposits(&funded), None, now);
    if parent.is_waiting() {
        books.post("refund-request", parent.payment_now(now).into_iter().collect());
    }
    let mut child: Option<DisputeCase> = None;
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() {
            break;
        }
        let step = step(bytes, now);
        now += SignedDuration::from_hours(step.hours.into());
        match &mut child {
            Some(child) if step.flags & 2 == 0 => play(child, &step, now),
            _ => play(&mut parent, &step, now),
        }
        if let (Some(claim), None) = (parent.disputed().cloned(), &child) {
            let (grounds, policy) = (Grounds::RefundRequest, parent.file().policy.clone());
            let filing = DisputeStart {
                contract: contract(),
                grounds,
                milestone: None,
                claim,
                contacted_client: Some(false),
                attested_by: None,
                policy: Some(policy),
            };
            let mut case = DisputeCase::begin("dispute:c-1".into(), filing, now);
            case.opened(Opened { held: parent.held(), deposits: books.left.clone() }, None, None, now);
            assert!(!case.is_decided(), "a claim that the refund request took is one that the dispute takes");
            child = Some(case);
        }
        if let Some(child) = &mut child {
            pay_fees(child, step.flags, now);
        }
    }
    now += FOREVER;
    pass(&mut parent, now);
    if let Some(mut child) = child {
        end(&mut child, now);
        books.post("dispute", child.settlement(now).expect("L3: the deposits hold what is in escrow"));
        kept(&child);
        parent.dispute_ended(child.outcome().expect("an outcome").clone(), now);
    } else {
        books.post("refund-request", parent.settlement(now).expect("L3: the deposits hold what is in escrow"));
    }
    kept(&parent);
    let outcome = parent.outcome().expect("silence decides");
    let moved = (outcome.to_freelancer.minor().into(), outcome.to_client.minor().into());
    assert_eq!((books.to_freelancer, books.to_client), moved, "the outcome says what moved");
    let refused = outcome.result.name() == "refused";
    assert!(
        refused || books.escrow == outcome.kept_in_escrow.minor().into(),
        "paid out and held is what was deposited"
    );
}

fn milestone_review(bytes: &mut Bytes<'_>) {
    let policy = policy(bytes);
    let worth = amount(bytes).max(Amount::new(1).expect("an amount"));
    let milestone =
        Milestone { id: id("m-1"), ordinal: 1, name: "\u{1b}Part 1".into(), amount: worth, description: None };
    let submission = Submission::default();
    let first = MilestoneReviewStart { contract: contract(), milestone, submission, policy: Some(policy.clone()) };
    let mut now = start();
    let mut review = MilestoneReviewCase::begin("milestone-review:c-1:m-1".into(), first, now);
    review.opened(&deposits(&[worth]), now);
    let mut books = Books::of(deposits(&[worth]));
    let (mut child, mut disputes): (Option<DisputeCase>, u32) = (None, 0);
    for played in 0..=STEPS_MAX {
        let last = bytes.is_empty() || played == STEPS_MAX;
        let step = step(bytes, now);
        now += if last { FOREVER } else { SignedDuration::from_hours(step.hours.into()) };
        match &mut child {
            Some(case) if last => end(case, now),
            Some(case) if step.flags & 2 == 0 => {
                play(case, &step, now);
                pay_fees(case, step.flags, now);
            }
            _ => play(&mut review, &step, now),
        }
        if let Some(case) = child.take_if(|case| case.is_decided()) {
            books.post(&format!("dispute#{disputes}"), case.settlement(now).expect("L3"));
            review.dispute_ended(case.outcome().expect("an outcome").clone(), now);
        }
        if let (Some(claim), None, false) = (review.disputed().cloned(), &child, last) {
            let (grounds, milestone) = (Grounds::NonRelease, Some(id("m-1")));
            let policy = policy.clone();
            let filing = DisputeStart {
                contract: contract(),
                grounds,
                milestone,
                claim,
                contacted_client: Some(true),
                attested_by: None,
                policy: Some(policy),
            };
            let mut case = DisputeCase::begin("dispute:c-1:m-1".into(), filing, now);
            let opened = Opened { held: worth, deposits: deposits(&[worth]) };
            case.opened(opened, Some("milestone-review:c-1:m-1".into()), None, now);
            assert!(!case.is_decided(), "a claim that the review took is one that the dispute takes");
            disputes += 1;
            child = Some(case);
        }
        if last {
            break;
        }
    }
    kept(&review);
    books.post("review", review.settlement(now));
    if let Some(outcome) = review.outcome() {
        let moved = (outcome.to_freelancer.minor().into(), 0);
        assert_eq!((books.to_freelancer, books.to_client), moved, "E10: nothing goes back to the client");
        assert_eq!(books.escrow, outcome.kept_in_escrow.minor().into(), "paid out and kept is what was there");
    } else {
        assert_eq!(books.to_freelancer, 0, "what is not decided moves nothing");
    }
}

fn payment_refund(bytes: &mut Bytes<'_>) {
    let policy = policy(bytes);
    let (paid, asked) = (amount(bytes), amount(bytes));
    let payment = serde_json::from_value(json!("refund-request:c-1/release")).expect("a payment's id");
    let message = "\u{7}Please.".to_owned();
    let mut now = start();
    let asked = PaymentRefundStart {
        contract: contract(),
        payment,
        released_at: now,
        amount: asked,
        message,
        policy: Some(policy),
    };
    let mut case = PaymentRefundCase::begin("payment-refund:refund-request:c-1/release".into(), asked, now);
    if !case.is_decided() {
        case.opened(paid, Amount::ZERO, now, now);
    }
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() {
            break;
        }
        let step = step(bytes, now);
        now += SignedDuration::from_hours(step.hours.into());
        play(&mut case, &step, now);
        if let Some(amount) = case.returning() {
            assert!(amount <= paid, "P4: no more is returned than was paid");
            if step.flags & 1 == 0 { case.returned(amount, now) } else { case.not_covered(Amount::ZERO, now) }
        }
    }
    pass(&mut case, now + FOREVER);
    kept(&case);
    let outcome = case.outcome().expect("silence decides");
    assert!(outcome.to_client <= paid && outcome.to_freelancer.is_zero());
    assert!(matches!(outcome.result.name(), "refunded" | "declined" | "refused"), "{outcome:?}");
}

//! The runs of the checker, each with its bounds: how the cases begin, and which commands are tried.

use std::time::Instant;

use jiff::Timestamp;
use recourse_domain::{
    claim::{Claim, ClaimReason, Grounds},
    evidence::EvidenceLimits,
    ids::{Id, PaymentId},
    milestone::{Milestone, Submission},
    money::Amount,
    outcome::DecidedBy::{self, *},
    party::Role,
    policy::{ClientSilence, NoArbitration, Policy},
    starts::{DisputeStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
    window::Window,
};
use stateright::{Checker as _, HasDiscoveries, Model as _};

use super::{Cases, moves::Repertoire};
use crate::paper::{Books, Paper, contract};

/// Sunday 1 November 2026, 12:00 UTC.
const START: i64 = 1_793_534_400;

/// A share of the arbitration fee.
const SHARE: i64 = 5;

fn start() -> Timestamp {
    Timestamp::from_second(START).unwrap()
}

fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

/// Everything in calendar days, so that only durations matter and not the day on which they begin.
fn policy(client_silence: ClientSilence, no_arbitration: NoArbitration, share: i64) -> Policy {
    Policy {
        client_silence,
        no_arbitration,
        arbitration_fee_share: amount(share).into(),
        resolution_target: Window::calendar(2),
        refund_settlement: Window::calendar(5),
        reminder_hours: vec![],
        evidence: EvidenceLimits { media_types: vec![], ..EvidenceLimits::default() },
        ..Policy::default()
    }
}

fn common_policy() -> Policy {
    policy(ClientSilence::ClaimedAmount, NoArbitration::RefundClient, SHARE)
}

/// Both policies of silence and all policies without a demand, with and without a fee.
fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    for silence in [ClientSilence::ClaimedAmount, ClientSilence::AllHeld] {
        for default in [
            NoArbitration::RefundClient,
            NoArbitration::ReleaseFreelancer,
            NoArbitration::FollowResolution,
            NoArbitration::Hold,
        ] {
            all.extend([0, SHARE].map(|share| policy(silence, default, share)));
        }
    }
    all
}

/// The contract ends with 3 in escrow, of two deposits.
fn contract_ends(pay_now: i64, policy: Policy) -> Paper {
    let end = RefundRequestStart { contract: contract(), pay_now: amount(pay_now), reason: None, policy: Some(policy) };
    Paper::contract_ends(end, Books::with(&[1, 2], "card-1"), start())
}

/// The same, and the freelancer has disputed it at once.
fn disputed(pay_now: i64, claim: i64, policy: Policy) -> Paper {
    let mut paper = contract_ends(pay_now, policy);
    said(&mut paper, Role::Freelancer, &format!("claim {claim}"));
    paper
}

fn said(paper: &mut Paper, who: Role, words: &str) {
    let saying = Repertoire::saying(who, words);
    paper
        .receive(paper.current(), saying.command_kind, saying.message)
        .unwrap_or_else(|refusal| panic!("{words}: {refusal}"));
    paper.run(None);
}

fn milestone() -> Milestone {
    let id = Id::new("m-1").unwrap();
    Milestone { id, ordinal: 1, name: String::new(), amount: amount(3), description: None }
}

fn submitted(policy: Policy) -> Paper {
    let (milestone, submission) = (milestone(), Submission::default());
    let first = MilestoneReviewStart { contract: contract(), milestone, submission, policy: Some(policy) };
    Paper::milestone_is_submitted("milestone-review:c-1:m-1", first, Books::with(&[1, 2], "card-1"), start())
}

/// A dispute about a milestone's held-over money, on an active contract.
fn held_over(claimed: i64, policy: Policy) -> Paper {
    let claim = Claim {
        amount: amount(claimed),
        reason: ClaimReason::WorkDelivered,
        details: "It is done.".to_owned(),
        evidence: vec![],
    };
    let (grounds, milestone) = (Grounds::PartialRelease, Some(milestone().id));
    let filing = DisputeStart {
        contract: contract(),
        grounds,
        milestone,
        claim,
        contacted_client: Some(true),
        attested_by: None,
        policy: Some(policy),
    };
    Paper::claim_is_filed(filing, Books::with(&[1, 2], "card-1"), start())
}

/// The client asks for this much of a payment of 3, this many days after its release.
fn asked_back(asked: i64, days: i64, policy: Policy) -> Paper {
    let payment = PaymentId::new("refund-request:c-0/pay_now").unwrap();
    let released_at = start() - jiff::SignedDuration::from_hours(24 * days);
    let (amount_asked, message) = (amount(asked), String::new());
    let request = PaymentRefundStart {
        contract: contract(),
        payment: payment.clone(),
        released_at,
        amount: amount_asked,
        message,
        policy: Some(policy),
    };
    let books = Books::with(&[1, 2], "card-1").and_paid(payment.as_str(), 3);
    Paper::payment_is_asked_back(request, (amount(3), Amount::ZERO, released_at), books, start())
}

/// Explores, prints how many states there are, and requires at least `states_min`: a model without states proves nothing.
fn explore(name: &str, states_min: usize, reachable: &'static [DecidedBy], begun: Vec<Paper>, lines: &str) {
    let started = Instant::now();
    let repertoire = Repertoire::new(lines);
    let sayings = repertoire.0.len();
    let checker =
        Cases { begun, repertoire, reachable }.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    println!("model: {name}: {states} states, {steps} steps, {sayings} commands, {:.1?}", started.elapsed());
    checker.assert_properties();
    assert!(states >= states_min, "{name}: {states} states; at least {states_min} were explored before");
}

/// E10, R1, R2, R4, R5, R6, R10, T6: a contract's end, with nothing, a part, all, and more than all paid at once.
#[test]
fn a_contracts_end_leads_where_the_rules_say_in_every_order() {
    let begun = [0, 1, 3, 4].map(|pay_now| contract_ends(pay_now, common_policy())).to_vec();
    let reachable =
        &[ContractEnd, Rule, ClientRelease, FreelancerApproval, FreelancerSilence, ClientAcceptance, ClientSilence];
    let lines = "freelancer: claim 1, claim 0, claim 4
         freelancer: approve
         client: release
         client: accept claim
         operator: extend 24, extend 0, extend 9999";
    explore("contract end", 80, reachable, begun, lines);
}

/// D2–D5, M1–M6, A1–A5, T2, L7: a disputed refund, from the claim to the award.
#[test]
fn a_dispute_leads_where_the_rules_say_in_every_order() {
    let begun = vec![disputed(1, 1, common_policy())];
    let reachable = &[
        ClientAcceptance,
        ClientSilence,
        FreelancerWithdrawal,
        ResolutionAccepted,
        ArbitrationDefault,
        ArbitrationSoleDemand,
        ArbitrationAward,
    ];
    let lines = "client: accept claim
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
         arbitrator: award 1, award 3";
    explore("dispute", 3000, reachable, begun, lines);
}

/// A2, A3, D3: every policy of silence, of what happens without a demand, and of the fee.
#[test]
fn every_policy_decides_as_it_says() {
    let begun = policies().into_iter().map(|policy| disputed(1, 1, policy)).collect();
    let reachable = &[ClientSilence, ArbitrationDefault, ArbitrationSoleDemand];
    let lines = "client: reject claim
         mediator: propose 1
         client: demand_arbitration
         freelancer: demand_arbitration";
    explore("policies", 4000, reachable, begun, lines);
}

/// M7: bargaining from the claim to the award: offers, newer offers, answers to them, and offers that are taken back.
#[test]
fn the_parties_may_agree_at_any_time_until_an_award() {
    let begun = vec![disputed(0, 2, policy(ClientSilence::ClaimedAmount, NoArbitration::RefundClient, 0))];
    let lines = "client: offer 1, offer 4
         freelancer: offer 2
         client: accept offer 1, accept offer 2
         freelancer: accept offer 1, accept offer 2
         client: reject offer 1
         freelancer: retract 1, retract 2
         client: reject claim";
    explore("bargaining", 5000, &[Agreement], begun, lines);
}

/// E4–E8, E11, D1, D5: a milestone's review, approved in full, with less or more, sent back, disputed and superseded.
#[test]
fn a_milestones_review_leads_where_the_rules_say_in_every_order() {
    let begun = vec![submitted(common_policy())];
    let reachable = &[ClientApproval, ClientSilence, ContractEnd, ClientAcceptance, ArbitrationDefault];
    let lines = "client: approve, approve 1, approve 5, approve 0
         client: request_changes
         freelancer: submit
         freelancer: claim 1
         operator: supersede
         client: accept claim
         client: reject claim
         freelancer: withdraw";
    explore("milestone review", 400, reachable, begun, lines);
}

/// D1, D3, E10: a dispute on an active contract returns nothing to the client, whatever the policy.
#[test]
fn a_dispute_on_an_active_contract_leaves_the_rest_in_escrow() {
    let begun = policies().into_iter().map(|policy| held_over(2, policy)).collect();
    let reachable = &[ClientAcceptance, ClientSilence, FreelancerWithdrawal, ArbitrationDefault, ArbitrationSoleDemand];
    let lines = "client: reject claim
         client: accept claim
         freelancer: withdraw
         client: demand_arbitration
         freelancer: demand_arbitration";
    explore("active dispute", 2500, reachable, begun, lines);
}

/// P1–P4: a client asks for released money, in time and too late, for all, a part and more than all.
#[test]
fn only_the_freelancer_returns_a_payment() {
    let begun =
        [(3, 0), (2, 29), (3, 179), (3, 180), (4, 0)].map(|(asked, days)| asked_back(asked, days, common_policy()));
    let reachable = &[FreelancerApproval, FreelancerSilence, FreelancerRejection, Rule];
    let lines = "freelancer: approve, approve 1, approve 0, approve 4
         freelancer: keep
         client: ask
         mediator: opinion
         operator: extend 24";
    explore("payment refund", 1100, reachable, begun.to_vec(), lines);
}

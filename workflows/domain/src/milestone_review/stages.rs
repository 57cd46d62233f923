//! The review as a case: its stages, who may do what in each, and where a command or silence leads.

use super::{
    Amount, Approve, Case, CaseFile, CaseKind, Command, CommandKind, DecidedBy, IfSilent, MilestoneReviewCase, Outcome,
    Particulars, Refusal, RefusalKind, RequestChanges, Role, Rule, Stage, Timestamp, What, Who, dispute_id,
};
use crate::{
    claim::Claim,
    milestone::{Submission, check_changes},
    notice::{Facts, NoticeEvent},
    order::{Done, Next, Order},
    stage::Stage as Shown,
};

/// How often changes may be requested, and how often a claim may be filed: more often than real parties need, and not often
/// enough to fill a case.
const ROUNDS_MAX: usize = 200;

impl Case for MilestoneReviewCase {
    const KIND: CaseKind = CaseKind::MilestoneReview;

    fn file(&self) -> &CaseFile {
        &self.file
    }

    fn file_mut(&mut self) -> &mut CaseFile {
        &mut self.file
    }

    fn stage(&self) -> Shown {
        match self.stage {
            Stage::Opening | Stage::Settling => Shown::Settling,
            Stage::AwaitingClient => Shown::AwaitingClient,
            Stage::ChangesRequested => Shown::ChangesRequested,
            Stage::Disputed => Shown::Disputed,
            Stage::Closed => Shown::Closed,
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.stage, Stage::Settling | Stage::Closed)
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref().filter(|_| self.is_decided())
    }

    fn waiting_on(&self) -> Vec<Role> {
        match self.stage {
            Stage::AwaitingClient => vec![Role::Client],
            Stage::ChangesRequested => vec![Role::Freelancer],
            _ => Vec::new(),
        }
    }

    fn if_silent(&self) -> Option<IfSilent> {
        (self.stage == Stage::AwaitingClient).then_some(IfSilent::ReleaseFreelancer)
    }

    fn held(&self) -> Amount {
        match self.stage {
            Stage::Opening | Stage::Closed => Amount::ZERO,
            _ => self.amount(),
        }
    }

    fn particulars(&self) -> Particulars {
        let milestone = &self.review.milestone.id;
        let dispute = self.claim.as_ref().map(|_| dispute_id(&self.file.contract.id, Some(milestone)));
        let (claim, review) = (self.claim.clone(), Some(self.review.clone()));
        Particulars { claim, dispute, review, ..Particulars::default() }
    }

    fn milestone_label(&self) -> Option<&str> {
        Some(self.review.milestone.label())
    }

    fn offers(&self, role: Role, command_kind: CommandKind) -> bool {
        let in_stage = match command_kind {
            CommandKind::Approve | CommandKind::Dispute => self.is_waiting(),
            CommandKind::RequestChanges => self.stage == Stage::AwaitingClient,
            CommandKind::Submit => self.stage == Stage::ChangesRequested,
            CommandKind::Supersede => self.is_waiting() || (self.stage == Stage::Disputed && !self.contract_ended),
            _ => false,
        };
        in_stage && command_kind.givers(Self::KIND).contains(&role)
    }

    fn answered_before(&self, role: Role, command: &Command) -> Option<String> {
        let decided_by = self.outcome.as_ref().map(|outcome| outcome.decided_by);
        let answer = match (command, decided_by) {
            (Command::Approve(_) | Command::RequestChanges(_), Some(DecidedBy::ClientApproval)) => {
                "the client has approved the milestone"
            }
            (Command::RequestChanges(_), _) if self.stage == Stage::ChangesRequested => {
                "the client has requested changes; the freelancer submits again"
            }
            (Command::Dispute(_) | Command::Submit(_), _) if self.claim.is_some() => {
                "the freelancer has disputed that the milestone is not released; the dispute goes on in its own case"
            }
            (Command::Supersede(_), _) if self.contract_ended => "the contract's end is known",
            _ => return None,
        };
        command.command_kind().givers(Self::KIND).contains(&role).then(|| answer.to_owned())
    }

    fn refuse(&mut self, rule: Rule, reason: String, now: Timestamp) {
        self.decide(Outcome::refused(rule, reason), now);
    }

    fn act(&mut self, role: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if !self.offers(role, command.command_kind()) {
            return Err(self.not_offered(command.command_kind()));
        }
        match command {
            Command::Approve(Approve { amount, submission }) => {
                self.check_seen(submission)?;
                self.approve(amount, at, now)
            }
            Command::RequestChanges(RequestChanges { message }) => self.request_changes(message, at, now),
            Command::Submit(submission) => self.submit(submission.into(), at, now),
            Command::Dispute(dispute) => {
                let contacted = dispute.contacted_client.unwrap_or_default();
                self.dispute(dispute.claim(), contacted, at, now)
            }
            Command::Supersede(_) => {
                self.file.record(at, role, What::Superseded, Rule::E11, "the contract has ended");
                self.contract_ended = true;
                if self.is_waiting() {
                    self.supersede(now);
                }
                Ok(())
            }
            other => Err(self.not_now(other.command_kind())),
        }
    }

    fn next(&mut self, now: Timestamp) -> Next {
        match self.stage {
            Stage::Opening | Stage::AwaitingClient | Stage::ChangesRequested => Next::Wait,
            Stage::Disputed => Next::Do(self.dispute_order().into_iter().collect()),
            Stage::Settling if self.is_refused() || std::mem::replace(&mut self.settling, true) => {
                self.close(now);
                Next::Over
            }
            Stage::Settling => {
                let settle = Order::Settle { movements: self.settlement(now), close: Some(self.close_hold()) };
                // The bonus is charged at the same time as the release. The release does not depend on it (E7).
                let bonus = self.take_bonus_due(now).map(Order::PayBonus);
                Next::Do(std::iter::once(settle).chain(bonus).collect())
            }
            Stage::Closed => Next::Over,
        }
    }

    fn done(&mut self, done: Done, now: Timestamp) {
        match done {
            Done::Bonus { amount, charged } => self.bonus_charged(amount, charged, now),
            Done::Disputed(Ok(outcome)) => self.dispute_ended(outcome, now),
            Done::Disputed(Err(stopped)) => self.dispute_stopped(&stopped, now),
            // The case is over when it knows the bonus's result too.
            Done::Settled | Done::Fee { .. } | Done::Returned(_) | Done::NotCovered(_) => {}
        }
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        let at = self.file.deadline.unwrap_or(now);
        self.file.record(at, Who::Case, What::Silence, Rule::E4, "the client did not answer");
        self.release(self.amount(), Amount::ZERO, DecidedBy::ClientSilence, Rule::E4, now);
    }
}

impl MilestoneReviewCase {
    /// The refusal of a command that this stage does not offer: it says where the command belongs.
    fn not_offered(&self, command_kind: CommandKind) -> Refusal {
        match (self.stage, command_kind) {
            (Stage::AwaitingClient, CommandKind::Submit) => {
                let reason = "the milestone is under review; it can be submitted again after changes were requested";
                Refusal::new(RefusalKind::NotAllowed, Rule::E3, reason)
            }
            (Stage::Disputed, CommandKind::Approve | CommandKind::RequestChanges) => {
                let dispute = dispute_id(&self.file.contract.id, Some(&self.review.milestone.id));
                let reason = format!("the milestone is disputed; answer the claim in {dispute}");
                Refusal::new(RefusalKind::NotAllowed, Rule::D1, reason)
            }
            _ => self.not_now(command_kind),
        }
    }

    /// Whether the latest submission is still the one that the client saw, if the client names one.
    fn check_seen(&self, submission: Option<u32>) -> Result<(), Refusal> {
        let latest = self.review.submissions;
        match submission {
            Some(seen) if seen != latest => {
                let reason =
                    format!("submission: the latest is number {latest}, not {seen}; look at it, and answer that");
                Err(Refusal::invalid(Rule::E5, reason))
            }
            _ => Ok(()),
        }
    }

    /// Stops the window, and sends the freelancer a notice at once (E8).
    fn request_changes(&mut self, message: String, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        check_changes(&message).map_err(|reason| Refusal::invalid(Rule::E8, reason))?;
        self.check_rounds(What::ChangesRequested, "changes were requested", Rule::E8)?;
        self.file.record(at, Role::Client, What::ChangesRequested, Rule::E8, "");
        self.stage = Stage::ChangesRequested;
        self.file.enter(None, now);
        let facts = Facts { text: Some(message.clone()), ..Facts::default() };
        self.review.changes = Some(message);
        self.announce(NoticeEvent::ChangesRequested, Rule::E8, Some(Role::Client), &facts);
        Ok(())
    }

    fn submit(&mut self, submission: Submission, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        submission.check(&self.file.policy).map_err(|reason| Refusal::invalid(Rule::E8, reason))?;
        self.review.submissions = self.review.submissions.saturating_add(1);
        self.review.latest = submission;
        self.submitted(at, now);
        Ok(())
    }

    /// The freelancer claims the milestone's escrow; the client's clock stops while the dispute runs (D1).
    fn dispute(&mut self, claim: Claim, contacted: bool, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if !contacted {
            let reason = "contacted_client: contact the client first, and dispute if that did not help";
            return Err(Refusal::invalid(Rule::D1, reason));
        }
        let currency = self.file.contract.currency;
        claim.check(self.amount(), currency, &self.file.policy).map_err(|reason| Refusal::invalid(Rule::R5, reason))?;
        self.check_rounds(What::ClaimFiled, "the milestone was disputed", Rule::D1)?;
        self.file.record(at, Role::Freelancer, What::ClaimFiled, Rule::D1, currency.show(claim.amount));
        self.window_left = self.file.deadline.map(|deadline| deadline.duration_since(at));
        self.claim = Some(claim);
        self.stage = Stage::Disputed;
        self.file.enter(None, now);
        let dispute = dispute_id(&self.file.contract.id, Some(&self.review.milestone.id));
        self.file.record(now, Who::Case, What::DisputeOpened, Rule::D1, dispute);
        Ok(())
    }

    /// Whether something happened less often than its limit, so that it cannot fill a timeline.
    fn check_rounds(&self, what: What, words: &str, rule: Rule) -> Result<(), Refusal> {
        if self.file.timeline.iter().filter(|entry| entry.what == what).count() < ROUNDS_MAX {
            return Ok(());
        }
        let reason = format!("{words} {ROUNDS_MAX} times, which is all there may be");
        Err(Refusal::new(RefusalKind::NotAllowed, rule, reason))
    }
}

//! From the Notice of Non-Resolution to the award: M6, A1–A5.

use jiff::SignedDuration;

use super::{
    Alarm, Amount, Award, Case, Command, DecidedBy, DemandArbitration, Deserialize, DisputeCase, Facts, Id, IfSilent,
    Movement, NoArbitration, NoticeEvent, Outcome, Refusal, ResultKind, Role, Rule, Serialize, Split, Stage, Timestamp,
    What, Who,
};
use crate::{
    command::RefusalKind,
    fee::{Arbitration, FeeDue, ShareState, charge_step, return_step},
    text::check_short_text,
    window::later,
};

/// How often operators get a reminder of a case that waits for its award (A4).
const REMINDER_EVERY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often a party may demand arbitration if its share cannot be charged. Everything that a party can repeat has a limit.
const DEMANDS_MAX: u32 = 20;

/// The state of a party's demand (A1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Demand {
    /// Its share is being charged; the field is the attempt's number.
    Charging(u32),
    /// Its share is paid.
    Paid {
        /// The payment provider's key of the charge; nothing if the policy asks for no fee.
        charge: Option<String>,
    },
    /// Its share could not be charged, which counts as not paid; it may demand again.
    Declined(u32),
}

impl DisputeCase {
    /// Tells both parties that there is no resolution, and opens the window for demands (M6, A1).
    pub(super) fn give_notice_of_non_resolution(&mut self, rule: Rule, reason: Option<String>, now: Timestamp) {
        self.file.overdue = false;
        self.stage = Stage::AwaitingArbitrationDemand;
        let window = self.file.policy.arbitration_demand;
        self.file.enter(Some(window), now);
        self.file.record(now, Who::Case, What::NoticeOfNonResolution, rule, "");
        let facts = Facts { held: Some(self.held), amount: Some(self.fee_share()), text: reason, ..Facts::default() };
        self.announce(NoticeEvent::NonResolution, rule, None, &facts);
    }

    /// The amount that a demand charges (A1).
    pub fn fee_share(&self) -> Amount {
        self.file.policy.arbitration_fee_share.of_case(self.file.contract.currency, self.file.rules)
    }

    /// A party's share in words.
    fn share_of(&self, role: Role) -> String {
        match self.fee_share() {
            share if share.is_zero() => "the policy asks for no fee".to_owned(),
            share => format!("{}, the {role}'s share of the fee", self.file.contract.currency.show(share)),
        }
    }

    /// The fee in the status.
    pub(super) fn arbitration(&self) -> Arbitration {
        let state = |demand: &Demand| match demand {
            Demand::Charging(_) => ShareState::Charging,
            Demand::Paid { .. } => ShareState::Paid,
            Demand::Declined(_) => ShareState::Declined,
        };
        let shares = self.demands.iter().map(|(role, demand)| (*role, state(demand))).collect();
        Arbitration { fee_share: self.fee_share(), shares }
    }

    /// Whether this party's share is neither paid nor being charged.
    pub(super) fn may_demand(&self, role: Role) -> bool {
        matches!(self.demands.get(&role), None | Some(Demand::Declined(_)))
    }

    pub(super) fn demanded_before(&self, role: Role) -> Option<String> {
        (!self.may_demand(role)).then(|| format!("the {role} has demanded arbitration"))
    }

    pub(super) fn is_charging(&self) -> bool {
        self.demands.values().any(|demand| matches!(demand, Demand::Charging(_)))
    }

    fn has_paid(&self, role: Role) -> bool {
        matches!(self.demands.get(&role), Some(Demand::Paid { .. }))
    }

    /// What silence does now: if nobody paid, the policy decides; if one party paid, it gets everything (A2, A3).
    pub(super) fn if_no_more_demands(&self) -> IfSilent {
        let to_client = if self.grounds.is_active() { IfSilent::KeepInEscrow } else { IfSilent::RefundClient };
        match (self.has_paid(Role::Client), self.has_paid(Role::Freelancer)) {
            (true, _) => to_client,
            (false, true) => IfSilent::ReleaseFreelancer,
            (false, false) => match self.file.policy.no_arbitration {
                NoArbitration::RefundClient => to_client,
                NoArbitration::ReleaseFreelancer => IfSilent::ReleaseFreelancer,
                NoArbitration::FollowResolution => IfSilent::FollowResolution,
                NoArbitration::Hold => IfSilent::Hold,
            },
        }
    }

    /// A party demands arbitration: the workflow must charge its share (A1).
    pub(super) fn demand(
        &mut self,
        role: Role,
        command: Command,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Command::DemandArbitration(DemandArbitration { source }) = command else {
            return Err(self.not_now(command.command_kind()));
        };
        let attempt = match self.demands.get(&role) {
            Some(Demand::Declined(attempt)) => attempt + 1,
            _ => 1,
        };
        if attempt > DEMANDS_MAX {
            let reason =
                format!("the {role}'s share could not be charged {DEMANDS_MAX} times, which is all there may be");
            return Err(Refusal::new(RefusalKind::NotAllowed, Rule::A1, reason));
        }
        let amount = self.fee_share();
        self.file.record(at, role, What::ArbitrationDemanded, Rule::A1, self.share_of(role));
        if amount.is_zero() {
            self.paid(role, None, now);
            return Ok(());
        }
        self.demands.insert(role, Demand::Charging(attempt));
        match source {
            Some(source) => drop(self.sources.insert(role, source)),
            None => drop(self.sources.remove(&role)),
        }
        let step = charge_step(role, attempt);
        self.fees_due.push(FeeDue { party: role, source: self.fee_source(role), amount, step });
        Ok(())
    }

    /// The billing method that pays a party's share (A1): the one that the demand names. If it names none, the client pays with
    /// the newest deposit's, and for a freelancer or agency it is their own id, which no real payment provider accepts.
    fn fee_source(&self, role: Role) -> Id {
        if let Some(named) = self.sources.get(&role) {
            return named.clone();
        }
        let contract = &self.file.contract;
        let payee = contract.freelancer.agency.as_ref().map_or(&contract.freelancer.id, |agency| &agency.id);
        match role {
            Role::Client => self.deposits.last().map_or(&contract.client.id, |deposit| &deposit.source).clone(),
            _ => payee.clone(),
        }
    }

    /// Takes the shares that the workflow must charge.
    pub fn take_fees_due(&mut self) -> Vec<FeeDue> {
        std::mem::take(&mut self.fees_due)
    }

    /// Takes the result of a share's charge: the charge's key, or the reason why it was declined (A1).
    pub fn fee_charged(&mut self, party: Role, charged: Result<String, String>, now: Timestamp) {
        match charged {
            Ok(charge) => self.paid(party, Some(charge), now),
            Err(reason) => {
                let attempt = match self.demands.get(&party) {
                    Some(Demand::Charging(attempt)) => *attempt,
                    _ => 1,
                };
                self.demands.insert(party, Demand::Declined(attempt));
                let reason = self.declined_because(party, reason);
                let note = format!("{}: {reason}", self.share_of(party));
                self.file.record(now, party, What::ArbitrationFeeDeclined, Rule::A1, note);
                if self.stage == Stage::AwaitingArbitrationDemand {
                    let amount = Some(self.fee_share());
                    let facts = Facts { amount, text: Some(reason), ..Facts::default() };
                    self.tell(party, NoticeEvent::ArbitrationFeeDeclined, Rule::A1, None, facts);
                }
            }
        }
    }

    /// Why a share was declined, and what to do if the demand named no billing method.
    fn declined_because(&self, party: Role, reason: String) -> String {
        if party == Role::Freelancer && !self.sources.contains_key(&party) {
            let own = self.fee_source(party);
            return format!(
                "`source` is missing: the demand names no billing method, so {own} was asked ({reason}); demand it again with one"
            );
        }
        reason
    }

    /// If one party has paid, the other gets a notice and its time to answer (A6). If both have paid, the case goes to the
    /// arbitration provider (A4).
    fn paid(&mut self, role: Role, charge: Option<String>, now: Timestamp) {
        self.demands.insert(role, Demand::Paid { charge });
        self.file.record(now, role, What::ArbitrationFeePaid, Rule::A1, self.share_of(role));
        if self.stage != Stage::AwaitingArbitrationDemand {
            return;
        }
        let facts = Facts { held: Some(self.held), amount: Some(self.fee_share()), ..Facts::default() };
        if !Role::PARTIES.iter().all(|party| self.has_paid(*party)) {
            self.give_time_to_answer(role, now);
            return self.announce(NoticeEvent::ArbitrationDemanded, Rule::A1, Some(role), &facts);
        }
        self.stage = Stage::InArbitration;
        self.went_to_arbitration = true;
        self.file.enter(None, now);
        self.file.set_alarm(later(now, REMINDER_EVERY), Alarm::ArbitrationReminder);
        self.file.record(now, Who::Case, What::ArbitrationStarted, Rule::A4, "");
        self.announce(NoticeEvent::ArbitrationStarted, Rule::A4, None, &facts);
        self.tell(Role::Arbitrator, NoticeEvent::ArbitrationStarted, Rule::A4, None, facts);
    }

    /// Gives the other party some days from now to demand arbitration, also past the end of the window: a demand in the last
    /// minute must not win by default (A6). A case that began before this rule gives no such time (T3).
    fn give_time_to_answer(&mut self, paid: Role, now: Timestamp) {
        let until = self.file.policy.deadline(self.file.policy.arbitration_answer, now);
        if self.file.rules == 0 || self.file.deadline.is_none_or(|deadline| deadline >= until) {
            return;
        }
        self.file.set_deadline(until);
        let other = paid.other_party().unwrap_or(paid);
        self.file.record(now, Who::Case, What::Extended, Rule::A6, format!("the {other} can demand it until {until}"));
    }

    /// The window for demands closed and at most one party has paid: A2 or A3 decides.
    pub(super) fn demands_closed(&mut self, at: Timestamp, now: Timestamp) {
        let sole = Role::PARTIES.into_iter().find(|party| self.has_paid(*party));
        if let Some(party) = sole {
            self.file.record(at, Who::Case, What::Silence, Rule::A3, format!("only the {party} demanded arbitration"));
            let split = match party {
                Role::Client => Split::all_to_client(self.held),
                _ => Split::all_to_freelancer(self.held),
            };
            return self.decide(split, DecidedBy::ArbitrationSoleDemand, Rule::A3, now);
        }
        self.file.record(at, Who::Case, What::Silence, Rule::A2, "nobody demanded arbitration");
        let split = match (self.file.policy.no_arbitration, &self.resolution) {
            (NoArbitration::ReleaseFreelancer, _) => Split::all_to_freelancer(self.held),
            (NoArbitration::FollowResolution, Some(resolution)) => {
                Split { to_freelancer: resolution.to_freelancer, to_client: resolution.to_client }
            }
            (NoArbitration::Hold, _) => {
                let outcome = Outcome::without_money(ResultKind::OnHold, DecidedBy::ArbitrationDefault, Rule::A2);
                return self.settle(Outcome { kept_in_escrow: self.held, ..outcome }, now);
            }
            (NoArbitration::RefundClient | NoArbitration::FollowResolution, _) => Split::all_to_client(self.held),
        };
        self.decide(split, DecidedBy::ArbitrationDefault, Rule::A2, now);
    }

    /// The arbitrator gives the award (A5).
    pub(super) fn arbitrate(&mut self, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        let Command::Award(Award { to_freelancer, reference }) = command else {
            return Err(self.not_now(command.command_kind()));
        };
        let split = self.split(to_freelancer, Rule::A5)?;
        check_short_text("reference", &reference).map_err(|reason| Refusal::invalid(Rule::A5, reason))?;
        self.file.record(at, Role::Arbitrator, What::AwardGiven, Rule::A5, reference);
        self.decide(split, DecidedBy::ArbitrationAward, Rule::A5, now);
        Ok(())
    }

    /// The award has not come yet: operators get a notice every 30 days (A4).
    pub(super) fn remind_of_arbitration(&mut self, now: Timestamp) {
        self.file.set_alarm(later(now, REMINDER_EVERY), Alarm::ArbitrationReminder);
        let facts = Facts { held: Some(self.held), ..Facts::default() };
        self.tell(Role::Operator, NoticeEvent::ArbitrationWaiting, Rule::A4, None, facts);
    }

    /// Paid shares go back unless the case went to arbitration, which takes both (A3).
    pub(super) fn fees_to_return(&self, now: Timestamp) -> Vec<Movement> {
        if self.went_to_arbitration {
            return Vec::new();
        }
        let paid = self.demands.iter().filter_map(|(party, demand)| match demand {
            Demand::Paid { charge: Some(charge) } => Some((*party, charge.clone())),
            _ => None,
        });
        paid.map(|(party, charge)| Movement::FeeReturn {
            step: return_step(party),
            amount: self.fee_share(),
            rule: Rule::A3,
            source: self.fee_source(party),
            charge,
            expected_by: self.file.expected_by(now),
        })
        .collect()
    }
}

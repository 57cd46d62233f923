//! Bargaining between the parties: M7.

use super::{
    Amount, Case, DecidedBy, DisputeCase, Facts, NoticeEvent, OfferState, Refusal, Role, Rule, Split, Stage, Timestamp,
    What,
};
use crate::text::check_optional_text;

impl DisputeCase {
    pub(super) fn split(&self, to_freelancer: Amount, rule: Rule) -> Result<Split, Refusal> {
        let currency = self.file.contract.currency;
        Split::of(self.held, to_freelancer, currency).map_err(|error| Refusal::invalid(rule, error.to_string()))
    }

    /// Whether the parties can still bargain: from the claim until an award (M7).
    pub(super) fn is_open(&self) -> bool {
        use Stage::{AwaitingArbitrationDemand, AwaitingClient, AwaitingParties, InArbitration, InMediation};
        matches!(self.stage, AwaitingClient | InMediation | AwaitingParties | AwaitingArbitrationDemand | InArbitration)
    }

    pub(super) fn offer(
        &mut self,
        by: Role,
        to_freelancer: Amount,
        message: Option<String>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let split = self.split(to_freelancer, Rule::M7)?;
        if let Some(message) = &message {
            check_optional_text("message", message).map_err(|reason| Refusal::invalid(Rule::M7, reason))?;
        }
        let (number, replaced) = self.offers.make(by, split, message.clone())?;
        if let Some(replaced) = replaced {
            self.file.record(at, by, What::OfferReplaced, Rule::M7, format!("offer {replaced}"));
        }
        let amount = self.file.contract.currency.show(to_freelancer);
        self.file.record(at, by, What::OfferMade, Rule::M7, format!("offer {number}: {amount} to the freelancer"));
        let facts = Facts {
            number: Some(number),
            held: Some(self.held),
            to_freelancer: Some(split.to_freelancer),
            to_client: Some(split.to_client),
            text: message,
            ..Facts::default()
        };
        self.announce(NoticeEvent::OfferMade, Rule::M7, Some(by), &facts);
        Ok(())
    }

    pub(super) fn end_offer(
        &mut self,
        number: u32,
        role: Role,
        state: OfferState,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let offer = self.offers.end(number, role, state)?;
        let split = Split { to_freelancer: offer.to_freelancer, to_client: offer.to_client };
        let (what, event) = match state {
            OfferState::Accepted => {
                self.file.record(at, role, What::OfferAccepted, Rule::M7, format!("offer {number}"));
                self.decide(split, DecidedBy::Agreement, Rule::M7, now);
                return Ok(());
            }
            OfferState::Retracted => (What::OfferRetracted, NoticeEvent::OfferRetracted),
            _ => (What::OfferRejected, NoticeEvent::OfferRejected),
        };
        self.file.record(at, role, what, Rule::M7, format!("offer {number}"));
        let facts = Facts { number: Some(number), to_freelancer: Some(split.to_freelancer), ..Facts::default() };
        self.announce(event, Rule::M7, Some(role), &facts);
        Ok(())
    }
}

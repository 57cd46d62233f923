//! Offers between the parties (M7): a split that one party offers and the other may accept by its number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    command::{Refusal, RefusalKind},
    party::Role,
    rule::Rule,
    split::Split,
};

/// How many offers a party may make in a dispute: more than real parties need, and not enough to fill a case. Each party has
/// its own number.
pub const OFFERS_MAX: usize = 20;

/// A split that one party offers the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// Its number, from 1.
    pub number: u32,
    /// Who made it.
    pub by: Role,
    /// The freelancer's part, in minor units.
    pub to_freelancer: super::money::Amount,
    /// The client's part, in minor units.
    pub to_client: super::money::Amount,
    /// In the party's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it can still be accepted.
    pub state: OfferState,
}

/// Whether an offer can still be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// It can.
    Open,
    /// A newer offer of the same party replaced it.
    Replaced,
    /// Its own party retracted it.
    Retracted,
    /// The other party rejected it.
    Rejected,
    /// The other party accepted it.
    Accepted,
}

/// The offers of a dispute, oldest first. At most one of each party is open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offers(Vec<Offer>);

impl Offers {
    /// All offers.
    pub fn all(&self) -> &[Offer] {
        &self.0
    }

    /// The open offer of this party.
    pub fn open_by(&self, role: Role) -> Option<&Offer> {
        self.0.iter().find(|offer| offer.by == role && offer.state == OfferState::Open)
    }

    /// Adds an offer, which replaces an open one of the same party. Returns its number and the replaced one's.
    pub fn make(&mut self, by: Role, split: Split, message: Option<String>) -> Result<(u32, Option<u32>), Refusal> {
        if self.0.iter().filter(|offer| offer.by == by).count() >= OFFERS_MAX {
            let reason = format!("the {by} has made {OFFERS_MAX} offers in this dispute, which is all there may be");
            return Err(Refusal::new(RefusalKind::NotAllowed, Rule::M7, reason));
        }
        let earlier = self.0.iter_mut().find(|offer| offer.by == by && offer.state == OfferState::Open);
        let replaced = earlier.map(|offer| {
            offer.state = OfferState::Replaced;
            offer.number
        });
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX) + 1;
        let Split { to_freelancer, to_client } = split;
        self.0.push(Offer { number, by, to_freelancer, to_client, message, state: OfferState::Open });
        Ok((number, replaced))
    }

    /// Ends the open offer `number` in `state`: accepted or rejected by the other party, or retracted by its own.
    pub fn end(&mut self, number: u32, role: Role, state: OfferState) -> Result<&Offer, Refusal> {
        let Some(offer) = self.0.iter_mut().find(|offer| offer.number == number) else {
            return Err(Refusal::invalid(Rule::M7, format!("number: there is no offer {number}")));
        };
        let refuse = |kind, reason: &str| Err(Refusal::new(kind, Rule::M7, format!("offer {number} {reason}")));
        match (state, offer.by == role) {
            (OfferState::Retracted, false) => {
                return refuse(RefusalKind::NotAllowed, "is the other party's; only they can take it back");
            }
            (OfferState::Accepted | OfferState::Rejected, true) => {
                return refuse(RefusalKind::NotAllowed, "is your own; the other party answers it");
            }
            _ => {}
        }
        match offer.state {
            OfferState::Open => {}
            OfferState::Replaced => return refuse(RefusalKind::NotAllowed, "was replaced by a newer one"),
            OfferState::Retracted => return refuse(RefusalKind::NotAllowed, "was taken back"),
            OfferState::Rejected => return refuse(RefusalKind::AlreadyAnswered, "was rejected"),
            OfferState::Accepted => return refuse(RefusalKind::AlreadyAnswered, "was accepted"),
        }
        offer.state = state;
        Ok(offer)
    }
}

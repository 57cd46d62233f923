//! What a recipient can do now, with what it does in this case: the same command approves a milestone, a refund or the
//! return of a payment.

use recourse_domain::{
    command::CommandKind,
    notice::{IfSilent, Notice, NoticeEvent},
    party::{Contract, Role},
};
use serde::Serialize;

use super::{name_of, one_line};

/// An action in words, as an offer to the recipient.
pub(super) fn offer_of(command_kind: CommandKind, notice: &Notice, contract: &Contract) -> String {
    let freelancer = name_of(Role::Freelancer, contract);
    match command_kind {
        CommandKind::Submit => format!("submit {} again", milestone(notice)),
        CommandKind::Approve => match About::of(notice) {
            About::Milestone => format!("approve {} in full, or pay less or more", milestone(notice)),
            About::Payment => "return all of it, or a part".to_owned(),
            About::Money => "approve the refund".to_owned(),
        },
        CommandKind::RequestChanges => format!("ask for changes to {}", milestone(notice)),
        CommandKind::Supersede => "close the review, because the contract has ended".to_owned(),
        CommandKind::Dispute => match About::of(notice) {
            About::Milestone => {
                format!("dispute that {} is not released: say how much you claim, and why", milestone(notice))
            }
            About::Payment | About::Money => "dispute it: say how much you claim, and why".to_owned(),
        },
        CommandKind::Release => format!("give up the refund request: everything that is held goes to {freelancer}"),
        CommandKind::Accept => format!("accept {}", subject(notice)),
        CommandKind::Reject => match About::of(notice) {
            About::Payment => "return nothing".to_owned(),
            About::Milestone | About::Money => format!("reject {}", subject(notice)),
        },
        CommandKind::Amend => "change your claim".to_owned(),
        CommandKind::Withdraw => "withdraw your claim".to_owned(),
        CommandKind::Offer => "offer a split of the money".to_owned(),
        CommandKind::Retract => "take back your offer".to_owned(),
        CommandKind::Close => "end the mediation with the Notice of Non-Resolution".to_owned(),
        CommandKind::DemandArbitration => demand(notice, contract),
        CommandKind::RequestMediation => "ask a mediator for an opinion, which binds nobody".to_owned(),
        CommandKind::Opinion => "give your opinion, which binds nobody".to_owned(),
        CommandKind::Extend => "extend the window once, with a reason".to_owned(),
        // The text of its button is enough.
        command_kind => {
            let called = command_kind.uses().first().map_or(command_kind.name(), |used| used.called);
            let mut letters = called.chars();
            letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

/// The price of a demand of arbitration, if the notice has it (A1).
fn demand(notice: &Notice, contract: &Contract) -> String {
    use NoticeEvent::{ArbitrationDemanded, ArbitrationFeeDeclined, NonResolution};
    let names_the_share = matches!(notice.event, NonResolution | ArbitrationDemanded | ArbitrationFeeDeclined);
    match notice.facts.amount.filter(|_| names_the_share) {
        Some(share) if share.is_zero() => "demand arbitration, for which nothing is charged".to_owned(),
        Some(share) => format!("demand arbitration, and pay your share of the fee: {}", contract.currency.show(share)),
        None => "demand arbitration, and pay your share of the fee".to_owned(),
    }
}

/// What a notice's case is about, for commands whose name does not say enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum About {
    /// A submitted milestone.
    Milestone,
    /// A payment that was released.
    Payment,
    /// Money in escrow: a refund request or a dispute.
    Money,
}

impl About {
    pub(super) fn of(notice: &Notice) -> Self {
        use NoticeEvent::{
            BonusFailed, BonusPaid, ChangesRequested, MediationRequested, MilestoneReleased, MilestoneSubmitted,
            NothingReturned, OpinionGiven, PaymentRefundRequested, PaymentReturned, Reminder, ReturnFailed,
            ReviewSuperseded, WindowExtended,
        };
        match (notice.event, notice.if_silent) {
            (
                MilestoneSubmitted | ChangesRequested | MilestoneReleased | ReviewSuperseded | BonusPaid | BonusFailed,
                _,
            ) => Self::Milestone,
            (
                PaymentRefundRequested | MediationRequested | OpinionGiven | ReturnFailed | PaymentReturned
                | NothingReturned,
                _,
            )
            // Every kind of case has these events; only the silence shows which kind it is.
            | (Reminder | WindowExtended, Some(IfSilent::ReturnNothing)) => Self::Payment,
            (Reminder | WindowExtended, Some(IfSilent::ReleaseFreelancer)) if notice.facts.milestone.is_some() => {
                Self::Milestone
            }
            _ => Self::Money,
        }
    }
}

/// What the recipient can accept or reject.
fn subject(notice: &Notice) -> String {
    use NoticeEvent::{ClaimAmended, DisputeFiled, OfferMade, ResolutionAnswered, ResolutionProposed};
    match notice.event {
        DisputeFiled | ClaimAmended => "the claim".to_owned(),
        ResolutionProposed | ResolutionAnswered => "the proposed resolution".to_owned(),
        OfferMade if notice.by != Some(notice.to) => match notice.facts.number {
            Some(number) => format!("offer {number}"),
            None => "the offer".to_owned(),
        },
        _ => "what is open: the claim, the resolution or an offer".to_owned(),
    }
}

/// The milestone that a notice is about.
pub(super) fn milestone(notice: &Notice) -> String {
    let name = notice.facts.milestone.as_deref().map(one_line).unwrap_or_default();
    if name.is_empty() { "the milestone".to_owned() } else { format!("milestone {name}") }
}

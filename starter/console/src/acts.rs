//! What a person can do in a case, by its status: the name of each act, and its effect on the money.
//!
//! The status says which commands there are. This module allows and forbids none. The words follow the rule book
//! (`docs/policy.md`).

use recourse_api::cases::segment;
use recourse_domain::{
    command::{CommandKind, SubjectName},
    fee::ShareState,
    ids::CaseKind,
    messages::Status,
    money::Amount,
    offers::{Offer, OfferState},
    party::Role,
    resolution::Answer,
    split::Split,
    stage::Stage,
};
use recourse_workflows::describe;
use serde_json::{Map, Value};

use super::{
    forms::Fields,
    parts::{self, People},
};

/// The subject of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The case as a whole.
    Case,
    /// The freelancer's claim.
    Claim,
    /// The mediator's resolution.
    Resolution,
    /// The offer with this number.
    Offer(u32),
}

impl Of {
    /// Its name in a command.
    pub const fn name(self) -> Option<SubjectName> {
        match self {
            Self::Case => None,
            Self::Claim => Some(SubjectName::Claim),
            Self::Resolution => Some(SubjectName::Resolution),
            Self::Offer(_) => Some(SubjectName::Offer),
        }
    }
}

/// One act that somebody can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// The command.
    pub command_kind: CommandKind,
    /// Its subject.
    pub of: Of,
    /// The role in which they give it.
    pub role: Role,
}

impl Act {
    /// Everything that this role can do now.
    pub fn all(status: &Status, role: Role) -> Vec<Self> {
        let command_kinds = status.allowed.get(&role).map(Vec::as_slice).unwrap_or_default();
        command_kinds
            .iter()
            .flat_map(|command_kind| {
                subjects(status, role, *command_kind).into_iter().map(|of| Self {
                    command_kind: *command_kind,
                    of,
                    role,
                })
            })
            .collect()
    }

    /// The act in a query or a form.
    pub fn read(command_kind: CommandKind, role: Role, fields: &Fields) -> Self {
        let of = match fields.get("of") {
            "claim" => Of::Claim,
            "resolution" => Of::Resolution,
            "offer" => fields.get("number").parse().map_or(Of::Case, Of::Offer),
            _ => Of::Case,
        };
        Self { command_kind, of, role }
    }

    /// The path of its confirmation page.
    pub fn path(&self, case: &str) -> String {
        let query =
            self.names().into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        format!("/cases/{}/commands/{}?{query}", segment(case), self.command_kind)
    }

    /// The fields that tell it from the same command about something else.
    pub fn names(&self) -> Vec<(&'static str, String)> {
        let of = match self.of {
            Of::Case => Vec::new(),
            Of::Claim => vec![("of", "claim".to_owned())],
            Of::Resolution => vec![("of", "resolution".to_owned())],
            Of::Offer(number) => vec![("of", "offer".to_owned()), ("number", number.to_string())],
        };
        [("as", self.role.name().to_owned())].into_iter().chain(of).collect()
    }

    /// The command's fields that name its subject.
    pub fn subject(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let (of, number) = match self.of {
            Of::Case => return fields,
            Of::Claim => ("claim", None),
            Of::Resolution => ("resolution", None),
            Of::Offer(number) => ("offer", Some(number)),
        };
        if self.command_kind != CommandKind::Retract {
            fields.insert("of".to_owned(), of.into());
        }
        if let Some(number) = number {
            fields.insert("number".to_owned(), number.into());
        }
        fields
    }

    /// The amount that its button names. If the amount changes, the button meant something else.
    pub fn amount(&self, status: &Status) -> Option<Amount> {
        match self.of {
            Of::Case => Some(status.held),
            Of::Claim => status.claim.as_ref().map(|claim| claim.amount),
            Of::Resolution => status.resolution.as_ref().map(|resolution| resolution.to_freelancer),
            Of::Offer(number) => open_offer(status, number).map(|offer| offer.to_freelancer),
        }
    }

    /// The number of the submission that its button names: the client approves the one that they looked at.
    pub fn submission(&self, status: &Status) -> Option<u32> {
        let review = status.review.as_ref().filter(|_| self.command_kind == CommandKind::Approve)?;
        Some(review.submissions)
    }

    /// Whether nobody can take it back.
    pub const fn is_final(&self) -> bool {
        matches!(
            self.command_kind,
            CommandKind::Approve
                | CommandKind::Release
                | CommandKind::Accept
                | CommandKind::Withdraw
                | CommandKind::Award
        ) || matches!((self.command_kind, self.of), (CommandKind::Reject, Of::Claim | Of::Resolution | Of::Case))
    }

    /// The text of its button.
    pub fn label(&self, status: &Status) -> String {
        let of = match self.of {
            Of::Case => String::new(),
            Of::Claim => "the claim".to_owned(),
            Of::Resolution => "the resolution".to_owned(),
            Of::Offer(number) => format!("offer {number}"),
        };
        let called = self.command_kind.in_case(status.kind).map_or(self.command_kind.name(), |used| used.called);
        if of.is_empty() { called.to_owned() } else { format!("{called} {of}") }
    }

    /// Its effect on the money. `amount` is the typed amount, if there is one.
    pub fn consequence(&self, status: &Status, people: &People, amount: Option<Amount>) -> String {
        let told = Consequence {
            status,
            people,
            other: self.role.other_party().map(|role| people.name(role)).unwrap_or_default(),
        };
        let text = match self.command_kind {
            CommandKind::Approve => told.approval(amount),
            CommandKind::Accept => told.acceptance(self.of),
            CommandKind::Reject => told.rejection(self.of),
            CommandKind::Dispute | CommandKind::Amend => told.claimed(amount),
            CommandKind::Release => told.split(status.held),
            CommandKind::Withdraw => told.withdrawal(),
            CommandKind::Offer => told.offered(amount),
            CommandKind::Propose => told.proposed(amount),
            CommandKind::Award => amount.map_or_else(
                || "Divides what is held as the arbitration provider decided.".to_owned(),
                |to| told.split(to),
            ),
            CommandKind::DemandArbitration => told.arbitration(self.role),
            command_kind => {
                let says = command_kind.in_case(status.kind).and_then(|used| used.says).unwrap_or_default();
                format!("{} No money moves.", says.replace("{other}", &told.other))
            }
        };
        if self.is_final() { format!("{text} This is final.") } else { text }
    }
}

/// The possible subjects of such a command now.
fn subjects(status: &Status, role: Role, command_kind: CommandKind) -> Vec<Of> {
    let open = |by: Option<Role>| {
        let offers = status.offers.iter().filter(move |offer| offer.state == OfferState::Open && Some(offer.by) == by);
        offers.map(|offer| Of::Offer(offer.number)).collect::<Vec<_>>()
    };
    match command_kind {
        // The contract's end closes a review by itself. Nobody has to press a button.
        CommandKind::Supersede => Vec::new(),
        CommandKind::Accept | CommandKind::Reject if status.kind == CaseKind::Dispute => {
            let claim = (status.stage == Stage::AwaitingClient && role == Role::Client).then_some(Of::Claim);
            let is_asked = status.stage == Stage::AwaitingParties && !status.answers.contains_key(&role);
            let resolution = is_asked.then_some(Of::Resolution);
            claim.into_iter().chain(resolution).chain(open(role.other_party())).collect()
        }
        CommandKind::Retract => open(Some(role)),
        _ => vec![Of::Case],
    }
}

/// The offer with this number, if it can still be accepted.
fn open_offer(status: &Status, number: u32) -> Option<&Offer> {
    status.offers.iter().find(|offer| offer.number == number && offer.state == OfferState::Open)
}

/// Who gets what if the held money is divided like this, in a sentence.
pub fn split(status: &Status, people: &People, to_freelancer: Amount) -> String {
    let show = |amount| status.currency.show(amount);
    let Ok(Split { to_freelancer, to_client }) = Split::of(status.held, to_freelancer, status.currency) else {
        return format!("Only {} are held.", show(status.held));
    };
    let rest = if describe::is_about_a_milestone(status) || status.kind == CaseKind::MilestoneReview {
        "stays in escrow for the next milestone".to_owned()
    } else {
        format!("goes back to {}", people.name(Role::Client))
    };
    match (to_freelancer.is_zero(), to_client.is_zero()) {
        (_, true) => format!("{} goes to {}.", show(to_freelancer), people.payee()),
        (true, _) => format!("{} {rest}.", show(to_client)),
        _ => format!("{} goes to {}, {} {rest}.", show(to_freelancer), people.payee(), show(to_client)),
    }
}

/// What happens to the part that is not the freelancer's, as a name for it.
pub fn rest(status: &Status, people: &People) -> String {
    if describe::is_about_a_milestone(status) || status.kind == CaseKind::MilestoneReview {
        "Stays in escrow".to_owned()
    } else {
        format!("Back to {}", people.name(Role::Client))
    }
}

/// Consequences in words.
struct Consequence<'a> {
    status: &'a Status,
    people: &'a People,
    other: String,
}

impl Consequence<'_> {
    fn show(&self, amount: Amount) -> String {
        self.status.currency.show(amount)
    }

    fn split(&self, to_freelancer: Amount) -> String {
        split(self.status, self.people, to_freelancer)
    }

    fn approval(&self, amount: Option<Amount>) -> String {
        let held = self.status.held;
        match (self.status.kind, amount) {
            (CaseKind::MilestoneReview, Some(more)) if more > held => {
                let bonus = more.minus(held).unwrap_or_default();
                let (payee, client) = (self.people.payee(), self.people.name(Role::Client));
                let (held, bonus) = (self.show(held), self.show(bonus));
                format!("{held} goes to {payee}, and {client} is charged {bonus} more, which is paid on as a bonus.")
            }
            (CaseKind::MilestoneReview, amount) => self.split(amount.unwrap_or(held)),
            (CaseKind::PaymentRefund, amount) => {
                let asked = self.status.payment.as_ref().map(|payment| payment.asked).unwrap_or_default();
                let client = self.people.name(Role::Client);
                format!("{} goes from {} back to {client}.", self.show(amount.unwrap_or(asked)), self.people.payee())
            }
            _ => self.split(Amount::ZERO),
        }
    }

    fn acceptance(&self, of: Of) -> String {
        match of {
            Of::Claim => self.status.claim.as_ref().map(|claim| self.split(claim.amount)).unwrap_or_default(),
            Of::Offer(number) => {
                open_offer(self.status, number).map(|offer| self.split(offer.to_freelancer)).unwrap_or_default()
            }
            Of::Resolution => {
                let split = self.status.resolution.as_ref().map(|resolution| self.split(resolution.to_freelancer));
                let split = split.unwrap_or_default();
                let agreed = self.status.answers.values().any(|answer| *answer == Answer::Accepted);
                if agreed { split } else { format!("If {} accepts it too: {split}", self.other) }
            }
            Of::Case => String::new(),
        }
    }

    fn rejection(&self, of: Of) -> String {
        match of {
            Of::Claim => "No money moves now: a mediator reviews both sides.".to_owned(),
            Of::Resolution => "No money moves now: both get the Notice of Non-Resolution at once, and may demand \
                               arbitration."
                .to_owned(),
            Of::Offer(_) => format!("No money moves. {} can make another offer.", self.other),
            Of::Case => "Nothing is returned.".to_owned(),
        }
    }

    fn claimed(&self, amount: Option<Amount>) -> String {
        let client = self.people.name(Role::Client);
        match amount {
            Some(amount) => format!(
                "{client} is asked to accept your claim of {}. If it is accepted, or not answered in time: {} No money moves now.",
                self.show(amount),
                self.split(amount)
            ),
            None => format!("You say how much of the {} you claim. No money moves now.", self.show(self.status.held)),
        }
    }

    fn withdrawal(&self) -> String {
        if describe::is_about_a_milestone(self.status) {
            return format!("{} stays in escrow as it was before the claim.", self.show(self.status.held));
        }
        self.split(Amount::ZERO)
    }

    fn offered(&self, amount: Option<Amount>) -> String {
        match amount {
            Some(amount) => format!("If {} accepts it: {} No money moves until then.", self.other, self.split(amount)),
            None => format!("{} may accept your very split. No money moves until then.", self.other),
        }
    }

    fn proposed(&self, amount: Option<Amount>) -> String {
        match amount {
            Some(amount) => format!("If both accept it: {} It can be proposed once.", self.split(amount)),
            None => "Both parties are asked to accept your split. It can be proposed once.".to_owned(),
        }
    }

    fn arbitration(&self, role: Role) -> String {
        let alone = if role == Role::Freelancer { self.status.held } else { Amount::ZERO };
        let share = self.status.arbitration.as_ref().map(|arbitration| arbitration.fee_share);
        let (charged, returned) = match share {
            Some(share) if share.is_zero() => ("Nothing is charged for arbitration.".to_owned(), ""),
            Some(share) => (
                format!("Your share of the arbitration fee, {}, is charged now.", self.show(share)),
                "your share is returned, and: ",
            ),
            None => ("Your share of the arbitration fee is charged now.".to_owned(), "your share is returned, and: "),
        };
        let shares = self.status.arbitration.as_ref().map(|arbitration| &arbitration.shares);
        let has_paid = |party| shares.and_then(|shares| shares.get(&party)) == Some(&ShareState::Paid);
        if role.other_party().is_some_and(has_paid) {
            return format!(
                "{charged} {} has demanded it already, so the case goes to arbitration then: the arbitrator divides what is held.",
                parts::begin(&self.other)
            );
        }
        format!(
            "{charged} If {} demands it too, the arbitrator divides what is held. If not, {returned}{}",
            self.other,
            self.split(alone)
        )
    }
}

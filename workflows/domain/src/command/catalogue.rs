//! The list of all commands: their fields, the cases that take them, their senders, and their texts.
//!
//! The wire, the API's description, the command line's options and help, the console's forms, the simulation and the tests
//! read this list. Each kind of case has its own rules for what a command does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Unreadable,
    answer::{Accept, Reject, SubjectName},
    field::{Field, Payload, payload},
};
use crate::{
    claim::{Claim, ClaimReason},
    evidence::{Evidence, or_none},
    ids::{CaseKind, Id},
    milestone::Submission,
    money::Amount,
    party::Role,
};

/// The use of a command in one kind of case.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// The kind of case.
    pub kind: CaseKind,
    /// Who may give it there.
    pub by: &'static [Role],
    /// The text of its button.
    pub called: &'static str,
    /// The names of the fields that it has there.
    pub takes: &'static [&'static str],
    /// What it does there, if the command's description does not say it for this kind of case.
    pub does: Option<&'static str>,
    /// What it means for its sender, if the text needs no amount; `{other}` is the other party.
    pub says: Option<&'static str>,
}

/// An action for the type of any command.
pub trait Visit {
    /// The result.
    type Out;

    /// Does it for the command with the payload `P`.
    fn visit<P: Payload>(self) -> Self::Out;
}

/// Declares the commands. Each has a description, a type, a wire name, and its fields, or `own` if its type is declared
/// elsewhere. It has a line for each kind of case that takes it: its senders, its button's text, its fields, what it does if
/// the description does not say it for this kind, and what it means.
macro_rules! commands {
    ($(
        $(#[doc = $about:literal])+
        $name:ident = $wire:literal $payload:tt
        $($kind:ident by [$($by:ident),+]: $called:literal [$($takes:ident),*] $(does $does:literal)? $(says $says:literal)?;)+
    )+) => {
        $(payload! { [$(#[doc = $about])+] $name $payload })+

        /// The name of a command: of the signal and of the update.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[allow(missing_docs, reason = "each is explained at its variant of Command")]
        pub enum CommandKind {
            $(#[serde(rename = $wire)] $name,)+
        }

        /// A command and its content.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Command {
            $($(#[doc = $about])+ $name($name),)+
        }

        impl CommandKind {
            /// Every command.
            pub const ALL: [Self; [$($wire),+].len()] = [$(Self::$name),+];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $wire),+
                }
            }

            /// Its purpose.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($about),+)),+
                }
            }

            /// Its fields, of all kinds of cases together.
            pub const fn fields(self) -> &'static [Field] {
                match self {
                    $(Self::$name => $name::FIELDS),+
                }
            }

            /// The cases that take it.
            pub const fn uses(self) -> &'static [Use] {
                match self {
                    $(Self::$name => &[$(Use {
                        kind: CaseKind::$kind,
                        by: &[$(Role::$by),+],
                        called: $called,
                        takes: &[$(stringify!($takes)),*],
                        does: says!($($does)?),
                        says: says!($($says)?),
                    }),+]),+
                }
            }

            /// Does an action for its type.
            pub fn visit<V: Visit>(self, visitor: V) -> V::Out {
                match self {
                    $(Self::$name => visitor.visit::<$name>()),+
                }
            }
        }

        impl Command {
            /// The command's name.
            pub const fn command_kind(&self) -> CommandKind {
                match self {
                    $(Self::$name(_) => CommandKind::$name),+
                }
            }

            /// Reads a command of this kind.
            ///
            /// # Errors
            /// [`Unreadable`] with the field and what was expected there.
            pub fn read(command_kind: CommandKind, json: &[u8]) -> Result<Self, Unreadable> {
                Ok(match command_kind {
                    $(CommandKind::$name => Self::$name($name::read(json)?)),+
                })
            }

            /// Its content, as on the wire.
            pub fn fields(&self) -> Map<String, Value> {
                let said = match self {
                    $(Self::$name(said) => serde_json::to_value(said)),+
                };
                match said {
                    Ok(Value::Object(fields)) => fields,
                    _ => Map::new(),
                }
            }
        }
    };
}

/// The catalogue's text, if there is one.
macro_rules! says {
    () => {
        None
    };
    ($says:literal) => {
        Some($says)
    };
}

commands! {
    /// Submits the milestone again (E8).
    Submit = "submit" {
        /// What is submitted, in the freelancer's words.
        note: String = "What you submit",
        /// The work, or proof of it: files that were uploaded.
        #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Vec::is_empty")]
        files: Vec<Evidence> = "The work, or proof of it",
    }
    MilestoneReview by [Freelancer]: "Submit again" [note, files]
        says "{other} is asked to review it, in a full new window.";

    /// Agrees to the refund (R4), approves the milestone (E5-E7), or returns a payment (P2).
    Approve = "approve" {
        /// How much is paid or returned, in minor units; without it all of it. More than the milestone's amount is a bonus.
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<Amount> = "Another amount",
        /// The number of the submission that you looked at; if there is a newer one by now, nothing is approved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        submission: Option<u32> = "The submission that you saw",
    }
    RefundRequest by [Freelancer]: "Approve the refund" [] does "Agrees to the refund (R4).";
    MilestoneReview by [Client]: "Approve the milestone" [amount, submission]
        does "Approves the milestone: in full, for less or for more (E5-E7).";
    PaymentRefund by [Freelancer]: "Return money" [amount] does "Returns the payment, or a part of it (P2).";

    /// Asks for changes to the milestone (E8).
    RequestChanges = "request_changes" {
        /// Which, in the client's words.
        message: String = "In your words",
    }
    MilestoneReview by [Client]: "Ask for changes" [message]
        says "The window stops, and {other} is asked to submit again.";

    /// Closes the review, because the contract has ended and its refund request takes over (E11).
    Supersede = "supersede" {}
    MilestoneReview by [Operator]: "Close the review" [] says "Closes the review, because the contract has ended.";

    /// Disputes the refund (R5), or that the milestone is not released (D1).
    Dispute = "dispute" {
        /// How much is claimed of what is held, in minor units.
        amount: Amount = "How much you claim",
        /// Why.
        reason: ClaimReason = "Why",
        /// Why, in the freelancer's words.
        details: String = "In your words",
        /// For a milestone: that the freelancer contacted the client, and it did not help.
        #[serde(skip_serializing_if = "Option::is_none")]
        contacted_client: Option<bool> = "I contacted the client, and it did not help",
        /// Files that support the claim.
        #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<Evidence> = "Files that support it",
    }
    RefundRequest by [Freelancer]: "Dispute the refund" [amount, reason, details, evidence]
        does "Disputes the refund (R5).";
    MilestoneReview by [Freelancer]: "Dispute that it is not released"
        [amount, reason, details, contacted_client, evidence] does "Disputes that the milestone is not released (D1).";

    /// Gives up the refund request: everything that is held goes to the freelancer (R10).
    Release = "release" {}
    RefundRequest by [Client]: "Give up the refund" [];

    /// Accepts the claim (D3), the resolution (M5) or an offer (M7).
    Accept = "accept" own
    Dispute by [Client, Freelancer]: "Accept" [of, number, amount];

    /// Rejects the claim (D4), the resolution (M6) or an offer (M7); of a payment: returns nothing (P2).
    Reject = "reject" own
    Dispute by [Client, Freelancer]: "Reject" [of, number, amount, reason, details, evidence]
        does "Rejects the claim (D4), the resolution (M6) or an offer (M7).";
    PaymentRefund by [Freelancer]: "Return nothing" [] does "Returns nothing of the payment (P2).";

    /// Changes the claim (D5).
    Amend = "amend" {
        /// The amount that is claimed now, in minor units.
        amount: Amount = "How much you claim now",
        /// Why, in the freelancer's words; it replaces the claim's details.
        details: String = "In your words",
    }
    Dispute by [Freelancer]: "Change the claim" [amount, details];

    /// Withdraws the claim (D5).
    Withdraw = "withdraw" {}
    Dispute by [Freelancer]: "Withdraw the claim" [];

    /// Offers a split of what is held (M7).
    Offer = "offer" {
        /// What the freelancer gets, in minor units. The rest is the client's.
        to_freelancer: Amount = "To the freelancer",
        /// In the party's words.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String> = "Message",
    }
    Dispute by [Client, Freelancer]: "Offer a split" [to_freelancer, message];

    /// Takes back an offer of one's own (M7).
    Retract = "retract" {
        /// The offer's number.
        number: u32 = "Offer",
    }
    Dispute by [Client, Freelancer]: "Take back" [number] says "{other} can no longer accept it.";

    /// Proposes the resolution, which binds nobody until both accept it (M3).
    Propose = "propose" {
        /// What the freelancer gets, in minor units. The rest is the client's.
        to_freelancer: Amount = "To the freelancer",
        /// Why so, in the mediator's words.
        rationale: String = "Why so",
    }
    Dispute by [Mediator]: "Propose a resolution" [to_freelancer, rationale];

    /// Ends the mediation: gives the Notice of Non-Resolution now (M2).
    Close = "close" {
        /// Why.
        reason: String = "Why",
    }
    Dispute by [Mediator]: "End the mediation" [reason]
        says "The Notice of Non-Resolution is given to both at once.";

    /// Demands arbitration, and pays one's share of the fee (A1).
    DemandArbitration = "demand_arbitration" {
        /// The billing method that pays your share of the fee. Without one a client's is that of the newest deposit, and a
        /// freelancer's is their own id, which no real payment provider takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Id> = "Billing method",
    }
    Dispute by [Client, Freelancer]: "Demand arbitration" [source];

    /// Gives the award, which is final (A5).
    Award = "award" {
        /// What the freelancer gets, in minor units. The rest is the client's.
        to_freelancer: Amount = "To the freelancer",
        /// The arbitration provider's reference.
        reference: String = "The arbitration provider's reference" as Line,
    }
    Dispute by [Arbitrator]: "Give the award" [to_freelancer, reference];

    /// Asks a mediator to look at a request for a released payment (P3).
    RequestMediation = "request_mediation" {
        /// Why, in the client's words.
        message: String = "In your words",
    }
    PaymentRefund by [Client]: "Ask for mediation help" [message]
        says "A mediator is asked for an opinion, which binds nobody.";

    /// Says what the mediator thinks of it, which binds nobody (P3).
    Opinion = "opinion" {
        /// The opinion, in the mediator's words.
        text: String = "Your opinion",
    }
    PaymentRefund by [Mediator]: "Give an opinion" [text]
        says "Both parties are told your opinion, which binds nobody.";

    /// Extends the open window, once in each stage (T6).
    Extend = "extend" {
        /// By how many hours, at most the window's own length.
        hours: u32 = "By how many hours",
        /// Why. Both parties are told.
        reason: String = "Why" as Line,
    }
    RefundRequest by [Mediator, Operator]: "Extend the window" [hours, reason]
        says "The deadline comes later, once in this stage. Both parties are told.";
    Dispute by [Mediator, Operator]: "Extend the window" [hours, reason]
        says "The deadline comes later, once in this stage. Both parties are told.";
    MilestoneReview by [Mediator, Operator]: "Extend the window" [hours, reason]
        says "The deadline comes later, once in this stage. Both parties are told.";
    PaymentRefund by [Mediator, Operator]: "Extend the window" [hours, reason]
        says "The deadline comes later, once in this stage. Both parties are told.";
}

impl CommandKind {
    /// The command of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command_kind| command_kind.name() == name)
    }

    /// Its use in this kind of case, if such a case takes it.
    pub fn in_case(self, kind: CaseKind) -> Option<&'static Use> {
        self.uses().iter().find(|taken| taken.kind == kind)
    }

    /// Whether this kind of case takes it, in some stage.
    pub const fn is_taken_by(self, kind: CaseKind) -> bool {
        let uses = self.uses();
        let mut index = 0;
        while index < uses.len() {
            if uses[index].kind as u8 == kind as u8 {
                return true;
            }
            index += 1;
        }
        false
    }

    /// Who may give it to this kind of case, in some stage.
    pub fn givers(self, kind: CaseKind) -> &'static [Role] {
        self.in_case(kind).map_or(&[], |taken| taken.by)
    }

    /// What it does in this kind of case, with the rule's id.
    pub fn does(self, kind: CaseKind) -> &'static str {
        self.in_case(kind).and_then(|taken| taken.does).unwrap_or(self.about()).trim()
    }

    /// Its fields in this kind of case about the subject `of`, if its fields depend on a subject.
    pub fn asks(self, kind: CaseKind, of: Option<SubjectName>) -> impl Iterator<Item = &'static Field> {
        let takes = self.in_case(kind).map_or(&[][..], |taken| taken.takes);
        let has = move |field: &&Field| takes.contains(&field.name) && (field.of.is_none() || field.of == of);
        self.fields().iter().filter(has)
    }

    /// The commands that this kind of case takes, in some stage.
    pub fn of_case(kind: CaseKind) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |command_kind| command_kind.is_taken_by(kind))
    }
}

impl Dispute {
    /// What is claimed.
    pub fn claim(self) -> Claim {
        let Self { amount, reason, details, evidence, contacted_client: _ } = self;
        Claim { amount, reason, details, evidence }
    }
}

impl From<Submit> for Submission {
    fn from(Submit { note, files }: Submit) -> Self {
        Self { note, files }
    }
}

#[cfg(test)]
mod tests;

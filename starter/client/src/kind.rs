//! Reads a case's id: the kind of case, its contract, and so which commands it can have.

use recourse_domain::{
    command::{CommandKind, RefusalKind},
    ids::{CaseKind, Id, PaymentId},
    text::shortened,
};

use super::ClientError;

/// The parts of a case's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseId {
    /// What the case is about.
    pub kind: CaseKind,
    /// The contract.
    pub contract: Id,
}

impl CaseId {
    /// Reads the id of a case of any kind.
    ///
    /// # Errors
    /// [`ClientError::NoCaseId`] if no case can have this id.
    pub fn read(case: &str) -> Result<Self, ClientError> {
        let (workflow_id, number) = super::find::parts(case);
        let read = match workflow_id.strip_prefix("payment-refund:").filter(|_| number != Some(0)) {
            Some(payment) => Self::of_payment(payment),
            None => Self::of_escrow(workflow_id).filter(|_| number != Some(0)),
        };
        read.ok_or_else(|| ClientError::NoCaseId { case: shortened(case) })
    }

    /// A request for a payment has the payment's posting in its id: `{case}/{step}`, or `{case}#2/{step}` if that was the
    /// second case with its id. Its contract is the contract of the case that paid.
    fn of_payment(payment: &str) -> Option<Self> {
        let payment = PaymentId::new(payment).ok()?;
        let (paid_by, step) = payment.as_str().split_once('/')?;
        let paid_by = paid_by.split_once('#').map_or(paid_by, |(case, _)| case);
        let contract = Self::of_escrow(paid_by).filter(|_| !step.is_empty())?.contract;
        Some(Self { kind: CaseKind::PaymentRefund, contract })
    }

    /// A case about escrow has the contract in its id, and some have the part of it that they are about.
    fn of_escrow(case: &str) -> Option<Self> {
        let parts: Vec<&str> = case.split(':').collect();
        let (kind, contract, more) = match parts.as_slice() {
            ["refund-request", contract] => (CaseKind::RefundRequest, contract, None),
            ["dispute", contract] => (CaseKind::Dispute, contract, None),
            ["dispute", contract, milestone] => (CaseKind::Dispute, contract, Some(milestone)),
            ["milestone-review", contract, milestone] => (CaseKind::MilestoneReview, contract, Some(milestone)),
            ["escrow-deposit", contract, deposit] => (CaseKind::EscrowDeposit, contract, Some(deposit)),
            _ => return None,
        };
        let is_id = |text: &&str| Id::new(text).is_ok();
        more.is_none_or(is_id).then_some(())?;
        Some(Self { kind, contract: Id::new(contract).ok()? })
    }
}

/// Whether a case of this kind has this command at all, in any stage and from any sender. The case cannot answer this itself:
/// its workflow does not know the command.
///
/// # Errors
/// [`ClientError::Refused`] with the commands that it has, or [`ClientError::NoCaseId`].
pub fn check_command(case: &str, command_kind: CommandKind) -> Result<(), ClientError> {
    let kind = CaseId::read(case)?.kind;
    if command_kind.is_taken_by(kind) {
        return Ok(());
    }
    let taken: Vec<&str> = CommandKind::of_case(kind).map(CommandKind::name).collect();
    let name = kind.name().replace('_', " ");
    let reason = match taken.as_slice() {
        [] => format!("{case} takes no commands; {name}s take none"),
        taken => format!("{command_kind} is no command of a {name}; its commands are {}", taken.join(", ")),
    };
    Err(ClientError::refused(RefusalKind::NotAllowed, reason, Some(format!("see `recourse show {case}`"))))
}

#[cfg(test)]
mod tests {
    use recourse_domain::ids::{
        dispute_id, escrow_deposit_id, milestone_review_id, payment_refund_id, refund_request_id,
    };

    use super::*;

    #[test]
    fn a_case_id_contains_its_kind_and_contract() {
        let (contract, other) = (Id::new("c-1").unwrap(), Id::new("x-1").unwrap());
        let of_payment = |payment: &str| payment_refund_id(&PaymentId::new(payment).unwrap());
        for (case, kind) in [
            (refund_request_id(&contract), CaseKind::RefundRequest),
            (dispute_id(&contract, None), CaseKind::Dispute),
            (dispute_id(&contract, Some(&other)), CaseKind::Dispute),
            (escrow_deposit_id(&contract, &other), CaseKind::EscrowDeposit),
            (milestone_review_id(&contract, &other), CaseKind::MilestoneReview),
            (of_payment("milestone-review:c-1:m-1/release"), CaseKind::PaymentRefund),
            (of_payment("milestone-review:c-1:m-1#2/bonus"), CaseKind::PaymentRefund),
            (of_payment("refund-request:c-1#12/pay_now"), CaseKind::PaymentRefund),
            (of_payment("dispute:c-1/release"), CaseKind::PaymentRefund),
        ] {
            assert_eq!(CaseId::read(&case), Ok(CaseId { kind, contract: contract.clone() }), "{case}");
        }
        for case in [
            "",
            "c-1",
            "refund:c-1",
            "refund-request:",
            "refund-request:c-1:m",
            "dispute:c-1:",
            "dispute:c 1",
            "milestone-review:c-1",
            "milestone-review:c-1:m-1/release",
            "payment-refund:",
            "payment-refund:c-1",
            "payment-refund:dispute:c-1",
            "payment-refund:dispute:c-1/",
            "payment-refund:dispute:c 1/release",
            "payment-refund:payment-refund:dispute:c-1/release/return",
        ] {
            let error = CaseId::read(case).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), ("not_found", 1), "{case}");
            assert!(error.hint().is_some_and(|hint| hint.contains("refund-request:CONTRACT")), "{case}");
        }
    }

    #[test]
    fn commands_that_the_case_kind_lacks_are_refused_with_a_list() {
        for (case, command_kind, words) in [
            ("refund-request:c-1", CommandKind::Award, "award is no command of a refund request"),
            ("refund-request:c-1", CommandKind::Award, "its commands are approve, dispute, release, extend"),
            ("dispute:c-1:m-1", CommandKind::Approve, "its commands are accept, reject, amend, withdraw, offer"),
            ("escrow-deposit:c-1:d-1", CommandKind::Extend, "takes no commands"),
        ] {
            let error = check_command(case, command_kind).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), ("refused", 1), "{case} {command_kind}");
            assert!(error.to_string().starts_with("NotAllowed: ") && error.to_string().contains(words), "{error}");
        }
        for (case, command_kind) in [("refund-request:c-1", CommandKind::Approve), ("dispute:c-1", CommandKind::Award)]
        {
            assert_eq!(check_command(case, command_kind), Ok(()), "{case} {command_kind}");
        }
    }
}

//! A case of any kind that stories have.

use recourse_domain::{
    dispute::DisputeCase, milestone_review::MilestoneReviewCase, payment_refund::PaymentRefundCase,
    refund_request::RefundRequestCase,
};

/// A case of one of the kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyCase {
    /// A contract has ended.
    RefundRequest(RefundRequestCase),
    /// A claim was filed without another case.
    Dispute(DisputeCase),
    /// A milestone was submitted.
    Review(MilestoneReviewCase),
    /// A client asks for released money back.
    Payment(PaymentRefundCase),
}

/// Does the same with a case of any kind.
macro_rules! on_case {
    ($any:expr, $case:ident => $do:expr) => {
        match $any {
            $crate::paper::AnyCase::RefundRequest($case) => $do,
            $crate::paper::AnyCase::Dispute($case) => $do,
            $crate::paper::AnyCase::Review($case) => $do,
            $crate::paper::AnyCase::Payment($case) => $do,
        }
    };
}

pub(crate) use on_case;

use recourse_database::testing::{amount, at, contract};
use recourse_domain::{command::CommandKind, notice::Facts, rule::Rule};

use super::*;

const EVENTS: [NoticeEvent; 38] = [
    NoticeEvent::Deposited,
    NoticeEvent::DepositDeclined,
    NoticeEvent::PaidNow,
    NoticeEvent::RefundRequested,
    NoticeEvent::Reminder,
    NoticeEvent::DisputeFiled,
    NoticeEvent::ClaimAmended,
    NoticeEvent::ClaimRejected,
    NoticeEvent::OfferMade,
    NoticeEvent::OfferRetracted,
    NoticeEvent::OfferRejected,
    NoticeEvent::MediationNeeded,
    NoticeEvent::MediationOverdue,
    NoticeEvent::ResolutionProposed,
    NoticeEvent::ResolutionAnswered,
    NoticeEvent::NonResolution,
    NoticeEvent::ArbitrationDemanded,
    NoticeEvent::ArbitrationFeeDeclined,
    NoticeEvent::ArbitrationStarted,
    NoticeEvent::ArbitrationWaiting,
    NoticeEvent::WindowExtended,
    NoticeEvent::Decided,
    NoticeEvent::OnHold,
    NoticeEvent::MilestoneSubmitted,
    NoticeEvent::ChangesRequested,
    NoticeEvent::MilestoneReleased,
    NoticeEvent::ReviewSuperseded,
    NoticeEvent::BonusPaid,
    NoticeEvent::BonusFailed,
    NoticeEvent::PaymentRefundRequested,
    NoticeEvent::MediationRequested,
    NoticeEvent::OpinionGiven,
    NoticeEvent::ReturnFailed,
    NoticeEvent::PaymentReturned,
    NoticeEvent::NothingReturned,
    NoticeEvent::RefundFailed,
    NoticeEvent::RefundOverdue,
    NoticeEvent::RefundSettledAfterAll,
];

const SILENCES: [IfSilent; 10] = [
    IfSilent::RefundClient,
    IfSilent::ReleaseClaimedAmount,
    IfSilent::ReleaseAllHeld,
    IfSilent::NoticeOfNonResolution,
    IfSilent::ReleaseFreelancer,
    IfSilent::FollowResolution,
    IfSilent::Hold,
    IfSilent::KeepInEscrow,
    IfSilent::ReleaseClaimedKeepRest,
    IfSilent::ReturnNothing,
];

const DECIDED_BY: [DecidedBy; 14] = [
    DecidedBy::ClientApproval,
    DecidedBy::ClientSilence,
    DecidedBy::ClientRelease,
    DecidedBy::ClientAcceptance,
    DecidedBy::FreelancerApproval,
    DecidedBy::FreelancerSilence,
    DecidedBy::FreelancerWithdrawal,
    DecidedBy::Agreement,
    DecidedBy::ResolutionAccepted,
    DecidedBy::ArbitrationDefault,
    DecidedBy::ArbitrationSoleDemand,
    DecidedBy::ArbitrationAward,
    DecidedBy::ContractEnd,
    DecidedBy::Rule,
];

fn facts() -> Facts {
    Facts {
        held: Some(amount(20_000)),
        amount: Some(amount(15_000)),
        to_freelancer: Some(amount(9_000)),
        to_client: Some(amount(11_000)),
        kept_in_escrow: Some(amount(100)),
        number: Some(2),
        decided_by: Some(DecidedBy::ResolutionAccepted),
        milestone: Some("Sketches & <more>".into()),
        text: Some("I did <b>all</b>\nof it".into()),
        accepted: Some(true),
        expected_by: Some(at()),
    }
}

fn notice(event: NoticeEvent, to: Role, by: Option<Role>, facts: Facts) -> Notice {
    Notice {
        number: 1,
        event,
        to,
        by,
        rule: Rule::M4,
        email: true,
        can: CommandKind::ALL.to_vec(),
        deadline: Some(at()),
        if_silent: Some(IfSilent::RefundClient),
        facts,
    }
}

fn render_for(contract: Contract, notice: &Notice) -> Rendered {
    let told =
        Tell { case: "dispute:c-1".into(), case_ref: "dispute:c-1#2".into(), contract, notices: Vec::new(), at: at() };
    Words::new().render(&told, notice).unwrap()
}

fn render(notice: &Notice) -> Rendered {
    render_for(contract("c-1"), notice)
}

/// A notice must never show a hole, or the template itself.
fn check(rendered: &Rendered, context: &str) {
    let text = &rendered.text;
    let mut lines = text.lines();
    let (headline, gap, sentence) = (lines.next().unwrap(), lines.next(), lines.next().unwrap());
    assert!(headline.len() > 8 && gap == Some("") && sentence.len() > 10, "{context}: {text}");
    assert!(sentence.ends_with('.'), "{context}: {sentence}");
    assert!(rendered.subject.starts_with(headline), "{context}: {}", rendered.subject);
    for bad in
        ["None", "none", "{{", "{%", "%}", "undefined", "  ", " .", " ,", "..", "you goes", "You goes", "somebody"]
    {
        for shown in [&rendered.subject, text, &rendered.html] {
            assert!(!shown.contains(bad), "{context}: {bad:?} in {shown}");
        }
    }
    assert!(!rendered.subject.contains('\n') && text.ends_with("(rule M4)\n"), "{context}: {text}");
    assert!(rendered.html.contains("<!doctype html>") && rendered.html.trim_end().ends_with("</html>"));
}

#[test]
fn every_event_has_words_for_every_role() {
    for event in EVENTS {
        for to in Role::ALL {
            for by in [None, Some(Role::Client), Some(Role::Freelancer), Some(Role::Mediator), Some(to)] {
                // Only a person extends a window; every other event may have no actor.
                let by = if event == NoticeEvent::WindowExtended { by.or(Some(Role::Operator)) } else { by };
                for facts in [facts(), Facts::default(), Facts { accepted: Some(false), ..facts() }] {
                    let context = format!("{event:?} to {to} by {by:?}");
                    check(&render(&notice(event, to, by, facts.clone())), &context);
                    let bare =
                        Notice { can: Vec::new(), deadline: None, if_silent: None, ..notice(event, to, by, facts) };
                    let bare = render(&bare);
                    check(&bare, &context);
                    assert!(!bare.text.contains("What you can do") && !bare.text.contains("By when"), "{context}");
                }
            }
        }
    }
}

#[test]
fn every_silence_and_every_decision_has_words() {
    for to in Role::ALL {
        for if_silent in SILENCES {
            let silent = Notice {
                if_silent: Some(if_silent),
                ..notice(NoticeEvent::RefundRequested, to, Some(Role::Client), facts())
            };
            check(&render(&silent), &format!("{if_silent:?} to {to}"));
        }
        for decided_by in DECIDED_BY {
            let mut seen = std::collections::BTreeSet::new();
            for (to_freelancer, to_client) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let facts = Facts {
                    to_freelancer: Some(amount(to_freelancer)),
                    to_client: Some(amount(to_client)),
                    decided_by: Some(decided_by),
                    ..Facts::default()
                };
                let rendered = render(&notice(NoticeEvent::Decided, to, None, facts));
                check(&rendered, &format!("{decided_by:?} to {to}"));
                seen.insert(rendered.subject);
            }
            assert_eq!(seen.len(), 4, "{seen:?}");
        }
    }
}

#[test]
fn a_proposed_resolution_names_the_split_the_deadline_and_the_effect_of_silence() {
    let proposed = Notice {
        can: vec![CommandKind::Accept, CommandKind::Reject, CommandKind::Offer],
        if_silent: Some(IfSilent::NoticeOfNonResolution),
        facts: Facts { kept_in_escrow: None, expected_by: None, milestone: None, ..facts() },
        ..notice(NoticeEvent::ResolutionProposed, Role::Client, Some(Role::Mediator), facts())
    };
    let rendered = render(&proposed);
    assert_eq!(rendered.subject, "The mediator proposes a resolution (Logo & brand)");
    assert_eq!(
        rendered.text,
        "\
The mediator proposes a resolution

110.00 USD would go to you and 90.00 USD to Bo Freelancer. The proposal is not binding: the money moves so only if both of you accept. Your answer is final.

The mediator wrote:
> I did <b>all</b>
> of it

What you can do now:
- accept the proposed resolution
- reject the proposed resolution
- offer a split of the money

By when: before Thu 3 Dec 2026 10:00 UTC.
If nothing happens by then, you both get the Notice of Non-Resolution.

The money:
- held in escrow: 200.00 USD
- to Bo Freelancer: 90.00 USD
- to you: 110.00 USD

Contract: Logo & brand (c-1)
Case: dispute:c-1 (rule M4)
"
    );
    assert!(rendered.html.contains("I did &lt;b&gt;all&lt;") && !rendered.html.contains("<b>all"), "{}", rendered.html);
    let other = render(&Notice { to: Role::Freelancer, ..proposed });
    assert!(other.text.contains("90.00 USD would go to you and 110.00 USD to Ada <Client>"), "{}", other.text);
    assert!(other.html.contains("Ada &lt;Client&gt;"), "{}", other.html);
}

#[test]
fn both_parties_read_the_same_event_from_their_side() {
    for event in EVENTS {
        let of = |to| render(&notice(event, to, Some(Role::Client), facts())).text;
        assert_ne!(of(Role::Client), of(Role::Freelancer), "{event:?}");
    }
}

/// Names and titles come from outside and get into headers.
#[test]
fn names_and_titles_cannot_break_out_of_their_line() {
    let mut contract = contract("c-1");
    contract.title = "Logo\r\nBcc: everyone@example.com\u{202e}".into();
    contract.client.name = Some("Ada\n\nYou can ignore this:".into());
    contract.freelancer.name = Some(" \u{7} ".into());
    let rendered =
        render_for(contract, &notice(NoticeEvent::RefundRequested, Role::Freelancer, Some(Role::Client), facts()));
    check(&rendered, "hostile");
    assert_eq!(rendered.subject, "Ada You can ignore this: asks for 150.00 USD back (Logo Bcc: everyone@example.com)");
    assert!(rendered.text.contains("> of it"), "{}", rendered.text);
}

/// N1: the same command is offered with what it does in this case.
#[test]
fn approve_reject_and_dispute_are_described_for_the_kind_of_case() {
    let offers = |event, if_silent| {
        let notice = Notice {
            can: vec![CommandKind::Approve, CommandKind::Reject, CommandKind::Dispute],
            if_silent: Some(if_silent),
            ..notice(event, Role::Client, Some(Role::Freelancer), facts())
        };
        let text = render(&notice).text;
        let offers = text.lines().filter_map(|line| line.strip_prefix("- ")).take(3);
        offers.map(str::to_owned).collect::<Vec<_>>().join(" | ")
    };
    let milestone = "approve milestone Sketches & <more> in full, or pay less or more | reject what is open: the claim, \
                     the resolution or an offer | dispute that milestone Sketches & <more> is not released: say how much \
                     you claim, and why";
    let payment = "return all of it, or a part | return nothing | dispute it: say how much you claim, and why";
    let refund = "approve the refund | reject what is open: the claim, the resolution or an offer | dispute it: say how \
                  much you claim, and why";
    for (event, if_silent, wanted) in [
        (NoticeEvent::MilestoneSubmitted, IfSilent::ReleaseFreelancer, milestone),
        (NoticeEvent::Reminder, IfSilent::ReleaseFreelancer, milestone),
        (NoticeEvent::PaymentRefundRequested, IfSilent::ReturnNothing, payment),
        (NoticeEvent::OpinionGiven, IfSilent::ReturnNothing, payment),
        (NoticeEvent::Reminder, IfSilent::ReturnNothing, payment),
        (NoticeEvent::WindowExtended, IfSilent::ReturnNothing, payment),
        (NoticeEvent::RefundRequested, IfSilent::RefundClient, refund),
        (NoticeEvent::Reminder, IfSilent::RefundClient, refund),
    ] {
        assert_eq!(offers(event, if_silent), wanted, "{event:?}");
    }
}

/// E4, E6: who decided, what was paid, and what is held over.
#[test]
fn a_released_milestone_says_who_approved_it_and_what_is_held_over() {
    let released = |to, decided_by, kept| {
        let facts = Facts { decided_by: Some(decided_by), kept_in_escrow: Some(amount(kept)), ..facts() };
        let text = render(&notice(NoticeEvent::MilestoneReleased, to, None, facts)).text;
        text.lines().nth(2).unwrap().to_owned()
    };
    assert_eq!(
        released(Role::Freelancer, DecidedBy::ClientSilence, 0),
        "Ada <Client> did not answer in time, which approves milestone Sketches & <more>. 90.00 USD is released from \
         escrow to you. It is pending for the security period and then available."
    );
    assert_eq!(
        released(Role::Client, DecidedBy::ClientApproval, 3_000),
        "You approved milestone Sketches & <more>. 90.00 USD is released from escrow to Bo Freelancer. 30.00 USD is held \
         over in escrow, for the next milestone."
    );
}

/// D1: a dispute about a milestone is not about a refund.
#[test]
fn a_dispute_on_an_active_contract_names_its_milestone_and_what_stays_in_escrow() {
    let second = |event, facts| {
        let text = render(&notice(event, Role::Client, Some(Role::Freelancer), facts)).text;
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap(), lines.nth(1).unwrap())
    };
    let (headline, _) = second(NoticeEvent::DisputeFiled, facts());
    assert_eq!(headline, "Bo Freelancer claims 150.00 USD for milestone Sketches & <more>");
    let (headline, _) = second(NoticeEvent::DisputeFiled, Facts { milestone: None, ..facts() });
    assert_eq!(headline, "Bo Freelancer disputes the refund");
    let decided = Facts {
        to_freelancer: Some(amount(9_000)),
        to_client: Some(amount(0)),
        kept_in_escrow: Some(amount(11_000)),
        decided_by: Some(DecidedBy::ClientSilence),
        ..Facts::default()
    };
    assert_eq!(
        second(NoticeEvent::Decided, decided).1,
        "You did not answer in time. 90.00 USD goes to Bo Freelancer. 110.00 USD stays in escrow."
    );
}

/// N1, D3: on an active contract, the part of a milestone that the freelancer does not get does not go back to the
/// client.
#[test]
fn a_split_of_a_milestones_money_says_what_stays_in_escrow() {
    let said = |event, to, by, milestone: Option<&str>| {
        let facts = Facts { milestone: milestone.map(Into::into), kept_in_escrow: None, ..facts() };
        let text = render(&notice(event, to, Some(by), facts)).text;
        let money = text.lines().filter(|line| line.contains("110.00 USD") && line.starts_with("- "));
        (text.lines().nth(2).unwrap().to_owned(), money.collect::<Vec<_>>().join(" "))
    };
    let stays = "- stays in escrow for the next milestone: 110.00 USD";
    for (event, to, by, words) in [
        (
            NoticeEvent::ResolutionProposed,
            Role::Client,
            Role::Mediator,
            "90.00 USD would go to Bo Freelancer, and 110.00 USD would stay in escrow for the next milestone.",
        ),
        (
            NoticeEvent::ResolutionProposed,
            Role::Freelancer,
            Role::Mediator,
            "90.00 USD would go to you, and 110.00 USD would stay in escrow for the next milestone.",
        ),
        (
            NoticeEvent::ResolutionProposed,
            Role::Operator,
            Role::Mediator,
            "90.00 USD would go to Bo Freelancer, and 110.00 USD would stay in escrow for the next milestone, if both",
        ),
        (
            NoticeEvent::OfferMade,
            Role::Client,
            Role::Client,
            "You offered that 90.00 USD goes to Bo Freelancer and 110.00 USD stays in escrow for the next milestone.",
        ),
        (
            NoticeEvent::OfferMade,
            Role::Freelancer,
            Role::Client,
            "In offer 2 Ada <Client> proposes that 90.00 USD goes to you and 110.00 USD stays in escrow for the next \
             milestone.",
        ),
        (
            NoticeEvent::OfferMade,
            Role::Operator,
            Role::Client,
            "In offer 2 90.00 USD would go to Bo Freelancer and 110.00 USD would stay in escrow for the next milestone.",
        ),
    ] {
        let (sentence, money) = said(event, to, by, Some("m-1"));
        assert!(sentence.starts_with(words), "{event:?} to {to}: {sentence}");
        assert_eq!(money, stays, "{event:?} to {to}");
        let (sentence, money) = said(event, to, by, None);
        assert!(!sentence.contains("escrow") && money.starts_with("- to "), "{event:?} to {to}: {sentence} {money}");
    }
}

/// A3: a notice says what happens if nobody answers a demand.
#[test]
fn a_demand_says_where_the_money_goes_if_the_other_party_makes_none() {
    let text = |to, by, milestone: Option<&str>| {
        let facts = Facts { milestone: milestone.map(Into::into), ..facts() };
        render(&notice(NoticeEvent::ArbitrationDemanded, to, Some(by), facts)).text
    };
    let stays = "the 200.00 USD stays in escrow for the next milestone";
    for (to, by, of_milestone, ended) in [
        (Role::Client, Role::Client, stays, "the 200.00 USD goes to you and your share"),
        (Role::Freelancer, Role::Client, stays, "the 200.00 USD goes to Ada <Client>."),
        (
            Role::Client,
            Role::Freelancer,
            "the 200.00 USD goes to Bo Freelancer.",
            "the 200.00 USD goes to Bo Freelancer.",
        ),
        (Role::Freelancer, Role::Freelancer, "the 200.00 USD goes to you and", "the 200.00 USD goes to you and"),
    ] {
        let text = (text(to, by, Some("m-1")), text(to, by, None));
        assert!(text.0.contains(of_milestone) && text.1.contains(ended), "{to} by {by}: {text:?}");
    }
}

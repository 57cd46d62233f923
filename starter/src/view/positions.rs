//! The subject of a case, and the positions of both sides.

use jiff::Timestamp;
use recourse_client::words::{moment, named};
use recourse_domain::{
    claim::Claim,
    messages::Status,
    milestone::Review,
    money::{Amount, Currency},
    payment::PaymentRequest,
};
use recourse_workflows::describe;

type Field = (&'static str, String);

/// The milestone or payment of the case, if it has one.
pub fn subject(status: &Status) -> Vec<Field> {
    let show = |amount: Amount| status.currency.show(amount);
    let mut fields = Vec::new();
    if let Some(Review { milestone, .. }) = &status.review {
        let shown = format!("{}. {} ({}), {}", milestone.ordinal, milestone.name, milestone.id, show(milestone.amount));
        fields.push(("milestone", shown));
        fields.push(("to be done", milestone.description.clone().unwrap_or_default()));
    }
    if let Some(payment) = &status.payment {
        let left = format!("{} not returned yet", show(payment.left));
        let shown = format!("{}, {}; {left}", payment.id, describe::instant(payment.released_at));
        fields.push(("payment", shown));
    }
    fields
}

/// The position of each side.
pub fn positions(status: &Status, now: Timestamp) -> Vec<Field> {
    let show = |amount: Amount| status.currency.show(amount);
    let claim = status.claim.as_ref().map(|claim| self::claim(claim, status.currency));
    let rejection = status.rejection.as_ref().map(|rejection| {
        let evidence = files(rejection.evidence.len());
        format!("{}: {}{evidence}", named(&rejection.reason), rejection.details)
    });
    let resolution = status.resolution.as_ref().map(|resolution| {
        let (freelancer, rest) = (show(resolution.to_freelancer), show(resolution.to_client));
        let becomes = describe::rest_of_a_split(status);
        format!("{freelancer} to the freelancer, {rest} {becomes}: {}", resolution.rationale)
    });
    let answers = status.answers.iter().map(|(role, answer)| format!("{role} {}", named(answer)));
    let mut fields = status.review.as_ref().map(submitted).unwrap_or_default();
    if let Some(payment) = &status.payment {
        fields.extend(asked_back(payment, status, now));
    }
    fields.extend([
        ("claim", claim.unwrap_or_default()),
        ("rejection", rejection.unwrap_or_default()),
        ("resolution", resolution.unwrap_or_default()),
        ("answers", answers.collect::<Vec<_>>().join(", ")),
    ]);
    fields
}

fn claim(claim: &Claim, currency: Currency) -> String {
    let evidence = files(claim.evidence.len());
    format!("{}, {}: {}{evidence}", currency.show(claim.amount), named(&claim.reason), claim.details)
}

/// The last submission, and the changes that the client requested before.
fn submitted(review: &Review) -> Vec<Field> {
    let times = match review.submissions {
        0 | 1 => String::new(),
        times => format!("{times} times; last: "),
    };
    let submission = format!("{times}{}{}", review.latest.note, files(review.latest.files.len()));
    vec![("submitted", submission), ("changes", review.changes.clone().unwrap_or_default())]
}

/// The payment that the client asks back and why, the question to a mediator, and the opinion.
fn asked_back(payment: &PaymentRequest, status: &Status, now: Timestamp) -> Vec<Field> {
    let asked = if payment.message.is_empty() { String::new() } else { format!(": {}", payment.message) };
    let mediation = match &payment.mediation {
        Some(message) => format!("asked for: {message}"),
        None if status.outcome.is_some() => String::new(),
        None => {
            let can = if payment.mediation_until > now { "can" } else { "could" };
            format!("{can} be asked for until {}", moment(payment.mediation_until, now))
        }
    };
    vec![
        ("asked back", format!("{}{asked}", status.currency.show(payment.asked))),
        ("mediation", mediation),
        ("opinion", payment.opinion.clone().unwrap_or_default()),
    ]
}

fn files(number: usize) -> String {
    match number {
        0 => String::new(),
        1 => " (1 file)".to_owned(),
        files => format!(" ({files} files)"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::view::case;

    /// The text for a status with the content of `more`.
    fn shown(case_id: &str, kind: &str, more: Value) -> String {
        let mut status = json!({
            "case": case_id, "kind": kind, "contract": "c-1", "currency": "USD", "stage": "awaiting_client",
            "waiting_on": ["client"], "held": 30_000, "deadline": "2026-12-15T10:00:00Z",
            "if_silent": null, "overdue": false, "allowed": {"client": ["approve"]}, "claim": null,
            "rejection": null, "offers": [], "resolution": null, "answers": {}, "timeline": [], "outcome": null,
        });
        let (Value::Object(fields), Value::Object(more)) = (&mut status, more) else { panic!() };
        fields.extend(more);
        let status = serde_json::from_value(status).unwrap();
        let text = case(&status, &recourse_client::Money::default(), "2026-12-12T06:00:00Z".parse().unwrap());
        anstream::adapter::strip_str(&text).to_string()
    }

    fn review() -> Value {
        json!({
            "milestone": {"id": "m-1", "ordinal": 1, "name": "Sketches", "amount": 30_000, "description": "Two drafts"},
            "submissions": 2, "changes": "Bluer",
            "latest": {"note": "Both drafts", "files": [
                {"sha256": "ab", "name": "a.png", "size": 3, "media_type": "image/png"},
            ]},
        })
    }

    #[test]
    fn a_review_shows_its_milestone_submission_and_requested_changes() {
        assert_eq!(
            shown("milestone-review:c-1:m-1", "milestone_review", json!({"review": review()})),
            "milestone-review:c-1:m-1  (awaiting client)\n\
             \x20 contract    c-1\n\
             \x20 milestone   1. Sketches (m-1), 300.00 USD\n\
             \x20 to be done  Two drafts\n\
             \x20 held        300.00 USD\n\
             \x20 waits for   client\n\
             \x20 until       Tue 15 Dec 2026 10:00 UTC (in 3 d 4 h)\n\
             \x20 client can  approve\n\
             \x20 submitted   2 times; last: Both drafts (1 file)\n\
             \x20 changes     Bluer\n"
        );
        let mut first = review();
        first["submissions"] = json!(1);
        let text = shown("milestone-review:c-1:m-1", "milestone_review", json!({"review": first}));
        assert!(text.contains("submitted   Both drafts (1 file)\n"), "{text}");
    }

    fn payment(mediation: Option<&str>, opinion: Option<&str>, until: &str) -> Value {
        json!({"payment": {
            "id": "milestone-review:c-1:m-1/release", "released_at": "2026-12-01T10:00:00Z", "left": 30_000,
            "asked": 5_000, "message": "Paid twice", "mediation_until": until, "mediation": mediation,
            "opinion": opinion,
        }})
    }

    /// P1, P3: such a case holds nothing. It shows what the client asks back, and until when the client can ask a mediator.
    #[test]
    fn a_request_for_a_payment_shows_the_rest_and_the_opinion() {
        let case = "payment-refund:milestone-review:c-1:m-1/release";
        assert_eq!(
            shown(case, "payment_refund", payment(None, None, "2026-12-31T10:00:00Z")),
            "payment-refund:milestone-review:c-1:m-1/release  (awaiting client)\n\
             \x20 contract    c-1\n\
             \x20 payment     milestone-review:c-1:m-1/release, Tue 1 Dec 2026 10:00 UTC; 300.00 USD not returned yet\n\
             \x20 waits for   client\n\
             \x20 until       Tue 15 Dec 2026 10:00 UTC (in 3 d 4 h)\n\
             \x20 client can  approve\n\
             \x20 asked back  50.00 USD: Paid twice\n\
             \x20 mediation   can be asked for until Thu 31 Dec 2026 10:00 UTC (in 19 d 4 h)\n"
        );
        let over = shown(case, "payment_refund", payment(None, None, "2026-12-12T06:00:00Z"));
        assert!(over.contains("mediation   could be asked for until"), "{over}");
        let asked = shown(case, "payment_refund", payment(Some("Please look"), Some("Half"), "2026-12-31T10:00:00Z"));
        assert!(asked.contains("mediation   asked for: Please look\n  opinion     Half\n"), "{asked}");
        let outcome = json!({"result": "declined", "decided_by": "freelancer_silence", "rule": "P2", "to_freelancer": 0,
                             "to_client": 0, "kept_in_escrow": 0});
        let mut ended = payment(None, None, "2026-12-31T10:00:00Z");
        ended["outcome"] = outcome;
        assert!(!shown(case, "payment_refund", ended).contains("mediation"));
    }
}

//! How large the people of a case can make it. The case must fit into one payload, and so must its status.

use super::{
    super::{command::COMMAND_BYTES_MAX, evidence::Evidence, money::AMOUNT_MAX},
    *,
};
use crate::messages::Status;

/// A server takes 2 MB in one payload.
const PAYLOAD_BYTES_MAX: usize = 1_900_000;

/// A text of this many control characters, but at most so many that it fits into a command: in JSON each takes six bytes.
fn text(bytes: usize) -> String {
    "\u{1}".repeat(bytes.min(20_000))
}

fn files(policy: &Policy) -> Vec<Evidence> {
    let file = |number: usize| Evidence {
        sha256: format!("{number:064x}"),
        name: "é".repeat(255),
        size: policy.evidence.max_bytes,
        media_type: "application/pdf".into(),
    };
    (0..policy.evidence.max_files as usize).map(file).collect()
}

/// D3, L7, M7: the people send as many commands as the case keeps, refused ones too, with the longest texts and keys.
#[test]
fn the_largest_case_fits_into_a_payload() {
    let policy = Policy::default();
    let most = AMOUNT_MAX - 1;
    let mut case = filed(most, most, &policy);
    let mut number = 0;
    let mut send = |case: &mut DisputeCase, role: Role, command: Command| {
        number += 1;
        let key = Some(format!("{number:08}{}", "é".repeat(192)));
        let json = serde_json::to_vec(&command).unwrap();
        assert!(json.len() <= COMMAND_BYTES_MAX, "{} bytes", json.len());
        let answer = case.receive(command.command_kind(), Ok(Message { key, ..message(role, command) }), day(0.5));
        case.file_mut().take_notices();
        answer
    };
    let reason = RejectionReason::NotAsAgreed;
    for _ in 0..2_500 {
        let kind = "\u{2}".repeat(10_000);
        let file = Evidence { sha256: "ab".repeat(32), name: "x".into(), size: 1, media_type: kind };
        let unfit = Rejection { reason, details: "No.".into(), evidence: vec![file], amount: None };
        send(&mut case, Role::Client, Command::Reject(Reject::Claim(unfit))).unwrap_err();
        send(&mut case, Role::Mediator, Command::Extend(Extend { hours: 0, reason: text(1_000) })).unwrap_err();
    }
    let long = text(20_000);
    for _ in 0..20 {
        send(&mut case, Role::Freelancer, Command::Amend(Amend { amount: amount(most), details: long.clone() }))
            .unwrap();
        for role in Role::PARTIES {
            let offer = Command::Offer(Offer { to_freelancer: amount(most), message: Some(text(1_000)) });
            send(&mut case, role, offer).unwrap();
        }
    }
    let rejection = Rejection { reason, details: "é".repeat(10_000), evidence: files(&policy), amount: None };
    send(&mut case, Role::Client, Command::Reject(Reject::Claim(rejection))).unwrap();
    send(&mut case, Role::Mediator, Command::Propose(Propose { to_freelancer: amount(0), rationale: long.clone() }))
        .unwrap();
    assert_eq!(case.file().refusals(), 5_000);
    let (json, status) = (serde_json::to_vec(&case).unwrap(), serde_json::to_vec(&Status::of(&case)).unwrap());
    println!("a dispute of {} bytes with a status of {} bytes", json.len(), status.len());
    assert!(json.len() < PAYLOAD_BYTES_MAX, "{} bytes", json.len());
    assert!(status.len() < PAYLOAD_BYTES_MAX, "{} bytes", status.len());
    assert_eq!(serde_json::from_slice::<DisputeCase>(&json).unwrap(), case);
}

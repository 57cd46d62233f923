//! Commands as a sender would write them.

use recourse_workflows::domain::command::{Command, Message, Subject};
use serde_json::{Map, Value, json};

/// The JSON that this command is read from.
pub fn of(message: &Message) -> Vec<u8> {
    let mut object = fields(&message.command);
    object.insert("by".into(), json!(message.by));
    if let Some(at) = message.at {
        object.insert("at".into(), json!(at));
    }
    if let Some(key) = &message.key {
        object.insert("key".into(), json!(key));
    }
    serde_json::to_vec(&object).expect("an object can be written")
}

fn fields(command: &Command) -> Map<String, Value> {
    let fields = match command {
        Command::Submit(submission) => json!(submission),
        Command::Approve { amount, submission } => json!({"amount": amount, "submission": submission}),
        Command::AcceptClaim { amount } => json!({"of": "claim", "amount": amount}),
        Command::DemandArbitrationFrom { source } => json!({"source": source}),
        Command::RequestChanges { message } | Command::RequestMediation { message } => json!({"message": message}),
        Command::Supersede | Command::Release | Command::Withdraw | Command::DemandArbitration => json!({}),
        Command::Dispute { claim, contacted_client } => {
            let mut fields = json!(claim);
            fields["contacted_client"] = json!(contacted_client);
            fields
        }
        Command::Accept(subject) | Command::Reject(subject) => answer(*subject),
        Command::RejectClaim(rejection) => {
            let mut fields = json!(rejection);
            fields["of"] = json!("claim");
            fields
        }
        Command::Amend { amount, details } => json!({"amount": amount, "details": details}),
        Command::Offer { to_freelancer, message } => json!({"to_freelancer": to_freelancer, "message": message}),
        Command::Retract { number } => json!({"number": number}),
        Command::Propose { to_freelancer, rationale } => {
            json!({"to_freelancer": to_freelancer, "rationale": rationale})
        }
        Command::Close { reason } => json!({"reason": reason}),
        Command::Award { to_freelancer, reference } => json!({"to_freelancer": to_freelancer, "reference": reference}),
        Command::Opinion { text } => json!({"text": text}),
        Command::Extend { hours, reason } => json!({"hours": hours, "reason": reason}),
    };
    let Value::Object(fields) = fields else { unreachable!("each is an object") };
    fields
}

fn answer(subject: Subject) -> Value {
    match subject {
        Subject::Claim => json!({"of": "claim"}),
        Subject::Resolution => json!({"of": "resolution"}),
        Subject::Offer(number) => json!({"of": "offer", "number": number}),
        Subject::Request => json!({}),
    }
}

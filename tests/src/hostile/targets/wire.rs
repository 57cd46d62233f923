//! Commands as a sender would write them.

use recourse_domain::command::Message;
use serde_json::json;

/// The JSON that this command is read from.
pub fn of(message: &Message) -> Vec<u8> {
    let mut object = message.command.fields();
    object.insert("by".into(), json!(message.by));
    if let Some(at) = message.at {
        object.insert("at".into(), json!(at));
    }
    if let Some(key) = &message.key {
        object.insert("key".into(), json!(key));
    }
    serde_json::to_vec(&object).expect("an object can be written")
}

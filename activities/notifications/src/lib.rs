//! Who is told what: people by notices, in the app and by email, and programs by webhooks.
//!
//! A notice and the event that programs read are stored in one transaction, each once (N2). What is sent goes out in the background,
//! so that no case waits for a mail server or an endpoint (N3).

pub mod notices;
pub mod webhooks;

pub use notices::{NoticeBook, Postman};
pub use webhooks::WebhookBook;

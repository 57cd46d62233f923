//! Notices for people, in the app and by email, and webhooks for programs.
//!
//! A notice and its event for programs are stored in one transaction, each once (N2). Emails and webhooks are sent in
//! the background, so that no case waits for a mail server or an endpoint (N3).

pub mod notices;
pub mod webhooks;

pub use notices::{NoticeBook, Postman};
pub use webhooks::WebhookBook;

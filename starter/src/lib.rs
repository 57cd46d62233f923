//! What people and programs outside use: the command line, and underneath it one typed client.
//!
//! [`client`] is the only thing here that speaks to Temporal; [`cli`] is what people type; [`local`] starts the real
//! parts on this machine.

pub mod cli;
pub mod client;
mod hex;
pub mod local;

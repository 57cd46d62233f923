//! What people and programs outside use: the command line, the HTTP API and the console, and underneath them one typed client.
//!
//! [`client`] is the only thing here that speaks to Temporal; [`cli`] is what people type, [`api`] what programs call,
//! [`console`] what people click; [`local`] starts the real parts on this machine.

pub mod api;
pub mod cli;
pub mod client;
pub mod console;
mod hex;
pub mod local;

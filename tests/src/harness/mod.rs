//! Starting the real parts, and playing stories on them.

mod mailbox;
mod mode;
mod port;
mod story;
mod world;

pub use mailbox::{Mailbox, python};
pub use mode::Mode;
pub use port::free_port;
pub use story::{Story, command_of, ledger_of, shown};
pub use world::{PATIENCE, World, program, run, run_beyond, server_address, server_metrics, unique};

//! What an installation needs that other people's money depends on: a server that is trusted, payloads that say nothing to
//! whoever keeps them, builds that leave open cases alone, and numbers that an operator is called by.

mod encryption;
mod front;
mod guide;
mod metrics;
mod restore;
mod traces;
mod trust;
mod versions;

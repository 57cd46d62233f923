//! The tests on real parts: a Temporal server, the worker as its own process, a database file, a mail server.
//!
//! One server runs for the whole binary. Tests share it and a worker, each with contracts of its own; those that stop
//! workers or break things have a namespace, a database and workers of their own ([`harness::World::apart`]).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod api;
mod chaos;
mod command_line;
mod console;
mod continuing;
mod contract;
mod contract_end;
mod cost;
mod differential;
mod documents;
mod doors;
mod edges;
mod faults;
mod harness;
mod hostile;
mod lateness;
mod milestones;
mod model;
mod mutations;
mod notices;
mod operators;
mod outcomes;
mod paper;
mod payments;
mod production;
mod refunds;
mod refusals;
mod replay;
mod rest;
mod retried;
mod rulebook;
mod structure;
mod survival;
mod webhooks;

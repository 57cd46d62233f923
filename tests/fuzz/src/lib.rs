//! The targets, which are those of the ordinary tests.

#[path = "../../src/hostile/targets/mod.rs"]
pub mod targets;

//! Open cases outlive the code that began them: recorded histories replay with the present code, and every order of the present
//! code is known exactly.
//!
//! [`paths`] lists the ways through the workflows. Each was played on a real server and its history kept; every run of these
//! tests replays all of them ([`replay`]). A replay compares the kinds and the order of commands, not their content; so each
//! path is also played again, and its commands compared with a text ([`commands`]). `make histories` records changes.
//! [`variants`] are workflows with mistakes, which the replay must find, and the example of a change that does not break open
//! cases.

mod commands;
mod controls;
mod coverage;
mod deliveries;
mod files;
mod patch;
mod paths;
mod play;
mod record;
#[allow(clippy::module_inception, reason = "the one that replays")]
mod replay;
mod variants;

use std::fs;

pub use self::{files::history_of, replay::PRESENT};
use self::{
    record::{Record, play_all},
    replay::replay,
};
use crate::harness::run;

/// How to record.
const HINT: &str = "If that is wanted, `make histories` records it; look at what it changes. Cases that are open need a \
                    patch first: docs/contributing.md, \"Changing a workflow that has open cases\"";

/// T2, L5: a case that is no longer in a worker's memory continues unchanged, whichever path it took until then.
#[test]
fn every_recorded_history_replays_with_the_present_code() {
    let histories = files::histories();
    assert!(histories.len() > 100, "{} histories are recorded; `make histories` records them", histories.len());
    let faults: Vec<String> = histories
        .iter()
        .filter_map(|path| {
            let fault = replay(&fs::read(path).unwrap(), PRESENT).err()?;
            Some(format!("{}: {fault:?}", path.display()))
        })
        .collect();
    assert!(faults.is_empty(), "{} of {}:\n{}\n{HINT}", faults.len(), histories.len(), faults.join("\n"));
}

/// Timers' lengths, arguments of effects, search attributes, children, signals, results: a replay compares none of them.
#[test]
fn every_path_has_the_recorded_orders() {
    run(async {
        let faults = play_all(Record::from_env()).await;
        assert!(faults.is_empty(), "{}\n\n{HINT}", faults.join("\n\n"));
    });
}

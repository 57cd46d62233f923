//! Random scripts, played on paper and by the real workflows on the real server: both have the same stages, answers, outcomes
//! and ledgers, step by step. So what the model ([`crate::model`]) proves on paper holds for the workflows.
//!
//! `RECOURSE_SEED` and `RECOURSE_DIFFERENTIAL_SCRIPTS` make other and longer runs; `RECOURSE_DIFFERENTIAL_ONLY` plays one
//! script of a seed, which a failure names.

mod play;
mod script;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use self::{play::play, script::Script};
use crate::harness::{World, run_beyond};

/// How many scripts are played at the same time.
const AT_ONCE: usize = 8;

/// How long a script may take beside the others.
const A_SCRIPT: Duration = Duration::from_secs(5);

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// E4–E8, R1–R6, R10, D2–D5, M1–M7, A1–A5, P1–P4, T2, T6, L7: the workflows do what the rules on paper say.
#[test]
fn random_scripts_end_the_same_on_paper_and_on_the_server() {
    let count = number("RECOURSE_DIFFERENTIAL_SCRIPTS").unwrap_or(24);
    run_beyond(A_SCRIPT * u32::try_from(count).unwrap(), async {
        let seed = number("RECOURSE_SEED").unwrap_or(1);
        let numbers = number("RECOURSE_DIFFERENTIAL_ONLY").map_or_else(|| (1..=count).collect(), |only| vec![only]);
        let world = World::shared().await;
        let scripts: Vec<Script> = numbers.into_iter().map(|number| Script::draw(seed, number)).collect();
        let steps: usize = scripts.iter().map(|script| script.steps.len()).sum();
        println!("differential: seed {seed}, {} scripts, {steps} steps", scripts.len());
        let played = stream::iter(&scripts).map(|script| async move { (script, play(world, script).await) });
        let played: Vec<_> = played.buffer_unordered(AT_ONCE).collect().await;
        let differ: Vec<String> =
            played.iter().filter_map(|(script, played)| Some(format!("{script}{}", played.as_ref().err()?))).collect();
        assert!(differ.is_empty(), "{} scripts differ:\n{}", differ.len(), differ.join("\n"));
        world.check_money().await;
    });
}

//! Plays every path again, and compares the workflows' orders with the known ones; or, if asked, records the present ones.

use std::{fs, panic::AssertUnwindSafe, path::PathBuf, sync::Mutex};

use futures_util::{
    FutureExt as _,
    stream::{self, StreamExt as _},
};

use super::{
    commands, deliveries, files,
    paths::{self, Path},
    play::{self, Played},
    replay::{PRESENT, replay},
};
use crate::harness::World;

/// How many paths are played at once.
const AT_ONCE: usize = 8;

/// What to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Nothing: a difference is a fault.
    Nothing,
    /// Missing recordings, changed orders, and recordings that do not replay.
    Changes,
    /// Everything.
    Everything,
}

impl Record {
    /// As `RECOURSE_RECORD` says: `1` for changes, `all` for everything.
    pub fn from_env() -> Self {
        match std::env::var("RECOURSE_RECORD").as_deref() {
            Err(_) | Ok("" | "0") => Self::Nothing,
            Ok("all") => Self::Everything,
            Ok(_) => Self::Changes,
        }
    }
}

/// Plays every path, and returns the faults.
pub async fn play_all(record: Record) -> Vec<String> {
    let shared = World::apart("replay", &[]).await;
    let faults = Mutex::new(Vec::new());
    let kept = Mutex::new(Vec::new());
    // Paths with a worker of their own take longest.
    let mut paths: Vec<&Path> = paths::all().collect();
    paths.sort_by_key(|path| !path.stops_the_worker());
    let of_cases = stream::iter(paths).for_each_concurrent(AT_ONCE, async |path| {
        let played = AssertUnwindSafe(play_one(&shared, path)).catch_unwind().await;
        let Ok(played) = played else {
            faults.lock().unwrap().push(format!("{} cannot be played; what went wrong is above", path.name));
            return;
        };
        for (kind, history) in played.histories {
            let found = check(kind, path, &history, record);
            faults.lock().unwrap().extend(found);
            let files = [files::history_of(kind, path.name), files::commands_of(kind, path.name)];
            kept.lock().unwrap().extend(files);
        }
    });
    // In a world of their own.
    let of_deliveries = async {
        let own = deliveries::world().await;
        for way in &deliveries::WAYS {
            let history = deliveries::play(&own, way).await;
            faults.lock().unwrap().extend(check(deliveries::KIND, &way.path, &history, record));
            let name = way.path.name;
            let files = [files::history_of(deliveries::KIND, name), files::commands_of(deliveries::KIND, name)];
            kept.lock().unwrap().extend(files);
        }
    };
    tokio::join!(of_cases, of_deliveries);
    let (faults, kept): (Vec<String>, Vec<PathBuf>) = (faults.into_inner().unwrap(), kept.into_inner().unwrap());
    if record != Record::Nothing && faults.is_empty() {
        files::remove_all_but(&kept);
    }
    faults
}

async fn play_one(shared: &World, path: &Path) -> Played {
    if path.stops_the_worker() {
        let own = World::apart(path.name, &[]).await;
        return Box::pin(play::play(&own, path)).await;
    }
    Box::pin(play::play(shared, path)).await
}

/// Compares the commands of a case that was just played.
fn check(kind: &str, path: &Path, history: &[u8], record: Record) -> Option<String> {
    let ordered = commands::commands_of(history);
    let (recorded_in, known_in) = (files::history_of(kind, path.name), files::commands_of(kind, path.name));
    let known = fs::read_to_string(&known_in).unwrap_or_default();
    if record == Record::Nothing {
        return (known != ordered).then(|| told(kind, path, &known, &ordered));
    }
    let stale = || known != ordered || !fs::read(&recorded_in).is_ok_and(|recorded| replay(&recorded, PRESENT).is_ok());
    if record == Record::Everything || stale() {
        if let Err(fault) = replay(history, PRESENT) {
            return Some(format!("{}: the code does not replay what it has just done: {fault:?}", path.name));
        }
        files::write_history(&recorded_in, history);
        files::write(&known_in, &ordered);
    }
    None
}

/// The path, the command, and what to do.
fn told(kind: &str, path: &Path, known: &str, ordered: &str) -> String {
    let (known, ordered): (Vec<&str>, Vec<&str>) = (known.lines().collect(), ordered.lines().collect());
    let same = known.iter().zip(&ordered).take_while(|(known, ordered)| known == ordered).count();
    let line = |lines: &[&str]| lines.get(same).map_or("(nothing)", |line| line.trim()).to_owned();
    let command = |lines: &[&str]| {
        let until = lines.len().min(same + 1);
        let heading = lines[..until].iter().rposition(|line| !line.starts_with(' '));
        heading.map_or("(no command)".to_owned(), |heading| {
            let number = lines[..=heading].iter().filter(|line| !line.starts_with([' ', '<'])).count();
            format!("command {number}, {}", lines[heading])
        })
    };
    format!(
        "{kind} on the path `{}` orders something else than before, from {} on (line {} of tests/commands/{kind}/{}.txt):\n  \
         before: {}\n  now:    {} ({})\n  story:  {}",
        path.name,
        command(&known),
        same + 1,
        path.name,
        line(&known),
        line(&ordered),
        command(&ordered),
        path.script,
    )
}

//! What the rules and a replay allocate: the second gate for a case's cost, counted in allocations of memory.
//!
//! A time depends on the machine as much as on the code, so a gate of times fails by chance. The number of allocations is the
//! same on every machine and follows the work: a clone of a case, an order that is serialized twice, an unused status. The
//! table in `docs/performance.md` has the numbers, and is the gate.

use std::{fmt::Write as _, fs, path::PathBuf};

use allocation_counter::measure;
use recourse_domain::{
    command::{CommandKind, Message},
    money::Amount,
    policy::Policy,
    starts::RefundRequestStart,
};
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::WorkflowReplayer;

use crate::{
    harness::command_of,
    paper::{Books, Paper, contract},
    replay::{PRESENT, history_of},
};

/// The table's header.
const HEADER: &str = "| what | allocations | bytes |";

/// How much a number may differ from the table, in percent: the SDK's own allocations vary a little.
const TOLERANCE: u64 = 3;

/// The stories on paper: who says what.
const STORIES: [(&str, &[(&str, &str)]); 2] = [
    ("rules: a refund that is approved", &[("freelancer", "approve")]),
    (
        "rules: a dispute whose resolution both accept",
        &[
            ("freelancer", "claim 2"),
            ("client", "reject claim"),
            ("mediator", "propose 1"),
            ("freelancer", "accept resolution"),
            ("client", "accept resolution"),
        ],
    ),
];

/// The replayed histories.
const HISTORIES: [(&str, &str, &str); 2] = [
    ("replay: a refund that is approved", "refund_request", "end-approved"),
    ("replay: a dispute whose resolution both accept", "dispute", "dispute-resolved"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    what: String,
    allocations: u64,
    bytes: u64,
}

impl Row {
    fn count(what: &str, work: impl FnOnce()) -> Self {
        let counted = measure(work);
        Self { what: what.to_owned(), allocations: counted.count_total, bytes: counted.bytes_total }
    }

    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [what, allocations, bytes] = cells.as_slice() else { return None };
        Some(Self { what: (*what).to_owned(), allocations: allocations.parse().ok()?, bytes: bytes.parse().ok()? })
    }

    /// The differences from the table's row, in words.
    fn differs_from(&self, table: &Self) -> Vec<String> {
        let compare = |what: &str, was: u64, is: u64| {
            let how = if is > was { "rose" } else { "sank" };
            (was.abs_diff(is) * 100 > was * TOLERANCE)
                .then(|| format!("{}: {what} {how} from {was} to {is}", self.what))
        };
        let allocations = compare("allocations", table.allocations, self.allocations);
        allocations.into_iter().chain(compare("bytes", table.bytes, self.bytes)).collect()
    }
}

fn on_paper(words: &[(&str, &str)]) -> impl FnOnce() {
    let contract = contract();
    let json = serde_json::to_value(&contract).unwrap();
    let read = |(who, words): &(&str, &str)| {
        let (command_kind, body) = command_of(&json, who, words);
        (command_kind, Message::read(command_kind, &serde_json::to_vec(&body).unwrap()).unwrap())
    };
    let said: Vec<(CommandKind, Message)> = words.iter().map(read).collect();
    let end = RefundRequestStart { contract, pay_now: Amount::ZERO, reason: None, policy: Some(Policy::default()) };
    move || {
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        let mut paper = Paper::contract_ends(end, Books::with(&[1, 2], "card-1"), now);
        for (command_kind, message) in said {
            paper.receive(paper.current(), command_kind, message).unwrap();
            paper.run(None);
        }
        assert!(paper.is_over());
    }
}

/// The second replay of a history: the first one makes everything that is made only once.
fn replayed(what: &str, kind: &str, path: &str) -> Row {
    let history = fs::read(history_of(kind, path)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let replayer = WorkflowReplayer::new((PRESENT.workflows)()).unwrap();
    let replay = || {
        let history = WorkflowHistory::from_json(&history).unwrap();
        runtime.block_on(replayer.replay_workflow(history)).unwrap();
    };
    replay();
    Row::count(what, replay)
}

fn counted() -> Vec<Row> {
    let stories = STORIES.iter().map(|(what, words)| Row::count(what, on_paper(words)));
    stories.chain(HISTORIES.iter().map(|(what, kind, path)| replayed(what, kind, path))).collect()
}

/// The lines of the table, without its header.
fn table(text: &str) -> (usize, usize) {
    let begins = text.find(HEADER).expect("docs/performance.md has the table") + HEADER.len() + 1;
    let begins = begins + text[begins..].find('\n').unwrap() + 1;
    let ends = text[begins - 1..].find("\n\n").map_or(text.len(), |length| begins + length);
    (begins, ends)
}

/// `RECOURSE_WRITE_DOCS=1` writes the correct table.
#[test]
fn the_rules_and_a_replay_allocate_what_the_table_says() {
    // A thread of its own: all its allocations are counted here.
    let rows = std::thread::spawn(counted).join().unwrap();
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let mut text = fs::read_to_string(&page).unwrap();
    let (begins, ends) = table(&text);
    let known: Vec<Row> =
        text[begins..ends].lines().map(|line| Row::read(line).expect("a row has three cells")).collect();
    if std::env::var_os("RECOURSE_WRITE_DOCS").is_some() {
        let mut lines = String::new();
        for Row { what, allocations, bytes } in &rows {
            writeln!(lines, "| {what} | {allocations} | {bytes} |").unwrap();
        }
        text.replace_range(begins..ends, &lines);
        return fs::write(&page, text).unwrap();
    }
    assert_eq!(known.len(), rows.len(), "the table in docs/performance.md has other rows");
    let differences: Vec<String> = rows.iter().zip(&known).flat_map(|(row, known)| row.differs_from(known)).collect();
    assert!(
        differences.is_empty(),
        "the table in docs/performance.md says otherwise:\n  {}\nIf that is meant, run \
         `RECOURSE_WRITE_DOCS=1 cargo test -p recourse-tests cost::allocations`, and say on the page what for.",
        differences.join("\n  ")
    );
}

/// The gate finds a row that rose and one that sank, and passes differences within its tolerance.
#[test]
fn a_row_that_differs_is_found() {
    let row = |allocations, bytes| Row { what: "rules: a story".to_owned(), allocations, bytes };
    assert_eq!(row(103, 1_000).differs_from(&row(100, 1_000)), Vec::<String>::new());
    assert_eq!(row(104, 1_000).differs_from(&row(100, 1_000)), ["rules: a story: allocations rose from 100 to 104"]);
    assert_eq!(row(100, 900).differs_from(&row(100, 1_000)), ["rules: a story: bytes sank from 1000 to 900"]);
}

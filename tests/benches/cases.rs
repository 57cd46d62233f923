//! Cases per second, and what a case takes of the worker's processor, beside a bare workflow with the same timers and commands.
//!
//! Both are driven in the same way, with as many cases at once as keep the machine busy: by calls that are answered, and without
//! asking a worker anything that the path does not need. Contracts and deposits are made before the clock starts.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_workflows::{domain::command::Verb, messages::EscrowDepositStart};
use serde_json::{Map, Value, json};

use crate::{
    bare::{self, Shape},
    figure::{Figure, Target, Unit},
    parts::{BareCase, Parts, processor_time, unique},
};

/// How many cases of a path are measured in a run.
const CASES: usize = 120;

/// How many of them are under way at once.
const AT_ONCE: usize = 16;

/// The same where each case mostly waits for its clock.
const WAITING_AT_ONCE: usize = 48;

/// A path that cases take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Approved,
    Silence,
    Settled,
    Milestone,
}

impl Path {
    const ALL: [Self; 4] = [Self::Approved, Self::Silence, Self::Settled, Self::Milestone];

    const fn name(self) -> &'static str {
        match self {
            Self::Approved => "refund approved",
            Self::Silence => "refund by silence",
            Self::Settled => "dispute settled by both",
            Self::Milestone => "milestone approved",
        }
    }

    /// The bare workflow with the same timers and commands.
    const fn shape(self) -> Shape {
        let shape = Shape { silences: 0, commands: 0, child: None, activities: 1 };
        match self {
            Self::Approved | Self::Milestone => Shape { commands: 1, ..shape },
            Self::Silence => Shape { silences: 2, ..shape },
            Self::Settled => Shape { commands: 1, child: Some(4), ..shape },
        }
    }

    const fn at_once(self) -> usize {
        match self {
            Self::Silence => WAITING_AT_ONCE,
            Self::Approved | Self::Settled | Self::Milestone => AT_ONCE,
        }
    }
}

/// What a run of one side came to.
struct Run {
    per_second: f64,
    processor: f64,
}

/// Measures all paths.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let parts = Parts::start().await?;
    let mut figures = Vec::new();
    for path in Path::ALL {
        // The first round warms both workers up.
        ours(&parts, path, CASES / 4).await?;
        bare(&parts, path, CASES / 4).await?;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            here.push(ours(&parts, path, CASES).await?);
            there.push(bare(&parts, path, CASES).await?);
        }
        let of = |runs: &[Run], read: fn(&Run) -> f64| runs.iter().map(read).collect::<Vec<f64>>();
        let figure = |name: &str, unit, read| {
            Figure::beside(
                "cases",
                format!("{}: {name}", path.name()),
                unit,
                of(&here, read),
                ("bare", of(&there, read)),
            )
        };
        figures.push(figure("cases", Unit::PerSecond, |run| run.per_second).aiming(Target::AtLeast(0.8)));
        figures.push(figure("worker CPU a case", Unit::Seconds, |run| run.processor).aiming(Target::AtMost(1.5)));
    }
    Ok(figures)
}

async fn ours(parts: &Parts, path: Path, count: usize) -> anyhow::Result<Run> {
    let prepared: Vec<Contract> =
        stream::iter(0..count).map(|_| Contract::paid_for(parts, path)).buffer_unordered(AT_ONCE).try_collect().await?;
    let (started, before) = (Instant::now(), processor_time(parts.worker.pid())?);
    let played = stream::iter(&prepared).map(|contract| contract.play(parts, path));
    played.buffer_unordered(path.at_once()).try_collect::<Vec<()>>().await?;
    run_of(count, started, processor_time(parts.worker.pid())? - before)
}

async fn bare(parts: &Parts, path: Path, count: usize) -> anyhow::Result<Run> {
    let (started, before) = (Instant::now(), processor_time(parts.bare.pid())?);
    let played = stream::iter(0..count).map(|_| play_bare(parts, path));
    played.buffer_unordered(path.at_once()).try_collect::<Vec<()>>().await?;
    run_of(count, started, processor_time(parts.bare.pid())? - before)
}

#[allow(clippy::cast_precision_loss, reason = "there are hundreds")]
fn run_of(count: usize, started: Instant, processor: f64) -> anyhow::Result<Run> {
    let count = count as f64;
    Ok(Run { per_second: count / started.elapsed().as_secs_f64(), processor: processor / count })
}

async fn play_bare(parts: &Parts, path: Path) -> anyhow::Result<()> {
    let case = parts.begin_bare(path.shape()).await?;
    parts.waits(&case.id, 1).await?;
    match path {
        Path::Approved | Path::Milestone => case.act().await?,
        Path::Silence => {
            parts.client.advance(&case.id, bare::WINDOW * 2 + Duration::from_secs(1)).await?;
        }
        Path::Settled => {
            case.act().await?;
            let child = BareCase::of(parts, bare::child_of(&case.id));
            parts.waits(&child.id, 1).await?;
            for _ in 0..4 {
                child.act().await?;
            }
        }
    }
    case.ended().await
}

/// A contract with money in escrow.
pub struct Contract(Value);

impl Contract {
    /// Makes one, with what the path begins with.
    async fn paid_for(parts: &Parts, path: Path) -> anyhow::Result<Self> {
        let contract = json!({
            "id": unique("bench"), "title": "Logo", "kind": "fixed_price", "currency": "USD",
            "client": {"id": "cl-1", "name": "Ada", "email": "ada@example.com"},
            "freelancer": {"id": "fl-1", "name": "Ben", "email": "ben@example.com"},
        });
        let milestone = (path == Path::Milestone).then(milestone);
        let deposit = json!({
            "contract": contract, "deposit": "d-1", "amount": 20_000, "milestone": milestone.map(|one| one["id"].clone()),
            "source": {"id": "card-1", "verified": true},
        });
        let deposit: EscrowDepositStart = serde_json::from_value(deposit)?;
        let case = parts.client.start(deposit).await?;
        parts.client.result(&case).await?;
        Ok(Self(contract))
    }

    /// Takes the path from its first start to its outcome.
    async fn play(&self, parts: &Parts, path: Path) -> anyhow::Result<()> {
        let case = if path == Path::Milestone {
            let start = json!({"contract": self.0, "milestone": milestone(), "note": "It is done.", "files": []});
            parts
                .client
                .start(serde_json::from_value::<recourse_workflows::messages::MilestoneReviewStart>(start)?)
                .await?
        } else {
            let start = json!({"contract": self.0, "pay_now": 0});
            parts
                .client
                .start(serde_json::from_value::<recourse_workflows::messages::RefundRequestStart>(start)?)
                .await?
        };
        parts.waits(&case, 1).await?;
        match path {
            Path::Approved => self.say(parts, &case, "freelancer", Verb::Approve, json!({})).await?,
            Path::Milestone => self.say(parts, &case, "client", Verb::Approve, json!({})).await?,
            Path::Silence => {
                parts.client.advance(&case, Duration::from_hours(7 * 24) + Duration::from_secs(1)).await?;
            }
            Path::Settled => self.settle(parts, &case).await?,
        }
        parts.client.result(&case).await?;
        Ok(())
    }

    /// The dispute that grows out of a refund request, up to the resolution that both accept.
    async fn settle(&self, parts: &Parts, request: &str) -> anyhow::Result<()> {
        let claim = json!({
            "amount": 15_000, "reason": "work_delivered", "details": "It is done.", "contacted_client": true,
        });
        self.say(parts, request, "freelancer", Verb::Dispute, claim).await?;
        let dispute = format!("dispute:{}", self.0["id"].as_str().unwrap_or_default());
        parts.waits(&dispute, 1).await?;
        let rejection = json!({"of": "claim", "reason": "not_as_agreed", "details": "Not what we agreed."});
        let resolution = json!({"to_freelancer": 9_000, "rationale": "Half was delivered."});
        self.say(parts, &dispute, "client", Verb::Reject, rejection).await?;
        self.say(parts, &dispute, "mediator", Verb::Propose, resolution).await?;
        for party in ["freelancer", "client"] {
            self.say(parts, &dispute, party, Verb::Accept, json!({"of": "resolution"})).await?;
        }
        Ok(())
    }

    async fn say(&self, parts: &Parts, case: &str, who: &str, verb: Verb, fields: Value) -> anyhow::Result<()> {
        let Value::Object(mut body) = fields else { return Ok(()) };
        let id = self.0[who]["id"].as_str().unwrap_or("me-1");
        body.insert("by".to_owned(), json!({"party": who, "id": id}));
        parts.client.command(case, verb, body as Map<String, Value>).await?;
        Ok(())
    }
}

fn milestone() -> Value {
    json!({"id": "m-1", "ordinal": 1, "name": "The logo", "amount": 20_000})
}

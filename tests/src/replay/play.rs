//! Plays a path on a real server, and fetches its recordings.
//!
//! A step is a command in the words of a [`Story`] (`2 client approve`), or one of the few words that begin and disturb a case,
//! which are the arms of [`Play::step`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use recourse_domain::{ids::Id, outcome::Outcome};
use recourse_payments::Fault;
use recourse_workflows::TASK_QUEUE;
use serde_json::{Value, json};
use temporalio_client::{
    UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowHistory, WorkflowStartOptions, WorkflowTerminateOptions,
};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

use super::paths::Path;
use crate::{
    harness::{Story, World, shown},
    lateness::pass_deadline,
};

/// A played path: the histories of the cases to record.
pub struct Played {
    /// The kind of case, and its history as the SDK writes it.
    pub histories: Vec<(&'static str, Vec<u8>)>,
}

/// Plays a path to its end.
pub async fn play(world: &World, path: &Path) -> Played {
    let mut story = Story::named(world, path.name);
    story.policy = path.policy();
    let mut play = Play { world, path, story, cases: BTreeMap::new(), deposits: 0, deadline: None };
    for step in path.script.split(';').map(str::trim).filter(|step| !step.is_empty()) {
        play.step(step).await;
    }
    let mut histories = Vec::new();
    for (index, kind) in path.records.iter().enumerate() {
        let case = play.case(kind);
        let outcome = play.story.outcome_of(&case).await;
        if index == 0 {
            assert_eq!(shown(&outcome), path.comes_to, "{}: {outcome:?}", path.name);
        }
        let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(&*case);
        let history: WorkflowHistory = handle.fetch_history(WorkflowFetchHistoryOptions::default());
        histories.push((*kind, history.to_json().await.unwrap()));
    }
    Played { histories }
}

struct Play<'a> {
    world: &'a World,
    path: &'a Path,
    story: Story<'a>,
    /// The last case of each kind.
    cases: BTreeMap<&'static str, String>,
    deposits: u32,
    /// The deadline of the current case when the worker stops.
    deadline: Option<Timestamp>,
}

impl Play<'_> {
    async fn step(&mut self, step: &str) {
        let words: Vec<&str> = step.split(' ').collect();
        match words.as_slice() {
            ["deposit", minor] => self.deposit(None, minor).await,
            ["fund", milestone, minor] => self.deposit(Some(milestone), minor).await,
            ["decline"] => {
                let card = Id::new(&self.story.card()).unwrap();
                self.world.bank.set_fault(Some(&card), Fault::Decline, 1).await.unwrap();
            }
            ["end", pay_now] => {
                let policy = self.story.policy.clone();
                self.story.end(pay_now.parse().unwrap(), policy).await;
                let case = self.story.refund_request.clone();
                self.begun("refund_request", &case);
            }
            ["submit", milestone, ordinal, minor] => {
                self.story.submit(milestone, ordinal.parse().unwrap(), minor.parse().unwrap()).await;
                let review = self.story.review(milestone);
                self.begun("milestone_review", &review);
            }
            ["dispute_alone", grounds, milestone, minor] => {
                let status = self.story.dispute_alone(grounds, milestone, minor.parse().unwrap()).await;
                self.begun("dispute", &status.case);
            }
            ["ask_back", step, minor] => {
                let payment = format!("{}/{step}", self.cases["milestone_review"]);
                let status = self.story.ask_back(&payment, Timestamp::now(), minor.parse().unwrap()).await;
                self.begun("payment_refund", &status.case);
            }
            ["start", kind, id, ..] => {
                self.start(kind, id, step.splitn(4, ' ').nth(3).unwrap()).await;
            }
            ["on", kind] => {
                let case = self.case(kind);
                self.story.on(&case);
                self.settle_down().await;
            }
            ["over", kind] => drop(self.story.outcome_of(&self.case(kind)).await),
            ["terminate", kind] => {
                let handle = self.world.client.temporal().get_workflow_handle::<UntypedWorkflow>(self.case(kind));
                let options = WorkflowTerminateOptions::builder().reason("an operator's mistake").build();
                handle.terminate(options).await.unwrap();
            }
            ["signal", who, .., last] => self.signal(step, who, *last == "at_deadline").await,
            ["signal_bytes", command_kind, bytes] => {
                self.world.client.signal(self.story.case(), command_kind, bytes.as_bytes().to_vec()).await.unwrap();
                self.settle_down().await;
            }
            ["refused", days, who, ..] => self.refused(step, days, who).await,
            ["down"] => self.down().await,
            ["pass_deadline"] => {
                pass_deadline(self.world, self.story.case(), self.deadline.unwrap()).await;
            }
            ["up"] => self.world.start_worker().await,
            _ => self.command(step).await,
        }
    }

    /// A day, and a command in the story's words, which the case must take then.
    async fn command(&mut self, step: &str) {
        let mut words = step.splitn(3, ' ');
        self.until(words.next().unwrap()).await;
        let (Some(who), Some(what)) = (words.next(), words.next()) else { return };
        let taken = self.story.say(who, what).await;
        taken.unwrap_or_else(|error| panic!("{}: {step}: {error}", self.path.name));
        let case = self.story.case().to_owned();
        if case.starts_with("dispute:") {
            self.begun("dispute", &case);
        }
        self.settle_down().await;
    }

    async fn until(&mut self, days: &str) {
        self.story.until(days.parse().unwrap()).await;
        self.settle_down().await;
    }

    /// Waits until the case has handled everything that is due, so that the next step is a task of its own in every run.
    async fn settle_down(&self) {
        self.world.quiet(self.story.case()).await;
    }

    fn begun(&mut self, kind: &'static str, case: &str) {
        self.story.on(case);
        if let Some(earlier) = self.cases.insert(kind, case.to_owned()).filter(|earlier| earlier != case) {
            self.cases.insert("earlier", earlier);
        }
    }

    fn case(&self, kind: &str) -> String {
        self.cases.get(kind).unwrap_or_else(|| panic!("{}: no {kind} was started", self.path.name)).clone()
    }

    async fn deposit(&mut self, milestone: Option<&str>, minor: &str) {
        self.deposits += 1;
        let (deposit, minor) = (format!("d-{}", self.deposits), minor.parse().unwrap());
        let card = self.story.card();
        let _: Outcome = match milestone {
            Some(milestone) => self.story.fund(&deposit, milestone, minor, &card).await,
            None => self.story.deposit(&deposit, minor, &card).await,
        };
        self.cases.insert("escrow_deposit", format!("escrow-deposit:{}:{deposit}", self.story.id()));
    }

    /// Starts a workflow with exactly this JSON, after replacing `CONTRACT`, `POLICY` and `PAYMENT`.
    async fn start(&mut self, kind: &str, id: &str, json: &str) {
        let payment = self.cases.get("milestone_review").map(|review| format!("{review}/release")).unwrap_or_default();
        let json = json.replace("CONTRACT", &self.story.contract.to_string());
        let json =
            json.replace("POLICY", &self.story.policy.to_string()).replace("PAYMENT", &json!(payment).to_string());
        let json = json.replace("NOW", &json!(Timestamp::now()).to_string());
        let id = id.replace("ID", self.story.id().as_str()).replace("PAYMENT", &payment);
        let input = RawValue::new(vec![Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: json.into_bytes(),
            ..Payload::default()
        }]);
        let kind = super::paths::KINDS.into_iter().find(|known| known.name() == kind).unwrap();
        let options = WorkflowStartOptions::new(TASK_QUEUE, id.clone()).build();
        let workflow = UntypedWorkflow::new(kind.workflow_type());
        self.world.client.temporal().start_workflow(workflow, input, options).await.unwrap();
        self.begun(kind.name(), &id);
    }

    /// The same command as a signal: without a receipt time, or `at_deadline` with the deadline that has passed.
    async fn signal(&self, step: &str, who: &str, at_deadline: bool) {
        let words = step.splitn(3, ' ').nth(2).unwrap().trim_end_matches(" at_deadline");
        let (command_kind, mut body) = self.story.command(who, words);
        if at_deadline {
            body.insert("at".to_owned(), json!(self.deadline.unwrap()));
        }
        let bytes = serde_json::to_vec(&body).unwrap();
        self.world.client.signal(self.story.case(), command_kind.name(), bytes).await.unwrap();
    }

    async fn refused(&mut self, step: &str, days: &str, who: &str) {
        self.until(days).await;
        let words = step.splitn(4, ' ').nth(3).unwrap();
        let refused = self.story.say(who, words).await;
        assert!(refused.is_err(), "{}: {step} was taken", self.path.name);
        self.settle_down().await;
    }

    async fn down(&mut self) {
        if self.cases.values().any(|case| case == self.story.case()) {
            self.deadline = self.world.status(self.story.case()).await.deadline;
        }
        self.world.stop_worker().await;
    }
}

/// The policy of every path, with the path's own changes: no window depends on the weekday of the recording.
pub fn policy_with(own: &str) -> Value {
    let mut policy = json!({
        "resolution_target": {"days": 2, "unit": "calendar"}, "refund_settlement": {"days": 7, "unit": "calendar"},
    });
    if !own.is_empty() {
        let own: Value = serde_json::from_str(own).unwrap();
        policy.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    }
    policy
}

//! The cost of a history: billed actions and events.
//!
//! A case's own history shows at once and exactly which of its events are billed. The server's metric shows the sum of a whole
//! namespace, about a second late. So the test makes each case's bill from its history, and compares the sum of a namespace
//! with the metric. That proves that we count the same actions as the server.

use std::{collections::BTreeMap, fmt};

use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{HistoryEvent, history_event::Attributes},
};

/// A kind of billed action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A program starts the case.
    Start,
    /// A case starts another as its child, which is two actions.
    Child,
    /// A program signals the case.
    Signal,
    /// A case signals another.
    SignalToCase,
    /// The server admits an update, whether the case then refuses it or not.
    Update,
    /// A timer is started.
    Timer,
    /// An activity is ordered.
    Activity(String),
    /// Search attributes are changed after the start.
    Attributes,
}

/// How often each kind of action was billed.
pub type Actions = BTreeMap<Action, u64>;

/// What a case costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// Its actions.
    pub actions: Actions,
    /// The events of its history, if each cause woke it in a task of its own.
    ///
    /// Two causes at nearly the same time may share a workflow task (three events) or not. That depends on the machine, so we
    /// count the largest number: one task for each cause.
    pub events: u64,
}

impl Action {
    /// The action that an event is billed as.
    fn of(event: &HistoryEvent) -> Option<Self> {
        match event.attributes.as_ref()? {
            Attributes::WorkflowExecutionStartedEventAttributes(started) => {
                started.parent_workflow_execution.is_none().then_some(Self::Start)
            }
            Attributes::WorkflowExecutionSignaledEventAttributes(signaled) => {
                signaled.external_workflow_execution.is_none().then_some(Self::Signal)
            }
            Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(_) => Some(Self::Child),
            Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(_) => Some(Self::SignalToCase),
            Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(_) => Some(Self::Update),
            Attributes::TimerStartedEventAttributes(_) => Some(Self::Timer),
            Attributes::ActivityTaskScheduledEventAttributes(scheduled) => {
                let name = scheduled.activity_type.as_ref().map(|kind| kind.name.clone());
                Some(Self::Activity(name.unwrap_or_default()))
            }
            Attributes::UpsertWorkflowSearchAttributesEventAttributes(_) => Some(Self::Attributes),
            _ => None,
        }
    }

    /// The names in the server's metric, one for each billed action.
    const fn metric(&self) -> &'static [&'static str] {
        match self {
            Self::Start => &["grpc_StartWorkflowExecution"],
            Self::Child => &["command_StartChildWorkflowExecution", "command_StartChildWorkflowExecution_Extra"],
            Self::Signal => &["grpc_SignalWorkflowExecution"],
            Self::SignalToCase => &["command_SignalExternalWorkflowExecution"],
            Self::Update => &["message_UpdateWorkflowExecution_Acceptance"],
            Self::Timer => &["command_StartTimer"],
            Self::Activity(_) => &["command_ScheduleActivityTask"],
            Self::Attributes => &["command_UpsertWorkflowSearchAttributes"],
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Child => f.write_str("child"),
            Self::Signal => f.write_str("signal"),
            Self::SignalToCase => f.write_str("signal to a case"),
            Self::Update => f.write_str("update"),
            Self::Timer => f.write_str("timer"),
            Self::Activity(name) => write!(f, "`{name}`"),
            Self::Attributes => f.write_str("stage shown"),
        }
    }
}

/// How an event is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Not counted: it belongs to a workflow task, or to the test's own advancing of a clock.
    Left,
    /// One event.
    One,
    /// One event, and it wakes the case: with a workflow task of three.
    Wakes,
}

fn part(kind: EventType) -> Part {
    match kind {
        EventType::WorkflowTaskScheduled
        | EventType::WorkflowTaskStarted
        | EventType::WorkflowTaskCompleted
        | EventType::WorkflowTaskTimedOut
        | EventType::WorkflowTaskFailed
        | EventType::WorkflowExecutionOptionsUpdated
        | EventType::WorkflowExecutionTimeSkippingTransitioned => Part::Left,
        EventType::WorkflowExecutionStarted
        | EventType::WorkflowExecutionSignaled
        | EventType::WorkflowExecutionUpdateAccepted
        | EventType::TimerFired
        | EventType::ActivityTaskCompleted
        | EventType::ChildWorkflowExecutionStarted
        | EventType::ChildWorkflowExecutionCompleted
        | EventType::ExternalWorkflowExecutionSignaled => Part::Wakes,
        _ => Part::One,
    }
}

impl Bill {
    /// The bill of a case.
    pub fn of(history: &[HistoryEvent]) -> Self {
        let mut bill = Self::default();
        for event in history {
            if let Some(action) = Action::of(event) {
                let billed = action.metric().len() as u64;
                *bill.actions.entry(action).or_default() += billed;
            }
            bill.events += match part(event.event_type()) {
                Part::Left => 0,
                Part::One => 1,
                Part::Wakes => 4,
            };
        }
        bill
    }
}

/// Adds actions up.
pub fn sum<'a>(all: impl IntoIterator<Item = &'a Actions>) -> Actions {
    let mut sum = Actions::new();
    for (action, count) in all.into_iter().flatten() {
        *sum.entry(action.clone()).or_default() += count;
    }
    sum
}

/// The same by the names of the server's metric.
pub fn as_metric(actions: &Actions) -> BTreeMap<String, u64> {
    let mut metric = BTreeMap::new();
    for (action, count) in actions {
        let names = action.metric();
        for name in names {
            *metric.entry((*name).to_owned()).or_default() += count / names.len() as u64;
        }
    }
    metric
}

/// Actions by the test itself, not the case; and actions that are billed again because a machine was slow.
const NOT_OF_THE_CASE: [&str; 3] = ["grpc_QueryWorkflow", "grpc_UpdateWorkflowExecutionOptions", "activity_retry"];

/// Reads the server's metric of billed actions in a namespace, without those that no case causes.
pub fn read_metric(metrics: &str, namespace: &str) -> BTreeMap<String, u64> {
    // The metric writes names with the letters that Prometheus allows everywhere.
    let namespace = format!("namespace=\"{}\"", namespace.replace('-', "_"));
    let mut found = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("action{") && line.contains(&namespace)) {
        let kind = line.split("action_type=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let count: u64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
        if count > 0 && !NOT_OF_THE_CASE.contains(&kind) {
            *found.entry(kind.to_owned()).or_default() += count;
        }
    }
    found
}

#[test]
fn the_metric_counts_one_namespace_without_the_tests_requests() {
    let line = |kind: &str, namespace: &str, count| {
        format!("action{{action_type=\"{kind}\",namespace=\"{namespace}\",operation=\"x\"}} {count}\n")
    };
    let metrics = [
        line("command_StartTimer", "cost_1", 3),
        line("command_StartTimer", "cost_12", 7),
        line("grpc_QueryWorkflow", "cost_1", 9),
        line("grpc_SignalWorkflowExecution", "cost_1", 0),
        "action_other{namespace=\"cost_1\"} 4\n".to_owned(),
    ];
    let read = read_metric(&metrics.concat(), "cost-1");
    assert_eq!(read, BTreeMap::from([("command_StartTimer".to_owned(), 3)]));
}

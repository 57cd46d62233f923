//! Which timer of a case is due next, read from its history, and how far a clock may so be fast-forwarded.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use super::{Client, ClientError};

/// How long before a timer a fast-forward ends, at least: long enough for the server to have seen it end.
const BEFORE_A_TIMER: Duration = Duration::from_millis(250);

impl Client {
    /// When the next timer of this run is due, by the case's own clock.
    pub(super) async fn next_timer(&self, case: &str, run: &str) -> Result<Option<Timestamp>, ClientError> {
        let mut timers = Timers::default();
        let mut page = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.namespace().to_owned(),
                execution: Some(WorkflowExecution { workflow_id: case.to_owned(), run_id: run.to_owned() }),
                next_page_token: page,
                ..GetWorkflowExecutionHistoryRequest::default()
            };
            let answer = self.service().get_workflow_execution_history(request.into_request()).await;
            let answer = answer.map_err(|status| self.rpc_error(case, &status))?.into_inner();
            answer.history.unwrap_or_default().events.iter().for_each(|event| timers.read(event));
            page = answer.next_page_token;
            if page.is_empty() {
                return Ok(timers.0.into_values().min());
            }
        }
    }
}

/// When those that wait are due, by id.
#[derive(Debug, Default)]
struct Timers(BTreeMap<String, Timestamp>);

impl Timers {
    fn read(&mut self, event: &HistoryEvent) {
        match &event.attributes {
            Some(Attributes::TimerStartedEventAttributes(timer)) => {
                let length = timer.start_to_fire_timeout.and_then(|length| Duration::try_from(length).ok());
                let length = length.and_then(|length| SignedDuration::try_from(length).ok()).unwrap_or_default();
                let began = event.event_time.as_ref().and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
                if let Some(due) = began.and_then(|began| began.checked_add(length).ok()) {
                    self.0.insert(timer.timer_id.clone(), due);
                }
            }
            Some(Attributes::TimerFiredEventAttributes(timer)) => {
                self.0.remove(&timer.timer_id);
            }
            Some(Attributes::TimerCanceledEventAttributes(timer)) => {
                self.0.remove(&timer.timer_id);
            }
            _ => {}
        }
    }
}

/// One part of an advance: a fast-forward, and then a moment of real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leg {
    pub skip: Duration,
    pub wait: Duration,
}

impl Leg {
    /// The way to `target`, or to `timer` if that is due before or a moment after it.
    pub fn plan(now: Timestamp, target: Timestamp, timer: Option<Timestamp>) -> Self {
        let length = |to: Timestamp| Duration::try_from(to.duration_since(now)).unwrap_or_default();
        match timer.map(length) {
            Some(timer) if timer <= length(target) + BEFORE_A_TIMER => {
                let skip = timer.saturating_sub(BEFORE_A_TIMER);
                Self { skip, wait: timer.min(length(target)).saturating_sub(skip) }
            }
            _ => Self { skip: length(target), wait: Duration::ZERO },
        }
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::history::v1::{
        TimerCanceledEventAttributes, TimerFiredEventAttributes, TimerStartedEventAttributes,
    };

    use super::*;

    #[test]
    fn a_timer_waits_until_it_has_fired_or_was_cancelled() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let event = |second: i64, attributes| HistoryEvent {
            event_time: Some(std::time::SystemTime::from(at(second)).into()),
            attributes: Some(attributes),
            ..HistoryEvent::default()
        };
        let started = |second, id: &str, seconds: u64| {
            let start_to_fire_timeout = Duration::from_secs(seconds).try_into().ok();
            let timer_id = id.to_owned();
            let timer = TimerStartedEventAttributes { timer_id, start_to_fire_timeout, ..Default::default() };
            event(second, Attributes::TimerStartedEventAttributes(timer))
        };
        let fired = TimerFiredEventAttributes { timer_id: "1".to_owned(), ..Default::default() };
        let cancelled = TimerCanceledEventAttributes { timer_id: "2".to_owned(), ..Default::default() };
        let events = [
            started(100, "1", 50),
            started(100, "2", 80),
            event(150, Attributes::TimerFiredEventAttributes(fired)),
            started(150, "3", 900),
            event(160, Attributes::TimerCanceledEventAttributes(cancelled)),
        ];
        let mut timers = Timers::default();
        let due: Vec<Option<Timestamp>> = events
            .iter()
            .map(|event| {
                timers.read(event);
                timers.0.values().min().copied()
            })
            .collect();
        assert_eq!(due, [150, 150, 180, 180, 1050].map(|second| Some(at(second))));
    }

    #[test]
    fn a_clock_is_never_fast_forwarded_past_a_timer_nor_to_a_moment_before_one() {
        let plan = |target: i64, timer: Option<i64>| {
            let at = |millis: i64| Timestamp::from_millisecond(millis).unwrap();
            let leg = Leg::plan(at(1_000), at(target), timer.map(at));
            (leg.skip.as_millis(), leg.wait.as_millis())
        };
        assert_eq!(plan(90_000, None), (89_000, 0));
        assert_eq!(plan(90_000, Some(90_251)), (89_000, 0), "long after");
        assert_eq!(plan(90_000, Some(90_100)), (88_850, 150), "a moment after");
        assert_eq!(plan(90_000, Some(90_000)), (88_750, 250), "just then");
        assert_eq!(plan(90_000, Some(60_000)), (58_750, 250), "on the way");
        assert_eq!(plan(90_000, Some(1_100)), (0, 100), "at once");
        assert_eq!(plan(90_000, Some(900)), (0, 0), "due and not told yet");
    }
}

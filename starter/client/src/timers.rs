//! What a case has begun and not finished, by its history, and how far its clock may therefore be fast-forwarded.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::{
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use super::{Client, ClientError, find};

/// The shortest time between a fast-forward's target and the next timer. It must be long enough for the server to get the
/// request and to note its end. The clock ticks on during that time.
const BEFORE_A_TIMER: Duration = Duration::from_millis(250);

/// The shortest fast-forward. Server 1.32.0 runs on to the next timer if the target time passes before the server handles the
/// request, which can happen on a busy machine. This program waits in real time instead of a shorter fast-forward.
const SHORTEST: Duration = Duration::from_secs(1);

/// How much longer the server may take to handle a fast-forward than to say where the clock is.
const SLOWER_MAX: u32 = 4;

impl Client {
    /// What this run has begun and not finished.
    pub(super) async fn begun(&self, case: &str, run: &str) -> Result<RunProgress, ClientError> {
        let mut begun = RunProgress::default();
        let mut page = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.namespace().to_owned(),
                execution: Some(find::run(case, run)),
                next_page_token: page,
                ..GetWorkflowExecutionHistoryRequest::default()
            };
            let answer = self.service().get_workflow_execution_history(request.into_request()).await;
            let answer = answer.map_err(|status| self.rpc_error(case, &status))?.into_inner();
            answer.history.unwrap_or_default().events.iter().for_each(|event| begun.read(event));
            page = answer.next_page_token;
            if page.is_empty() {
                return Ok(begun);
            }
        }
    }
}

/// What a run has begun and not finished, where the server's description does not show it.
#[derive(Debug, Default)]
pub(super) struct RunProgress {
    /// Whether its first task has been scheduled. The server lets a run that follows a short one wait up to a second for its
    /// first task, and a dispute's for a shorter time. Until then the case looks idle.
    tasks: bool,
    /// How many events were read.
    events: i64,
    /// When the pending timers are due, by id.
    timers: BTreeMap<String, Timestamp>,
    /// The signals to other cases that are on their way, by the events that sent them.
    signals: BTreeSet<i64>,
}

impl RunProgress {
    /// When the next timer is due, by the case's own clock.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.values().min().copied()
    }

    /// Whether the server still has something to do at this time of the case: schedule its first task, tell it about a timer,
    /// or deliver a signal.
    pub fn is_owed(&self, now: Timestamp) -> bool {
        !self.tasks || !self.signals.is_empty() || self.next_timer().is_some_and(|due| due <= now)
    }

    /// Whether this history belongs to a description with this many events, so that nothing happened between the two reads.
    pub const fn is_of(&self, history_length: i64) -> bool {
        self.events == history_length
    }

    fn read(&mut self, event: &HistoryEvent) {
        self.events += 1;
        match &event.attributes {
            Some(Attributes::WorkflowTaskScheduledEventAttributes(_)) => self.tasks = true,
            Some(Attributes::TimerStartedEventAttributes(timer)) => {
                let length = timer.start_to_fire_timeout.and_then(|length| Duration::try_from(length).ok());
                let length = length.and_then(|length| SignedDuration::try_from(length).ok()).unwrap_or_default();
                let began = event.event_time.as_ref().and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
                if let Some(due) = began.and_then(|began| began.checked_add(length).ok()) {
                    self.timers.insert(timer.timer_id.clone(), due);
                }
            }
            Some(Attributes::TimerFiredEventAttributes(timer)) => {
                self.timers.remove(&timer.timer_id);
            }
            Some(Attributes::TimerCanceledEventAttributes(timer)) => {
                self.timers.remove(&timer.timer_id);
            }
            Some(Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(_)) => {
                self.signals.insert(event.event_id);
            }
            Some(Attributes::ExternalWorkflowExecutionSignaledEventAttributes(sent)) => {
                self.signals.remove(&sent.initiated_event_id);
            }
            Some(Attributes::SignalExternalWorkflowExecutionFailedEventAttributes(failed)) => {
                self.signals.remove(&failed.initiated_event_id);
            }
            _ => {}
        }
    }
}

/// One part of an advance: a fast-forward, and then a short wait in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leg {
    pub skip: Duration,
    pub wait: Duration,
}

impl Leg {
    /// The way to `target`, or to `timer` if that is due before the target or shortly after it. `looked` is how long the server
    /// took to say where the clock is.
    pub fn plan(now: Timestamp, target: Timestamp, timer: Option<Timestamp>, looked: Duration) -> Self {
        let before = BEFORE_A_TIMER.max(looked * SLOWER_MAX);
        let length = |to: Timestamp| Duration::try_from(to.duration_since(now)).unwrap_or_default();
        match timer.map(length) {
            Some(timer) if timer <= length(target) + before => {
                let skip = timer.saturating_sub(before);
                Self { skip, wait: timer.min(length(target)).saturating_sub(skip) }
            }
            _ => Self { skip: length(target), wait: Duration::ZERO },
        }
    }

    /// The rest of the way after `elapsed`, because a clock ticks on while this program reads it. If the rest is too short to
    /// fast-forward, this waits in real time. `looked` is how long the server took to say where the clock is.
    pub fn after(self, elapsed: Duration, looked: Duration) -> Self {
        let skip = self.skip.saturating_sub(elapsed);
        if skip < SHORTEST.max(looked * SLOWER_MAX) {
            return Self { skip: Duration::ZERO, wait: self.wait + skip };
        }
        Self { skip, ..self }
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::history::v1::{
        ExternalWorkflowExecutionSignaledEventAttributes, SignalExternalWorkflowExecutionFailedEventAttributes,
        SignalExternalWorkflowExecutionInitiatedEventAttributes, TimerCanceledEventAttributes,
        TimerFiredEventAttributes, TimerStartedEventAttributes, WorkflowTaskScheduledEventAttributes,
    };

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn event(event_id: i64, second: i64, attributes: Attributes) -> HistoryEvent {
        HistoryEvent {
            event_id,
            event_time: Some(std::time::SystemTime::from(at(second)).into()),
            attributes: Some(attributes),
            ..HistoryEvent::default()
        }
    }

    fn timer(second: i64, id: &str, seconds: u64) -> HistoryEvent {
        let start_to_fire_timeout = Duration::from_secs(seconds).try_into().ok();
        let timer = TimerStartedEventAttributes {
            timer_id: id.to_owned(),
            start_to_fire_timeout,
            ..TimerStartedEventAttributes::default()
        };
        event(0, second, Attributes::TimerStartedEventAttributes(timer))
    }

    fn fired(second: i64, id: &str) -> HistoryEvent {
        let fired = TimerFiredEventAttributes { timer_id: id.to_owned(), ..TimerFiredEventAttributes::default() };
        event(0, second, Attributes::TimerFiredEventAttributes(fired))
    }

    fn tasked() -> HistoryEvent {
        let tasked = WorkflowTaskScheduledEventAttributes::default();
        event(2, 100, Attributes::WorkflowTaskScheduledEventAttributes(tasked))
    }

    #[test]
    fn a_timer_waits_until_it_has_fired_or_was_cancelled() {
        let cancelled = TimerCanceledEventAttributes { timer_id: "2".to_owned(), ..Default::default() };
        let events = [
            timer(100, "1", 50),
            timer(100, "2", 80),
            fired(150, "1"),
            timer(150, "3", 900),
            event(0, 160, Attributes::TimerCanceledEventAttributes(cancelled)),
        ];
        let mut begun = RunProgress::default();
        let due: Vec<Option<Timestamp>> = events
            .iter()
            .map(|event| {
                begun.read(event);
                begun.next_timer()
            })
            .collect();
        assert_eq!(due, [150, 150, 180, 180, 1050].map(|second| Some(at(second))));
    }

    /// The server may not have told a case about its deadline yet, although its clock has passed it. A reader then sees an old
    /// status.
    #[test]
    fn the_server_owes_first_tasks_due_timers_and_signal_deliveries() {
        let is_owed = |events: &[HistoryEvent], second: i64| {
            let mut begun = RunProgress::default();
            for event in events {
                begun.read(event);
            }
            begun.is_owed(at(second))
        };
        assert!(is_owed(&[], 100) && !is_owed(&[tasked()], 100));
        let waits = [tasked(), timer(100, "1", 50)];
        assert!(!is_owed(&waits, 149) && is_owed(&waits, 150) && is_owed(&waits, 900));
        assert!(!is_owed(&[tasked(), timer(100, "1", 50), fired(150, "1")], 150));
        let signal = SignalExternalWorkflowExecutionInitiatedEventAttributes::default();
        let signal = event(7, 100, Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(signal));
        assert!(is_owed(&[tasked(), signal.clone()], 100));
        let sent = |initiated_event_id| {
            let sent = ExternalWorkflowExecutionSignaledEventAttributes { initiated_event_id, ..Default::default() };
            event(9, 100, Attributes::ExternalWorkflowExecutionSignaledEventAttributes(sent))
        };
        let failed =
            SignalExternalWorkflowExecutionFailedEventAttributes { initiated_event_id: 7, ..Default::default() };
        let failed = event(9, 100, Attributes::SignalExternalWorkflowExecutionFailedEventAttributes(failed));
        assert!(is_owed(&[tasked(), signal.clone(), sent(6)], 100));
        assert!(!is_owed(&[tasked(), signal.clone(), sent(7)], 100) && !is_owed(&[tasked(), signal, failed], 100));
    }

    /// A timer may fire after the description and before the history was read. Its task is under way, but neither shows it.
    #[test]
    fn a_history_matches_a_description_with_the_same_event_count() {
        let mut begun = RunProgress::default();
        for event in [tasked(), timer(100, "1", 50)] {
            begun.read(&event);
        }
        assert!(begun.is_of(2));
        begun.read(&fired(150, "1"));
        assert!(!begun.is_of(2) && begun.is_of(3));
    }

    #[test]
    fn fast_forwards_never_pass_or_nearly_reach_a_timer() {
        let looked = |looked: u64, target: i64, timer: Option<i64>| {
            let at = |millis: i64| Timestamp::from_millisecond(millis).unwrap();
            let leg = Leg::plan(at(1_000), at(target), timer.map(at), Duration::from_millis(looked));
            (leg.skip.as_millis(), leg.wait.as_millis())
        };
        let plan = |target, timer| looked(5, target, timer);
        assert_eq!(plan(90_000, None), (89_000, 0));
        assert_eq!(plan(90_000, Some(90_251)), (89_000, 0), "long after");
        assert_eq!(plan(90_000, Some(90_100)), (88_850, 150), "shortly after");
        assert_eq!(plan(90_000, Some(90_000)), (88_750, 250), "just then");
        assert_eq!(plan(90_000, Some(60_000)), (58_750, 250), "on the way");
        assert_eq!(plan(90_000, Some(1_100)), (0, 100), "at once");
        assert_eq!(plan(90_000, Some(900)), (0, 0), "due, but the case does not know yet");
        // A server that is slow to answer is also slow to handle the request.
        assert_eq!(looked(300, 90_000, Some(60_000)), (57_800, 1_200));
        assert_eq!(looked(300, 90_000, Some(91_000)), (88_800, 200));
        assert_eq!(looked(300, 90_000, Some(91_300)), (89_000, 0));
    }

    /// If a fast-forward is over before the server handles it, the clock runs on to the next timer, which may be days away.
    #[test]
    fn short_advances_wait_in_real_time() {
        let after = |skip: u64, elapsed: u64, looked: u64| {
            let leg = Leg { skip: Duration::from_millis(skip), wait: Duration::from_millis(20) };
            let leg = leg.after(Duration::from_millis(elapsed), Duration::from_millis(looked));
            (leg.skip.as_millis(), leg.wait.as_millis())
        };
        assert_eq!(after(89_000, 40, 5), (88_960, 20));
        assert_eq!(after(90, 40, 5), (0, 70), "the rest of the way after a slow answer");
        assert_eq!(after(30, 40, 5), (0, 20), "it is over");
        assert_eq!(after(1_000, 0, 5), (1_000, 20));
        assert_eq!(after(1_500, 0, 400), (0, 1_520), "a server that is slow to answer is also slow to handle it");
    }
}

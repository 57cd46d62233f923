//! Windows: how long a stage waits, in calendar or business days (T1, T2).

use std::fmt;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of a window's days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// n × 24 hours from the instant the window opens.
    Calendar,
    /// Monday to Friday in UTC, less the policy's holidays.
    Business,
}

/// A length and a unit (T1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a window: an object with `days` and `unit`")]
pub struct Window {
    /// How many days.
    pub days: u32,
    /// The kind of days.
    pub unit: Unit,
}

/// Dates that are not working days, besides Saturdays and Sundays.
pub type Holidays = [Date];

/// 24 hours.
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Window {
    /// `days` × 24 hours.
    pub const fn calendar(days: u32) -> Self {
        Self { days, unit: Unit::Calendar }
    }

    /// `days` working days.
    pub const fn business(days: u32) -> Self {
        Self { days, unit: Unit::Business }
    }

    /// The first instant that is outside a window which opens at `opened` (T1, T2).
    ///
    /// A business window that opens on a non-working day starts at the next working day's 00:00 UTC; its deadline is
    /// never inside a non-working day.
    pub fn deadline(self, opened: Timestamp, holidays: &Holidays) -> Timestamp {
        match self.unit {
            Unit::Calendar => later(opened, DAY * i32::try_from(self.days).unwrap_or(i32::MAX)),
            Unit::Business => {
                let mut at = start_of_business(opened, holidays);
                for _ in 0..self.days {
                    at = later(at, DAY);
                    while !is_working_day(date_of(at), holidays) {
                        at = later(at, DAY);
                    }
                }
                at
            }
        }
    }
}

/// `at` plus `length`, at most the last instant that a timestamp can hold.
pub(crate) fn later(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.saturating_add(length).unwrap_or(Timestamp::MAX)
}

fn date_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn is_working_day(date: Date, holidays: &Holidays) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !holidays.contains(&date)
}

fn start_of_business(opened: Timestamp, holidays: &Holidays) -> Timestamp {
    let mut date = date_of(opened);
    if is_working_day(date, holidays) {
        return opened;
    }
    while !is_working_day(date, holidays) {
        let Ok(next) = date.tomorrow() else { return opened };
        date = next;
    }
    date.to_zoned(TimeZone::UTC).map_or(opened, |midnight| midnight.timestamp())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.days == 1 { "" } else { "s" };
        match self.unit {
            Unit::Calendar => write!(f, "{} day{plural}", self.days),
            Unit::Business => write!(f, "{} business day{plural}", self.days),
        }
    }
}

/// When a command counts as received (T2).
///
/// `stamped` is the time that the receiving API wrote. If there is none, or if it lies before the stage opened or after
/// the workflow's present time, the receipt time is the workflow's present time.
pub fn receipt_time(stamped: Option<Timestamp>, stage_opened: Timestamp, now: Timestamp) -> Timestamp {
    stamped.filter(|at| (stage_opened..=now).contains(at)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(window: Window, opened: &str, holidays: &[&str]) -> String {
        let holidays: Vec<Date> = holidays.iter().map(|date| date.parse().unwrap()).collect();
        window.deadline(opened.parse().unwrap(), &holidays).to_string()
    }

    /// T1: 2026-11-20 is a Friday.
    #[test]
    fn deadlines_follow_the_windows_length_and_unit() {
        let table = [
            (Window::calendar(7), "2026-11-20T10:00:00Z", &[][..], "2026-11-27T10:00:00Z"),
            (Window::calendar(2), "2028-02-28T12:00:00Z", &[], "2028-03-01T12:00:00Z"), // over a leap day
            (Window::calendar(1), "2026-12-31T23:59:59.5Z", &[], "2027-01-01T23:59:59.5Z"),
            (Window::business(1), "2026-11-19T10:00:00Z", &[], "2026-11-20T10:00:00Z"),
            (Window::business(1), "2026-11-20T10:00:00Z", &[], "2026-11-23T10:00:00Z"), // over a weekend
            (Window::business(5), "2026-11-16T09:30:00Z", &[], "2026-11-23T09:30:00Z"),
            (Window::business(5), "2026-11-21T15:00:00Z", &[], "2026-11-30T00:00:00Z"), // opens on a Saturday
            (Window::business(1), "2026-11-22T23:59:59Z", &[], "2026-11-24T00:00:00Z"), // opens on a Sunday
            (Window::business(2), "2026-11-24T10:00:00Z", &["2026-11-26"], "2026-11-27T10:00:00Z"), // holiday on the deadline
            (Window::business(1), "2026-12-25T08:00:00Z", &["2026-12-25"], "2026-12-29T00:00:00Z"), // opens on a holiday
            (Window::business(1), "2028-02-28T12:00:00Z", &[], "2028-02-29T12:00:00Z"),
        ];
        for (window, opened, holidays, expected) in table {
            assert_eq!(deadline(window, opened, holidays), expected, "{window} from {opened}");
        }
    }

    /// T2: the stamp counts if it lies between the stage's opening and now. Otherwise the workflow's time counts.
    #[test]
    fn receipt_time_is_the_stamp_if_the_stamp_is_possible() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let (opened, now) = (at(10), at(20));
        for (stamped, expected) in
            [(None, 20), (Some(9), 20), (Some(10), 10), (Some(15), 15), (Some(20), 20), (Some(21), 20)]
        {
            assert_eq!(receipt_time(stamped.map(at), opened, now), at(expected), "{stamped:?}");
        }
    }
}

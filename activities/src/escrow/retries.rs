//! What is reported of a retried effect: a count for Prometheus, and lines in the log, few enough to read (L9).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// After this time the count of lines begins again.
const WINDOW: Duration = Duration::from_mins(1);

/// How many lines one window may have. A bank that is down fails every case that needs it.
const LINES_MAX: u32 = 20;

/// An effect on the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Taking escrow for a case.
    Open,
    /// A deposit.
    Deposit,
    /// Moving money as decided.
    Settle,
    /// A share of the arbitration fee.
    ChargeFee,
    /// A bonus.
    PayBonus,
    /// A return of a payment.
    ReturnPayment,
}

impl Effect {
    /// Every effect.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Deposit, Self::Settle, Self::ChargeFee, Self::PayBonus, Self::ReturnPayment];

    /// The name of its activity.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "Escrow.open",
            Self::Deposit => "Escrow.deposit",
            Self::Settle => "Escrow.settle",
            Self::ChargeFee => "Escrow.charge_fee",
            Self::PayBonus => "Escrow.pay_bonus",
            Self::ReturnPayment => "Escrow.return_payment",
        }
    }
}

/// How often this process retried effects. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Retries(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: [AtomicU64; Effect::ALL.len()],
    lines: Mutex<Lines>,
}

/// The lines of the current window.
#[derive(Debug, Default)]
struct Lines {
    since: Option<Instant>,
    written: u32,
    left_out: u32,
}

impl Lines {
    /// Whether a line may be written at `now`, and how many were left out before it.
    fn take(&mut self, now: Instant) -> Option<u32> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written == LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Retries {
    /// How often this effect was tried again: each try after its first counts.
    pub fn count(&self, effect: Effect) -> u64 {
        self.0.counts[effect as usize].load(Ordering::Relaxed)
    }

    /// The effect runs for the `attempt`th time.
    pub(super) fn tried(&self, effect: Effect, attempt: u32) {
        if attempt > 1 {
            self.0.counts[effect as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The `attempt`th try failed, and another one follows. The log reports the first, second, fourth, eighth and so
    /// on: an effect that fails for a day has a dozen lines.
    pub(super) fn failed(&self, effect: Effect, case: &str, attempt: u32, error: &(dyn std::error::Error + 'static)) {
        if !attempt.is_power_of_two() {
            return;
        }
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = lines.take(Instant::now()) else { return };
        drop(lines);
        tracing::warn!(
            effect = effect.name(),
            case,
            attempt,
            left_out,
            error,
            rule = "L9",
            "an effect failed, and is tried again until it works; nothing moves twice"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L9: the first try of an effect is no retry, and each kind has a count of its own.
    #[test]
    fn each_try_after_the_first_counts() {
        let retries = Retries::default();
        for attempt in 1..=5 {
            retries.clone().tried(Effect::Settle, attempt);
        }
        retries.tried(Effect::Deposit, 1);
        let counts = Effect::ALL.map(|effect| retries.count(effect));
        assert_eq!(counts, [0, 0, 4, 0, 0, 0]);
    }

    /// L9: a bank that is down does not fill the log, and the log says how many lines it left out.
    #[test]
    fn many_failures_make_few_log_lines() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let written = (0..1_000).filter(|_| lines.take(now).is_some()).count();
        assert_eq!(written, LINES_MAX as usize);
        assert_eq!(lines.take(now + WINDOW), Some(1_000 - LINES_MAX));
        assert_eq!(lines.take(now + WINDOW), Some(0));
    }
}

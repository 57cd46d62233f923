//! What uploads may take: memory while they come in, time, and room for what nothing refers to yet.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{EvidenceError, PART_BYTES, PARTS_UNDER_WAY};

/// How many files a side of a contract may have that no command refers to yet.
pub const DRAFT_FILES_MAX: u64 = 100;

/// How many bytes they may have together.
pub const DRAFT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What bounds uploads as a whole, and each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeLimits {
    /// How many bytes of memory all uploads together may take in this program. One takes at most 15 MiB.
    pub memory: usize,
    /// How long one waits for its part of that.
    pub wait: Duration,
    /// How long the next bytes of an upload may take to come.
    pub stalled: Duration,
    /// How long an upload may take, besides the time that its bytes have at `bytes_per_second`.
    pub head_start: Duration,
    /// The least that must come in a second on the whole.
    pub bytes_per_second: u64,
    /// How many files a side of a contract may have that no command refers to yet.
    pub draft_files: u64,
    /// How many bytes they may have together.
    pub draft_bytes: u64,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            memory: 10 * of_one(),
            wait: Duration::from_secs(10),
            stalled: Duration::from_secs(20),
            head_start: Duration::from_secs(30),
            bytes_per_second: 48 * 1024,
            draft_files: DRAFT_FILES_MAX,
            draft_bytes: DRAFT_BYTES_MAX,
        }
    }
}

/// The memory that one upload may take: the parts under way, and the one that is being filled.
const fn of_one() -> usize {
    PART_BYTES * (PARTS_UNDER_WAY + 1)
}

/// Lets uploads in as long as there is memory for them.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    pub(super) limits: IntakeLimits,
    places: Arc<Semaphore>,
}

impl Intake {
    pub(super) fn new(limits: IntakeLimits) -> Self {
        Self { limits, places: Arc::new(Semaphore::new((limits.memory / of_one()).max(1))) }
    }

    /// Memory for one upload, until it is dropped.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, EvidenceError> {
        match timeout(self.limits.wait, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(EvidenceError::Busy),
        }
    }

    /// By when an upload that began then, and of which so many bytes are here, must have sent more.
    pub(super) fn more_by(&self, began: Instant, received: u64) -> Instant {
        let at_least = Duration::from_secs(received / self.limits.bytes_per_second.max(1));
        (Instant::now() + self.limits.stalled).min(began + self.limits.head_start + at_least)
    }
}

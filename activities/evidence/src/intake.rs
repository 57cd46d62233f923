//! The limits of uploads: memory and time while they arrive, and room for files that nothing refers to yet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use recourse_domain::ids::Id;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{EvidenceError, PART_BYTES, PARTS_UNDER_WAY};

/// How many files a side of a contract may have that no command refers to yet.
pub const DRAFT_FILES_MAX: u64 = 100;

/// How many bytes they may have together.
pub const DRAFT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The limits of all uploads together, and of each one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeLimits {
    /// How many bytes of memory all uploads together may take in this program. One takes at most 15 MiB.
    pub memory: usize,
    /// How many files one party uploads at once. Further ones wait, so that nobody takes all the memory.
    pub at_once: usize,
    /// How long an upload waits for memory and for its party's turn.
    pub wait: Duration,
    /// How long the next bytes of an upload may take.
    pub stalled: Duration,
    /// How long an upload may take in addition to the time for its bytes at `bytes_per_second`.
    pub head_start: Duration,
    /// The lowest average rate of an upload.
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
            at_once: 3,
            wait: Duration::from_secs(10),
            stalled: Duration::from_secs(20),
            head_start: Duration::from_secs(30),
            bytes_per_second: 48 * 1024,
            draft_files: DRAFT_FILES_MAX,
            draft_bytes: DRAFT_BYTES_MAX,
        }
    }
}

/// The memory that one upload may take: the parts under way, and the part that is being filled.
const fn of_one() -> usize {
    PART_BYTES * (PARTS_UNDER_WAY + 1)
}

/// Admits uploads while there is memory for them, and a limited number for each party.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    pub(super) limits: IntakeLimits,
    places: Arc<Semaphore>,
    /// The places of the parties that upload now, or wait for it.
    of: Arc<Mutex<HashMap<Id, Weak<Semaphore>>>>,
}

/// Memory for one upload, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_party: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Intake {
    pub(super) fn new(limits: IntakeLimits) -> Self {
        let places = Arc::new(Semaphore::new((limits.memory / of_one()).max(1)));
        Self { limits, places, of: Arc::default() }
    }

    /// Memory for one upload of this party.
    ///
    /// # Errors
    /// If the party, or all parties together, upload too much at once during the whole wait.
    pub(super) async fn place(&self, party: &Id) -> Result<Place, EvidenceError> {
        let by = Instant::now() + self.limits.wait;
        // The party's own place first: an upload that waits for its party's other files takes nobody else's memory.
        let Ok(Ok(of_party)) = timeout_at(by, self.of_party(party).acquire_owned()).await else {
            return Err(EvidenceError::TooManyAtOnce { at_once: self.limits.at_once });
        };
        match timeout_at(by, self.places.clone().acquire_owned()).await {
            Ok(Ok(of_all)) => Ok(Place { _of_party: of_party, _of_all: of_all }),
            _ => Err(EvidenceError::Busy),
        }
    }

    fn of_party(&self, party: &Id) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = of.get(party).and_then(Weak::upgrade) {
            return places;
        }
        // A party without uploads is forgotten when somebody new comes.
        of.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.limits.at_once.max(1)));
        of.insert(party.clone(), Arc::downgrade(&places));
        places
    }

    /// By when an upload must have sent more, given its beginning and the bytes received.
    pub(super) fn more_by(&self, began: Instant, received: u64) -> Instant {
        let at_least = Duration::from_secs(received / self.limits.bytes_per_second.max(1));
        (Instant::now() + self.limits.stalled).min(began + self.limits.head_start + at_least)
    }
}

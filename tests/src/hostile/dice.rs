//! Choices from a seed, the same on every machine.

use rand_pcg::{Pcg64, rand_core::Rng as _};

/// Dice.
pub struct Dice(Pcg64);

impl Dice {
    /// Dice with this seed.
    pub fn new(seed: u64) -> Self {
        Self(Pcg64::new(seed.into(), 0xa02_bdbf_7bb3_c0a7))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.0.next_u64().to_le_bytes()[0]
    }
}

//! Repeatable chance: each contract has its own generator, made from the run's seed and its number. So what happens in it does
//! not depend on the other contracts.

use rand_pcg::{
    Pcg64,
    rand_core::{Rng as _, SeedableRng as _},
};
use recourse_domain::money::Amount;
use sha2::{Digest as _, Sha256};

/// A generator whose algorithm is fixed: the same numbers in every version of this program.
#[derive(Debug, Clone)]
pub struct Dice(Pcg64);

impl Dice {
    /// The dice of the contract with this number in the run with this seed.
    pub fn new(seed: u64, number: u64) -> Self {
        let hash = Sha256::digest(format!("recourse sim, seed {seed}, contract {number}").as_bytes());
        Self(Pcg64::from_seed(hash.into()))
    }

    /// A number from 0 to `bound - 1`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these; the first if there is no other.
    pub fn pick<'a, T>(&mut self, first: &'a T, others: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(others.len() as u64 + 1)).unwrap_or(0);
        index.checked_sub(1).and_then(|index| others.get(index)).unwrap_or(first)
    }

    /// An amount from `from` to `to` minor units; `from` if that is more.
    pub fn minor(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to.saturating_sub(from)).map_or(1, |span| span + 1);
        from.saturating_add(i64::try_from(self.below(span)).unwrap_or(0))
    }

    /// A part of `whole`: often an amount between, sometimes all of it, sometimes a single minor unit, sometimes nothing.
    pub fn part(&mut self, whole: Amount) -> Amount {
        let minor = match self.below(10) {
            0 => 0,
            1 => 1.min(whole.minor()),
            2 | 3 => whole.minor(),
            _ => self.minor(0, whole.minor()),
        };
        amount(minor)
    }

    /// A part of `whole` that is not nothing.
    pub fn some_of(&mut self, whole: Amount) -> Amount {
        self.part(whole).max(amount(1.min(whole.minor())))
    }
}

/// An amount of this many minor units. The simulation never makes it negative or too large.
pub fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test fixes the numbers themselves: another algorithm would make every reported seed useless.
    #[test]
    fn a_seed_and_a_number_always_give_the_same_dice() {
        let throw = |seed, number| {
            let mut dice = Dice::new(seed, number);
            [dice.below(1000), dice.below(1000), dice.below(1000), dice.below(1000)]
        };
        assert_eq!(throw(7, 1), throw(7, 1));
        assert_eq!(throw(7, 1), [439, 799, 911, 561]);
        assert_ne!(throw(7, 1), throw(7, 2));
        assert_ne!(throw(7, 1), throw(8, 1));
    }

    #[test]
    fn dice_stay_within_their_bounds() {
        let mut dice = Dice::new(1, 1);
        assert_eq!((dice.below(0), dice.below(1), dice.minor(5, 4), dice.minor(3, 3)), (0, 0, 5, 3));
        let mut seen = [false; 4];
        for _ in 0..1000 {
            let minor = dice.minor(10, 13);
            assert!((10..=13).contains(&minor));
            seen[usize::try_from(minor - 10).unwrap()] = true;
            assert!(dice.part(amount(7)) <= amount(7));
            assert!((1..=7).contains(&dice.some_of(amount(7)).minor()));
            assert!((1..=3).contains(dice.pick(&1, &[2, 3])));
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(dice.some_of(Amount::ZERO), Amount::ZERO);
    }
}

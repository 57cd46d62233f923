//! Figures: what was measured in each run, its yardstick, and whether that is good enough.
//!
//! A time alone depends on the machine as much as on the program. So a figure has a yardstick from the same runs wherever there
//! is one, and the ratio counts.

use std::fmt;

use serde::Serialize;

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Something each second: the more the better.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// The target for a ratio, or for the number itself without a yardstick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// The least, the middle and the greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one; of an even number, the lower of the two.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of at least one number.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { panic!("nothing was measured") };
        Self { min: *min, median: sorted[(sorted.len() - 1) / 2], max: *max }
    }
}

/// A measured figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// The part of the bench that measured it.
    pub part: &'static str,
    /// Its name.
    pub name: String,
    unit: Unit,
    /// Its values, run by run.
    runs: Vec<f64>,
    /// The yardstick, measured in the same runs.
    beside: Option<(&'static str, Vec<f64>)>,
    target: Option<Target>,
    /// The runs' spread.
    spread: Spread,
    /// The spread of the ratios, one for each run.
    ratio: Option<Spread>,
    /// Whether the median meets the target; none without a target.
    met: Option<bool>,
}

impl Figure {
    /// A figure without a yardstick.
    pub fn alone(part: &'static str, name: impl Into<String>, unit: Unit, runs: Vec<f64>) -> Self {
        let spread = Spread::of(&runs);
        Self { part, name: name.into(), unit, runs, beside: None, target: None, spread, ratio: None, met: None }
    }

    /// A figure with a yardstick from the same runs.
    pub fn beside(
        part: &'static str,
        name: impl Into<String>,
        unit: Unit,
        runs: Vec<f64>,
        yardstick: (&'static str, Vec<f64>),
    ) -> Self {
        assert_eq!(runs.len(), yardstick.1.len(), "a yardstick is measured in the same runs");
        let ratios: Vec<f64> = runs.iter().zip(&yardstick.1).map(|(ours, theirs)| ours / theirs).collect();
        let ratio = Some(Spread::of(&ratios));
        Self { beside: Some(yardstick), ratio, ..Self::alone(part, name, unit, runs) }
    }

    /// Sets its target.
    pub fn aiming(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.met = Some(target.is_met(self.ratio.unwrap_or(self.spread).median));
        self
    }

    /// Whether it has a target and misses it.
    pub fn misses(&self) -> bool {
        self.met == Some(false)
    }

    /// As a row of the table.
    pub fn row(&self) -> [String; 6] {
        let shown = |value: f64| Shown(value, self.unit).to_string();
        let beside = self
            .beside
            .as_ref()
            .map(|(name, runs)| format!("{} {}", shown(Spread::of(runs).median), name))
            .unwrap_or_default();
        let spread = match self.ratio {
            Some(Spread { min, median, max }) => format!("{median:.2} ({min:.2} to {max:.2})"),
            None => format!("({} to {})", shown(self.spread.min), shown(self.spread.max)),
        };
        let target = match (self.target, self.ratio.is_some()) {
            (None, _) => String::new(),
            (Some(Target::AtMost(most)), true) => format!("at most {most}"),
            (Some(Target::AtLeast(least)), true) => format!("at least {least}"),
            (Some(Target::AtMost(most)), false) => format!("at most {}", shown(most)),
            (Some(Target::AtLeast(least)), false) => format!("at least {}", shown(least)),
        };
        let met = match self.met {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        [self.name.clone(), shown(self.spread.median), beside, spread, target, met.to_owned()]
    }
}

/// A number with its unit, for people.
struct Shown(f64, Unit);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, unit) = *self;
        match unit {
            Unit::PerSecond if value < 100.0 => write!(f, "{value:.1}/s"),
            Unit::PerSecond => write!(f, "{value:.0}/s"),
            Unit::Seconds if value < 1e-3 => write!(f, "{:.0} µs", value * 1e6),
            Unit::Seconds if value < 1.0 => write!(f, "{:.2} ms", value * 1e3),
            Unit::Seconds => write!(f, "{value:.2} s"),
            Unit::Bytes => write!(f, "{:.1} MB", value / 1e6),
        }
    }
}

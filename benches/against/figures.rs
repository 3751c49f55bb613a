//! Numbers: percentiles, medians over rounds, and ratios of rounds that stood side by side.

use std::time::Duration;

/// A median and what it was the median of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// The smallest round.
    pub least: f64,
    /// The largest round.
    pub most: f64,
}

impl Spread {
    /// Over all rounds; `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (below, above) = (*values.get((values.len() - 1) / 2)?, *values.get(values.len() / 2)?);
        Some(Self { median: f64::midpoint(below, above), least, most })
    }

    /// Ours by theirs, round by round: a machine whose speed drifts drifts for both.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Self::of(ours.iter().zip(theirs).filter(|(_, theirs)| **theirs > 0.0).map(|(ours, theirs)| ours / theirs))
    }
}

/// Durations of single operations.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Sorts them.
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest that `per_mille` of 1,000 do not exceed, in milliseconds (nearest rank); NaN of none.
    pub fn at(&self, per_mille: usize) -> f64 {
        let rank = (self.0.len() * per_mille).div_ceil(1_000).max(1);
        self.0.get(rank - 1).map_or(f64::NAN, |latency| millis(*latency))
    }
}

/// In milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// Of a length.
pub fn length(bytes: usize) -> f64 {
    number(u64::try_from(bytes).unwrap_or(u64::MAX))
}

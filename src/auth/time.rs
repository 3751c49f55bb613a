//! The time by which credentials are judged: never earlier than any time seen before.
//!
//! Winding the clock back must not bring an expired token back. So the latest time seen is kept, also across
//! restarts, and counts when the clock says less. A clock that jumps far ahead must not shut everybody out once it is
//! put right: the mark follows by no more than the time that really passed and a day.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::SharedClock;

/// How far the mark may run ahead of the time that really passed. What was made later than this after now was made by a
/// clock that was wrong, and has since been put right.
pub const AHEAD_SECONDS: i64 = 24 * 3_600;
const AHEAD_MILLIS: i64 = AHEAD_SECONDS * 1_000;

/// Time since some moment; never goes back.
pub type Monotonic = Box<dyn Fn() -> Duration + Send + Sync>;

/// A clock that does not go back.
pub struct EffectiveTime {
    clock: SharedClock,
    monotonic: Monotonic,
    /// What the mark was when `monotonic` was zero.
    base_millis: AtomicI64,
    mark_millis: AtomicI64,
}

impl EffectiveTime {
    /// Goes on from the stored mark; `None` at a first start.
    pub fn new(clock: SharedClock, monotonic: Monotonic, stored_mark_millis: Option<i64>) -> Self {
        let base = stored_mark_millis.unwrap_or_else(|| clock.unix_millis());
        let base = base.saturating_sub(millis(monotonic()));
        let (base_millis, mark_millis) = (AtomicI64::new(base), AtomicI64::new(stored_mark_millis.unwrap_or(base)));
        Self { clock, monotonic, base_millis, mark_millis }
    }

    /// Milliseconds since the epoch.
    pub fn unix_millis(&self) -> i64 {
        let now = self.clock.unix_millis();
        let mark = self.mark_millis.load(Ordering::Acquire);
        if now <= mark {
            return mark;
        }
        let base = self.base_millis.load(Ordering::Acquire);
        let highest = base.saturating_add(millis((self.monotonic)())).saturating_add(AHEAD_MILLIS);
        self.mark_millis.fetch_max(now.min(highest), Ordering::AcqRel);
        now
    }

    /// Whole seconds since the epoch.
    pub fn unix_seconds(&self) -> i64 {
        self.unix_millis().div_euclid(1_000)
    }

    /// The mark as of now, to be stored.
    pub fn mark_millis(&self) -> i64 {
        self.unix_millis();
        self.mark_millis.load(Ordering::Acquire)
    }

    /// Takes the clock's time as the right one, also where it is earlier than the mark.
    pub fn accept_clock(&self) {
        let now = self.clock.unix_millis();
        self.base_millis.store(now.saturating_sub(millis((self.monotonic)())), Ordering::Release);
        self.mark_millis.store(now, Ordering::Release);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::clock::ManualClock;

    const START: i64 = 1_790_000_000_000;
    const HOUR: i64 = 3_600_000;

    struct Fixture {
        clock: Arc<ManualClock>,
        passed_millis: Arc<AtomicU64>,
        time: EffectiveTime,
    }

    fn fixture(stored: Option<i64>) -> Fixture {
        let (clock, passed_millis) = (Arc::new(ManualClock::new(START)), Arc::new(AtomicU64::new(0)));
        let passed = Arc::clone(&passed_millis);
        let monotonic: Monotonic = Box::new(move || Duration::from_millis(passed.load(Ordering::SeqCst)));
        let time = EffectiveTime::new(Arc::clone(&clock) as SharedClock, monotonic, stored);
        Fixture { clock, passed_millis, time }
    }

    #[test]
    fn a_clock_set_back_does_not_bring_back_a_time_that_was() {
        let Fixture { clock, time, .. } = fixture(None);
        clock.advance_millis(HOUR);
        assert_eq!(time.unix_millis(), START + HOUR);
        clock.advance_millis(-5 * HOUR);
        assert_eq!(time.unix_millis(), START + HOUR);
        let after_restart = fixture(Some(time.mark_millis()));
        assert_eq!(after_restart.time.unix_millis(), START + HOUR);
    }

    #[test]
    fn a_clock_before_1970_is_no_time_before_the_mark() {
        let Fixture { clock, time, .. } = fixture(None);
        clock.advance_millis(-2 * START);
        assert_eq!((time.unix_millis(), time.unix_seconds()), (START, START / 1_000));
        let never_right = EffectiveTime::new(Arc::new(ManualClock::new(-5)), Box::new(Duration::default), None);
        assert_eq!((never_right.unix_millis(), never_right.unix_seconds()), (-5, -1));
    }

    #[test]
    fn a_clock_that_jumped_far_ahead_is_forgotten_within_a_day() {
        let Fixture { clock, passed_millis, time } = fixture(None);
        let ten_years = 10 * 365 * 24 * HOUR;
        clock.advance_millis(ten_years);
        assert_eq!(time.unix_millis(), START + ten_years, "while it lasts the clock counts");
        clock.advance_millis(-ten_years);
        assert_eq!(time.unix_millis(), START + AHEAD_MILLIS);
        passed_millis.store(2 * HOUR.cast_unsigned(), Ordering::SeqCst);
        clock.advance_millis(ten_years);
        time.unix_millis();
        clock.advance_millis(-ten_years);
        assert_eq!(time.unix_millis(), START + AHEAD_MILLIS + 2 * HOUR);
        clock.advance_millis(AHEAD_MILLIS + 3 * HOUR);
        assert_eq!(time.unix_millis(), START + AHEAD_MILLIS + 3 * HOUR);
    }

    #[test]
    fn an_accepted_clock_counts_at_once() {
        let Fixture { clock, time, .. } = fixture(None);
        clock.advance_millis(20 * HOUR);
        time.unix_millis();
        clock.advance_millis(-20 * HOUR);
        time.accept_clock();
        assert_eq!(time.unix_millis(), START);
    }

    #[test]
    fn a_machine_that_was_off_for_days_goes_on_with_its_clock() {
        let Fixture { clock, time, .. } = fixture(Some(START - 72 * HOUR));
        assert_eq!(time.unix_millis(), START);
        clock.advance_millis(HOUR);
        assert_eq!(time.unix_millis(), START + HOUR);
    }
}

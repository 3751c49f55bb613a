//! How fast a cluster is asked: a token bucket (`qps`, `burst`), and a pause where the cluster asks for one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The longest pause that a cluster can ask for with `Retry-After`.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// See the module. Shared by everything that asks one cluster.
pub struct Limiter {
    per_token: Duration,
    burst: u32,
    state: Mutex<Bucket>,
}

struct Bucket {
    /// When the bucket was full, or would have been: each request moves it by one token's time.
    full_at: Instant,
    paused_until: Instant,
}

impl Limiter {
    /// `qps` requests a second, and `burst` at once after a rest.
    pub fn new(qps: u32, burst: u32) -> Self {
        let now = Instant::now();
        Self {
            per_token: Duration::from_secs(1) / qps.max(1),
            burst: burst.max(1),
            state: Mutex::new(Bucket { full_at: now, paused_until: now }),
        }
    }

    /// Waits for this request's turn.
    pub async fn turn(&self) {
        let at = self.reserve(Instant::now());
        tokio::time::sleep_until(at).await;
    }

    /// Nobody asks for so long, because the cluster said so.
    pub fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause.min(PAUSE_MAX);
        let mut bucket = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.paused_until = bucket.paused_until.max(until);
    }

    /// Takes a token; from when on it may be used.
    fn reserve(&self, now: Instant) -> Instant {
        let mut bucket = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The time that filling an empty bucket takes: what `full_at` may lie ahead without anybody waiting.
        let capacity = self.per_token * self.burst;
        bucket.full_at = bucket.full_at.max(now) + self.per_token;
        let turn = bucket.full_at.checked_sub(capacity).unwrap_or(now).max(now);
        turn.max(bucket.paused_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_in_turn() {
        let limiter = Limiter::new(10, 5);
        let begun = Instant::now();
        for _ in 0..5 {
            limiter.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            limiter.turn().await;
        }
        assert!((Duration::from_millis(990)..Duration::from_millis(1_010)).contains(&begun.elapsed()));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let rested = Instant::now();
        for _ in 0..6 {
            limiter.turn().await;
        }
        assert!((Duration::from_millis(95)..Duration::from_millis(105)).contains(&rested.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_and_is_bounded() {
        let limiter = Limiter::new(1_000, 1_000);
        let begun = Instant::now();
        limiter.pause(Duration::from_secs(7));
        limiter.pause(Duration::from_secs(2));
        limiter.turn().await;
        assert_eq!(begun.elapsed().as_secs(), 7);
        limiter.pause(Duration::from_hours(100));
        limiter.turn().await;
        assert!(begun.elapsed() < Duration::from_mins(6));
    }
}

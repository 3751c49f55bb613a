//! What waits to be done for one SecretSync in one cluster, and since when.
//!
//! A lane waits for nobody but its own cluster: one that is slow or away holds up no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Changes that come within this time are one.
pub const DEBOUNCE: Duration = Duration::from_millis(250);

/// Something that was seen to change in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Name of the source that its marker names.
    pub source: String,
    /// The revision that it has now; `None` if it is gone.
    pub resource_version: Option<String>,
}

/// What a pass is to be about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Everything.
    pub all: bool,
    /// These sources.
    pub sources: BTreeSet<String>,
    /// What changed in the cluster, by namespace and name. Not everything of it is somebody else's doing.
    pub touched: BTreeMap<(String, String), Touched>,
}

/// See the module.
#[derive(Default)]
pub struct Lane {
    pending: Mutex<Pending>,
    notify: Notify,
}

#[derive(Default)]
struct Pending {
    work: Work,
    due: Option<Instant>,
}

impl Lane {
    /// Everything is to be looked at, in `delay`.
    pub fn all(&self, delay: Duration) {
        self.add(delay, |work| work.all = true);
    }

    /// A source has changed.
    pub fn source(&self, name: &str) {
        self.add(DEBOUNCE, |work| {
            work.sources.insert(name.to_owned());
        });
    }

    /// Sources are to be tried again, in `delay`.
    pub fn again(&self, sources: BTreeSet<String>, delay: Duration) {
        self.add(delay, |work| work.sources.extend(sources));
    }

    /// Something has changed in the cluster.
    pub fn touched(&self, namespace: &str, name: &str, touched: Touched) {
        let key = (namespace.to_owned(), name.to_owned());
        self.add(DEBOUNCE, |work| {
            work.touched.insert(key, touched);
        });
    }

    /// Waits until something is due, and takes all that waits.
    pub async fn next(&self) -> Work {
        loop {
            let notified = self.notify.notified();
            let due = self.pending().due;
            match due {
                Some(due) if due <= Instant::now() => {
                    let mut pending = self.pending();
                    pending.due = None;
                    return std::mem::take(&mut pending.work);
                }
                Some(due) => {
                    tokio::select! {
                        () = notified => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                None => notified.await,
            }
        }
    }

    /// The earlier of two times wins: a retry must not hold up a change, nor a change a retry for ever.
    fn add(&self, delay: Duration, change: impl FnOnce(&mut Work)) {
        let at = Instant::now() + delay;
        {
            let mut pending = self.pending();
            change(&mut pending.work);
            pending.due = Some(pending.due.map_or(at, |due| due.min(at)));
        }
        self.notify.notify_one();
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_together_is_done_together_and_the_earliest_time_counts() {
        let lane = Lane::default();
        let begun = Instant::now();
        lane.again(BTreeSet::from(["c".to_owned()]), Duration::from_mins(5));
        lane.source("a");
        lane.source("b");
        lane.source("a");
        let work = lane.next().await;
        assert_eq!(begun.elapsed().as_millis() / 10, DEBOUNCE.as_millis() / 10);
        assert_eq!(work.sources.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(!work.all);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_while_one_waits_brings_the_time_forward() {
        let lane = std::sync::Arc::new(Lane::default());
        lane.all(Duration::from_hours(1));
        let begun = Instant::now();
        let waiting = tokio::spawn({
            let lane = std::sync::Arc::clone(&lane);
            async move { lane.next().await }
        });
        tokio::task::yield_now().await;
        lane.source("a");
        assert!(waiting.await.unwrap().all);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

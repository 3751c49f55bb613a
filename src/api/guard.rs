//! A long answer goes on only while the one who asked for it may still have it.
//!
//! Before each event it is compared, at the price of two loads, whether anything that decides access has changed; an
//! idle watch is woken for it within [`LOOK_INTERVAL`]. When the credential ends by itself, so does the answer.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::State;
use super::standing::{Stamp, Standing};
use super::status::Failure;
use crate::rbac::Attributes;

/// How often is looked whether anything has changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How often a service account's token is looked at: that its account, or the Secret it is bound to, is gone counts
/// for nobody else.
const SERVICE_ACCOUNT_INTERVAL: Duration = Duration::from_millis(500);

/// Tells idle watches that what decides access has changed.
pub struct Changes(watch::Sender<Stamp>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::Sender::new((0, 0)))
    }
}

impl Changes {
    /// Looks until it is aborted.
    pub async fn run(state: State) {
        let mut tick = tokio::time::interval(LOOK_INTERVAL);
        loop {
            tick.tick().await;
            let now = state.stamp();
            state.changes.0.send_if_modified(|last| std::mem::replace(last, now) != now);
        }
    }
}

/// Whoever asked for a long answer, and for what.
pub struct Guard {
    state: State,
    standing: Standing,
    attributes: Attributes,
    changes: watch::Receiver<Stamp>,
    /// When to ask in any case.
    due: Option<Instant>,
    /// Every how long to ask in any case.
    interval: Option<Duration>,
}

impl Guard {
    /// Of a request that was allowed.
    pub fn new(state: State, standing: Standing, attributes: Attributes) -> Self {
        let credential = &standing.identity.credential;
        let interval = credential.ends_with_other_objects().then_some(SERVICE_ACCOUNT_INTERVAL);
        let expires = credential.expires_at_unix_seconds().map(|expires| {
            let left = expires.saturating_sub(state.clock.unix_seconds());
            Duration::from_secs(u64::try_from(left).unwrap_or_default())
        });
        let first = interval.into_iter().chain(expires).min();
        let changes = state.changes.0.subscribe();
        let due = first.map(|wait| Instant::now() + wait);
        Self { state, standing, attributes, changes, due, interval }
    }

    /// Whether the answer may go on.
    pub fn check(&mut self) -> Result<(), Failure> {
        let Some(due) = self.due.filter(|due| Instant::now() >= *due) else {
            return self.standing.confirm(&self.state, &self.attributes);
        };
        self.standing.renew(&self.state, &self.attributes)?;
        // A credential that is still good at its end has met a clock that was set back.
        self.due = Some(due + self.interval.unwrap_or(Duration::from_secs(1)));
        Ok(())
    }

    /// Waits until it is worth asking again. May be given up and called again.
    pub async fn changed(&mut self) {
        let due = self.due;
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.changes.changed() => if changed.is_err() { std::future::pending().await },
            () = due => {}
        }
    }
}

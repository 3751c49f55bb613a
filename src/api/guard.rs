//! A long answer goes on only while the one who asked for it may still have it.
//!
//! A watch is authorised again when anything that decides access changes, when a session or key is revoked, and when
//! its credential ends. Before each event it is compared, at the price of two loads, whether anything has changed
//! since; an idle watch is woken for it within [`LOOK_INTERVAL`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::impersonation::Asked;
use super::status::Failure;
use super::{Caller, State};
use crate::model::user::User;
use crate::rbac::{self, Attributes};

/// How often is looked whether anything has changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Tells idle watches that what decides access has changed.
pub struct Changes(watch::Sender<Stamp>);

/// What decides access: revision of roles, bindings and users, generation of credentials.
pub(super) type Stamp = (u64, u64);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::Sender::new((0, 0)))
    }
}

impl Changes {
    /// Looks until the server stops.
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
    /// Who signed in.
    caller: Caller,
    /// Whom that one acts as.
    asked: Option<Asked>,
    user: Arc<User>,
    attributes: Attributes,
    /// As of which it was allowed.
    stamp: Stamp,
    changes: watch::Receiver<Stamp>,
    expires_at: Option<Instant>,
}

impl Guard {
    /// Of a request that was allowed as of `stamp`.
    pub(super) fn new(
        state: State,
        caller: Caller,
        asked: Option<Asked>,
        user: Arc<User>,
        attributes: Attributes,
        stamp: Stamp,
    ) -> Self {
        let changes = state.changes.0.subscribe();
        let expires_at = state.authenticator.expires_at_unix_seconds(&caller.credential).map(|expires| {
            let left = expires.saturating_sub(state.clock.unix_seconds());
            Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or_default())
        });
        Self { state, caller, asked, user, attributes, stamp, changes, expires_at }
    }

    /// Whether the answer may go on, where anything has changed since it was last asked.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        if self.state.stamp() == self.stamp && self.expires_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        // Taken before it is asked: what changes meanwhile is seen the next time.
        let stamp = self.state.stamp();
        let access = self.state.objects.access();
        if !self.state.is_valid(&self.caller.credential, &access) {
            return Err(Failure::unauthorized());
        }
        if let Some(asked) = &self.asked {
            asked.check(&access.policy, &self.caller.user)?;
        }
        let allowed = rbac::authorize(&access.policy, &self.user, self.attributes.clone());
        allowed.map_err(|denial| Failure::forbidden(&denial))?;
        self.stamp = stamp;
        // A credential that is still good was renewed, or the clock was set back.
        self.expires_at = self.expires_at.map(|at| at.max(Instant::now() + Duration::from_secs(1)));
        Ok(())
    }

    /// Waits until it is worth asking again. May be given up and called again.
    pub(super) async fn changed(&mut self) {
        let expired = async {
            match self.expires_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.changes.changed() => if changed.is_err() { std::future::pending().await },
            () = expired => {}
        }
    }
}

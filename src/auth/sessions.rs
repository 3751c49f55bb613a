//! Sessions of users who have signed in: each a sealed row `session/ID` and a place in memory.
//!
//! A session's refresh tokens are not stored at all, hashed or otherwise. The token is `session ‖ number ‖ MAC`, where
//! the MAC is over both and a random value of the session, under the lookup key; the row holds the number that is
//! next. So every token that was ever given out is known for what it is: the next one is exchanged; one that was
//! exchanged before has been in two hands, and ends the session (RFC 9700, 4.14); a made-up one is nothing, and cannot
//! end a session. For thirty seconds the token before the next is answered with the same successor, for the client
//! that never got the answer.
//!
//! Ending a session takes effect in memory first, then on the disk; everything else the other way round.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio::task::JoinHandle;

use super::outcome::SessionFacts;
use super::time::AHEAD_SECONDS;
use crate::crypto::Keyring;
use crate::sensitive::SecretBytes;
use crate::store::{StateChange, Store, StoreError};

/// Seconds for which an access token is valid.
pub const ACCESS_SECONDS: i64 = 900;
/// Seconds after which a session ends that nobody uses: seven days.
pub const IDLE_SECONDS: i64 = 7 * 86_400;
/// Seconds after which a session ends: thirty days.
pub const ABSOLUTE_SECONDS: i64 = 30 * 86_400;

/// Seconds for which the same successor is given for the same refresh token.
const REPEAT_SECONDS: i64 = 30;
/// Sessions of one user; the one that was not used for longest makes room.
const PER_USER_MAX: usize = 100;
const ROW_PREFIX: &str = "session/";
const REFRESH_PREFIX: &str = "sr_rt_";
const REFRESH_PURPOSE: &str = "refresh-token";
const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
const STRIPES: usize = 32;

/// Number of a session: random, no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(super) [u8; ID_BYTES]);

impl SessionId {
    /// Reads what [`fmt::Display`] writes: 32 digits in lower case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let id = Self(hex::decode(text).ok()?.try_into().ok()?);
        (id.to_string() == text).then_some(id)
    }

    fn row_key(self) -> String {
        format!("{ROW_PREFIX}{self}")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A session, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    pub user: String,
    pub uid: String,
    /// The password it was begun with.
    pub generation: u64,
    /// The store's epoch: a restored backup brings no session back.
    epoch: u64,
    created: i64,
    last_used: i64,
    ends: i64,
    /// Number of the refresh token that is good.
    number: u32,
    nonce: [u8; ID_BYTES],
}

impl Session {
    fn is_over(&self, now: i64) -> bool {
        // Begun or used by a clock that was far ahead, it would not end for as long as that.
        let is_of_the_future = self.created.max(self.last_used).saturating_sub(now) > AHEAD_SECONDS;
        now >= self.ends || now.saturating_sub(self.last_used) >= IDLE_SECONDS || is_of_the_future
    }

    fn facts(&self, id: SessionId) -> SessionFacts {
        SessionFacts { user: self.user.clone(), uid: self.uid.clone(), session: id.to_string() }
    }

    fn refresh_expires_in(&self, now: i64) -> i64 {
        IDLE_SECONDS.min(self.ends.saturating_sub(now))
    }

    fn row(&self, id: SessionId) -> StateChange {
        // A struct of text and numbers always serialises.
        StateChange::put(id.row_key(), SecretBytes::new(serde_json::to_vec(self).unwrap_or_default()))
    }

    fn refresh_token(&self, keyring: &Keyring, id: SessionId) -> SecretBytes {
        let body = [&id.0[..], &self.number.to_be_bytes(), &self.mac(keyring, id, self.number)].concat();
        SecretBytes::new(format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(body)).into_bytes())
    }

    fn mac(&self, keyring: &Keyring, id: SessionId, number: u32) -> [u8; MAC_BYTES] {
        keyring.lookup_hash(REFRESH_PURPOSE, &[&id.0[..], &number.to_be_bytes(), &self.nonce].concat())
    }
}

/// What a session gives its user.
pub(super) struct Grant {
    pub id: SessionId,
    pub session: Session,
    pub refresh_token: SecretBytes,
    pub refresh_expires_in_seconds: i64,
    pub facts: SessionFacts,
}

/// Why a refresh token was not exchanged.
#[derive(Debug)]
pub(super) enum NotRefreshed {
    /// It is none of ours, or its session is gone.
    Unknown,
    /// The session was over, or its user may not go on. It is gone now.
    Over(SessionFacts),
    /// It was exchanged before. The session was ended.
    Spent(SessionFacts),
    /// The store does not write.
    Store(StoreError),
}

/// Every session.
pub(super) struct Sessions {
    store: Store,
    keyring: Arc<Keyring>,
    tables: RwLock<Tables>,
    /// Held while a row is written: the rows of one session are written in the order of what happens to it.
    stripes: [tokio::sync::Mutex<()>; STRIPES],
    /// Sessions that ended and whose rows are still there.
    unwritten: Mutex<HashSet<SessionId>>,
}

#[derive(Default)]
struct Tables {
    by_id: HashMap<SessionId, Session>,
    by_uid: HashMap<String, Vec<SessionId>>,
    /// How often tokens of a session have ended before their time.
    ends: u64,
}

impl Tables {
    fn insert(&mut self, id: SessionId, session: Session) {
        self.by_uid.entry(session.uid.clone()).or_default().push(id);
        self.by_id.insert(id, session);
    }

    fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        self.ends += 1;
        if let Some(ids) = self.by_uid.get_mut(&session.uid) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_uid.remove(&session.uid);
            }
        }
        Some(session)
    }

    fn of_user(&self, uid: &str) -> Vec<SessionId> {
        self.by_uid.get(uid).cloned().unwrap_or_default()
    }
}

impl Sessions {
    /// Reads the stored sessions. Those of another epoch, and rows that are none, are left to be cleaned away.
    #[expect(clippy::disallowed_methods, reason = "the sealed text is read into a session")]
    pub fn open(store: Store, keyring: Arc<Keyring>) -> Result<Self, StoreError> {
        let (mut tables, mut unwritten) = (Tables::default(), HashSet::new());
        for key in store.state_keys(ROW_PREFIX) {
            let Some(id) = key.strip_prefix(ROW_PREFIX).and_then(SessionId::parse) else { continue };
            let Some(row) = store.read_state(&key)? else { continue };
            match serde_json::from_slice::<Session>(row.expose()) {
                Ok(session) if session.epoch == store.restore_epoch() => tables.insert(id, session),
                _ => drop(unwritten.insert(id)),
            }
        }
        let (tables, unwritten) = (RwLock::new(tables), Mutex::new(unwritten));
        let stripes = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Ok(Self { store, keyring, tables, stripes, unwritten })
    }

    /// Begins a session. `more` is written with it. The session is on the disk when this returns.
    pub async fn begin(
        self: &Arc<Self>,
        (user, uid, generation): (&str, &str, u64),
        now: i64,
        more: Vec<StateChange>,
        record: impl FnOnce(&SessionFacts) -> Vec<u8>,
    ) -> Result<Grant, StoreError> {
        let id = SessionId(random()?);
        let session = Session {
            user: user.to_owned(),
            uid: uid.to_owned(),
            generation,
            epoch: self.store.restore_epoch(),
            created: now,
            last_used: now,
            ends: now.saturating_add(ABSOLUTE_SECONDS),
            number: 0,
            nonce: random()?,
        };
        let grant = self.grant(id, session, now);
        let mut rows = more;
        rows.push(grant.session.row(id));
        self.store.write_state(rows, Some(record(&grant.facts))).await?;
        let surplus = {
            let mut tables = self.tables_mut();
            tables.insert(id, grant.session.clone());
            let mut ids = tables.of_user(uid);
            ids.sort_unstable_by_key(|id| tables.by_id.get(id).map(|session| (session.last_used, session.created)));
            // The new one is the last, or as new as others; it is never among those that go.
            ids.retain(|other| *other != id);
            ids.truncate((ids.len() + 1).saturating_sub(PER_USER_MAX));
            for id in &ids {
                tables.remove(*id);
            }
            ids
        };
        if !surplus.is_empty() {
            // On its own: the new session does not depend on it.
            drop(self.remove_rows(surplus, None));
        }
        Ok(grant)
    }

    /// Exchanges a refresh token. `may_go_on` says whether the user is still the one who signed in; a session whose
    /// user is not ends.
    pub async fn refresh(
        self: &Arc<Self>,
        token: &SecretBytes,
        now: i64,
        may_go_on: impl Fn(&Session) -> bool,
        record: impl FnOnce(&SessionFacts) -> Vec<u8>,
    ) -> Result<Grant, NotRefreshed> {
        let (id, number, mac) = read_refresh_token(token).ok_or(NotRefreshed::Unknown)?;
        let _turn = self.stripe(id).lock().await;
        let session = self.find(id).ok_or(NotRefreshed::Unknown)?;
        if !bool::from(session.mac(&self.keyring, id, number).ct_eq(&mac)) {
            return Err(NotRefreshed::Unknown);
        }
        if session.is_over(now) || !may_go_on(&session) {
            self.forget(id);
            return Err(NotRefreshed::Over(session.facts(id)));
        }
        let is_repeated =
            session.number.checked_sub(1) == Some(number) && now.saturating_sub(session.last_used) <= REPEAT_SECONDS;
        if is_repeated {
            return Ok(self.grant(id, session, now));
        }
        if number != session.number {
            self.forget(id);
            return Err(NotRefreshed::Spent(session.facts(id)));
        }
        let number = session.number.checked_add(1).ok_or(NotRefreshed::Unknown)?;
        let session = Session { number, last_used: now, ..session };
        self.write(id, session, now, Vec::new(), record).await.map_err(NotRefreshed::Store)
    }

    /// Goes on with a session under another password, with new tokens; `password` is written with it. `None` if there
    /// is no such session.
    pub async fn go_on(
        self: &Arc<Self>,
        id: SessionId,
        generation: u64,
        now: i64,
        password: StateChange,
        record: impl FnOnce(&SessionFacts) -> Vec<u8>,
    ) -> Option<Result<Grant, StoreError>> {
        let _turn = self.stripe(id).lock().await;
        let session = self.find(id)?;
        let number = session.number.checked_add(1)?;
        let session = Session { number, generation, last_used: now, ..session };
        let written = self.write(id, session, now, vec![password], record).await;
        // The tokens of before are over.
        self.tables_mut().ends += 1;
        Some(written)
    }

    /// Writes a session as it shall be, then holds it in memory so. For a caller whose turn it is.
    async fn write(
        &self,
        id: SessionId,
        session: Session,
        now: i64,
        more: Vec<StateChange>,
        record: impl FnOnce(&SessionFacts) -> Vec<u8>,
    ) -> Result<Grant, StoreError> {
        let grant = self.grant(id, session, now);
        let mut rows = more;
        rows.push(grant.session.row(id));
        self.store.write_state(rows, Some(record(&grant.facts))).await?;
        // Not if it has been ended meanwhile.
        if let Some(held) = self.tables_mut().by_id.get_mut(&id) {
            held.clone_from(&grant.session);
        }
        Ok(grant)
    }

    /// Whether a session is there that this user began, or went on with, under this password.
    pub fn is_live(&self, id: SessionId, uid: &str, generation: u64, now: i64) -> bool {
        let tables = self.tables();
        tables
            .by_id
            .get(&id)
            .is_some_and(|session| session.uid == uid && session.generation == generation && !session.is_over(now))
    }

    /// Which session a refresh token belongs to, spent or not.
    pub fn of_token(&self, token: &SecretBytes) -> Option<SessionId> {
        let (id, number, mac) = read_refresh_token(token)?;
        let session = self.find(id)?;
        bool::from(session.mac(&self.keyring, id, number).ct_eq(&mac)).then_some(id)
    }

    /// Ends a session, at once. What was ended; `None` if there is no such session.
    pub async fn end(
        self: &Arc<Self>,
        id: SessionId,
        record: impl FnOnce(&SessionFacts) -> Vec<u8>,
    ) -> Option<Result<SessionFacts, StoreError>> {
        let facts = self.tables_mut().remove(id)?.facts(id);
        let written = self.remove_rows(vec![id], Some(record(&facts)));
        Some(written.await.unwrap_or(Err(StoreError::Closed)).map(|()| facts))
    }

    /// Ends every session of a user but one, at once; how many those were.
    pub async fn end_all(
        self: &Arc<Self>,
        uid: &str,
        except: Option<SessionId>,
        audit: Option<Vec<u8>>,
    ) -> Result<usize, StoreError> {
        let ended = {
            let mut tables = self.tables_mut();
            let mut ids = tables.of_user(uid);
            ids.retain(|id| Some(*id) != except);
            for id in &ids {
                tables.remove(*id);
            }
            ids
        };
        let count = ended.len();
        self.remove_rows(ended, audit).await.unwrap_or(Err(StoreError::Closed))?;
        Ok(count)
    }

    /// Ends sessions that are over and those of users who may not go on, and removes rows that are left over.
    pub async fn clean(self: &Arc<Self>, now: i64, may_go_on: impl Fn(&Session) -> bool) -> Result<(), StoreError> {
        let over: Vec<SessionId> = {
            let tables = self.tables();
            let over = tables.by_id.iter().filter(|(_, session)| session.is_over(now) || !may_go_on(session));
            over.map(|(id, _)| *id).collect()
        };
        {
            let mut tables = self.tables_mut();
            for id in &over {
                tables.remove(*id);
            }
        }
        let mut gone = over;
        gone.extend(std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)));
        if gone.is_empty() {
            return Ok(());
        }
        self.remove_rows(gone, None).await.unwrap_or(Err(StoreError::Closed))
    }

    /// Moves when tokens of a session end before their time.
    pub fn ends(&self) -> u64 {
        self.tables().ends
    }

    /// Sessions that there are.
    pub fn count(&self) -> usize {
        self.tables().by_id.len()
    }

    /// Forgets a session at once, and removes its row without anybody waiting for it.
    fn forget(self: &Arc<Self>, id: SessionId) {
        if self.tables_mut().remove(id).is_some() {
            drop(self.remove_rows(vec![id], None));
        }
    }

    /// Removes rows of sessions that are no longer in memory, on its own: a client that goes away must not bring a
    /// session back at the next start. What could not be removed is tried again with the next cleaning.
    fn remove_rows(
        self: &Arc<Self>,
        mut ids: Vec<SessionId>,
        audit: Option<Vec<u8>>,
    ) -> JoinHandle<Result<(), StoreError>> {
        let sessions = Arc::clone(self);
        tokio::spawn(async move {
            // In one order, so that two of these cannot wait for each other.
            ids.sort_unstable_by_key(|id| sessions.stripe_number(*id));
            let mut turns = Vec::new();
            let mut numbers: Vec<usize> = ids.iter().map(|id| sessions.stripe_number(*id)).collect();
            numbers.dedup();
            for stripe in numbers.into_iter().filter_map(|number| sessions.stripes.get(number)) {
                turns.push(stripe.lock().await);
            }
            let rows = ids.iter().map(|id| StateChange::remove(id.row_key())).collect();
            let written = sessions.store.write_state(rows, audit).await;
            if written.is_err() {
                sessions.unwritten.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
            }
            written
        })
    }

    fn grant(&self, id: SessionId, session: Session, now: i64) -> Grant {
        Grant {
            id,
            refresh_token: session.refresh_token(&self.keyring, id),
            refresh_expires_in_seconds: session.refresh_expires_in(now),
            facts: session.facts(id),
            session,
        }
    }

    fn find(&self, id: SessionId) -> Option<Session> {
        self.tables().by_id.get(&id).cloned()
    }

    fn stripe_number(&self, id: SessionId) -> usize {
        let [first, ..] = id.0;
        usize::from(first) % self.stripes.len()
    }

    fn stripe(&self, id: SessionId) -> &tokio::sync::Mutex<()> {
        let [first, ..] = &self.stripes;
        self.stripes.get(self.stripe_number(id)).unwrap_or(first)
    }

    fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables_mut(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Session, number and MAC of something that has the form of a refresh token.
#[expect(clippy::disallowed_methods, reason = "the token is read into its parts")]
fn read_refresh_token(token: &SecretBytes) -> Option<(SessionId, u32, [u8; MAC_BYTES])> {
    let body = token.expose().strip_prefix(REFRESH_PREFIX.as_bytes())?;
    // 70 characters: longer ones are not decoded.
    let body = URL_SAFE_NO_PAD.decode(Some(body).filter(|body| body.len() == 70)?).ok()?;
    let (id, rest) = body.split_first_chunk::<ID_BYTES>()?;
    let (number, mac) = rest.split_first_chunk::<4>()?;
    Some((SessionId(*id), u32::from_be_bytes(*number), mac.try_into().ok()?))
}

fn random() -> Result<[u8; ID_BYTES], StoreError> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;

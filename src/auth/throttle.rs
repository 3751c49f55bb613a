//! How often somebody may guess a password. Pure: time is a parameter.
//!
//! The first three failures of one name from one network cost nothing; from then on each doubles the time for which
//! no attempt is looked at, from a second to five minutes; after a day without a failure all is forgotten. Besides,
//! one name may fail so often from everywhere together, and one network with all names together.
//!
//! An attempt is counted as a failure before the password is looked at, and the count is taken back when it was
//! right: who guesses many at once, or hangs up before the answer, gains nothing. Attempts that are not looked at
//! count for nothing. Names are known by a keyed hash only, for people type passwords into the wrong field.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// Failures that cost nothing.
const FREE_FAILURES: u32 = 3;
const FIRST_WAIT_MILLIS: i64 = 1_000;
const LONGEST_WAIT_MILLIS: i64 = 300_000;
/// A failure is forgotten after so long without another one.
const FORGOTTEN_MILLIS: i64 = 24 * 3_600_000;

/// One name, from everywhere: a hundred failures at once, then one every 36 seconds (a hundred an hour).
const ACCOUNT: Rate = Rate { burst: 100, interval_millis: 36_000 };
/// One network, with all names: as many at once, then one every six seconds, for many people may share an address.
const NETWORK: Rate = Rate { burst: 100, interval_millis: 6_000 };

/// How many names and networks are remembered.
const REMEMBERED: usize = 65_536;
/// Among how many the one to be forgotten is looked for when there is no room.
const SAMPLE: usize = 32;
/// How many waits survive a restart.
const STORED: usize = 1_024;

/// Whose password is guessed at: a keyed hash of the [canonical name](canonical_name).
pub type AccountKey = [u8; 32];

/// Where an attempt comes from: an IPv4 address, the /64 of an IPv6 address, or the local socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network(u8, u64);

impl Network {
    /// The network of a peer; `None` is the local socket.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self(0, 0),
            Some(IpAddr::V4(address)) => Self(4, u64::from(address.to_bits())),
            Some(IpAddr::V6(address)) => Self(6, u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

/// A name under which failures are counted: without white space around it, in compatibility form, in lower case.
pub fn canonical_name(name: &str) -> String {
    let folded: String = name.trim().nfkc().collect();
    folded.to_lowercase().trim().to_owned()
}

/// An attempt that is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked {
    /// Seconds until one is looked at again; at least 1.
    pub retry_after_seconds: u32,
}

/// Failures, by name and network.
#[derive(Default)]
pub struct Throttle {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    ladders: HashMap<(AccountKey, Network), Ladder>,
    accounts: HashMap<AccountKey, Bucket>,
    networks: HashMap<Network, Bucket>,
    /// Something changed that a restart should not forget.
    changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Ladder {
    failures: u32,
    last_millis: i64,
}

impl Ladder {
    fn wait_millis(self) -> i64 {
        match self.failures.checked_sub(FREE_FAILURES + 1) {
            None => 0,
            Some(doublings) => (FIRST_WAIT_MILLIS << doublings.min(20)).min(LONGEST_WAIT_MILLIS),
        }
    }

    fn is_forgotten(self, now: i64) -> bool {
        now.saturating_sub(self.last_millis) >= FORGOTTEN_MILLIS
    }
}

struct Rate {
    burst: i64,
    interval_millis: i64,
}

/// A leaky bucket: when it will be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket {
    empty_at_millis: i64,
}

impl Bucket {
    /// Milliseconds until one more fits.
    fn wait_millis(self, rate: &Rate, now: i64) -> i64 {
        (self.empty_at_millis - now - (rate.burst - 1) * rate.interval_millis).max(0)
    }
}

impl Throttle {
    /// Counts an attempt that is about to be looked at, or says that it must not be.
    pub fn begin(&self, account: AccountKey, network: Network, now_millis: i64) -> Result<(), Locked> {
        let tables = &mut *self.tables();
        let key = (account, network);
        let ladder = match tables.ladders.get_mut(&key) {
            Some(ladder) => {
                // A clock that was ahead must not keep anybody out.
                ladder.last_millis = ladder.last_millis.min(now_millis);
                Some(*ladder).filter(|ladder| !ladder.is_forgotten(now_millis))
            }
            None => None,
        };
        let ladder_wait = ladder.map_or(0, |ladder| (ladder.last_millis + ladder.wait_millis() - now_millis).max(0));
        let of_account = settled(tables.accounts.get_mut(&account), &ACCOUNT, now_millis);
        let of_network = settled(tables.networks.get_mut(&network), &NETWORK, now_millis);
        let wait = ladder_wait
            .max(of_account.wait_millis(&ACCOUNT, now_millis))
            .max(of_network.wait_millis(&NETWORK, now_millis));
        if wait > 0 {
            let retry_after_seconds = u32::try_from(wait.cast_unsigned().div_ceil(1_000)).unwrap_or(u32::MAX);
            return Err(Locked { retry_after_seconds });
        }
        let failures = ladder.map_or(0, |ladder| ladder.failures).saturating_add(1);
        remember(&mut tables.ladders, key, Ladder { failures, last_millis: now_millis });
        let filled =
            |bucket: Bucket, rate: &Rate| Bucket { empty_at_millis: bucket.empty_at_millis + rate.interval_millis };
        remember(&mut tables.accounts, account, filled(of_account, &ACCOUNT));
        remember(&mut tables.networks, network, filled(of_network, &NETWORK));
        tables.changed |= failures > FREE_FAILURES;
        Ok(())
    }

    /// The attempt that began was right: the failures of this name from this network are forgotten.
    pub fn succeeded(&self, account: AccountKey, network: Network) {
        let mut tables = self.tables();
        let ended = tables.ladders.remove(&(account, network));
        tables.changed |= ended.is_some_and(|ladder| ladder.failures > FREE_FAILURES);
        tables.give_back(account, network);
    }

    /// The attempt that began was not looked at after all.
    pub fn abandoned(&self, account: AccountKey, network: Network) {
        let mut tables = self.tables();
        if let Some(ladder) = tables.ladders.get_mut(&(account, network)) {
            ladder.failures = ladder.failures.saturating_sub(1);
        }
        tables.give_back(account, network);
    }

    /// What a restart should not forget, if it has changed since the last call.
    pub fn changed(&self, now_millis: i64) -> Option<Vec<u8>> {
        let mut tables = self.tables();
        if !std::mem::take(&mut tables.changed) {
            return None;
        }
        let mut waits: Vec<Stored> = tables
            .ladders
            .iter()
            .filter(|(_, ladder)| ladder.failures > FREE_FAILURES && !ladder.is_forgotten(now_millis))
            .map(|((account, network), ladder)| Stored { account: *account, network: *network, ladder: *ladder })
            .collect();
        waits.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.ladder));
        waits.truncate(STORED);
        serde_json::to_vec(&waits).ok()
    }

    /// The same after it could not be stored.
    pub fn not_stored(&self) {
        self.tables().changed = true;
    }

    /// Goes on from what [`Throttle::changed`] gave. Anything else is nothing.
    pub fn restore(&self, stored: &[u8]) {
        let waits: Vec<Stored> = serde_json::from_slice(stored).unwrap_or_default();
        let mut tables = self.tables();
        for Stored { account, network, ladder } in waits.into_iter().take(STORED) {
            tables.ladders.insert((account, network), ladder);
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bucket as it is now, no fuller than full: a clock that was ahead must not keep anybody out.
fn settled(bucket: Option<&mut Bucket>, rate: &Rate, now: i64) -> Bucket {
    let Some(bucket) = bucket else { return Bucket { empty_at_millis: now } };
    let fullest = now + rate.burst * rate.interval_millis;
    // Fuller than full: the clock was ahead when it was filled, and what it was is not known.
    bucket.empty_at_millis = if bucket.empty_at_millis > fullest { now } else { bucket.empty_at_millis.max(now) };
    *bucket
}

#[derive(Serialize, Deserialize)]
struct Stored {
    account: AccountKey,
    network: Network,
    ladder: Ladder,
}

impl Tables {
    fn give_back(&mut self, account: AccountKey, network: Network) {
        if let Some(bucket) = self.accounts.get_mut(&account) {
            bucket.empty_at_millis -= ACCOUNT.interval_millis;
        }
        if let Some(bucket) = self.networks.get_mut(&network) {
            bucket.empty_at_millis -= NETWORK.interval_millis;
        }
    }
}

/// Inserts within bounds. Where there is no room the least of a few goes: whoever floods the table with names pushes
/// out his own, and not the one with many failures.
fn remember<K: Copy + Eq + Hash, V: Copy + Ord>(table: &mut HashMap<K, V>, key: K, value: V) {
    if table.len() >= REMEMBERED && !table.contains_key(&key) {
        let least = table.iter().take(SAMPLE).min_by_key(|(_, value)| **value).map(|(key, _)| *key);
        if let Some(least) = least {
            table.remove(&least);
        }
    }
    table.insert(key, value);
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;

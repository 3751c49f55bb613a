//! How often and when terms are used, until it is written down.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::kms_key::TermUse;

/// What was used of one KMSKey.
pub struct Used {
    /// Its name.
    pub name: String,
    /// By term.
    pub terms: BTreeMap<u32, TermUse>,
    /// A term was used for the first time in this process.
    pub is_first: bool,
}

#[derive(Default)]
struct Tally {
    waiting: HashMap<[u8; 16], Used>,
    seen: HashSet<([u8; 16], u32)>,
}

/// See the module.
#[derive(Default)]
pub struct Usage(Mutex<Tally>);

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Encrypted,
    Decrypted,
}

impl Usage {
    /// A term was used.
    pub fn note(&self, uid: [u8; 16], name: &str, term: u32, done: Done, now: i64) {
        let mut tally = self.lock();
        let is_first = tally.seen.insert((uid, term));
        let used = tally.waiting.entry(uid).or_insert_with(|| Used {
            name: name.to_owned(),
            terms: BTreeMap::new(),
            is_first: false,
        });
        used.is_first |= is_first;
        used.terms.entry(term).or_default().add(done, now);
    }

    /// Takes what was used; of keys alone that have a term that was never used before, if `firsts_only`.
    pub fn take(&self, firsts_only: bool) -> Vec<([u8; 16], Used)> {
        let mut tally = self.lock();
        let chosen: Vec<[u8; 16]> =
            tally.waiting.iter().filter(|(_, used)| used.is_first || !firsts_only).map(|(uid, _)| *uid).collect();
        chosen.into_iter().filter_map(|uid| Some((uid, tally.waiting.remove(&uid)?))).collect()
    }

    /// Gives back what could not be written down.
    pub fn give_back(&self, uid: [u8; 16], used: Used) {
        let mut tally = self.lock();
        match tally.waiting.get_mut(&uid) {
            None => drop(tally.waiting.insert(uid, used)),
            Some(now) => {
                now.is_first |= used.is_first;
                for (term, more) in used.terms {
                    let entry = now.terms.entry(term).or_default();
                    entry.encryptions = entry.encryptions.saturating_add(more.encryptions);
                    entry.decryptions = entry.decryptions.saturating_add(more.decryptions);
                    entry.last_encryption = entry.last_encryption.max(more.last_encryption);
                    entry.last_decryption = entry.last_decryption.max(more.last_decryption);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermUse {
    fn add(&mut self, done: Done, now: i64) {
        let (count, last) = match done {
            Done::Encrypted => (&mut self.encryptions, &mut self.last_encryption),
            Done::Decrypted => (&mut self.decryptions, &mut self.last_decryption),
        };
        *count = count.saturating_add(1);
        *last = (*last).max(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_adds_up_with_what_came_meanwhile() {
        let usage = Usage::default();
        usage.note([1; 16], "etcd", 1, Done::Encrypted, 10);
        usage.note([1; 16], "etcd", 1, Done::Decrypted, 12);
        let taken = usage.take(true);
        assert_eq!(taken.len(), 1);
        assert!(usage.take(false).is_empty());
        usage.note([1; 16], "etcd", 1, Done::Encrypted, 11);
        // It was used before.
        assert!(usage.take(true).is_empty());
        let (uid, used) = taken.into_iter().next().unwrap();
        usage.give_back(uid, used);
        let taken = usage.take(true);
        let expected = TermUse { encryptions: 2, decryptions: 1, last_encryption: Some(11), last_decryption: Some(12) };
        assert_eq!(taken[0].1.terms, BTreeMap::from([(1, expected)]));
        assert_eq!(taken[0].1.name, "etcd");
    }
}

//! What is done for KMSKeys by the clock: new terms where they are due, and how terms were used is written down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::room::Room;
use super::usage::Used;
use crate::audit::RequestFacts;
use crate::model::kinds::KMS_KEY;
use crate::model::user::User;
use crate::objects::{Error, Request};
use crate::rbac::{self, Attributes, Policy};

/// Whose work it is.
const COMPONENT: &str = "kms";
/// A term that is used for the first time is written down this soon, and the clock is asked this often.
const LOOK: Duration = Duration::from_secs(5);
/// All others are after so many looks.
const LOOKS: u32 = 12;

/// What cannot be done is told again after so many seconds.
const AGAIN: i64 = 24 * 3600;

/// When it was last told of each KMSKey that it could not be rotated.
#[derive(Default)]
struct Told(HashMap<String, i64>);

impl Told {
    /// Whether it is to be told now.
    fn is_due(&mut self, name: &str, now: i64) -> bool {
        if self.0.get(name).is_some_and(|told| (*told..told.saturating_add(AGAIN)).contains(&now)) {
            return false;
        }
        self.0.insert(name.to_owned(), now);
        true
    }
}

/// Goes on until it is dropped.
pub async fn run(room: Room) {
    let (mut looks, mut told): (u32, _) = (0, Told::default());
    loop {
        tokio::time::sleep(LOOK).await;
        looks = (looks + 1) % LOOKS;
        room.write_usage(looks != 0).await;
        if looks == 0 {
            room.rotate_what_is_due(&mut told).await;
            room.observe().await;
        }
    }
}

impl Room {
    /// Writes down how terms were used; whether all of it was. To be called once more at the end.
    pub async fn write_usage(&self, firsts_only: bool) -> bool {
        let mut is_all = true;
        for (uid, used) in self.usage.take(firsts_only) {
            match self.write_used(&uid, &used).await {
                // Or else it was deleted, or made anew.
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(_) => {
                    self.usage.give_back(uid, used);
                    is_all = false;
                }
            }
        }
        is_all
    }

    async fn write_used(&self, uid: &[u8; 16], used: &Used) -> Result<(), Error> {
        let permit = own_permit("update", "status", &used.name)?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        self.objects.note_kms_use(Request { permit: &permit, facts: &facts }, uid, &used.terms).await
    }

    /// Has each status speak of what is wanted now.
    async fn observe(&self) {
        for (_, name) in self.objects.names_of(&KMS_KEY) {
            if let Some(uid) = self.objects.unobserved_kms_key(&name) {
                let used = Used { name, terms: BTreeMap::new(), is_first: false };
                // If not now, then at the next look.
                let _ = self.write_used(&uid, &used).await;
            }
        }
    }

    /// Makes new terms of keys whose current one is as old as they allow.
    async fn rotate_what_is_due(&self, told: &mut Told) {
        for (_, name) in self.objects.names_of(&KMS_KEY) {
            let Some((created, after)) = self.objects.kms_key_rotation(&name) else { continue };
            if self.clock.unix_seconds().saturating_sub(created) < after {
                continue;
            }
            let rotated = async {
                let permit = own_permit("create", "rotate", &name)?;
                let facts = RequestFacts::own(self.clock.unix_millis());
                self.objects.rotate_kms_key(Request { permit: &permit, facts: &facts }, false).await
            };
            match rotated.await {
                Ok(_) => {
                    told.0.remove(&name);
                    tracing::info!(kms.key = name, "a KMSKey has a new term, because the former one was old enough");
                }
                Err(_) if !told.is_due(&name, self.clock.unix_seconds()) => {}
                Err(Error::Conflict(_, why)) => {
                    tracing::warn!(kms.key = name, why, "a KMSKey whose term is old could not be rotated");
                }
                Err(_) => tracing::warn!(kms.key = name, "a KMSKey whose term is old could not be rotated"),
            }
        }
    }
}

fn own_permit(verb: &str, subresource: &str, name: &str) -> Result<rbac::Permit, Error> {
    let mut attributes = Attributes::object(verb, &KMS_KEY, "", name);
    subresource.clone_into(&mut attributes.subresource);
    rbac::authorize(&Policy::empty(), &Arc::new(User::system(COMPONENT)), attributes)
        .map_err(|denial| Error::Denied(Box::new(denial)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_told_once_a_day() {
        let mut told = Told::default();
        assert!(told.is_due("etcd", 1_000) && told.is_due("other", 1_000));
        assert!(!told.is_due("etcd", 1_060) && !told.is_due("etcd", 1_000 + AGAIN - 1));
        assert!(told.is_due("etcd", 1_000 + AGAIN));
        // Also where the clock was set back.
        assert!(told.is_due("other", 999));
    }
}

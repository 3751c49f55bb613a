//! What is done for KMSKeys by the clock: new terms where they are due, and how terms were used is written down.

use std::collections::BTreeMap;
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

/// Goes on until it is dropped.
pub async fn run(room: Room) {
    let mut looks: u32 = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        looks = (looks + 1) % LOOKS;
        room.write_usage(looks != 0).await;
        if looks == 0 {
            room.rotate_what_is_due().await;
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
    pub async fn rotate_what_is_due(&self) {
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
            if rotated.await.is_ok() {
                tracing::info!(kms.key = name, "a KMSKey has a new term, because the former one was old enough");
            } else {
                tracing::warn!(kms.key = name, "a KMSKey whose term is old could not be rotated");
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

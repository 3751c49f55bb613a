//! Client certificates of the home's own authority that were revoked by their serial number: each a sealed row
//! `revoked-certificate/UID/SERIAL` and a place in memory, where every request looks.
//!
//! A revocation is on the disk before it is acknowledged, and counts from then on, also on connections that are open.
//! It is kept until no certificate of this number can be valid any more, or its user is gone, whose certificates are
//! nobody's then. Certificates of other authorities are not concerned: those authorities have serial numbers of their own.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::accounts::Accounts;
use super::{Arc, Authenticator, SecretBytes, StateChange, Store, StoreError};

const ROW_PREFIX: &str = "revoked-certificate/";
/// Certificates of one user that are remembered as revoked at a time.
const PER_USER_MAX: usize = 1_000;

/// A certificate that is to be revoked.
#[derive(Debug, Clone, Copy)]
pub struct RevokedCertificate<'a> {
    /// Name of the user it was signed for.
    pub user: &'a str,
    /// Uid of that user.
    pub uid: &'a str,
    /// Its serial number: lower-case hexadecimal without leading zeros.
    pub serial_hex: &'a str,
    /// Seconds after which no certificate that there is now can be valid.
    pub longest_ttl_seconds: i64,
}

/// Why a certificate was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// So many of this user's are revoked.
    #[error("1000 certificates of the user are revoked: disable the user, or make another")]
    TooMany,
    /// The store does not write.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Revoked {
    user: String,
    /// When it may be forgotten, seconds since the epoch.
    until: i64,
}

/// What is revoked, by the user's uid and the serial number.
#[derive(Default)]
pub(super) struct RevokedCertificates {
    by_uid: RwLock<HashMap<String, HashMap<String, Revoked>>>,
    /// Held while rows are written, so that they are written in the order in which they count.
    writing: Mutex<()>,
    /// How often a certificate was revoked.
    count: AtomicU64,
}

impl RevokedCertificates {
    /// Reads what is stored.
    #[expect(clippy::disallowed_methods, reason = "which certificates are revoked is no secret")]
    pub fn open(store: &Store) -> Result<Self, StoreError> {
        let mut by_uid: HashMap<String, HashMap<String, Revoked>> = HashMap::new();
        for key in store.state_keys(ROW_PREFIX) {
            let Some((uid, serial)) = key.strip_prefix(ROW_PREFIX).and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            let Some(row) = store.read_state(&key)? else { continue };
            // To overlook one would let somebody in.
            let revoked = serde_json::from_slice(row.expose());
            let revoked = revoked.map_err(|_| StoreError::Integrity("a revoked certificate".to_owned()))?;
            by_uid.entry(uid.to_owned()).or_default().insert(serial.to_owned(), revoked);
        }
        Ok(Self { by_uid: RwLock::new(by_uid), ..Self::default() })
    }

    /// Whether the certificate of this number that was signed for this user is revoked.
    pub fn contains(&self, uid: &str, serial_hex: &str) -> bool {
        let by_uid = self.by_uid.read().unwrap_or_else(PoisonError::into_inner);
        by_uid.get(uid).is_some_and(|serials| serials.contains_key(serial_hex))
    }

    /// Moves with every revocation.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    async fn add(&self, store: &Store, asked: &Asked, audit: Vec<u8>) -> Result<(), RevokeError> {
        let _turn = self.writing.lock().await;
        let is_full = {
            let by_uid = self.by_uid.read().unwrap_or_else(PoisonError::into_inner);
            let serials = by_uid.get(&asked.uid);
            serials.is_some_and(|serials| serials.len() >= PER_USER_MAX && !serials.contains_key(&asked.serial))
        };
        if is_full {
            return Err(RevokeError::TooMany);
        }
        // A struct of text and numbers always serialises.
        let row = SecretBytes::new(serde_json::to_vec(&asked.revoked).unwrap_or_default());
        store.write_state(vec![StateChange::put(row_key(&asked.uid, &asked.serial), row)], Some(audit)).await?;
        {
            let mut by_uid = self.by_uid.write().unwrap_or_else(PoisonError::into_inner);
            by_uid.entry(asked.uid.clone()).or_default().insert(asked.serial.clone(), asked.revoked.clone());
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Forgets what can change nothing any more.
    async fn clean(&self, store: &Store, now: i64, accounts: &dyn Accounts) -> Result<(), StoreError> {
        let _turn = self.writing.lock().await;
        let over: HashSet<(String, String)> = {
            let by_uid = self.by_uid.read().unwrap_or_else(PoisonError::into_inner);
            let all =
                by_uid.iter().flat_map(|(uid, serials)| serials.iter().map(move |(serial, of)| (uid, serial, of)));
            let is_over = |(uid, _, of): &(&String, &String, &Revoked)| {
                now >= of.until || accounts.user(&of.user).is_none_or(|account| account.uid != **uid)
            };
            all.filter(is_over).map(|(uid, serial, _)| (uid.clone(), serial.clone())).collect()
        };
        if over.is_empty() {
            return Ok(());
        }
        let rows = over.iter().map(|(uid, serial)| StateChange::remove(row_key(uid, serial))).collect();
        store.write_state(rows, None).await?;
        let mut by_uid = self.by_uid.write().unwrap_or_else(PoisonError::into_inner);
        for (uid, serial) in &over {
            if let Some(serials) = by_uid.get_mut(uid) {
                serials.remove(serial);
            }
        }
        by_uid.retain(|_, serials| !serials.is_empty());
        Ok(())
    }
}

struct Asked {
    uid: String,
    serial: String,
    revoked: Revoked,
}

fn row_key(uid: &str, serial: &str) -> String {
    format!("{ROW_PREFIX}{uid}/{serial}")
}

impl Authenticator {
    /// Revokes a certificate of the home's own authority; until when that is remembered, seconds since the epoch. Once
    /// begun it is carried through, also where the caller goes away.
    pub async fn revoke_certificate(
        &self,
        certificate: &RevokedCertificate<'_>,
        audit: Vec<u8>,
    ) -> Result<i64, RevokeError> {
        let until = self.revoked_until(certificate.longest_ttl_seconds);
        let asked = Asked {
            uid: certificate.uid.to_owned(),
            serial: certificate.serial_hex.to_owned(),
            revoked: Revoked { user: certificate.user.to_owned(), until },
        };
        let (revoked, store) = (Arc::clone(&self.revoked_certificates), self.store.clone());
        let adding = tokio::spawn(async move { revoked.add(&store, &asked, audit).await });
        adding.await.unwrap_or(Err(RevokeError::Store(StoreError::Closed)))?;
        Ok(until)
    }

    /// Until when a revocation of this moment is remembered.
    pub fn revoked_until(&self, longest_ttl_seconds: i64) -> i64 {
        self.time.unix_seconds().saturating_add(longest_ttl_seconds)
    }

    pub(super) async fn clean_revoked_certificates(&self, accounts: &dyn Accounts) -> Result<(), StoreError> {
        self.revoked_certificates.clean(&self.store, self.time.unix_seconds(), accounts).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_home::{Home, START, close};
    use super::super::{CertificateIdentity, Presented};
    use super::*;

    const YEAR: i64 = 365 * 86_400;

    fn of_ada(serial_hex: &str) -> RevokedCertificate<'_> {
        RevokedCertificate { user: "ada", uid: "u-1", serial_hex, longest_ttl_seconds: YEAR }
    }

    fn is_let_in(home: &Home, auth: &Authenticator, uid: Option<&str>, serial: &str) -> bool {
        let certificate = CertificateIdentity {
            name: "ada".to_owned(),
            groups: Vec::new(),
            uid: uid.map(str::to_owned),
            serial_hex: serial.to_owned(),
            not_after_unix_seconds: START + 10 * YEAR,
        };
        let presented = Presented { authorization: &[], certificate: Some(&certificate), local_owner: false };
        let identity = auth.authenticate(&presented, &home.people);
        identity.is_ok_and(|identity| auth.still_valid(&identity.credential, &home.people))
    }

    #[tokio::test]
    async fn a_revoked_number_is_refused_at_once_and_after_a_restart_and_no_other_is() {
        let home = Home::make().await;
        home.people.set_user("ada", "u-1", &[], false);
        let auth = home.open().await;
        let certificate = CertificateIdentity {
            name: "ada".to_owned(),
            groups: Vec::new(),
            uid: Some("u-1".to_owned()),
            serial_hex: "4a".to_owned(),
            not_after_unix_seconds: START + 10,
        };
        let presented = Presented { authorization: &[], certificate: Some(&certificate), local_owner: false };
        let identity = auth.authenticate(&presented, &home.people).unwrap();
        let before = auth.revocations();
        assert_eq!(auth.revoke_certificate(&of_ada("4a"), b"{}".to_vec()).await.unwrap(), START + YEAR);
        assert!(auth.revocations() > before, "watches are told");
        assert!(!auth.still_valid(&identity.credential, &home.people));
        let check = |auth: &Authenticator| {
            assert!(!is_let_in(&home, auth, Some("u-1"), "4a"));
            assert!(is_let_in(&home, auth, Some("u-1"), "4b"));
            assert!(is_let_in(&home, auth, None, "4a"), "another authority's");
        };
        check(&auth);
        // Again is no other.
        auth.revoke_certificate(&of_ada("4a"), b"{}".to_vec()).await.unwrap();
        close(auth).await;
        let auth = home.open().await;
        check(&auth);
        // It is of one user.
        home.people.set_user("ada", "u-2", &[], false);
        assert!(is_let_in(&home, &auth, Some("u-2"), "4a"));
    }

    #[tokio::test]
    async fn a_revocation_is_kept_as_long_as_it_can_matter() {
        let home = Home::make().await;
        home.people.set_user("ada", "u-1", &[], false);
        let auth = home.open().await;
        let rows = |auth: &Authenticator| auth.store.state_keys(ROW_PREFIX).len();
        auth.revoke_certificate(&of_ada("4a"), b"{}".to_vec()).await.unwrap();
        home.advance(YEAR - 1);
        auth.clean_revoked_certificates(&home.people).await.unwrap();
        assert_eq!((rows(&auth), is_let_in(&home, &auth, Some("u-1"), "4a")), (1, false));
        home.advance(1);
        auth.clean_revoked_certificates(&home.people).await.unwrap();
        assert_eq!(rows(&auth), 0);
        // Or until the user is gone, or is another.
        for uid in [None, Some("u-2")] {
            home.people.set_user("ada", "u-1", &[], false);
            auth.revoke_certificate(&of_ada("4b"), b"{}".to_vec()).await.unwrap();
            auth.clean_revoked_certificates(&home.people).await.unwrap();
            assert_eq!(rows(&auth), 1);
            match uid {
                Some(uid) => home.people.set_user("ada", uid, &[], false),
                None => home.people.remove_user("ada"),
            }
            auth.clean_revoked_certificates(&home.people).await.unwrap();
            assert_eq!(rows(&auth), 0);
        }
    }

    #[tokio::test]
    async fn there_is_an_end_to_how_many_are_remembered_of_one_user() {
        let home = Home::make().await;
        let auth = home.open().await;
        let full: HashMap<String, Revoked> = (0..PER_USER_MAX)
            .map(|number| (format!("{number:x}"), Revoked { user: "ada".to_owned(), until: i64::MAX }))
            .collect();
        auth.revoked_certificates.by_uid.write().unwrap().insert("u-1".to_owned(), full);
        let refused = auth.revoke_certificate(&of_ada("ffff"), b"{}".to_vec()).await;
        assert!(matches!(refused, Err(RevokeError::TooMany)));
        assert!(auth.revoke_certificate(&of_ada("1"), b"{}".to_vec()).await.is_ok(), "one of them again");
        let other = RevokedCertificate { uid: "u-2", ..of_ada("ffff") };
        assert!(auth.revoke_certificate(&other, b"{}".to_vec()).await.is_ok());
    }
}

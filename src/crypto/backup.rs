//! What vouches for a backup: a MAC over what the backup says of itself, among that the digest of its database.
//!
//! Rows and the head in the database are sealed anyway. The MAC adds that this database is the one that the backup was made
//! of, at the time it says, before anything of it is opened.

use subtle::ConstantTimeEq;

use super::bytes::length_prefix;
use super::derive::BACKUP;
use super::keyring::Keyring;

impl Keyring {
    /// `HMAC(HKDF(k_head, "strongroom/v1/backup"), "strongroom/backup/v1\0" ‖ LP(store id) ‖ LP(manifest))`
    pub fn backup_tag(&self, manifest: &[u8]) -> [u8; 32] {
        let store_id = self.store_id();
        let parts: [&[u8]; 5] = [BACKUP, &length_prefix(&store_id), &store_id, &length_prefix(manifest), manifest];
        self.derive_backup_mac().of(&parts)
    }

    /// Whether `tag` is the manifest's, made with these keys.
    pub fn vouches_for_backup(&self, manifest: &[u8], tag: &[u8; 32]) -> bool {
        self.backup_tag(manifest).ct_eq(tag).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_vouched_for_by_its_own_store_alone() {
        let (own, other) = (Keyring::make(0).unwrap(), Keyring::make(0).unwrap());
        let tag = own.backup_tag(b"manifest");
        assert!(own.vouches_for_backup(b"manifest", &tag));
        assert!(!own.vouches_for_backup(b"manifesT", &tag) && !other.vouches_for_backup(b"manifest", &tag));
        for at in 0..tag.len() {
            let mut wrong = tag;
            wrong[at] ^= 1;
            assert!(!own.vouches_for_backup(b"manifest", &wrong), "{at}");
        }
    }
}

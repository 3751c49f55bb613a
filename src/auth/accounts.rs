//! What credentials are held against: the users, service accounts and Secrets that exist at this moment.
//!
//! Only asks. Who answers (`api`, over `objects`) answers from memory, for every request asks here; a wrong `None`
//! shuts somebody out, and nothing here can let anybody in by itself.

use std::sync::Arc;

pub use crate::model::user::UserAccount;

/// The objects that credentials depend on, as they are now. Objects that are being deleted still exist.
pub trait Accounts: Send + Sync {
    /// The User of this name. The same value as long as the object is the same one, so that it can be told at no
    /// cost that nothing has changed.
    fn user(&self, name: &str) -> Option<Arc<UserAccount>>;

    /// `metadata.uid` of a ServiceAccount.
    fn service_account_uid(&self, namespace: &str, name: &str) -> Option<String>;

    /// `metadata.uid` of a Secret.
    fn secret_uid(&self, namespace: &str, name: &str) -> Option<String>;

    /// Whether a Secret of type `kubernetes.io/service-account-token` is there, is not being deleted, and holds as its
    /// `token` the one of which this is the SHA-256.
    fn secret_holds_token(&self, namespace: &str, name: &str, sha256: &[u8; 32]) -> bool;
}

/// Nobody exists: for what knows the administrator alone, such as commands that open a home without serving it.
pub struct NoAccounts;

impl Accounts for NoAccounts {
    fn user(&self, _: &str) -> Option<Arc<UserAccount>> {
        None
    }

    fn service_account_uid(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn secret_uid(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn secret_holds_token(&self, _: &str, _: &str, _: &[u8; 32]) -> bool {
        false
    }
}

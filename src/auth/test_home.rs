//! A store in a temporary folder, a clock in hand, and people who exist or do not, for the tests of this module.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::crypto::{Argon2Cost, password_limits};
use crate::store::{OpenOptions, keys};

pub const START: i64 = 1_790_000_000;
pub const ISSUER: &str = "https://strongroom.test:8443";
pub const PASSWORD: &str = "kettle-orbit-thirteen";

/// A home and whoever is known in it.
pub struct Home {
    folder: TempDir,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<ManualClock>,
    pub passed_seconds: Arc<AtomicU64>,
    pub people: People,
}

/// The objects that credentials depend on.
#[derive(Default)]
pub struct People {
    users: Mutex<HashMap<String, Arc<UserAccount>>>,
    uids: Mutex<HashMap<(String, String, String), String>>,
    /// What Secrets hold as their token, by namespace and name.
    tokens: Mutex<HashMap<(String, String), String>>,
}

impl Accounts for People {
    fn user(&self, name: &str) -> Option<Arc<UserAccount>> {
        self.users.lock().unwrap().get(name).cloned()
    }

    fn service_account_uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.uid("ServiceAccount", namespace, name)
    }

    fn secret_uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.uid("Secret", namespace, name)
    }

    fn secret_holds_token(&self, namespace: &str, name: &str, sha256: &[u8; 32]) -> bool {
        let tokens = self.tokens.lock().unwrap();
        let held = tokens.get(&(namespace.to_owned(), name.to_owned()));
        held.is_some_and(|token| Sha256::digest(token).as_slice() == sha256)
    }
}

impl People {
    fn uid(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.uids.lock().unwrap().get(&key).cloned()
    }

    /// An object of this kind exists with this uid, or (without one) not.
    pub fn set(&self, kind: &str, namespace: &str, name: &str, uid: Option<&str>) {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let mut uids = self.uids.lock().unwrap();
        match uid {
            Some(uid) => drop(uids.insert(key, uid.to_owned())),
            None => drop(uids.remove(&key)),
        }
    }

    /// A Secret holds this token, or (without one) there is no such Secret.
    pub fn set_token(&self, namespace: &str, secret: &str, token: Option<&str>) {
        let key = (namespace.to_owned(), secret.to_owned());
        let mut tokens = self.tokens.lock().unwrap();
        match token {
            Some(token) => drop(tokens.insert(key, token.to_owned())),
            None => drop(tokens.remove(&key)),
        }
    }

    pub fn set_user(&self, name: &str, uid: &str, groups: &[&str], disabled: bool) {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let account = Arc::new(UserAccount { uid: uid.to_owned(), groups, disabled });
        self.users.lock().unwrap().insert(name.to_owned(), account);
    }

    pub fn remove_user(&self, name: &str) {
        self.users.lock().unwrap().remove(name);
    }
}

pub fn secret(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

#[expect(clippy::disallowed_methods, reason = "tests present what they were given")]
pub fn text(secret: &SecretBytes) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

pub fn record() -> Record {
    Box::new(|facts| serde_json::to_vec(&json!({"session": facts.session})).unwrap())
}

pub fn cost(memory_kib: u32, passes: u32) -> Argon2Cost {
    Argon2Cost::new(memory_kib, passes, 1, &password_limits()).unwrap()
}

impl Home {
    pub async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::make(0).unwrap());
        let material = keys::KeyMaterial { store_id: keyring.store_id(), keyring: vec![1], slots: vec![vec![2]] };
        keys::create(&folder.path().join("db"), &material, &keyring).await.unwrap();
        let clock = Arc::new(ManualClock::new(START * 1_000));
        Self { folder, keyring, clock, passed_seconds: Arc::default(), people: People::default() }
    }

    pub fn settings() -> Settings {
        Settings { password_cost: cost(19 * 1024, 1), ..Settings::new(ISSUER.to_owned()) }
    }

    pub async fn open(&self) -> Authenticator {
        self.open_with(Self::settings()).await
    }

    pub async fn open_with(&self, settings: Settings) -> Authenticator {
        let options = OpenOptions {
            path: self.folder.path().join("db"),
            keyring: Arc::clone(&self.keyring),
            clock: Arc::clone(&self.clock) as SharedClock,
            cache_bytes: 1 << 20,
        };
        let (store, _) = Store::open(options).await.unwrap();
        let passed = Arc::clone(&self.passed_seconds);
        let elapsed = Arc::new(move || Duration::from_secs(passed.load(Ordering::SeqCst)));
        let (keyring, clock) = (Arc::clone(&self.keyring), Arc::clone(&self.clock) as SharedClock);
        Authenticator::open_with(store, keyring, clock, settings, TokenHash([7; 32]), elapsed).await.unwrap()
    }

    /// A user with the usual password, as `api` makes one.
    pub async fn add_user(&self, auth: &Authenticator, name: &str, uid: &str) {
        self.people.set_user(name, uid, &["dev"], false);
        self.set_password(auth, name, uid, PASSWORD).await;
    }

    pub async fn set_password(&self, auth: &Authenticator, name: &str, uid: &str, password: &str) {
        let made = auth.new_password(name, uid, secret(password)).await.unwrap();
        auth.store.write_state(vec![made.row], None).await.unwrap();
    }

    pub async fn login(&self, auth: &Authenticator, name: &str, password: &str) -> Result<Tokens, LoginError> {
        auth.login(name, secret(password), Some([192, 0, 2, 1].into()), &self.people, record()).await
    }

    pub async fn refresh(&self, auth: &Authenticator, token: &str) -> Result<Tokens, LoginError> {
        auth.refresh(secret(token), &self.people, record()).await
    }

    pub fn bearer(&self, auth: &Authenticator, token: &[u8]) -> Result<Identity, Unauthorized> {
        let header = [b"Bearer ", token].concat();
        let presented = Presented { authorization: &[&header], certificate: None, local_owner: false };
        auth.authenticate(&presented, &self.people)
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1_000);
    }
}

/// Ends the store, so that the home can be opened anew.
pub async fn close(auth: Authenticator) {
    auth.store.close().await.unwrap();
}

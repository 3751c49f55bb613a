//! Terms over a store of their own, with the clock in hand.

use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::audit::RequestFacts;
use crate::clock::{Clock as _, ManualClock, SharedClock};
use crate::crypto::KmsBinding;
use crate::model::user::User;
use crate::model::validation::options::{self, DeleteOptions};
use crate::rbac::{Attributes, Policy, authorize};
use crate::sensitive::{Document, SecretBytes};
use crate::store::{OpenOptions, Store, keys};

const START: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;

struct Home {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    objects: Objects,
}

fn permit(verb: &str, subresource: &str) -> Permit {
    let name = if verb == "create" && subresource.is_empty() { "" } else { "etcd" };
    let mut attributes = Attributes::object(verb, &KMS_KEY, "", name);
    subresource.clone_into(&mut attributes.subresource);
    authorize(&Policy::empty(), &Arc::new(User::system("test")), attributes).unwrap()
}

impl Home {
    async fn make(spec: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = super::super::test_keyring().unwrap();
        let material = keys::KeyMaterial { store_id: keyring.store_id(), keyring: vec![1], slots: vec![vec![2]] };
        let path = folder.path().join("db");
        keys::create(&path, &material, &keyring).await.unwrap();
        let clock = Arc::new(ManualClock::new(START * 1_000));
        let shared = Arc::clone(&clock) as SharedClock;
        let opened =
            OpenOptions { path, keyring: Arc::clone(&keyring), clock: Arc::clone(&shared), cache_bytes: 1 << 20 };
        let (store, _) = Store::open(opened).await.unwrap();
        let home = Self { _folder: folder, clock, objects: Objects::new(store, keyring, shared) };
        home.create(spec).await;
        home
    }

    async fn create(&self, spec: Value) {
        let object = json!({"metadata": {"name": "etcd"}, "spec": spec});
        let (permit, facts) = (permit("create", ""), RequestFacts::own(self.clock.unix_millis()));
        let (request, options) = (Request { permit: &permit, facts: &facts }, options::create(&[]).unwrap());
        let created = self.objects.create(request, Document::new(object), &options, &mut Vec::new()).await;
        assert!(created.is_ok(), "{:?}", created.err());
    }

    async fn rotate(&self) -> String {
        let (permit, facts) = (permit("create", "rotate"), RequestFacts::own(self.clock.unix_millis()));
        let rotated = self.objects.rotate_kms_key(Request { permit: &permit, facts: &facts }, false).await.unwrap();
        rotated.bare().unwrap()["status"]["currentKeyID"].as_str().unwrap().to_owned()
    }

    async fn retire(&self, key_id: &str) -> Result<(), String> {
        let retirement = Retirement::parse(&json!({"spec": {"keyID": key_id}})).unwrap();
        let (permit, facts) = (permit("create", "retire"), RequestFacts::own(self.clock.unix_millis()));
        let retired =
            self.objects.retire_kms_term(Request { permit: &permit, facts: &facts }, &retirement, false).await;
        match retired {
            Ok(_) => Ok(()),
            Err(Error::Conflict(_, why)) => Err(why),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn note(&self, uid: &[u8; 16], term: u32) -> Result<(), Error> {
        let now = self.clock.unix_seconds();
        let used =
            BTreeMap::from([(term, TermUse { decryptions: 1, last_decryption: Some(now), ..TermUse::default() })]);
        let (permit, facts) = (permit("update", "status"), RequestFacts::own(self.clock.unix_millis()));
        self.objects.note_kms_use(Request { permit: &permit, facts: &facts }, uid, &used).await
    }

    fn open(&self) -> KmsKey {
        self.objects.open_kms_key(&permit("decrypt", "")).ok().unwrap()
    }

    fn pass(&self, hours: i64) {
        self.clock.advance_millis(hours * HOUR * 1_000);
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test looks at what it encrypted")]
async fn a_term_that_was_not_seen_for_two_days_is_retired_and_its_ciphertexts_with_it() {
    let home = Home::make(json!({})).await;
    let key = home.open();
    let first = key.current_key_id.clone();
    let id = |key_id| KmsBinding { store_id: home.objects.store_id(), uid: &key.uid, key_id };
    let sealed = key.ring.seal(&id(&first), &SecretBytes::new(b"seed".to_vec())).unwrap();
    assert!(home.retire(&first).await.unwrap_err().contains("current term"));
    home.pass(48);
    let second = home.rotate().await;
    // When it was superseded counts, not when it was made.
    assert!(home.retire(&first).await.unwrap_err().contains("not long enough ago"));
    home.pass(25);
    home.note(&key.uid, 1).await.unwrap();
    home.pass(48);
    assert!(home.retire(&first).await.unwrap_err().contains("not long enough ago"));
    assert_eq!(home.open().ring.open(&id(&first), 1, &sealed).unwrap().expose(), b"seed");
    home.pass(1);
    home.retire(&first).await.unwrap();
    let left = home.open();
    let terms: Vec<_> = left.ring.terms().map(|term| term.number).collect();
    assert_eq!(terms, [2]);
    assert!(left.ring.open(&id(&first), 1, &sealed).is_err());
    assert!(home.retire(&first).await.unwrap_err().contains("has no term"));
    let third = home.rotate().await;
    assert!(second.contains(":2:") && third.contains(":3:"), "{second} {third}");
}

#[tokio::test]
async fn a_key_has_no_terms_without_end() {
    let home = Home::make(json!({})).await;
    for _ in 1..KMS_TERMS_MAX {
        home.rotate().await;
    }
    let (permit, facts) = (permit("create", "rotate"), RequestFacts::own(home.clock.unix_millis()));
    let refused = home.objects.rotate_kms_key(Request { permit: &permit, facts: &facts }, false).await;
    assert!(matches!(&refused, Err(Error::Conflict(_, why)) if why.contains("retire some")), "{:?}", refused.err());
    assert_eq!(home.open().ring.terms().count(), KMS_TERMS_MAX);
}

#[tokio::test]
async fn a_new_term_is_due_when_the_current_one_is_as_old_as_is_allowed() {
    let home = Home::make(json!({"rotateAfter": "720h"})).await;
    assert_eq!(home.objects.kms_key_rotation("etcd"), Some((START, 720 * HOUR)));
    home.pass(720);
    home.rotate().await;
    assert_eq!(home.objects.kms_key_rotation("etcd"), Some((START + 720 * HOUR, 720 * HOUR)));
    assert_eq!(home.objects.kms_key_rotation("other"), None);
    assert_eq!(Home::make(json!({})).await.objects.kms_key_rotation("etcd"), None);
}

#[tokio::test]
async fn a_key_goes_with_its_object_and_what_was_seen_of_it_is_of_no_other() {
    let home = Home::make(json!({"allowDeletion": true})).await;
    let key = home.open();
    let state = kms_key_state_key(&key.uid_text);
    assert!(home.objects.store.read_state(&state).unwrap().is_some());
    let (permit, facts) = (permit("delete", ""), RequestFacts::own(home.clock.unix_millis()));
    let deleted = home.objects.delete(Request { permit: &permit, facts: &facts }, &DeleteOptions::default()).await;
    assert!(deleted.is_ok());
    assert!(home.objects.store.read_state(&state).unwrap().is_none());
    assert!(home.objects.kms_key_revision("etcd").is_none());
    home.create(json!({})).await;
    assert!(matches!(home.note(&key.uid, 1).await, Err(Error::NotFound(_))));
    assert_ne!(home.open().uid, key.uid);
    assert!(home.objects.open_kms_key(&self::permit("get", "")).is_err());
}

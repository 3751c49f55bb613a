//! The controller over a store of its own, with the clock in hand.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::audit;
use crate::clock::{Clock as _, ManualClock};
use crate::model::kinds::NAMESPACE;
use crate::model::user::User;
use crate::model::validation::options;
use crate::objects::{Request, test_keyring};
use crate::pki::{Authority, CertificateFacts, certificate_end, make_workload_authority, pair_warning, read_blocks};
use crate::rbac::{self, Policy};
use crate::sensitive::Document;
use crate::store::{OpenOptions, Store, keys};

const START: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;

struct Home {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    context: Context,
    recorder: Recorder,
}

impl Home {
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = test_keyring().unwrap();
        let material = keys::KeyMaterial { store_id: keyring.store_id(), keyring: vec![1], slots: vec![vec![2]] };
        let path = folder.path().join("db");
        keys::create(&path, &material, &keyring).await.unwrap();
        let clock = Arc::new(ManualClock::new(START * 1_000));
        let shared = Arc::clone(&clock) as SharedClock;
        let opened =
            OpenOptions { path, keyring: Arc::clone(&keyring), clock: Arc::clone(&shared), cache_bytes: 1 << 20 };
        let (store, _) = Store::open(opened).await.unwrap();
        let log = AuditLog::open(audit::OpenOptions {
            directory: folder.path().join("audit"),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&shared),
            settings: audit::Settings::default(),
            kept: None,
            begins_behind: 0,
            mutations_end: Box::new(|| None),
        });
        let objects = Arc::new(Objects::new(store, keyring, Arc::clone(&shared)));
        let made = make_workload_authority(START).unwrap();
        let authority: RoomAuthority = Arc::new(move || {
            let copy = Authority { certificate: made.certificate.clone(), key: made.key.duplicate() };
            Box::pin(async move { Some(copy) })
        });
        let context = Context {
            objects: Arc::clone(&objects),
            audit: Arc::new(log.unwrap()),
            clock: shared,
            authority,
            metrics: Arc::default(),
        };
        let home = Self { _folder: folder, clock, context, recorder: Recorder::new(objects, COMPONENT) };
        home.create(&NAMESPACE, "", json!({"metadata": {"name": "prod"}})).await;
        home
    }

    fn permit(verb: &str, kind: &'static Kind, namespace: &str, name: &str) -> rbac::Permit {
        let attributes = Attributes::object(verb, kind, namespace, name);
        rbac::authorize(&Policy::empty(), &Arc::new(User::system("test")), attributes).unwrap()
    }

    async fn create(&self, kind: &'static Kind, namespace: &str, object: Value) {
        let permit = Self::permit("create", kind, namespace, "");
        let facts = RequestFacts::own(self.clock.unix_millis());
        let options = options::create(&[]).unwrap();
        let request = Request { permit: &permit, facts: &facts };
        let created = self.context.objects.create(request, Document::new(object), &options, &mut Vec::new()).await;
        assert!(created.is_ok(), "{:?}", created.err());
    }

    /// Changes an object, whatever is in it.
    #[expect(clippy::disallowed_methods, reason = "the test changes what it made")]
    async fn change(&self, kind: &'static Kind, name: &str, change: impl FnOnce(&mut Value)) {
        let mut document = self.document(kind, name).unwrap();
        change(document.expose_mut());
        let permit = Self::permit("update", kind, "prod", name);
        let facts = RequestFacts::own(self.clock.unix_millis());
        let request = Request { permit: &permit, facts: &facts };
        let options = options::create(&[]).unwrap();
        let updated = self.context.objects.update(request, document, &options, &mut Vec::new()).await;
        assert!(updated.is_ok(), "{:?}", updated.err());
    }

    async fn delete(&self, kind: &'static Kind, name: &str) {
        let permit = Self::permit("delete", kind, "prod", name);
        let facts = RequestFacts::own(self.clock.unix_millis());
        let request = Request { permit: &permit, facts: &facts };
        let deleted = self.context.objects.delete(request, &options::DeleteOptions::default()).await;
        assert!(deleted.is_ok(), "{:?}", deleted.err());
    }

    fn document(&self, kind: &'static Kind, name: &str) -> Option<Document> {
        let permit = Self::permit("get", kind, "prod", name);
        let facts = RequestFacts::own(self.clock.unix_millis());
        let loaded = self.context.objects.get(Request { permit: &permit, facts: &facts }).ok()?;
        self.context.objects.document(&loaded).ok()
    }

    async fn look(&self, kind: &'static Kind, name: &str) -> Looked {
        let key = Key { kind_id: kind.id, namespace: "prod".into(), name: name.into() };
        look(&self.context, &self.recorder, &key, 0).await
    }

    fn status(&self, kind: &'static Kind, name: &str) -> Value {
        self.context.objects.bare_object(kind, "prod", name).unwrap()["status"].clone()
    }

    /// Status and reason of a condition.
    fn condition(&self, kind: &'static Kind, name: &str, condition: &str) -> (String, String) {
        let status = self.status(kind, name);
        let found = status["conditions"].as_array().unwrap().iter().find(|found| found["type"] == condition).unwrap();
        let text = |field: &str| found[field].as_str().unwrap().to_owned();
        (text("status"), text("reason"))
    }

    /// The values of a Secret, decoded.
    #[expect(clippy::disallowed_methods, reason = "the test looks at what was made")]
    fn secret(&self, name: &str) -> HashMap<String, Vec<u8>> {
        let document = self.document(&SECRET, name).unwrap();
        let data = document.expose()["data"].as_object().unwrap().clone();
        data.into_iter().map(|(key, value)| (key, STANDARD.decode(value.as_str().unwrap()).unwrap())).collect()
    }

    async fn certificate(&self, name: &str, more: Value) {
        let mut spec = json!({"secretName": name, "dnsNames": ["web.example"], "duration": "3h"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.create(&CERTIFICATE, "prod", json!({"metadata": {"name": name}, "spec": spec})).await;
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1_000);
    }
}

fn ready() -> (String, String) {
    ("True".to_owned(), "Ready".to_owned())
}

#[tokio::test]
async fn a_certificate_is_issued_kept_and_renewed() {
    let home = Home::make().await;
    home.certificate("web", json!({"secretTemplate": {"labels": {"app": "web"}}})).await;
    let looked = home.look(&CERTIFICATE, "web").await;
    assert_eq!(looked.next_at, Some(START + 2 * HOUR - 100), "a third before its end, backdating included");
    assert_eq!(home.condition(&CERTIFICATE, "web", "Ready"), ready());
    let first = home.secret("web");
    assert_eq!(pair_warning(&first["tls.crt"], &first["tls.key"]), None);
    assert_eq!(certificate_end(&first["tls.crt"]), Some((START - 300, START + 3 * HOUR)));
    assert_eq!(read_blocks(&first["ca.crt"]).len(), 1);
    let status = home.status(&CERTIFICATE, "web");
    assert_eq!((&status["revision"], &status["notAfter"]), (&json!(1), &json!("2026-09-21T17:13:20Z")));
    let secret = home.context.objects.bare_object(&SECRET, "prod", "web").unwrap();
    assert_eq!((&secret["type"], &secret["metadata"]["labels"]["app"]), (&json!("kubernetes.io/tls"), &json!("web")));

    let revision = home.context.objects.revision();
    home.advance(HOUR);
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.context.objects.revision(), revision, "nothing is written where nothing is to be done");
    home.advance(HOUR);
    home.look(&CERTIFICATE, "web").await;
    let second = home.secret("web");
    assert_eq!(certificate_end(&second["tls.crt"]), Some((START + 2 * HOUR - 300, START + 5 * HOUR)));
    assert_ne!(first["tls.key"], second["tls.key"]);
    assert_eq!(home.status(&CERTIFICATE, "web")["revision"], 2);
    // Other labels, the same certificate.
    home.change(&CERTIFICATE, "web", |web| web["spec"]["secretTemplate"] = json!({"labels": {"tier": "front"}})).await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.secret("web"), second);
    let secret = home.context.objects.bare_object(&SECRET, "prod", "web").unwrap();
    assert_eq!(secret["metadata"]["labels"], json!({"tier": "front"}));
    home.change(&CERTIFICATE, "web", |web| web["spec"]["dnsNames"] = json!(["other.example"])).await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.status(&CERTIFICATE, "web")["revision"], 3);
}

#[tokio::test]
async fn what_was_written_before_a_crash_is_taken_up() {
    let home = Home::make().await;
    home.certificate("web", json!({})).await;
    home.look(&CERTIFICATE, "web").await;
    let (issued, status) = (home.secret("web"), home.status(&CERTIFICATE, "web"));
    // As if the server had ended between the Secret's write and the status'.
    let uid = home.context.objects.bare_object(&CERTIFICATE, "prod", "web").unwrap();
    let uid = uid["metadata"]["uid"].as_str().unwrap();
    let objects = &home.context.objects;
    objects.write_status(COMPONENT, &CERTIFICATE, "prod", "web", uid, json!({})).await.unwrap();
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.secret("web"), issued);
    assert_eq!(home.status(&CERTIFICATE, "web"), status);
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_left_alone() {
    let home = Home::make().await;
    let theirs = json!({"metadata": {"name": "web"}, "data": {"k": "dg=="}});
    home.create(&SECRET, "prod", theirs).await;
    home.certificate("web", json!({})).await;
    let looked = home.look(&CERTIFICATE, "web").await;
    assert!(looked.next_at.is_some_and(|at| at > START), "it is looked at again");
    assert_eq!(home.condition(&CERTIFICATE, "web", "Ready"), ("False".to_owned(), "SecretNotOwned".to_owned()));
    assert_eq!(home.secret("web"), HashMap::from([("k".to_owned(), b"v".to_vec())]));
    home.delete(&SECRET, "web").await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.condition(&CERTIFICATE, "web", "Ready"), ready());
    // And one that is another certificate's.
    let spec = json!({"secretName": "web", "commonName": "other"});
    home.create(&CERTIFICATE, "prod", json!({"metadata": {"name": "other"}, "spec": spec})).await;
    let before = home.secret("web");
    home.look(&CERTIFICATE, "other").await;
    assert_eq!(home.condition(&CERTIFICATE, "other", "Ready").1, "SecretNotOwned");
    assert_eq!(home.secret("web"), before);
    // The Secret outlives its certificate, and is taken up by one of the same name.
    home.delete(&CERTIFICATE, "web").await;
    assert!(!home.look(&CERTIFICATE, "web").await.is_live);
    assert_eq!(home.secret("web"), before);
    home.certificate("web", json!({})).await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.secret("web"), before);
    assert_eq!(home.condition(&CERTIFICATE, "web", "Ready"), ready());
}

#[tokio::test]
async fn a_chain_is_issued_by_a_secret_and_ends_with_it() {
    let home = Home::make().await;
    let by_secret = json!({"issuerRef": {"kind": "Secret", "name": "ca"}});
    home.certificate("web", by_secret).await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.condition(&CERTIFICATE, "web", "Issuing"), ("True".to_owned(), "IssuerNotFound".to_owned()));
    home.certificate("ca", json!({"isCA": true, "duration": "4h"})).await;
    home.look(&CERTIFICATE, "ca").await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.condition(&CERTIFICATE, "web", "Ready"), ready());
    let (web, ca) = (home.secret("web"), home.secret("ca"));
    assert_eq!(read_blocks(&web["tls.crt"]).len(), 2);
    assert_eq!(web["ca.crt"], ca["ca.crt"], "the room's own authority is the root");
    // An hour before the authority's end a renewal is bounded by it, and one after the other is not tried.
    home.advance(2 * HOUR);
    home.look(&CERTIFICATE, "web").await;
    let end = START + 4 * HOUR;
    assert_eq!(certificate_end(&home.secret("web")["tls.crt"]).unwrap().1, end);
    home.advance(HOUR + HOUR / 2);
    let revision = home.context.objects.revision();
    let looked = home.look(&CERTIFICATE, "web").await;
    assert_eq!((looked.next_at, home.context.objects.revision()), (Some(end), revision));
    home.look(&CERTIFICATE, "ca").await;
    home.look(&CERTIFICATE, "web").await;
    assert!(certificate_end(&home.secret("web")["tls.crt"]).unwrap().1 > end, "the authority was renewed");
    // One that may sign nothing signs nothing.
    home.certificate("leaf", json!({"issuerRef": {"kind": "Secret", "name": "web"}})).await;
    home.look(&CERTIFICATE, "leaf").await;
    assert_eq!(home.condition(&CERTIFICATE, "leaf", "Ready").1, "IssuerNoAuthority");
    home.certificate("below", json!({"isCA": true, "issuerRef": {"kind": "Secret", "name": "ca"}})).await;
    home.look(&CERTIFICATE, "below").await;
    assert_eq!(home.condition(&CERTIFICATE, "below", "Ready").1, "IssuerPathLength");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a certificate is public")]
async fn a_key_stays_where_it_is_asked_for_and_a_request_is_followed_once() {
    let home = Home::make().await;
    home.certificate("web", json!({"privateKey": {"rotationPolicy": "Never", "algorithm": "Ed25519"}})).await;
    home.look(&CERTIFICATE, "web").await;
    let first = home.secret("web");
    let now = |object: &mut Value, value: &str| {
        object["metadata"]["annotations"] = json!({"strongroom.dev/rotate-now": value});
    };
    home.change(&CERTIFICATE, "web", |web| now(web, "1")).await;
    home.look(&CERTIFICATE, "web").await;
    let second = home.secret("web");
    assert_eq!(first["tls.key"], second["tls.key"]);
    let serial = |pem: &[u8]| {
        let block = &read_blocks(pem)[0];
        CertificateFacts::read(block.bytes.expose()).unwrap().serial.to_vec()
    };
    assert_ne!(serial(&first["tls.crt"]), serial(&second["tls.crt"]));
    assert_eq!(home.status(&CERTIFICATE, "web")["lastHandledRequest"], "1");
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.secret("web"), second);
    // What is no pair any more is issued anew, whatever the marks say.
    home.change(&SECRET, "web", |web| web["data"]["tls.crt"] = json!("eA==")).await;
    home.look(&CERTIFICATE, "web").await;
    assert_eq!(home.secret("web")["tls.key"], first["tls.key"]);
    assert_eq!(home.condition(&CERTIFICATE, "web", "Ready"), ready());
}

#[tokio::test]
async fn values_are_generated_rotated_and_kept() {
    let home = Home::make().await;
    let keys = json!([{"key": "password", "generator": "password"}, {"key": "id", "generator": "uuid"}]);
    let spec = json!({"secretName": "db", "keys": keys, "rotationInterval": "1h", "keepPrevious": true});
    home.create(&GENERATED_SECRET, "prod", json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let looked = home.look(&GENERATED_SECRET, "db").await;
    assert_eq!(looked.next_at, Some(START + HOUR));
    let first = home.secret("db");
    assert_eq!((first.len(), first["password"].len(), first["id"].len()), (2, 32, 36));
    home.look(&GENERATED_SECRET, "db").await;
    assert_eq!(home.secret("db"), first);
    home.advance(HOUR);
    home.look(&GENERATED_SECRET, "db").await;
    let second = home.secret("db");
    assert_ne!(second["password"], first["password"]);
    assert_eq!((&second["password.previous"], &second["id.previous"]), (&first["password"], &first["id"]));
    let status = home.status(&GENERATED_SECRET, "db");
    assert_eq!((&status["revision"], &status["nextRotationTime"]), (&json!(2), &json!("2026-09-21T16:13:20Z")));
    // One key more leaves the others as they are; a key less goes with its former value.
    let keys = json!([{"key": "password", "generator": "password"}, {"key": "pin", "generator": "hex", "length": 16}]);
    home.change(&GENERATED_SECRET, "db", |db| db["spec"]["keys"] = keys).await;
    home.look(&GENERATED_SECRET, "db").await;
    let third = home.secret("db");
    let mut names: Vec<&str> = third.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["password", "password.previous", "pin"]);
    assert_eq!((&third["password"], &third["password.previous"]), (&second["password"], &first["password"]));
    // What others have put there stays; former values go when they are asked for no more.
    home.change(&SECRET, "db", |db| db["data"]["mine"] = json!("dg==")).await;
    home.change(&GENERATED_SECRET, "db", |db| db["spec"]["keepPrevious"] = json!(false)).await;
    home.look(&GENERATED_SECRET, "db").await;
    let fourth = home.secret("db");
    assert!(fourth.contains_key("mine") && !fourth.contains_key("password.previous"));
    assert_eq!(fourth["password"], second["password"]);
}

fn key(name: &str) -> Key {
    Key { kind_id: CERTIFICATE.id, namespace: "prod".into(), name: name.into() }
}

fn seen(generation: i64) -> Seen {
    Seen { uid: "u".to_owned(), generation, ..Seen::default() }
}

fn looked(generation: i64, at: i64) -> Looked {
    Looked { seen: seen(generation), is_live: true, secrets: vec!["s".into()], next_at: Some(at), attempts: 2 }
}

#[test]
fn what_changes_while_it_is_worked_on_is_looked_at_again() {
    let mut queue = Queue::default();
    queue.mark(key("a"));
    queue.mark(key("a"));
    assert_eq!((queue.take(), queue.take()), (Some(key("a")), None));
    queue.mark(key("a"));
    assert_eq!(queue.take(), None, "one look at a time");
    queue.done(&key("a"), Some(looked(1, 10)));
    assert_eq!(queue.take(), Some(key("a")));
    queue.done(&key("a"), Some(looked(1, 20)));
    assert_eq!((queue.tick(15), queue.take()), (Duration::from_secs(5), None));
    queue.tick(20);
    assert_eq!(queue.take(), Some(key("a")));
    queue.done(&key("a"), None);
    assert!(queue.known.contains_key(&key("a")), "a look that came to nothing forgets nothing");
    queue.done(&key("a"), Some(Looked::default()));
    assert!(queue.known.is_empty() && queue.by_secret.is_empty() && queue.timers.is_empty());
}

#[test]
fn a_status_that_is_written_here_asks_for_no_other_look() {
    let mut queue = Queue::default();
    queue.written(key("a"), seen(1));
    assert_eq!(queue.take(), Some(key("a")), "it is new");
    // While the look is under way, and after it.
    queue.written(key("a"), seen(1));
    queue.done(&key("a"), Some(looked(1, 10)));
    queue.written(key("a"), seen(1));
    assert_eq!(queue.take(), None);
    assert_eq!((queue.attempts(&key("a"), Some(&seen(1))), queue.attempts(&key("a"), Some(&seen(2)))), (2, 0));
    queue.written(key("a"), seen(2));
    assert_eq!(queue.take(), Some(key("a")), "something else is asked for");
    queue.written(key("a"), seen(3));
    queue.done(&key("a"), Some(looked(2, 10)));
    assert_eq!(queue.take(), Some(key("a")), "and meanwhile again");
}

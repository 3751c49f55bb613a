//! Certificates that renew and values that are rotated, by the genuine binary and looked at by genuine clients.

mod access;
mod certificates;
mod expiring;
mod kubectl;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::actors;
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const OURS: &str = "/apis/strongroom.dev/v1alpha1/namespaces/prod";
const MERGE: &str = "application/merge-patch+json";
const LIMIT: Duration = Duration::from_mins(1);

/// A server, and its administrator.
struct Room {
    app: App,
    admin: Client,
}

impl Room {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let app = App::start_in(tempfile::tempdir().unwrap(), arguments);
        let mut admin = Client::admin(&app);
        actors::namespace(&mut admin, "prod");
        Self { app, admin }
    }

    /// A Certificate of this name, for a Secret of the same.
    fn certificate(&mut self, name: &str, more: &Value) {
        self.admin.json("POST", &format!("{OURS}/certificates"), &certificate(name, more)).ok();
    }

    /// Waits until a condition has this status and reason, and returns the object.
    fn until(&mut self, resource: &str, name: &str, condition: &str, status: &str, reason: &str) -> Value {
        let path = format!("{OURS}/{resource}/{name}");
        let mut last = Value::Null;
        let found = eventually(LIMIT, || {
            last = self.admin.get(&path).ok().json();
            let conditions = last["status"]["conditions"].as_array()?;
            let is_so =
                |found: &&Value| found["type"] == condition && found["status"] == status && found["reason"] == reason;
            conditions.iter().find(is_so).map(drop)
        });
        assert!(found.is_some(), "{last:#}");
        last
    }

    /// Waits until there was so many a one, and returns the object.
    fn until_revision(&mut self, resource: &str, name: &str, revision: i64) -> Value {
        let path = format!("{OURS}/{resource}/{name}");
        let found = eventually(LIMIT, || {
            let object = self.admin.get(&path).ok().json();
            (object["status"]["revision"] == revision).then_some(object)
        });
        found.unwrap_or_else(|| panic!("{name} never has revision {revision}"))
    }

    fn ready(&mut self, resource: &str, name: &str) -> Value {
        self.until(resource, name, "Ready", "True", "Ready")
    }

    /// A value of a Secret.
    fn value(&mut self, secret: &str, key: &str) -> Vec<u8> {
        let secret = self.admin.get(&format!("{}/{secret}", actors::secrets("prod"))).ok().json();
        STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()
    }

    /// Asks for another now.
    fn rotate(&mut self, resource: &str, name: &str, request: &str) {
        let patch = json!({"metadata": {"annotations": {"strongroom.dev/rotate-now": request}}}).to_string();
        self.admin.typed("PATCH", &format!("{OURS}/{resource}/{name}"), MERGE, patch.as_bytes()).ok();
    }

    /// Reasons of the Events of an object.
    fn events(&mut self, name: &str) -> Vec<String> {
        let events = self.admin.get("/api/v1/namespaces/prod/events").ok().json();
        let events = events["items"].as_array().unwrap();
        let of_it = events.iter().filter(|event| event["involvedObject"]["name"] == name);
        of_it.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }
}

fn certificate(name: &str, more: &Value) -> Value {
    let mut spec = json!({"secretName": name, "dnsNames": ["localhost"]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "strongroom.dev/v1alpha1", "kind": "Certificate", "metadata": {"name": name}, "spec": spec})
}

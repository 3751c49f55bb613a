//! Former versions of Secrets: kept, listed, read, let go of, destroyed.

mod command;
mod crash;
mod destroy;
mod kubectl;
mod requests;
mod retention;
mod sight;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::actors::secrets;
use crate::support::http::Client;

const MERGE: &str = "application/merge-patch+json";

/// The path of the revisions of a namespace.
fn revisions_of(namespace: &str) -> String {
    format!("/apis/strongroom.dev/v1alpha1/namespaces/{namespace}/secretrevisions")
}

/// The revisions of a Secret of namespace `default`, oldest first.
fn revisions(client: &mut Client, name: &str) -> Vec<Value> {
    let path = format!("{}?fieldSelector=spec.secretName%3D{name}", revisions_of("default"));
    client.get(&path).ok().json()["items"].as_array().unwrap().clone()
}

/// Their numbers, and whether each is current.
fn numbers(client: &mut Client, name: &str) -> Vec<(u64, bool)> {
    let state = |one: &Value| (one["spec"]["revision"].as_u64().unwrap(), one["status"]["current"].as_bool().unwrap());
    revisions(client, name).iter().map(state).collect()
}

/// Makes the Secret of namespace `default`, or replaces it.
fn write(client: &mut Client, name: &str, value: &str) {
    let secret = json!({"metadata": {"name": name}, "stringData": {"k": value}});
    let answer = client.json("PUT", &format!("{}/{name}", secrets("default")), &secret);
    if answer.status == 404 {
        client.json("POST", &secrets("default"), &secret).ok();
    } else {
        answer.ok();
    }
}

/// A former or current version with its values.
fn read(client: &mut Client, revision: &Value) -> Value {
    let name = revision["metadata"]["name"].as_str().unwrap();
    client.get(&format!("{}/{name}", revisions_of("default"))).ok().json()
}

/// The value of key `k`.
fn value(revision: &Value) -> String {
    String::from_utf8(STANDARD.decode(revision["data"]["k"].as_str().unwrap()).unwrap()).unwrap()
}

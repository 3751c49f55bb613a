//! What the commands that write share: options, requests, and how it is told what was done.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use super::place::{Id, Place, namespace_option};
use crate::cli::connection::{ConnectionOptions, body};
use crate::cli::output::print;
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::sensitive::{Document, SecretBytes};

/// Whoever else writes at the same time makes one of these fail; the next sees what the other wrote.
const ATTEMPTS: usize = 5;
/// Who wrote a field, in `managedFields`.
const MANAGER: &str = "strongroom";

/// Options of every command that writes.
#[derive(Args)]
pub struct WriteOptions {
    /// Its namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace_option, add = completion::namespaces())]
    pub namespace: Option<String>,
    /// Let the server do everything but keep it
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub connection: ConnectionOptions,
}

/// What a write made of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Created,
    Changed,
}

impl WriteOptions {
    /// The server that they lead to.
    pub fn place(&self, environment: &Environment) -> Result<Place, CliError> {
        Place::connect(&self.connection, self.namespace.as_deref(), environment)
    }

    /// A request that writes, or only tries to.
    pub fn request(&self, request: Request) -> Request {
        let request = request.with("fieldManager", MANAGER);
        if self.dry_run { request.with("dryRun", "All") } else { request }
    }

    /// Prints `secret/db created`, as kubectl does.
    pub fn tell(&self, id: &Id, done: &str, more: &str) {
        let tried = if self.dry_run { " (server dry run)" } else { "" };
        print(&format!("secret/{} {done}{tried}{more}\n", id.name));
    }

    /// Gives a Secret these values, and leaves all others as they are; where there is none, makes it. Without `kind` a new
    /// one is `Opaque`.
    pub fn put(
        &self,
        place: &Place,
        id: &Id,
        values: &BTreeMap<String, SecretBytes>,
        kind: Option<&str>,
    ) -> Result<Written, CliError> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let mut patch = Map::new();
            patch.insert("data".to_owned(), data(values));
            patch.extend(kind.map(|kind| ("type".to_owned(), kind.into())));
            match self.patch(place, id, patch) {
                Err(error) if is(&error, 404, "NotFound") => {}
                done => return done.map(|_| Written::Changed),
            }
            match self.create(place, id, data(values), kind) {
                Err(error) if is(&error, 409, "AlreadyExists") => last = Some(error),
                done => return done.map(|()| Written::Created),
            }
        }
        Err(last.unwrap_or_else(|| CliError::NotDone("the Secret was made and deleted again and again".to_owned())))
    }

    /// Sends a merge patch (RFC 7386).
    pub fn patch(&self, place: &Place, id: &Id, patch: Map<String, Value>) -> Result<Document, CliError> {
        let patch = Document::new(Value::Object(patch));
        place.connection.object(self.request(Request::merge_patch(id.path(), body(&patch))))
    }

    /// Creates a Secret, unless there is one.
    pub fn create(&self, place: &Place, id: &Id, data: Value, kind: Option<&str>) -> Result<(), CliError> {
        let mut secret = Map::new();
        secret.insert("data".to_owned(), data);
        secret.insert("apiVersion".to_owned(), "v1".into());
        secret.insert("kind".to_owned(), "Secret".into());
        secret.insert("metadata".to_owned(), json!({"name": id.name}));
        secret.extend(kind.map(|kind| ("type".to_owned(), kind.into())));
        self.create_object(place, id, &Document::new(Value::Object(secret)))
    }

    /// As [`WriteOptions::create`], of a whole object.
    pub fn create_object(&self, place: &Place, id: &Id, secret: &Document) -> Result<(), CliError> {
        place.connection.object(self.request(Request::post(id.collection(), body(secret)))).map(drop)
    }

    /// Deletes it in this state and no other. `true` where it is gone, `false` where it waits for its finalizers.
    pub fn delete(&self, place: &Place, id: &Id, state: Option<&State>) -> Result<bool, CliError> {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(fields) = options.as_object_mut() {
            if let Some(State { uid, version }) = state {
                fields.insert("preconditions".to_owned(), json!({"uid": uid, "resourceVersion": version}));
            }
            if self.dry_run {
                fields.insert("dryRun".to_owned(), json!(["All"]));
            }
        }
        let answer = place.connection.object(Request::delete_if(id.path(), body(&Document::new(options))))?;
        #[expect(clippy::disallowed_methods, reason = "whether it is gone is asked")]
        let is_waiting = answer.expose().get("kind").is_some_and(|kind| kind == "Secret")
            && answer.expose().pointer("/metadata/deletionTimestamp").is_some();
        Ok(!is_waiting)
    }
}

/// Which state of which Secret.
pub struct State {
    pub uid: String,
    pub version: String,
}

impl State {
    pub fn of(secret: &Document) -> Self {
        let field = |name| super::place::metadata(secret, name).to_owned();
        Self { uid: field("uid"), version: field("resourceVersion") }
    }

    /// The metadata of a patch that is for this state alone.
    pub fn metadata(&self) -> Map<String, Value> {
        let fields = [("uid", &self.uid), ("resourceVersion", &self.version)];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.as_str().into())).collect()
    }
}

/// Whether the server refused for this reason. That the path is unknown is another.
pub fn is(error: &CliError, code: u16, reason: &str) -> bool {
    matches!(error, CliError::Server(failure) if failure.code == code && failure.reason == reason && !failure.is_unknown_path())
}

/// Values as `data` has them. Goes into a [`Document`], which wipes it.
pub fn data(values: &BTreeMap<String, SecretBytes>) -> Value {
    Value::Object(values.iter().map(|(key, value)| (key.clone(), encode(value).into())).collect())
}

/// A value in base64. Goes into a [`Document`], which wipes it.
#[expect(clippy::disallowed_methods, reason = "the value goes into a request, as a secret")]
pub fn encode(value: &SecretBytes) -> String {
    // Room for the whole, so that growing leaves no copy behind.
    let mut text = String::with_capacity(value.len().div_ceil(3) * 4);
    STANDARD.encode_string(value.expose(), &mut text);
    text
}

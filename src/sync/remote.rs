//! A cluster as sync uses it: namespaces, Secrets with our mark, and changes to them.
//!
//! What it never does: send anything without verified TLS, follow the cluster elsewhere, take an answer's values further
//! than into digests, or try again by itself. What a cluster says of a refusal is shortened before it is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::limiter::Limiter;
use super::observed::{Mac, Observed, observe};
use super::preflight::Rules;
use super::refusal::{RemoteError, refused};
use super::{FIELD_MANAGER_PREFIX, SYNC_UID_LABEL};
use crate::config::ServerUrl;
use crate::kube_client::{Answer, Certificate, Client, Endpoint, Lines, Request, encode_segment};
use crate::kubeconfig::{Connection, Credential};
use crate::sensitive::{Document, SecretBytes};

/// Objects of one page of a list.
const PAGE: &str = "500";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// Lists that are begun anew because the cluster forgot the rest of them.
const RESTARTS: usize = 3;

/// A namespace of a cluster, as far as it matters which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a list of ours has found: by namespace and name.
pub type Found = BTreeMap<(String, String), Observed>;

/// A cluster that can be asked. Shared by everything that asks it.
pub struct Remote {
    client: Client,
    limiter: Limiter,
}

impl Remote {
    /// A client of the cluster that a stored kubeconfig names. Does not connect yet.
    pub fn new(connection: Connection, qps: u32, burst: u32) -> Result<Self, RemoteError> {
        let server = ServerUrl::parse_with_path("server", &connection.server).map_err(|_| RemoteError::Kubeconfig)?;
        let (token, certificate) = match connection.credential {
            Credential::Token(token) => (Some(token), None),
            Credential::Certificate { chain_pem, key_pem } => (None, Some(Certificate { chain_pem, key_pem })),
        };
        let Connection { server_name, trust, .. } = connection;
        if trust.is_empty() {
            return Err(RemoteError::Kubeconfig);
        }
        let client = Client::new(Endpoint { server, trust, server_name, token, certificate });
        let client = client.map_err(|_| RemoteError::Kubeconfig)?;
        Ok(Self { client, limiter: Limiter::new(qps, burst) })
    }

    /// The version of the cluster, `v1.34.2`.
    pub async fn version(&self) -> Result<String, RemoteError> {
        let answer = self.read(Request::get("/version")).await?;
        let version = tree(&answer)?;
        Ok(short(version.get("gitVersion").and_then(Value::as_str).unwrap_or_default()))
    }

    /// Every namespace that is not being deleted, and the revision of the list.
    pub async fn namespaces(&self) -> Result<(Vec<Namespace>, String), RemoteError> {
        let mut namespaces = Vec::new();
        let list = Request::get("/api/v1/namespaces").accepting(METADATA_LIST);
        let each = &mut |item: &Value| {
            if item.pointer("/metadata/deletionTimestamp").is_none() {
                namespaces.extend(namespace(item));
            }
        };
        let revision = self.pages(list, each).await?;
        Ok((namespaces, revision))
    }

    /// One namespace; `None` if there is none or it is being deleted.
    pub async fn namespace(&self, name: &str) -> Result<Option<Namespace>, RemoteError> {
        let path = format!("/api/v1/namespaces/{}", encode_segment(name));
        match self.read(Request::get(path).accepting(METADATA)).await {
            Ok(answer) => {
                let item = tree(&answer)?;
                Ok(namespace(&item).filter(|_| item.pointer("/metadata/deletionTimestamp").is_none()))
            }
            Err(RemoteError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a namespace; it is no error if it is there.
    pub async fn create_namespace(&self, name: &str) -> Result<(), RemoteError> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let request = Request::post("/api/v1/namespaces", bytes(&body));
        match self.send(request).await {
            Ok(_) | Err(RemoteError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The Secrets with the mark of a sync, of all namespaces or of one; the revision of the list. Values go into digests
    /// and no further.
    pub async fn marked(
        &self,
        namespace: Option<&str>,
        sync_uid: &str,
        mac: Mac<'_>,
        found: &mut Found,
    ) -> Result<String, RemoteError> {
        let path = match namespace {
            Some(namespace) => format!("/api/v1/namespaces/{}/secrets", encode_segment(namespace)),
            None => "/api/v1/secrets".to_owned(),
        };
        let manager = manager(sync_uid);
        let list = Request::get(path).with("labelSelector", format!("{SYNC_UID_LABEL}={sync_uid}"));
        self.pages(list, &mut |item: &Value| {
            let (Some(namespace), Some(name)) = (text(item, "namespace"), text(item, "name")) else { return };
            if let Some(observed) = observe(item, &manager, mac) {
                found.insert((namespace.to_owned(), name.to_owned()), observed);
            }
        })
        .await
    }

    /// The names of all Secrets of a namespace: whether something is in the way can be told from them.
    pub async fn names(&self, namespace: &str) -> Result<Vec<String>, RemoteError> {
        let path = format!("/api/v1/namespaces/{}/secrets", encode_segment(namespace));
        let mut names = Vec::new();
        self.pages(Request::get(path).accepting(METADATA_LIST), &mut |item: &Value| {
            names.extend(text(item, "name").map(str::to_owned));
        })
        .await?;
        Ok(names)
    }

    /// A Secret; `None` if there is none.
    #[expect(clippy::disallowed_methods, reason = "values go into digests")]
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
        sync_uid: &str,
        mac: Mac<'_>,
    ) -> Result<Option<Observed>, RemoteError> {
        match self.read(Request::get(secret_path(namespace, name))).await {
            Ok(answer) => {
                let object = document(&answer)?;
                observe(object.expose(), &manager(sync_uid), mac).map(Some).ok_or(RemoteError::Unreadable)
            }
            Err(RemoteError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Server-side apply of a Secret, in the name of a sync; what the cluster then has.
    #[expect(clippy::disallowed_methods, reason = "values go into digests")]
    pub async fn apply(&self, change: Apply<'_>, mac: Mac<'_>) -> Result<Observed, RemoteError> {
        let manager = manager(change.sync_uid);
        let mut request = Request::apply(secret_path(change.namespace, change.name), change.body)
            .with("fieldManager", manager.as_str())
            .with("fieldValidation", "Strict");
        if change.force {
            request = request.with("force", "true");
        }
        if change.dry_run {
            request = request.with("dryRun", "All");
        }
        let answer = self.send(request).await?;
        let object = document(&answer)?;
        observe(object.expose(), &manager, mac).ok_or(RemoteError::Unreadable)
    }

    /// Takes keys, labels and annotations away from a Secret, if it still is the one that was looked at.
    pub async fn remove_fields(
        &self,
        place: Place<'_>,
        keys: &[String],
        labels: &[&str],
        annotations: &[&str],
        dry_run: bool,
    ) -> Result<(), RemoteError> {
        let absent = |names: &mut dyn Iterator<Item = &str>| -> Value {
            names.map(|name| (name.to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into()
        };
        let mut body = json!({"metadata": {"resourceVersion": place.resource_version, "uid": place.uid}});
        if let Some(fields) = body.as_object_mut()
            && !keys.is_empty()
        {
            fields.insert("data".to_owned(), absent(&mut keys.iter().map(String::as_str)));
        }
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            for (name, members) in [("labels", labels), ("annotations", annotations)] {
                if !members.is_empty() {
                    metadata.insert(name.to_owned(), absent(&mut members.iter().copied()));
                }
            }
        }
        let mut request = Request::merge_patch(secret_path(place.namespace, place.name), bytes(&body))
            .with("fieldManager", "strongroom");
        if dry_run {
            request = request.with("dryRun", "All");
        }
        self.send(request).await.map(drop)
    }

    /// Takes an annotation away from a Secret; the revision that it then has.
    #[expect(clippy::disallowed_methods, reason = "a revision is no secret")]
    pub async fn remove_annotation(
        &self,
        namespace: &str,
        name: &str,
        annotation: &str,
    ) -> Result<String, RemoteError> {
        let body = json!({"metadata": {"annotations": {annotation: null}}});
        let request =
            Request::merge_patch(secret_path(namespace, name), bytes(&body)).with("fieldManager", "strongroom");
        let answer = document(&self.send(request).await?)?;
        let revision = answer.expose().pointer("/metadata/resourceVersion").and_then(Value::as_str);
        revision.map(str::to_owned).ok_or(RemoteError::Unreadable)
    }

    /// Deletes a Secret, if it still is the one that was looked at. It is no error if it is gone.
    pub async fn delete(&self, place: Place<'_>) -> Result<(), RemoteError> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": place.uid, "resourceVersion": place.resource_version},
        });
        match self.send(Request::delete_if(secret_path(place.namespace, place.name), bytes(&options))).await {
            Ok(_) | Err(RemoteError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Restarts the Pods of a workload, as `kubectl rollout restart` does. `resource` is its plural.
    pub async fn restart(&self, namespace: &str, resource: &str, name: &str, at: &str) -> Result<(), RemoteError> {
        let path =
            format!("/apis/apps/v1/namespaces/{}/{resource}/{}", encode_segment(namespace), encode_segment(name));
        let body = json!({"spec": {"template": {"metadata": {"annotations": {
            "kubectl.kubernetes.io/restartedAt": at,
        }}}}});
        self.send(Request::strategic_patch(path, bytes(&body)).with("fieldManager", "strongroom")).await.map(drop)
    }

    /// Whether this client may do something (SelfSubjectAccessReview).
    pub async fn may(&self, attributes: &Value) -> Result<bool, RemoteError> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.send(Request::post(path, bytes(&body))).await?;
        Ok(tree(&answer)?.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or_default())
    }

    /// What this client may do in a namespace, as the cluster lists it (SelfSubjectRulesReview).
    pub async fn rules(&self, namespace: &str) -> Result<Rules, RemoteError> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let answer = self.send(Request::post(path, bytes(&body))).await?;
        Ok(Rules::read(tree(&answer)?.get("status").unwrap_or(&Value::Null)))
    }

    /// What changes from now on: Secrets with the mark of a sync, or namespaces. Metadata only.
    pub async fn watch(&self, what: Watched<'_>, since: Option<&str>) -> Result<Lines, RemoteError> {
        let request = match what {
            Watched::Marked { namespace: None, sync_uid } => {
                Request::get("/api/v1/secrets").with("labelSelector", format!("{SYNC_UID_LABEL}={sync_uid}"))
            }
            Watched::Marked { namespace: Some(namespace), sync_uid } => {
                Request::get(format!("/api/v1/namespaces/{}/secrets", encode_segment(namespace)))
                    .with("labelSelector", format!("{SYNC_UID_LABEL}={sync_uid}"))
            }
            Watched::Namespaces => Request::get("/api/v1/namespaces"),
        };
        self.limiter.turn().await;
        let mut request = request.with("watch", "true").with("allowWatchBookmarks", "true").accepting(METADATA);
        if let Some(since) = since {
            request = request.with("resourceVersion", since);
        }
        match self.client.lines(request).await {
            Ok(Ok(lines)) => Ok(lines),
            Ok(Err(failure)) => Err(RemoteError::of_failure(&failure)),
            Err(error) => Err(RemoteError::of_connection(&error)),
        }
    }

    /// Reads a list page by page; begins anew where the cluster has forgotten how it went on.
    #[expect(clippy::disallowed_methods, reason = "each item is handed to one who makes digests of its values")]
    async fn pages(&self, list: Request, each: &mut (dyn FnMut(&Value) + Send)) -> Result<String, RemoteError> {
        let (mut token, mut restarts) = (String::new(), 0);
        loop {
            let mut request = list.again().with("limit", PAGE);
            if !token.is_empty() {
                request = request.with("continue", std::mem::take(&mut token));
            }
            let answer = match self.read(request).await {
                Err(RemoteError::Expired) if restarts < RESTARTS => {
                    restarts += 1;
                    continue;
                }
                answer => answer?,
            };
            let page = document(&answer)?;
            let page = page.expose();
            page.get("items").and_then(Value::as_array).into_iter().flatten().for_each(&mut *each);
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(next) if !next.is_empty() => next.clone_into(&mut token),
                _ => return Ok(short(text(page, "resourceVersion").unwrap_or_default())),
            }
        }
    }

    async fn read(&self, request: Request) -> Result<Answer, RemoteError> {
        self.send(request).await
    }

    async fn send(&self, request: Request) -> Result<Answer, RemoteError> {
        self.limiter.turn().await;
        let answer = self.client.request(request).await.map_err(|error| RemoteError::of_connection(&error))?;
        if answer.code < 300 {
            return Ok(answer);
        }
        let error = refused(&answer);
        if let RemoteError::Throttled { retry_after } = &error {
            self.limiter.pause(retry_after.unwrap_or(Duration::from_secs(1)));
        }
        Err(error)
    }
}

/// What is watched.
#[derive(Debug, Clone, Copy)]
pub enum Watched<'a> {
    /// Secrets with the mark of a sync.
    Marked {
        /// Of one namespace only.
        namespace: Option<&'a str>,
        /// The sync's uid.
        sync_uid: &'a str,
    },
    /// Namespaces.
    Namespaces,
}

/// An apply.
pub struct Apply<'a> {
    /// Namespace of the Secret.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// In whose name.
    pub sync_uid: &'a str,
    /// The configuration.
    pub body: SecretBytes,
    /// Take fields over from other managers.
    pub force: bool,
    /// Only say what it would come to.
    pub dry_run: bool,
}

/// One Secret as it was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// Its revision.
    pub resource_version: &'a str,
}

/// The field manager of a sync.
pub fn manager(sync_uid: &str) -> String {
    format!("{FIELD_MANAGER_PREFIX}{sync_uid}")
}

fn secret_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{}/secrets/{}", encode_segment(namespace), encode_segment(name))
}

fn bytes(body: &Value) -> SecretBytes {
    SecretBytes::new(body.to_string().into_bytes())
}

#[expect(clippy::disallowed_methods, reason = "the answer becomes a tree that is wiped")]
fn document(answer: &Answer) -> Result<Document, RemoteError> {
    serde_json::from_slice(answer.body.expose()).map(Document::new).map_err(|_| RemoteError::Unreadable)
}

/// An answer that holds no secret.
#[expect(clippy::disallowed_methods, reason = "metadata, versions and reviews hold no secret")]
fn tree(answer: &Answer) -> Result<Value, RemoteError> {
    serde_json::from_slice(answer.body.expose()).map_err(|_| RemoteError::Unreadable)
}

fn namespace(item: &Value) -> Option<Namespace> {
    let labels = item.pointer("/metadata/labels").and_then(Value::as_object);
    let labels =
        labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Some(Namespace { name: text(item, "name")?.to_owned(), labels: labels.collect() })
}

fn text<'a>(item: &'a Value, field: &str) -> Option<&'a str> {
    item.get("metadata")?.get(field)?.as_str()
}

/// A cluster's own word for something, as long as such a word can be.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

//! The paths of Kubernetes' own documents: what can be done with each kind, with the parameters that kubectl looks for.

use serde_json::{Map, Value, json};

use super::schemas::reference;
use crate::model::kinds::{self, Kind, Subresource, Verb};
use crate::model::schema;

/// The kind that a subresource takes and returns; most are their parent's own.
pub(in crate::api) fn subresource_kind(parent: &'static Kind, sub: &Subresource) -> &'static Kind {
    let group = if sub.group.is_empty() { parent.group } else { sub.group };
    let mut requests = kinds::REQUEST_KINDS.iter().copied();
    requests.find(|kind| kind.kind == sub.kind && kind.group == group).unwrap_or(parent)
}

/// Adds the paths of one kind.
pub(super) fn add_paths(kind: &'static Kind, paths: &mut Map<String, Value>) {
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let root = format!("{root}/{}", kind.version);
    let scope = if kind.namespaced { format!("{root}/namespaces/{{namespace}}") } else { root.clone() };
    let collection = format!("{scope}/{}", kind.plural);
    let served = |verbs: &[Verb]| verbs.iter().copied().filter(|verb| kind.verbs.contains(verb)).collect::<Vec<_>>();
    let of_collection = served(&[Verb::List, Verb::Create, Verb::DeleteCollection]);
    let of_object = served(&[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete]);
    paths.insert(collection.clone(), path_item(kind, &of_collection, kind.namespaced, false, None));
    if !of_object.is_empty() {
        paths.insert(format!("{collection}/{{name}}"), path_item(kind, &of_object, kind.namespaced, true, None));
    }
    for sub in kind.subresources {
        let path = format!("{collection}/{{name}}/{}", sub.name);
        paths.insert(path, path_item(kind, sub.verbs, kind.namespaced, true, Some(sub)));
    }
    if kind.namespaced && kind.stored {
        paths.insert(format!("{root}/{}", kind.plural), path_item(kind, &served(&[Verb::List]), false, false, None));
    }
}

fn path_item(kind: &'static Kind, verbs: &[Verb], namespaced: bool, named: bool, sub: Option<&Subresource>) -> Value {
    let mut item = Map::new();
    for verb in verbs {
        let (method, action) = match verb {
            Verb::Get => ("get", "get"),
            Verb::List | Verb::Watch => ("get", "list"),
            Verb::Create => ("post", "post"),
            Verb::Update => ("put", "put"),
            Verb::Patch => ("patch", "patch"),
            Verb::Delete => ("delete", "delete"),
            Verb::DeleteCollection => ("delete", "deletecollection"),
        };
        item.insert(method.to_owned(), operation(kind, *verb, action, namespaced, named, sub));
    }
    let mut parameters = Vec::new();
    if named {
        parameters.push(json!({"name": "name", "in": "path", "required": true, "description": format!("Name of the {}.", kind.kind), "schema": {"type": "string"}}));
    }
    if namespaced {
        parameters.push(json!({"name": "namespace", "in": "path", "required": true, "description": "Namespace of the object.", "schema": {"type": "string"}}));
    }
    parameters.push(parameter("pretty", "string", "Indent the answer."));
    item.insert("parameters".to_owned(), parameters.into());
    Value::Object(item)
}

fn operation(
    kind: &'static Kind,
    verb: Verb,
    action: &str,
    namespaced: bool,
    named: bool,
    sub: Option<&Subresource>,
) -> Value {
    let scope = if namespaced { "Namespaced" } else { "" };
    let everywhere = if !named && !namespaced && kind.namespaced { "ForAllNamespaces" } else { "" };
    let suffix = sub.map(|sub| capitalised(sub.name)).unwrap_or_default();
    let verb_name = match verb {
        Verb::Get => "read",
        Verb::List | Verb::Watch => "list",
        Verb::Create => "create",
        Verb::Update => "replace",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
        Verb::DeleteCollection => "deleteCollection",
    };
    let group = if kind.group.is_empty() { "Core" } else { kind.group.split('.').next().unwrap_or_default() };
    let id = format!(
        "{verb_name}{}{}{scope}{}{suffix}{everywhere}",
        capitalised(group),
        capitalised(kind.version),
        kind.kind
    );
    let shown = sub.map_or(kind, |sub| subresource_kind(kind, sub));
    let object = reference(shown.message.component);
    let answer = match verb {
        Verb::List | Verb::Watch => reference(&format!("{}List", kind.message.component)),
        Verb::Delete if !kind.delete_returns_object => reference(schema::STATUS.component),
        Verb::DeleteCollection => reference(schema::STATUS.component),
        _ => object.clone(),
    };
    let content = json!({
        "application/json": {"schema": answer},
        "application/yaml": {"schema": answer},
    });
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({"description": "OK", "content": content}));
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
        responses.insert("201".to_owned(), json!({"description": "Created", "content": content}));
    }
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    let mut body = json!({
        "operationId": id,
        "tags": [format!("{}_{}", group.to_lowercase(), kind.version)],
        "description": format!("{verb_name} {}", kind.kind),
        "parameters": parameters(verb),
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": shown.group, "version": shown.version, "kind": shown.kind},
    });
    let request = match verb {
        Verb::Create | Verb::Update => Some(json!({"*/*": {"schema": object}})),
        Verb::Patch => {
            let any = json!({"schema": {"type": "object"}});
            Some(json!({
                "application/apply-patch+yaml": any,
                "application/json-patch+json": any,
                "application/merge-patch+json": any,
                "application/strategic-merge-patch+json": any,
            }))
        }
        Verb::Delete | Verb::DeleteCollection => {
            Some(json!({"*/*": {"schema": reference(schema::DELETE_OPTIONS.component)}}))
        }
        _ => None,
    };
    if let (Some(fields), Some(content)) = (body.as_object_mut(), request) {
        let required = matches!(verb, Verb::Create | Verb::Update | Verb::Patch);
        fields.insert("requestBody".to_owned(), json!({"content": content, "required": required}));
    }
    body
}

fn parameters(verb: Verb) -> Value {
    let mut all = Vec::new();
    let mut add = |name: &str, ty: &str, description: &str| all.push(parameter(name, ty, description));
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection) {
        add("dryRun", "string", "All: do everything but store it.");
    }
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
        add("fieldManager", "string", "Name of the manager to whom changed fields are attributed.");
        add("fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict.");
    }
    if verb == Verb::Patch {
        add("force", "boolean", "Take conflicting fields from their managers (apply only).");
    }
    if matches!(verb, Verb::Delete | Verb::DeleteCollection) {
        add("gracePeriodSeconds", "integer", "Ignored for the kinds served here.");
        add("orphanDependents", "boolean", "Deprecated: use propagationPolicy.");
        add("propagationPolicy", "string", "What happens to dependents: Foreground, Background or Orphan.");
    }
    if matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection) {
        add("allowWatchBookmarks", "boolean", "Send bookmarks on a watch.");
        add("continue", "string", "Token of the page before.");
        add("fieldSelector", "string", "Select by fields.");
        add("labelSelector", "string", "Select by labels.");
        add("limit", "integer", "The most objects of a page.");
        add("resourceVersion", "string", "Which version of the store to show or to watch from.");
        add("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan.");
        add("sendInitialEvents", "boolean", "Begin a watch with what there is.");
        add("timeoutSeconds", "integer", "How long a watch lasts.");
        add("watch", "boolean", "Watch instead of list.");
    }
    all.into()
}

fn parameter(name: &str, ty: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": ty, "uniqueItems": true}})
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

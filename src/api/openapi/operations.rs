//! The operations on kinds: what is sent, what is answered.

use serde_json::Value;
use utoipa::openapi::path::{Operation, OperationBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Content, RefOr, Required, Response};

use super::responses::{JSON, Shared, YAML, header, response};
use super::routes::Route;
use super::schemas::{patch_name, reference, text};
use super::{examples, failures, parameters};
use crate::model::kinds::{self, Kind, Verb};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const WATCH: &str = "application/json;stream=watch";

/// The operation of a route.
pub fn operation(route: &Route, shared: &mut Shared) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.operation_id()))
        .tag(tag(route.kind))
        .summary(Some(summary(route)))
        .description(description(route))
        .request_body(request_body(route, shared));
    for parameter in parameters::of(route) {
        operation = shared.parameter(operation, parameter);
    }
    for code in route.success() {
        operation = operation.response(code.to_string(), success(route, *code, shared));
    }
    for code in route.failures() {
        let cases = failures::of(route, code);
        let response = shared.failure(route.kind.kind, &route.operation_id(), code, &cases);
        operation = operation.response(code.to_string(), response);
    }
    operation.build()
}

/// The heading under which a kind's operations are listed.
pub fn tag(kind: &Kind) -> &'static str {
    if kind.stored { kind.kind } else { super::REVIEWS }
}

fn summary(route: &Route) -> String {
    let kind = route.kind.kind;
    let sub = route.sub.map(|sub| format!("the {} of ", sub.name)).unwrap_or_default();
    let list = if watches(route.kind) { "List or watch" } else { "List" };
    match route.verb {
        Verb::List | Verb::Watch if route.in_namespace => format!("{list} the {kind}s of a namespace"),
        Verb::List | Verb::Watch if route.kind.namespaced => format!("{list} the {kind}s of all namespaces"),
        Verb::List | Verb::Watch => format!("{list} {kind}s"),
        Verb::Get => format!("Read {sub}a {kind}"),
        Verb::Create if route.sub.is_some_and(|sub| sub.name == "render") => {
            "Render what a SecretSync wants in a cluster".to_owned()
        }
        Verb::Create if route.sub.is_some() => format!("Make a {} of a {kind}", route.sub.map_or("", |sub| sub.name)),
        Verb::Create if route.kind.id == kinds::SECRET_EXPORT.id => "Export Secrets of a namespace".to_owned(),
        Verb::Create if route.kind.id == kinds::SECRET_SCAN.id => "Fingerprint the values of a namespace".to_owned(),
        Verb::Create if route.kind.id == kinds::SECRET_IMPORT.id => "Import Secrets into a namespace".to_owned(),
        Verb::Create if !route.kind.stored => format!("Ask a {kind}"),
        Verb::Create => format!("Create a {kind}"),
        Verb::Update => format!("Replace {sub}a {kind}"),
        Verb::Patch => format!("Patch {sub}a {kind}"),
        Verb::Delete if route.kind.id == kinds::SECRET_REVISION.id => "Destroy a version of a Secret".to_owned(),
        Verb::Delete => format!("Delete a {kind}"),
        Verb::DeleteCollection => format!("Delete the {kind}s that match"),
    }
}

/// Whether its objects can be watched.
pub fn watches(kind: &Kind) -> bool {
    kind.verbs.contains(&Verb::Watch)
}

fn description(route: &Route) -> Option<String> {
    let text = match route.verb {
        Verb::List if route.kind.id == kinds::SECRET_REVISION.id => {
            "What there is now, without values. A page has 10,000 objects at most; what follows is had with `continue`."
        }
        Verb::Delete if route.kind.id == kinds::SECRET_REVISION.id => {
            "The version is gone when this is answered: its row, what the write-ahead log held of it, and the bytes in freed pages. Backups still hold it. The current version cannot be destroyed."
        }
        Verb::DeleteCollection if route.kind.id == kinds::SECRET_REVISION.id => {
            "Destroys the versions that match, without selectors all that are kept. Current ones are left. The answer is what was."
        }
        Verb::List | Verb::Watch => {
            "With `watch=true` the answer does not end: it is one JSON document a line, a WatchEvent each, and its media type is `application/json` as well."
        }
        Verb::Update if route.kind.create_on_update => {
            "Creates the object if there is none, for which the right to create is needed too. With a `resourceVersion` only that version is replaced."
        }
        Verb::Update => "With a `resourceVersion` only that version is replaced.",
        Verb::Patch => {
            "The Content-Type says which of four patches it is. An apply creates the object if there is none, for which the right to create is needed too."
        }
        Verb::Delete => "While finalizers hold the object it is marked and stays; the answer is the object then.",
        Verb::DeleteCollection => "Without selectors everything is deleted. The answer is what was.",
        Verb::Create if !route.kind.stored => route.kind.message.description,
        Verb::Get | Verb::Create => return None,
    };
    Some(text.to_owned())
}

fn request_body(route: &Route, shared: &mut Shared) -> Option<RequestBody> {
    let body = RequestBodyBuilder::new();
    let kind = route.shown();
    match route.verb {
        Verb::Get | Verb::List | Verb::Watch => None,
        Verb::Create | Verb::Update => {
            let body = sent(
                body,
                &input_schema(kind, route.verb),
                format!("{}.input", kind.kind),
                examples::input(kind),
                shared,
            );
            Some(body.description(Some(format!("The {}.", kind.kind))).required(Some(Required::True)).build())
        }
        Verb::Patch => Some(patch_body(body, kind, shared)),
        Verb::Delete | Verb::DeleteCollection => {
            let options = serde_json::json!({"propagationPolicy": "Background"});
            let schema = RefOr::Ref(reference("DeleteOptions"));
            let body = sent(body, &schema, "DeleteOptions.input".to_owned(), options, shared);
            let text = "Options; without a body those of the query hold.";
            Some(body.description(Some(text)).required(Some(Required::False)).build())
        }
    }
}

/// What must be sent that need not be in every object of the kind.
fn input_schema(kind: &'static Kind, verb: Verb) -> RefOr<Schema> {
    let (part, field) = match (kind.kind, verb) {
        ("TokenReview", _) => ("spec", "token"),
        ("PasswordRequest", _) => ("spec", "password"),
        ("SelfSubjectRulesReview", _) => ("spec", "namespace"),
        ("LocalSubjectAccessReview", _) => ("metadata", "namespace"),
        (_, Verb::Update) => ("metadata", "name"),
        _ => return reference(kind.kind).into(),
    };
    let inner = ObjectBuilder::new().property(field, text().min_length(Some(1))).required(field);
    let needed = ObjectBuilder::new().property(part, inner).required(part);
    AllOfBuilder::new().item(reference(kind.kind)).item(needed).into()
}

/// A body in each of the three formats.
fn sent(
    body: RequestBodyBuilder,
    schema: &RefOr<Schema>,
    name: String,
    example: Value,
    shared: &mut Shared,
) -> RequestBodyBuilder {
    let content = shared.content(schema.clone(), [(name, example)]);
    let raw = ObjectBuilder::new().schema_type(Type::String).content_media_type(PROTOBUF).description(Some(
        "Kubernetes' protobuf: the four bytes `6b 38 73 00`, then a message `runtime.Unknown` that holds the object's.",
    ));
    body.content(JSON, content.clone()).content(YAML, content).content(PROTOBUF, Content::new(Some(raw)))
}

fn patch_body(body: RequestBodyBuilder, kind: &'static Kind, shared: &mut Shared) -> RequestBody {
    let metadata = ObjectBuilder::new().property("managedFields", Object::with_type(Type::Null));
    let needed = ObjectBuilder::new()
        .property("kind", text())
        .property("apiVersion", text())
        .property("metadata", metadata.description(Some("With the name in the path, if any; without managedFields.")));
    let needed = ["kind", "apiVersion", "metadata"].into_iter().fold(needed, ObjectBuilder::required);
    let part = reference(&patch_name(kind));
    let whole = AllOfBuilder::new().item(part.clone()).item(needed);
    let example = |key: &str, value: Value| [(format!("{}.{key}", kind.kind), value)];
    let merge = shared.content(part, example("mergePatch", examples::merge_patch(kind)));
    body.content("application/apply-patch+yaml", shared.content(whole, example("input", examples::input(kind))))
        .content(
            "application/json-patch+json",
            shared.content(reference("JsonPatch"), example("jsonPatch", examples::json_patch(kind))),
        )
        .content("application/merge-patch+json", merge.clone())
        .content("application/strategic-merge-patch+json", merge)
        .description(Some("The patch: an apply (KEP-555), RFC 6902, RFC 7396 or Kubernetes' strategic merge."))
        .required(Some(Required::True))
        .build()
}

fn success(route: &Route, code: u16, shared: &mut Shared) -> RefOr<Response> {
    let kind = route.shown();
    let (name, description) = match (route.verb, code) {
        (Verb::List, _) if !watches(kind) => ("List", "The objects, by namespace and name."),
        (Verb::Delete, _) if !watches(kind) => ("Destroyed", "Destroyed."),
        (Verb::List | Verb::Watch, _) => {
            ("List", "The objects, by namespace and name; of a watch, what happens to them.")
        }
        (Verb::DeleteCollection, _) => ("DeletedCollection", "What was deleted."),
        (Verb::Delete, 202) => ("Accepted", "Marked, as finalizers hold the object and `orphanDependents` is `false`."),
        (Verb::Delete, _) => ("Deleted", "Deleted; or the object, marked, while finalizers hold it."),
        (Verb::Create, _) if !kind.stored => ("Answer", "The answer."),
        (_, 201) => ("Created", "The object that was created."),
        _ => ("Object", "The object as it is now."),
    };
    shared.named(format!("{}.{name}", kind.kind), |shared| {
        let contents = match name {
            "List" => list(kind, shared),
            "DeletedCollection" => {
                let example = (format!("{}.list", kind.kind), examples::list(kind));
                in_both(shared.content(reference(kind.list_kind), [example]))
            }
            "Accepted" => object(kind, "terminating", examples::terminating(kind), shared),
            "Deleted" if kind.delete_returns_object => object(kind, "terminating", examples::terminating(kind), shared),
            "Destroyed" => {
                let gone = (format!("{}.deleted", kind.kind), examples::deleted(kind));
                in_both(shared.content(reference("Status"), [gone]))
            }
            "Deleted" => deleted(kind, shared),
            _ => object(kind, "output", examples::output(kind), shared),
        };
        let is_write = matches!(name, "Object" | "Created" | "Answer" | "Destroyed");
        let response = response(description, contents);
        if is_write { response.header_ref("Warning", header("Warning")) } else { response }.build()
    })
}

type Contents = Vec<(&'static str, Content)>;

fn in_both(content: Content) -> Contents {
    vec![(JSON, content.clone()), (YAML, content)]
}

/// An object in the forms that can be asked for.
fn object(kind: &'static Kind, key: &str, value: Value, shared: &mut Shared) -> Contents {
    let name = kind.kind;
    let mut contents = in_both(shared.content(reference(name), [(format!("{name}.{key}"), value)]));
    if kind.stored {
        let table = shared.content(reference("Table"), [(format!("{name}.table"), examples::table(kind))]);
        let partial = [(format!("{name}.partial"), examples::partial(kind))];
        let partial = shared.content(reference("PartialObjectMetadata"), partial);
        contents.extend([(TABLE, table), (PARTIAL, partial)]);
    }
    contents
}

fn list(kind: &'static Kind, shared: &mut Shared) -> Contents {
    let mut content = |schema: &str, key: &str, value: Value| {
        shared.content(reference(schema), [(format!("{}.{key}", kind.kind), value)])
    };
    let mut contents = in_both(content(kind.list_kind, "list", examples::list(kind)));
    contents.extend([
        (TABLE, content("Table", "table", examples::table(kind))),
        (PARTIAL_LIST, content("PartialObjectMetadataList", "partialList", examples::partial_list(kind))),
    ]);
    if watches(kind) {
        contents.push((WATCH, content("WatchEvent", "watchEvent", examples::watch_event(kind))));
    }
    contents
}

fn deleted(kind: &'static Kind, shared: &mut Shared) -> Contents {
    let schema = AnyOfBuilder::new().item(reference("Status")).item(reference(kind.kind));
    let gone = (format!("{}.deleted", kind.kind), examples::deleted(kind));
    let marked = (format!("{}.terminating", kind.kind), examples::terminating(kind));
    in_both(shared.content(Schema::from(schema), [gone, marked]))
}

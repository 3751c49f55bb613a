//! Parameters of paths and queries.

use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Deprecated, Required};

use super::constraints::{self, Text};
use super::routes::Route;
use super::schemas::limited;
use super::{examples, operations};
use crate::model::kinds::{Kind, Verb};
use crate::model::selector::FieldSelector;
use crate::model::validation::metadata::FIELD_MANAGER_MAX_BYTES;

/// The parameters of an operation on a kind: those of the path, then those of the query.
pub fn of(route: &Route) -> Vec<Parameter> {
    let mut all = Vec::new();
    if route.in_namespace {
        let schema = limited(Type::String.into(), constraints::namespace());
        all.push(path("namespace", "The namespace.", schema, examples::NAMESPACE));
    }
    if route.is_named() {
        let schema = limited(Type::String.into(), constraints::name(route.kind));
        all.push(path("name", &format!("Name of the {}.", route.kind.kind), schema, examples::name(route.kind)));
    }
    all.push(pretty());
    match route.verb {
        Verb::Get => all.push(include_object()),
        Verb::List | Verb::Watch => {
            all.extend(selectors(route.kind));
            all.extend(pages());
            if operations::watches(route.kind) {
                all.extend(watch());
            }
            all.push(include_object());
        }
        Verb::Create | Verb::Update | Verb::Patch => all.extend(write(route.verb)),
        Verb::Delete => all.extend(delete()),
        Verb::DeleteCollection => {
            all.extend(selectors(route.kind));
            all.extend(pages());
            all.extend(delete());
        }
    }
    all
}

/// A parameter of the path.
pub fn path(name: &str, description: &str, schema: ObjectBuilder, example: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(json!(example)))
        .build()
}

/// A parameter of the query.
pub fn query(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn text(name: &str, description: &str, rule: Text) -> Parameter {
    query(name, description, limited(Type::String.into(), rule))
}

fn flag(name: &str, description: &str) -> Parameter {
    query(name, description, ObjectBuilder::new().schema_type(Type::Boolean))
}

fn integer(name: &str, description: &str) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(i64::MIN))
        .maximum(Some(i64::MAX));
    query(name, description, schema)
}

/// `pretty`, which every operation takes.
pub fn pretty() -> Parameter {
    text(
        "pretty",
        "Indent the answer: `true` or `1`. Curl, Wget and browsers get it indented unless this says `false`.",
        Text::default(),
    )
}

fn include_object() -> Parameter {
    text(
        "includeObject",
        "What stands in each row of a Table besides its cells; without a Table it means nothing.",
        Text::one_of(&["Metadata", "None", "Object"]),
    )
}

fn selectors(kind: &Kind) -> [Parameter; 2] {
    let fields = selectable(kind);
    let names = fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
    let field = fields.iter().map(|field| field.replace('.', "\\.")).collect::<Vec<_>>().join("|");
    let term = format!("({field})(=|==|!=)[^,=\\\\]*");
    let pattern = format!("^({term}(,{term})*)?$");
    let by_fields = limited(Type::String.into(), Text::default()).pattern(Some(pattern));
    [
        text(
            "labelSelector",
            "Only objects with these labels: `app=web,tier!=test`, `app in (web,api)`, `app`, `!app`.",
            Text::like(constraints::LABEL_SELECTOR),
        ),
        query(
            "fieldSelector",
            &format!("Only objects with these fields, compared with `=` and `!=`: {names}."),
            by_fields,
        ),
    ]
}

/// The fields by which a kind can be selected.
fn selectable(kind: &Kind) -> Vec<&'static str> {
    FieldSelector::fields_of(kind).0.to_vec()
}

fn pages() -> [Parameter; 4] {
    [
        integer(
            "limit",
            "The most objects of an answer. If there are more, `metadata.continue` asks for the next ones.",
        ),
        text(
            "continue",
            "Go on behind an answer, with its `metadata.continue`. All answers show the same state.",
            Text::default(),
        ),
        text(
            "resourceVersion",
            "The version of the store to show: empty is the latest, `0` any. Of a watch: send what came after it.",
            Text::like(constraints::REVISION),
        ),
        text(
            "resourceVersionMatch",
            "How `resourceVersion` is meant: exactly that version, or at least that one.",
            Text::one_of(&["", "Exact", "NotOlderThan"]),
        ),
    ]
}

fn watch() -> [Parameter; 4] {
    [
        flag("watch", "Send changes as they happen, one JSON document a line, instead of a list."),
        flag("allowWatchBookmarks", "A watch sends now and then how far it is."),
        flag(
            "sendInitialEvents",
            "A watch begins with what there is, then marks the end of that. Needs `resourceVersionMatch=NotOlderThan`.",
        ),
        integer("timeoutSeconds", "How long a watch lasts; between 30 and 60 minutes if this does not say."),
    ]
}

pub fn dry_run() -> Parameter {
    text("dryRun", "`All`: check everything and store nothing.", Text::one_of(&["All"]))
}

fn write(verb: Verb) -> Vec<Parameter> {
    let mut manager = text(
        "fieldManager",
        "Who writes, for `metadata.managedFields`. The beginning of the User-Agent if this does not say; an apply must.",
        Text::like(constraints::PRINTABLE).at_most(FIELD_MANAGER_MAX_BYTES),
    );
    if verb == Verb::Patch {
        // The one that an apply, which is offered first, cannot do without.
        manager = ParameterBuilder::from(manager).example(Some(json!("docs"))).build();
    }
    let mut all = vec![
        dry_run(),
        manager,
        text(
            "fieldValidation",
            "What becomes of fields that the kind does not have, and of duplicates: dropped (`Ignore`), dropped with a warning (`Warn`, the default), or refused (`Strict`).",
            Text::one_of(&["", "Ignore", "Warn", "Strict"]),
        ),
    ];
    if verb == Verb::Patch {
        all.push(flag("force", "An apply takes fields over from other managers. Of no other patch."));
    }
    all
}

fn delete() -> [Parameter; 5] {
    let deprecated = flag("orphanDependents", "Use `propagationPolicy`.");
    [
        dry_run(),
        text(
            "propagationPolicy",
            "What becomes of objects that this one owns: deleted afterwards (`Background`), before (`Foreground`), or kept (`Orphan`).",
            Text::one_of(&["Background", "Foreground", "Orphan"]),
        ),
        integer("gracePeriodSeconds", "Taken for Kubernetes' sake: nothing here needs time to end."),
        ParameterBuilder::from(deprecated).deprecated(Some(Deprecated::True)).build(),
        flag(
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            "Delete even what cannot be read any more, without the usual checks.",
        ),
    ]
}

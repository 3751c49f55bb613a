//! Patches that cannot be read, or not be applied.

use serde_json::{Value, json};

use super::{JSON, Row, SECRETS, check};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// The most operations of a JSON patch.
const OPERATIONS_MAX: usize = 10_000;

fn patch(what: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row::post(what, content_type, body).by("PATCH").at(format!("{SECRETS}/here"))
}

fn operations(what: &'static str, operations: &Value) -> Row {
    patch(what, JSON_PATCH, operations.to_string()).invalid()
}

#[test]
fn json_patches_that_cannot_be_applied_are_refused() {
    let operation = |operation: Value| json!([operation]);
    let many = |count: usize| Value::from(vec![json!({"op": "test", "path": "/data/k", "value": "dg=="}); count]);
    // Twenty copies of the whole into itself: 2^20 times its size.
    let bomb: Vec<Value> = (0..20)
        .map(
            |at| json!({"op": "copy", "from": "/metadata/annotations", "path": format!("/metadata/annotations/a{at}")}),
        )
        .collect();
    check(vec![
        patch("no JSON", JSON_PATCH, "["),
        patch("an object", JSON_PATCH, "{}"),
        patch("nothing", JSON_PATCH, ""),
        patch("numbers", JSON_PATCH, "[1]"),
        operations("an unknown operation", &operation(json!({"op": "bogus", "path": "/data/k"}))),
        operations("no operation", &operation(json!({"path": "/data/k", "value": "eA=="}))),
        operations("a test that fails", &operation(json!({"op": "test", "path": "/data/k", "value": "eA=="}))),
        operations("a missing path", &operation(json!({"op": "replace", "path": "/data/none", "value": "eA=="}))),
        operations("a missing parent", &operation(json!({"op": "add", "path": "/none/k", "value": "eA=="}))),
        operations("a removal of nothing", &operation(json!({"op": "remove", "path": "/data/none"}))),
        operations("a path that is no pointer", &operation(json!({"op": "add", "path": "data", "value": "eA=="}))),
        operations("a move from nowhere", &operation(json!({"op": "move", "from": "/none", "path": "/data/k"}))),
        patch("one operation too many", JSON_PATCH, many(OPERATIONS_MAX + 1).to_string())
            .is(413, "RequestEntityTooLarge"),
        operations("a test after ten thousand", &{
            let mut list = many(OPERATIONS_MAX - 1);
            list.as_array_mut().unwrap().push(json!({"op": "test", "path": "/data/k", "value": "eA=="}));
            list
        }),
        operations("copies that multiply", &{
            let mut list = vec![json!({"op": "add", "path": "/metadata/annotations", "value": {"a": "x".repeat(200)}})];
            list.extend(bomb);
            list.into()
        })
        .is(413, "RequestEntityTooLarge"),
    ]);
}

#[test]
fn merge_patches_that_make_something_bad_are_refused() {
    let mut rows = Vec::new();
    for kind in [MERGE, STRATEGIC] {
        let bad = |what, document: Value| patch(what, kind, document.to_string());
        rows.extend([
            patch("no JSON", kind, "{"),
            patch("nothing", kind, ""),
            patch("a list", kind, "[]"),
            bad("a bad key", json!({"data": {"a b": ""}})).invalid(),
            bad("a bad label", json!({"metadata": {"labels": {"a b": "c"}}})).invalid(),
            bad("another name", json!({"metadata": {"name": "other"}})),
            bad("another namespace", json!({"metadata": {"namespace": "other"}})),
            bad("another type", json!({"type": "x.dev/other"})).invalid(),
            bad("another uid", json!({"metadata": {"uid": "x"}})).invalid(),
            bad("an old revision", json!({"data": {"x": ""}, "metadata": {"resourceVersion": "1"}}))
                .is(409, "Conflict"),
            bad("an unknown field, strictly", json!({"bogus": 1}))
                .at(format!("{SECRETS}/here?fieldValidation=Strict"))
                .invalid(),
            bad("nothing to patch", json!({})).at(format!("{SECRETS}/none")).is(404, "NotFound"),
        ]);
    }
    check(rows);
}

#[test]
fn applies_that_cannot_be_read_or_merged_are_refused() {
    let path = format!("{SECRETS}/here?fieldManager=m");
    let object = |fields: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "here"}});
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        object.to_string()
    };
    let apply = |what, body: String| patch(what, APPLY, body).at(&path);
    let conflict = apply("a field of another's", object(json!({"data": {"k": "eA=="}})));
    check(vec![
        apply("no manager", object(json!({}))).at(format!("{SECRETS}/here")).invalid(),
        apply("nothing", String::new()),
        apply("text", "text".to_owned()),
        apply("a list", "- a\n".to_owned()),
        apply("broken YAML", "a: [\n".to_owned()),
        apply("no kind", json!({"metadata": {"name": "here"}}).to_string()),
        apply(
            "another kind",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "here"}}).to_string(),
        ),
        apply("another name", object(json!({"metadata": {"name": "other"}}))),
        apply("fields of managers", object(json!({"metadata": {"name": "here", "managedFields": []}}))),
        apply("an unknown field", object(json!({"bogus": 1}))),
        apply("data that is text", object(json!({"data": "x"}))),
        apply("data that is no base64", object(json!({"data": {"k": "!!!"}})))
            .at(format!("{SECRETS}/here?fieldManager=m&force=true")),
        apply("a bad key", object(json!({"data": {"a b": ""}}))).invalid(),
        apply("a namespace that is not there", object(json!({})))
            .at("/api/v1/namespaces/none/secrets/here?fieldManager=m")
            .is(404, "NotFound"),
        Row { reason: Some("Conflict"), code: 409, ..conflict },
    ]);
}

#[test]
fn patches_of_an_unknown_kind_or_with_bad_options_are_refused() {
    let merge = |what, query: &str| patch(what, MERGE, "{}").at(format!("{SECRETS}/here?{query}"));
    check(vec![
        patch("plain JSON", JSON, "{}").is(415, "UnsupportedMediaType"),
        Row { content_type: None, ..patch("no content type", JSON, "{}") }.is(415, "UnsupportedMediaType"),
        merge("an unknown dry run", "dryRun=foo").invalid(),
        merge("an unknown field validation", "fieldValidation=Nope").invalid(),
        merge("force without apply", "force=true").invalid(),
        merge("a manager that is too long", &format!("fieldManager={}", "m".repeat(129))).invalid(),
        merge("a manager that cannot be printed", "fieldManager=a%00b").invalid(),
        patch("a collection", MERGE, "{}").at(SECRETS).is(405, "MethodNotAllowed"),
    ]);
}

//! Paths, methods, selectors and options that are wrong.

use serde_json::json;

use super::{JSON, Row, SECRETS, check};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn list(what: &'static str, query: &str) -> Row {
    Row::get(what, format!("{SECRETS}?{query}"))
}

#[test]
fn lists_with_bad_options_are_refused() {
    check(vec![
        list("a limit that is no number", "limit=abc"),
        list("a limit that is too large a number", "limit=99999999999999999999"),
        list("a token that is none", "continue=abc"),
        list("a token of other bytes", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8ifQ"),
        list("a token that is too long", &format!("continue={}", "A".repeat(7_000))),
        list("a revision that is no number", "resourceVersion=abc"),
        list("a revision that is negative", "resourceVersion=-1"),
        list("an unknown match", "resourceVersion=1&resourceVersionMatch=Foo").invalid(),
        list("a match without a revision", "resourceVersionMatch=Exact").invalid(),
        list("exactly no revision", "resourceVersion=0&resourceVersionMatch=Exact").invalid(),
        list("initial events of a list", "sendInitialEvents=true").invalid(),
        list("a timeout that is none", "timeout=abc"),
        list("an unknown form of tables", "includeObject=Bad").accepting(TABLE),
        list("an encoding that is not served", "").accepting("text/html").is(406, "NotAcceptable"),
        list("a form that is not served", "").accepting("application/json;as=Foo;v=v1;g=x").is(406, "NotAcceptable"),
        list("a watch from no revision", "watch=true&resourceVersion=abc"),
        list("a watch of initial events without a match", "watch=true&sendInitialEvents=true").invalid(),
        list("a watch with a match alone", "watch=true&resourceVersionMatch=NotOlderThan&resourceVersion=1").invalid(),
        list("a watch timeout that is none", "watch=true&timeoutSeconds=abc"),
    ]);
}

#[test]
fn selectors_that_cannot_be_read_are_refused() {
    let label = |what, selector: &str| list(what, &format!("labelSelector={selector}"));
    let field = |what, selector: &str| list(what, &format!("fieldSelector={selector}"));
    check(vec![
        label("two words", "a%20b"),
        label("two signs", "a%3D%3D%3Db"),
        label("an open list", "a%20in%20(b"),
        label("no list", "a%20in%20b"),
        label("a comma alone", ","),
        label("a bad key", "%25%25%25"),
        label("a bad value", "a%3D_x"),
        label("a comparison with text", "a%3Eb"),
        label("a long key", &"a".repeat(300)),
        label("many brackets", &"(".repeat(6_000)),
        label("bytes that are no text", "%ff%fe%3Da"),
        field("no operator", "metadata.name"),
        field("an unknown field", "data.a%3Db"),
        field("an unknown operator", "metadata.name%3E1"),
        field("an escape of nothing", "metadata.name%3Da%5C"),
        Row::get("an unknown field of a role", "/apis/rbac.authorization.k8s.io/v1/roles?fieldSelector=type%3Da"),
    ]);
}

#[test]
fn paths_and_methods_that_are_not_served_are_refused() {
    let not_found = |what, path: &str| Row::get(what, path).is(404, "NotFound");
    let page = |what, path: &str| Row::get(what, path).is(404, "");
    let not_allowed = |method, path: &str| Row::get("a method", path).by(method).is(405, "MethodNotAllowed");
    let here = format!("{SECRETS}/here");
    check(vec![
        not_found("a secret that is not there", &format!("{SECRETS}/none")),
        not_found("a kind that is not served", "/api/v1/namespaces/default/configmaps"),
        not_found("a subresource that is not served", &format!("{here}/status")),
        not_found("a deeper path", &format!("{here}/a/b/c")),
        page("a group that is not served", "/apis/apps/v1/deployments"),
        page("a top-level path", "/nowhere"),
        page("a path that climbs", "/../../etc/passwd"),
        page("a path that climbs, encoded", "/swagger-ui/..%2f..%2fetc%2fpasswd"),
        Row::get("a name of two dots", format!("{SECRETS}/%2e%2e")),
        Row::get("a name with a slash", format!("{SECRETS}/a%2fb")),
        Row::get("a name with a percent sign", format!("{SECRETS}/a%25b")),
        not_allowed("PUT", SECRETS),
        not_allowed("POST", &here),
        not_allowed("POST", "/api/v1/secrets"),
        not_allowed("OPTIONS", SECRETS),
        not_allowed("DELETE", "/api/v1/namespaces"),
        not_allowed("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ]);
}

#[test]
fn writes_with_bad_options_are_refused() {
    let document = json!({"metadata": {"name": "x"}}).to_string();
    let post = |what, query: &str| Row::post(what, JSON, document.clone()).at(format!("{SECRETS}?{query}"));
    let delete = |what, query: &str, options: &str| {
        Row::post(what, JSON, options).by("DELETE").at(format!("{SECRETS}/here?{query}"))
    };
    let put = |what, document: serde_json::Value| {
        Row::post(what, JSON, document.to_string()).by("PUT").at(format!("{SECRETS}/here"))
    };
    let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    check(vec![
        post("an unknown dry run", "dryRun=foo").invalid(),
        post("an unknown field validation", "fieldValidation=Nope").invalid(),
        post("a manager that is too long", &format!("fieldManager={}", "m".repeat(129))).invalid(),
        Row::post("a namespace that is not there", JSON, document.clone())
            .at("/api/v1/namespaces/none/secrets")
            .is(404, "NotFound"),
        Row::post("a name that is taken", JSON, r#"{"metadata":{"name":"here"}}"#).is(409, "AlreadyExists"),
        delete("options that are none", "", "{"),
        delete("options of another kind", "", r#"{"kind":"Secret","apiVersion":"v1"}"#),
        delete("an unknown propagation", "propagationPolicy=Bogus", "").invalid(),
        delete("two propagations", "propagationPolicy=Orphan&orphanDependents=true", "").invalid(),
        delete("an unknown dry run", "dryRun=foo", "").invalid(),
        delete("another uid", "", r#"{"preconditions":{"uid":"x"}}"#).is(409, "Conflict"),
        delete("another revision", "", r#"{"preconditions":{"resourceVersion":"1"}}"#).is(409, "Conflict"),
        put("a revision that is no number", json!({"metadata": {"name": "here", "resourceVersion": "abc"}})),
        put("an old revision", json!({"metadata": {"name": "here", "resourceVersion": "1"}})).is(409, "Conflict"),
        put("another uid", json!({"metadata": {"name": "here", "uid": "x"}})).is(409, "Conflict"),
        put("another name", json!({"metadata": {"name": "other"}})),
        put("another type", json!({"metadata": {"name": "here"}, "type": "x.dev/other"})).invalid(),
        put("nothing to replace", json!({"metadata": {"name": "none"}}))
            .at(format!("{SECRETS}/none"))
            .is(404, "NotFound"),
        Row::get("the default namespace", "/api/v1/namespaces/default").by("DELETE").is(403, "Forbidden"),
        Row::post("a review of nothing", JSON, "{}").at(review).invalid(),
        Row::post("a review with a name", JSON, r#"{"metadata":{"name":"x"},"spec":{}}"#).at(review).invalid(),
        Row::post("a token's review without one", JSON, "{}").at("/apis/authentication.k8s.io/v1/tokenreviews"),
    ]);
}

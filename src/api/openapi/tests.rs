//! The document against the tables it is made from, and against its committed copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::{document, examples, failures, json as document_as_json};
use crate::api::request_info::{Query, request_info};
use crate::api::{audit_log, keys, session, swagger_ui};
use crate::auth::policy_problem;
use crate::codec::typed;
use crate::model::kinds::{KINDS, Kind, PASSWORD_REQUEST, REQUEST_KINDS, USER, Verb};
use crate::model::schema::{Message, Type};
use crate::model::user::User;
use crate::model::validation;
use crate::rbac::bootstrap;
use crate::sensitive::SecretBytes;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn parsed() -> Value {
    serde_json::from_slice(document_as_json()).unwrap()
}

/// Path, method and operation of each.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path} has {method}");
            all.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    all
}

fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref") {
        Some(Value::String(target)) => {
            document.pointer(target.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{target} leads nowhere"))
        }
        _ => value,
    }
}

#[test]
fn the_committed_copy_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/strongroom.json");
    let mut present = document().to_pretty_json().unwrap();
    present.push('\n');
    if std::env::var_os("STRONGROOM_ACCEPT").is_some_and(|value| value == "1") {
        std::fs::write(&path, &present).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = committed.lines().zip(present.lines()).position(|(committed, present)| committed != present);
    assert!(
        committed == present,
        "openapi/strongroom.json is out of date from line {}: run the test with STRONGROOM_ACCEPT=1, then look at the difference",
        first.unwrap_or(committed.lines().count().min(present.lines().count())) + 1
    );
}

#[test]
fn the_document_is_the_same_every_time() {
    assert_eq!(document().to_json().unwrap(), document().to_json().unwrap());
    assert_eq!(document().to_json().unwrap().as_bytes(), document_as_json().strip_suffix(b"\n").unwrap());
}

/// Group, resource, subresource, verb, and whether one namespace is meant.
type Served = (String, String, String, String, bool);

#[test]
fn every_verb_of_every_kind_has_its_operation_and_no_operation_is_without_one() {
    let mut expected = BTreeSet::new();
    for kind in KINDS {
        let mut add = |sub: &str, verb: Verb, in_namespace: bool| {
            let texts = [kind.group, kind.plural, sub, verb.as_str()].map(str::to_owned);
            let [group, resource, sub, verb] = texts;
            expected.insert((group, resource, sub, verb, in_namespace));
        };
        for verb in kind.verbs {
            add("", *verb, kind.namespaced);
            if kind.namespaced && matches!(verb, Verb::List | Verb::Watch) {
                add("", *verb, false);
            }
        }
        for sub in kind.subresources {
            sub.verbs.iter().for_each(|verb| add(sub.name, *verb, kind.namespaced));
        }
    }
    // What the server's own reader of request lines makes of each operation.
    let mut found: BTreeMap<Served, String> = BTreeMap::new();
    let document = parsed();
    for (path, method, operation) in operations(&document) {
        let concrete = path.replace("{namespace}", "default").replace("{name}", "x");
        let mut queries = vec![Query::default()];
        let takes = |name: &str| {
            operation["parameters"].as_array().unwrap().iter().any(|one| resolve(&document, one)["name"] == name)
        };
        let info = request_info(&method, &concrete, &Query::default());
        if !info.attributes.is_resource() {
            continue;
        }
        if takes("watch") {
            queries.push(Query::parse("watch=true"));
        }
        for query in queries {
            let attributes = request_info(&method, &concrete, &query).attributes;
            let in_namespace = attributes.kind.unwrap().namespaced && !attributes.namespace.is_empty();
            let served = (attributes.group, attributes.resource, attributes.subresource, attributes.verb, in_namespace);
            let other = found.insert(served, path.clone());
            assert!(other.is_none(), "{method} {path} is {other:?} again");
        }
    }
    assert_eq!(found.into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_answer_has_a_schema_and_an_example() {
    let document = parsed();
    for (path, method, operation) in operations(&document) {
        for (code, response) in operation["responses"].as_object().unwrap() {
            let response = resolve(&document, response);
            let place = format!("{method} {path} {code}");
            assert!(!response["description"].as_str().unwrap().is_empty(), "{place}");
            if matches!(code.as_str(), "301" | "304") {
                assert!(response.get("content").is_none(), "{place} has no body");
                continue;
            }
            let contents = response["content"].as_object().unwrap_or_else(|| panic!("{place} has no content"));
            let known = ["application/json", "text/plain", "application/octet-stream"];
            assert!(known.iter().any(|media_type| contents.contains_key(*media_type)), "{place}");
            for (media_type, content) in contents {
                assert!(content["schema"].is_object(), "{place} {media_type} has no schema");
                let several = content.get("examples").and_then(Value::as_object);
                let examples = several.into_iter().flatten().map(|(_, one)| &resolve(&document, one)["value"]);
                let examples: Vec<&Value> = examples.chain(content.get("example")).collect();
                assert!(!examples.is_empty(), "{place} {media_type} has no example");
                assert!(examples.iter().all(|example| !example.is_null()), "{place} {media_type}");
                if code.starts_with(['4', '5']) && contents.contains_key("application/json") {
                    let code: u16 = code.parse().unwrap();
                    assert!(examples.iter().all(|status| status["code"] == code), "{place}");
                }
            }
        }
    }
}

#[test]
fn every_request_body_has_an_example_where_text_can_be_one() {
    let document = parsed();
    let mut bodies = 0;
    for (path, method, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else { continue };
        bodies += 1;
        for (media_type, content) in body["content"].as_object().unwrap() {
            let is_binary = media_type == "application/vnd.kubernetes.protobuf";
            assert!(is_binary || content["examples"].is_object(), "{method} {path} {media_type}");
        }
    }
    assert!(bodies > 40);
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.insert(target.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = parsed();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for target in &found {
        let leads_to = document.pointer(target.strip_prefix('#').unwrap());
        assert!(leads_to.is_some_and(Value::is_object), "{target} leads nowhere");
    }
    for part in ["schemas", "examples", "responses", "parameters", "headers"] {
        for name in document["components"][part].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/{part}/{name}")), "{part}/{name} is not used");
        }
    }
}

#[test]
fn names_of_operations_and_parameters_are_unique_and_tags_are_declared() {
    let document = parsed();
    let declared: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
        let [tag] = operation["tags"].as_array().unwrap().as_slice() else { panic!("{method} {path}") };
        used.insert(tag.as_str().unwrap().to_owned());
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let parameters: Vec<&Value> = parameters.into_iter().flatten().map(|one| resolve(&document, one)).collect();
        let names: BTreeSet<String> = parameters.iter().map(|one| format!("{} {}", one["in"], one["name"])).collect();
        assert_eq!(names.len(), parameters.len(), "{method} {path}");
        let in_path: BTreeSet<&str> =
            parameters.iter().filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
        let segments = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        assert_eq!(in_path, segments.collect::<BTreeSet<_>>(), "{method} {path}");
    }
    assert_eq!(used.iter().map(String::as_str).collect::<BTreeSet<_>>(), declared);
}

#[test]
fn only_what_everyone_may_call_is_free_of_the_token() {
    let made_at_a_start = bootstrap::policy();
    let (mut free, mut either) = (Vec::new(), Vec::new());
    for (path, method, operation) in operations(&parsed()) {
        let security = operation.get("security").and_then(Value::as_array);
        let needs_token = security.is_none();
        let attributes = request_info(&method, &path, &Query::default()).attributes;
        let is_allowed = !attributes.is_resource() && made_at_a_start.allows(&User::anonymous(), &attributes);
        match security {
            None => {}
            Some(none) if none.is_empty() => free.push(path.clone()),
            Some(some) if some.contains(&json!({})) => either.push(path.clone()),
            Some(_) => panic!("{path}"),
        }
        // The document of Swagger UI's is there before anybody is asked. Everyone may try to change a password, and it is
        // that of the token.
        let is_special = [swagger_ui::DOCUMENT, "/strongroom/v1/password"].contains(&path.as_str());
        assert!(is_special || is_allowed != needs_token, "{method} {path}");
    }
    let expected = [
        "/healthz",
        "/livez",
        "/openapi/strongroom.json",
        "/readyz",
        "/strongroom/v1/login",
        "/strongroom/v1/refresh",
        "/strongroom/v1/seal-status",
        "/strongroom/v1/unseal",
        "/version",
    ];
    assert_eq!(free, expected);
    assert_eq!(either, ["/strongroom/v1/logout"]);
}

#[test]
fn a_token_is_pasted_or_got_for_a_password() {
    let document = parsed();
    assert_eq!(document["security"], json!([{"bearer": []}, {"login": []}]));
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!((&schemes["bearer"]["type"], &schemes["bearer"]["scheme"]), (&json!("http"), &json!("bearer")));
    let flow = json!({
        "password": {"tokenUrl": "/strongroom/v1/login", "refreshUrl": "/strongroom/v1/refresh", "scopes": {}},
    });
    assert_eq!((&schemes["login"]["type"], &schemes["login"]["flows"]), (&json!("oauth2"), &flow));
    for path in session::TOKEN_PATHS {
        let body = &document["paths"][path]["post"]["requestBody"]["content"];
        assert!(body["application/x-www-form-urlencoded"].is_object(), "{path}");
    }
}

#[test]
fn every_endpoint_of_our_own_is_described() {
    let document = parsed();
    let posts = session::ENDPOINTS.iter().map(|endpoint| (format!("/strongroom/v1/{endpoint}"), "post"));
    let gets = [audit_log::PATH, audit_log::VERIFY_PATH, "/.well-known/openid-configuration", "/openid/v1/jwks"];
    for (path, method) in posts.chain(gets.map(|path| (path.to_owned(), "get"))) {
        assert!(document["paths"][&path][method].is_object(), "{method} {path}");
    }
    let slot = format!("{}{{slot}}", keys::SLOTS);
    for (path, method) in [
        (keys::PATH, "get"),
        (keys::ROTATE_DATA, "post"),
        (keys::ROTATE_ROOT, "post"),
        (&slot, "put"),
        (&slot, "delete"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
}

#[test]
fn a_refusal_says_which_command_explains_it() {
    let document = parsed();
    let mut hints = 0;
    for (path, method, operation) in operations(&document) {
        let Some(forbidden) = operation["responses"].get("403") else { continue };
        let examples = &resolve(&document, forbidden)["content"]["application/json"]["examples"];
        let status = resolve(&document, &examples["anonymous"])["value"].clone();
        let cause = &status["details"]["causes"][0];
        assert_eq!(cause["reason"], "AccessHint", "{method} {path}");
        assert!(cause["message"].as_str().unwrap().contains("strongroom access explain "), "{method} {path}");
        hints += 1;
    }
    assert!(hints > 90);
}

#[test]
fn short_names_of_schemas_stand_for_one_shape_each() {
    fn collect(message: &'static Message, found: &mut BTreeMap<&'static str, &'static str>) {
        let known = found.insert(message.name, message.component);
        if let Some(known) = known {
            assert_eq!(known, message.component);
            return;
        }
        for field in message.fields {
            if let Type::Message(inner) | Type::Messages(inner, _) = field.ty {
                collect(inner, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    for kind in KINDS {
        collect(kind.message, &mut found);
    }
    let document = parsed();
    for name in found.keys() {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[test]
fn examples_are_objects_that_the_server_takes_and_returns() {
    let fits = |kind: &Kind, object: &Value| {
        let mut object = object.clone();
        assert_eq!(typed::check(kind.message, &mut object).unwrap().unknown, Vec::<String>::new(), "{}", kind.kind);
    };
    for kind in KINDS.iter().chain(REQUEST_KINDS).copied() {
        fits(kind, &examples::input(kind));
        fits(kind, &examples::output(kind));
        if kind.stored {
            fits(kind, &examples::terminating(kind));
            assert_eq!(validation::validate_create(kind, &examples::output(kind)), [], "{}", kind.kind);
            assert!(!examples::name(kind).is_empty());
        }
    }
    let password = examples::input(&PASSWORD_REQUEST)["spec"]["password"].as_str().unwrap().as_bytes().to_vec();
    assert_eq!(policy_problem(examples::name(&USER), &SecretBytes::new(password)), None);
}

#[test]
fn texts_that_other_modules_send_are_repeated_word_for_word() {
    let edge = include_str!("../../server/edge.rs");
    for text in [failures::MISDIRECTED, failures::BUSY] {
        assert!(edge.contains(&format!("\"{text}\"")), "{text}");
    }
}

#[test]
fn nothing_of_older_versions_is_left_in_it() {
    let text = std::str::from_utf8(document_as_json()).unwrap();
    assert!(text.starts_with("{\"openapi\":\"3.1.0\""));
    assert!(!text.contains("\"nullable\""));
}

//! Values are for callers who may `get` the object: whatever else they may do to it, no answer holds one, and no answer
//! depends on one.

use serde_json::{Value, json};

use super::oracles::comparable;
use crate::support::actors::{acting_as, bind, role, rule, rule_for, secrets};
use crate::support::app::App;
use crate::support::canary::Canary;
use crate::support::http::{Client, Response};
use crate::support::watch::Watch;

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const YAML: &str = "application/yaml";
/// The forms of an answer about one object.
const FORMS: [&str; 4] = [JSON, YAML, TABLE, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"];
const WRITES: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
/// Rows from which a list is written while it is sent.
const LONG: usize = 70;

/// A write: method, what follows the path of the collection, content type, body. `NAME` stands for the
/// object's name.
type Write = (&'static str, &'static str, &'static str, String);

/// A server, its administrator, and a writer who may do everything to Secrets but read them.
fn with_writer() -> (App, Client, Client) {
    let app = App::start();
    let mut admin = Client::admin(&app);
    role(&mut admin, "default", "write", &[rule(&WRITES, "", &["secrets"])]);
    bind(&mut admin, "default", "write", "Role/write", "User/writer");
    let writer = acting_as(&admin, "writer", &[]);
    (app, admin, writer)
}

/// Makes the Secret `name` with this value of `k`.
fn store(admin: &mut Client, name: &str, value: &str, more: &Value) {
    let mut object = json!({"metadata": {"name": name, "labels": {"of": name}}, "stringData": {"k": value}});
    for (field, value) in more.as_object().into_iter().flatten() {
        match field.as_str() {
            "immutable" => object[field] = value.clone(),
            _ => object["metadata"][field] = value.clone(),
        }
    }
    admin.json("POST", &secrets("default"), &object).ok();
}

/// Does it to `name`, as `accept`, with these parameters besides.
fn send(client: &mut Client, write: &Write, name: &str, accept: &str, parameters: &str) -> Response {
    let (method, path, content_type, body) = write;
    let path = format!("{}{}", secrets("default"), path.replace("NAME", name));
    let path = match (parameters, path.contains('?')) {
        ("", _) => path,
        (_, true) => format!("{path}&{parameters}"),
        (_, false) => format!("{path}?{parameters}"),
    };
    let is_list = path.contains("labelSelector");
    let accept = if is_list { accept.replace("Metadata;", "MetadataList;") } else { accept.to_owned() };
    let headers = [("Content-Type", *content_type), ("Accept", &accept)];
    let dry = if parameters.contains("dryRun") { "[\"All\"]" } else { "[]" };
    let body = body.replace("NAME", name).replace("DRY", dry);
    client.send(method, &path, &headers, body.as_bytes()).unwrap()
}

#[test]
fn answers_to_writes_hold_no_values_for_a_writer_who_may_not_read() {
    let (_app, mut admin, mut writer) = with_writer();
    let canary = Canary::new("a stored secret");
    let label = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let add = json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}]).to_string();
    let applied = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "NAME", "labels": {"a": "b"}}});
    let applied = applied.to_string();
    let put = json!({"metadata": {"name": "NAME", "labels": {"of": "NAME"}}, "data": {"other": "eA=="}}).to_string();
    // Where there is a body, Kubernetes takes all options from there.
    let foreground = r#"{"propagationPolicy": "Foreground", "dryRun": DRY}"#.to_owned();
    let none = String::new;
    let writes: [Write; 11] = [
        ("PATCH", "/NAME", JSON_PATCH, add),
        ("PATCH", "/NAME", MERGE_PATCH, label.clone()),
        // It changes nothing.
        ("PATCH", "/NAME", MERGE_PATCH, "{}".to_owned()),
        ("PATCH", "/NAME", STRATEGIC, label),
        ("PATCH", "/NAME?fieldManager=m", APPLY, applied.clone()),
        ("PATCH", "/NAME?fieldManager=m&force=true", APPLY, applied),
        ("PUT", "/NAME", JSON, put.clone()),
        ("PUT", "/NAME?fieldValidation=Ignore", JSON, put),
        ("DELETE", "/NAME", JSON, none()),
        ("DELETE", "/NAME", JSON, foreground),
        ("DELETE", "?labelSelector=of%3DNAME", JSON, none()),
    ];
    let mut count = 0;
    for write in &writes {
        for accept in FORMS {
            for parameters in ["", "includeObject=Object", "dryRun=All", "dryRun=All&includeObject=Object"] {
                // A finalizer keeps an object for the answer that its deletion gets.
                for finalizers in [json!([]), json!(["example.com/hold"])] {
                    count += 1;
                    let name = format!("s{count}");
                    let annotation = json!({"kubectl.kubernetes.io/last-applied-configuration": canary.value});
                    let more = json!({"finalizers": finalizers, "annotations": annotation});
                    store(&mut admin, &name, &canary.value, &more);
                    let about = format!("{} {} as {accept} with {parameters}", write.0, write.1);
                    let answer = send(&mut writer, write, &name, accept, parameters).ok();
                    let tries = write.0 != "DELETE" && parameters.contains("dryRun");
                    check_bare(&answer, &canary, &about, tries);
                }
            }
        }
        let name = format!("last-{count}");
        store(&mut admin, &name, &canary.value, &json!({"finalizers": ["example.com/hold"]}));
        if write.0 == "PATCH" {
            let seen = send(&mut admin, write, &name, JSON, "").ok();
            assert!(canary.find(&seen.body).is_some(), "who may read is shown the object: {}", seen.text());
        }
    }
}

/// The answer holds neither the value nor a field for values; where a value was only tried, nothing that follows from
/// it.
fn check_bare(answer: &Response, canary: &Canary, about: &str, tries: bool) {
    let text = answer.text();
    let bytes = [answer.head().as_bytes(), &answer.body].concat();
    assert!(canary.find(&bytes).is_none(), "{about}: {text}");
    let mut keys = Vec::new();
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => collect_keys(&value, &mut keys),
        Err(_) => keys.extend(text.lines().filter_map(|line| {
            let (key, _) = line.trim_start_matches([' ', '-']).split_once(':')?;
            Some(key.to_owned())
        })),
    }
    let forbidden = if tries { &["data", "stringData", "managedFields"][..] } else { &["data", "stringData"] };
    assert!(!keys.is_empty() && keys.iter().all(|key| !forbidden.contains(&key.as_str())), "{about}: {text}");
}

fn collect_keys(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                keys.push(key.clone());
                collect_keys(value, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

/// A write with a guess at the value of `k`.
type Guess<'a> = (&'a str, &'static str, &'static str, &'static str, Box<dyn Fn(&str) -> Value>);

/// What a writer who guesses is answered, for a right guess and for a wrong one: it must be the same, with `code`.
fn check_guess(admin: &mut Client, writer: &mut Client, guess: &Guess<'_>, more: &Value, accept: &str, code: u16) {
    let (what, method, path, content_type, body) = guess;
    let mut answer = |value: &str| {
        // Made anew, for an answer may say when it was made, or how often it was changed.
        admin.delete(&format!("{}/guessed", secrets("default")));
        store(admin, "guessed", "right", more);
        let write: Write = (method, path, content_type, body(value).to_string());
        let answer = send(writer, &write, "guessed", accept, "");
        assert_eq!(answer.status, code, "{what}: {}", answer.text());
        let stored = admin.get(&format!("{}/guessed", secrets("default"))).ok().json();
        // What is new with every object is put aside.
        let text = |field: &str| stored["metadata"][field].as_str().unwrap().to_owned();
        let revision = format!("\"{}\"", text("resourceVersion"));
        let new = [text("uid"), text("creationTimestamp"), revision, "\"1s\"".to_owned()];
        new.iter().fold(comparable(&answer), |text, new| text.replace(new, "\"0s\""))
    };
    assert_eq!(answer("right"), answer("wrong"), "{what} tells");
}

#[test]
fn patches_that_compare_or_copy_are_for_readers() {
    let (_app, mut admin, mut writer) = with_writer();
    let test = |value: &str| json!({"op": "test", "path": "/data/k", "value": base64(value)});
    let guesses: [Guess<'_>; 4] = [
        ("test", "PATCH", "/NAME", JSON_PATCH, Box::new(move |value| json!([test(value)]))),
        (
            "test of everything",
            "PATCH",
            "/NAME",
            JSON_PATCH,
            Box::new(|value| json!([{"op": "test", "path": "/data", "value": {"k": base64(value)}}])),
        ),
        (
            "test after other operations",
            "PATCH",
            "/NAME?dryRun=All",
            JSON_PATCH,
            Box::new(move |value| json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}, test(value)])),
        ),
        (
            "test of a copy",
            "PATCH",
            "/NAME",
            JSON_PATCH,
            Box::new(|value| {
                let to = "/metadata/annotations";
                json!([
                    {"op": "copy", "from": "/data", "path": to},
                    {"op": "test", "path": to, "value": {"k": base64(value)}},
                ])
            }),
        ),
    ];
    for guess in &guesses {
        check_guess(&mut admin, &mut writer, guess, &json!({}), JSON, 403);
    }
    for operation in ["copy", "move"] {
        let patch = json!([{"op": operation, "from": "/data/k", "path": "/metadata/annotations/k"}]);
        let patch = json!([{"op": "add", "path": "/metadata/annotations", "value": {}}, patch[0]]).to_string();
        let write: Write = ("PATCH", "/NAME", JSON_PATCH, patch);
        let refused = send(&mut writer, &write, "guessed", JSON, "");
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains("cannot get resource"), "{}", refused.text());
    }
    // Readers compare.
    let codes = ["right", "wrong"].map(|value| {
        let write: Write = ("PATCH", "/NAME", JSON_PATCH, json!([test(value)]).to_string());
        send(&mut admin, &write, "guessed", JSON, "").status
    });
    assert_eq!(codes, [200, 422]);
}

#[test]
fn an_apply_without_force_conflicts_also_when_the_guess_is_right() {
    let (_app, mut admin, mut writer) = with_writer();
    let apply = |path| -> Guess<'static> { ("apply", "PATCH", path, APPLY, Box::new(configuration)) };
    check_guess(&mut admin, &mut writer, &apply("/NAME?fieldManager=m"), &json!({}), JSON, 409);
    check_guess(&mut admin, &mut writer, &apply("/NAME?fieldManager=m&dryRun=All"), &json!({}), JSON, 409);
    // For readers it is as in Kubernetes: who applies what is there shares it.
    let right: Write = ("PATCH", "/NAME?fieldManager=m", APPLY, configuration("right").to_string());
    assert_eq!(send(&mut admin, &right, "guessed", JSON, "").status, 200);
}

#[test]
fn dry_runs_do_not_tell_whether_they_would_change_a_value() {
    let (_app, mut admin, mut writer) = with_writer();
    let data = |value: &str| json!({"data": {"k": base64(value)}});
    let with_empty_fields = |value: &str| {
        let mut whole = configuration(value);
        whole["immutable"] = Value::Null;
        whole["metadata"]["annotations"] = json!({});
        whole
    };
    let guesses: [Guess<'_>; 6] = [
        ("merge", "PATCH", "/NAME?dryRun=All", MERGE_PATCH, Box::new(data)),
        ("strategic", "PATCH", "/NAME?dryRun=All", STRATEGIC, Box::new(data)),
        (
            "replace",
            "PATCH",
            "/NAME?dryRun=All",
            JSON_PATCH,
            Box::new(|value| json!([{"op": "replace", "path": "/data/k", "value": base64(value)}])),
        ),
        ("forced apply", "PATCH", "/NAME?dryRun=All&fieldManager=m&force=true", APPLY, Box::new(configuration)),
        ("update", "PUT", "/NAME?dryRun=All", JSON, Box::new(configuration)),
        ("update with empty fields", "PUT", "/NAME?dryRun=All", JSON, Box::new(with_empty_fields)),
    ];
    for guess in &guesses {
        for accept in FORMS {
            check_guess(&mut admin, &mut writer, guess, &json!({}), accept, 200);
        }
    }
}

#[test]
fn a_write_does_not_tell_whether_it_changed_a_value() {
    let (_app, mut admin, mut writer) = with_writer();
    let data = |value: &str| json!({"data": {"k": base64(value)}});
    let guesses: [Guess<'_>; 5] = [
        ("merge", "PATCH", "/NAME?fieldManager=m", MERGE_PATCH, Box::new(data)),
        ("strategic", "PATCH", "/NAME?fieldManager=m", STRATEGIC, Box::new(data)),
        (
            "replace",
            "PATCH",
            "/NAME?fieldManager=m",
            JSON_PATCH,
            Box::new(|value| json!([{"op": "replace", "path": "/data/k", "value": base64(value)}])),
        ),
        ("forced apply", "PATCH", "/NAME?fieldManager=m&force=true", APPLY, Box::new(configuration)),
        ("update", "PUT", "/NAME?fieldManager=m", JSON, Box::new(configuration)),
    ];
    let object = format!("{}/guessed", secrets("default"));
    // Which of the writes were written, and who is said to have written what.
    let mut written = |value: &str, (what, method, path, content_type, body): &Guess<'_>, times: usize| {
        admin.delete(&object);
        store(&mut admin, "guessed", "right", &json!({}));
        let revision = |stored: &Value| stored["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let mut last = revision(&admin.get(&object).ok().json());
        let mut writes = Vec::new();
        for _ in 0..times {
            let write: Write = (method, path, content_type, body(value).to_string());
            let answer = send(&mut writer, &write, "guessed", JSON, "").ok().json();
            assert!(answer.get("data").is_none(), "{what}: {answer}");
            writes.push(std::mem::replace(&mut last, revision(&answer)) != last);
        }
        let mut stored = admin.get(&object).ok().json();
        assert_eq!(revision(&stored), last, "{what}");
        let managers = stored["metadata"]["managedFields"].as_array_mut().unwrap();
        for manager in managers.iter_mut() {
            manager["time"] = Value::Null;
        }
        // Their order is that of their times, in seconds.
        managers.sort_by_key(|manager| manager["manager"].to_string());
        (writes, Value::from(managers.clone()))
    };
    for guess in &guesses {
        for times in [1, 3] {
            let right = written("right", guess, times);
            assert_eq!(right, written("wrong", guess, times), "{} tells", guess.0);
            assert_eq!(right.0, vec![true; times], "{}: each is written", guess.0);
        }
    }
    // What names no value is written once, and who may read is told that nothing has changed.
    let label: Write = ("PATCH", "/NAME", MERGE_PATCH, json!({"metadata": {"labels": {"a": "b"}}}).to_string());
    let twice = [(); 2].map(|()| send(&mut writer, &label, "guessed", JSON, "").ok().json());
    assert_eq!(twice[0]["metadata"]["resourceVersion"], twice[1]["metadata"]["resourceVersion"]);
    let again: Write = ("PATCH", "/NAME", MERGE_PATCH, data("wrong").to_string());
    let read = send(&mut admin, &again, "guessed", JSON, "").ok().json();
    assert_eq!(read["metadata"]["resourceVersion"], twice[1]["metadata"]["resourceVersion"]);
}

#[test]
fn an_immutable_secret_does_not_tell_whether_a_guess_is_right() {
    let (_app, mut admin, mut writer) = with_writer();
    let data = |value: &str| json!({"data": {"k": base64(value)}});
    let string_data = |value: &str| json!({"stringData": {"k": value}});
    let immutable = |value: &str| {
        let mut whole = configuration(value);
        whole["immutable"] = true.into();
        whole["type"] = "Opaque".into();
        whole
    };
    let replace = |value: &str| json!([{"op": "replace", "path": "/data/k", "value": base64(value)}]);
    let whole = move |value: &str| json!([{"op": "replace", "path": "", "value": immutable(value)}]);
    let strategic = |value: &str| json!({"data": {"$patch": "replace", "k": base64(value)}});
    let guesses: [Guess<'_>; 9] = [
        ("merge", "PATCH", "/NAME", MERGE_PATCH, Box::new(data)),
        ("merge of texts", "PATCH", "/NAME", MERGE_PATCH, Box::new(string_data)),
        ("strategic", "PATCH", "/NAME", STRATEGIC, Box::new(data)),
        ("strategic replacement", "PATCH", "/NAME", STRATEGIC, Box::new(strategic)),
        ("replace", "PATCH", "/NAME", JSON_PATCH, Box::new(replace)),
        ("replacement of everything", "PATCH", "/NAME", JSON_PATCH, Box::new(whole)),
        ("apply", "PATCH", "/NAME?fieldManager=m", APPLY, Box::new(configuration)),
        ("forced apply", "PATCH", "/NAME?fieldManager=m&force=true", APPLY, Box::new(configuration)),
        ("update", "PUT", "/NAME", JSON, Box::new(immutable)),
    ];
    for guess in &guesses {
        check_guess(&mut admin, &mut writer, guess, &json!({"immutable": true}), JSON, 403);
    }
    // Labels can be changed by who may not read, too.
    let label: Write = ("PATCH", "/NAME", MERGE_PATCH, json!({"metadata": {"labels": {"a": "b"}}}).to_string());
    send(&mut writer, &label, "guessed", JSON, "").ok();
}

/// The whole object as it is stored, if the guess is right.
fn configuration(value: &str) -> Value {
    let metadata = json!({"name": "NAME", "labels": {"of": "NAME"}});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"k": base64(value)}})
}

fn base64(value: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(value)
}

/// A caller who may list and watch all Secrets and `get` the one that is named `seen`.
fn lister(admin: &mut Client) -> Client {
    let all = rule(&["list", "watch", "deletecollection"], "", &["secrets"]);
    role(admin, "default", "list", &[all, rule_for(&["get"], "", &["secrets"], &["seen"])]);
    bind(admin, "default", "list", "Role/list", "User/lister");
    acting_as(admin, "lister", &[])
}

#[test]
fn redacted_lists_hold_the_values_of_what_the_caller_may_get_and_no_others() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--redact-lists"]);
    let mut admin = Client::admin(&app);
    let (seen, unseen) = (Canary::new("what may be read"), Canary::new("what may not"));
    store(&mut admin, "seen", &seen.value, &json!({}));
    let mut lister = lister(&mut admin);
    for count in [1, LONG] {
        for number in 0..count {
            let name = format!("unseen-{count}-{number}");
            store(&mut admin, &name, &unseen.value, &json!({}));
        }
        for accept in [JSON, YAML, TABLE] {
            for query in ["", "?includeObject=Object", "?limit=500", "?fieldSelector=type%3DOpaque"] {
                let path = format!("{}{query}", secrets("default"));
                let ask = |client: &mut Client| client.send("GET", &path, &[("Accept", accept)], b"").unwrap().ok();
                let (listed, whole) = (ask(&mut lister), ask(&mut admin));
                let about = format!("{path} as {accept}, {count}");
                assert_eq!(unseen.find(&listed.body), None, "{about}");
                assert!(listed.text().contains(&format!("unseen-{count}-0")), "{about}: {}", listed.text());
                if accept != TABLE || query.contains("Object") {
                    assert!(seen.find(&listed.body).is_some() && unseen.find(&whole.body).is_some(), "{about}");
                }
            }
        }
        // Compressed.
        let headers = [("Accept", JSON), ("Accept-Encoding", "gzip")];
        let packed = lister.send("GET", &secrets("default"), &headers, b"").unwrap().ok();
        let body = unpacked(&packed);
        assert!(unseen.find(&body).is_none() && seen.find(&body).is_some());
    }
    // The answer to a deletion is redacted with and without the setting.
    let deleted = lister.delete(&secrets("default")).ok();
    assert!(unseen.find(&deleted.body).is_none() && seen.find(&deleted.body).is_some());
}

fn unpacked(answer: &Response) -> Vec<u8> {
    use std::io::Read as _;
    match answer.header("content-encoding") {
        Some("gzip") => {
            let mut body = Vec::new();
            flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut body).unwrap();
            body
        }
        _ => answer.body.clone(),
    }
}

#[test]
fn redacted_watches_hold_the_values_of_what_the_caller_may_get_and_no_others() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--redact-lists"]);
    let mut admin = Client::admin(&app);
    let lister = lister(&mut admin);
    for accept in [JSON, TABLE] {
        let (seen, unseen) = (Canary::new("what may be read"), Canary::new("what may not"));
        store(&mut admin, "seen", &seen.value, &json!({}));
        store(&mut admin, "unseen", &unseen.value, &json!({}));
        let path = format!("{}?watch=true&includeObject=Object", secrets("default"));
        let mut watch = Watch::begin(&lister, &path, accept);
        let mut events = vec![watch.line().unwrap(), watch.line().unwrap()];
        for name in ["unseen", "seen"] {
            let path = format!("{}/{name}", secrets("default"));
            admin.typed("PATCH", &path, MERGE_PATCH, br#"{"metadata":{"labels":{"a":"b"}}}"#).ok();
            admin.delete(&path).ok();
        }
        events.extend((0..4).map(|_| watch.line().unwrap()));
        for event in &events {
            let is_seen = event.contains("\"name\":\"seen\"");
            assert_eq!(unseen.find(event.as_bytes()), None, "{event}");
            assert_eq!(seen.find(event.as_bytes()).is_some(), is_seen, "{event}");
        }
        let count = |kind: &str| {
            let start = format!("{{\"type\":\"{kind}\"");
            events.iter().filter(|event| event.starts_with(&start)).count()
        };
        assert_eq!(["ADDED", "MODIFIED", "DELETED"].map(count), [2, 2, 2]);
    }
}

#[test]
fn without_the_setting_who_may_list_or_watch_may_read_as_in_kubernetes() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let canary = Canary::new("what may be listed");
    store(&mut admin, "unseen", &canary.value, &json!({}));
    let mut lister = lister(&mut admin);
    assert!(canary.find(&lister.get(&secrets("default")).ok().body).is_some());
    let mut watch = Watch::begin(&lister, &format!("{}?watch=true", secrets("default")), JSON);
    assert!(canary.find(watch.line().unwrap().as_bytes()).is_some());
    assert_eq!(lister.get(&format!("{}/unseen", secrets("default"))).status, 403);
}

//! Every operation of the OpenAPI document yields exactly one record, which says who asked for what, and what the
//! answer was.
//!
//! What it has to say is told from the path's template alone, by Kubernetes' rules, and not by the server's code.

use serde_json::{Map, Value, json};

use super::events;
use crate::support::actors::{self, PASSWORD, sign_in};
use crate::support::app::App;
use crate::support::http::{Client, Response};
use crate::support::jwt::openssl;
use crate::support::operations::{body, content_type, former_revision, make_targets, operations, paths, set_up, upper};

/// What an event must say.
#[derive(Debug, PartialEq)]
struct Said {
    user: String,
    verb: String,
    /// `null` where the path is no resource's.
    object: Value,
    path: String,
    code: u64,
}

/// A request as it is sent.
struct Request {
    client: Client,
    user: String,
    path: String,
    body: String,
}

#[test]
fn every_operation_has_exactly_one_record_with_user_verb_object_and_code() {
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &["--client-certificates"]);
    let mut admin = Client::admin(&app);
    set_up(&mut admin);
    actors::namespace(&mut admin, "doomed");
    let mut asked = Vec::new();
    for (method, template) in operations() {
        let mut request = request(&mut admin, method, &template);
        if template.ends_with("/rotate-root") {
            let key = std::fs::read_to_string(app.home().join("keys/unlock.key")).unwrap();
            request.body = json!({"keyFile": key, "drop": ["passphrase"]}).to_string();
        }
        let headers = [("Content-Type", content_type(method))];
        let headers: &[_] = if request.body.is_empty() { &[] } else { &headers };
        let answer = request.client.send(upper(method), &request.path, headers, request.body.as_bytes()).unwrap();
        let what = format!("{} {}", upper(method), request.path);
        // A term is retired a minute after it was needed at the earliest.
        let is_done = (200..300).contains(&answer.status) || template.ends_with("/kmskeys/{name}/retire");
        assert!(is_done, "{what}: {} {}", answer.status, answer.text());
        let (verb, object) = meaning(method, &template, &request.path, &answer);
        let path = request.path.split('?').next().unwrap().to_owned();
        let said = Said { user: request.user, verb, object, path, code: answer.status.into() };
        asked.push((what, answer.header("audit-id").unwrap().to_owned(), said));
        if template == "/strongroom/v1/admin/rotate" {
            app.read_kubeconfig();
            admin = Client::admin(&app);
        }
        if method == "delete" {
            make_targets(&mut admin);
        }
    }
    let events = events(&mut admin, "");
    let mut wrong = Vec::new();
    for (what, id, expected) in &asked {
        let of_it: Vec<&Value> = events.iter().filter(|event| event["auditID"] == id.as_str()).collect();
        match of_it[..] {
            [event] if event["stage"] == "ResponseComplete" => {
                let found = said(event);
                if found != *expected {
                    wrong.push(format!("{what} is recorded as {found:#?} instead of {expected:#?}"));
                }
            }
            _ => wrong.push(format!("{what} has {} records: {of_it:?}", of_it.len())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an event says. The uid of the object is its own business.
fn said(event: &Value) -> Said {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut object = event["objectRef"].clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("uid");
    }
    let path = text(&event["requestURI"]).split('?').next().unwrap().to_owned();
    let code = event["responseStatus"]["code"].as_u64().unwrap();
    Said { user: text(&event["user"]["username"]), verb: text(&event["verb"]), object, path, code }
}

/// Verb and object of a request. Kubernetes' rules: a path below `/api/VERSION/` or `/apis/GROUP/VERSION/` is a
/// resource's, any other has the method for a verb; without a name, reading is `list` and deleting `deletecollection`;
/// and a Namespace is in the namespace that it is. What was created has the name that it was given.
fn meaning(method: &str, template: &str, path: &str, answer: &Response) -> (String, Value) {
    let path = path.split('?').next().unwrap();
    // Each part of the template with what stands there in the path.
    let parts: Vec<(&str, &str)> = template.split('/').zip(path.split('/')).skip(1).collect();
    let (group, version, rest) = match parts[..] {
        [("api", _), (version, _), ref rest @ ..] if !rest.is_empty() => ("", version, rest),
        [("apis", _), (group, _), (version, _), ref rest @ ..] if !rest.is_empty() => (group, version, rest),
        _ => return (method.to_owned(), Value::Null),
    };
    let (mut namespace, rest) = match rest {
        [_, ("{namespace}", namespace), rest @ ..] => (*namespace, rest),
        _ => ("", rest),
    };
    let resource = rest[0].0;
    let named = rest.get(1).map(|(part, name)| {
        assert_eq!(*part, "{name}", "{template}");
        *name
    });
    if resource == "namespaces" {
        namespace = named.unwrap_or_default();
    }
    let verb = match (method, named) {
        ("get", None) => "list",
        ("delete", None) => "deletecollection",
        ("post", _) => "create",
        ("put", _) => "update",
        _ => method,
    };
    let made = if method == "post" { answer.json()["metadata"]["name"].as_str().map(str::to_owned) } else { None };
    let name = named.map(str::to_owned).or(made).unwrap_or_default();
    let subresource = rest.get(2).map_or("", |(part, _)| *part);
    let fields = [
        ("resource", resource),
        ("namespace", namespace),
        ("name", &name),
        ("apiGroup", group),
        ("apiVersion", version),
        ("subresource", subresource),
    ];
    let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let object: Map<String, Value> = fields.map(|(field, value)| (field.to_owned(), value.into())).collect();
    (verb.to_owned(), object.into())
}

/// A request that succeeds, and who the server knows to have sent it.
fn request(admin: &mut Client, method: &str, template: &str) -> Request {
    let path = paths(template).swap_remove(0);
    let by_admin = |path: String, body: String| Request { client: admin.another(), user: "admin".into(), path, body };
    match (method, template) {
        ("delete", "/api/v1/namespaces/{name}") => by_admin("/api/v1/namespaces/doomed".into(), String::new()),
        ("delete", template) if !template.ends_with("{name}") && !template.ends_with("{slot}") => {
            let name = if template.ends_with("/secrets") { "a" } else { "target" };
            by_admin(format!("{path}?fieldSelector=metadata.name={name}"), String::new())
        }
        (_, template) if template.ends_with("/secretrevisions/{name}") => {
            let name = former_revision(&mut admin.another(), "t");
            by_admin(path.replace("target", &name), String::new())
        }
        ("post", _) if template.ends_with("/{name}/certificate") => {
            by_admin(path, json!({"spec": {"request": certificate_request()}}).to_string())
        }
        (
            "post",
            "/strongroom/v1/login" | "/strongroom/v1/refresh" | "/strongroom/v1/logout" | "/strongroom/v1/password",
        ) => by_user(admin, path),
        // Whoever asks for the page's document is not asked who they are.
        ("get", "/openapi/strongroom.json") => {
            Request { user: "system:anonymous".into(), ..by_admin(path, String::new()) }
        }
        ("post", template) if template.ends_with("/kmskeys/{name}/decrypt") => {
            let plain = json!({"spec": {"plaintext": "c2VlZA=="}});
            let sealed = admin.another().json("POST", &path.replace("/decrypt", "/encrypt"), &plain).ok().json();
            let fields = ["ciphertext", "keyID"].map(|name| (name.to_owned(), sealed["status"][name].clone()));
            by_admin(path, json!({"spec": Map::from_iter(fields)}).to_string())
        }
        (_, template) if template.ends_with("/rotate-root") => by_admin(path, String::new()),
        _ => by_admin(path.clone(), body(method, template, &path)),
    }
}

/// A request about the session of a user who has just signed in.
fn by_user(admin: &mut Client, path: String) -> Request {
    let endpoint = path.rsplit('/').next().unwrap();
    let user = format!("user-of-{endpoint}");
    actors::user(admin, &user, &[]);
    let session = sign_in(admin, &user);
    let (client, body) = match endpoint {
        "login" => (admin.without_token(), json!({"username": user, "password": PASSWORD})),
        "refresh" => (admin.without_token(), json!({"refresh_token": session.refresh_token})),
        "password" => (session.client, json!({"old_password": PASSWORD, "new_password": "nine-horses-of-staples"})),
        _ => (session.client, json!({})),
    };
    Request { client, user, path, body: body.to_string() }
}

/// In PEM form, in base64.
fn certificate_request() -> String {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, openssl(&["genpkey", "-algorithm", "ED25519"], b"")).unwrap();
    let request = openssl(&["req", "-new", "-key", key.to_str().unwrap(), "-subj", "/CN=target"], b"");
    base64::engine::general_purpose::STANDARD.encode(request)
}

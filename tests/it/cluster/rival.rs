//! The same requests to a room and to a genuine API server: both say the same, field by field.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::actors::{bind, namespace, role, rule, rule_for, secrets, service_account};
use crate::support::apiserver::Cluster;
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

/// Longer than news take in a cluster.
const LIMIT: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PATCH: &str = "application/json-patch+json";

/// A room and a cluster.
struct Rivals {
    _running: (App, Arc<Cluster>),
    namespace: &'static str,
    room: Client,
    cluster: Client,
    differences: String,
}

impl Rivals {
    fn start(name: &'static str) -> Option<Self> {
        let cluster = Cluster::shared()?;
        let app = App::start();
        let mut rivals = Self {
            room: Client::admin(&app),
            cluster: cluster.admin(),
            _running: (app, cluster),
            namespace: name,
            differences: String::new(),
        };
        for admin in [&mut rivals.room, &mut rivals.cluster] {
            namespace(admin, name);
        }
        Some(rivals)
    }

    /// Goes on as a service account that has these rules.
    fn becomes(&mut self, account: &str, rules: &[Value], admins: &mut [Client; 2]) {
        let [room, cluster] = admins.each_mut().map(|admin| {
            role(admin, self.namespace, account, rules);
            let subject = format!("ServiceAccount/{}/{account}", self.namespace);
            bind(admin, self.namespace, account, &format!("Role/{account}"), &subject);
            service_account(admin, self.namespace, account)
        });
        (self.room, self.cluster) = (room, cluster);
        // The cluster decides by what it has heard of its roles, a moment later.
        let ask = json!({"spec": {"namespace": self.namespace}});
        let heard = eventually(LIMIT, || {
            let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
            let answer = self.cluster.json("POST", path, &ask).ok().json();
            let heard = answer["status"]["resourceRules"].as_array()?.iter();
            let same = |known: &Value| ["verbs", "resources"].iter().all(|field| known[field] == rules[0][field]);
            heard.into_iter().any(same).then_some(())
        });
        heard.expect("the role is heard of");
    }

    /// Sends the request to both, and notes what differs. The path goes on after `…/secrets`.
    fn asks(&mut self, code: u16, method: &str, path: &str, content_type: &str, body: &Value) {
        self.sends(code, method, &format!("{}{path}", secrets(self.namespace)), content_type, body);
    }

    /// The same with a whole path.
    fn sends(&mut self, code: u16, method: &str, path: &str, content_type: &str, body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let send = |client: &mut Client| {
            let answer = client.typed(method, path, content_type, body.as_bytes());
            (answer.status, plain(answer.json()))
        };
        let (ours, theirs) = (send(&mut self.room), send(&mut self.cluster));
        if ours != theirs || theirs.0 != code {
            let _ = writeln!(self.differences, "{method} {path}: {code}\n  room:    {} {}", ours.0, ours.1);
            let _ = writeln!(self.differences, "  cluster: {} {}", theirs.0, theirs.1);
        }
    }

    fn agree(&self) {
        assert!(self.differences.is_empty(), "\n{}", self.differences);
    }
}

/// Without what no two servers have in common.
fn plain(mut answer: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time", "continue"] {
                    fields.remove(name);
                }
                // What Kubernetes writes of an Event though it is empty.
                fields.retain(|name, value| match name.as_str() {
                    "eventTime" | "firstTimestamp" | "lastTimestamp" => !value.is_null(),
                    "reportingComponent" | "reportingInstance" => value != "",
                    "source" => *value != json!({}),
                    _ => true,
                });
                // They come in the order of the seconds in which they wrote.
                if let Some(managers) = fields.get_mut("managedFields").and_then(Value::as_array_mut) {
                    managers.sort_by_key(|entry| format!("{} {}", entry["operation"], entry["manager"]));
                }
                fields.values_mut().for_each(walk);
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut answer);
    // Kubernetes has managers that conflict in no order.
    let causes = answer.pointer_mut("/details/causes").and_then(Value::as_array_mut);
    if let Some(causes) = causes.filter(|causes| causes[0]["reason"] == "FieldManagerConflict") {
        causes.sort_by_key(Value::to_string);
    }
    // Which UID or revision the object has, told where another one was asked for.
    if let Some((before, after)) = answer["message"].as_str().and_then(|text| text.split_once(" in record (")) {
        let after = after.split_once(')').unwrap().1;
        answer["message"] = format!("{before} in record (…){after}").into();
    }
    // How a room says where a denial comes from is its own.
    let is_hint = answer.pointer("/details/causes/0/reason").is_some_and(|reason| reason == "AccessHint");
    if is_hint {
        answer["details"].as_object_mut().unwrap().remove("causes");
    }
    answer
}

/// An apply configuration of a Secret.
fn applied(name: &str, fields: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

#[test]
fn an_apply_owns_and_conflicts_as_in_a_cluster() {
    let Some(mut both) = Rivals::start("rival-apply") else { return };
    let db = |data: Value| applied("db", &json!({"data": data}));
    both.asks(201, "PATCH", "/db?fieldManager=one", APPLY, &db(json!({"a": "MQ==", "b": "MQ=="})));
    both.asks(200, "PATCH", "/db?fieldManager=one", APPLY, &db(json!({"a": "MQ==", "b": "MQ=="})));
    both.asks(409, "PATCH", "/db?fieldManager=two", APPLY, &db(json!({"a": "Mg=="})));
    both.asks(409, "PATCH", "/db?fieldManager=two", APPLY, &db(json!({"a": "Mg==", "b": "Mg==", "c": "Mg=="})));
    both.asks(200, "PATCH", "/db?fieldManager=two", APPLY, &db(json!({"a": "MQ==", "c": "Mg=="})));
    both.asks(409, "PATCH", "/db?fieldManager=three", APPLY, &db(json!({"a": "Mw==", "b": "Mw==", "c": "Mw=="})));
    both.asks(200, "PATCH", "/db?fieldManager=kubectl-edit", MERGE, &json!({"data": {"d": "ZA=="}}));
    both.asks(409, "PATCH", "/db?fieldManager=two", APPLY, &db(json!({"d": "Mg=="})));
    both.asks(409, "PATCH", "/db?fieldManager=two&dryRun=All", APPLY, &db(json!({"d": "Mg=="})));
    both.asks(200, "PATCH", "/db?fieldManager=two&force=true&dryRun=All", APPLY, &db(json!({"d": "Mg=="})));
    both.asks(200, "PATCH", "/db?fieldManager=two&force=true", APPLY, &db(json!({"d": "Mg=="})));
    both.asks(200, "PATCH", "/db?fieldManager=one", APPLY, &db(json!({"b": "MQ=="})));
    both.asks(200, "GET", "/db", JSON, &Value::Null);
    // What an apply must say, and what it must not.
    both.asks(422, "PATCH", "/db", APPLY, &db(json!({"a": "MQ=="})));
    both.asks(422, "PATCH", "/db?fieldManager=one", MERGE, &json!({"data": {"not a key": ""}}));
    let managed = json!({"metadata": {"name": "db", "managedFields": [{"manager": "x", "operation": "Apply"}]}});
    both.asks(400, "PATCH", "/db?fieldManager=one", APPLY, &applied("db", &managed));
    both.asks(400, "PATCH", "/db?fieldManager=one", APPLY, &applied("other", &json!({})));
    both.asks(400, "PATCH", "/db?fieldManager=one", APPLY, &json!({"metadata": {"name": "db"}}));
    let stranger = json!({"metadata": {"name": "new", "uid": "00000000-0000-0000-0000-000000000000"}});
    both.asks(409, "PATCH", "/new?fieldManager=one", APPLY, &applied("new", &stranger));
    let late = json!({"metadata": {"name": "db", "resourceVersion": "1"}});
    both.asks(409, "PATCH", "/db?fieldManager=one", APPLY, &applied("db", &late));
    let nameless = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}});
    both.asks(200, "PATCH", "/db?fieldManager=four", APPLY, &nameless);
    both.asks(400, "PATCH", "/new?fieldManager=four", APPLY, &nameless);
    both.agree();
}

#[test]
fn what_is_left_of_an_emptied_map_is_owned_as_in_a_cluster() {
    let Some(mut both) = Rivals::start("rival-emptied") else { return };
    let full = json!({"data": {"k": "dg==", "l": "bA=="}, "metadata": {"labels": {"l": "v"}, "finalizers": ["a.b/c"]}});
    let empty = json!({"data": {}, "metadata": {"labels": {}, "finalizers": []}});
    let null = json!({"data": null, "metadata": {"labels": null, "finalizers": null}});
    let (part, nothing) = (json!({"data": {"l": "bA=="}}), json!({}));
    for (at, other) in [&empty, &null, &part, &full, &nothing].into_iter().enumerate() {
        // Two appliers, and a third one who comes and goes.
        let name = format!("a{at}");
        let mut apply = |code: u16, who: &str, fields: &Value| {
            let path = format!("/{name}?fieldManager={who}&force=true");
            both.asks(code, "PATCH", &path, APPLY, &named(&name, fields));
        };
        apply(201, "one", &full);
        apply(200, "two", other);
        apply(200, "one", &nothing);
        apply(200, "one", &full);
        apply(200, "one", &empty);
        apply(200, "two", &nothing);
        apply(200, "three", &json!({"data": {"x": "eA=="}}));
        apply(200, "three", &nothing);
        both.asks(200, "GET", &format!("/{name}"), JSON, &Value::Null);
        // One who made it by a create, and owns the maps as such.
        let name = format!("b{at}");
        let apply =
            |fields: &Value| ("PATCH", format!("/{name}?fieldManager=one&force=true"), APPLY, named(&name, fields));
        let merge = |fields: &Value| ("PATCH", format!("/{name}?fieldManager=maker"), MERGE, fields.clone());
        both.asks(201, "POST", "?fieldManager=maker", JSON, &named(&name, &json!({"data": {"k": "dg=="}})));
        for (method, path, content_type, body) in [
            apply(&full),
            merge(&json!({"data": {"k": null}})),
            apply(other),
            apply(&nothing),
            merge(&json!({"data": {"y": "eQ=="}, "metadata": {"labels": {"y": "z"}}})),
            apply(&json!({"data": {"y": "eQ=="}, "metadata": {"labels": {"y": "z"}}})),
            merge(&json!({"data": {"y": null}, "metadata": {"labels": {"y": null}}})),
            apply(&nothing),
            merge(&json!({"data": null})),
        ] {
            both.asks(200, method, &path, content_type, &body);
        }
    }
    both.agree();
}

/// An apply configuration of this name.
fn named(name: &str, fields: &Value) -> Value {
    let mut object = applied(name, fields);
    object["metadata"]["name"] = name.into();
    object
}

#[test]
fn a_secret_lives_as_in_a_cluster() {
    let Some(mut both) = Rivals::start("rival-life") else { return };
    let a = |fields: &Value| applied("a", fields);
    both.asks(201, "POST", "?fieldManager=maker", JSON, &a(&json!({"stringData": {"k": "v"}, "data": {"l": "bA=="}})));
    both.asks(201, "POST", "?dryRun=All", JSON, &applied("b", &json!({"type": "made/up", "immutable": false})));
    both.asks(200, "PUT", "/a?fieldManager=maker", JSON, &a(&json!({"data": {"l": "bQ=="}})));
    both.asks(404, "PUT", "/b", JSON, &applied("b", &json!({})));
    both.asks(200, "PATCH", "/a?fieldManager=merger", MERGE, &json!({"stringData": {"k": "w"}, "data": {"l": null}}));
    let keep = json!({"metadata": {"labels": {"x": "y"}, "$retainKeys": ["labels", "name"]},
        "data": {"$patch": "replace", "m": ""}});
    both.asks(200, "PATCH", "/a?fieldManager=strategist", STRATEGIC, &keep);
    let steps = json!([{"op": "test", "path": "/metadata/labels/x", "value": "y"},
        {"op": "add", "path": "/metadata/annotations", "value": {"b/c": "d"}},
        {"op": "move", "from": "/data/m", "path": "/data/n"}]);
    both.asks(200, "PATCH", "/a?fieldManager=stepper", PATCH, &steps);
    // One who updates and one who applies are two, also under one name.
    both.asks(409, "PATCH", "/a?fieldManager=stepper", APPLY, &a(&json!({"data": {"n": "bg=="}})));
    let more = a(&json!({"data": {"n": "bg=="}, "stringData": {"o": "o"}}));
    both.asks(200, "PATCH", "/a?fieldManager=stepper&force=true", APPLY, &a(&json!({"data": {"n": "bg=="}})));
    both.asks(200, "PATCH", "/a?fieldManager=stepper", APPLY, &more);
    both.asks(200, "PATCH", "/a?fieldManager=stepper", APPLY, &a(&json!({})));
    both.asks(200, "GET", "?limit=1", JSON, &Value::Null);
    both.asks(200, "GET", "?labelSelector=x%20in%20(y,z),!w", JSON, &Value::Null);
    both.asks(422, "GET", "?resourceVersionMatch=Exact", JSON, &Value::Null);
    both.asks(422, "GET", "?resourceVersion=1&resourceVersionMatch=Whatever", JSON, &Value::Null);
    // A kind that a patch takes away is what the path says.
    both.asks(200, "PATCH", "/a", MERGE, &json!({"kind": null}));
    both.asks(200, "PATCH", "/a", PATCH, &json!([{"op": "remove", "path": "/kind"}]));
    both.asks(200, "PATCH", "/a", STRATEGIC, &json!({"kind": null}));
    for (patch, merged) in [
        (json!({"kind": null, "apiVersion": null}), 400),
        (json!({"apiVersion": null}), 400),
        (json!({"kind": "", "apiVersion": ""}), 400),
        (json!({"kind": "", "apiVersion": "v1"}), 200),
    ] {
        both.asks(merged, "PATCH", "/a", MERGE, &patch);
        both.asks(200, "PATCH", "/a", STRATEGIC, &patch);
    }
    both.asks(400, "PATCH", "/a", PATCH, &json!([{"op": "remove", "path": "/apiVersion"}]));
    both.asks(400, "PATCH", "/a", PATCH, &json!([{"op": "replace", "path": "/apiVersion", "value": ""}]));
    both.asks(422, "PATCH", "/a", MERGE, &json!({"metadata": {"finalizers": ["plain"]}}));
    both.asks(200, "PATCH", "/a", MERGE, &json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    both.asks(200, "DELETE", "/a", JSON, &Value::Null);
    both.asks(200, "GET", "/a", JSON, &Value::Null);
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    both.asks(422, "PATCH", "/a", MERGE, &more);
    both.asks(409, "POST", "", JSON, &a(&json!({})));
    both.asks(200, "PATCH", "/a", MERGE, &json!({"metadata": {"finalizers": null}}));
    both.asks(404, "GET", "/a", JSON, &Value::Null);
    let too_much = STANDARD.encode(vec![b'x'; 1024 * 1024 + 1]);
    both.asks(422, "POST", "", JSON, &a(&json!({"data": {"k": too_much}})));
    both.asks(200, "DELETE", "?labelSelector=x%3Dy", JSON, &Value::Null);
    both.agree();
}

/// Not here, because Kubernetes 1.34 words it otherwise than 1.32, as which a room answers: `dryRun=Some` (how the list is
/// printed) and owner references without a name (`must not be empty`).
#[test]
fn what_is_refused_is_refused_in_the_words_of_a_cluster() {
    let Some(mut both) = Rivals::start("rival-refusals") else { return };
    let named = |name: &str| json!({"metadata": {"name": name}});
    both.asks(201, "POST", "", JSON, &json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}}));
    both.asks(409, "POST", "", JSON, &named("a"));
    both.asks(422, "POST", "", JSON, &named("Not_A_Name"));
    both.asks(422, "POST", "", JSON, &json!({"metadata": {}}));
    both.asks(422, "POST", "", JSON, &json!({"metadata": {"name": "b"}, "data": {"not a key": ""}}));
    both.asks(422, "POST", "", JSON, &json!({"metadata": {"name": "b"}, "data": {"..": ""}}));
    both.asks(400, "POST", "", JSON, &json!({"metadata": {"name": "b"}, "data": {"k": "no base64"}}));
    both.asks(422, "POST", "", JSON, &json!({"metadata": {"name": "b"}, "type": "kubernetes.io/tls"}));
    both.asks(422, "POST", "", JSON, &json!({"metadata": {"name": "b"}, "type": "kubernetes.io/basic-auth"}));
    both.asks(422, "POST", "", JSON, &json!({"metadata": {"name": "b", "labels": {"-": "no label"}}}));
    both.asks(400, "POST", "", JSON, &json!({"metadata": {"name": "b", "namespace": "elsewhere"}}));
    both.asks(400, "POST", "?fieldValidation=Strict", JSON, &json!({"metadata": {"name": "b"}, "date": {}}));
    both.asks(422, "POST", "?fieldValidation=Sometimes", JSON, &named("b"));
    both.asks(404, "GET", "/b", JSON, &Value::Null);
    both.asks(404, "DELETE", "/b", JSON, &Value::Null);
    both.asks(404, "PATCH", "/b", MERGE, &json!({}));
    both.asks(404, "PUT", "/b", JSON, &json!({"metadata": {"name": "b", "resourceVersion": "1"}}));
    both.asks(400, "PUT", "/a", JSON, &named("b"));
    both.asks(400, "PUT", "/a", JSON, &json!({"metadata": {}}));
    both.asks(409, "PUT", "/a", JSON, &json!({"metadata": {"name": "a", "resourceVersion": "1"}}));
    both.asks(422, "PUT", "/a", JSON, &json!({"metadata": {"name": "a"}, "type": "another"}));
    both.asks(422, "PATCH", "/a", MERGE, &json!({"type": "another"}));
    both.asks(422, "PATCH", "/a", PATCH, &json!([{"op": "test", "path": "/type", "value": "another"}]));
    both.asks(422, "PATCH", "/a", PATCH, &json!([{"op": "remove", "path": "/metadata/labels"}]));
    both.asks(422, "PATCH", "/a", PATCH, &json!([{"op": "replace"}]));
    both.asks(400, "PATCH", "/a", PATCH, &json!([{"op": "remove", "path": "/metadata/name"}]));
    both.asks(400, "PATCH", "/a", MERGE, &json!({"metadata": {"name": null}}));
    both.asks(400, "PATCH", "/a", MERGE, &json!({"metadata": {"name": "b"}}));
    both.asks(400, "PATCH", "/a", MERGE, &json!({"metadata": null}));
    both.asks(400, "PATCH", "/a", STRATEGIC, &json!({"metadata": {"labels": {}, "$retainKeys": ["labels"]}}));
    both.asks(200, "PATCH", "/a", MERGE, &json!({"metadata": {"namespace": null, "uid": null}}));
    both.asks(400, "PATCH", "/a", MERGE, &json!([]));
    both.asks(415, "PATCH", "/a", JSON, &json!({}));
    both.asks(200, "PATCH", "/a", MERGE, &json!({"immutable": true}));
    both.asks(422, "PATCH", "/a", MERGE, &json!({"data": {"k": "dw=="}}));
    both.asks(422, "PATCH", "/a", MERGE, &json!({"immutable": null}));
    both.asks(400, "GET", "?labelSelector=a%20b%20c", JSON, &Value::Null);
    both.asks(400, "GET", "?fieldSelector=data%3Dx", JSON, &Value::Null);
    both.asks(200, "GET", "?fieldSelector=metadata.name%3Da,type%3DOpaque", JSON, &Value::Null);
    both.asks(405, "PUT", "", JSON, &named("a"));
    for preconditions in [json!({"uid": "00000000-0000-0000-0000-000000000000"}), json!({"resourceVersion": "1"})] {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions});
        both.asks(409, "DELETE", "/a", JSON, &options);
    }
    both.asks(200, "DELETE", "/a", JSON, &Value::Null);
    both.agree();
}

#[test]
fn a_role_for_names_lets_an_apply_create_and_nothing_else() {
    let Some(mut both) = Rivals::start("rival-names") else { return };
    let mut admins = [both.room.another(), both.cluster.another()];
    let own = |verbs: &[&str]| rule_for(verbs, "", &["secrets"], &["db"]);
    let db = applied("db", &json!({"data": {"k": "dg=="}}));
    let all = |both: &mut Rivals, codes: [u16; 7]| {
        both.asks(codes[0], "PATCH", "/db?fieldManager=x", APPLY, &db);
        both.asks(codes[1], "POST", "", JSON, &db);
        both.asks(codes[2], "PATCH", "/other?fieldManager=x", APPLY, &applied("other", &json!({})));
        both.asks(codes[3], "GET", "/db", JSON, &Value::Null);
        both.asks(codes[4], "GET", "", JSON, &Value::Null);
        both.asks(codes[5], "GET", "?fieldSelector=metadata.name%3Ddb", JSON, &Value::Null);
        both.asks(codes[6], "DELETE", "/db", JSON, &Value::Null);
    };
    both.becomes("nobody", &[rule(&["get"], "", &["configmaps"])], &mut admins);
    all(&mut both, [403; 7]);
    both.becomes("patcher", &[own(&["get", "patch"])], &mut admins);
    all(&mut both, [403, 403, 403, 404, 403, 403, 403]);
    both.becomes("applier", &[own(&["get", "create", "patch"])], &mut admins);
    all(&mut both, [201, 403, 403, 200, 403, 403, 403]);
    both.becomes("lister", &[own(&["list", "delete"])], &mut admins);
    all(&mut both, [403, 403, 403, 403, 403, 200, 200]);
    both.becomes("creator", &[rule(&["create"], "", &["secrets"])], &mut admins);
    all(&mut both, [403, 201, 403, 403, 403, 403, 403]);
    both.agree();
}

#[test]
fn events_are_those_of_a_cluster() {
    let Some(mut both) = Rivals::start("rival-events") else { return };
    let events = "/api/v1/namespaces/rival-events/events";
    let event = |name: &str, fields: &Value| {
        let mut event = json!({
            "kind": "Event", "apiVersion": "v1", "metadata": {"name": name},
            "involvedObject": {"kind": "Secret", "apiVersion": "v1", "namespace": "rival-events", "name": "db"},
            "reason": "Looked", "message": "somebody looked", "type": "Normal", "source": {"component": "looker"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z", "count": 3,
        });
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let timed = |name: &str, fields: &Value| {
        let mut event = json!({
            "kind": "Event", "apiVersion": "v1", "metadata": {"name": name},
            "involvedObject": {"namespace": "rival-events"}, "eventTime": "2026-01-01T00:00:00.000001+01:00",
            "reportingComponent": "a.b/c", "reportingInstance": "c-0", "action": "Look", "reason": "Looked",
            "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"},
        });
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let one = format!("{events}/a.1");
    for (code, event) in [
        (201, event("a.1", &json!({}))),
        (409, event("a.1", &json!({}))),
        (201, timed("A_name.2", &json!({}))),
        (422, event("a.3", &json!({"involvedObject": {"namespace": "default"}}))),
        (422, event("a.3", &json!({"involvedObject": {}}))),
        (422, event("a.3", &json!({"involvedObject": null}))),
        (422, event("a/3", &json!({}))),
        (422, timed("a.3", &json!({"action": "a".repeat(129), "reason": "", "message": "m".repeat(1025)}))),
        (422, timed("a.3", &json!({"reportingComponent": "not/a/name", "reportingInstance": null}))),
        (422, timed("a.3", &json!({"reportingComponent": ""}))),
        (201, timed("a.3", &json!({"involvedObject": {"namespace": "elsewhere"}}))),
        (422, event("a.4", &json!({"metadata": {"name": "a.4", "labels": {"a": "_"}}}))),
        (201, event("a.5", &json!({"type": "Odd", "count": -1, "related": {"name": "x"}}))),
    ] {
        both.sends(code, "POST", &format!("{events}?fieldManager=m"), JSON, &event);
    }
    both.sends(200, "PATCH", &format!("{one}?fieldManager=m"), MERGE, &json!({"count": 4, "message": "again"}));
    both.sends(
        200,
        "PATCH",
        &format!("{one}?fieldManager=s"),
        STRATEGIC,
        &json!({"series": {"count": 4, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}),
    );
    both.sends(422, "PATCH", &one, MERGE, &json!({"involvedObject": {"namespace": "other"}}));
    both.sends(200, "PUT", &format!("{one}?fieldManager=m"), JSON, &event("a.1", &json!({"type": "Warning"})));
    both.sends(201, "PUT", &format!("{events}/new?fieldManager=m"), JSON, &event("new", &json!({})));
    // What a PUT makes is what the path says, for that is what was allowed.
    both.sends(400, "PUT", &format!("{events}/other"), JSON, &event("a.9", &json!({})));
    both.sends(400, "PUT", &format!("{events}/other"), JSON, &json!({"metadata": {}}));
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/rival-events/roles";
    both.sends(400, "PUT", &format!("{roles}/other"), JSON, &json!({"metadata": {"name": "one"}, "rules": []}));
    both.sends(200, "PATCH", &format!("{one}?fieldManager=x&force=true"), APPLY, &event("a.1", &json!({"count": 9})));
    both.sends(200, "GET", &one, JSON, &Value::Null);
    for selector in ["involvedObject.name=db", "source=looker,type!=Odd", "reportingComponent=a.b/c", "reason=None"] {
        both.sends(200, "GET", &format!("{events}?fieldSelector={selector}"), JSON, &Value::Null);
    }
    both.sends(400, "GET", &format!("{events}?fieldSelector=message=a"), JSON, &Value::Null);
    both.sends(200, "DELETE", &one, JSON, &Value::Null);
    both.sends(404, "GET", &one, JSON, &Value::Null);
    both.agree();
}

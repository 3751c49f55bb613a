//! Canaries: a value goes in by every way there is, accepted and refused, and is then looked for everywhere.
//!
//! The only place where it may be found is the answer to a permitted read or write that succeeded.

use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::canary::{Canary, found, found_in_files};
use crate::support::http::{Client, Response};
use crate::support::kubectl;
use crate::support::person::{Ended, Person};
use crate::support::protobuf;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const KEYS: &str = "/strongroom/v1/keys";
/// A list of versions holds no values.
const REVISIONS: &str = "/apis/strongroom.dev/v1alpha1/secretrevisions?fieldSelector=spec.secretName%3Da";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// What was planted, and every answer that must not show it.
struct Planter {
    client: Client,
    canaries: Vec<Canary>,
    refusals: Vec<(&'static str, Response)>,
}

impl Planter {
    fn new(app: &App) -> Self {
        Self { client: Client::admin(app), canaries: Vec::new(), refusals: Vec::new() }
    }

    fn canary(&mut self, planted: &'static str) -> &Canary {
        self.canaries.push(Canary::new(planted));
        self.canaries.last().unwrap()
    }

    /// A write that succeeds. `body` makes its text from the canary.
    fn accepted(
        &mut self,
        what: &'static str,
        (method, path, content_type): (&str, &str, &str),
        body: impl Fn(&Canary) -> Vec<u8>,
    ) {
        let body = body(self.canary(what));
        let response = self.client.typed(method, path, content_type, &body);
        assert!((200..300).contains(&response.status), "{what}: {} {}", response.status, response.text());
    }

    /// A write that is refused, and must not say why with the value.
    fn refused(
        &mut self,
        what: &'static str,
        (method, path, content_type): (&str, &str, &str),
        body: impl Fn(&Canary) -> Vec<u8>,
    ) {
        let body = body(self.canary(what));
        let response = self.client.typed(method, path, content_type, &body);
        assert!((400..500).contains(&response.status), "{what}: {} {}", response.status, response.text());
        self.refusals.push((what, response));
    }
}

fn secret(name: &str, fields: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

#[test]
fn a_secret_value_is_found_nowhere_but_in_the_answers_to_its_readers() {
    // What is logged at most is searched, too.
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    let mut planter = Planter::new(&app);
    plant_what_is_accepted(&mut planter);
    plant_what_is_refused(&mut planter);
    plant_what_is_no_document(&app, &mut planter);
    plant_with_kubectl(&app, &mut planter);
    read_everything(&mut planter);

    let mut leaks = Vec::new();
    for (what, response) in &planter.refusals {
        leaks.extend(found(&planter.canaries, &response.body, &format!("the answer to {what}")));
        leaks.extend(found(&planter.canaries, response.head().as_bytes(), &format!("the headers to {what}")));
    }
    for path in ["/metrics", "/readyz?verbose", "/livez?verbose", "/version", "/openapi/v3", "/api/v1", REVISIONS] {
        leaks.extend(found(&planter.canaries, &planter.client.get(path).body, path));
    }
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{}/{file}", app.pid())).unwrap_or_default();
        leaks.extend(found(&planter.canaries, &bytes, file));
    }
    // While it runs: with the write-ahead log. Then after a kill, a start that recovers, and a clean stop.
    leaks.extend(found_in_files(&planter.canaries, app.home()));
    leaks.extend(found_in_files(&planter.canaries, app.logs()));
    let log = app.log();
    assert!(log.contains("ready"), "the log is not where it is searched: {log}");
    app = App::start_in(app.kill(), &["--log", "trace"]);
    leaks.extend(found_in_files(&planter.canaries, app.home()));
    assert_eq!(app.stop(), Some(0));
    leaks.extend(found_in_files(&planter.canaries, app.home()));
    leaks.extend(found_in_files(&planter.canaries, app.logs()));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn the_administrators_token_is_in_its_kubeconfig_alone() {
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    let mut client = Client::admin(&app);
    client.get(SECRETS).ok();
    let answer = client.get("/apis/authentication.k8s.io/v1/nowhere");
    let token = [Canary::of("the token", app.token.clone())];
    let mut leaks = found(&token, &answer.body, "an answer");
    leaks.extend(found(&token, &client.get("/metrics").body, "/metrics"));
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{}/{file}", app.pid())).unwrap_or_default();
        leaks.extend(found(&token, &bytes, file));
    }
    leaks.extend(found_in_files(&token, app.logs()));
    let kubeconfig = app.kubeconfig().display().to_string();
    let mut in_home = found_in_files(&token, app.home());
    let everywhere = in_home.len();
    in_home.retain(|leak| !leak.contains(&kubeconfig));
    assert_eq!(everywhere, in_home.len() + 1, "the search does not find what is there");
    leaks.extend(in_home);
    assert_eq!(app.stop(), Some(0));
    leaks.extend(found_in_files(&token, app.logs()));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

fn plant_what_is_accepted(planter: &mut Planter) {
    let post = |content_type| ("POST", SECRETS, content_type);
    planter.accepted("data in JSON", post(JSON), |c| bytes(&secret("a", &json!({"data": {"k": c.base64()}}))));
    planter.accepted("stringData in JSON", post(JSON), |c| bytes(&secret("b", &json!({"stringData": {"k": c.value}}))));
    planter.accepted("data in YAML", post(YAML), |c| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: c}}\ndata:\n  k: {}\n", c.base64()).into_bytes()
    });
    planter.accepted("stringData in YAML", post(YAML), |c| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: d}}\nstringData:\n  k: |\n    {}\n", c.value)
            .into_bytes()
    });
    planter.accepted("data in protobuf", post(PROTOBUF), |c| protobuf::secret("e", &[("k", c.value.as_bytes())]));
    planter.accepted("an annotation", post(JSON), |c| {
        bytes(&secret("f", &json!({"metadata": {"name": "f", "annotations": {"note": c.value}}})))
    });
    planter.accepted("a label", post(JSON), |c| {
        bytes(&secret("g", &json!({"metadata": {"name": "g", "labels": {"l": c.value}}})))
    });
    planter.accepted("a type", post(JSON), |c| bytes(&secret("h", &json!({"type": format!("x.dev/{}", c.value)}))));
    planter.accepted("a replacement", ("PUT", &format!("{SECRETS}/a"), JSON), |c| {
        bytes(&secret("a", &json!({"data": {"k": c.base64()}})))
    });
    for (what, content_type) in [("a merge patch", MERGE), ("a strategic merge patch", STRATEGIC)] {
        planter.accepted(what, ("PATCH", &format!("{SECRETS}/b"), content_type), |c| {
            bytes(&json!({"data": {"k": c.base64()}}))
        });
    }
    planter.accepted("a JSON patch", ("PATCH", &format!("{SECRETS}/c"), JSON_PATCH), |c| {
        bytes(&json!([{"op": "replace", "path": "/data/k", "value": c.base64()}]))
    });
    planter.accepted("an apply", ("PATCH", &format!("{SECRETS}/i?fieldManager=m"), APPLY), |c| {
        bytes(&secret("i", &json!({"data": {"k": c.base64()}})))
    });
    planter.accepted("a dry run", ("POST", &format!("{SECRETS}?dryRun=All"), JSON), |c| {
        bytes(&secret("j", &json!({"data": {"k": c.base64()}})))
    });
    planter.accepted("a key pair that does not parse", post(JSON), |c| {
        let data = json!({"tls.crt": c.base64(), "tls.key": c.base64()});
        bytes(&secret("k", &json!({"type": "kubernetes.io/tls", "data": data})))
    });
    planter.accepted("a deleted secret", post(JSON), |c| bytes(&secret("l", &json!({"data": {"k": c.base64()}}))));
    // The name of a key is recorded with who changed it.
    planter.accepted("a key of a changed secret", ("PATCH", &format!("{SECRETS}/l"), MERGE), |c| {
        bytes(&json!({"data": {&c.value: "eA=="}}))
    });
    planter.client.delete(&format!("{SECRETS}/l")).ok();
    planter.accepted("a passphrase", ("PUT", &format!("{KEYS}/slots/passphrase"), JSON), |c| {
        bytes(&json!({"secret": c.value}))
    });
    // With a new data key everything is written once more.
    planter.accepted("a field nobody knows", ("POST", &format!("{KEYS}/rotate-data"), JSON), |c| {
        bytes(&json!({"bogus": c.value}))
    });
    let selector = planter.canary("a selector").value.clone();
    planter.client.get(&format!("{SECRETS}?labelSelector=l%3D{selector}&fieldSelector=type%3D{selector}")).ok();
}

fn plant_what_is_refused(planter: &mut Planter) {
    let post = |content_type| ("POST", SECRETS, content_type);
    let strict = format!("{SECRETS}?fieldValidation=Strict");
    let data = |c: &Canary| json!({"k": c.base64()});
    let text = |document: String| document.into_bytes();
    planter.refused("JSON that ends early", post(JSON), |c| text(format!("{{\"data\":{{\"k\":\"{}", c.base64())));
    planter.refused("JSON with no key", post(JSON), |c| text(format!("{{\"data\":{{\"k\":\"{}\",}}}}", c.base64())));
    planter.refused("a bare string", post(JSON), |c| text(format!("\"{}\"", c.value)));
    planter.refused("no JSON at all", post(JSON), |c| text(c.value.clone()));
    planter
        .refused("bad base64", post(JSON), |c| bytes(&secret("x", &json!({"data": {"k": format!("{}!", c.value)}}))));
    planter.refused("data as text", post(JSON), |c| bytes(&secret("x", &json!({"data": c.value}))));
    planter.refused("data as a list", post(JSON), |c| bytes(&secret("x", &json!({"data": [c.value]}))));
    planter.refused("immutable as text", post(JSON), |c| bytes(&secret("x", &json!({"immutable": c.value}))));
    planter.refused("metadata as text", post(JSON), |c| bytes(&secret("x", &json!({"metadata": c.value}))));
    planter.refused("a bad key", post(JSON), |c| bytes(&secret("x", &json!({"data": {"a b": c.base64()}}))));
    planter.refused("a bad name", post(JSON), |c| bytes(&secret("A B", &json!({"data": data(c)}))));
    planter.refused("an unknown field", ("POST", &strict, JSON), |c| {
        bytes(&secret("x", &json!({"data": data(c), "bogus": c.value})))
    });
    planter.refused("a duplicate field", ("POST", &strict, JSON), |c| {
        text(format!(
            "{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"x\"}},\
             \"data\":{{\"k\":\"{0}\",\"k\":\"{0}\"}}}}",
            c.base64()
        ))
    });
    planter.refused("YAML that does not parse", post(YAML), |c| text(format!("data:\n  k: {}\n bad: [\n", c.base64())));
    planter.refused("YAML with tabs", post(YAML), |c| text(format!("data:\n\tk: {}\n", c.value)));
    planter.refused("YAML that is text", post(YAML), |c| text(c.value.clone()));
    planter.refused("a duplicate in YAML", ("POST", &strict, YAML), |c| {
        text(format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\ndata:\n  k: {0}\n  k: {0}\n", c.base64()))
    });
    planter.refused("no protobuf", post(PROTOBUF), |c| text(c.value.clone()));
    planter.refused("protobuf that ends early", post(PROTOBUF), |c| {
        let whole = protobuf::secret("x", &[("k", c.value.as_bytes())]);
        whole[..whole.len() - 3].to_vec()
    });
    planter.refused("no Docker configuration", post(JSON), |c| {
        let data = json!({".dockerconfigjson": c.base64()});
        bytes(&secret("x", &json!({"type": "kubernetes.io/dockerconfigjson", "data": data})))
    });
    planter.refused("an incomplete key pair", post(JSON), |c| {
        bytes(&secret("x", &json!({"type": "kubernetes.io/tls", "data": {"tls.key": c.base64()}})))
    });
    planter.refused("a name that is taken", post(JSON), |c| bytes(&secret("a", &json!({"data": data(c)}))));
    planter.refused("a conflict", ("PUT", &format!("{SECRETS}/a"), JSON), |c| {
        bytes(&secret("a", &json!({"metadata": {"name": "a", "resourceVersion": "1"}, "data": data(c)})))
    });
    planter.refused("an unknown type of body", post("text/plain"), |c| bytes(&secret("x", &json!({"data": data(c)}))));
    planter.refused("a body that is too large", post(JSON), |c| {
        text(format!("{{\"data\":{{\"k\":\"{}", c.base64().repeat(160_000)))
    });
    planter.refused("a value that is too large", post(JSON), |c| {
        let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, c.value.repeat(60_000));
        bytes(&secret("x", &json!({"data": {"k": value}})))
    });
    let a = format!("{SECRETS}/a");
    let patch = |content_type| ("PATCH", a.as_str(), content_type);
    planter.refused("a test that fails", patch(JSON_PATCH), |c| {
        bytes(&json!([{"op": "test", "path": "/data/k", "value": c.base64()}]))
    });
    planter.refused("a path that is missing", patch(JSON_PATCH), |c| {
        bytes(&json!([{"op": "replace", "path": "/data/none", "value": c.base64()}]))
    });
    planter.refused("an unknown operation", patch(JSON_PATCH), |c| {
        bytes(&json!([{"op": c.value, "path": "/data/k", "value": c.value}]))
    });
    for (what, content_type) in [("a bad key by merge patch", MERGE), ("a bad key by strategic merge patch", STRATEGIC)]
    {
        planter.refused(what, patch(content_type), |c| bytes(&json!({"data": {"a b": c.base64()}})));
    }
    for (what, content_type) in
        [("bad base64 by merge patch", MERGE), ("bad base64 by strategic merge patch", STRATEGIC)]
    {
        planter.refused(what, patch(content_type), |c| bytes(&json!({"data": {"k": format!("{}!", c.value)}})));
    }
    planter.refused("a patch that is no JSON", patch(MERGE), |c| text(format!("{{\"data\":{}", c.value)));
    let strict = format!("{a}?fieldValidation=Strict");
    for (what, content_type) in
        [("an unknown field by merge patch", MERGE), ("the same by strategic merge patch", STRATEGIC)]
    {
        planter.refused(what, ("PATCH", &strict, content_type), |c| bytes(&json!({"data": data(c), "bogus": c.value})));
    }
    planter.refused("an unknown field by JSON patch", ("PATCH", &strict, JSON_PATCH), |c| {
        bytes(&json!([{"op": "add", "path": "/data/k", "value": c.base64()}, {"op": "add", "path": "/bogus", "value": c.value}]))
    });
    let apply = format!("{a}?fieldManager=m");
    planter.refused("an apply with an unknown field", ("PATCH", &apply, APPLY), |c| {
        bytes(&secret("a", &json!({"data": data(c), "bogus": c.value})))
    });
    planter.refused("an apply that conflicts", ("PATCH", &apply, APPLY), |c| {
        bytes(&secret("a", &json!({"data": data(c)})))
    });
    for (what, slot) in [("a key that is none", "key-file"), ("a recovery key that is none", "recovery-key")] {
        planter.refused(what, ("PUT", &format!("{KEYS}/slots/{slot}"), JSON), |c| bytes(&json!({"secret": c.value})));
    }
    planter.refused("a passphrase that is not the one", ("POST", &format!("{KEYS}/rotate-root"), JSON), |c| {
        bytes(&json!({"passphrase": c.value, "drop": ["key-file"], "force": true}))
    });
    planter.refused("a passphrase in the way of another", ("PUT", &format!("{KEYS}/slots/passphrase"), JSON), |c| {
        bytes(&json!({"secret": c.value}))
    });
    planter.refused("an apply of text", ("PATCH", &apply, APPLY), |c| text(c.value.clone()));
    planter.refused("an apply with bad base64", ("PATCH", &apply, APPLY), |c| {
        bytes(&secret("a", &json!({"data": {"k": format!("{}!", c.value)}})))
    });
    planter.client.json("POST", SECRETS, &secret("frozen", &json!({"immutable": true, "data": {"k": "eA=="}}))).ok();
    planter.refused("a change of what is immutable", ("PATCH", &format!("{SECRETS}/frozen"), MERGE), |c| {
        bytes(&json!({"data": data(c)}))
    });
}

fn plant_what_is_no_document(app: &App, planter: &mut Planter) {
    let mut stranger = Client::anonymous(app);
    for (what, scheme) in [("a bearer token", "Bearer sr_"), ("a basic credential", "Basic ")] {
        let credential = format!("{scheme}{}", planter.canary(what).value);
        let answer = stranger.send("GET", SECRETS, &[("Authorization", &credential)], b"").unwrap();
        assert!(matches!(answer.status, 401 | 403), "{what}: {}", answer.status);
        planter.refusals.push((what, answer));
    }
    let value = planter.canary("an anonymous write").base64();
    let answer = stranger.json("POST", SECRETS, &secret("x", &json!({"data": {"k": value}})));
    assert_eq!(answer.status, 403);
    planter.refusals.push(("an anonymous write", answer));
    let value = planter.canary("a token in the address").value.clone();
    let answer = stranger.get(&format!("{SECRETS}?access_token={value}"));
    assert_eq!(answer.status, 403);
    planter.refusals.push(("a token in the address", answer));
    let value = planter.canary("a body that never ends").value.clone();
    let head = planter.client.head("POST", SECRETS, &[("Content-Type", JSON), ("Content-Length", "100000")]);
    let mut connection = planter.client.connect().unwrap();
    connection.write(format!("{head}{{\"data\":\"{value}").as_bytes()).unwrap();
    drop(connection);
}

/// With kubectl's own bodies: protobuf, and the annotation that holds the whole manifest once more.
fn plant_with_kubectl(app: &App, planter: &mut Planter) {
    for (at, kubectl) in kubectl::all().iter().enumerate() {
        let name = format!("kubectl-{at}");
        let value = planter.canary("kubectl create").value.clone();
        kubectl.feed(app, &["create", "secret", "generic", &name, "--from-file=k=/dev/stdin"], &value).ok();
        let name = format!("applied-{at}");
        for _ in 0..2 {
            let value = planter.canary("kubectl apply").value.clone();
            let manifest = secret(&name, &json!({"stringData": {"k": value}})).to_string();
            kubectl.feed(app, &["apply", "-f", "-"], &manifest).ok();
        }
        let value = planter.canary("kubectl apply --server-side").base64();
        let manifest = secret(&name, &json!({"data": {"s": value}})).to_string();
        kubectl.feed(app, &["apply", "--server-side", "--force-conflicts", "-f", "-"], &manifest).ok();
    }
}

/// Values are served to those who may read them, in every form; without this the search would prove nothing.
fn read_everything(planter: &mut Planter) {
    let mut answers = Vec::new();
    for accept in [
        JSON,
        YAML,
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    ] {
        let path = format!("{SECRETS}?includeObject=Object");
        let answer = planter.client.send("GET", &path, &[("Accept", accept)], b"").unwrap();
        answers.extend(answer.ok().body);
    }
    answers.extend(planter.client.get(&format!("{SECRETS}?watch=true&timeoutSeconds=1")).ok().body);
    for planted in [
        "stringData in YAML",
        "data in protobuf",
        "an annotation",
        "a label",
        "a JSON patch",
        "an apply",
        "a replacement",
    ] {
        let canary = planter.canaries.iter().find(|canary| canary.planted == planted).unwrap();
        assert!(canary.find(&answers).is_some(), "{planted} is not served to its reader");
    }
}

/// Values that are handed to processes are in those processes, and nowhere else: no argument, no message, no log.
#[test]
fn what_is_delivered_is_in_the_command_and_its_files_alone() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    let mut planter = Planter::new(&app);
    let post = ("POST", SECRETS, JSON);
    planter.accepted("a variable", post, |c| bytes(&secret("run", &json!({"stringData": {"V": c.value}}))));
    planter.accepted("a binary value", post, |c| {
        let nul = format!("{}\0", c.value).into_bytes();
        bytes(&secret(
            "binary",
            &json!({"data": {"B": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, nul)}}),
        ))
    });
    let literal = planter.canary("a text of a manifest").value.clone();
    let person = Person::new();
    let pod = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "env": [{"name": "L", "value": literal}, {"name": "V", "valueFrom": {"secretKeyRef": {"name": "run", "key": "V"}}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "run"}}]}});
    person.file("pod.json", &pod.to_string());
    let home = app.home().to_str().unwrap();
    let connection = ["--home", home, "--log", "trace"];
    let feed = |verb: &str, options: &[&str]| person.run(&[&[verb], connection.as_slice(), options].concat());
    let value = planter.canaries[0].value.clone();

    // What is delivered arrives: without this the search would prove nothing.
    let run = feed("run", &["--secret", "run", "--", "sh", "-c", "printf %s \"$V\""]);
    assert_eq!(run.stdout, value);
    let show = "printf '%s ' \"$L\" \"$V\"; cat \"$STRONGROOM_VOLUMES/v/V\"; tr '\\0' ' ' < /proc/$PPID/cmdline >&2";
    let pod = feed("run", &["--pod", "pod.json", "--no-namespace", "--", "sh", "-c", show]);
    assert_eq!(pod.stdout, format!("{literal} {value} {value}"), "{}", pod.stderr);
    let once = feed("mount", &["run", "d", "--once"]);
    assert_eq!(std::fs::read_to_string(person.at("d/V")).unwrap(), value, "{}", once.stderr);
    let redacted = feed(
        "run",
        &["--secret", "run", "--redact", "--", "sh", "-c", "echo \"$V\"; echo \"$V\" | base64 >&2; cat nothing\"$V\""],
    );
    let refused = [
        feed("run", &["--secret", "binary", "--", "true"]),
        feed("run", &["--secret", "run", "--only", "X", "--", "true"]),
        feed("run", &["--secret", "run", "--env", "A=run:none", "--", "true"]),
        feed("run", &["--secret", "run", "--", "there-is-no-such-command"]),
        feed("mount", &["run", "pod.json"]),
        feed("mount", &["run", "none", "e"]),
    ];
    let mut leaks = Vec::new();
    for ended in [&run, &pod, &once, &redacted].into_iter().chain(&refused) {
        leaks.extend(found(&planter.canaries, ended.stderr.as_bytes(), &format!("standard error: {}", ended.stderr)));
    }
    assert!(redacted.stdout.contains("***") && pod.stderr.contains("--no-namespace"));
    for ended in refused.iter().chain([&once, &redacted]) {
        leaks.extend(found(&planter.canaries, ended.stdout.as_bytes(), "standard output"));
    }
    assert!(refused.iter().all(|ended| ended.code != 0));
    std::fs::remove_dir_all(person.at("d")).unwrap();
    std::fs::remove_file(person.at("pod.json")).unwrap();
    leaks.extend(found_in_files(&planter.canaries, person.home()));
    leaks.extend(found_in_files(&planter.canaries, app.home()));
    leaks.extend(found_in_files(&planter.canaries, app.logs()));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// What everyday commands set, edit, make and look at is in the store and in the answers that are asked for. (That an argument is seen
/// by others while the command runs, it warns of.)
#[test]
fn what_everyday_commands_handle_is_shown_only_where_it_is_asked_for() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    let mut planter = Planter::new(&app);
    let person = Person::new();
    let home = app.home().to_str().unwrap().to_owned();
    let drafts = person.at("drafts");
    std::fs::create_dir(&drafts).unwrap();
    let feed = |line: &[&str], input: &str| {
        let mut command = person.command(&[&["secret"], line, &["--home", &home, "--log", "trace"]].concat());
        command.env("XDG_RUNTIME_DIR", &drafts).env("EDITOR", person.at("editor"));
        Ended::of(&mut command, input)
    };
    let editor = |script: &str| {
        let path = person.file("editor", &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let argument = planter.canary("an argument").value.clone();
    let file = planter.canary("a file").value.clone();
    let input = planter.canary("standard input").value.clone();
    let edited = planter.canary("an edit").value.clone();
    let broken = planter.canary("an edit that is wrong").value.clone();
    let refused = planter.canary("an argument that is refused").value.clone();
    let manifest = planter.canary("a manifest").value.clone();
    person.file("value", &file);
    person.file(
        "manifest.yaml",
        &secret("m", &json!({"stringData": {"k": manifest, "url": format!("https://ada:{manifest}@h")}})).to_string(),
    );
    let mut ended = vec![
        feed(&["set", "db", &format!("a={argument}"), "f=@value", "i=-"], &input),
        feed(&["set", "db", &format!("a b={refused}"), &refused.repeat(20)], ""),
        feed(&["set", &format!("db={refused}"), "x"], ""),
        feed(&["set", "db", &format!("--a={refused}")], ""),
        feed(&["set", "DB", &format!("a={refused}")], ""),
        feed(&["set", "none/db", &format!("a={refused}")], ""),
    ];
    editor(&format!("sed -i 's/^  i: .*/  i: {edited}/' \"$1\""));
    ended.push(feed(&["edit", "db"], ""));
    editor(&format!("sed -i 's/^  i: .*/  i: [{broken}/' \"$1\""));
    ended.push(feed(&["edit", "db"], ""));
    editor(&format!("sed -i 's/^  i: .*/  i: {broken}/' \"$1\"; exit 1"));
    ended.push(feed(&["edit", "db"], ""));
    std::fs::remove_file(person.at("editor")).unwrap();
    ended.extend([
        feed(&["generate", "made", "p", "h"], ""),
        feed(&["generate", "key", "--kind", "ssh-key"], ""),
        feed(&["get", "db"], ""),
        feed(&["get", "db", "-k", "none"], ""),
        feed(&["list"], ""),
        feed(&["describe", "db"], ""),
        feed(&["unset", "db", "none"], ""),
        feed(&["copy", "db", "db2"], ""),
        feed(&["rename", "db2", "db3"], ""),
        feed(&["delete", "db3"], ""),
        person.run(&["secret", "inspect", "manifest.yaml", "--log", "trace"]),
        person.run(&["doctor", "--home", &home, "--log", "trace"]),
    ]);
    // What is asked for is shown: without this the search would prove nothing.
    assert_eq!(feed(&["get", "db", "-k", "i"], "").stdout, edited);
    assert!(feed(&["get", "db", "--reveal"], "").stdout.contains(&argument));
    for (name, key) in [("made", "p"), ("key", "ssh-privatekey")] {
        let value = feed(&["get", name, "-k", key], "").done();
        let line = value.lines().nth(1).unwrap_or(&value).to_owned();
        planter.canaries.push(Canary::of("a value that was made", line));
    }
    std::fs::remove_file(person.at("value")).unwrap();
    std::fs::remove_file(person.at("manifest.yaml")).unwrap();
    let mut leaks = Vec::new();
    for ended in &ended {
        leaks.extend(found(&planter.canaries, ended.stderr.as_bytes(), &format!("standard error: {}", ended.stderr)));
        leaks.extend(found(&planter.canaries, ended.stdout.as_bytes(), &format!("standard output: {}", ended.stdout)));
    }
    leaks.extend(found_in_files(&planter.canaries, person.home()));
    leaks.extend(found_in_files(&planter.canaries, app.home()));
    leaks.extend(found_in_files(&planter.canaries, app.logs()));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

//! Schemathesis plays the OpenAPI document against the server: what it describes is what is served, and nothing that
//! can be made from it brings a 5xx.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;

const LIMIT: Duration = Duration::from_mins(20);
/// Cases that are made at random for each operation, besides those that follow from its description.
const EXAMPLES: &str = "8";
/// What is looked at in every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance";
/// An object of every kind has this name.
const SEEDED: &str = "seeded";

#[test]
fn the_server_answers_as_its_openapi_document_says() {
    let Some(python) = clients::find("STRONGROOM_TEST_PYTHON", &["python3"]) else { return };
    let version = Command::new(&python).args(["-c", "import schemathesis; print(schemathesis.__version__)"]).output();
    let Some(version) = version.ok().filter(|output| output.status.success()) else {
        return clients::missing("the Python package schemathesis");
    };
    clients::drives(&format!("schemathesis {}", String::from_utf8_lossy(&version.stdout).trim()));

    let mut app = App::start();
    seed(&mut Client::admin(&app));
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(&app, folder.path());
    let seed = std::env::var("STRONGROOM_TEST_SEED").unwrap_or_else(|_| "1".to_owned());
    let mut schemathesis = Command::new(&python);
    schemathesis.args(["-m", "schemathesis.cli", "--config-file"]).arg(&configuration).args(["--no-color", "run"]);
    schemathesis.arg(format!("{}/openapi/strongroom.json", app.url)).args(["--url", &app.url]);
    schemathesis.args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", &seed]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic"]);
    schemathesis.args(["--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "30"]);
    // It replaces the very token that this run sends. What else ends credentials is played: the run's is no session of a
    // user, and no signing key has signed it.
    schemathesis.args(["--exclude-path", "/strongroom/v1/admin/rotate", "--exclude-path", "/strongroom/v1/seal"]);
    schemathesis.env("PYTHONDONTWRITEBYTECODE", "1").env("HOME", folder.path()).current_dir(folder.path());
    let output = clients::run(&mut schemathesis, b"", LIMIT);
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!printed.contains(&app.token), "the report shows the token");
    assert!(output.status.success(), "{printed}");
    assert!(app.is_running());
    assert!(!app.log().contains("panic"), "{}", app.log());
}

/// Makes an object of every kind. A finalizer keeps it through the deletes of whole collections.
fn seed(client: &mut Client) {
    let metadata = json!({"name": SEEDED, "finalizers": ["example.com/keep"]});
    let role = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": SEEDED});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let users = "/apis/strongroom.dev/v1alpha1/users";
    let kinds: [(String, Value); 8] = [
        ("/api/v1/namespaces".into(), json!({})),
        ("/api/v1/namespaces/default/secrets".into(), json!({"data": {"k": "dg=="}})),
        ("/api/v1/namespaces/default/serviceaccounts".into(), json!({})),
        (format!("{rbac}/namespaces/default/roles"), json!({"rules": []})),
        (format!("{rbac}/namespaces/default/rolebindings"), json!({"roleRef": role("Role")})),
        (format!("{rbac}/clusterroles"), json!({"rules": []})),
        (format!("{rbac}/clusterrolebindings"), json!({"roleRef": role("ClusterRole")})),
        (users.into(), json!({})),
    ];
    for (path, mut object) in kinds {
        object["metadata"] = metadata.clone();
        client.json("POST", &path, &object).ok();
    }
    // The user of the document's examples can sign in.
    let document = client.get("/openapi/strongroom.json").ok().json();
    let example = |name: &str| document["components"]["examples"][name]["value"].clone();
    let (user, password) = (example("User.input"), example("PasswordRequest.input"));
    client.json("POST", users, &user).ok();
    let name = user["metadata"]["name"].as_str().unwrap();
    client.json("POST", &format!("{users}/{name}/password"), &password).ok();
}

/// Writes the settings, the token among them, into a file of the owner's: arguments are for everybody to read.
fn configuration(app: &App, folder: &Path) -> std::path::PathBuf {
    let authority = folder.join("ca.crt");
    std::fs::write(&authority, &app.ca_pem).unwrap();
    // A watch goes on for half an hour, and who follows the audit log is never done; other tests follow those. A
    // revision of the future is what Kubernetes answers with 504.
    let text = format!(
        r#"tls-verify = "{authority}"

[headers]
Authorization = "Bearer {token}"

[parameters]
"query.watch" = false
"query.follow" = false
"path.namespace" = "default"

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]

[[operations]]
include-method = ["GET", "PUT", "PATCH"]
include-path-regex = "/\\{{name\\}}"
parameters = {{ "path.name" = "{SEEDED}" }}
"#,
        authority = authority.display(),
        token = app.token,
    );
    let path = folder.join("schemathesis.toml");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

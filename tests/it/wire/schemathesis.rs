//! Schemathesis plays the OpenAPI document against the server: what it describes is what is served, and nothing that
//! can be made from it brings a 5xx.

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::support::app::App;
use crate::support::clients;

const LIMIT: Duration = Duration::from_mins(15);
/// Cases for each operation, in each phase.
const EXAMPLES: &str = "12";
/// What is looked at in every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance";

#[test]
fn the_server_answers_as_its_openapi_document_says() {
    let Some(python) = clients::find("STRONGROOM_TEST_PYTHON", &["python3"]) else { return };
    let mut schemathesis = Command::new(&python);
    schemathesis.args(["-m", "schemathesis.cli"]);
    let version = Command::new(&python).args(["-c", "import schemathesis; print(schemathesis.__version__)"]).output();
    let Some(version) = version.ok().filter(|output| output.status.success()) else {
        return clients::missing("the Python package schemathesis");
    };
    clients::drives(&format!("schemathesis {}", String::from_utf8_lossy(&version.stdout).trim()));

    let mut app = App::start();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.crt");
    std::fs::write(&authority, &app.ca_pem).unwrap();
    // The token is in a file of the owner's: arguments are for everybody to read.
    let configuration = folder.path().join("schemathesis.toml");
    let text = format!(
        "tls-verify = \"{}\"\n[headers]\nAuthorization = \"Bearer {}\"\n[output.sanitization]\nenabled = true\n",
        authority.display(),
        app.token
    );
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&configuration).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();

    let seed = std::env::var("STRONGROOM_TEST_SEED").unwrap_or_else(|_| "1".to_owned());
    schemathesis.arg("--config-file").arg(&configuration).args(["--no-color", "run"]);
    schemathesis.arg(format!("{}/openapi/strongroom.json", app.url)).args(["--url", &app.url]);
    schemathesis.args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", &seed]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic"]);
    schemathesis.args(["--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "30"]);
    // What replaces the token that this run uses.
    schemathesis.args(["--exclude-path", "/strongroom/v1/admin/rotate"]);
    schemathesis.env("PYTHONDONTWRITEBYTECODE", "1").env("HOME", folder.path()).current_dir(folder.path());
    let output = clients::run(&mut schemathesis, b"", LIMIT);
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!printed.contains(&app.token), "the report shows the token");
    assert!(output.status.success(), "{printed}");
    assert!(app.is_running());
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

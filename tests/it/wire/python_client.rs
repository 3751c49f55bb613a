//! Kubernetes' official Python client. What it does is in `python_client.py`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::app::App;
use crate::support::clients;

const LIMIT: Duration = Duration::from_mins(5);

#[test]
fn the_official_python_client_works() {
    let Some(python) = clients::find("STRONGROOM_TEST_PYTHON", &["python3"]) else { return };
    let version = Command::new(&python).args(["-c", "import kubernetes; print(kubernetes.__version__)"]).output();
    let Some(version) = version.ok().filter(|output| output.status.success()) else {
        return clients::missing("the Python package kubernetes");
    };
    clients::drives(&format!("the Python client {}", String::from_utf8_lossy(&version.stdout).trim()));
    let mut app = App::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wire/python_client.py");
    let mut command = Command::new(python);
    command.arg("-B").arg(script).arg(app.kubeconfig());
    let output = clients::run(&mut command, b"", LIMIT);
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("succeeded"), "{printed}");
    assert!(app.is_running());
}

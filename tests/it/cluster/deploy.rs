//! The manifests and units under `deploy/`, taken by those they are for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::exports::Place;
use crate::support::{clients, kubectl};

const LIMIT: Duration = Duration::from_mins(1);
const STRICT: [&str; 8] = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"];

const UNITS: [&str; 6] = [
    "strongroom.service",
    "strongroom-sync.service",
    "strongroom-sync.timer",
    "strongroom-credentials.socket",
    "strongroom-credentials.service",
    "web.service",
];

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

#[test]
fn a_cluster_takes_the_manifests_of_the_job() {
    let programs = kubectl::all();
    let Some(place) = Place::start("deployed") else { return };
    let read = |name: &str| std::fs::read_to_string(deployed(name)).unwrap();
    // Namespaces that the cluster has.
    let roles = read("sync-rbac.yaml").replace("namespace: prod", "namespace: deployed");
    let roles = roles.replace("namespace: infra", "namespace: deployed");
    let job = read("sync-cronjob.yaml");
    for kubectl in &programs {
        let strict = [&["--namespace", "deployed"], &STRICT[..]].concat();
        let taken: Value = serde_json::from_str(&place.kubectl(kubectl, &strict, &job)).unwrap();
        let pod = &taken["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(pod["volumes"][0]["secret"]["defaultMode"], 0o440);
        assert_eq!(pod["containers"][0]["args"][0], "sync");
        let taken = place.kubectl(kubectl, &strict, &roles);
        assert_eq!(taken.matches("\"kind\": \"Role\"").count(), 4, "two, and two that refer to them: {taken}");
        for (text, from, to, expected) in [
            (&job, "schedule:", "shedule:", ".spec.shedule: field not declared in schema"),
            (
                &job,
                "concurrencyPolicy: Forbid",
                "concurrencyPolicy: Never",
                "spec.concurrencyPolicy: Unsupported value",
            ),
            (&job, "mountPath:", "path:", "field not declared in schema"),
            (&roles, "verbs:", "verb:", "field not declared in schema"),
        ] {
            let broken = text.replace(from, to);
            assert_ne!(&broken, text, "{from}");
            let refused = place.asked(kubectl, &strict, &broken).fails();
            assert!(refused.contains(expected), "{to}: {refused}");
        }
    }
}

/// What systemd says of the units, in which the program is where this build has it.
fn verified(systemd: &Path, change: impl Fn(String) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(systemd);
    command.args(["verify", "--man=no"]).env("SYSTEMD_COLORS", "0").env_remove("SYSTEMD_LOG_LEVEL");
    for name in UNITS {
        let text = std::fs::read_to_string(deployed(name)).unwrap();
        let text = text.replace("/usr/local/bin/strongroom", env!("CARGO_BIN_EXE_strongroom"));
        let text = text.replace("/usr/local/bin/web", "/bin/true");
        std::fs::write(folder.path().join(name), change(text)).unwrap();
        command.arg(folder.path().join(name));
    }
    let output = clients::run(&mut command, b"", LIMIT);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Of units that the machine has itself, nothing is to be proven.
    let folder = folder.path().to_string_lossy().into_owned();
    said.lines().filter(|line| line.contains(&folder) || line.contains("strongroom")).collect::<Vec<_>>().join("\n")
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let systemd = clients::on_path(Path::new("systemd-analyze"));
    if !systemd.is_file() {
        // Containers seldom have it, and it comes with no package of its own.
        return clients::left_out("there is no systemd-analyze on PATH, which belongs to systemd");
    }
    assert_eq!(verified(&systemd, |unit| unit), "");
    for (from, to, expected) in [
        ("ProtectHome=yes", "ProtectHom=yes", "Unknown key"),
        ("Type=exec", "Type=exeq", "Failed to parse service type"),
        ("OnBootSec=1min", "OnBootSec=soon", "soon"),
        ("SocketMode=0600", "SocketMode=open", "open"),
        ("LoadCredential=db-password:", "LoadCredential=db/password:", "db/password"),
    ] {
        let said = verified(&systemd, |unit| unit.replace(from, to));
        assert!(said.contains(expected), "{to}: {said}");
    }
}

//! `deploy/compose.yaml`: what compose demands of it, as far as that can be told without compose, and its lines as they stand.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::{Place, Running};
use crate::support::actors;

/// What the compose specification lets stand there.
const OF_A_SERVICE: [&str; 17] = [
    "build",
    "image",
    "entrypoint",
    "command",
    "environment",
    "secrets",
    "user",
    "volumes",
    "init",
    "read_only",
    "cap_drop",
    "security_opt",
    "restart",
    "healthcheck",
    "depends_on",
    "tmpfs",
    "ports",
];

fn compose() -> Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose.yaml")).unwrap();
    // Aliases and all.
    serde_saphyr::from_str(&text).unwrap()
}

fn words(line: &Value) -> Vec<String> {
    line.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// As compose reads it: a dollar that is doubled is one, and another is a variable of whoever runs compose.
fn interpolated(word: &str) -> String {
    let plain = word.replace("$$", "\0");
    assert!(!plain.contains('$'), "compose would replace a variable in {word}");
    plain.replace('\0', "$")
}

#[test]
fn every_name_leads_somewhere_and_every_field_is_known() {
    let compose = compose();
    let names = |of: &str| compose[of].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let known = ["services", "secrets", "volumes"];
    assert!(compose.as_object().unwrap().keys().all(|field| known.contains(&field.as_str())));
    let (mut secrets, mut volumes) = (BTreeSet::new(), BTreeSet::new());
    for (name, service) in compose["services"].as_object().unwrap() {
        for field in service.as_object().unwrap().keys() {
            assert!(OF_A_SERVICE.contains(&field.as_str()), "{name}: {field}");
        }
        let dockerfile = service["build"]["dockerfile_inline"].as_str();
        assert!(service["image"].is_string() != dockerfile.is_some_and(|text| text.starts_with("FROM ")), "{name}");
        for used in service["secrets"].as_array().into_iter().flatten() {
            secrets.insert(used["source"].as_str().unwrap().to_owned());
        }
        for used in service["volumes"].as_array().into_iter().flatten() {
            volumes.insert(used.as_str().unwrap().split(':').next().unwrap().to_owned());
        }
        for other in service["depends_on"].as_array().into_iter().flatten() {
            assert!(names("services").contains(other.as_str().unwrap()), "{name}");
        }
        for line in ["entrypoint", "command"].into_iter().filter(|line| !service[*line].is_null()) {
            assert!(words(&service[line]).iter().all(|word| !interpolated(word).is_empty()), "{name}");
        }
    }
    assert_eq!((secrets, volumes), (names("secrets"), names("volumes")));
    assert!(compose["secrets"].as_object().unwrap().values().all(|secret| secret["file"].is_string()));
    // Who writes the files is who owns the folder and reads them.
    let of_folder = compose["volumes"]["files"]["driver_opts"]["o"].as_str().unwrap();
    assert!(of_folder.contains("uid=65532,gid=65532"));
    for name in ["secrets", "worker"] {
        assert_eq!(compose["services"][name]["user"], "65532:65532");
    }
}

/// A command as a container runs it, with the places of a container where they are here.
fn command(place: &mut Place, service: &Value, line: &[String], files: &str) -> std::process::Command {
    let app = actors::service_account(&mut place.admin, "prod", "app");
    let grant = json!({"metadata": {"name": "app"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "prod", "name": "app"}]});
    place.admin.json("POST", &actors::rbac("prod", "rolebindings"), &grant).ok();
    std::fs::create_dir(place.person.at("run-secrets")).unwrap();
    let ca = std::fs::read_to_string(place.app.home().join("tls/ca.crt")).unwrap();
    place.person.file("run-secrets/ca.crt", &ca);
    place.person.file("run-secrets/token", app.token().unwrap());
    let mounted: Vec<&str> = service["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["target"].as_str().or(secret["source"].as_str()).unwrap())
        .collect();
    assert_eq!(mounted, ["ca.crt", "token"]);
    let folder = place.person.at("run-secrets").to_str().unwrap().to_owned();
    let here = |text: &str| {
        let text = text.replace("/run/secrets", &folder).replace("https://strongroom.example.com:8443", &place.app.url);
        if text == "/secrets" { files.to_owned() } else { interpolated(&text) }
    };
    let line: Vec<String> = line.iter().map(|word| here(word)).collect();
    let mut command = place.person.command(&line.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, value) in service["environment"].as_object().unwrap() {
        command.env(name, here(value.as_str().unwrap()));
    }
    command
}

#[test]
fn the_entrypoint_starts_the_command_with_its_variables() {
    let mut place = Place::new();
    place.secret("prod", "db", &json!({"USERNAME": "ada"}));
    let service = &compose()["services"]["web"];
    let line = [words(&service["entrypoint"]), words(&service["command"])].concat();
    assert_eq!(line[0], "strongroom");
    let running = Running::start(command(&mut place, service, &line[1..], ""));
    assert_eq!(running.line(), "as ada");
}

#[test]
fn the_container_beside_it_keeps_the_files() {
    let mut place = Place::new();
    place.secret("prod", "db", &json!({"password": "one"}));
    let service = &compose()["services"]["secrets"];
    let files = place.person.at("files");
    std::fs::create_dir(&files).unwrap();
    let line = words(&service["command"]);
    let running = Running::start(command(&mut place, service, &line, files.to_str().unwrap()));
    assert_eq!(running.line(), format!("1 Secret in {}, kept current", files.display()));
    // What the other container waits for.
    let worker = &compose()["services"]["worker"];
    let script = interpolated(&words(&worker["command"])[2]);
    assert!(script.contains("/secrets/password"));
    assert_eq!(std::fs::read_to_string(files.join("password")).unwrap(), "one");
}

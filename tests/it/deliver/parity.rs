//! What a container gets, held to Kubernetes' own rules: `cases.yaml` is the table.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use strongroom::codec::yaml;
use strongroom::deliver::{
    AtomicWriter, Found, ObjectKind, ObjectName, Objects, Values, Which, make, payload, read_manifest,
};
use strongroom::sensitive::SecretBytes;

const RULES: [&str; 10] =
    ["env", "expand", "name", "payload", "projected", "writer", "validation", "defaults", "yaml", "execve"];

/// What came of a case.
#[derive(Debug, PartialEq, Eq, Default)]
struct Outcome {
    env: BTreeMap<String, Vec<u8>>,
    files: BTreeMap<String, (u32, Vec<u8>)>,
    skipped: Vec<String>,
    error: Vec<String>,
}

#[test]
fn a_container_gets_what_kubernetes_gives_it() {
    let table = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/deliver/cases.yaml")).unwrap();
    let table = yaml::parse(&table).unwrap();
    assert!(table.duplicates.is_empty(), "{:?}", table.duplicates);
    let cases = table.value.as_array().unwrap();
    assert!(cases.len() >= 60, "the table has lost cases");
    let (mut wrong, mut names) = (Vec::new(), BTreeSet::new());
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let by = case["by"].as_str().unwrap();
        assert!(RULES.contains(&by), "{name}: no rule {by}");
        assert!(names.insert((by, name)), "{name} is there twice");
        let (found, expected) = (outcome(case), expected(case));
        if found != expected {
            wrong.push(format!("{name}: {found:?}\n  instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    text.strip_prefix("b64:").map_or_else(|| text.as_bytes().to_vec(), |encoded| STANDARD.decode(encoded).unwrap())
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn expected(case: &Value) -> Outcome {
    Outcome {
        env: fields(&case["env"]).iter().map(|(name, value)| (name.clone(), bytes(value))).collect(),
        files: fields(&case["files"])
            .iter()
            .map(|(path, file)| {
                let mode = u32::from_str_radix(file[0].as_str().unwrap(), 8).unwrap();
                (path.clone(), (mode, bytes(&file[1])))
            })
            .collect(),
        skipped: texts(&case["skipped"]),
        error: texts(&case["error"]),
    }
}

fn objects(case: &Value) -> Objects {
    let mut objects = Objects::default();
    for (kind, field) in [(ObjectKind::Secret, "secrets"), (ObjectKind::ConfigMap, "configMaps")] {
        for (name, values) in fields(&case[field]) {
            let is_binary =
                |value: &Value| kind == ObjectKind::ConfigMap && value.as_str().unwrap().starts_with("b64:");
            let part = |binary: bool| {
                let all = fields(&values);
                let all = all.iter().filter(|(_, value)| is_binary(value) == binary);
                all.map(|(key, value)| (key.clone(), SecretBytes::new(bytes(value)))).collect()
            };
            let values = Values { version: String::new(), data: part(false), binary_data: part(true) };
            objects.insert(ObjectName { kind, namespace: "n".into(), name }, Found::Values(values));
        }
    }
    objects
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was made")]
fn outcome(case: &Value) -> Outcome {
    let mounts = case.get("mounts").cloned().unwrap_or_else(|| {
        let volumes = case["volumes"].as_array().into_iter().flatten();
        volumes
            .map(
                |volume| json!({"name": volume["name"], "mountPath": format!("/{}", volume["name"].as_str().unwrap())}),
            )
            .collect()
    });
    let container =
        json!({"name": "app", "envFrom": case["envFrom"], "env": case["variables"], "volumeMounts": mounts});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [container], "volumes": case["volumes"]}});
    let container = match read_manifest(pod.to_string().as_bytes(), Which::default()) {
        Ok((container, _)) => container,
        Err(error) => {
            let text = error.to_string().trim_start_matches("Pod p: ").to_owned();
            return Outcome { error: vec![text], ..Outcome::default() };
        }
    };
    assert!(container.unsupported.is_empty());
    let objects = objects(case);
    let mut outcome = Outcome::default();
    match make(&container.env_from, &container.env, &objects) {
        Ok(made) => {
            outcome.skipped = made.warnings();
            outcome.env = made.values.iter().map(|(name, value)| (name.clone(), value.expose().to_vec())).collect();
        }
        Err(problems) => outcome.error.extend(problems.iter().map(ToString::to_string)),
    }
    let place = tempfile::tempdir().unwrap();
    for volume in &container.volumes {
        match payload(volume, &objects) {
            Ok(payload) => {
                // As they lie on the disk in the end, read through the names that a process uses.
                let folder = place.path().join(&volume.name);
                AtomicWriter::open(&folder, 0o755).unwrap().write(&payload, 0).unwrap();
                for (path, _) in payload.files() {
                    outcome.files.insert(format!("{}/{path}", volume.name), on_disk(&folder.join(path)));
                }
            }
            Err(problems) => outcome.error.extend(problems.iter().map(ToString::to_string)),
        }
    }
    if !outcome.error.is_empty() {
        // Nothing is started with a part.
        (outcome.env, outcome.files) = Default::default();
    }
    outcome
}

fn on_disk(path: &std::path::Path) -> (u32, Vec<u8>) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    if mode & 0o400 == 0 && !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    (mode, std::fs::read(path).unwrap())
}

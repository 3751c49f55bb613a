//! What a container would get, from its manifest.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Place, Running};
use crate::support::clients;
use crate::support::person::Ended;

const DEPLOYMENT: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: prod}
spec:
  template:
    metadata:
      annotations: {kubectl.kubernetes.io/default-container: app}
    spec:
      initContainers:
      - name: migrate
        env: [{name: WHO, value: migrate}]
      containers:
      - name: side
      - name: app
        envFrom:
        - secretRef: {name: db}
          prefix: DB_
        - secretRef: {name: none, optional: true}
        env:
        - {name: URL, value: "postgres://$(DB_user):$(DB_pass)@db/$$(DB_user)"}
        - name: USER
          valueFrom: {secretKeyRef: {name: db, key: user}}
        volumeMounts:
        - {name: files, mountPath: MOUNT}
        - {name: one, mountPath: MOUNT.conf, subPath: deep/user}
      volumes:
      - name: files
        secret: {secretName: db, defaultMode: 0400}
      - name: one
        projected:
          defaultMode: 288
          sources:
          - secret: {name: db, items: [{key: user, path: deep/user, mode: 0444}]}
          - secret: {name: none, optional: true}
"#;

fn place() -> Place {
    let mut place = Place::new();
    place.secret("prod", "db", &json!({"user": "ada", "pass": "pa$$w0rd"}));
    place
}

/// The manifest with mounts at `mount`.
fn manifest(place: &Place, mount: &str) {
    place.person.file("web.yaml", &DEPLOYMENT.replace("MOUNT", mount));
}

fn may_mount() -> bool {
    Command::new("unshare").args(["-Urm", "true"]).output().is_ok_and(|output| output.status.success())
}

const SHOW: &str = "env | grep -E '^(DB_|URL=|USER=|WHO=)' | sort; cd \"$STRONGROOM_VOLUMES$0\" && \
    for f in *; do printf '%s %s %s\\n' \"$f\" \"$(stat -Lc %a \"$f\")\" \"$(cat \"$f\")\"; done; \
    f=\"$STRONGROOM_VOLUMES$0.conf\"; printf '%s %s\\n' \"$(stat -Lc %a \"$f\")\" \"$(cat \"$f\")\"";
const EXPECTED: &str = "DB_pass=pa$$w0rd\nDB_user=ada\nURL=postgres://ada:pa$$w0rd@db/$(DB_user)\nUSER=ada\n\
    pass 400 pa$$w0rd\nuser 400 ada\n444 ada\n";

#[test]
fn files_are_below_a_private_root_where_that_is_asked_for() {
    let place = place();
    manifest(&place, "/etc/web/secret");
    let ended = place.run(&[
        "--pod",
        "web.yaml",
        "--no-namespace",
        "--",
        "sh",
        "-c",
        &format!("{SHOW}; stat -c %a \"$STRONGROOM_VOLUMES\"; echo \"$STRONGROOM_VOLUMES\""),
        "/etc/web/secret",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let (shown, root) = ended.stdout.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(shown, format!("{EXPECTED}700"));
    assert!(
        ended.stderr.contains(&format!("strongroom: files are below {root} ($STRONGROOM_VOLUMES)")),
        "{}",
        ended.stderr
    );
    assert!(!Path::new(root).exists(), "{root} is left");
    // The end is the command's.
    let ended = place.run(&["--pod", "web.yaml", "--no-namespace", "--", "sh", "-c", "exit 9"]);
    assert_eq!(ended.code, 9);
}

#[test]
fn files_are_at_their_own_paths_where_there_may_be_a_namespace() {
    if !may_mount() {
        clients::missing("namespaces cannot be made by this user");
        return;
    }
    let place = place();
    let inside = place.person.at("etc/secret");
    // Where the folder is there, and where it has to be made.
    for exists in [false, true] {
        std::fs::create_dir_all(if exists { inside.clone() } else { place.person.at("etc") }).unwrap();
        manifest(&place, inside.to_str().unwrap());
        let ended = place.run(&["--pod", "web.yaml", "--", "sh", "-c", SHOW, inside.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stdout.as_str()), (0, EXPECTED), "{}", ended.stderr);
        assert!(ended.stderr.contains("files are at their own paths"), "{}", ended.stderr);
        // Nobody else sees them, and they cannot be written.
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 0);
    }
    let write = "touch \"$0/new\" 2>&1; echo; ls \"$0\"";
    let ended = place.run(&["--pod", "web.yaml", "--", "sh", "-c", write, inside.to_str().unwrap()]);
    assert!(
        ended.stdout.contains("Read-only file system") && ended.stdout.ends_with("pass\nuser\n"),
        "{}",
        ended.stdout
    );
    // The process itself turns into the command there too.
    let running = Running::start(place.command("run", &["--pod", "web.yaml", "--", "sh", "-c", "echo $$"]));
    assert_eq!(running.line(), running.child.id().to_string());
}

/// As a user who may not write where the mount points are to be: the folders above are replaced in the command's view.
#[test]
fn a_user_who_is_not_root_has_files_at_their_own_paths_too() {
    let mut place = place();
    let is_root = rustix::process::geteuid().is_root();
    let app = crate::support::actors::service_account(&mut place.admin, "prod", "app");
    let role = json!({"metadata": {"name": "gets"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch"]}]});
    place.admin.json("POST", &crate::support::actors::rbac("prod", "roles"), &role).ok();
    let binding = json!({"metadata": {"name": "gets"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gets"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "prod", "name": "app"}]});
    place.admin.json("POST", &crate::support::actors::rbac("prod", "rolebindings"), &binding).ok();
    place.person.file("token", app.token().unwrap());
    std::fs::copy(place.app.home().join("tls/ca.crt"), place.person.at("ca.crt")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_strongroom"), place.person.at("strongroom")).unwrap();
    if is_root {
        Command::new("chown").args(["-R", "65534:65534"]).arg(place.person.home()).status().unwrap();
    }
    let show = format!("id -u; pwd; {SHOW}; ls /etc/passwd");
    for mount in ["/etc/of-web/secret", "/of-web/secret"] {
        manifest(&place, mount);
        let own = [
            "--server",
            &place.app.url,
            "--token-file",
            "token",
            "--ca-file",
            "ca.crt",
            "--pod",
            "web.yaml",
            "--",
            "sh",
            "-c",
            &show,
            mount,
        ];
        let program = place.person.at("strongroom");
        let mut command = if is_root {
            let mut command =
                place.person.program("setpriv", &["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
            command.arg(program).arg("run");
            command
        } else {
            place.person.program(program, &["run"])
        };
        let ended = Ended::of(command.args(own), "");
        if !ended.stderr.contains("files are at their own paths") {
            assert!(ended.stderr.contains("there is no private mount namespace"), "{}", ended.stderr);
            clients::missing("namespaces cannot be made by a user who is not root");
            return;
        }
        let uid = if is_root { "65534".to_owned() } else { rustix::process::geteuid().as_raw().to_string() };
        let here = place.person.home().display();
        assert_eq!(
            (ended.code, ended.stdout),
            (0, format!("{uid}\n{here}\n{EXPECTED}/etc/passwd\n")),
            "{mount}: {}",
            ended.stderr
        );
        assert!(!Path::new(mount).parent().unwrap().exists());
    }
}

#[test]
fn a_container_is_chosen() {
    let place = place();
    manifest(&place, "/m");
    let run = |more: &[&str]| {
        place.run(
            &[
                &["--pod", "web.yaml", "--no-namespace"],
                more,
                &["--", "sh", "-c", "env | grep -E '^(WHO|USER)=' || true"],
            ]
            .concat(),
        )
    };
    assert_eq!(run(&["-c", "migrate"]).done(), "WHO=migrate\n");
    assert_eq!(run(&["-c", "side"]).done(), "");
    let ended = run(&["-c", "nobody"]);
    assert!(
        ended.code == 125 && ended.stderr.contains("Deployment web has no container nobody: it has side, app, migrate"),
        "{}",
        ended.stderr
    );
    place.person.file("web.yaml", &DEPLOYMENT.replace("default-container", "other"));
    let ended = run(&[]);
    assert!(
        ended.code == 125 && ended.stderr.contains("Deployment web has these containers: side, app: say which"),
        "{}",
        ended.stderr
    );
    place.person.file("web.yaml", &(DEPLOYMENT.to_owned() + "---\nkind: Job\nmetadata: {name: once}\n"));
    let ended = run(&[]);
    assert!(ended.stderr.contains("more than one workload: Deployment web, Job once"), "{}", ended.stderr);
    // Another namespace than the manifest's.
    manifest(&place, "/m");
    let ended = run(&["-n", "staging"]);
    assert!(ended.code == 125 && ended.stderr.contains("Secret staging/db is not there"), "{}", ended.stderr);
}

#[test]
fn what_the_store_does_not_hold_is_named() {
    let place = place();
    let pod = r"
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: prod}
spec:
  containers:
  - name: app
    envFrom: [{configMapRef: {name: settings}}, {configMapRef: {name: more, optional: true}}]
    env:
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: LEVEL, valueFrom: {configMapKeyRef: {name: settings, key: LEVEL}}}
    - {name: USER, valueFrom: {secretKeyRef: {name: db, key: user}}}
    volumeMounts: [{name: cache, mountPath: /cache}]
  volumes: [{name: cache, emptyDir: {}}]
";
    place.person.file("pod.yaml", pod);
    let show = ["--", "sh", "-c", "env | grep -E '^(NODE|LEVEL|USER|A)=' | sort"];
    let ended = place.run(&[["--pod", "pod.yaml"].as_slice(), &show].concat());
    assert_eq!((ended.code, ended.stdout.as_str()), (125, ""));
    assert_eq!(
        ended.stderr,
        "strongroom: Pod p, container app asks for what the store does not hold:\n  \
         variable NODE (fieldRef)\n  volume cache (emptyDir), at /cache\n  \
         ConfigMap prod/more (--configmap FILE gives it)\n  ConfigMap prod/settings (--configmap FILE gives it)\n\
         --ignore-unsupported goes on without\n"
    );
    let ended = place.run(&[["--pod", "pod.yaml", "--ignore-unsupported"].as_slice(), &show].concat());
    assert!(
        ended.code == 0 && ended.stdout == "USER=ada\n" && ended.stderr.contains("variable NODE (fieldRef)"),
        "{}",
        ended.stderr
    );
    place.person.file("maps.yaml", "kind: ConfigMap\nmetadata: {name: settings}\ndata: {LEVEL: debug, A: '1'}\n");
    let ended = place
        .run(&[["--pod", "pod.yaml", "--configmap", "maps.yaml", "--ignore-unsupported"].as_slice(), &show].concat());
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "A=1\nLEVEL=debug\nUSER=ada\n"), "{}", ended.stderr);
}

#[test]
fn all_that_is_missing_of_variables_and_files_is_told_at_once() {
    let place = place();
    let pod = r#"{"kind": "Pod", "metadata": {"name": "p", "namespace": "prod"}, "spec": {
      "containers": [{"name": "app", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "none"}}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
      "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "gone"}}, {"secret": {"name": "db", "items": [{"key": "lost", "path": "x"}]}}]}}]}}"#;
    place.person.file("pod.json", pod);
    let ended = place.run(&["--pod", "pod.json", "--", "true"]);
    assert_eq!(ended.code, 125);
    assert_eq!(
        ended.stderr,
        "strongroom: nothing was started:\n  Secret prod/gone is not there\n  \
         Secret prod/db has no key lost\n  Secret prod/db has no key none\n"
    );
    let traversal = pod.replace("\"path\": \"x\"", "\"path\": \"../x\"");
    place.person.file("pod.json", &traversal);
    let ended = place.run(&["--pod", "pod.json", "--", "true"]);
    assert!(ended.code == 125 && ended.stderr.contains("items[0].path: must not contain '..'"), "{}", ended.stderr);
}

#[test]
fn files_follow_their_secrets_and_the_command_is_told() {
    let mut place = place();
    let mounts: &[&[&str]] = if may_mount() { &[&["--no-namespace"], &[]] } else { &[&["--no-namespace"]] };
    for (more, (old, new)) in mounts.iter().zip([("pa$$w0rd", "two"), ("two", "three")]) {
        let inside = place.person.at("etc/secret");
        manifest(&place, inside.to_str().unwrap());
        std::fs::create_dir_all(place.person.at("etc")).unwrap();
        let script =
            "show() { cat \"$STRONGROOM_VOLUMES$0/pass\"; echo; }; trap show HUP; show; while :; do sleep 0.02; done";
        let line = [
            &["--pod", "web.yaml", "--watch", "--signal", "HUP"],
            *more,
            &["--", "sh", "-c", script, inside.to_str().unwrap()],
        ]
        .concat();
        let mut running = Running::start(place.command("run", &line));
        assert_eq!(running.line(), old);
        place.change("prod", "db", &json!({"pass": STANDARD.encode(new)}));
        assert_eq!(running.line(), new);
        running.signal("-TERM");
        assert_eq!(running.end().code(), Some(143));
        assert!(!inside.exists(), "a mount point is left");
        let told: Vec<String> = running.errors.iter().collect();
        let root = told.iter().find_map(|line| line.split_once("files are below ")?.1.split(' ').next());
        assert!(root.is_none_or(|root| !Path::new(root).exists()), "{told:?}");
    }
}

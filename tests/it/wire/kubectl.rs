//! A Kubernetes Secrets tutorial, command by command, with the real kubectl.

use crate::support::app::App;
use crate::support::clients;
use crate::support::kubectl::{self, Kubectl};

const MANIFEST: &str = "apiVersion: v1
kind: Secret
metadata:
  name: my-secret
type: Opaque
data:
  username: YWRtaW4=
  password: cGEkJHcwcmQ=
";

fn each(test: impl Fn(&App, &Kubectl)) {
    for kubectl in kubectl::all() {
        test(&App::start(), &kubectl);
    }
}

fn value(app: &App, kubectl: &Kubectl, name: &str, key: &str) -> String {
    let path = format!("jsonpath={{.data.{key}}}");
    kubectl.run(app, &["get", "secret", name, "-o", &path]).ok()
}

#[test]
fn literals_become_a_secret() {
    each(|app, kubectl| {
        let printed = kubectl
            .run(
                app,
                &[
                    "create",
                    "secret",
                    "generic",
                    "my-secret",
                    "--from-literal=username=admin",
                    "--from-literal=password=pa$$w0rd",
                ],
            )
            .ok();
        assert_eq!(printed, "secret/my-secret created\n");
        assert_eq!(value(app, kubectl, "my-secret", "username"), "YWRtaW4=");
        assert_eq!(value(app, kubectl, "my-secret", "password"), "cGEkJHcwcmQ=");
        let again = kubectl.run(app, &["create", "secret", "generic", "my-secret"]).fails();
        assert!(again.contains("secrets \"my-secret\" already exists"), "{again}");
        let table = kubectl.run(app, &["get", "secrets"]).ok();
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(&row[..3], ["my-secret", "Opaque", "2"], "{table}");
        let described = kubectl.run(app, &["describe", "secret", "my-secret"]).ok();
        assert!(described.contains("password:  8 bytes") && described.contains("username:  5 bytes"), "{described}");
    });
}

#[test]
fn a_manifest_is_applied_changed_and_applied_again() {
    each(|app, kubectl| {
        assert_eq!(kubectl.feed(app, &["apply", "-f", "-"], MANIFEST).ok(), "secret/my-secret created\n");
        assert_eq!(kubectl.feed(app, &["apply", "-f", "-"], MANIFEST).ok(), "secret/my-secret unchanged\n");
        let changed = MANIFEST.replace("YWRtaW4=", "cm9vdA==");
        let difference = kubectl.feed(app, &["diff", "-f", "-"], &changed);
        assert_eq!(difference.code, 1, "{}", difference.stderr);
        assert_eq!(kubectl.feed(app, &["apply", "-f", "-"], &changed).ok(), "secret/my-secret configured\n");
        assert_eq!(value(app, kubectl, "my-secret", "username"), "cm9vdA==");
        let without = MANIFEST.replace("  username: YWRtaW4=\n", "");
        kubectl.feed(app, &["apply", "-f", "-"], &without).ok();
        assert_eq!(value(app, kubectl, "my-secret", "username"), "");
        let typo = MANIFEST.replace("type: Opaque", "tipe: Opaque");
        let refused = kubectl.feed(app, &["apply", "-f", "-"], &typo).fails();
        assert!(refused.contains("unknown field \"tipe\""), "{refused}");
    });
}

#[test]
fn server_side_apply_owns_its_fields_and_reports_conflicts() {
    each(|app, kubectl| {
        let apply = |manager: &str, manifest: &str, force: bool| {
            let manager = format!("--field-manager={manager}");
            let force = format!("--force-conflicts={force}");
            kubectl.feed(app, &["apply", "--server-side", &manager, &force, "-f", "-"], manifest)
        };
        assert_eq!(apply("m1", MANIFEST, false).ok(), "secret/my-secret serverside-applied\n");
        let changed = MANIFEST.replace("YWRtaW4=", "cm9vdA==");
        let conflict = apply("m2", &changed, false).fails();
        assert!(conflict.contains("conflict with \"m1\": .data.username"), "{conflict}");
        apply("m2", &changed, true).ok();
        assert_eq!(value(app, kubectl, "my-secret", "username"), "cm9vdA==");
    });
}

#[test]
fn labels_patches_and_deletes_by_selector() {
    each(|app, kubectl| {
        kubectl.run(app, &["create", "secret", "generic", "a", "--from-literal=k=1"]).ok();
        kubectl.run(app, &["create", "secret", "generic", "b", "--from-literal=k=2"]).ok();
        assert_eq!(kubectl.run(app, &["label", "secret", "a", "tier=front"]).ok(), "secret/a labeled\n");
        let listed = kubectl.run(app, &["get", "secrets", "-l", "tier=front", "-o", "name"]).ok();
        assert_eq!(listed, "secret/a\n");
        for (kind, patch) in [
            ("strategic", r#"{"stringData":{"s":"x"}}"#),
            ("merge", r#"{"data":{"m":"eA=="}}"#),
            ("json", r#"[{"op":"add","path":"/data/j","value":"eA=="}]"#),
        ] {
            kubectl.run(app, &["patch", "secret", "a", "--type", kind, "-p", patch]).ok();
        }
        let keys =
            kubectl.run(app, &["get", "secret", "a", "-o", "go-template={{range $k, $v := .data}}{{$k}} {{end}}"]).ok();
        assert_eq!(keys, "j k m s ");
        let deleted = kubectl.run(app, &["delete", "secrets", "-l", "tier=front"]).ok();
        assert!(deleted.starts_with("secret \"a\" deleted"), "{deleted}");
        assert_eq!(kubectl.run(app, &["get", "secrets", "-o", "name"]).ok(), "secret/b\n");
    });
}

#[test]
fn namespaces_come_with_their_account_and_go_with_their_content() {
    each(|app, kubectl| {
        kubectl.run(app, &["create", "namespace", "prod"]).ok();
        assert_eq!(kubectl.run(app, &["get", "sa", "-n", "prod", "-o", "name"]).ok(), "serviceaccount/default\n");
        kubectl.run(app, &["create", "secret", "generic", "s", "-n", "prod"]).ok();
        kubectl.run(app, &["delete", "namespace", "prod"]).ok();
        let gone = kubectl.run(app, &["get", "namespace", "prod"]).fails();
        assert!(gone.contains("namespaces \"prod\" not found"), "{gone}");
        let refused = kubectl.run(app, &["delete", "namespace", "default"]).fails();
        assert!(refused.contains("this namespace may not be deleted"), "{refused}");
        let nowhere = kubectl.run(app, &["create", "secret", "generic", "s", "-n", "prod"]).fails();
        assert!(nowhere.contains("namespaces \"prod\" not found"), "{nowhere}");
    });
}

#[test]
fn people_can_ask_what_there_is() {
    each(|app, kubectl| {
        let resources = kubectl.run(app, &["api-resources"]).ok();
        for name in ["secrets", "namespaces", "serviceaccounts", "roles", "clusterrolebindings", "subjectaccessreviews"]
        {
            assert!(resources.lines().any(|line| line.starts_with(name)), "{name} in {resources}");
        }
        let explained = kubectl.run(app, &["explain", "role.rules"]).ok();
        assert!(explained.contains("verbs"), "{explained}");
        assert_eq!(kubectl.run(app, &["auth", "can-i", "get", "secrets"]).ok(), "yes\n");
        assert!(kubectl.run(app, &["auth", "whoami"]).ok().contains("admin"));
    });
}

#[test]
fn a_watch_prints_what_changes() {
    each(|app, kubectl| {
        kubectl.run(app, &["create", "secret", "generic", "before", "--from-literal=k=1"]).ok();
        let all = kubectl.begin(app, &["get", "secrets", "-w", "-o", "name"]);
        assert_eq!(all.line(), "secret/before");
        let one = kubectl.begin(app, &["get", "secret", "before", "-w", "--no-headers"]);
        assert!(one.line().starts_with("before"));
        kubectl.run(app, &["create", "secret", "generic", "after", "--from-literal=k=1"]).ok();
        assert_eq!(all.line(), "secret/after");
        kubectl.run(app, &["patch", "secret", "before", "-p", r#"{"stringData":{"more":"2"}}"#]).ok();
        let columns: Vec<String> = one.line().split_whitespace().map(str::to_owned).collect();
        assert_eq!(columns[..3], ["before", "Opaque", "2"]);
    });
}

#[test]
fn secrets_of_the_other_types_are_made_and_checked() {
    each(|app, kubectl| {
        let registry = ["create", "secret", "docker-registry", "regcred", "--docker-server=registry.example.com"];
        let login = ["--docker-username=ada", "--docker-password=pa$$w0rd"];
        kubectl.run(app, &[&registry[..], &login[..]].concat()).ok();
        let kind = kubectl.run(app, &["get", "secret", "regcred", "-o", "jsonpath={.type}"]).ok();
        assert_eq!(kind, "kubernetes.io/dockerconfigjson");

        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::write(&certificate, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let made = kubectl.run(app, &["create", "secret", "tls", "site", "--cert", &certificate, "--key", &key]);
        assert!(made.stderr.is_empty(), "a pair that fits brings no warning: {}", made.stderr);
        assert_eq!(made.ok(), "secret/site created\n");
        let incomplete = "apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\ntype: kubernetes.io/tls\n";
        let refused = kubectl.feed(app, &["apply", "-f", "-"], incomplete).fails();
        assert!(refused.contains("data[tls.crt]: Required value"), "{refused}");
    });
}

#[test]
fn replace_edit_wait_and_prune_work() {
    each(|app, kubectl| {
        kubectl.feed(app, &["create", "-f", "-"], MANIFEST).ok();
        let changed = MANIFEST.replace("YWRtaW4=", "cm9vdA==");
        assert_eq!(kubectl.feed(app, &["replace", "-f", "-"], &changed).ok(), "secret/my-secret replaced\n");
        assert_eq!(value(app, kubectl, "my-secret", "username"), "cm9vdA==");

        let mut edit = kubectl.command(app, &["edit", "secret", "my-secret"]);
        edit.env("KUBE_EDITOR", "sed -i s/cm9vdA==/YWRtaW4=/");
        let edited = clients::run(&mut edit, b"", std::time::Duration::from_mins(1));
        assert_eq!(String::from_utf8_lossy(&edited.stdout), "secret/my-secret edited\n");
        assert_eq!(value(app, kubectl, "my-secret", "username"), "YWRtaW4=");

        kubectl.run(app, &["wait", "--for=jsonpath={.type}=Opaque", "secret/my-secret", "--timeout=30s"]).ok();
        std::thread::scope(|scope| {
            // It is satisfied by an object that goes, and by one that is gone already.
            let gone = scope.spawn(|| kubectl.run(app, &["wait", "--for=delete", "secret/my-secret", "--timeout=60s"]));
            kubectl.run(app, &["delete", "secret", "my-secret"]).ok();
            gone.join().unwrap().ok();
        });

        let named = |name: &str| MANIFEST.replace("name: my-secret", &format!("name: {name}\n  labels: {{app: demo}}"));
        let prune = ["apply", "--prune", "-l", "app=demo", "--prune-allowlist=core/v1/Secret", "-f", "-"];
        kubectl.feed(app, &prune, &format!("{}---\n{}", named("one"), named("two"))).ok();
        let pruned = kubectl.feed(app, &prune, &named("one")).ok();
        assert!(pruned.contains("secret/two pruned"), "{pruned}");
        assert_eq!(kubectl.run(app, &["get", "secrets", "-o", "name"]).ok(), "secret/one\n");
    });
}

#[test]
fn a_list_as_kubectl_prints_it_can_be_applied_again() {
    each(|app, kubectl| {
        for name in ["a", "b"] {
            kubectl.run(app, &["create", "secret", "generic", name, "--from-literal=k=1"]).ok();
        }
        let list = kubectl.run(app, &["get", "secrets", "-o", "yaml"]).ok();
        assert!(list.contains("kind: List"), "{list}");
        kubectl.run(app, &["delete", "secrets", "--all"]).ok();
        kubectl.feed(app, &["apply", "-f", "-"], &list).ok();
        assert_eq!(kubectl.run(app, &["get", "secrets", "-o", "name"]).ok(), "secret/a\nsecret/b\n");
        let paged = kubectl.run(app, &["get", "secrets", "--chunk-size=1", "-o", "name"]).ok();
        assert_eq!(paged, "secret/a\nsecret/b\n");
    });
}

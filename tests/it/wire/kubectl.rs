//! A Kubernetes Secrets tutorial, command by command, with the real kubectl.

use crate::support::app::App;
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

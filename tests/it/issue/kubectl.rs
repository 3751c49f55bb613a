//! Both kinds with the real kubectl: applied, waited for, shown, explained, changed, and deleted.

use serde_json::json;

use super::Room;
use crate::support::clients::eventually;
use crate::support::kubectl;

const MANIFESTS: &str = "apiVersion: strongroom.dev/v1alpha1
kind: Certificate
metadata: {name: web, namespace: prod}
spec:
  secretName: web-tls
  dnsNames: [web.example]
  duration: 24h
  secretTemplate: {labels: {app: web}}
---
apiVersion: strongroom.dev/v1alpha1
kind: GeneratedSecret
metadata: {name: db, namespace: prod}
spec:
  secretName: db
  keys:
  - {key: password, generator: password, length: 24}
  rotationInterval: 720h
  keepPrevious: true
";

#[test]
fn both_kinds_are_at_home_with_kubectl() {
    for kubectl in kubectl::all() {
        let mut room = Room::start();
        let app = &room.app;
        kubectl.feed(app, &["apply", "-f", "-"], MANIFESTS).ok();
        let wait = ["-n", "prod", "wait", "--timeout=60s", "--for=condition=Ready", "cert/web", "generatedsecret/db"];
        kubectl.run(app, &wait).ok();
        let shown = kubectl.run(app, &["-n", "prod", "get", "certs", "-o", "wide"]).ok();
        let (heading, row) = shown.trim_end().split_once('\n').unwrap();
        let words: Vec<&str> = heading.split_whitespace().collect();
        assert_eq!(words, ["NAME", "READY", "SECRET", "AGE", "ISSUER", "STATUS", "EXPIRES", "RENEWAL"]);
        assert!(row.starts_with("web    True    web-tls") && row.contains("Room"), "{row}");
        let narrow = kubectl.run(app, &["-n", "prod", "get", "secrets"]).ok();
        assert!(narrow.starts_with("NAME      TYPE                DATA   AGE\n"), "{narrow}");
        let wide = kubectl.run(app, &["-n", "prod", "get", "secrets", "-o", "wide"]).ok();
        assert!(wide.lines().next().unwrap().ends_with("EXPIRES"), "{wide}");
        let end = kubectl.run(app, &["-n", "prod", "get", "cert", "web", "-o", "jsonpath={.status.notAfter}"]).ok();
        assert!(wide.lines().any(|line| line.starts_with("web-tls") && line.ends_with(&end)), "{wide}");
        assert!(wide.lines().any(|line| line.starts_with("db") && line.ends_with("<none>")), "{wide}");
        let described = kubectl.run(app, &["-n", "prod", "describe", "certificate", "web"]).ok();
        assert!(described.contains("Renewal Time:") && described.contains("Issued"), "{described}");
        let explained = kubectl.run(app, &["explain", "certificates.spec.privateKey.rotationPolicy"]).ok();
        assert!(explained.contains("KIND:       Certificate"), "{explained}");
        let explained = kubectl.run(app, &["explain", "generatedsecrets.spec.keys"]).ok();
        assert!(explained.contains("alphabet"), "{explained}");
        // Applied again, nothing changes; by annotation, there is another one.
        let again = kubectl.feed(app, &["apply", "-f", "-"], MANIFESTS).ok();
        assert_eq!(again.matches("unchanged").count(), 2, "{again}");
        kubectl.run(app, &["-n", "prod", "annotate", "cert/web", "strongroom.dev/rotate-now=1"]).ok();
        kubectl.run(app, &["-n", "prod", "annotate", "generatedsecret/db", "strongroom.dev/rotate-now=1"]).ok();
        let before = room.value("db", "password");
        room.until_revision("certificates", "web", 2);
        room.until_revision("generatedsecrets", "db", 2);
        let previous = room.value("db", "password.previous");
        assert!(previous == before || room.value("db", "password") == before, "it was rotated once");
        assert_eq!(previous.len(), 24);
        let app = &room.app;
        let refused = "apiVersion: strongroom.dev/v1alpha1\nkind: Certificate\nmetadata: {name: x, namespace: prod}\n\
                       spec: {secretName: x, duration: 1m, dnsNames: ['a b']}\n";
        let error = kubectl.feed(app, &["apply", "-f", "-"], refused).fails();
        assert!(error.contains("spec.dnsNames[0]: Invalid value") && error.contains("spec.duration"), "{error}");
        kubectl.run(app, &["-n", "prod", "delete", "certificates,generatedsecrets", "--all"]).ok();
        let kept = kubectl.run(app, &["-n", "prod", "get", "secrets", "-o", "name"]).ok();
        assert_eq!(kept, "secret/db\nsecret/web-tls\n", "Secrets outlive what made them");
    }
}

#[test]
fn a_condition_says_whose_secret_it_is() {
    let mut room = Room::start();
    let theirs = json!({"metadata": {"name": "web"}, "stringData": {"k": "v"}});
    room.admin.json("POST", &crate::support::actors::secrets("prod"), &theirs).ok();
    room.certificate("web", &json!({}));
    room.until("certificates", "web", "Ready", "False", "SecretNotOwned");
    assert_eq!(room.value("web", "k"), b"v");
    let told = eventually(super::LIMIT, || room.events("web").contains(&"Failed".to_owned()).then_some(()));
    assert!(told.is_some(), "an Event says so too");
    let metrics = room.admin.get("/metrics").ok().text();
    let failures = metrics.lines().find_map(|line| line.strip_prefix("strongroom_issue_failures_total ")).unwrap();
    assert!(failures.parse::<u32>().unwrap() < 6, "it is tried again after a while, and not at once: {failures}");
    room.admin.delete(&format!("{}/web", crate::support::actors::secrets("prod"))).ok();
    room.ready("certificates", "web");
}

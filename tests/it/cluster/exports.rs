//! What is exported, and what becomes of it in a cluster: the same bytes.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom::codec::yaml;

use crate::support::actors::{namespace, secrets};
use crate::support::apiserver::Cluster;
use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;
use crate::support::kubectl::{self, Kubectl};
use crate::support::person::Person;

const LIMIT: Duration = Duration::from_mins(1);

/// A room with Secrets in a namespace that the cluster has too.
pub struct Place {
    app: App,
    pub person: Person,
    pub cluster: Arc<Cluster>,
    pub namespace: &'static str,
}

impl Place {
    pub fn start(name: &'static str) -> Option<Self> {
        let cluster = Cluster::shared()?;
        let app = App::start();
        for admin in [&mut Client::admin(&app), &mut cluster.admin()] {
            namespace(admin, name);
        }
        let person = Person::new();
        person.file("cluster.kubeconfig", &cluster.admin_kubeconfig());
        Some(Self { app, person, cluster, namespace: name })
    }

    pub fn create(&self, object: &Value) {
        Client::admin(&self.app).json("POST", &secrets(self.namespace), object).ok();
    }

    pub fn export(&self, arguments: &[&str]) -> String {
        let home = self.app.home().to_str().unwrap();
        self.person.run(&[&["export", "-n", self.namespace, "--home", home], arguments].concat()).done()
    }

    /// Runs kubectl against the cluster.
    pub fn kubectl(&self, kubectl: &Kubectl, arguments: &[&str], input: &str) -> String {
        self.asked(kubectl, arguments, input).ok()
    }

    /// Runs kubectl against the cluster, which need not do it.
    pub fn asked(&self, kubectl: &Kubectl, arguments: &[&str], input: &str) -> kubectl::Output {
        let mut command = self.person.program(kubectl.program(), &["--kubeconfig", "cluster.kubeconfig"]);
        clients::run(command.args(arguments), input.as_bytes(), LIMIT).into()
    }

    /// The Secrets that each has, as they are meant: without what an API server adds.
    fn both(&self) -> [Value; 2] {
        [&mut Client::admin(&self.app), &mut self.cluster.admin()].map(|admin| {
            let mut list = admin.get(&secrets(self.namespace)).ok().json();
            for item in list["items"].as_array_mut().unwrap() {
                for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
                    item["metadata"].as_object_mut().unwrap().remove(field);
                }
            }
            list["items"].take()
        })
    }
}

/// Secrets of several types with values of every kind that there is.
pub fn varied() -> Vec<Value> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let data = json!({
        "bytes": STANDARD.encode(every_byte), "empty": "", "newline": STANDARD.encode("a\n"),
        "looks-like-a-number": STANDARD.encode("0123"), "looks-like-yaml": STANDARD.encode("- {a: [b]}: &c *d # e"),
        "several.lines": STANDARD.encode("a\r\n\tb\n\n  c"), "umlaut": STANDARD.encode("ä\u{2028}🔑"),
    });
    vec![
        json!({"metadata": {"name": "data", "labels": {"app": "web", "no": "no"}}, "data": data}),
        json!({"metadata": {"name": "nothing"}}),
        json!({"metadata": {"name": "login", "annotations": {"for": "\"quotes\"\nand lines"}}, "immutable": true,
            "type": "kubernetes.io/basic-auth", "stringData": {"username": "ada", "password": "p: q"}}),
        json!({"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": r#"{"auths":{}}"#}}),
    ]
}

#[test]
fn what_is_exported_and_applied_is_the_same_in_the_cluster() {
    let programs = kubectl::all();
    let Some(place) = Place::start("exported") else { return };
    for secret in varied() {
        place.create(&secret);
    }
    let [ours, _] = place.both();
    assert_eq!(ours.as_array().unwrap().len(), varied().len());
    for kubectl in &programs {
        for format in [&["-f", "yaml"][..], &["-f", "json"]] {
            let manifests = place.export(&[&["--all"], format].concat());
            place.kubectl(kubectl, &["apply", "--server-side", "-f", "-"], &manifests);
            assert_eq!(place.both()[1], ours, "{format:?}");
            // What is applied again is no change to anybody.
            let differences = place.kubectl(kubectl, &["diff", "--server-side", "-f", "-"], &manifests);
            assert_eq!(differences, "");
            place.kubectl(kubectl, &["delete", "-f", "-"], &manifests);
            assert_eq!(place.both()[1], json!([]));
            place.kubectl(kubectl, &["create", "-f", "-"], &manifests);
            assert_eq!(place.both()[1], ours, "{format:?}");
            place.kubectl(kubectl, &["delete", "-f", "-"], &manifests);
        }
    }
}

#[test]
fn text_that_is_exported_as_text_is_the_same_in_the_cluster() {
    let programs = kubectl::all();
    let Some(place) = Place::start("exported-text") else { return };
    place.create(&json!({"metadata": {"name": "text"}, "stringData": {"a": "1", "b": " b\n", "c": "no", "d": "ü: |"}}));
    let [ours, _] = place.both();
    for kubectl in &programs {
        let manifest = place.export(&["text", "--string-data"]);
        assert!(manifest.contains("stringData:"), "{manifest}");
        place.kubectl(kubectl, &["apply", "--server-side", "-f", "-"], &manifest);
        assert_eq!(place.both()[1], ours);
        place.kubectl(kubectl, &["delete", "-f", "-"], &manifest);
    }
}

#[test]
fn a_cluster_takes_a_pod_with_the_exported_parts() {
    let programs = kubectl::all();
    let Some(place) = Place::start("exported-pod") else { return };
    for secret in varied() {
        place.create(&secret);
    }
    let parts = yaml::parse(place.export(&["--all", "-f", "pod"]).as_bytes()).unwrap().value;
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": place.namespace}});
    pod["spec"] = parts["spec"].clone();
    pod["spec"]["containers"][0]["image"] = "image".into();
    for kubectl in &programs {
        // A field that the server does not know, or that is there twice, is an error to it.
        let arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"];
        let taken: Value = serde_json::from_str(&place.kubectl(kubectl, &arguments, &pod.to_string())).unwrap();
        assert_eq!(taken["spec"]["volumes"], pod["spec"]["volumes"]);
        for field in ["env", "envFrom", "volumeMounts"] {
            assert_eq!(taken["spec"]["containers"][0][field], pod["spec"]["containers"][0][field], "{field}");
        }
    }
}

//! Every operation of the OpenAPI document, where it is asked for, and what is sent for it: bodies that grant nothing to
//! anyone. What requests are for is made by [`set_up`].

use std::path::Path;

use serde_json::{Value, json};

use super::actors::{self, USERS, rbac, role, secret, secrets};
use super::http::Client;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document.
pub fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/strongroom.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Method and path of each operation, in the order of the document.
pub fn operations() -> Vec<(&'static str, String)> {
    let document = document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = METHODS.iter().filter(|method| item.get(**method).is_some());
        all.extend(methods.map(|method| (*method, path.clone())));
    }
    all
}

/// A method as it is sent.
pub fn upper(method: &str) -> &'static str {
    match method {
        "get" => "GET",
        "post" => "POST",
        "put" => "PUT",
        "patch" => "PATCH",
        _ => "DELETE",
    }
}

/// Our own kinds.
const OURS: &str = "/apis/strongroom.dev/v1alpha1";

/// A recovery key (that of `tests/it/crypto/purposes-v1.txt`).
const RECOVERY_KEY: &str = "96NJ8-YWCR1-RKJS7-5F7D5-GXWJF-QRJV6-SE56W-PF7ZM-YMYZB-47V8R-0Z1HV";

/// The content type of a method's bodies.
pub fn content_type(method: &str) -> &'static str {
    if method.eq_ignore_ascii_case("patch") { "application/merge-patch+json" } else { "application/json" }
}

/// The places at which an operation is asked for.
pub fn paths(template: &str) -> Vec<String> {
    let places: &[(&str, &str)] = match template {
        "/api/v1/namespaces/{namespace}/secrets/{name}" => &[("t", "a"), ("t", "b"), ("other", "a")],
        // Otherwise nothing more could be asked for.
        "/strongroom/v1/seal" => return vec![format!("{template}?dryRun=All")],
        _ if template.starts_with("/api/v1/namespaces/{name}") => &[("", "t"), ("", "other")],
        _ if template.contains("{namespace}") => &[("t", "target"), ("other", "target")],
        _ => &[("", "target")],
    };
    places
        .iter()
        .map(|(namespace, name)| {
            template.replace("{namespace}", namespace).replace("{name}", name).replace("{slot}", "recovery-key")
        })
        .collect()
}

/// What is sent; empty where nothing is.
pub fn body(method: &str, template: &str, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap();
    let namespace = if path.contains("/other/") { "other" } else { "t" };
    let collection = template.trim_end_matches("/{name}").rsplit('/').next().unwrap();
    let asked = json!({"verb": "get", "resource": "secrets", "namespace": namespace});
    let document = match (method, collection) {
        ("get" | "delete", _) => return String::new(),
        ("post", "encrypt") => json!({"spec": {"plaintext": "c2VlZA=="}}),
        ("post", "decrypt") => json!({"spec": {"ciphertext": "AAAA", "keyID": "none"}}),
        ("post", "retire") => json!({"spec": {"keyID": "none"}}),
        ("post", "render") => json!({"spec": {"cluster": "target"}}),
        ("put", "status") if !template.contains("/namespaces/{name}/status") => {
            let name = path.rsplit('/').nth(1).unwrap();
            of_nobody(template.rsplit('/').nth(2).unwrap(), &json!({"name": name}))
        }
        ("put", "finalize" | "status" | "namespaces") => {
            let name = path.split('/').nth(4).unwrap();
            json!({"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}})
        }
        ("put", "events") => json!({"metadata": {"name": name}, "involvedObject": {"namespace": namespace}}),
        ("post", "events") => json!({"metadata": {"generateName": "new-"}, "involvedObject": {"namespace": namespace}}),
        ("put", "{slot}") => json!({"secret": RECOVERY_KEY, "replace": true}),
        ("put", _) => of_nobody(collection, &json!({"name": name})),
        ("post", "namespaces" | "secrets" | "serviceaccounts" | "users") => {
            json!({"metadata": {"generateName": "new-"}})
        }
        (
            "post",
            "roles"
            | "clusterroles"
            | "rolebindings"
            | "clusterrolebindings"
            | "clusters"
            | "secretsyncs"
            | "certificates"
            | "generatedsecrets"
            | "kmskeys",
        ) => of_nobody(collection, &json!({"generateName": "new-"})),
        ("patch", _)
        | (
            "post",
            "token"
            | "selfsubjectreviews"
            | "grantusagereviews"
            | "rotate"
            | "rotate-data"
            | "rotate-signing-keys"
            | "backups"
            | "seal",
        ) => {
            json!({})
        }
        ("post", "unseal") => json!({"passphrase": "x"}),
        ("post", "tokenreviews") => json!({"spec": {"token": "x"}}),
        ("post", "localsubjectaccessreviews" | "subjectaccessreviews") => {
            json!({"spec": {"user": "somebody", "resourceAttributes": asked}})
        }
        ("post", "selfsubjectrulesreviews") => json!({"spec": {"namespace": namespace}}),
        ("post", "selfsubjectaccessreviews" | "accessexplanations" | "resourceaccessreviews") => {
            json!({"spec": {"resourceAttributes": asked}})
        }
        ("post", "password") if template.contains("/users/") => json!({"spec": {"password": actors::PASSWORD}}),
        ("post", "secretscans") => json!({"spec": {"scanner": "0123456789abcdef"}}),
        ("post", "secretimports") => {
            json!({"spec": {"secrets": [{"metadata": {"name": "imported"}}], "overwrite": true}})
        }
        ("post", "secretexports") => json!({"spec": {"names": ["a"], "format": "yaml"}}),
        ("post", "certificaterevocation") => json!({"spec": {"serialNumber": "4a0b"}}),
        _ => panic!("nothing is known to send for {method} {template}"),
    };
    document.to_string()
}

/// A role without rules, a binding of such a role to nobody, or an object that has nothing but a name.
fn of_nobody(collection: &str, metadata: &Value) -> Value {
    let reference = |kind: &str| json!({"apiGroup": actors::RBAC, "kind": kind, "name": "nothing"});
    match collection {
        "roles" | "clusterroles" => json!({"metadata": metadata, "rules": []}),
        "rolebindings" => json!({"metadata": metadata, "roleRef": reference("Role")}),
        "clusterrolebindings" => json!({"metadata": metadata, "roleRef": reference("ClusterRole")}),
        "clusters" => {
            let reference = json!({"namespace": "t", "name": "a", "key": "none"});
            json!({"metadata": metadata, "spec": {"kubeconfigSecretRef": reference}})
        }
        "secretsyncs" => json!({"metadata": metadata, "spec": {
            "serviceAccountName": "target", "source": {"names": ["none"]}, "targets": [{"cluster": "target"}],
        }}),
        "certificates" => json!({"metadata": metadata, "spec": {"secretName": "certified", "commonName": "a"}}),
        "generatedsecrets" => json!({"metadata": metadata, "spec": {
            "secretName": "generated", "keys": [{"key": "a", "generator": "uuid"}],
        }}),
        "kmskeys" => json!({"metadata": metadata, "spec": {"allowDeletion": true}}),
        _ => json!({"metadata": metadata}),
    }
}

/// The name of a former revision of a Secret of the namespace, which is made.
pub fn former_revision(admin: &mut Client, namespace: &str) -> String {
    secret(admin, namespace, "changed", &json!({"k": "v"}));
    let changed = json!({"metadata": {"name": "changed"}, "stringData": {"k": "w"}});
    admin.json("PUT", &format!("{}/changed", secrets(namespace)), &changed).ok();
    let revisions = format!("{OURS}/namespaces/{namespace}/secretrevisions?fieldSelector=spec.secretName=changed");
    let listed = admin.get(&revisions).ok().json();
    admin.delete(&format!("{}/changed", secrets(namespace))).ok();
    listed["items"][0]["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Makes namespaces and what is in them.
pub fn set_up(admin: &mut Client) {
    for namespace in ["t", "other"] {
        actors::namespace(admin, namespace);
        secret(admin, namespace, "b", &json!({"k": "v"}));
        role(admin, namespace, "nothing", &[]);
    }
    role(admin, "", "nothing", &[]);
    // What is rendered is read as service account `target`.
    let rule = json!({"verbs": ["use"], "apiGroups": ["strongroom.dev"], "resources": ["clusters"]});
    role(admin, "", "uses-clusters", &[rule]);
    for namespace in ["t", "other"] {
        let account = format!("ServiceAccount/{namespace}/target");
        actors::bind(admin, "", &format!("uses-clusters-{namespace}"), "ClusterRole/uses-clusters", &account);
    }
    make_targets(admin);
}

/// What requests are for; what is there already stays as it is.
pub fn make_targets(admin: &mut Client) {
    let target = json!({"name": "target"});
    let mut targets = vec![
        (USERS.to_owned(), of_nobody("users", &target)),
        (rbac("", "clusterroles"), of_nobody("clusterroles", &target)),
        (rbac("", "clusterrolebindings"), of_nobody("clusterrolebindings", &target)),
        (format!("{OURS}/clusters"), of_nobody("clusters", &target)),
        (format!("{OURS}/kmskeys"), of_nobody("kmskeys", &target)),
    ];
    for namespace in ["t", "other"] {
        targets.push((secrets(namespace), of_nobody("secrets", &json!({"name": "a"}))));
        targets.push((secrets(namespace), of_nobody("secrets", &json!({"name": "b"}))));
        targets.push((format!("/api/v1/namespaces/{namespace}/serviceaccounts"), of_nobody("", &target)));
        let event = json!({"metadata": target, "involvedObject": {"namespace": namespace}});
        targets.push((format!("/api/v1/namespaces/{namespace}/events"), event));
        targets.push((format!("{OURS}/namespaces/{namespace}/secretsyncs"), of_nobody("secretsyncs", &target)));
        for resource in ["certificates", "generatedsecrets"] {
            targets.push((format!("{OURS}/namespaces/{namespace}/{resource}"), of_nobody(resource, &target)));
        }
        for resource in ["roles", "rolebindings"] {
            targets.push((rbac(namespace, resource), of_nobody(resource, &target)));
        }
    }
    for (path, object) in targets {
        let answer = admin.json("POST", &path, &object);
        assert!(matches!(answer.status, 201 | 409), "{path}: {}", answer.text());
    }
}

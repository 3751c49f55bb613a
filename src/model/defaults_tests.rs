//! Defaults of every kind.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::kinds;

fn defaulted(kind: &'static Kind, mut object: Value) -> Value {
    apply_defaults(kind, &mut object);
    let once = object.clone();
    apply_defaults(kind, &mut object);
    assert_eq!(object, once, "a second time changes nothing");
    object
}

#[test]
fn string_data_is_folded_into_data() {
    let meta = json!({ "name": "s" });
    let rows = [
        (json!({}), json!({ "type": "Opaque" })),
        (json!({ "type": "" }), json!({ "type": "Opaque" })),
        (json!({ "type": "kubernetes.io/tls", "data": {} }), json!({ "type": "kubernetes.io/tls" })),
        (json!({ "data": null, "stringData": null }), json!({ "type": "Opaque" })),
        (json!({ "data": { "a": null } }), json!({ "type": "Opaque", "data": { "a": "" } })),
        (
            json!({ "data": { "a": "eA==", "b": "eQ==" }, "stringData": { "a": "new", "c": "", "d": null } }),
            json!({ "type": "Opaque", "data": { "a": "bmV3", "b": "eQ==", "c": "" } }),
        ),
        (json!({ "stringData": { "a": "ä" } }), json!({ "type": "Opaque", "data": { "a": "w6Q=" } })),
        (json!({ "stringData": {} }), json!({ "type": "Opaque" })),
        (json!({ "immutable": false }), json!({ "type": "Opaque", "immutable": false })),
    ];
    for (mut object, mut expected) in rows {
        object["metadata"] = meta.clone();
        expected["metadata"] = meta.clone();
        assert_eq!(defaulted(&kinds::SECRET, object.clone()), expected, "{object}");
    }
}

#[test]
fn empty_metadata_is_left_out() {
    let object = json!({ "type": "Opaque", "metadata": {
        "name": "s", "generateName": "", "generation": 0, "creationTimestamp": null, "labels": {}, "annotations": {},
        "finalizers": [], "ownerReferences": [], "managedFields": [], "deletionGracePeriodSeconds": 0,
    } });
    assert_eq!(
        defaulted(&kinds::SECRET, object),
        json!({ "type": "Opaque", "metadata": { "name": "s", "deletionGracePeriodSeconds": 0 } })
    );
}

#[test]
fn repeated_owners_are_dropped() {
    let owner = json!({ "apiVersion": "v1", "kind": "Secret", "name": "o", "uid": "u" });
    let mut controller = owner.clone();
    controller["controller"] = json!(true);
    let object = json!({ "metadata": { "ownerReferences": [owner, controller, owner, controller, owner] } });
    assert_eq!(
        defaulted(&kinds::SECRET, object)["metadata"]["ownerReferences"],
        json!([owner, controller]),
        "the same uid twice is no repetition when the rest differs"
    );
}

#[test]
fn a_namespace_is_labelled_with_its_name_and_begins_active() {
    let mut namespace = json!({
        "metadata": { "name": "n", "labels": { "kubernetes.io/metadata.name": "lie" }, "uid": "x", "namespace": "m" },
        "spec": { "finalizers": ["a.b/c"] }, "status": { "phase": "Terminating" },
    });
    prepare_for_create(&kinds::NAMESPACE, &mut namespace);
    assert_eq!(
        defaulted(&kinds::NAMESPACE, namespace),
        json!({
            "metadata": { "name": "n", "labels": { "kubernetes.io/metadata.name": "n" } },
            "spec": { "finalizers": ["a.b/c", "kubernetes"] }, "status": { "phase": "Active" },
        })
    );
    let mut bare = json!({ "metadata": { "generateName": "n-" } });
    apply_defaults(&kinds::NAMESPACE, &mut bare);
    assert_eq!(bare["metadata"], json!({ "generateName": "n-" }), "no label without a name");
    bare["metadata"]["name"] = json!("n-x");
    prepare_for_create(&kinds::NAMESPACE, &mut bare);
    assert_eq!(bare["metadata"]["labels"], json!({ "kubernetes.io/metadata.name": "n-x" }));
    prepare_for_create(&kinds::NAMESPACE, &mut bare);
    assert_eq!(bare["spec"]["finalizers"], json!(["kubernetes"]));
}

#[test]
fn each_subresource_of_a_namespace_owns_its_part() {
    let old = json!({
        "metadata": { "name": "n", "uid": "u", "generation": 3, "creationTimestamp": "2024-01-01T00:00:00Z" },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
    });
    let sent = json!({
        "metadata": { "name": "n", "generation": 9, "creationTimestamp": "2025-01-01T00:00:00Z", "selfLink": "/x" },
        "spec": { "finalizers": ["a.b/c"] }, "status": { "phase": "Terminating" },
    });
    for (subresource, finalizers, phase) in
        [("", "kubernetes", "Active"), ("status", "kubernetes", "Terminating"), ("finalize", "a.b/c", "Active")]
    {
        let mut new = sent.clone();
        prepare_for_update(&kinds::NAMESPACE, subresource, &mut new, &old);
        assert_eq!(new["metadata"], old["metadata"], "{subresource}");
        assert_eq!(new["spec"]["finalizers"], json!([finalizers]), "{subresource}");
        assert_eq!(new["status"]["phase"], phase, "{subresource}");
    }
    let mut finalized = json!({ "metadata": { "name": "n" }, "spec": { "finalizers": [] } });
    prepare_for_update(&kinds::NAMESPACE, "finalize", &mut finalized, &old);
    let finalized = defaulted(&kinds::NAMESPACE, finalized);
    assert_eq!(finalized["spec"], json!({}), "what finalize removed does not come back");
}

#[test]
fn an_update_keeps_what_the_server_owns() {
    let old = json!({ "metadata": {
        "name": "s", "uid": "u", "creationTimestamp": "2024-01-01T00:00:00Z",
        "deletionTimestamp": "2024-02-01T00:00:00Z", "deletionGracePeriodSeconds": 0,
    } });
    let mut new = json!({ "metadata": { "name": "s", "uid": "", "generation": 7 } });
    prepare_for_update(&kinds::SECRET, "", &mut new, &old);
    assert_eq!(new, old);
    let mut other = json!({ "metadata": { "name": "s", "uid": "x", "deletionTimestamp": "2024-02-01T00:00:00Z" } });
    let live = json!({ "metadata": { "name": "s", "uid": "u" } });
    prepare_for_update(&kinds::SECRET, "", &mut other, &live);
    assert_eq!(other["metadata"]["uid"], "x", "left for validation to refuse");
    assert_eq!(other["metadata"]["deletionTimestamp"], "2024-02-01T00:00:00Z");
}

#[test]
fn a_service_account_keeps_only_names_of_secrets() {
    let object = json!({
        "metadata": { "name": "sa" }, "secrets": [{ "name": "a", "namespace": "x", "uid": "u" }, { "kind": "Secret" }],
        "imagePullSecrets": [], "automountServiceAccountToken": false,
    });
    assert_eq!(
        defaulted(&kinds::SERVICE_ACCOUNT, object),
        json!({
            "metadata": { "name": "sa" }, "secrets": [{ "name": "a" }, {}], "automountServiceAccountToken": false,
        })
    );
}

#[test]
fn bindings_get_their_api_groups() {
    let object = json!({
        "metadata": { "name": "b" }, "roleRef": { "kind": "Role", "name": "r" },
        "subjects": [
            { "kind": "User", "name": "u" }, { "kind": "Group", "name": "g", "apiGroup": "x" },
            { "kind": "ServiceAccount", "name": "s", "apiGroup": "" },
        ],
    });
    for kind in [&kinds::ROLE_BINDING, &kinds::CLUSTER_ROLE_BINDING] {
        let binding = defaulted(kind, object.clone());
        assert_eq!(binding["roleRef"], json!({ "kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io" }));
        assert_eq!(
            binding["subjects"],
            json!([
                { "kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io" },
                { "kind": "Group", "name": "g", "apiGroup": "x" },
                { "kind": "ServiceAccount", "name": "s" },
            ])
        );
    }
}

#[test]
fn empty_lists_of_rules_are_left_out_but_their_groups_are_not() {
    let object = json!({ "metadata": { "name": "r" }, "rules": [
        { "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": [], "nonResourceURLs": [] },
    ] });
    assert_eq!(
        defaulted(&kinds::ROLE, object)["rules"],
        json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"] }])
    );
    let aggregated = json!({ "metadata": { "name": "r" }, "aggregationRule": { "clusterRoleSelectors": [] } });
    assert_eq!(defaulted(&kinds::CLUSTER_ROLE, aggregated)["aggregationRule"], json!({}));
}

#[test]
fn a_token_request_asks_for_an_hour() {
    let mut request = json!({ "spec": { "audiences": ["a"] } });
    apply_token_request_defaults(&mut request);
    assert_eq!(request["spec"]["expirationSeconds"], 3600);
    let mut request = json!({ "spec": { "expirationSeconds": 0 } });
    apply_token_request_defaults(&mut request);
    assert_eq!(request["spec"]["expirationSeconds"], 0, "left for validation to refuse");
}

proptest! {
    #[test]
    fn no_document_panics(object in crate::model::validation::any_document(), old in crate::model::validation::any_document()) {
        for kind in kinds::KINDS {
            let mut changed = object.clone();
            apply_defaults(kind, &mut changed);
            prepare_for_create(kind, &mut changed);
            for subresource in ["", "status", "finalize"] {
                prepare_for_update(kind, subresource, &mut changed, &old);
            }
            apply_token_request_defaults(&mut changed);
            prop_assert_eq!(changed.is_object(), object.is_object());
        }
    }
}

//! What metadata and the objects of every kind must be: one row per rule and text.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::kinds::{
    self, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, NAMESPACE, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT,
};

const GROUP: &str = "rbac.authorization.k8s.io";

fn with_meta(meta: &Value) -> Value {
    let mut object = json!({ "metadata": { "name": "s", "namespace": "n" } });
    for (key, value) in meta.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    object
}

fn created(kind: &'static Kind, object: &Value) -> String {
    message(&validate_create(kind, object))
}

/// Any JSON at all, leaning towards documents whose keys mean something.
pub(in crate::model) fn any_document() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        proptest::sample::select(vec![
            "metadata",
            "name",
            "generateName",
            "namespace",
            "labels",
            "annotations",
            "ownerReferences",
            "finalizers",
            "managedFields",
            "deletionTimestamp",
            "creationTimestamp",
            "generation",
            "uid",
            "data",
            "stringData",
            "type",
            "immutable",
            "spec",
            "status",
            "phase",
            "rules",
            "verbs",
            "resources",
            "apiGroups",
            "nonResourceURLs",
            "roleRef",
            "subjects",
            "kind",
            "apiVersion",
            "aggregationRule",
            "clusterRoleSelectors",
            "matchLabels",
            "matchExpressions",
            "operator",
            "values",
            "key",
            "controller",
            "resourceAttributes",
            "nonResourceAttributes",
            "labelSelector",
            "requirements",
            "secrets",
            "expirationSeconds",
            ".dockerconfigjson",
            "boundObjectRef",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(vec![
            "kubernetes.io/dockerconfigjson",
            "kubernetes.io/tls",
            "orphan",
            "In",
            "Exists",
            "ServiceAccount",
            "e30=",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

#[test]
fn metadata_is_judged_on_create() {
    let owner = |change: Value| {
        let mut owner = json!({ "apiVersion": "v1", "kind": "Secret", "name": "o", "uid": "u" });
        for (key, value) in change.as_object().unwrap() {
            owner[key] = value.clone();
        }
        owner
    };
    let subdomain = names::dns1123_subdomain("_")[0];
    let name_part = names::qualified_name("%")[0];
    let label_value = names::label_value("_")[0];
    let nonstandard = "name is neither a standard finalizer name nor is it fully qualified";
    let rows = [
        (json!({}), String::new()),
        (json!({ "name": "Bad_Name" }), format!("metadata.name: Invalid value: \"Bad_Name\": {subdomain}")),
        (json!({ "name": "" }), "metadata.name: Required value: name or generateName is required".to_owned()),
        (
            json!({ "name": "x".repeat(254) }),
            format!("metadata.name: Invalid value: \"{}\": must be no more than 253 characters", "x".repeat(254)),
        ),
        (json!({ "generateName": "db-" }), String::new()),
        (json!({ "generateName": "DB-" }), format!("metadata.generateName: Invalid value: \"DB-\": {subdomain}")),
        (json!({ "namespace": "" }), "metadata.namespace: Required value".to_owned()),
        (json!({ "namespace": "a.b" }), "metadata.namespace: Invalid value: \"a.b\": must not contain dots".to_owned()),
        (
            json!({ "generation": -1 }),
            "metadata.generation: Invalid value: -1: must be greater than or equal to 0".to_owned(),
        ),
        (json!({ "labels": { "example.com/App": "v_1", "b": "" } }), String::new()),
        (json!({ "labels": { "%": "v" } }), format!("metadata.labels: Invalid value: \"%\": {name_part}")),
        (json!({ "labels": { "a": "_x" } }), format!("metadata.labels: Invalid value: \"_x\": {label_value}")),
        (
            json!({ "labels": { "/a": "" } }),
            "metadata.labels: Invalid value: \"/a\": prefix part must be non-empty".to_owned(),
        ),
        (json!({ "annotations": { "Example.COM/Key": "any thing" } }), String::new()),
        (json!({ "annotations": { "%": "v" } }), format!("metadata.annotations: Invalid value: \"%\": {name_part}")),
        (json!({ "annotations": { "a": "v".repeat(262_143) } }), String::new()),
        (
            json!({ "annotations": { "a": "v".repeat(262_144) } }),
            "metadata.annotations: Too long: may not be more than 262144 bytes".to_owned(),
        ),
        (json!({ "finalizers": ["orphan", "example.com/f"] }), String::new()),
        (json!({ "finalizers": ["kubernetes"] }), String::new()),
        (json!({ "finalizers": ["bad"] }), format!("metadata.finalizers[0]: Invalid value: \"bad\": {nonstandard}")),
        (
            json!({ "finalizers": ["a.b/c", "%"] }),
            format!(
                "[metadata.finalizers: Invalid value: \"%\": {name_part}, metadata.finalizers[1]: Invalid value: \
                 \"%\": {nonstandard}]"
            ),
        ),
        (
            json!({ "finalizers": ["orphan", "foregroundDeletion"] }),
            "metadata.finalizers: Invalid value: []string{\"orphan\", \"foregroundDeletion\"}: finalizer orphan and \
             foregroundDeletion cannot be both set"
                .to_owned(),
        ),
        (json!({ "ownerReferences": [owner(json!({ "controller": true })), owner(json!({}))] }), String::new()),
        (
            json!({ "ownerReferences": [{}] }),
            "[metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty, \
             metadata.ownerReferences.kind: Invalid value: \"\": kind must not be empty, \
             metadata.ownerReferences.name: Invalid value: \"\": name must not be empty, \
             metadata.ownerReferences.uid: Invalid value: \"\": uid must not be empty]"
                .to_owned(),
        ),
        (
            json!({ "ownerReferences": [owner(json!({ "apiVersion": "a/b/c" }))] }),
            "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty".to_owned(),
        ),
        (
            json!({ "ownerReferences": [owner(json!({ "kind": "Event" }))] }),
            "metadata.ownerReferences: Invalid value: v1.OwnerReference{APIVersion:\"v1\", Kind:\"Event\", \
             Name:\"o\", UID:\"u\", Controller:(*bool)(nil), BlockOwnerDeletion:(*bool)(nil)}: /v1, Kind=Event is \
             disallowed from being an owner"
                .to_owned(),
        ),
        (
            json!({ "ownerReferences": [owner(json!({ "controller": true })), owner(json!({ "name": "p", "controller": true }))] }),
            "metadata.ownerReferences: Invalid value: []v1.OwnerReference{v1.OwnerReference{APIVersion:\"v1\", \
             Kind:\"Secret\", Name:\"o\", UID:\"u\", Controller:(*bool)(true), BlockOwnerDeletion:(*bool)(nil)}, \
             v1.OwnerReference{APIVersion:\"v1\", Kind:\"Secret\", Name:\"p\", UID:\"u\", Controller:(*bool)(true), \
             BlockOwnerDeletion:(*bool)(nil)}}: Only one reference can have Controller set to true. Found \"true\" in \
             references for Secret/o and Secret/p"
                .to_owned(),
        ),
        (
            json!({ "managedFields": [{ "operation": "Apply" }, { "operation": "x", "fieldsType": "y", "manager": "a\u{7}" }] }),
            "[metadata.managedFields[1].operation: Invalid value: \"x\": must be `Apply` or `Update`, \
             metadata.managedFields[1].fieldsType: Invalid value: \"y\": must be `FieldsV1`, \
             metadata.managedFields[1].manager: Invalid value: \"a\\a\": invalid character U+0007 (at position 1)]"
                .to_owned(),
        ),
        (
            json!({ "managedFields": [{ "operation": "Update", "manager": "m".repeat(129), "subresource": "s".repeat(257) }] }),
            "[metadata.managedFields[0].manager: Too long: may not be more than 128 bytes, \
             metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes]"
                .to_owned(),
        ),
    ];
    for (meta, expected) in rows {
        assert_eq!(created(&SECRET, &with_meta(&meta)), expected, "{meta}");
        assert_eq!(created(&SERVICE_ACCOUNT, &with_meta(&meta)), expected, "{meta}");
    }
}

#[test]
fn names_follow_the_kind() {
    let dotted = |name: &str| json!({ "metadata": { "name": name } });
    assert_eq!(created(&NAMESPACE, &dotted("a.b")), "metadata.name: Invalid value: \"a.b\": must not contain dots");
    assert_eq!(created(&CLUSTER_ROLE, &dotted("Sys:Foo Bar")), "");
    assert_eq!(created(&CLUSTER_ROLE, &dotted("..")), "metadata.name: Invalid value: \"..\": may not be '..'");
    assert_eq!(created(&CLUSTER_ROLE, &dotted("a/b")), "metadata.name: Invalid value: \"a/b\": may not contain '/'");
    assert_eq!(created(&CLUSTER_ROLE, &dotted("a%b")), "metadata.name: Invalid value: \"a%b\": may not contain '%'");
    let namespaced = json!({ "metadata": { "name": "c", "namespace": "n" } });
    assert_eq!(created(&CLUSTER_ROLE, &namespaced), "metadata.namespace: Forbidden: not allowed on this type");
}

#[test]
fn metadata_is_judged_on_update() {
    let old = || with_meta(&json!({ "uid": "u", "generation": 2, "creationTimestamp": "2024-01-02T03:04:05Z" }));
    let immutable = "field is immutable";
    let rows = [
        (json!({}), String::new()),
        (json!({ "uid": "x" }), format!("metadata.uid: Invalid value: \"x\": {immutable}")),
        (json!({ "name": "t" }), format!("metadata.name: Invalid value: \"t\": {immutable}")),
        (json!({ "namespace": "m" }), format!("metadata.namespace: Invalid value: \"m\": {immutable}")),
        (json!({ "generation": 1 }), "metadata.generation: Invalid value: 1: must not be decremented".to_owned()),
        (
            json!({ "creationTimestamp": "2025-01-02T03:04:05Z" }),
            format!("metadata.creationTimestamp: Invalid value: 2025-01-02 03:04:05 +0000 UTC: {immutable}"),
        ),
        (
            json!({ "deletionTimestamp": "2025-01-02T03:04:05Z" }),
            format!("metadata.deletionTimestamp: Invalid value: 2025-01-02 03:04:05 +0000 UTC: {immutable}"),
        ),
        (
            json!({ "deletionGracePeriodSeconds": 30 }),
            format!("metadata.deletionGracePeriodSeconds: Invalid value: 30: {immutable}"),
        ),
    ];
    for (change, expected) in rows {
        let mut new = old();
        for (key, value) in change.as_object().unwrap() {
            new["metadata"][key] = value.clone();
        }
        assert_eq!(message(&validate_update(&SECRET, &new, &old())), expected, "{change}");
    }
    let mut other = old();
    other["metadata"]["uid"] = json!("x");
    assert_eq!(validate_update(&SECRET, &other, &old()).len(), 2, "two causes, one text");
    let mut deleted = old();
    deleted["metadata"]["deletionTimestamp"] = json!("2025-01-02T03:04:05Z");
    deleted["metadata"]["finalizers"] = json!(["x.com/f"]);
    let mut held = deleted.clone();
    held["metadata"]["finalizers"] = json!(["x.com/f", "x.com/h", "x.com/g"]);
    assert_eq!(
        message(&validate_update(&SECRET, &held, &deleted)),
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
         finalizers []string{\"x.com/g\", \"x.com/h\"}"
    );
    let mut released = deleted.clone();
    released["metadata"].as_object_mut().unwrap().remove("finalizers");
    assert_eq!(message(&validate_update(&SECRET, &released, &deleted)), "");
}

#[test]
fn every_kind_refuses_the_rules_it_would_refuse_on_create() {
    for kind in kinds::KINDS.iter().filter(|kind| kind.stored) {
        let mut object = with_meta(&json!({ "labels": { "a": "_" } }));
        if !kind.namespaced {
            object["metadata"].as_object_mut().unwrap().remove("namespace");
        }
        if matches!(kind.id, kind_id::ROLE_BINDING | kind_id::CLUSTER_ROLE_BINDING) {
            object["roleRef"] = json!({ "apiGroup": GROUP, "kind": "ClusterRole", "name": "r" });
        }
        if kind.id == kind_id::CLUSTER {
            object["spec"] = json!({ "kubeconfigSecretRef": { "namespace": "n", "name": "s", "key": "k" } });
        }
        if kind.id == kind_id::SECRET_SYNC {
            let targets = json!([{ "cluster": "c" }]);
            object["spec"] = json!({ "serviceAccountName": "a", "source": { "names": ["s"] }, "targets": targets });
        }
        if kind.id == kind_id::CERTIFICATE {
            object["spec"] = json!({ "secretName": "s", "commonName": "c" });
        }
        if kind.id == kind_id::GENERATED_SECRET {
            object["spec"] = json!({ "secretName": "s", "keys": [{ "key": "k", "generator": "uuid" }] });
        }
        if kind.id == kind_id::EVENT {
            object["involvedObject"] = json!({ "namespace": object["metadata"]["namespace"] });
        }
        let expected = format!("metadata.labels: Invalid value: \"_\": {}", names::label_value("_")[0]);
        assert_eq!(created(kind, &object), expected, "{}", kind.kind);
        assert_eq!(message(&validate_update(kind, &object, &object)), expected, "{}", kind.kind);
    }
}

#[test]
fn namespaces_are_held_by_known_finalizers() {
    let namespace = |finalizers: Value, status: &str| {
        json!({
            "metadata": { "name": "n" }, "spec": { "finalizers": finalizers }, "status": { "phase": status },
        })
    };
    let unknown = "name is neither a standard finalizer name nor is it fully qualified";
    let good = namespace(json!(["kubernetes", "a.b/c"]), "Active");
    assert_eq!(created(&NAMESPACE, &good), "");
    let bad = namespace(json!(["bad"]), "Active");
    assert_eq!(created(&NAMESPACE, &bad), format!("spec.finalizers: Invalid value: \"bad\": {unknown}"));
    assert_eq!(
        message(&validate_update_subresource(&NAMESPACE, "finalize", &bad, &good)),
        format!("spec.finalizers[0]: Invalid value: \"bad\": {unknown}")
    );
    let ending = namespace(json!(["kubernetes"]), "Terminating");
    assert_eq!(
        message(&validate_update_subresource(&NAMESPACE, "status", &ending, &good)),
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    );
    let mut deleted = good.clone();
    deleted["metadata"]["deletionTimestamp"] = json!("2025-01-02T03:04:05Z");
    assert_eq!(
        message(&validate_update_subresource(&NAMESPACE, "status", &deleted, &deleted)),
        "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
    );
    assert_eq!(message(&validate_update_subresource(&NAMESPACE, "finalize", &good, &good)), "");
}

#[test]
fn rules_name_verbs_and_what_they_apply_to() {
    let rows = [
        (json!({ "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"] }), "", ""),
        (
            json!({ "apiGroups": [""], "resources": ["secrets"] }),
            "rules[0].verbs: Required value: verbs must contain at least one value",
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            json!({ "verbs": ["get"] }),
            "[rules[0].apiGroups: Required value: resource rules must supply at least one api group, \
             rules[0].resources: Required value: resource rules must supply at least one resource]",
            "[rules[0].apiGroups: Required value: resource rules must supply at least one api group, \
             rules[0].resources: Required value: resource rules must supply at least one resource]",
        ),
        (
            json!({ "verbs": ["get"], "nonResourceURLs": ["/x"] }),
            "rules[0].nonResourceURLs: Invalid value: []string{\"/x\"}: namespaced rules cannot apply to non-resource \
             URLs",
            "",
        ),
        (
            json!({ "verbs": ["get"], "nonResourceURLs": ["/x"], "resourceNames": ["a"] }),
            "[rules[0].nonResourceURLs: Invalid value: []string{\"/x\"}: namespaced rules cannot apply to \
             non-resource URLs, rules[0].nonResourceURLs: Invalid value: []string{\"/x\"}: rules cannot apply to both \
             regular resources and non-resource URLs]",
            "rules[0].nonResourceURLs: Invalid value: []string{\"/x\"}: rules cannot apply to both regular resources \
             and non-resource URLs",
        ),
    ];
    for (rule, in_role, in_cluster_role) in rows {
        let role = json!({ "metadata": { "name": "r", "namespace": "n" }, "rules": [rule] });
        assert_eq!(created(&ROLE, &role), in_role, "{rule}");
        let cluster_role = json!({ "metadata": { "name": "r" }, "rules": [rule] });
        assert_eq!(created(&CLUSTER_ROLE, &cluster_role), in_cluster_role, "{rule}");
    }
    assert_eq!(created(&ROLE, &json!({ "metadata": { "name": "r", "namespace": "n" }, "rules": null })), "");
}

#[test]
fn roles_are_bounded() {
    let role = |rules: Vec<Value>| json!({ "metadata": { "name": "r" }, "rules": rules });
    let rule = json!({ "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"] });
    assert_eq!(created(&CLUSTER_ROLE, &role(vec![rule.clone(); 1000])), "");
    assert_eq!(
        created(&CLUSTER_ROLE, &role(vec![rule.clone(); 1001])),
        "rules: Too many: 1001: must have at most 1000 items"
    );
    let names: Vec<String> = (0..9_998).map(|index| format!("n{index}")).collect();
    let mut wide = rule.clone();
    wide["resourceNames"] = json!(names);
    assert_eq!(
        created(&CLUSTER_ROLE, &role(vec![wide])),
        "rules: Too many: 10001: the lists of all rules must have at most 10000 items together"
    );
    let hundred: Vec<String> = (0..101).map(|index| format!("r{index}")).collect();
    let product = json!({ "verbs": hundred, "apiGroups": hundred, "resources": hundred });
    assert_eq!(
        created(&CLUSTER_ROLE, &role(vec![product])),
        "rules: Too many: 1030301: the rules must multiply out to at most 1000000 single permissions"
    );
    let subjects = vec![json!({ "kind": "User", "name": "u", "apiGroup": GROUP }); 10_001];
    let binding = json!({
        "metadata": { "name": "b" }, "roleRef": { "apiGroup": GROUP, "kind": "ClusterRole", "name": "r" },
        "subjects": subjects,
    });
    assert_eq!(created(&CLUSTER_ROLE_BINDING, &binding), "subjects: Too many: 10001: must have at most 10000 items");
}

#[test]
fn aggregation_needs_good_selectors() {
    let field = "aggregationRule.clusterRoleSelectors";
    let invalid = format!("{field}[0]: Invalid value: \"null\": invalid label selector.");
    let value = names::label_value("_")[0];
    let key = names::qualified_name("%")[0];
    let role = |selectors: Value| json!({ "metadata": { "name": "r" }, "aggregationRule": { "clusterRoleSelectors": selectors } });
    let rows = [
        (json!([{ "matchLabels": { "a": "b" } }]), String::new()),
        (json!([{}]), String::new()),
        (
            json!([]),
            format!("{field}: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"),
        ),
        (
            json!([{ "matchLabels": { "%": "_" } }]),
            format!(
                "[{field}[0].matchLabels: Invalid value: \"%\": {key}, {field}[0].matchLabels: Invalid value: \"_\": \
                 {value}, {invalid}]"
            ),
        ),
        (
            json!([{ "matchExpressions": [{ "key": "a", "operator": "Soon" }] }]),
            format!(
                "[{field}[0].matchExpressions[0].operator: Invalid value: \"Soon\": not a valid selector operator, \
                 {invalid}]"
            ),
        ),
        (
            json!([{ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["x", "_"] }] }]),
            format!("[{field}[0].matchExpressions[0].values[1]: Invalid value: \"_\": {value}, {invalid}]"),
        ),
        (
            json!([{ "matchExpressions": [{ "key": "a", "operator": "NotIn" }] }]),
            format!(
                "[{field}[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or \
                 'NotIn', {invalid}]"
            ),
        ),
    ];
    for (selectors, expected) in rows {
        assert_eq!(created(&CLUSTER_ROLE, &role(selectors.clone())), expected, "{selectors}");
    }
    let stored = role(json!([{ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["_"] }] }]));
    assert_eq!(message(&validate_update(&CLUSTER_ROLE, &stored, &stored)), invalid);
}

#[test]
fn bindings_name_a_role_and_subjects() {
    let binding = |role_ref: Value, subjects: Value| json!({ "metadata": { "name": "b", "namespace": "n" }, "roleRef": role_ref, "subjects": subjects });
    let good = json!({ "apiGroup": GROUP, "kind": "Role", "name": "r" });
    let subdomain = names::dns1123_subdomain("_")[0];
    let rows = [
        (good.clone(), json!([]), String::new()),
        (
            json!({ "apiGroup": "y", "kind": "Role", "name": "r" }),
            json!([]),
            format!("roleRef.apiGroup: Unsupported value: \"y\": supported values: \"{GROUP}\""),
        ),
        (
            json!({ "apiGroup": GROUP, "name": "r" }),
            json!([]),
            "roleRef.kind: Unsupported value: \"\": supported values: \"Role\", \"ClusterRole\"".to_owned(),
        ),
        (json!({ "apiGroup": GROUP, "kind": "Role" }), json!([]), "roleRef.name: Required value".to_owned()),
        (
            json!({ "apiGroup": GROUP, "kind": "Role", "name": ".." }),
            json!([]),
            "roleRef.name: Invalid value: \"..\": may not be '..'".to_owned(),
        ),
        (
            good.clone(),
            json!([
                { "kind": "User", "apiGroup": GROUP, "name": "system:any thing" },
                { "kind": "Group", "apiGroup": GROUP, "name": "g" }, { "kind": "ServiceAccount", "name": "sa" },
            ]),
            String::new(),
        ),
        (
            good.clone(),
            json!([{ "kind": "User", "apiGroup": "x" }, { "kind": "ServiceAccount", "name": "_", "apiGroup": GROUP }, { "kind": "Zed", "name": "z" }]),
            format!(
                "[subjects[0].name: Required value, subjects[0].apiGroup: Unsupported value: \"x\": supported values: \
                 \"{GROUP}\", subjects[1].name: Invalid value: \"_\": {subdomain}, subjects[1].apiGroup: Unsupported \
                 value: \"{GROUP}\": supported values: \"\", subjects[2].kind: Unsupported value: \"Zed\": supported \
                 values: \"ServiceAccount\", \"User\", \"Group\"]"
            ),
        ),
    ];
    for (role_ref, subjects, expected) in rows {
        assert_eq!(
            created(&ROLE_BINDING, &binding(role_ref.clone(), subjects.clone())),
            expected,
            "{role_ref} {subjects}"
        );
    }
    let cluster = json!({
        "metadata": { "name": "b" }, "roleRef": good, "subjects": [{ "kind": "ServiceAccount", "name": "sa" }],
    });
    assert_eq!(
        created(&CLUSTER_ROLE_BINDING, &cluster),
        "[roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\", subjects[0].namespace: \
         Required value]"
    );
    let (old, new) =
        (binding(good, json!([])), binding(json!({ "apiGroup": GROUP, "kind": "Role", "name": "other" }), json!([])));
    assert_eq!(
        message(&validate_update(&ROLE_BINDING, &new, &old)),
        "roleRef: Invalid value: rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"Role\", Name:\"other\"}: \
         cannot change roleRef"
    );
}

#[test]
fn warnings_name_what_will_be_refused_one_day() {
    let owner = json!({ "apiVersion": "v1", "kind": "Secret", "name": "o", "uid": "u" });
    let object = with_meta(&json!({ "ownerReferences": [owner, owner] }));
    let warned = |when: &str| {
        vec![format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, \
             and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u"
        )]
    };
    assert_eq!(warnings_create(&SECRET, &object), warned(""));
    assert_eq!(warnings_update(&SECRET, &object, &object, true), warned(" after mutating admission happens"));
    let annotated = with_meta(&json!({ "annotations": { "kubernetes.io/enforce-mountable-secrets": "true" } }));
    let expected =
        ["metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate \
         namespaces to isolate access to mounted secrets"];
    let bare = with_meta(&json!({}));
    assert_eq!(warnings_create(&SERVICE_ACCOUNT, &annotated), expected);
    assert_eq!(warnings_update(&SERVICE_ACCOUNT, &annotated, &bare, false), expected);
    assert!(warnings_update(&SERVICE_ACCOUNT, &annotated, &annotated, false).is_empty(), "only when newly set");
    assert!(warnings_create(&SECRET, &annotated).is_empty());
}

#[test]
fn one_error_stands_bare_and_several_in_brackets_each_once() {
    let (a, b) = (FieldError::required("a", ""), FieldError::required("b", "x"));
    assert_eq!(message(&[]), "");
    assert_eq!(message(std::slice::from_ref(&a)), "a: Required value");
    assert_eq!(message(&[a.clone(), a.clone()]), "a: Required value");
    assert_eq!(message(&[a.clone(), b, a]), "[a: Required value, b: Required value: x]");
}

#[test]
fn hopeless_documents_cost_little() {
    let labels: Map<String, Value> = (0..200_000).map(|index| (format!("%{index}"), json!("_"))).collect();
    let owners = vec![json!({ "controller": true, "name": "n".repeat(10) }); 50_000];
    let meta = json!({
        "labels": labels, "annotations": labels, "ownerReferences": owners, "finalizers": vec!["%"; 100_000],
        "managedFields": vec![json!({ "manager": "\u{7}".repeat(500) }); 1_000],
    });
    let object = with_meta(&meta);
    let errors = validate_update(&SECRET, &object, &object);
    assert!(errors.len() < 4 * MAX_ERRORS, "{}", errors.len());
    assert!(message(&errors).len() < 1_000_000);
}

proptest! {
    #[test]
    fn no_document_panics(new in any_document(), old in any_document()) {
        for kind in kinds::KINDS {
            let errors = [
                validate_create(kind, &new),
                validate_update(kind, &new, &old),
                validate_update_subresource(kind, "status", &new, &old),
                validate_update_subresource(kind, "finalize", &new, &old),
            ];
            prop_assert!(errors.iter().all(|errors| errors.is_empty() || !message(errors).is_empty()));
            let _ = (warnings_create(kind, &new), warnings_update(kind, &new, &old, true));
        }
        let _ = (reviews::subject_access_review(&new), reviews::self_subject_access_review(&new));
        let _ = (reviews::local_subject_access_review(&new, "n"), reviews::self_subject_rules_review(&new));
        let _ = (reviews::token_review(&new), reviews::token_request_spec(&new), reviews::token_bound_kind(&new));
        let _ = (reviews::token_request_metadata(&new, "a", "b"), options::delete_from_body(&new));
    }
}

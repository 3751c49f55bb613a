//! Reviews: what is refused, in which words.

use serde_json::json;

use super::*;
use crate::model::validation::message;

fn text(result: Result<(), Refusal>) -> String {
    match result {
        Ok(()) => String::new(),
        Err(Refusal::BadRequest(text)) => format!("400 {text}"),
        Err(Refusal::Invalid(errors)) => message(&errors),
    }
}

const ZERO_TIME: &str = "time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)";

#[test]
fn access_reviews_ask_one_thing_about_someone() {
    let exactly_one = "spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or \
                       resourceAttributes must be specified";
    let nobody = "spec.user: Invalid value: \"\": at least one of user or group must be specified";
    let both = "spec.nonResourceAttributes: Invalid value: authorization.NonResourceAttributes{Path:\"/x\", \
                Verb:\"get\"}: cannot be specified in combination with resourceAttributes";
    let rows = [
        (json!({ "user": "u", "resourceAttributes": {} }), String::new()),
        (json!({ "groups": ["g"], "nonResourceAttributes": { "path": "/x" } }), String::new()),
        (json!({ "user": "u" }), exactly_one.to_owned()),
        (json!({ "resourceAttributes": {} }), nobody.to_owned()),
        (json!({}), format!("[{exactly_one}, {nobody}]")),
        (
            json!({ "user": "u", "resourceAttributes": {}, "nonResourceAttributes": { "path": "/x", "verb": "get" } }),
            both.to_owned(),
        ),
    ];
    for (spec, expected) in rows {
        assert_eq!(text(subject_access_review(&json!({ "spec": spec }))), expected, "{spec}");
    }
    assert_eq!(text(self_subject_access_review(&json!({}))), exactly_one);
    assert_eq!(text(self_subject_access_review(&json!({ "spec": { "resourceAttributes": {} } }))), "");
}

#[test]
fn selectors_of_access_reviews_are_checked() {
    let rows = [
        (json!({ "labelSelector": { "rawSelector": "a=b" } }), ""),
        (
            json!({ "fieldSelector": {} }),
            "spec.resourceAttributes.fieldSelector.requirements: Required value: when \
             spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
        ),
        (
            json!({ "labelSelector": { "rawSelector": "a=b", "requirements": [{ "key": "a", "operator": "Exists" }] } }),
            "spec.resourceAttributes.labelSelector.rawSelector: Invalid value: \"a=b\": may not specified at the same \
             time as requirements",
        ),
        (
            json!({ "fieldSelector": { "requirements": [{ "operator": "In" }, { "key": "a", "operator": "Soon" }] } }),
            "[spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified, \
             spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when \
             `operator` is 'In' or 'NotIn']",
        ),
        (
            json!({ "labelSelector": { "requirements": [{ "key": "a", "operator": "Exists", "values": ["x"] }] } }),
            "spec.resourceAttributes.labelSelector.requirements[0].values: Forbidden: may not be specified when \
             `operator` is 'Exists' or 'DoesNotExist'",
        ),
    ];
    for (attributes, expected) in rows {
        let review = json!({ "spec": { "resourceAttributes": attributes } });
        assert_eq!(text(self_subject_access_review(&review)), expected, "{attributes}");
    }
}

#[test]
fn a_review_has_no_metadata() {
    let review = |meta: Value| json!({ "metadata": meta, "spec": { "resourceAttributes": {} } });
    for meta in [json!(null), json!({}), json!({ "name": "", "labels": {} }), json!({ "managedFields": [{}] })] {
        assert_eq!(text(self_subject_access_review(&review(meta))), "");
    }
    let meta = json!({
        "name": "x", "labels": { "b": "1", "a": "2" }, "annotations": { "k": "hidden" },
        "deletionTimestamp": "2024-01-02T03:04:05Z", "finalizers": ["a/b"],
    });
    assert_eq!(
        text(self_subject_access_review(&review(meta))),
        format!(
            "metadata: Invalid value: v1.ObjectMeta{{Name:\"x\", GenerateName:\"\", Namespace:\"\", SelfLink:\"\", \
             UID:\"\", ResourceVersion:\"\", Generation:0, CreationTimestamp:{ZERO_TIME}, \
             DeletionTimestamp:time.Date(2024, time.January, 2, 3, 4, 5, 0, time.UTC), \
             DeletionGracePeriodSeconds:(*int64)(nil), Labels:map[string]string{{\"a\":\"2\", \"b\":\"1\"}}, \
             Annotations:map[string]string{{\"k\":...}}, OwnerReferences:[]v1.OwnerReference(nil), \
             Finalizers:[]string{{\"a/b\"}}, ManagedFields:[]v1.ManagedFieldsEntry(nil)}}: must be empty"
        )
    );
    assert_eq!(
        text(self_subject_access_review(&review(json!({ "namespace": "n" })))),
        format!(
            "metadata: Invalid value: v1.ObjectMeta{{Name:\"\", GenerateName:\"\", Namespace:\"n\", SelfLink:\"\", \
             UID:\"\", ResourceVersion:\"\", Generation:0, CreationTimestamp:{ZERO_TIME}, DeletionTimestamp:<nil>, \
             DeletionGracePeriodSeconds:(*int64)(nil), Labels:map[string]string(nil), \
             Annotations:map[string]string(nil), OwnerReferences:[]v1.OwnerReference(nil), \
             Finalizers:[]string(nil), ManagedFields:[]v1.ManagedFieldsEntry(nil)}}: must be empty"
        )
    );
}

#[test]
fn a_local_review_stays_in_its_namespace() {
    let review = |spec: Value| json!({ "metadata": { "namespace": "n" }, "spec": spec });
    let here = json!({ "user": "u", "resourceAttributes": { "namespace": "n" } });
    assert_eq!(text(local_subject_access_review(&review(here.clone()), "n")), "");
    assert_eq!(
        text(local_subject_access_review(&review(here.clone()), "m")),
        "400 the namespace of the provided object does not match the namespace sent on the request"
    );
    let without = json!({ "spec": here });
    assert_eq!(text(local_subject_access_review(&without, "n")), "");
    assert!(text(local_subject_access_review(&without, "m")).ends_with("must match metadata.namespace"));
    let rows = [
        (
            json!({ "user": "u", "resourceAttributes": { "namespace": "other" } }),
            "spec.resourceAttributes.namespace: Invalid value: \"other\": must match metadata.namespace",
        ),
        (
            json!({ "user": "u", "nonResourceAttributes": { "path": "/", "verb": "get" } }),
            "spec.nonResourceAttributes: Invalid value: authorization.NonResourceAttributes{Path:\"/\", \
             Verb:\"get\"}: disallowed on this kind of request",
        ),
    ];
    for (spec, expected) in rows {
        assert_eq!(text(local_subject_access_review(&review(spec), "n")), expected);
    }
    let named = json!({
        "metadata": { "namespace": "n", "name": "x" },
        "spec": { "user": "u", "resourceAttributes": { "namespace": "n" } },
    });
    assert!(text(local_subject_access_review(&named, "n")).ends_with("}: must be empty except for namespace"));
}

#[test]
fn rules_reviews_and_token_reviews_need_their_question() {
    assert_eq!(
        self_subject_rules_review(&json!({ "spec": {} })),
        Err(Refusal::BadRequest("no namespace on request".to_owned()))
    );
    assert_eq!(self_subject_rules_review(&json!({ "spec": { "namespace": "n" } })), Ok("n"));
    assert_eq!(text(token_review(&json!({}))), "400 token is required for TokenReview in authentication");
    assert_eq!(text(token_review(&json!({ "spec": { "token": "t" } }))), "");
}

#[test]
fn token_requests_have_bounds() {
    let request = |seconds: i64| json!({ "spec": { "expirationSeconds": seconds } });
    let rows = [
        (request(600), ""),
        (request(1 << 32), ""),
        (request(599), "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"),
        (
            request((1 << 32) + 1),
            "spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
        ),
        (json!({}), ""),
    ];
    for (request, expected) in rows {
        assert_eq!(message(&token_request_spec(&request)), expected);
    }
    assert_eq!(token_seconds(&json!({})), 3600);
    let named = |meta: Value| message(&token_request_metadata(&json!({ "metadata": meta }), "sa", "n"));
    assert_eq!(named(json!({ "name": "sa", "namespace": "n" })), "");
    assert_eq!(
        named(json!({ "name": "other" })),
        "metadata.name: Invalid value: \"other\": must match the service account name if specified"
    );
    assert_eq!(
        named(json!({ "namespace": "m" })),
        "metadata.namespace: Invalid value: \"m\": must match the service account namespace if specified"
    );
}

#[test]
fn tokens_are_bound_to_known_kinds() {
    let bound = |api_version: &str, kind: &str| {
        token_bound_kind(&json!({ "spec": { "boundObjectRef": { "apiVersion": api_version, "kind": kind } } }))
    };
    assert_eq!(token_bound_kind(&json!({ "spec": { "boundObjectRef": null } })), Ok(None));
    assert_eq!(bound("v1", "Secret"), Ok(Some(BoundKind::Secret)));
    assert_eq!(bound("v1", "Pod"), Ok(Some(BoundKind::Pod)));
    assert_eq!(bound("v1", "Node"), Ok(Some(BoundKind::Node)));
    for (api_version, kind, shown) in
        [("v1", "ConfigMap", "/v1, Kind=ConfigMap"), ("apps/v1", "Secret", "apps/v1, Kind=Secret")]
    {
        let text = format!("cannot bind token to object of type {shown}");
        assert_eq!(bound(api_version, kind), Err(Refusal::BadRequest(text)));
    }
}

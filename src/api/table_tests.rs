//! Tables of every kind.

use serde_json::{Value, json};

use super::{IncludeObject, OfSecret, columns, partial_object_metadata, row, table};
use crate::model::kinds::{
    CERTIFICATE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, EVENT, GENERATED_SECRET, KMS_KEY, Kind, NAMESPACE, ROLE,
    ROLE_BINDING, SECRET, SERVICE_ACCOUNT,
};

const META_V1: &str = "meta.k8s.io/v1";
const META_V1_BETA1: &str = "meta.k8s.io/v1beta1";
/// 2026-09-21T14:13:20Z
const NOW: i64 = 1_790_000_000;

fn cells(kind: &Kind, object: &Value, data_keys: usize) -> Value {
    let more = OfSecret { data_keys, ends_at: None };
    row(kind, object, more, IncludeObject::None, NOW, META_V1)["cells"].clone()
}

#[test]
fn each_kind_has_its_columns() {
    let binding = "Name/name/0 Role//0 Age//0 Users//1 Groups//1 ServiceAccounts//1";
    for (kind, expected) in [
        (&SECRET, "Name/name/0 Type//0 Data//0 Age//0 Expires//1"),
        (&CERTIFICATE, "Name/name/0 Ready//0 Secret//0 Age//0 Issuer//1 Status//1 Expires//1 Renewal//1"),
        (&GENERATED_SECRET, "Name/name/0 Ready//0 Secret//0 Last Rotation//0 Age//0 Status//1 Next Rotation//1"),
        (&KMS_KEY, "Name/name/0 Terms//0 Rotated//0 Age//0 Current Key ID//1"),
        (&NAMESPACE, "Name/name/0 Status//0 Age//0"),
        (&SERVICE_ACCOUNT, "Name/name/0 Secrets//0 Age//0"),
        (&ROLE, "Name/name/0 Created At/date/0"),
        (&CLUSTER_ROLE, "Name/name/0 Created At/date/0"),
        (&ROLE_BINDING, binding),
        (&CLUSTER_ROLE_BINDING, binding),
        (
            &EVENT,
            "Last Seen//0 Type//0 Reason//0 Object//0 Subobject//1 Source//1 Message//0 First Seen//1 Count//1 Name/name/1",
        ),
    ] {
        let columns = columns(kind);
        let columns = columns.as_array().unwrap();
        let shown: Vec<String> = columns
            .iter()
            .map(|column| {
                assert_eq!(column["type"], "string");
                assert!(!column["description"].as_str().unwrap().is_empty());
                let keys: Vec<&String> = column.as_object().unwrap().keys().collect();
                assert_eq!(keys, ["name", "type", "format", "description", "priority"]);
                format!(
                    "{}/{}/{}",
                    column["name"].as_str().unwrap(),
                    column["format"].as_str().unwrap(),
                    column["priority"]
                )
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{}", kind.kind);
        assert_eq!(cells(kind, &json!({}), 0).as_array().unwrap().len(), columns.len());
    }
}

#[test]
fn cells_are_those_of_kubernetes() {
    let metadata = json!({"name": "n", "creationTimestamp": "2026-09-21T14:10:15Z"});
    let subjects = json!([
        {"kind": "User", "name": "u1"},
        {"kind": "Group", "name": "g1"},
        {"kind": "ServiceAccount", "name": "sa1"},
        {"kind": "ServiceAccount", "name": "sa2", "namespace": "x"},
        {"kind": "User", "name": "u2"},
    ]);
    let binding = json!({"metadata": metadata, "roleRef": {"kind": "Role", "name": "r1"}, "subjects": subjects});
    for (kind, object, expected) in [
        (&SECRET, json!({"metadata": metadata, "type": "Opaque"}), json!(["n", "Opaque", 2, "3m5s", "<none>"])),
        (&NAMESPACE, json!({"metadata": metadata, "status": {"phase": "Active"}}), json!(["n", "Active", "3m5s"])),
        (&SERVICE_ACCOUNT, json!({"metadata": metadata, "secrets": [{"name": "s"}]}), json!(["n", 1, "3m5s"])),
        (&SERVICE_ACCOUNT, json!({"metadata": metadata}), json!(["n", 0, "3m5s"])),
        (&ROLE, json!({"metadata": metadata}), json!(["n", "2026-09-21T14:10:15Z"])),
        (&CLUSTER_ROLE, json!({"metadata": metadata}), json!(["n", "2026-09-21T14:10:15Z"])),
        (&ROLE_BINDING, binding.clone(), json!(["n", "Role/r1", "3m5s", "u1, u2", "g1", "/sa1, x/sa2"])),
        (&CLUSTER_ROLE_BINDING, binding, json!(["n", "Role/r1", "3m5s", "u1, u2", "g1", "/sa1, x/sa2"])),
    ] {
        assert_eq!(cells(kind, &object, 2), expected, "{}", kind.kind);
    }
    assert!(cells(&SECRET, &json!({"metadata": metadata}), 2)[2].is_u64());
}

#[test]
fn what_is_issued_shows_who_signs_and_until_when() {
    let certificate = json!({
        "metadata": {"name": "web", "creationTimestamp": "2026-09-21T14:10:15Z"},
        "spec": {"secretName": "web-tls", "issuerRef": {"kind": "Secret", "name": "ca"}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "all is well"}],
            "notAfter": "2026-12-20T14:10:15Z", "renewalTime": "2026-11-20T14:10:15Z",
        },
    });
    let cells = |kind, object: &Value| cells(kind, object, 0);
    let expected = json!([
        "web",
        "True",
        "web-tls",
        "3m5s",
        "Secret/ca",
        "all is well",
        "2026-12-20T14:10:15Z",
        "2026-11-20T14:10:15Z",
    ]);
    assert_eq!(cells(&CERTIFICATE, &certificate), expected);
    let none = json!(["web", "Unknown", "db", "<none>", "<unknown>", "", "<none>"]);
    assert_eq!(cells(&GENERATED_SECRET, &json!({"metadata": {"name": "web"}, "spec": {"secretName": "db"}})), none);
    let more = OfSecret { data_keys: 2, ends_at: Some(NOW + 60) };
    let row = row(&SECRET, &json!({"metadata": {"name": "n"}}), more, IncludeObject::None, NOW, META_V1);
    assert_eq!(row["cells"][4], "2026-09-21T14:14:20Z");
}

#[test]
fn events_of_older_and_newer_recorders_have_the_same_cells() {
    let older = json!({
        "metadata": {"name": "db.1"}, "involvedObject": {"kind": "SecretSync", "name": "db", "fieldPath": "spec"},
        "type": "Normal", "reason": "Applied", "message": " wrote it\n", "source": {"component": "c", "host": "h"},
        "firstTimestamp": "2026-09-21T14:10:15Z", "lastTimestamp": "2026-09-21T14:13:00Z", "count": 4,
    });
    let cells = |object: &Value| cells(&EVENT, object, 0);
    let expected = json!(["20s", "Normal", "Applied", "secretsync/db", "spec", "c, h", "wrote it", "3m5s", 4, "db.1"]);
    assert_eq!(cells(&older), expected);
    let mut newer = older.clone();
    for field in ["source", "firstTimestamp", "lastTimestamp", "count"] {
        newer.as_object_mut().unwrap().remove(field);
    }
    newer["eventTime"] = "2026-09-21T14:10:15.500000Z".into();
    newer["reportingComponent"] = "c".into();
    newer["reportingInstance"] = "h".into();
    newer["series"] = json!({"count": 4, "lastObservedTime": "2026-09-21T14:13:00.000001Z"});
    assert_eq!(cells(&newer), expected);
    newer.as_object_mut().unwrap().remove("series");
    assert_eq!(cells(&newer)[8], 1);
    assert_eq!(cells(&newer)[0], "3m5s");
    assert_eq!(cells(&json!({"involvedObject": {"kind": "Node"}}))[3], "node");
    assert_eq!(cells(&json!({}))[0], "<unknown>");
}

#[test]
fn the_empty_object_of_a_bookmark_has_a_row() {
    let bookmark = json!({"metadata": {"resourceVersion": "9", "creationTimestamp": null}});
    assert_eq!(cells(&SECRET, &bookmark, 0), json!(["", "", 0, "<unknown>", "<none>"]));
    assert_eq!(cells(&ROLE, &bookmark, 0), json!(["", "0001-01-01T00:00:00Z"]));
    assert_eq!(cells(&ROLE_BINDING, &bookmark, 0), json!(["", "/", "<unknown>", "", "", ""]));
}

#[test]
fn an_object_is_included_as_asked() {
    let object = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "n"}, "data": {"a": "eA=="}});
    let included =
        |include, api_version| row(&SECRET, &object, OfSecret::default(), include, NOW, api_version)["object"].clone();
    assert_eq!(included(IncludeObject::None, META_V1), Value::Null);
    assert_eq!(included(IncludeObject::Object, META_V1), object);
    for api_version in [META_V1, META_V1_BETA1] {
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": {"name": "n"}});
        assert_eq!(included(IncludeObject::Metadata, api_version), partial);
        assert_eq!(partial_object_metadata(&object, api_version), partial);
    }
    for (text, include) in [
        ("", Ok(IncludeObject::Metadata)),
        ("Metadata", Ok(IncludeObject::Metadata)),
        ("None", Ok(IncludeObject::None)),
        ("Object", Ok(IncludeObject::Object)),
        (
            "Bad",
            Err("Unable to convert to Table as requested: includeObject: Invalid value: \"Bad\": must be 'Metadata', 'Object', 'None', or empty".to_owned()),
        ),
    ] {
        assert_eq!(IncludeObject::parse(text), include);
    }
}

#[test]
fn a_table_has_the_order_of_keys_that_kubernetes_has() {
    let rows = vec![row(
        &NAMESPACE,
        &json!({"metadata": {"name": "n"}}),
        OfSecret::default(),
        IncludeObject::None,
        NOW,
        META_V1,
    )];
    let whole = table(META_V1, json!({"resourceVersion": "7"}), Some(columns(&NAMESPACE)), rows.clone());
    let text = whole.to_string();
    assert!(text.starts_with(r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},"columnDefinitions":[{"name":"Name","type":"string","format":"name","description":"#), "{text}");
    assert!(text.ends_with(r#""rows":[{"cells":["n","","<unknown>"],"object":null}]}"#), "{text}");
    let later = table(META_V1_BETA1, json!({}), None, rows);
    assert_eq!((&later["columnDefinitions"], &later["apiVersion"]), (&Value::Null, &json!(META_V1_BETA1)));
    assert_eq!(table(META_V1, json!({}), None, Vec::new())["rows"], json!([]));
}

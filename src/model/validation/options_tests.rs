//! Options of every verb.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn text<T>(result: Result<T, OptionsError>) -> String {
    result.err().map(|error| error.message()).unwrap_or_default()
}

#[test]
fn write_options_are_read() {
    let options = create(&query("dryRun=All&fieldManager=kubectl-create&fieldValidation=Strict&other=1")).unwrap();
    assert_eq!(
        options,
        WriteOptions {
            dry_run: true,
            field_manager: "kubectl-create".to_owned(),
            field_validation: FieldValidation::Strict,
            force: false,
        }
    );
    assert_eq!(update(&[]).unwrap(), WriteOptions::default());
    assert_eq!(WriteOptions::default().field_validation, FieldValidation::Warn, "absent means Warn");
    assert_eq!(create(&query("fieldValidation=Ignore")).unwrap().field_validation, FieldValidation::Ignore);
    assert!(patch(&query("fieldManager=m&force=true"), true).unwrap().force);
    assert!(!patch(&query("fieldManager=m&force=false"), true).unwrap().force);
}

#[test]
fn bad_write_options_are_named() {
    let invalid = "CreateOptions.meta.k8s.io \"\" is invalid: ";
    let long = format!("fieldManager={}", "m".repeat(129));
    let rows = [
        ("dryRun=foo", "dryRun: Unsupported value: []string{\"foo\"}: supported values: \"All\""),
        ("dryRun=All&dryRun=", "dryRun: Unsupported value: []string{\"All\", \"\"}: supported values: \"All\""),
        (
            "fieldValidation=Nope",
            "fieldValidation: Unsupported value: \"Nope\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
        ),
        ("fieldManager=a\0b", "fieldManager: Invalid value: \"a\\x00b\": invalid character U+0000 (at position 1)"),
        (long.as_str(), "fieldManager: Too long: may not be more than 128 bytes"),
        (
            "dryRun=x&fieldValidation=y",
            "[dryRun: Unsupported value: []string{\"x\"}: supported values: \"All\", fieldValidation: Unsupported \
             value: \"y\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"]",
        ),
    ];
    for (sent, expected) in rows {
        assert_eq!(text(create(&query(sent))), format!("{invalid}{expected}"), "{sent}");
    }
    assert!(text(update(&query("dryRun=x"))).starts_with("UpdateOptions.meta.k8s.io \"\" is invalid: dryRun"));
    assert_eq!(
        text(patch(&[], true)),
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    assert_eq!(
        text(patch(&query("force=false"), false)),
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
}

#[test]
fn delete_options_come_from_either_place() {
    let sent = "dryRun=All&gracePeriodSeconds=1&propagationPolicy=Foreground&uid=u&resourceVersion=7&other=x";
    let expected = DeleteOptions {
        dry_run: true,
        propagation: Some(Propagation::Foreground),
        grace_period_seconds: Some(1),
        precondition_uid: Some("u".to_owned()),
        precondition_resource_version: Some("7".to_owned()),
        ..DeleteOptions::default()
    };
    assert_eq!(delete_from_query(&query(sent)).unwrap(), expected);
    let body = json!({
        "kind": "DeleteOptions", "dryRun": ["All"], "gracePeriodSeconds": 1, "propagationPolicy": "Foreground",
        "preconditions": { "uid": "u", "resourceVersion": "7" }, "other": 1,
    });
    assert_eq!(delete_from_body(&body).unwrap(), expected);
    assert_eq!(delete_from_body(&json!({})).unwrap(), DeleteOptions::default());
    let policy = |body: Value| delete_from_body(&body).unwrap().propagation;
    assert_eq!(policy(json!({ "propagationPolicy": "Background" })), Some(Propagation::Background));
    assert_eq!(policy(json!({ "propagationPolicy": "Orphan" })), Some(Propagation::Orphan));
    assert_eq!(policy(json!({ "orphanDependents": true })), Some(Propagation::Orphan));
    assert_eq!(policy(json!({ "orphanDependents": false })), Some(Propagation::Background));
    let finished = delete_from_query(&query("orphanDependents=false")).unwrap();
    assert_eq!(finished.orphan_dependents, Some(false));
}

#[test]
fn bad_delete_options_are_named() {
    let invalid = "DeleteOptions.meta.k8s.io \"\" is invalid: ";
    let ignore = "ignoreStoreReadErrorWithClusterBreakingPotential";
    let rows = [
        (
            json!({ "propagationPolicy": "Nope" }),
            "propagationPolicy: Unsupported value: \"Nope\": supported values: \"Foreground\", \"Background\", \
             \"Orphan\", \"nil\""
                .to_owned(),
        ),
        (
            json!({ "propagationPolicy": "Orphan", "orphanDependents": true }),
            "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set"
                .to_owned(),
        ),
        (
            json!({ "dryRun": ["None"] }),
            "dryRun: Unsupported value: []string{\"None\"}: supported values: \"All\"".to_owned(),
        ),
        (
            json!({ ignore: true, "dryRun": ["All"], "gracePeriodSeconds": 0 }),
            format!(
                "[{ignore}: Invalid value: true: cannot be set together with .dryRun, {ignore}: Invalid value: true: \
                 cannot be set together with .gracePeriodSeconds]"
            ),
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(text(delete_from_body(&body)), format!("{invalid}{expected}"), "{body}");
    }
    let decoding = "json: cannot unmarshal";
    for (body, expected) in [
        (json!({ "dryRun": "All" }), "string into Go struct field DeleteOptions.dryRun of type []string"),
        (json!({ "dryRun": [1] }), "number into Go struct field DeleteOptions.dryRun of type string"),
        (
            json!({ "gracePeriodSeconds": "1" }),
            "string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            json!({ "preconditions": [] }),
            "array into Go struct field DeleteOptions.preconditions of type v1.Preconditions",
        ),
    ] {
        assert_eq!(text(delete_from_body(&body)), format!("{decoding} {expected}"), "{body}");
    }
    assert_eq!(
        text(delete_from_query(&query("gracePeriodSeconds=x"))),
        "strconv.ParseInt: parsing \"x\": invalid syntax"
    );
}

#[test]
fn list_options_are_read() {
    let options =
        list(&query("labelSelector=a%3Db&fieldSelector=type=Opaque&limit=500&continue=abc&resourceVersion=0"));
    let options = options.unwrap();
    assert_eq!(options.label_selector, "a%3Db");
    assert_eq!(options.field_selector, "type=Opaque");
    assert_eq!((options.limit, options.continue_token.as_str()), (Some(500), "abc"));
    assert_eq!((options.resource_version, options.watch), (Some(0), false));
    assert_eq!(list(&query("limit=-1")).unwrap().limit, None, "a negative limit is none");
    let exact = list(&query("resourceVersion=7&resourceVersionMatch=Exact")).unwrap();
    assert_eq!((exact.resource_version, exact.resource_version_match), (Some(7), Some(ResourceVersionMatch::Exact)));
    assert_eq!(list(&[]).unwrap(), ListOptions::default());
}

#[test]
fn watch_options_are_read() {
    let legacy = list(&query("watch=true&resourceVersion=5&timeoutSeconds=300&allowWatchBookmarks=true")).unwrap();
    assert_eq!((legacy.watch, legacy.timeout_seconds, legacy.send_initial_events), (true, Some(300), None));
    assert!(!legacy.is_watch_list());
    for sent in ["watch=1", "watch", "watch=true&resourceVersion=0"] {
        let options = list(&query(sent)).unwrap();
        assert_eq!(options.send_initial_events, Some(true), "{sent}");
        assert_eq!(options.resource_version_match, Some(ResourceVersionMatch::NotOlderThan));
        assert!(!options.is_watch_list(), "no bookmarks allowed: {sent}");
    }
    for sent in ["watch=0", "watch=False", ""] {
        assert!(!list(&query(sent)).unwrap().watch, "{sent}");
    }
    let informer = "allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=true";
    assert!(list(&query(informer)).unwrap().is_watch_list());
    let plain = list(&query("watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan")).unwrap();
    assert_eq!(plain.send_initial_events, Some(false));
}

#[test]
fn bad_list_options_are_named() {
    let forbidden = "resourceVersionMatch: Forbidden: resourceVersionMatch";
    let rows = [
        ("resourceVersionMatch=Exact", format!("{forbidden} is forbidden unless resourceVersion is provided")),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            format!("{forbidden} is forbidden when continue is provided"),
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            format!("{forbidden} \"exact\" is forbidden for resourceVersion \"0\""),
        ),
        (
            "resourceVersionMatch=Foo&resourceVersion=1",
            "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\""
                .to_owned(),
        ),
        ("sendInitialEvents=false", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list".to_owned()),
        (
            "watch=1&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                .to_owned(),
        ),
        (
            "watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan",
            format!("{forbidden} is forbidden for watch unless sendInitialEvents is provided"),
        ),
        (
            "watch=1&sendInitialEvents=1&resourceVersionMatch=Exact",
            "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to \
             NotOlderThan, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]"
                .to_owned(),
        ),
        (
            "watch=1&sendInitialEvents=1&resourceVersionMatch=NotOlderThan&continue=x",
            format!("{forbidden} is forbidden when continue is provided"),
        ),
    ];
    for (sent, expected) in rows {
        let found = text(list(&query(sent)));
        assert_eq!(found, format!("ListOptions.meta.k8s.io \"\" is invalid: {expected}"), "{sent}");
    }
    let rows = [
        ("limit=abc", "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        ("limit=", "strconv.ParseInt: parsing \"\": invalid syntax"),
        (
            "timeoutSeconds=99999999999999999999",
            "strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
        ),
        ("continue=x&resourceVersion=7", "specifying resource version is not allowed when using continue"),
        (
            "resourceVersion=abc",
            "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        (
            "watch=1&resourceVersion=-1",
            "resourceVersion: Invalid value: \"-1\": strconv.ParseUint: parsing \"-1\": invalid syntax",
        ),
        (
            "resourceVersion=+1",
            "resourceVersion: Invalid value: \"+1\": strconv.ParseUint: parsing \"+1\": invalid syntax",
        ),
        (
            "resourceVersion=99999999999999999999",
            "resourceVersion: Invalid value: \"99999999999999999999\": strconv.ParseUint: parsing \
             \"99999999999999999999\": value out of range",
        ),
    ];
    for (sent, expected) in rows {
        let error = list(&query(sent)).unwrap_err();
        assert_eq!(error, OptionsError::BadRequest(expected.to_owned()), "{sent}");
    }
}

#[test]
fn the_manager_is_the_beginning_of_the_user_agent() {
    assert_eq!(manager_from_user_agent("kubectl.1.32/v1.32.5 (linux/amd64)"), "kubectl.1.32");
    assert_eq!(manager_from_user_agent("a\u{0}b\u{200b}c"), "abc");
    assert_eq!(manager_from_user_agent(&"ä".repeat(100)).len(), 128);
    assert_eq!(manager_from_user_agent(""), "");
}

proptest! {
    #[test]
    fn no_query_panics(
        pairs in proptest::collection::vec(
            (
                proptest::sample::select(vec![
                    "watch", "limit", "continue", "resourceVersion", "resourceVersionMatch", "sendInitialEvents",
                    "dryRun", "fieldManager", "fieldValidation", "force", "propagationPolicy", "gracePeriodSeconds",
                    "orphanDependents", "timeoutSeconds", "uid",
                ]),
                prop_oneof!["\\PC{0,12}", Just("Exact".to_owned()), Just("0".to_owned()), any::<String>()],
            ),
            0..8,
        ),
    ) {
        let query: Vec<(String, String)> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for error in [
            create(&query).err(), update(&query).err(), patch(&query, true).err(), patch(&query, false).err(),
            delete_from_query(&query).err(), list(&query).err(),
        ].into_iter().flatten() {
            prop_assert!(!error.message().is_empty());
        }
    }
}

#[test]
fn a_timeout_is_a_duration_as_go_writes_it() {
    let with = |text: &str| timeout(&[("timeout".to_owned(), text.to_owned())]);
    for text in ["", "0", "32s", "8m33s", "1.5h", "-1s", ".5s", "1h2m3.4s", "10ms", "3µs"] {
        assert!(with(text).is_ok(), "{text}");
    }
    for text in ["abc", "1", "s", ".s", "1.2.3s", "1x", "+", "1s2", "10 s"] {
        let error = with(text).unwrap_err().message();
        assert!(error.ends_with(&format!("invalid duration {text:?}")), "{error}");
    }
    assert!(timeout(&[]).is_ok());
}

//! Properties of field management that hold for any objects and any history.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::path::{Element, Scalar};
use super::set::FieldSet;
use super::test_shapes::SECRET;
use super::*;

fn writer<'a>(manager: &'a str, now: &'a str) -> Writer<'a> {
    Writer { manager, subresource: "", api_version: "v1", now }
}

/// A Secret over few keys, so that managers meet.
fn secret() -> impl Strategy<Value = Value> {
    let map = || btree_map("[abc]", "[xyz]{0,1}", 0..3);
    let finalizers = proptest::sample::subsequence(vec!["a/a", "b/b", "c/c"], 0..=3).prop_shuffle();
    let owners = proptest::sample::subsequence(vec!["u1", "u2"], 0..=2);
    (map(), map(), finalizers, owners, proptest::option::of(any::<bool>())).prop_map(
        |(data, labels, finalizers, owners, immutable)| {
            let mut metadata = Map::new();
            metadata.insert("name".into(), json!("s"));
            let mut object = Map::new();
            if !labels.is_empty() {
                metadata.insert("labels".into(), json!(labels));
            }
            if !finalizers.is_empty() {
                metadata.insert("finalizers".into(), json!(finalizers));
            }
            if !owners.is_empty() {
                let owners: Vec<Value> = owners.iter().map(|uid| json!({"uid": uid, "name": "n"})).collect();
                metadata.insert("ownerReferences".into(), Value::Array(owners));
            }
            if !data.is_empty() {
                object.insert("data".into(), json!(data));
            }
            if let Some(immutable) = immutable {
                object.insert("immutable".into(), json!(immutable));
            }
            object.insert("metadata".into(), Value::Object(metadata));
            // Something to own, or tracking would be off.
            object.insert("type".into(), json!("Opaque"));
            Value::Object(object)
        },
    )
}

/// A history of writes by three managers; the booleans say whether to apply.
fn history() -> impl Strategy<Value = Vec<(bool, usize, Value)>> {
    vec((any::<bool>(), 0_usize..3, secret()), 0..8)
}

fn play(history: Vec<(bool, usize, Value)>) -> Option<Value> {
    let mut live: Option<Value> = None;
    for (second, (applies, manager, object)) in history.into_iter().enumerate() {
        let now = format!("2026-01-01T00:00:{second:02}Z");
        let writer = writer(["m0", "m1", "m2"][manager], &now);
        if applies {
            live = Some(apply(&SECRET, live.as_ref(), &object, true, &writer).unwrap().object);
        } else {
            let mut new = object;
            track_update(&SECRET, live.as_ref(), &mut new, &writer);
            live = Some(new);
        }
    }
    live
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<String>().prop_map(Scalar::Text),
        any::<i64>().prop_map(Scalar::Int),
        any::<bool>().prop_map(Scalar::Bool),
        Just(Scalar::Other("null".into())),
        Just(Scalar::Other("[1.5,{\"b\":1,\"a\":2}]".into())),
    ]
}

fn element() -> impl Strategy<Value = Element> {
    prop_oneof![
        any::<String>().prop_map(Element::Field),
        btree_map(any::<String>(), scalar(), 0..3).prop_map(|keys| Element::Key(keys.into_iter().collect())),
        scalar().prop_map(Element::Item),
        any::<i64>().prop_map(Element::Index),
    ]
}

fn field_set() -> impl Strategy<Value = FieldSet> {
    let leaf = Just(FieldSet::leaf());
    let node = leaf.prop_recursive(4, 24, 4, |inner| {
        (any::<bool>(), vec((element(), inner), 1..4)).prop_map(|(member, children)| {
            let mut set = FieldSet::default();
            set.set_member(member);
            for (element, below) in children {
                set.attach(element, below);
            }
            set
        })
    });
    vec((element(), node), 0..4).prop_map(|children| {
        let mut set = FieldSet::default();
        for (element, below) in children {
            set.attach(element, below);
        }
        set
    })
}

fn paths(set: &FieldSet) -> std::collections::BTreeSet<String> {
    let mut paths = std::collections::BTreeSet::new();
    set.for_each_path(&mut |path| {
        paths.insert(path.to_owned());
    });
    paths
}

/// JSON that often looks like managedFields, and often does not.
fn anything() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "[fkvixz]:[a-z{}\":0-9.]{0,6}",
        Just(".".to_owned()),
        Just("f:metadata".to_owned()),
        Just("f:labels".to_owned()),
        Just("f:finalizers".to_owned()),
        Just("v:\"a/a\"".to_owned()),
        Just("f:data".to_owned()),
        Just("fieldsV1".to_owned()),
        Just("manager".to_owned()),
        Just("time".to_owned()),
    ];
    let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(|n| json!(n)), ".{0,8}".prop_map(Value::String)];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(key.clone(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn anything_managed() -> impl Strategy<Value = Value> {
    let times = proptest::option::of(prop_oneof!["2026-0[1-9]-01T00:00:00Z", ".{0,5}"]);
    let entry = (anything(), "[a-c]", any::<bool>(), times).prop_map(|(fields, manager, applies, time)| {
        json!({"manager": manager, "operation": if applies { "Apply" } else { "Update" }, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields, "time": time})
    });
    prop_oneof![anything(), vec(entry, 0..14).prop_map(Value::Array)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fields_v1_survives_writing_and_reading(set in field_set()) {
        let json = fields_v1::write(&set);
        let mut budget = 10_000;
        prop_assert_eq!(fields_v1::read(&json, &mut budget), Some(set.clone()));
        let text = json.to_string();
        let again: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(fields_v1::write(&fields_v1::read(&again, &mut budget).unwrap()).to_string(), text);
    }

    #[test]
    fn sets_obey_the_algebra_of_sets(a in field_set(), b in field_set()) {
        let mut union = a.clone();
        union.union(b.clone());
        let mut difference = a.clone();
        difference.subtract(&b);
        let both = a.intersection(&b);
        let mut rebuilt = difference.clone();
        rebuilt.union(both.clone());
        prop_assert_eq!(&rebuilt, &a);
        prop_assert!(difference.intersection(&b).is_empty());
        prop_assert_eq!(both, b.intersection(&a));
        let mut nothing = union.clone();
        nothing.subtract(&union);
        prop_assert!(nothing.is_empty());
        prop_assert!(paths(&a).is_subset(&paths(&union)));
    }

    #[test]
    fn applying_twice_is_applying_once(history in history(), config in secret()) {
        let live = play(history);
        let first = apply(&SECRET, live.as_ref(), &config, true, &writer("m0", "2026-01-02T00:00:00Z")).unwrap();
        let second =
            apply(&SECRET, Some(&first.object), &config, false, &writer("m0", "2026-01-03T00:00:00Z")).unwrap();
        prop_assert!(!second.changed);
        prop_assert_eq!(second.object, first.object);
    }

    #[test]
    fn what_is_applied_is_there_and_what_nobody_owns_is_not(history in history(), config in secret()) {
        let live = play(history);
        let applied = apply(&SECRET, live.as_ref(), &config, true, &writer("m0", "2026-01-02T00:00:00Z")).unwrap();
        for (key, value) in config["data"].as_object().into_iter().flatten() {
            prop_assert_eq!(&applied.object["data"][key], value);
        }
        let emptied =
            apply(&SECRET, Some(&applied.object), &json!({}), false, &writer("m0", "2026-01-03T00:00:00Z")).unwrap();
        let owned = emptied.object["metadata"]["managedFields"].to_string();
        for key in emptied.object["data"].as_object().into_iter().flatten().map(|(key, _)| key) {
            prop_assert!(owned.contains(&format!("\"f:{key}\"")), "{} is owned by nobody: {}", key, owned);
        }
        prop_assert!(!owned.contains("\"manager\":\"m0\",\"operation\":\"Apply\""));
    }

    #[test]
    fn a_put_of_the_same_object_changes_nothing(history in history()) {
        if let Some(live) = play(history) {
            let mut new = live.clone();
            track_update(&SECRET, Some(&live), &mut new, &writer("other", "2026-01-02T00:00:00Z"));
            prop_assert_eq!(&new, &live);
            new["metadata"].as_object_mut().unwrap().shift_remove("managedFields");
            track_update(&SECRET, Some(&live), &mut new, &writer("other", "2026-01-02T00:00:00Z"));
            prop_assert_eq!(new, live);
        }
    }

    #[test]
    fn every_field_of_a_tracked_object_has_an_owner(history in history()) {
        let Some(live) = play(history) else { return Ok(()) };
        let mut all = managed::Managed::of_live(&live).owned();
        let mut set = compare::fields_of(&SECRET, &live);
        all.set_member(false);
        set.subtract(&all);
        prop_assert!(set.is_empty(), "unowned: {:?}", paths(&set));
    }

    #[test]
    fn managed_fields_of_any_kind_never_panic(sent in anything_managed(), a in secret(), b in secret()) {
        let now = "2026-01-02T00:00:00Z";
        let mut live = a;
        live["metadata"]["managedFields"] = sent.clone();
        let mut new = b.clone();
        new["metadata"]["managedFields"] = sent;
        for before in [None, Some(&live)] {
            let mut new = new.clone();
            track_update(&SECRET, before, &mut new, &writer("m", now));
            let entries = new["metadata"].get("managedFields").cloned().unwrap_or(json!([]));
            let updaters = entries.as_array().unwrap().iter().filter(|entry| entry["operation"] == "Update").count();
            prop_assert!(updaters <= 11);
            let mut again = new.clone();
            track_update(&SECRET, Some(&new), &mut again, &writer("m", now));
            prop_assert!(same_but_times(&new, &again));
        }
        if let Ok(applied) = apply(&SECRET, Some(&live), &b, true, &writer("m", now)) {
            prop_assert!(same_but_times(&applied.object, &applied.object));
        }
    }
}

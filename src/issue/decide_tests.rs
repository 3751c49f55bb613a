//! What is done about a Secret, row by row.

use serde_json::json;

use super::*;

const NOW: i64 = 1_790_000_000;
const HOUR: i64 = 3_600;
const OWNER: &str = "Certificate/web";

fn spec(more: &Value) -> certificate::Spec {
    let mut spec = json!({"secretName": "web", "dnsNames": ["web.example"], "duration": "3h"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    certificate::Spec::parse(&json!({"spec": spec})).unwrap()
}

fn marks(spec: &certificate::Spec) -> Marks {
    Marks { by: OWNER.to_owned(), wish: certificate_wish(spec), revision: 1, ..Marks::default() }
}

fn step(spec: &certificate::Spec, marks: &Marks, valid: Option<(i64, i64)>, now: i64) -> Step {
    certificate(spec, OWNER, "", Some(&Held { marks, valid }), now, || None)
}

#[test]
fn a_certificate_is_issued_kept_renewed_and_never_taken_from_others() {
    let asked = spec(&json!({}));
    let own = marks(&asked);
    let valid = Some((NOW, NOW + 3 * HOUR));
    assert_eq!(certificate(&asked, OWNER, "", None, NOW, || None), Step::Issue(Cause::Missing));
    assert_eq!(step(&asked, &own, None, NOW), Step::Issue(Cause::Unusable));
    assert_eq!(step(&asked, &own, valid, NOW), Step::Keep);
    assert_eq!(step(&asked, &own, valid, NOW + 2 * HOUR - 1), Step::Keep);
    assert_eq!(step(&asked, &own, valid, NOW + 2 * HOUR), Step::Issue(Cause::Due));
    assert_eq!(step(&asked, &own, valid, NOW - 1), Step::Issue(Cause::NotYetValid), "the clock was ahead");
    assert_eq!(step(&asked, &own, valid, NOW + 900 * HOUR), Step::Issue(Cause::Due), "the clock has jumped");
    for foreign in [Marks::default(), Marks { by: "Certificate/other".to_owned(), ..own.clone() }] {
        for valid in [valid, None] {
            assert!(matches!(step(&asked, &foreign, valid, NOW), Step::Refuse(_)), "{foreign:?}");
        }
    }
}

#[test]
fn what_is_asked_for_anew_is_issued_anew_and_labels_are_not() {
    let before = marks(&spec(&json!({})));
    let valid = Some((NOW, NOW + 3 * HOUR));
    let other = |more: Value| step(&spec(&more), &before, valid, NOW);
    assert_eq!(other(json!({"dnsNames": ["other.example"]})), Step::Issue(Cause::Changed));
    assert_eq!(other(json!({"secretTemplate": {"labels": {"a": "b"}}})), Step::Relabel);
    assert_eq!(other(json!({"renewBefore": "2m"})), Step::Keep);
    let asked = spec(&json!({}));
    let held = Held { marks: &before, valid };
    let requested = |request: &str| certificate(&asked, OWNER, request, Some(&held), NOW, || None);
    assert_eq!(requested("1"), Step::Issue(Cause::Requested));
    let followed = Marks { request: "1".to_owned(), ..before.clone() };
    let held = Held { marks: &followed, valid };
    let requested = |request: &str| certificate(&asked, OWNER, request, Some(&held), NOW, || None);
    assert_eq!((requested("1"), requested("")), (Step::Keep, Step::Keep));
}

#[test]
fn a_certificate_that_ends_with_its_issuer_is_not_renewed_for_nothing() {
    let asked = spec(&json!({}));
    let own = marks(&asked);
    let held = Held { marks: &own, valid: Some((NOW, NOW + HOUR)) };
    let at = |now: i64, end: i64| certificate(&asked, OWNER, "", Some(&held), now, || Some(end));
    assert_eq!(at(NOW + HOUR - 1, NOW + HOUR), Step::Keep);
    assert_eq!(at(NOW + HOUR - 1, NOW + 9 * HOUR), Step::Issue(Cause::Due), "the issuer was renewed");
    assert_eq!(at(NOW + HOUR, NOW + HOUR), Step::Issue(Cause::Due), "which says why it is not");
}

#[test]
fn it_is_renewed_when_it_says_or_after_two_thirds() {
    let valid = (NOW, NOW + 9 * HOUR);
    assert_eq!(renewal_time(valid, None), NOW + 6 * HOUR);
    assert_eq!(renewal_time(valid, Some(Duration::from_hours(1))), NOW + 8 * HOUR);
    assert_eq!(renewal_time(valid, Some(Duration::from_hours(9))), NOW + 6 * HOUR, "the issuer has bounded it");
}

fn values(more: &Value) -> generated_secret::Spec {
    let mut spec = json!({"secretName": "db", "keys": [
        {"key": "a", "generator": "hex"}, {"key": "b", "generator": "uuid"},
    ]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    generated_secret::Spec::parse(&json!({"spec": spec})).unwrap()
}

#[test]
fn values_are_made_where_they_are_missing_changed_or_due() {
    let owner = "GeneratedSecret/db";
    let asked = values(&json!({"rotationInterval": "1h"}));
    let marks = Marks { by: owner.to_owned(), wish: generated_wish(&asked), at: Some(NOW), ..Marks::default() };
    let names = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let both = names(&["a", "b"]);
    let whole = |fresh: &[&str]| Rotation::Write { fresh: names(fresh), is_whole: true };
    let part = |fresh: &[&str]| Rotation::Write { fresh: names(fresh), is_whole: false };
    let at = |spec: &generated_secret::Spec, request: &str, present: &BTreeSet<String>, now: i64| {
        generated(spec, owner, request, Some((&marks, present)), now)
    };
    assert_eq!(generated(&asked, owner, "", None, NOW), whole(&["a", "b"]));
    assert_eq!(at(&asked, "", &both, NOW), Rotation::Keep);
    assert_eq!(at(&asked, "", &both, NOW + HOUR - 1), Rotation::Keep);
    assert_eq!(at(&asked, "", &both, NOW + HOUR), whole(&["a", "b"]));
    assert_eq!(at(&asked, "", &both, NOW - 900 * HOUR), Rotation::Keep, "the clock has jumped back");
    assert_eq!(at(&asked, "now", &both, NOW), whole(&["a", "b"]));
    assert_eq!(at(&asked, "", &names(&["b"]), NOW), part(&["a"]));
    let longer = json!([{"key": "a", "generator": "hex", "length": 64}, {"key": "b", "generator": "uuid"}]);
    let longer = values(&json!({"rotationInterval": "1h", "keys": longer}));
    assert_eq!(at(&longer, "", &both, NOW), part(&["a"]));
    let fewer = values(&json!({"keys": [{"key": "b", "generator": "uuid"}]}));
    assert_eq!(at(&fewer, "", &both, NOW), part(&[]), "what is asked for no more is taken away");
    let labelled = values(&json!({"rotationInterval": "1h", "secretTemplate": {"labels": {"a": "b"}}}));
    assert_eq!(at(&labelled, "", &both, NOW), part(&[]));
    let foreign = generated(&asked, "GeneratedSecret/other", "", Some((&marks, &both)), NOW + HOUR);
    assert_eq!(foreign, Rotation::Refuse("the Secret is made for GeneratedSecret/db".to_owned()));
}

#[test]
fn waits_grow_to_an_hour_and_differ() {
    assert_eq!(backoff(1, 0), Duration::from_millis(2_500));
    assert_eq!(backoff(1, 2_500), Duration::from_secs(5));
    assert_eq!(backoff(40, 0), Duration::from_mins(30));
    assert!(backoff(40, u64::MAX) <= Duration::from_hours(1));
}

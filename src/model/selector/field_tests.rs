//! Field selectors.

use proptest::prelude::*;

use super::FieldSelector;
use crate::model::kinds::{self, Kind};

fn parse(text: &str) -> FieldSelector {
    FieldSelector::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    FieldSelector::parse(text).unwrap_err().to_string()
}

#[test]
fn selectors_match_by_every_operator() {
    let object = |field: &str| match field {
        "metadata.name" => "a",
        "type" => "x,y=z\\",
        _ => "",
    };
    for (text, matches) in [
        ("", true),
        (",,", true),
        ("metadata.name=a", true),
        ("metadata.name==a", true),
        ("metadata.name=b", false),
        ("metadata.name!=b", true),
        ("metadata.name!=a", false),
        ("metadata.name=a,metadata.name=b", false),
        ("metadata.name=a,metadata.name!=b", true),
        ("metadata.namespace=", true),
        ("metadata.namespace!=", false),
        ("metadata.namespace=a", false),
        ("metadata.namespace!=a", true),
        (r"type=x\,y\=z\\", true),
        (r"type==x\,y\=z\\,metadata.name=a", true),
        (r"type!=x\,y\=z\\", false),
    ] {
        assert_eq!(parse(text).matches(object), matches, "{text}");
    }
}

#[test]
fn bad_syntax_is_refused_in_kubernetes_words() {
    for (text, error) in [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("b=1,zz,aa", "invalid selector: 'b=1,zz,aa'; can't understand 'aa'"),
        ("a!b", "invalid selector: 'a!b'; can't understand 'a!b'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        (r"a=\", r"invalid field selector: invalid escape sequence: \"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a===b", "invalid field selector: unescaped character in value: 61"),
    ] {
        assert_eq!(refusal(text), error);
    }
}

#[test]
fn an_exact_value_is_one_that_an_equality_demands() {
    for (text, exact) in [
        ("metadata.name=x", Some("x")),
        ("metadata.name==x,type=Opaque", Some("x")),
        ("metadata.name!=x", None),
        ("metadata.name!=x,metadata.name=y", Some("y")),
        ("metadata.namespace=x", None),
        ("metadata.name=", Some("")),
        ("", None),
    ] {
        assert_eq!(parse(text).exact("metadata.name"), exact, "{text}");
    }
}

#[test]
fn each_kind_has_its_fields() {
    let others = "is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
    let role: &Kind = &kinds::ROLE;
    for (kind, text, error) in [
        (&kinds::SECRET, "metadata.name=a,metadata.namespace=b,type!=c", None),
        (&kinds::SECRET, "data.a=b", Some("field label not supported: data.a".to_owned())),
        (&kinds::NAMESPACE, "metadata.name=a,status.phase=Active", None),
        (&kinds::NAMESPACE, "type=a", Some("field label not supported: type".to_owned())),
        (&kinds::SERVICE_ACCOUNT, "metadata.name=a,metadata.namespace=b", None),
        (&kinds::SERVICE_ACCOUNT, "type=a", Some(format!("\"type\" {others}"))),
        (role, "metadata.name=a", None),
        (role, "a\"b=", Some(format!("\"a\\\"b\" {others}"))),
        (role, "", None),
    ] {
        let result = parse(text).check_supported(kind);
        assert_eq!(result.err().map(|error| error.to_string()), error, "{text}");
    }
}

#[test]
fn the_canonical_text_does_not_depend_on_order_or_spelling() {
    assert_eq!(parse("b==2,a=1,c!=3").to_string(), "a=1,b=2,c!=3");
    assert_eq!(parse("a=1,b=2,c!=3"), parse("c!=3,b==2,,a==1"));
    assert_eq!(parse(r"a=x\,y").to_string(), r"a=x\,y");
    assert!(parse(",").is_empty() && !parse("a=").is_empty());
    assert_eq!(parse("b=2,a!=1").requirements().len(), 2);
}

#[test]
fn huge_selectors_are_refused() {
    assert!(refusal(&"a=b,".repeat(800_000)).ends_with("must be no more than 65536 bytes"));
    assert!(refusal(&"a=b,".repeat(1001)).ends_with("must have at most 1000 requirements"));
    assert_eq!(parse(&"a=b,".repeat(1000)).requirements().len(), 1000);
}

proptest! {
    #[test]
    fn no_selector_panics_and_its_canonical_text_is_stable(text in r"([ab.]|\\|,|=|!|é){0,24}") {
        if let Ok(selector) = FieldSelector::parse(&text) {
            let canonical = selector.to_string();
            prop_assert_eq!(FieldSelector::parse(&canonical), Ok(selector), "{}", canonical);
        }
    }

    #[test]
    fn every_value_can_be_selected(value in ".{0,12}") {
        let escaped = value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=");
        let selector = FieldSelector::parse(&format!("f={escaped}")).unwrap();
        prop_assert_eq!(selector.exact("f"), Some(value.as_str()));
    }
}

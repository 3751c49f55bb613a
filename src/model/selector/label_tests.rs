//! Label selectors.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::LabelSelector;

fn parse(text: &str) -> LabelSelector {
    LabelSelector::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    LabelSelector::parse(text).unwrap_err().to_string()
}

fn matches(selector: &LabelSelector, labels: &Value) -> bool {
    selector.matches(|key| labels.get(key)?.as_str())
}

#[test]
fn selectors_match_by_every_operator() {
    let labels = json!({"a": "1", "app": "web", "e": "", "in": "notin", "example.com/x": "y", "word": "x9"});
    for (text, expected) in [
        ("", true),
        ("  ", true),
        ("app", true),
        ("nope", false),
        ("!app", false),
        ("!nope", true),
        ("! nope", true),
        ("app=web", true),
        ("app == web", true),
        ("app=db", false),
        ("nope=web", false),
        ("nope=", false),
        ("e=", true),
        ("e", true),
        ("app!=web", false),
        ("app!=db", true),
        ("nope!=web", true),
        ("app in (db,web)", true),
        ("app in (db , web )", true),
        ("app in(web)", true),
        ("app in (db)", false),
        ("nope in (db)", false),
        ("app notin (db)", true),
        ("app notin (db,web)", false),
        ("nope notin (db)", true),
        ("e in ()", true),
        ("app in ()", false),
        ("nope in ()", false),
        ("e in (,x)", true),
        ("e in (x,)", true),
        ("e in (x,,y)", true),
        ("a>0", true),
        ("a > 1", false),
        ("a<2", true),
        ("a<1", false),
        ("nope>0", false),
        ("word>0", false),
        ("app=web,a=1,!nope", true),
        ("app=web,a=2", false),
        ("in=notin", true),
        ("in in (in,notin)", true),
        ("in", true),
        ("!in", false),
        ("example.com/x=y", true),
        ("\tapp\n=\r web ", true),
    ] {
        assert_eq!(matches(&parse(text), &labels), expected, "{text}");
    }
}

#[test]
fn bad_syntax_is_refused_in_kubernetes_words() {
    let operators = "in, notin, =, ==, !=, gt, lt";
    for (text, error) in [
        ("a b", format!("unable to parse requirement: found 'b', expected: {operators}")),
        ("a,b c", format!("unable to parse requirement: found 'c', expected: {operators}")),
        ("a(b)", format!("unable to parse requirement: found '(', expected: {operators}")),
        ("a!", format!("unable to parse requirement: found '!', expected: {operators}")),
        ("!a=b", "found '=', expected: ',' or 'end of string'".to_owned()),
        ("a=b=c", "found '=', expected: ',' or 'end of string'".to_owned()),
        ("a=b c", "found 'c', expected: ',' or 'end of string'".to_owned()),
        ("a,", "found '', expected: identifier after ','".to_owned()),
        ("a,,b", "found ',', expected: identifier after ','".to_owned()),
        ("a=,=b", "found '=', expected: identifier after ','".to_owned()),
        (",a", "found ',', expected: !, identifier, or 'end of string'".to_owned()),
        ("=a", "found '=', expected: !, identifier, or 'end of string'".to_owned()),
        ("!!a", "unable to parse requirement: found '!', expected: identifier".to_owned()),
        ("!", "unable to parse requirement: found '', expected: identifier".to_owned()),
        ("a==!b", "unable to parse requirement: found '!', expected: identifier".to_owned()),
        ("a===b", "unable to parse requirement: found '=', expected: identifier".to_owned()),
        ("a in b", "unable to parse requirement: found 'b' expected: '('".to_owned()),
        ("a in", "unable to parse requirement: found '' expected: '('".to_owned()),
        ("n in (a", "unable to parse requirement: found '', expected: ',' or ')'".to_owned()),
        ("n in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'".to_owned()),
        ("n in (", "unable to parse requirement: found '', expected: ',', ')' or identifier".to_owned()),
        ("n in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier".to_owned()),
        ("n in (a,=)", "unable to parse requirement: found '=', expected: ',', or identifier".to_owned()),
        ("n in (a,,)", "unable to parse requirement: found ')', expected: ',', or identifier".to_owned()),
        ("n in (a,", "unable to parse requirement: found '', expected: ',', or identifier".to_owned()),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer".to_owned(),
        ),
    ] {
        assert_eq!(refusal(text), error, "{text}");
    }
}

#[test]
fn bad_keys_and_values_are_refused_in_kubernetes_words() {
    let name = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let value = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let long = "x".repeat(64);
    let long_prefix = "x".repeat(254);
    for (text, error) in [
        ("%%%".to_owned(), format!("<nil>: Invalid value: \"%%%\": name part {name}")),
        ("a\0".to_owned(), format!("<nil>: Invalid value: \"a\\x00\": name part {name}")),
        ("/a".to_owned(), "<nil>: Invalid value: \"/a\": prefix part must be non-empty".to_owned()),
        ("a/".to_owned(), format!("<nil>: Invalid value: \"a/\": name part must be non-empty; name part {name}")),
        ("A/b".to_owned(), format!("<nil>: Invalid value: \"A/b\": prefix part {subdomain}")),
        (
            format!("{long_prefix}/b"),
            format!("<nil>: Invalid value: \"{long_prefix}/b\": prefix part must be no more than 253 characters"),
        ),
        (
            "a/b/c".to_owned(),
            format!(
                "<nil>: Invalid value: \"a/b/c\": a qualified name {name} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ),
        ),
        (long.clone(), format!("<nil>: Invalid value: \"{long}\": name part must be no more than 63 characters")),
        ("n=_x".to_owned(), format!("values[0][n]: Invalid value: \"_x\": {value}")),
        ("n in (a,_x)".to_owned(), format!("values[0][n]: Invalid value: \"_x\": {value}")),
        (
            "n in (_x,z_)".to_owned(),
            format!("[values[0][n]: Invalid value: \"_x\": {value}, values[1][n]: Invalid value: \"z_\": {value}]"),
        ),
        (format!("n!={long}"), format!("values[0][n]: Invalid value: \"{long}\": must be no more than 63 characters")),
        (
            "n>-x".to_owned(),
            format!(
                "[values[0]: Invalid value: \"-x\": for 'Gt', 'Lt' operators, the value must be an integer, values[0][n]: Invalid value: \"-x\": {value}]"
            ),
        ),
        ("n<-5".to_owned(), format!("values[0][n]: Invalid value: \"-5\": {value}")),
    ] {
        assert_eq!(refusal(&text), format!("unable to parse requirement: {error}"), "{text}");
    }
}

#[test]
fn the_canonical_text_does_not_depend_on_order_or_spelling() {
    for (text, canonical) in [
        ("", ""),
        ("b,a", "a,b"),
        ("x == y", "x=y"),
        ("x in (b, a,b)", "x in (a,b)"),
        ("x notin(c)", "x notin (c)"),
        ("x in ()", "x in ()"),
        ("x in (b,)", "x in (,b)"),
        ("z<5, !y,x>05,w!=", "w!=,x>5,!y,z<5"),
        ("a=2,a=1", "a=1,a=2"),
    ] {
        assert_eq!(parse(text).to_string(), canonical);
    }
    assert!(parse(" ").is_empty() && !parse("a").is_empty());
    assert_eq!(parse("a,b").requirements().len(), 2);
}

#[test]
fn selectors_of_the_api_are_read() {
    let selector = json!({
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["b", "a"]},
            {"key": "env", "operator": "NotIn", "values": ["dev"]},
            {"key": "x", "operator": "Exists"},
            {"key": "y", "operator": "DoesNotExist", "values": []},
        ],
    });
    let selector = LabelSelector::from_api(&selector, "s").unwrap();
    assert_eq!(selector, parse("app=web,tier in (a,b),env notin (dev),x,!y"));
    assert!(matches(&selector, &json!({"app": "web", "tier": "a", "x": ""})));
    assert!(!matches(&selector, &json!({"app": "web", "tier": "a", "x": "", "y": ""})));
    for everything in [json!({}), json!(null), json!({"matchLabels": null, "matchExpressions": []})] {
        assert!(LabelSelector::from_api(&everything, "s").unwrap().is_empty());
    }
}

#[test]
fn bad_selectors_of_the_api_are_refused_field_by_field() {
    let errors = |selector: Value| -> Vec<String> {
        LabelSelector::from_api(&selector, "s").unwrap_err().iter().map(ToString::to_string).collect()
    };
    let of_expression = |expression: Value| errors(json!({"matchExpressions": [expression]}));
    assert_eq!(
        of_expression(json!({"key": "a", "operator": "In"})),
        ["s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]
    );
    assert_eq!(
        of_expression(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
        ["s.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"]
    );
    assert_eq!(
        of_expression(json!({"key": "a", "operator": "Gt"})),
        ["s.matchExpressions[0].operator: Invalid value: \"Gt\": not a valid selector operator"]
    );
    assert!(
        of_expression(json!({"key": "%", "operator": "Exists"}))[0]
            .starts_with("s.matchExpressions[0].key: Invalid value: \"%\": name part must consist")
    );
    assert!(
        of_expression(json!({"key": "a", "operator": "In", "values": ["b", "_"]}))[0]
            .starts_with("s.matchExpressions[0].values[1]: Invalid value: \"_\": a valid label")
    );
    assert_eq!(
        of_expression(json!({"key": "a", "operator": "In", "values": [1]})),
        ["s.matchExpressions[0].values[0]: Invalid value: must be a string"]
    );
    assert_eq!(errors(json!({"matchLabels": 1, "matchExpressions": {}})).len(), 2);
    assert_eq!(errors(json!({"matchLabels": {"a": 1}})), ["s.matchLabels: Invalid value: must be a string"]);
    let labels = errors(json!({"matchLabels": {"_": "_"}}));
    assert!(labels.len() == 2 && labels.iter().all(|error| error.starts_with("s.matchLabels: Invalid value: \"_\"")));
    assert_eq!(
        errors(json!({"matchExpressions": vec![json!({}); 100_000]})),
        ["s.matchExpressions: Too many: must have at most 1000 items"]
    );
    assert_eq!(of_expression(json!({"key": "a", "operator": "In", "values": vec!["_"; 100_000]})).len(), 100);
}

#[test]
fn huge_selectors_are_refused() {
    assert!(refusal(&"a,".repeat(1_500_000)).ends_with("must be no more than 65536 bytes"));
    assert!(refusal(&format!("a{}", ",a".repeat(1000))).ends_with("must have at most 1000 requirements"));
    assert_eq!(parse(&format!("a{}", ",a".repeat(999))).requirements().len(), 1000);
    let values: Vec<String> = (0..10_000).map(|index| index.to_string()).collect();
    assert!(matches(&parse(&format!("a in ({})", values.join(","))), &json!({"a": "9999"})));
    // An error names some of what is wrong, not all of it.
    let bad: Vec<String> = (0..10_000).map(|index| format!("_{index}")).collect();
    assert!(refusal(&format!("a in ({})", bad.join(","))).len() < 10_000);
}

proptest! {
    #[test]
    fn no_selector_panics_and_its_canonical_text_is_stable(
        text in "(a|b|x.y/z|1|_| |in|notin|\\(|\\)|,|=|!|<|>|é|\0){0,20}"
    ) {
        if let Ok(selector) = LabelSelector::parse(&text) {
            let canonical = selector.to_string();
            prop_assert_eq!(LabelSelector::parse(&canonical), Ok(selector), "{}", canonical);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,40}") {
        let _ = LabelSelector::parse(&text);
    }

    #[test]
    fn a_selector_of_requirements_selects_what_they_all_select(
        parts in prop::collection::vec("(a|b)((=|!=| in \\(| notin \\()[xy])?|!(a|b)", 1..4),
        labels in prop::collection::hash_map("[ab]", "[xy]", 0..3),
    ) {
        let parts: Vec<String> =
            parts.into_iter().map(|part| if part.contains('(') { format!("{part})") } else { part }).collect();
        let labels = json!(labels);
        let each = parts.iter().all(|part| matches(&parse(part), &labels));
        prop_assert_eq!(matches(&parse(&parts.join(",")), &labels), each);
    }
}

#[test]
fn the_labels_that_a_match_needs_are_those_whose_absence_never_matches() {
    let selector = LabelSelector::parse("a,!b,c=1,d!=1,e in (1),f notin (1),g>1,h<1").unwrap();
    assert_eq!(selector.needs().collect::<Vec<_>>(), ["a", "c", "e", "g", "h"]);
    for requirement in selector.requirements() {
        let alone = LabelSelector(vec![requirement.clone()]);
        assert_eq!(alone.needs().next().is_none(), alone.matches(|_| None), "{requirement:?}");
    }
}

//! Names, labels and keys.

use proptest::prelude::*;

use super::*;

#[test]
fn names_follow_the_rule_of_their_kind() {
    let (x63, x64, x253, x254) = ("x".repeat(63), "x".repeat(64), "x".repeat(253), "x".repeat(254));
    let rows: &[(NameRule, &str, bool, &[&str])] = &[
        (NameRule::Subdomain, "a.b-c.9", false, &[]),
        (NameRule::Subdomain, &x253, false, &[]),
        (NameRule::Subdomain, &x254, false, &[AT_MOST_253]),
        (NameRule::Subdomain, "Bad_Name", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "a..b", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "a-", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "a-.b", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "a\n", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "ä", false, &[SUBDOMAIN]),
        (NameRule::Subdomain, "a-", true, &[]),
        (NameRule::Subdomain, "-", true, &[SUBDOMAIN]),
        (NameRule::Subdomain, "a.-", true, &[]),
        (NameRule::Subdomain, "ä-", true, &[SUBDOMAIN]),
        (NameRule::Label, "my-ns", false, &[]),
        (NameRule::Label, &x63, false, &[]),
        (NameRule::Label, &x64, false, &[AT_MOST_63]),
        (NameRule::Label, "a.b", false, &["must not contain dots"]),
        (NameRule::Label, "a_b", false, &[DNS_LABEL]),
        (NameRule::Label, "a-", true, &[]),
        (NameRule::PathSegment, "Sys:Foo Bar", false, &[]),
        (NameRule::PathSegment, ".", false, &["may not be '.'"]),
        (NameRule::PathSegment, "..", true, &["may not be '..'"]),
        (NameRule::PathSegment, "a/b%", false, &["may not contain '/'", "may not contain '%'"]),
        (NameRule::AnyPathSegment, "..", true, &[]),
        (NameRule::AnyPathSegment, "..", false, &["may not be '..'"]),
    ];
    for (rule, name, prefix, expected) in rows {
        assert_eq!(rule.problems(name, *prefix), *expected, "{rule:?} {name:?} {prefix}");
    }
}

#[test]
fn the_texts_are_those_of_kubernetes() {
    assert_eq!(
        SUBDOMAIN,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
         start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    );
    assert_eq!(
        DNS_LABEL,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
         end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    );
    assert_eq!(
        LABEL_VALUE,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
         validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    );
    assert_eq!(
        SECRET_KEY,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
         'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    );
    assert_eq!(
        qualified_name("a/b/c"),
        ["a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
             an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyName')"]
    );
}

#[test]
fn qualified_names_are_judged_part_by_part() {
    let name_part = concat!("name part ", qualified_text!());
    let prefix_part = concat!("prefix part ", subdomain_text!());
    let (long_name, long_prefix) = ("n".repeat(64), format!("{}/n", "p".repeat(254)));
    let rows: &[(&str, &[&str])] = &[
        ("app", &[]),
        ("example.com/My_Name.1", &[]),
        ("", &["name part must be non-empty", name_part]),
        ("%", &[name_part]),
        ("-a", &[name_part]),
        ("a.", &[name_part]),
        (&long_name, &["name part must be no more than 63 characters"]),
        ("/a", &["prefix part must be non-empty"]),
        ("a/", &["name part must be non-empty", name_part]),
        ("A_/b", &[prefix_part]),
        (&long_prefix, &["prefix part must be no more than 253 characters"]),
        ("_/%", &[prefix_part, name_part]),
    ];
    for (name, expected) in rows {
        assert_eq!(qualified_name(name), *expected, "{name:?}");
    }
    assert_eq!(qualified_name("Example.com/a"), [prefix_part]);
    assert!(annotation_key("Example.com/A").is_empty(), "the case of an annotation's prefix does not matter");
    assert_eq!(annotation_key("Ä"), [name_part]);
}

#[test]
fn label_values_and_secret_keys() {
    let (v63, v64) = ("v".repeat(63), "v".repeat(64));
    for value in ["", "a", "A.b_c-1", &v63] {
        assert!(label_value(value).is_empty(), "{value:?}");
    }
    assert_eq!(label_value(&v64), [AT_MOST_63]);
    for value in ["_x", "x-", "a b", "ä"] {
        assert_eq!(label_value(value), [LABEL_VALUE], "{value:?}");
    }
    let (k253, k254) = ("k".repeat(253), "k".repeat(254));
    let rows: &[(&str, &[&str])] = &[
        ("tls.crt", &[]),
        (".dockerconfigjson", &[]),
        ("-_.", &[]),
        (&k253, &[]),
        (&k254, &[AT_MOST_253]),
        ("", &[SECRET_KEY]),
        ("a b", &[SECRET_KEY]),
        (".", &["must not be '.'"]),
        ("..", &["must not be '..'"]),
        ("..a", &["must not start with '..'"]),
        ("../x", &[SECRET_KEY, "must not start with '..'"]),
    ];
    for (key, expected) in rows {
        assert_eq!(secret_key(key), *expected, "{key:?}");
    }
}

#[test]
fn a_generated_name_is_the_base_and_five_letters() {
    assert_eq!(generate_name("db-", &[0, 1, 26, 27, 255]), "db-bc9bq");
    let name = generate_name(&"x".repeat(80), &[0; 5]);
    assert_eq!((name.len(), name.ends_with("xbbbbb")), (63, true));
    assert_eq!(generate_name(&format!("{}ä", "x".repeat(57)), &[0; 5]).len(), 62, "no character is cut in two");
}

proptest! {
    #[test]
    fn a_good_prefix_gives_a_good_name(base in "[a-z0-9]([-a-z0-9]{0,55}[a-z0-9-])?", random: [u8; 5]) {
        prop_assume!(NameRule::Label.problems(&base, true).is_empty());
        let name = generate_name(&base, &random);
        prop_assert!(dns1123_label(&name).is_empty(), "{}", name);
    }

    #[test]
    fn no_text_panics(text: String) {
        for prefix in [false, true] {
            for rule in [NameRule::Subdomain, NameRule::Label, NameRule::PathSegment, NameRule::AnyPathSegment] {
                let _ = rule.problems(&text, prefix);
            }
        }
        let _ = (annotation_key(&text), qualified_name(&text), label_value(&text), secret_key(&text));
        let _ = generate_name(&text, &[7; 5]);
    }
}

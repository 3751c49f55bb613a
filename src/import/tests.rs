//! What is read of manifests and `.env` files, and what is refused.

use super::*;
use crate::export::{Format, NoRandomness, Options, render};

#[expect(clippy::disallowed_methods, reason = "the test looks at what was read")]
fn shown(file: &str) -> Result<String, ManifestError> {
    let none = &mut |_: &mut [u8]| Err(NoRandomness);
    let bytes = render(&manifests(file.as_bytes())?, Format::Yaml, &Options::default(), none).unwrap();
    Ok(String::from_utf8(bytes.expose().to_vec()).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what was read")]
fn variables(file: &str) -> Result<Vec<(String, String)>, DotenvError> {
    let text = |value: SecretBytes| String::from_utf8(value.expose().to_vec()).unwrap();
    Ok(dotenv(file.as_bytes())?.into_iter().map(|(key, value)| (key, text(value))).collect())
}

#[test]
fn documents_and_lists_are_read_in_their_order() {
    let a = "apiVersion: v1\ndata:\n  k: dg==\nkind: Secret\nmetadata:\n  name: a\n  namespace: prod\n";
    let b = a.replace("name: a", "name: b");
    assert_eq!(shown(&format!("---\n{a}---\n# nothing\n---\n{b}")).unwrap(), format!("{a}---\n{b}"));
    let items = r#"[{"metadata": {"name": "a", "namespace": "prod"}, "stringData": {"k": "v"}},
                    {"metadata": {"name": "b", "namespace": "prod"}, "data": {"k": "dg=="}}]"#;
    let list = format!(r#"{{"kind": "List", "apiVersion": "v1", "items": {items}}}"#);
    assert_eq!(shown(&list).unwrap(), format!("{a}---\n{b}"));
    assert_eq!(shown("").unwrap(), "");
    assert_eq!(shown("kind: SecretList\nitems:\n").unwrap(), "");
}

#[test]
fn what_cannot_be_read_is_named_by_its_place_and_without_its_values() {
    for (file, expected) in [
        ("a: [hunter2", "the file cannot be read"),
        (
            "kind: Secret\nmetadata: {name: a}\n---\nkind: ConfigMap\nmetadata: {name: hunter2}",
            "document 2: not a Secret",
        ),
        ("metadata: {name: a}\ndata: {k: hunter2}\ndata: {}\n", "document 1 sets a key twice: line 3"),
        (r#"{"metadata": {"name": "a"}, "stringData": {"k": "hunter2", "k": ""}}"#, "sets a key twice: stringData.k"),
        (
            r#"{"kind": "List", "items": [{"metadata": {"name": "a"}, "data": {"k": "hunter2!"}}]}"#,
            "document 1, item 1: key k",
        ),
    ] {
        let error = shown(file).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn variables_are_read_by_the_rules_of_dotenv() {
    let file = "# c\n\nexport A = b c # d\r\nB='it\\'s \\n'\nC=\"a\\tb\\\"\n${D}\"#x\n'D' =\nE=#f\nF= # f\nA=again";
    let expected = [("A", "again"), ("B", "it's \\n"), ("C", "a\tb\"\n${D}"), ("D", ""), ("E", "#f"), ("F", "")];
    assert_eq!(variables(file).unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    for (file, error) in [
        ("A=1\nhunter2\n", DotenvError::NoValue(2)),
        ("A='\n\n'\nB='hunter2\n\n", DotenvError::Line(4)),
        ("A='1' hunter2", DotenvError::Line(1)),
        ("=hunter2", DotenvError::Line(1)),
        ("'hunter2", DotenvError::Line(1)),
    ] {
        assert_eq!(variables(file), Err(error), "{file}");
    }
    assert_eq!(dotenv(b"A=\xff").err(), Some(DotenvError::NotText));
}

#[test]
fn a_line_break_that_looks_accidental_is_seen() {
    for (value, expected) in [("x\n", true), ("x", false), ("\n", false), ("x\ny\n", false), ("x\n\n", false)] {
        assert_eq!(has_accidental_line_break(&SecretBytes::new(value.into())), expected, "{value:?}");
    }
    assert!(!has_accidental_line_break(&SecretBytes::new(vec![0xff, b'\n'])));
}

use proptest::prelude::*;

use super::*;
use crate::sensitive::SecretBytes;

fn key() -> ScanKey {
    ScanKey::from_bytes(&SecretBytes::new(vec![9; 32])).unwrap()
}

fn found(value: &[u8], file: &[u8]) -> Vec<(usize, &'static str)> {
    let key = key();
    let fingerprints = fingerprints(&key, value, 0);
    let scanner = Scanner::new(&key, &fingerprints);
    scanner.find(file).into_iter().map(|one| (line_of(file, one.at), one.encoding.as_str())).collect()
}

#[test]
fn a_value_is_found_in_every_form_and_line() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let value = b"p@ss w/rd-of-the+\xc3\xa4ge?\xff!";
    let mut around = b"prefix".to_vec();
    for offset in 0..3 {
        around.truncate(6 + offset);
        let mut long = vec![b'x'; 6 + offset];
        long.extend_from_slice(value);
        long.extend_from_slice(b"and more");
        for (text, form) in [(STANDARD.encode(&long), "base64"), (URL_SAFE.encode(&long), "base64url")] {
            let forms = found(value, format!("a\nb: {text}\n").as_bytes());
            assert_eq!(forms.len(), 1, "{offset} {form}");
            assert_eq!(forms[0].0, 2);
        }
    }
    let text = [b"x = \"".as_slice(), value, b"\"\n"].concat();
    assert_eq!(found(value, &text), [(1, "plain")]);
    for (text, form) in [
        (hex::encode(value), "hex"),
        (hex::encode_upper(value), "hex"),
        ("p%40ss%20w%2Frd-of-the%2B%C3%A4ge%3F%FF%21".to_owned(), "url-escaped"),
        ("p%40ss%20w%2frd-of-the%2b%c3%a4ge%3f%ff%21".to_owned(), "url-escaped"),
        ("p%40ss%20w%2Frd-of-the%2B%C3%A4ge%3F%FF!".to_owned(), "url-escaped"),
    ] {
        assert_eq!(found(value, format!("\n\n{text}").as_bytes()), [(3, form)], "{text}");
    }
}

#[test]
fn short_values_have_no_fingerprints_and_none_holds_the_value() {
    assert!(fingerprints(&key(), b"fifteen bytes..", 0).is_empty());
    let made = fingerprints(&key(), b"sixteen bytes...", 3);
    assert!(!made.is_empty() && made.iter().all(|one| one.value == 3));
    assert!(!format!("{made:?}").contains("sixteen"));
}

#[test]
fn manifests_with_data_are_found_and_sealed_or_encrypted_ones_are_not() {
    let find = |text: &str| -> Vec<(usize, String, String)> {
        in_manifests(text.as_bytes()).into_iter().map(|one| (one.line, one.secret, one.key)).collect()
    };
    let at = |line: usize, secret: &str, key: &str| (line, secret.to_owned(), key.to_owned());
    assert_eq!(
        find(
            "# c\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  user: YQ==\n  pass: YQ==\n  none: \"\"\n"
        ),
        [at(7, "db", "user"), at(8, "db", "pass")]
    );
    assert_eq!(
        find(
            "kind: ConfigMap\ndata: {a: b}\n---\n# {{ template }}\nkind: {{ .Secret }}\ndata: x\n---\nkind: Secret\napiVersion: v1\nstringData:\n  'k': v\n"
        ),
        [at(11, "", "k")]
    );
    assert_eq!(find("{\"kind\": \"Secret\",\n \"data\": {\n  \"k\": \"YQ==\"}}\n"), [at(3, "", "k")]);
    assert_eq!(
        find(
            "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  metadata: {name: a}\n  data:\n    k: YQ==\n"
        ),
        [at(8, "a", "k")]
    );
    // Keys of one name are told from each other, and the field `data` from others.
    assert_eq!(
        find(
            "apiVersion: v1\nkind: List\nitems:\n- {kind: Secret, metadata: {name: a},\n   data: {k: YQ==}}\n- kind: Secret\n  metadata:\n    name: b\n    annotations: {data: x}\n  data:\n    k: YQ==\n"
        ),
        [at(5, "a", "k"), at(11, "b", "k")]
    );
    for clean in [
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:\n    k: AgB\n",
        "kind: Secret\napiVersion: v1\nmetadata: {name: a}\n",
        "kind: Secret\napiVersion: v1\ndata: {}\n",
        "kind: Secret\ndata:\n  k: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops:\n  mac: ENC[x]\n",
        "kind: List\nitems:\n- kind: Secret\n  data:\n    k: ENC[x]\nsops:\n  mac: ENC[x]\n",
        "kind: ExternalSecret\nspec: {data: [{secretKey: a}]}\n",
        "kind: Secret\napiVersion: example.com/v1\ndata: {k: v}\n",
        "a text about a Secret and its data",
    ] {
        assert_eq!(find(clean), [], "{clean}");
    }
    // What SOPS left as it was is found.
    assert_eq!(
        find("kind: Secret\ndata:\n  k: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\n  l: YQ==\nsops:\n  mac: ENC[x]\n"),
        [at(4, "", "l")]
    );
    // Without its mac it is no SOPS file.
    assert_eq!(find("kind: Secret\ndata:\n  k: ENC[x]\nsops: {}\n"), [at(3, "", "k")]);
}

proptest! {
    #[test]
    fn wherever_it_stands_it_is_found_and_nothing_else_is(
        value in proptest::collection::vec(any::<u8>(), 16..80),
        before in proptest::collection::vec(any::<u8>(), 0..200),
        behind in proptest::collection::vec(any::<u8>(), 0..200),
        form in 0_usize..8,
    ) {
        let forms = encodings(&value);
        let (_, text) = &forms[form % forms.len()];
        let file = [before.as_slice(), text, &behind].concat();
        prop_assert!(!found(&value, &file).is_empty());
        let without = [before.as_slice(), &behind].concat();
        let is_by_chance = forms.iter().any(|(_, text)| without.windows(text.len().max(1)).any(|window| window == &***text));
        prop_assert_eq!(found(&value, &without).is_empty(), !is_by_chance);
    }
}

//! Masks, whatever the pieces.

use proptest::prelude::*;

use super::*;

fn redactor(values: &[&[u8]]) -> Arc<Redactor> {
    let values: Vec<SecretBytes> = values.iter().map(|value| SecretBytes::new(value.to_vec())).collect();
    Arc::new(Redactor::new(&values).unwrap())
}

fn masked_in_pieces(redactor: &Arc<Redactor>, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for piece in pieces {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    out
}

fn masked(values: &[&str], text: &str) -> String {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    String::from_utf8(masked_in_pieces(&redactor(&values), &[text.as_bytes()])).unwrap()
}

#[test]
fn a_value_is_masked_in_every_form() {
    let value = "pa$$w0rd?>";
    for (text, expected) in [
        ("user pa$$w0rd?> here".to_owned(), "user *** here"),
        ("pa$$w0rd?>".to_owned(), "***"),
        ("pa$$w0rd?>pa$$w0rd?>".to_owned(), "***"),
        (format!("b64={}.", STANDARD.encode(value)), "b64=***."),
        (format!("url={}.", URL_SAFE_NO_PAD.encode(value)), "url=***."),
        ("pa$$w0rd".to_owned(), "pa$$w0rd"),
    ] {
        assert_eq!(masked(&[value], &text), expected, "{text}");
    }
    // As a part of what is encoded, as in `Authorization: Basic`.
    for before in ["", "a:", "ad:", "ada:"] {
        let encoded = STANDARD.encode(format!("{before}{value}!"));
        let shown = masked(&[value], &encoded);
        assert!(shown.contains("***") && shown.len() < 12, "{before}: {shown}");
    }
}

#[test]
fn the_longest_value_is_masked_whole_and_short_ones_are_left() {
    assert_eq!(masked(&["secret", "secret-long"], "a secret-long b secret-lo"), "a *** b ***-lo");
    assert_eq!(masked(&["abcdef", "defghi"], "xabcdefghiy"), "x***y");
    assert_eq!(masked(&["abcd", "xabcdz"], "xabcdy"), "x***y");
    assert_eq!(masked(&["abc", ""], "abc"), "abc");
    assert_eq!(masked(&[], "nothing"), "nothing");
}

#[test]
fn lines_of_a_longer_value_are_masked_each() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
    assert_eq!(masked(&[key], &format!("{key}.")), "***.");
    let prefixed = key.lines().fold(String::new(), |all, line| {
        all + "log: "
            + line
            + "
"
    });
    assert_eq!(masked(&[key], &prefixed), "log: -----BEGIN KEY-----\nlog: ***\nlog: ***\nlog: -----END KEY-----\n");
    assert_eq!(masked(&["password\n"], "the password is\n"), "the *** is\n");
}

#[test]
fn what_cannot_begin_a_value_is_shown_at_once() {
    let redactor = redactor(&[b"secret"]);
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(b"Name? ", &mut out);
    assert_eq!(out, b"Name? ");
    stream.push(b"se", &mut out);
    assert_eq!(out, b"Name? ");
    stream.push(b"lf", &mut out);
    assert_eq!(out, b"Name? self");
    stream.push(b"secre", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"Name? selfsecre");
}

#[test]
fn other_values_are_masked_from_where_the_stream_stands() {
    let (old, new) = (redactor(&[b"secret"]), redactor(&[b"secret", b"other"]));
    let (mut stream, mut out) = (old.stream(), Vec::new());
    stream.push(b"other secr", &mut out);
    let mut stream = stream.go_on_with(&new, &mut out);
    stream.push(b"et other", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"other *** ***");
}

#[test]
fn too_much_is_refused() {
    let large = SecretBytes::new(vec![7; FORMS_MAX_BYTES]);
    assert!(Redactor::new([&large]).is_err());
}

proptest! {
    /// Against the plain definition: every byte that any form covers is masked, and each run of them is one mask.
    #[test]
    fn any_pieces_give_the_same_and_no_value_is_left(
        values in prop::collection::vec("[ab]{4,7}", 0..4),
        text in "[abc]{0,60}",
        cuts in prop::collection::vec(0usize..61, 0..6),
    ) {
        let bytes: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let redactor = redactor(&bytes);
        let mut covered = vec![false; text.len()];
        for form in values.iter().flat_map(|value| forms(value.as_bytes())) {
            for at in 0..text.len() {
                if text.as_bytes()[at..].starts_with(&form) {
                    covered[at..at + form.len()].fill(true);
                }
            }
        }
        let mut expected = Vec::new();
        for (at, byte) in text.bytes().enumerate() {
            if !covered[at] {
                expected.push(byte);
            } else if at == 0 || !covered[at - 1] {
                expected.extend(MASK);
            }
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            pieces.push(&text.as_bytes()[from..cut]);
            from = cut;
        }
        prop_assert_eq!(masked_in_pieces(&redactor, &pieces), expected);
    }
}

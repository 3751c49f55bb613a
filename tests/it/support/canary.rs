//! Values that must not be found where they do not belong, and the search for them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A value that occurs nowhere by chance, and the forms in which it could be found.
pub struct Canary {
    /// What it stands for: the way by which it was handed over.
    pub planted: &'static str,
    /// The value: letters and digits.
    pub value: String,
    needles: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// A new one.
    pub fn new(planted: &'static str) -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).unwrap();
        // Not hexadecimal digits: those could stand in a hash by chance, and hide what encoded them.
        let letter = |byte: &u8| char::from(b'A' + byte % 26);
        let value = format!("zQ{}Qz", bytes.iter().map(letter).collect::<String>());
        Self::of(planted, value)
    }

    /// A known value as a canary: a token.
    pub fn of(planted: &'static str, value: String) -> Self {
        let plain = value.as_bytes();
        let mut needles = vec![
            ("as it is", plain.to_vec()),
            ("in hexadecimal digits", hex::encode(plain).into_bytes()),
            ("in upper-case hexadecimal digits", hex::encode_upper(plain).into_bytes()),
            ("in UTF-16", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ];
        for before in 0..3 {
            needles.push(("in base64", inner_base64(plain, before, &STANDARD_NO_PAD)));
            needles.push(("in base64 for URLs", inner_base64(plain, before, &URL_SAFE_NO_PAD)));
        }
        // A value that is handed over in base64 may be encoded once more with what surrounds it.
        let once = STANDARD_NO_PAD.encode(plain);
        needles
            .extend((0..3).map(|before| ("twice in base64", inner_base64(once.as_bytes(), before, &STANDARD_NO_PAD))));
        Self { planted, value, needles }
    }

    /// The value in base64, as a Secret's `data` has it.
    pub fn base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.value)
    }

    /// The form in which `bytes` hold it, if they do.
    pub fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        self.needles.iter().find(|(_, needle)| contains(bytes, needle)).map(|(form, _)| *form)
    }
}

/// Those of `canaries` that `bytes` hold, as sentences.
pub fn found<'a>(canaries: impl IntoIterator<Item = &'a Canary>, bytes: &[u8], place: &str) -> Vec<String> {
    canaries
        .into_iter()
        .filter_map(|canary| {
            let form = canary.find(bytes)?;
            Some(format!("the value of {} is in {place}, {form}", canary.planted))
        })
        .collect()
}

/// The same for every file below `folder`.
pub fn found_in_files(canaries: &[Canary], folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(found_in_files(canaries, &path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            // A file may be gone by now; what it held went with it.
            all.extend(found(canaries, &bytes, &path.display().to_string()));
        }
    }
    all
}

/// The characters of the encoding that depend on `plain` alone, when `before` other bytes precede it.
fn inner_base64(plain: &[u8], before: usize, engine: &base64::engine::GeneralPurpose) -> Vec<u8> {
    let encoded = engine.encode([&b"\0\0"[..before], plain].concat()).into_bytes();
    let first = (before * 8).div_ceil(6);
    let last = (before + plain.len()) * 8 / 6;
    encoded[first..last].to_vec()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let (first, rest) = needle.split_first().unwrap();
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        if bytes[from + at + 1..].starts_with(rest) {
            return true;
        }
        from += at + 1;
    }
    false
}

#[test]
fn a_canary_is_found_in_every_form_and_only_where_it_is() {
    let canary = Canary::new("a test");
    let engine = base64::engine::general_purpose::STANDARD;
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{}and more", canary.value);
        assert_eq!(canary.find(text.as_bytes()), Some("as it is"));
        assert_eq!(canary.find(engine.encode(&text).as_bytes()), Some("in base64"));
        assert_eq!(canary.find(hex::encode(&text).as_bytes()), Some("in hexadecimal digits"));
        let twice = format!("{before}{}", canary.base64());
        assert_eq!(canary.find(engine.encode(&twice).as_bytes()), Some("twice in base64"));
        assert_eq!(Canary::new("another").find(text.as_bytes()), None);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    std::fs::write(folder.path().join("deep/file"), [b"\0\xff", canary.value.as_bytes()].concat()).unwrap();
    assert_eq!(found_in_files(&[canary], folder.path()).len(), 1);
}

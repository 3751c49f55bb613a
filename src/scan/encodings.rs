//! The forms in which a value stands in files.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// A form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Base64, alone or within a longer text, at any of three offsets.
    Base64,
    /// Base64 with `-` and `_`.
    Base64Url,
    /// Two digits a byte.
    Hex,
    /// `%XX` where a URL needs it.
    UrlEscaped,
}

impl Encoding {
    /// As it is shown and sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
            Self::UrlEscaped => "url-escaped",
        }
    }

    /// Reads what [`Encoding::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Plain, Self::Base64, Self::Base64Url, Self::Hex, Self::UrlEscaped]
            .into_iter()
            .find(|encoding| encoding.as_str() == text)
    }
}

/// A value in all of its forms, each once. Of base64 within a longer text that is what does not depend on what is around it.
#[must_use]
pub fn encodings(value: &[u8]) -> Vec<(Encoding, Zeroizing<Vec<u8>>)> {
    let mut forms: Vec<(Encoding, Zeroizing<Vec<u8>>)> = Vec::new();
    let mut add = |encoding: Encoding, text: Zeroizing<Vec<u8>>| {
        if !forms.iter().any(|(_, known)| **known == *text) {
            forms.push((encoding, text));
        }
    };
    add(Encoding::Plain, Zeroizing::new(value.to_vec()));
    for offset in 0..3 {
        let mut shifted = Zeroizing::new(vec![0; offset]);
        shifted.extend_from_slice(value);
        // The first characters hold bits of what is before, the last one may hold bits of what is behind.
        let first = [0, 2, 3].get(offset).copied().unwrap_or_default();
        let whole = shifted.len() * 8 / 6;
        for (encoding, text) in [
            (Encoding::Base64, STANDARD_NO_PAD.encode(&*shifted)),
            (Encoding::Base64Url, URL_SAFE_NO_PAD.encode(&*shifted)),
        ] {
            let text = Zeroizing::new(text);
            if let Some(stable) = text.as_bytes().get(first..whole) {
                add(encoding, Zeroizing::new(stable.to_vec()));
            }
        }
    }
    add(Encoding::Hex, Zeroizing::new(hex::encode(value).into_bytes()));
    add(Encoding::Hex, Zeroizing::new(hex::encode_upper(value).into_bytes()));
    // Browsers and libraries differ in which characters they leave alone, and in the case of the digits.
    for (safe, upper) in [(&b"-._~"[..], true), (b"-._~", false), (b"-._~!*'()", true), (b"-._", true)] {
        add(Encoding::UrlEscaped, escaped(value, safe, upper));
    }
    forms
}

fn escaped(value: &[u8], safe: &[u8], upper: bool) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    for byte in value {
        if byte.is_ascii_alphanumeric() || safe.contains(byte) {
            text.push(*byte);
        } else {
            text.push(b'%');
            let digits = if upper { hex::encode_upper([*byte]) } else { hex::encode([*byte]) };
            text.extend_from_slice(digits.as_bytes());
        }
    }
    text
}

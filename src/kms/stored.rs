//! What an API server has put into etcd: whether it is encrypted, by which provider and with which key.
//!
//! Source: `pkg/server/options/encryptionconfig/config.go` and `pkg/storage/value/encrypt/envelope/kmsv2` of
//! `k8s.io/apiserver`. What it never does: copy a value, or any part of one that is not named here.

const ENCRYPTED: &[u8] = b"k8s:enc:";
/// How an API server begins what it writes as protobuf.
const PROTOBUF: &[u8] = b"k8s\0";
/// Names of providers and keys are shown no longer than this.
const SHOWN_MAX_BYTES: usize = 1024;

/// How something is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stored {
    /// Everybody who reads etcd reads it.
    ClearText,
    /// By a provider of the EncryptionConfiguration.
    Encrypted {
        /// `kms v2`, `aescbc`, …
        provider: String,
        /// Name of the provider (kms) or of its key.
        name: String,
        /// The key id, of kms v2.
        key_id: String,
    },
    /// Nothing that an API server writes.
    Unknown,
}

impl Stored {
    /// Looks at a value.
    pub fn of(value: &[u8]) -> Self {
        let Some(rest) = value.strip_prefix(ENCRYPTED) else {
            let is_clear = value.starts_with(PROTOBUF) || value.first() == Some(&b'{');
            return if is_clear { Self::ClearText } else { Self::Unknown };
        };
        // PROVIDER:VERSION:NAME:
        let mut parts = rest.splitn(4, |byte| *byte == b':');
        let mut text = || parts.next().and_then(shown);
        let (Some(provider), Some(version), Some(name)) = (text(), text(), text()) else { return Self::Unknown };
        let Some(sealed) = parts.next() else { return Self::Unknown };
        if provider != "kms" {
            return Self::Encrypted { provider, name, key_id: String::new() };
        }
        let mut key_id = String::new();
        if version == "v2" {
            let Some(found) = field(sealed, KEY_ID_FIELD).and_then(shown) else { return Self::Unknown };
            key_id = found;
        }
        Self::Encrypted { provider: format!("kms {version}"), name, key_id }
    }

    /// Whether it is what it should be.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted { .. })
    }
}

/// `keyID` of `EncryptedObject`.
const KEY_ID_FIELD: u64 = 2;

fn shown(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= SHOWN_MAX_BYTES)?;
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// The first length-delimited field of this number in a protobuf message.
pub(super) fn field(mut message: &[u8], number: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => message = message.get(8..)?,
            5 => message = message.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                if tag >> 3 == number {
                    return Some(value);
                }
                message = rest;
            }
            _ => return None,
        }
    }
    None
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encrypted(provider: &str, name: &str, key_id: &str) -> Stored {
        Stored::Encrypted { provider: provider.into(), name: name.into(), key_id: key_id.into() }
    }

    #[test]
    fn every_provider_is_told_from_clear_text() {
        let v2 = b"k8s:enc:kms:v2:strongroom:\x0a\x03abc\x12\x05sr1:1\x1a\x01z";
        assert_eq!(Stored::of(v2), encrypted("kms v2", "strongroom", "sr1:1"));
        assert_eq!(Stored::of(b"k8s:enc:kms:v1:old:\0\x03"), encrypted("kms v1", "old", ""));
        for provider in ["aescbc", "aesgcm", "secretbox"] {
            let value = format!("k8s:enc:{provider}:v1:key1:\u{1}\u{2}:");
            assert_eq!(Stored::of(value.as_bytes()), encrypted(provider, "key1", ""));
        }
        assert_eq!(Stored::of(b"k8s\0\x0a\x0c"), Stored::ClearText);
        assert_eq!(Stored::of(b"{\"kind\":\"Secret\"}"), Stored::ClearText);
    }

    #[test]
    fn what_an_api_server_does_not_write_is_unknown() {
        for value in [
            &b""[..],
            b"hello",
            b"k8s:enc:",
            b"k8s:enc:kms:v2:name",
            b"k8s:enc:kms:v2:name:",
            b"k8s:enc:kms:v2:name:\x0a\x7f",
            b"k8s:enc:kms:v2:name:\x12\x01\x07",
            b"k8s:enc:aescbc:v1:a\x1bb:x",
            b"k8s:enc:kms:v2:name:\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(Stored::of(value), Stored::Unknown, "{value:?}");
        }
        let long = [b"k8s:enc:aesgcm:v1:".as_slice(), &[b'a'; 1025], b":x"].concat();
        assert_eq!(Stored::of(&long), Stored::Unknown);
    }
}

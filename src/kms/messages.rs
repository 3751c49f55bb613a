//! The messages of `v2.KeyManagementService`. Those that hold a plaintext are wiped when dropped and show nothing of it.

use std::collections::HashMap;
use std::fmt;

use prost::Message;
use zeroize::Zeroize as _;

/// Asks how the plugin is.
#[derive(Clone, PartialEq, Message)]
pub struct StatusRequest {}

/// How the plugin is.
#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {
    /// `v2`
    #[prost(string, tag = "1")]
    pub version: String,
    /// `ok`, or what is wrong.
    #[prost(string, tag = "2")]
    pub healthz: String,
    /// The key id that is encrypted with now; shorter than 1 KiB, and never empty.
    #[prost(string, tag = "3")]
    pub key_id: String,
}

/// Asks to encrypt.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct EncryptRequest {
    /// What to encrypt.
    #[prost(bytes = "vec", tag = "1")]
    pub plaintext: Vec<u8>,
    /// What the API server calls the request.
    #[prost(string, tag = "2")]
    pub uid: String,
}

/// What it has become.
#[derive(Clone, PartialEq, Message)]
pub struct EncryptResponse {
    /// Shorter than 1 KiB, and never empty.
    #[prost(bytes = "vec", tag = "1")]
    pub ciphertext: Vec<u8>,
    /// What it was encrypted with.
    #[prost(string, tag = "2")]
    pub key_id: String,
    /// Stored beside it in clear text; empty.
    #[prost(map = "string, bytes", tag = "3")]
    pub annotations: HashMap<String, Vec<u8>>,
}

/// Asks to decrypt.
#[derive(Clone, PartialEq, Message)]
pub struct DecryptRequest {
    /// What to decrypt.
    #[prost(bytes = "vec", tag = "1")]
    pub ciphertext: Vec<u8>,
    /// What the API server calls the request.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// What it was encrypted with.
    #[prost(string, tag = "3")]
    pub key_id: String,
    /// What was stored beside it.
    #[prost(map = "string, bytes", tag = "4")]
    pub annotations: HashMap<String, Vec<u8>>,
}

/// What it was.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct DecryptResponse {
    /// What was encrypted.
    #[prost(bytes = "vec", tag = "1")]
    pub plaintext: Vec<u8>,
}

impl fmt::Debug for EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptRequest").field("uid", &self.uid).finish_non_exhaustive()
    }
}

impl fmt::Debug for DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptResponse")
    }
}

impl Drop for EncryptRequest {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Drop for DecryptResponse {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_interface() {
        let status = StatusResponse { version: "v2".into(), healthz: "ok".into(), key_id: "k".into() };
        assert_eq!(status.encode_to_vec(), b"\x0a\x02v2\x12\x02ok\x1a\x01k");
        let request = DecryptRequest {
            ciphertext: vec![1, 2],
            uid: "u".into(),
            key_id: "k".into(),
            annotations: HashMap::from([("a".to_owned(), vec![9])]),
        };
        assert_eq!(request.encode_to_vec(), b"\x0a\x02\x01\x02\x12\x01u\x1a\x01k\x22\x06\x0a\x01a\x12\x01\x09");
        let request = EncryptRequest::decode(&b"\x0a\x01p\x12\x01u"[..]).unwrap();
        assert_eq!((request.plaintext.as_slice(), request.uid.as_str()), (&b"p"[..], "u"));
        let response = EncryptResponse { ciphertext: vec![1], key_id: "k".into(), annotations: HashMap::new() };
        assert_eq!(response.encode_to_vec(), b"\x0a\x01\x01\x12\x01k");
        assert_eq!(DecryptResponse { plaintext: vec![7] }.encode_to_vec(), b"\x0a\x01\x07");
    }

    #[test]
    fn no_plaintext_is_shown() {
        let request = EncryptRequest { plaintext: b"hunter2".to_vec(), uid: "u".into() };
        assert!(!format!("{request:?}").contains("104"), "{request:?}");
        let response = DecryptResponse { plaintext: b"hunter2".to_vec() };
        assert_eq!(format!("{response:?}"), "DecryptResponse");
    }
}

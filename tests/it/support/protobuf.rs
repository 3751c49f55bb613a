//! Kubernetes' protobuf bodies, written by hand from the published field numbers.

/// A `v1` Secret in its envelope.
pub fn secret(name: &str, data: &[(&str, &[u8])]) -> Vec<u8> {
    let mut message = field(1, &field(1, name.as_bytes()));
    for (key, value) in data {
        message.extend(field(2, &[field(1, key.as_bytes()), field(2, value)].concat()));
    }
    envelope("v1", "Secret", &message)
}

/// The envelope around a message: `k8s\0`, then type, content and two empty encodings.
pub fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &meta), field(2, message), field(3, b""), field(4, b"")].concat()
}

/// A field of length and bytes.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut left = bytes.len();
    while left > 0x7f {
        out.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
        left >>= 7;
    }
    out.push(u8::try_from(left).unwrap());
    out.extend_from_slice(bytes);
    out
}

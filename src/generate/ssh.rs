//! SSH keys: Ed25519 (RFC 8709), written as `ssh-keygen` writes them without a passphrase (`PROTOCOL.key` of OpenSSH).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{NoRandomness, Random};
use crate::sensitive::{SecretBuffer, SecretBytes};

const ALGORITHM: &[u8] = b"ssh-ed25519";
const LINE_CHARS: usize = 70;
const BLOCK_BYTES: usize = 8;

/// A key pair.
pub struct SshKey {
    /// PEM, `OPENSSH PRIVATE KEY`.
    pub private: SecretBytes,
    /// One line of an `authorized_keys` file.
    pub public: String,
}

/// A new key. The comment is a word of the owner's, and stands in both parts.
#[expect(clippy::disallowed_methods, reason = "the private part is written in another form, still as a secret")]
pub fn ssh_key(comment: &str, random: Random<'_>) -> Result<SshKey, NoRandomness> {
    let mut seed = Zeroizing::new([0; 32]);
    random(seed.as_mut_slice())?;
    let mut check = [0; 4];
    random(&mut check)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| NoRandomness)?;
    let public = pair.public_key().as_ref();

    let mut public_blob = SecretBuffer::default();
    string(&mut public_blob, ALGORITHM);
    string(&mut public_blob, public);
    let public_blob = public_blob.take();

    let mut private = SecretBuffer::with_capacity(256 + comment.len());
    private.extend(&check);
    private.extend(&check);
    string(&mut private, ALGORITHM);
    string(&mut private, public);
    number(&mut private, seed.len() + public.len());
    private.extend(seed.as_slice());
    private.extend(public);
    string(&mut private, comment.as_bytes());
    let mut padding = 1;
    while !private.len().is_multiple_of(BLOCK_BYTES) {
        private.extend(&[padding]);
        padding += 1;
    }

    let mut whole = SecretBuffer::with_capacity(512 + comment.len());
    whole.extend(b"openssh-key-v1\0");
    string(&mut whole, b"none");
    string(&mut whole, b"none");
    string(&mut whole, b"");
    number(&mut whole, 1);
    string(&mut whole, public_blob.expose());
    string(&mut whole, private.take().expose());
    let encoded = Zeroizing::new(STANDARD.encode(whole.take().expose()));
    let mut pem = SecretBuffer::with_capacity(encoded.len() + 128);
    pem.push_str("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for line in encoded.as_bytes().chunks(LINE_CHARS) {
        pem.extend(line);
        pem.push('\n');
    }
    pem.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    let public = format!("ssh-ed25519 {} {comment}\n", STANDARD.encode(public_blob.expose()));
    Ok(SshKey { private: pem.take(), public })
}

/// RFC 4251, 5: `string`.
fn string(out: &mut SecretBuffer, bytes: &[u8]) {
    number(out, bytes.len());
    out.extend(bytes);
}

/// RFC 4251, 5: `uint32`. Nothing here is that long.
fn number(out: &mut SecretBuffer, number: usize) {
    out.extend(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it made")]
    fn the_public_part_is_the_one_of_the_private_part() {
        // RFC 8032, 7.1, test 1.
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let mut random = |bytes: &mut [u8]| {
            bytes.copy_from_slice(&seed[..bytes.len()]);
            Ok(())
        };
        let key = ssh_key("prod/deploy", &mut random).unwrap();
        let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        blob.extend(hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap());
        assert_eq!(key.public, format!("ssh-ed25519 {} prod/deploy\n", STANDARD.encode(&blob)));
        let text = std::str::from_utf8(key.private.expose()).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let whole = STANDARD.decode(body).unwrap();
        assert!(whole.starts_with(b"openssh-key-v1\0"));
        assert!(whole.windows(32).any(|window| window == seed));
        assert!(whole.windows(15).any(|window| window == b"\0\0\0\x0bprod/deploy"));
    }
}

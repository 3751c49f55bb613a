//! JSON Web Tokens as others make them, right and wrong. Keys come from OpenSSL.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::clients;

/// A key that signs tokens.
pub struct Key {
    /// What tokens call it.
    pub kid: &'static str,
    pub algorithm: Algorithm,
    encoding: EncodingKey,
}

impl Key {
    /// RS256, of 2048 bits.
    pub fn rsa(kid: &'static str) -> Self {
        let pem = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], b"");
        let der = openssl(&["rsa", "-traditional", "-outform", "DER"], &pem);
        Self { kid, algorithm: Algorithm::RS256, encoding: EncodingKey::from_rsa_der(&der) }
    }

    /// ES256.
    pub fn p256(kid: &'static str) -> Self {
        let arguments = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER"];
        Self { kid, algorithm: Algorithm::ES256, encoding: EncodingKey::from_ec_der(&openssl(&arguments, b"")) }
    }

    /// EdDSA.
    pub fn ed25519(kid: &'static str) -> Self {
        let der = openssl(&["genpkey", "-algorithm", "ED25519", "-outform", "DER"], b"");
        Self { kid, algorithm: Algorithm::EdDSA, encoding: EncodingKey::from_ed_der(&der) }
    }

    /// The public half, as a key set has it.
    pub fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.encoding, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = self.kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The usual header.
    pub fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.kid})
    }

    /// A token with the usual header.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// A token of these texts, which need not be what they should.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_as(header, claims, self.algorithm)
    }

    /// The same with another algorithm of the same family.
    pub fn sign_as(&self, header: &str, claims: &str, algorithm: Algorithm) -> String {
        signed(header, claims, &self.encoding, algorithm)
    }
}

/// A token whose signature is a MAC under `secret`.
pub fn hmac(header: &str, claims: &str, secret: &[u8]) -> String {
    signed(header, claims, &EncodingKey::from_secret(secret), Algorithm::HS256)
}

fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

pub fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Header, claims and the signature as it stands.
pub fn parts(token: &str) -> (Value, Value, String) {
    let mut segments = token.split('.');
    let mut next = || segments.next().unwrap();
    let read = |segment: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap();
    (read(next()), read(next()), next().to_owned())
}

/// Runs OpenSSL; what it printed.
pub fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = clients::run(command.args(arguments).stdin(Stdio::piped()), input, std::time::Duration::from_mins(1));
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

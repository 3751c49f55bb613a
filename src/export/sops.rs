//! SOPS files: manifests in which every value is encrypted, and the key of the values to age recipients.
//!
//! Several Secrets are several documents with one data key, one MAC over all of them and the same `sops` field in each,
//! as SOPS itself writes them. What the MAC covers is the leaves in their order, so they are visited as they are written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroize as _;

use super::primitives::{Key, TAG_BYTES, gcm32_seal};
use super::{ExportError, Format, Options, Random, SecretDocument, age};
use crate::clock::rfc3339;
use crate::codec::yaml;
use crate::sensitive::{Document, SecretBuffer, SecretBytes};

/// The release of SOPS whose format this is.
const VERSION: &str = "3.9.0";
/// What is encrypted: everything below a field of one of these names.
const ENCRYPTED_REGEX: &str = "^(data|stringData)$";
pub(super) const NONCE_BYTES: usize = 32;

pub(super) fn render(
    secrets: &[SecretDocument],
    options: &Options<'_>,
    random: Random<'_>,
) -> Result<SecretBytes, ExportError> {
    if options.recipients.is_empty() {
        return Err(ExportError::Needs { format: Format::Sops, what: "an age recipient" });
    }
    let mut data_key = Key::default();
    random(data_key.as_mut())?;
    let mut sealing = Sealing { data_key: &data_key, random, mac: Mac::new(false) };
    let mut documents: Vec<Document> = Vec::with_capacity(secrets.len());
    for secret in secrets {
        let mut manifest = secret.manifest(options.string_data);
        if has_field_of_ours(&manifest) {
            let reason = "it has a field `sops`";
            return Err(ExportError::NotHeld { format: Format::Sops, secret: secret.title(), reason });
        }
        sealing.document(&mut manifest)?;
        documents.push(manifest);
    }
    let time = rfc3339(options.now_seconds);
    let mac = sealing.mac.text();
    let mac = seal(&data_key, mac, &time, sealing.random)?;
    let mut recipients = Vec::with_capacity(options.recipients.len());
    for recipient in options.recipients {
        let wrapped = age::encrypt(data_key.as_ref(), recipient, sealing.random)?;
        recipients.push(json!({"recipient": recipient.to_string(), "enc": wrapped}));
    }
    let metadata = json!({"sops": {
        "age": recipients,
        "encrypted_regex": ENCRYPTED_REGEX,
        "lastmodified": time,
        "mac": mac,
        "version": VERSION,
    }});

    let mut out = SecretBuffer::default();
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        write(&mut out, document);
        yaml::write(&mut out, &metadata);
    }
    Ok(out.take())
}

#[expect(clippy::disallowed_methods, reason = "the values in it are encrypted by now")]
fn write(out: &mut SecretBuffer, document: &Document) {
    yaml::write(out, document.expose());
}

/// SOPS takes a field of this name for its own.
#[expect(clippy::disallowed_methods, reason = "only the names of fields are looked at")]
fn has_field_of_ours(document: &Document) -> bool {
    document.expose().get("sops").is_some()
}

struct Sealing<'a> {
    data_key: &'a Key,
    random: Random<'a>,
    mac: Mac,
}

impl Sealing<'_> {
    #[expect(clippy::disallowed_methods, reason = "values are encrypted where they stand")]
    fn document(&mut self, document: &mut Document) -> Result<(), ExportError> {
        match document.expose_mut() {
            Value::Object(fields) => self.fields(fields, &mut String::new(), false),
            _ => Ok(()),
        }
    }

    /// `path` is what stands before these fields: their names, each with a colon behind it.
    fn fields(&mut self, fields: &mut Map<String, Value>, path: &mut String, within: bool) -> Result<(), ExportError> {
        let names: Vec<String> = yaml::in_order(fields).into_iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(value) = fields.get_mut(&name) else { continue };
            let encrypted = within || matches!(name.as_str(), "data" | "stringData");
            let before = path.len();
            path.push_str(&name);
            path.push(':');
            match value {
                Value::Object(fields) => self.fields(fields, path, encrypted)?,
                Value::String(text) => {
                    self.mac.add(text.as_bytes(), encrypted);
                    if encrypted {
                        *text = seal(self.data_key, std::mem::take(text), path, self.random)?;
                    }
                }
                Value::Bool(flag) => self.mac.add(flag_text(*flag).as_bytes(), encrypted),
                // A manifest has nothing else.
                Value::Array(_) | Value::Number(_) | Value::Null => {}
            }
            path.truncate(before);
        }
        Ok(())
    }
}

/// A boolean as SOPS hashes it.
pub(super) fn flag_text(flag: bool) -> &'static str {
    if flag { "True" } else { "False" }
}

/// `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]`. Empty text stays empty.
fn seal(data_key: &Key, text: String, path: &str, random: Random<'_>) -> Result<String, ExportError> {
    if text.is_empty() {
        return Ok(text);
    }
    let mut bytes = text.into_bytes();
    let mut nonce = [0; NONCE_BYTES];
    let sealed = random(&mut nonce)
        .map_err(ExportError::from)
        .and_then(|()| gcm32_seal(data_key, &nonce, path.as_bytes(), &mut bytes).ok_or(ExportError::Encryption));
    let tag: [u8; TAG_BYTES] = sealed.inspect_err(|_| bytes.zeroize())?;
    Ok(format!(
        "ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]",
        STANDARD.encode(&bytes),
        STANDARD.encode(nonce),
        STANDARD.encode(tag)
    ))
}

/// SHA-512 over the leaves.
pub(super) struct Mac {
    context: aws_lc_rs::digest::Context,
    encrypted_only: bool,
}

impl Mac {
    /// `encrypted_only` is SOPS' `mac_only_encrypted`.
    pub(super) fn new(encrypted_only: bool) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA512);
        if encrypted_only {
            // So that the two kinds of MAC never agree.
            context.update(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"sops").as_ref());
        }
        Self { context, encrypted_only }
    }

    pub(super) fn add(&mut self, leaf: &[u8], encrypted: bool) {
        if encrypted || !self.encrypted_only {
            self.context.update(leaf);
        }
    }

    /// In upper-case hexadecimal.
    pub(super) fn text(self) -> String {
        hex::encode_upper(self.context.finish().as_ref())
    }
}

//! How a command on this machine unseals the running server, and waits until it is open.
//!
//! What it never does: send a secret to a server that is not the one that owns the home, or to one that is not sealed.

use std::path::Path;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::api::{SEAL_STATUS_PATH, SealState, SealStatus, UNSEAL_PATH};
use crate::sensitive::{Document, SecretBytes};

use super::ServeError;
use super::client::LocalServer;
use super::private_files::{Access, read_secret};
use super::unlock;

/// An attempt takes as long as the passphrase's cost says, a second or more.
const TIMEOUT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of looks, that are no reason to give up.
const FAILURES: u32 = 20;
/// Of a file that holds an unlock secret.
const SECRET_MAX_BYTES: usize = 4096;

/// What is to unseal a home.
pub enum Secret {
    /// What a person chose.
    Passphrase(SecretBytes),
    /// 32 bytes.
    Key(SecretBytes),
    /// A recovery key, as it was written down.
    RecoveryKey(SecretBytes),
}

impl Secret {
    /// The passphrase in a file that nobody else may read.
    pub fn passphrase_file(path: &Path) -> Result<Self, ServeError> {
        Ok(Self::Passphrase(unlock::read_passphrase(path)?))
    }

    /// The key in such a file.
    pub fn key_file(path: &Path) -> Result<Self, ServeError> {
        Ok(Self::Key(unlock::read_key(path)?))
    }

    /// The recovery key in such a file.
    pub fn recovery_key_file(path: &Path) -> Result<Self, ServeError> {
        Ok(Self::RecoveryKey(read_secret(path, Access::OwnerOnly, SECRET_MAX_BYTES)?))
    }

    /// As it is sent. A secret that is no text is no passphrase that JSON could carry.
    #[expect(clippy::disallowed_methods, reason = "the secret goes into a body that is wiped")]
    fn body(&self, slot: Option<u32>) -> Option<SecretBytes> {
        let text = |secret: &SecretBytes| String::from_utf8(secret.expose().to_vec()).ok();
        let (name, value) = match self {
            Self::Passphrase(passphrase) => ("passphrase", text(passphrase)?),
            Self::Key(key) => ("key", STANDARD.encode(key.expose())),
            Self::RecoveryKey(key) => ("recoveryKey", text(key)?),
        };
        let mut fields = json!({});
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.to_owned(), value.into());
            if let Some(slot) = slot {
                fields.insert("slot".to_owned(), slot.into());
            }
        }
        let fields = Document::new(fields);
        // Room for the whole, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 * SECRET_MAX_BYTES));
        serde_json::to_writer(&mut *bytes, fields.expose()).ok()?;
        Some(SecretBytes::new(std::mem::take(&mut *bytes)))
    }
}

/// What the server tells of its state.
#[expect(clippy::disallowed_methods, reason = "the state is told to everybody")]
pub fn seal_status(server: &LocalServer) -> Result<SealStatus, ServeError> {
    let answer = server.get(SEAL_STATUS_PATH, TIMEOUT)?;
    let told = serde_json::from_slice(answer.body.expose()).ok();
    told.as_ref().and_then(SealStatus::of_json).ok_or(ServeError::NoSealStatus(answer.code))
}

/// Unseals the server, and waits until it is open: how it is then.
#[expect(clippy::disallowed_methods, reason = "a Status says what went wrong, nothing secret")]
pub fn unseal(server: &LocalServer, secret: &Secret, slot: Option<u32>) -> Result<SealStatus, ServeError> {
    let body = secret.body(slot).ok_or(ServeError::NotText)?;
    let answer = server.post_json(UNSEAL_PATH, &body, TIMEOUT)?;
    if answer.code != 200 {
        let told: Value = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
        let message = told.get("message").and_then(Value::as_str).unwrap_or("the server's log says why").to_owned();
        let wait = told.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
        return Err(ServeError::NotUnsealed(match wait {
            Some(seconds) => format!("{message} (in {seconds} s)"),
            None => message,
        }));
    }
    let mut failures_left = FAILURES;
    loop {
        let now = match seal_status(server) {
            // A connection may end with the application that it led to.
            Err(_) if failures_left > 0 => {
                failures_left -= 1;
                thread::sleep(LOOK_EVERY);
                continue;
            }
            other => other?,
        };
        match now.state {
            SealState::Ready | SealState::ReadOnly => return Ok(now),
            SealState::Sealed => return Err(ServeError::NotUnsealed(now.why)),
            SealState::Unsealing | SealState::Verifying => thread::sleep(LOOK_EVERY),
        }
    }
}

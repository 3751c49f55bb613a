//! Where tokens lie between two commands: one file per server, authority and user, 0600 in a folder of 0700.
//!
//! A file is read and replaced only under its lock, so that two kubectl at the same time do not both spend the same
//! refresh token, which would end the session. The lock is the operating system's: a killed process leaves nothing
//! behind that has to be cleaned up.
//!
//! What it never does: keep a lock while a person is asked.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tokens::{Tokens, text, token};
use crate::cli::CliError;
use crate::cli::connection::{body, certificates, document};
use crate::config::connection::credential_directory;
use crate::config::{Environment, ServerUrl};
use crate::pki::encode_certificate;
use crate::sensitive::{Document, SecretBytes};
use crate::server::private_files::{Access, SECRET_FILE_MAX_BYTES, make_directory, read_secret, replace};

/// Whose tokens, and for which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The server.
    pub server: ServerUrl,
    /// The certificates by which it is known, DER.
    pub trust: Vec<Vec<u8>>,
    /// The user.
    pub user: String,
}

impl SessionKey {
    /// SHA-256 over the certificates, in hexadecimal digits.
    pub fn trust_digest(&self) -> String {
        let mut digest = Sha256::new();
        self.trust.iter().for_each(|certificate| digest.update(certificate));
        hex::encode(digest.finalize())
    }

    /// SHA-256 over server, authority and user, none of which can hold the byte between them.
    fn file_stem(&self) -> String {
        let whole = [self.server.to_string(), self.trust_digest(), self.user.clone()].join("\0");
        hex::encode(Sha256::digest(whole))
    }
}

/// The folder.
pub struct Cache(PathBuf);

/// One file, while nobody else may touch it.
pub struct Locked {
    key: SessionKey,
    path: PathBuf,
    _lock: File,
}

/// What a file holds.
struct Cached {
    key: SessionKey,
    tokens: Tokens,
}

impl Cache {
    /// The folder of this user, made where it is missing.
    pub fn open(environment: &Environment) -> Result<Self, CliError> {
        let directory = credential_directory(environment).ok_or_else(|| {
            CliError::NotDone("tokens cannot be kept: neither HOME nor XDG_CACHE_HOME is set".to_owned())
        })?;
        Self::in_directory(directory)
    }

    fn in_directory(directory: PathBuf) -> Result<Self, CliError> {
        make_directory(&directory, || true)?;
        Ok(Self(directory))
    }

    /// Waits until nobody else has the file. Whoever has it holds it for one exchange with the server, which is bounded.
    pub fn lock(&self, key: &SessionKey) -> Result<Locked, CliError> {
        let at = |ending: &str| self.0.join(format!("{}.{ending}", key.file_stem()));
        let path = at("lock");
        let fail = |error| CliError::NotDone(format!("{}: {error}", path.display()));
        // Beside the file, which is replaced, and never removed: somebody may be waiting for it.
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(fail)?;
        lock.lock().map_err(fail)?;
        Ok(Locked { key: key.clone(), path: at("json"), _lock: lock })
    }

    /// Whose tokens there are.
    pub fn keys(&self) -> Result<Vec<SessionKey>, CliError> {
        let entries = std::fs::read_dir(&self.0);
        let entries = entries.map_err(|error| CliError::NotDone(format!("{}: {error}", self.0.display())))?;
        let files = entries.flatten().map(|entry| entry.path());
        let mut keys: Vec<SessionKey> = files
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .filter_map(|path| read(&path).ok().flatten().map(|cached| cached.key))
            .collect();
        keys.sort_by_key(|key| (key.server.to_string(), key.user.clone()));
        Ok(keys)
    }
}

impl Locked {
    /// The tokens, if there are any. What cannot be understood is none: signing in replaces it.
    pub fn load(&self) -> Result<Option<Tokens>, CliError> {
        Ok(read(&self.path)?.filter(|cached| cached.key == self.key).map(|cached| cached.tokens))
    }

    /// Puts tokens in the place of those before.
    pub fn store(&self, tokens: &Tokens) -> Result<(), CliError> {
        let authority: String = self.key.trust.iter().map(|certificate| encode_certificate(certificate)).collect();
        let object = Document::new(json!({
            "server": self.key.server.to_string(),
            "certificateAuthority": authority,
            "user": self.key.user,
            "accessToken": text(&tokens.access)?,
            "accessEndsUnixSeconds": tokens.access_ends,
            "refreshToken": text(&tokens.refresh)?,
            "refreshEndsUnixSeconds": tokens.refresh_ends,
        }));
        write(&self.path, &body(&object))
    }

    /// Takes the tokens away.
    pub fn remove(&self) -> Result<(), CliError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CliError::NotDone(format!("{}: {error}", self.path.display())))
            }
            _ => Ok(()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the tokens go into their file, mode 0600")]
fn write(path: &Path, bytes: &SecretBytes) -> Result<(), CliError> {
    Ok(replace(path, bytes.expose())?)
}

fn read(path: &Path) -> Result<Option<Cached>, CliError> {
    match read_secret(path, Access::OwnerOnly, SECRET_FILE_MAX_BYTES) {
        Ok(bytes) => Ok(document(&bytes).and_then(|object| parse(&object))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the tokens move into secrets of their own")]
fn parse(object: &Document) -> Option<Cached> {
    let object = object.expose();
    let field = |name: &str| object.get(name).and_then(Value::as_str);
    let ends = |name: &str| object.get(name).and_then(Value::as_i64);
    let authority = SecretBytes::new(field("certificateAuthority")?.as_bytes().to_vec());
    let key = SessionKey {
        server: ServerUrl::parse("server", field("server")?).ok()?,
        trust: certificates(&authority),
        user: field("user")?.to_owned(),
    };
    let tokens = Tokens {
        access: token(object.get("accessToken")?)?,
        access_ends: ends("accessEndsUnixSeconds")?,
        refresh: token(object.get("refreshToken")?)?,
        refresh_ends: ends("refreshEndsUnixSeconds")?,
    };
    Some(Cached { key, tokens })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at the tokens they planted")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::pki::make_authority;

    fn key(user: &str) -> SessionKey {
        let authority = make_authority(1_790_000_000).unwrap();
        let server = ServerUrl::parse("server", "https://h:1").unwrap();
        SessionKey { server, trust: vec![authority.certificate], user: user.to_owned() }
    }

    fn tokens(name: &str) -> Tokens {
        let token = |kind: &str| SecretBytes::new(format!("{kind}-{name}").into_bytes());
        Tokens { access: token("access"), access_ends: 1, refresh: token("refresh"), refresh_ends: 2 }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn tokens_are_kept_private_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("a/b");
        let cache = Cache::in_directory(folder.clone()).unwrap();
        let ada = key("ada");
        {
            let locked = cache.lock(&ada).unwrap();
            assert!(locked.load().unwrap().is_none());
            locked.store(&tokens("one")).unwrap();
            locked.store(&tokens("two")).unwrap();
        }
        assert_eq!(mode(&folder), 0o700);
        for entry in std::fs::read_dir(&folder).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
        let locked = cache.lock(&ada).unwrap();
        let found = locked.load().unwrap().unwrap();
        assert_eq!((found.access.expose(), found.access_ends), (&b"access-two"[..], 1));
        assert_eq!((found.refresh.expose(), found.refresh_ends), (&b"refresh-two"[..], 2));
        assert_eq!(cache.keys().unwrap(), std::slice::from_ref(&ada));
        locked.remove().unwrap();
        locked.remove().unwrap();
        assert!(locked.load().unwrap().is_none() && cache.keys().unwrap().is_empty());
    }

    #[test]
    fn each_server_authority_and_user_has_a_file_of_its_own() {
        let ada = key("ada");
        let others = [
            SessionKey { user: "eve".into(), ..ada.clone() },
            SessionKey { trust: key("ada").trust, ..ada.clone() },
            SessionKey { server: ServerUrl::parse("server", "https://h:2").unwrap(), ..ada.clone() },
        ];
        assert!(others.iter().all(|other| other.file_stem() != ada.file_stem()));
    }

    #[test]
    fn a_file_that_is_damaged_or_of_somebody_else_holds_no_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::in_directory(directory.path().join("c")).unwrap();
        let (ada, eve) = (key("ada"), key("eve"));
        let locked = cache.lock(&ada).unwrap();
        locked.store(&tokens("one")).unwrap();
        let whole = std::fs::read(&locked.path).unwrap();
        replace(&locked.path, &whole[..whole.len() / 2]).unwrap();
        assert!(locked.load().unwrap().is_none());
        let of_eve = cache.lock(&eve).unwrap();
        replace(&of_eve.path, &whole).unwrap();
        assert!(of_eve.load().unwrap().is_none());
    }

    #[test]
    fn a_file_that_others_could_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::in_directory(directory.path().join("c")).unwrap();
        let locked = cache.lock(&key("ada")).unwrap();
        locked.store(&tokens("one")).unwrap();
        std::fs::set_permissions(&locked.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(locked.load(), Err(CliError::File(_))));
    }

    #[test]
    fn nobody_else_gets_the_file_while_it_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::in_directory(directory.path().join("c")).unwrap();
        let ada = key("ada");
        let locked = cache.lock(&ada).unwrap();
        let beside = OpenOptions::new().read(true).open(locked.path.with_extension("lock")).unwrap();
        assert!(beside.try_lock().is_err());
        drop(cache.lock(&key("eve")).unwrap());
        drop(locked);
        assert!(beside.try_lock().is_ok());
    }
}

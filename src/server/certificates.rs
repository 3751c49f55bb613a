//! Which certificate the server presents: one from the home's own authority, renewed in time, or the user's.
//!
//! The chain in use also lies in `tls/presented.crt`, by which commands on this machine know the server.
//!
//! What it never does: replace a working certificate by one that does not work.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::config::{HomePaths, TlsFiles};
use crate::pki::{
    Authority, CertificateFacts, Names, PkiError, encode_certificate, encode_private_key, leaf_fault, make_leaf,
    read_blocks,
};
use crate::sensitive::SecretBytes;

use super::private_files::{Access, FileError, SECRET_FILE_MAX_BYTES, read_secret, replace};
use super::tls::{ServerCertificate, TlsError, certified_key};

const RIGHTS_OF_OTHERS: u32 = 0o007;
const CHAIN_MAX_BYTES: u64 = 1024 * 1024;

/// Why there is no certificate to present.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file of the user's cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The user's key is open to everybody.
    #[error("{} may be read by every user of this machine: chmod 600 it", .0.display())]
    KeyIsOpen(PathBuf),
    /// A pair does not work.
    #[error("{}: {source}", .path.display())]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        source: TlsError,
    },
    /// The user's certificate is outside its dates.
    #[error("{}: the certificate is expired or not yet valid", .0.display())]
    Dates(PathBuf),
    /// A file of the home's.
    #[error(transparent)]
    File(#[from] FileError),
    /// A sealed server has nothing to speak TLS with.
    #[error("{}: there is no certificate that can be presented without the home's keys: start the server once unsealed", .0.display())]
    NoneYet(PathBuf),
    /// No certificate could be made.
    #[error("the server's certificate: {0}")]
    Make(#[from] PkiError),
}

/// What the server presents.
pub struct Presented {
    /// To be given to the TLS library.
    pub certificate: Arc<ServerCertificate>,
    /// What a client has to trust, PEM; `None` where that is up to the client's system.
    pub trust: Option<String>,
    /// The certificate's names.
    pub names: Names,
}

/// The certificate signed by the home's authority: the stored one where it still fits, else a new one.
pub fn present_generated(
    paths: &HomePaths,
    authority: &Authority,
    names: &Names,
    now_unix_seconds: i64,
) -> Result<Presented, CertificateError> {
    let trust = encode_certificate(&authority.certificate);
    if fs::read_to_string(paths.authority_certificate()).ok().as_ref() != Some(&trust) {
        replace(&paths.authority_certificate(), trust.as_bytes())?;
    }
    let certificate = match stored_leaf(paths, authority, names, now_unix_seconds) {
        Some(certified) => certified,
        None => renew(paths, authority, names, now_unix_seconds)?,
    };
    let certificate = with_authority(certificate, authority);
    write_presented(paths, &certificate)?;
    Ok(Presented {
        certificate: Arc::new(ServerCertificate::new(certificate)),
        trust: Some(trust),
        names: names.clone(),
    })
}

/// The certificate that was generated last, as it is: its key lies in a file, and it is renewed only once the authority's
/// key is open.
#[expect(clippy::disallowed_methods, reason = "the file holds the certificate and its key; both are parsed from it")]
pub fn present_sealed(paths: &HomePaths, names: Names) -> Result<Presented, CertificateError> {
    let none = || CertificateError::NoneYet(paths.server_pair());
    let pair = match read_secret(&paths.server_pair(), Access::OwnerOnly, SECRET_FILE_MAX_BYTES) {
        Err(error) if error.is_not_found() => return Err(none()),
        other => other?,
    };
    let trust = fs::read_to_string(paths.authority_certificate()).ok();
    let mut certified = certified_key(pair.expose(), &pair).map_err(|_| none())?;
    for authority in read_blocks(trust.as_deref().unwrap_or_default().as_bytes()).iter().take(1) {
        certified.cert.push(CertificateDer::from(authority.bytes.expose().to_vec()));
    }
    write_presented(paths, &certified)?;
    Ok(Presented { certificate: Arc::new(ServerCertificate::new(certified)), trust, names })
}

/// Replaces the generated certificate while the server runs, if it is time. Says whether it did.
pub fn renew_generated(
    paths: &HomePaths,
    authority: &Authority,
    presented: &Presented,
    now_unix_seconds: i64,
) -> Result<bool, CertificateError> {
    if stored_leaf(paths, authority, &presented.names, now_unix_seconds).is_some() {
        return Ok(false);
    }
    let certificate = with_authority(renew(paths, authority, &presented.names, now_unix_seconds)?, authority);
    write_presented(paths, &certificate)?;
    presented.certificate.replace(certificate);
    Ok(true)
}

/// The user's certificate, and when its files last changed.
pub struct OwnCertificate {
    files: TlsFiles,
    seen: Mutex<Option<[Stamp; 2]>>,
}

type Stamp = (SystemTime, u64, u64);

impl OwnCertificate {
    /// Reads and checks it.
    pub fn present(
        files: TlsFiles,
        paths: &HomePaths,
        now_unix_seconds: i64,
    ) -> Result<(Self, Presented), CertificateError> {
        let seen = Mutex::new(stamps(&files));
        let own = read_own(&files, now_unix_seconds)?;
        write_presented(paths, &own.certified)?;
        let certificate = Arc::new(ServerCertificate::new(own.certified));
        Ok((Self { files, seen }, Presented { certificate, trust: own.trust, names: own.names }))
    }

    /// Reads it again if a file changed, or anyway. On an error the old one stays. Says whether it was replaced.
    pub fn reload(
        &self,
        paths: &HomePaths,
        presented: &Presented,
        anyway: bool,
        now_unix_seconds: i64,
    ) -> Result<bool, CertificateError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.files);
        if !anyway && *seen == now {
            return Ok(false);
        }
        // Remembered before it is read, so that one bad state is reported once.
        *seen = now;
        let own = read_own(&self.files, now_unix_seconds)?;
        write_presented(paths, &own.certified)?;
        presented.certificate.replace(own.certified);
        Ok(true)
    }
}

struct Own {
    certified: CertifiedKey,
    trust: Option<String>,
    names: Names,
}

#[expect(clippy::disallowed_methods, reason = "certificates are public; blocks are secret because they may be keys")]
fn read_own(files: &TlsFiles, now_unix_seconds: i64) -> Result<Own, CertificateError> {
    let chain = read_bounded(&files.certificate)?;
    let mode = fs::metadata(&files.key).map_err(|source| CertificateError::Read { path: files.key.clone(), source })?;
    if mode.mode() & RIGHTS_OF_OTHERS != 0 {
        return Err(CertificateError::KeyIsOpen(files.key.clone()));
    }
    let key = read_bounded(&files.key)?;
    let certified = certified_key(chain.expose(), &key)
        .map_err(|source| CertificateError::Pair { path: files.certificate.clone(), source })?;
    let (Some(leaf), Some(last)) = (certified.cert.first(), certified.cert.last()) else {
        return Err(CertificateError::Pair { path: files.certificate.clone(), source: TlsError::NoCertificate });
    };
    let facts = CertificateFacts::read(leaf)?;
    if now_unix_seconds < facts.not_before || now_unix_seconds > facts.not_after {
        return Err(CertificateError::Dates(files.certificate.clone()));
    }
    // A chain that ends in its root tells clients what to trust; any other ends in what their system knows.
    let trust = CertificateFacts::read(last)?.is_self_issued().then(|| encode_certificate(last));
    Ok(Own { trust, names: facts.names, certified })
}

/// Follows links: certificate tools and Kubernetes volumes replace what a link points to.
fn read_bounded(path: &Path) -> Result<SecretBytes, CertificateError> {
    let fail = |source| CertificateError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(fail)?.len() > CHAIN_MAX_BYTES {
        return Err(fail(std::io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(path).map(SecretBytes::new).map_err(fail)
}

fn stamps(files: &TlsFiles) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    Some([stamp(&files.certificate)?, stamp(&files.key)?])
}

#[expect(clippy::disallowed_methods, reason = "the file holds the certificate and its key; both are parsed from it")]
fn stored_leaf(paths: &HomePaths, authority: &Authority, names: &Names, now_unix_seconds: i64) -> Option<CertifiedKey> {
    // A file that cannot be read or does not fit is replaced: nothing is lost by it.
    let pair = read_secret(&paths.server_pair(), Access::OwnerOnly, SECRET_FILE_MAX_BYTES).ok()?;
    let blocks = read_blocks(pair.expose());
    let leaf = blocks.iter().find(|block| block.label == "CERTIFICATE")?;
    if leaf_fault(leaf.bytes.expose(), &authority.certificate, names, now_unix_seconds).is_some() {
        return None;
    }
    certified_key(pair.expose(), &pair).ok()
}

#[expect(clippy::disallowed_methods, reason = "the new key goes into its file, mode 0600")]
fn renew(
    paths: &HomePaths,
    authority: &Authority,
    names: &Names,
    now_unix_seconds: i64,
) -> Result<CertifiedKey, CertificateError> {
    let leaf = make_leaf(authority, names, now_unix_seconds)?;
    let chain = encode_certificate(&leaf.certificate);
    let key = encode_private_key(&leaf.key);
    let certified = certified_key(chain.as_bytes(), &key)
        .map_err(|source| CertificateError::Pair { path: paths.server_pair(), source })?;
    let mut pair = zeroize::Zeroizing::new(Vec::with_capacity(chain.len() + key.len()));
    pair.extend_from_slice(chain.as_bytes());
    pair.extend_from_slice(key.expose());
    replace(&paths.server_pair(), &pair)?;
    Ok(certified)
}

/// Presents the authority too: who knows only its pin finds it there.
fn with_authority(mut certified: CertifiedKey, authority: &Authority) -> CertifiedKey {
    certified.cert.push(CertificateDer::from(authority.certificate.clone()));
    certified
}

fn write_presented(paths: &HomePaths, certified: &CertifiedKey) -> Result<(), CertificateError> {
    let chain: String = certified.cert.iter().map(|certificate| encode_certificate(certificate)).collect();
    let path = paths.presented_certificate();
    if fs::read_to_string(&path).ok().as_ref() != Some(&chain) {
        replace(&path, chain.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;

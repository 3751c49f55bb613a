//! A certificate of the user's own.

use std::path::PathBuf;

use super::{ConfigError, Environment};

/// A chain and its private key, both PEM. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that signed it.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl TlsFiles {
    pub(super) fn resolve(
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let (certificate, key) = if certificate.is_none() && key.is_none() {
            (environment.path("STRONGROOM_TLS_CERT"), environment.path("STRONGROOM_TLS_KEY"))
        } else {
            (certificate, key)
        };
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(ConfigError::new("--tls-cert", "needs --tls-key beside it")),
            (None, Some(_)) => Err(ConfigError::new("--tls-key", "needs --tls-cert beside it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key() {
        let nothing = Environment::of(&[]);
        assert!(TlsFiles::resolve(Some("c".into()), None, &nothing).is_err());
        assert!(TlsFiles::resolve(None, Some("k".into()), &nothing).is_err());
        assert_eq!(TlsFiles::resolve(None, None, &nothing).unwrap(), None);
        let both = Environment::of(&[("STRONGROOM_TLS_CERT", "/c"), ("STRONGROOM_TLS_KEY", "/k")]);
        assert_eq!(TlsFiles::resolve(None, None, &both).unwrap().unwrap().key, PathBuf::from("/k"));
        assert!(TlsFiles::resolve(Some("c".into()), None, &both).is_err(), "a pair is never mixed");
    }
}

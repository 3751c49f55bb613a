//! Whether clients may authenticate by certificate, and whose certificates count besides the home's own.
//!
//! Off by default: a server that asks for certificates makes browsers on machines that have some show a dialog.

use std::path::PathBuf;

use super::{ConfigError, Environment};

/// What is asked of clients in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    Off,
    /// A certificate, if they have one, of the home's client authority or of one of those in these PEM files.
    On {
        /// Files of outside authorities.
        authorities: Vec<PathBuf>,
    },
}

impl ClientCertificates {
    pub(super) fn resolve(
        flag: bool,
        authorities: Vec<PathBuf>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let switch = environment.switch("STRONGROOM_CLIENT_CERTIFICATES")?;
        let is_by_flag = flag || !authorities.is_empty();
        let authorities = if authorities.is_empty() {
            environment.path("STRONGROOM_CLIENT_CA").into_iter().collect()
        } else {
            authorities
        };
        match switch {
            Some(false) if !is_by_flag && !authorities.is_empty() => Err(ConfigError::new(
                "STRONGROOM_CLIENT_CERTIFICATES",
                "is off, but STRONGROOM_CLIENT_CA names an authority of client certificates: unset one of them",
            )),
            None | Some(false) if !is_by_flag && authorities.is_empty() => Ok(Self::Off),
            _ => Ok(Self::On { authorities }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flag: bool, files: &[&str], variables: &[(&str, &str)]) -> Result<ClientCertificates, ConfigError> {
        let files = files.iter().map(PathBuf::from).collect();
        ClientCertificates::resolve(flag, files, &Environment::of(variables))
    }

    fn on(files: &[&str]) -> ClientCertificates {
        ClientCertificates::On { authorities: files.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn clients_are_asked_only_where_somebody_wants_it() {
        assert_eq!(resolve(false, &[], &[]).unwrap(), ClientCertificates::Off);
        assert_eq!(resolve(true, &[], &[]).unwrap(), on(&[]));
        assert_eq!(resolve(false, &["a", "b"], &[]).unwrap(), on(&["a", "b"]));
        assert_eq!(resolve(false, &[], &[("STRONGROOM_CLIENT_CERTIFICATES", "1")]).unwrap(), on(&[]));
        assert_eq!(resolve(false, &[], &[("STRONGROOM_CLIENT_CERTIFICATES", "0")]).unwrap(), ClientCertificates::Off);
        assert_eq!(resolve(false, &[], &[("STRONGROOM_CLIENT_CA", "/a b")]).unwrap(), on(&["/a b"]));
    }

    #[test]
    fn a_flag_wins_and_variables_that_contradict_each_other_are_an_error() {
        let off = ("STRONGROOM_CLIENT_CERTIFICATES", "off");
        assert_eq!(resolve(true, &[], &[off]).unwrap(), on(&[]));
        assert_eq!(resolve(false, &["a"], &[off, ("STRONGROOM_CLIENT_CA", "b")]).unwrap(), on(&["a"]));
        assert!(resolve(false, &[], &[off, ("STRONGROOM_CLIENT_CA", "b")]).is_err());
        assert!(resolve(false, &[], &[("STRONGROOM_CLIENT_CERTIFICATES", "perhaps")]).is_err());
    }
}

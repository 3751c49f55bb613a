//! Which ways to unlock are configured. `server::unlock` says which of them is used, and reads it.
//!
//! What it never does: implement `Debug` for what may hold a passphrase, or take a passphrase from the command
//! line, which every user of the machine can read.

use std::path::{Path, PathBuf};

use super::{ConfigError, Environment, HomePaths};
use crate::sensitive::SecretBytes;

/// Where Docker and Podman put a secret of this name.
const CONTAINER_SECRET: &str = "/run/secrets/strongroom-unlock";
/// The name under which systemd hands a credential over.
const CREDENTIAL_NAME: &str = "strongroom-unlock";

/// `STRONGROOM_PASSPHRASE`, which is refused unless it was allowed.
pub enum PassphraseFromEnvironment {
    /// Not set.
    Absent,
    /// Set, without `--allow-env-passphrase`.
    NotAllowed,
    /// Set and allowed.
    Allowed(SecretBytes),
}

/// The configured ways, in order of precedence.
pub struct UnlockConfig {
    /// `--key-file`
    pub key_file_flag: Option<PathBuf>,
    /// `--passphrase-file`
    pub passphrase_file_flag: Option<PathBuf>,
    /// `--passphrase-prompt`
    pub prompt: bool,
    /// `$CREDENTIALS_DIRECTORY/strongroom-unlock`
    pub systemd_credential: Option<PathBuf>,
    /// `/run/secrets/strongroom-unlock`
    pub container_secret: PathBuf,
    /// `STRONGROOM_KEY_FILE`
    pub key_file_variable: Option<PathBuf>,
    /// `STRONGROOM_PASSPHRASE_FILE`
    pub passphrase_file_variable: Option<PathBuf>,
    /// `STRONGROOM_PASSPHRASE`
    pub passphrase_variable: PassphraseFromEnvironment,
    /// The key file of last resort, made at a first start.
    pub default_key_file: PathBuf,
}

impl UnlockConfig {
    /// Every key file that is named, the default one last.
    pub fn key_files(&self) -> impl Iterator<Item = &Path> {
        let named = self.key_file_flag.iter().chain(&self.key_file_variable);
        named.chain([&self.default_key_file]).map(PathBuf::as_path)
    }

    pub(super) fn resolve(
        key_file: Option<PathBuf>,
        passphrase_file: Option<PathBuf>,
        prompt: bool,
        allow_env_passphrase: bool,
        home: &HomePaths,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let flags = usize::from(key_file.is_some()) + usize::from(passphrase_file.is_some()) + usize::from(prompt);
        if flags > 1 {
            return Err(ConfigError::new(
                "--key-file, --passphrase-file, --passphrase-prompt",
                "give one of them: a home is unlocked in one way",
            ));
        }
        let key_file_variable = environment.path("STRONGROOM_KEY_FILE");
        let passphrase_file_variable = environment.path("STRONGROOM_PASSPHRASE_FILE");
        if key_file_variable.is_some() && passphrase_file_variable.is_some() {
            return Err(ConfigError::new(
                "STRONGROOM_KEY_FILE, STRONGROOM_PASSPHRASE_FILE",
                "set one of them: a home is unlocked in one way",
            ));
        }
        let allowed = allow_env_passphrase || environment.switch("STRONGROOM_ALLOW_ENV_PASSPHRASE")?.unwrap_or(false);
        let passphrase_variable = match environment.raw("STRONGROOM_PASSPHRASE") {
            None => PassphraseFromEnvironment::Absent,
            Some(_) if !allowed => PassphraseFromEnvironment::NotAllowed,
            Some(value) => PassphraseFromEnvironment::Allowed(SecretBytes::new(value.into_encoded_bytes())),
        };
        Ok(Self {
            key_file_flag: key_file.map(absolute),
            passphrase_file_flag: passphrase_file.map(absolute),
            prompt,
            systemd_credential: environment
                .absolute_path("CREDENTIALS_DIRECTORY")
                .map(|directory| directory.join(CREDENTIAL_NAME)),
            container_secret: PathBuf::from(CONTAINER_SECRET),
            key_file_variable: key_file_variable.map(absolute),
            passphrase_file_variable: passphrase_file_variable.map(absolute),
            passphrase_variable,
            default_key_file: home.default_key_file().to_owned(),
        })
    }
}

/// So that the directory of a file can be checked. A path that cannot be made absolute fails where it is opened.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        key: Option<&str>,
        passphrase: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<UnlockConfig, ConfigError> {
        let home = HomePaths::in_directory("/data".into());
        let (key, passphrase) = (key.map(PathBuf::from), passphrase.map(PathBuf::from));
        UnlockConfig::resolve(key, passphrase, false, false, &home, &Environment::of(variables))
    }

    #[test]
    fn two_ways_of_the_same_rank_are_an_error() {
        assert!(resolve(Some("/k"), Some("/p"), &[]).is_err());
        let both = [("STRONGROOM_KEY_FILE", "/k"), ("STRONGROOM_PASSPHRASE_FILE", "/p")];
        assert!(resolve(None, None, &both).is_err());
    }

    #[test]
    fn a_passphrase_in_the_environment_must_be_allowed() {
        let given = resolve(None, None, &[("STRONGROOM_PASSPHRASE", "x")]).unwrap();
        assert!(matches!(given.passphrase_variable, PassphraseFromEnvironment::NotAllowed));
        let allowed = [("STRONGROOM_PASSPHRASE", "x"), ("STRONGROOM_ALLOW_ENV_PASSPHRASE", "1")];
        let given = resolve(None, None, &allowed).unwrap();
        assert!(matches!(given.passphrase_variable, PassphraseFromEnvironment::Allowed(_)));
        let given = resolve(None, None, &[]).unwrap();
        assert!(matches!(given.passphrase_variable, PassphraseFromEnvironment::Absent));
    }

    #[test]
    fn systemd_hands_its_credential_over_in_a_directory() {
        let given = resolve(None, None, &[("CREDENTIALS_DIRECTORY", "/run/credentials/s")]).unwrap();
        assert_eq!(given.systemd_credential.unwrap(), PathBuf::from("/run/credentials/s/strongroom-unlock"));
    }
}

//! Where a home's files are. Paths only: `server::home` makes and checks them.
//!
//! ```text
//! <home>/strongroom.db      the sealed store (with -wal and -shm beside it)
//! <home>/admin.kubeconfig   how the administrator connects
//! <home>/lock               held by the one process that owns the home
//! <home>/client-ca.crt      who signs client certificates, where those are used
//! <home>/.backup-work/      what a backup is being made of; empty otherwise
//! <home>/before-restore-…/  what was in the place of what a restore has put there
//! <home>/audit/            the audit log, and the public key that verifies it
//! <home>/tls/               certificates, and the server's private key
//! <home>/keys/unlock.key    the key file, where the home was chosen with --home
//! ```

use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};

/// The places of a home; every path is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomePaths {
    root: PathBuf,
    default_key_file: PathBuf,
}

impl HomePaths {
    /// `--home`, else `STRONGROOM_HOME`, else the XDG data directory.
    ///
    /// A home that was chosen holds everything; otherwise the key file lies in the XDG config directory, away from
    /// the database, so that a copy of one is not a copy of both.
    pub fn resolve(flag: Option<PathBuf>, environment: &Environment) -> Result<Self, ConfigError> {
        if let Some(chosen) = flag.or_else(|| environment.path("STRONGROOM_HOME")) {
            let root = std::path::absolute(&chosen)
                .map_err(|_| ConfigError::new("--home", "is empty or the working directory is gone"))?;
            return Ok(Self::in_directory(root));
        }
        let user_home = environment.absolute_path("HOME");
        let directory = |variable: &str, below_home: &str| {
            environment
                .absolute_path(variable)
                .or_else(|| user_home.as_ref().map(|home| home.join(below_home)))
                .map(|base| base.join("strongroom"))
                .ok_or_else(|| {
                    ConfigError::new("--home", format!("give a directory: neither HOME nor {variable} is set"))
                })
        };
        Ok(Self {
            root: directory("XDG_DATA_HOME", ".local/share")?,
            default_key_file: directory("XDG_CONFIG_HOME", ".config")?.join("unlock.key"),
        })
    }

    /// A home that holds its key file too.
    #[must_use]
    pub fn in_directory(root: PathBuf) -> Self {
        Self { default_key_file: root.join("keys").join("unlock.key"), root }
    }

    /// The home itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("strongroom.db")
    }

    /// What SQLite has not yet carried over into the database file.
    #[must_use]
    pub fn write_ahead_log(&self) -> PathBuf {
        self.root.join("strongroom.db-wal")
    }

    /// How the administrator connects.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("admin.kubeconfig")
    }

    /// The lock of the process that owns the home.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// Where copies of the database lie while a backup is made of them. Not a name that anybody would give to the directory of
    /// backups: it is emptied.
    #[must_use]
    pub fn backup_work(&self) -> PathBuf {
        self.root.join(".backup-work")
    }

    /// The database of a backup while it is looked at and made ready.
    #[must_use]
    pub fn restoring(&self) -> PathBuf {
        self.root.join("strongroom.db.restoring")
    }

    /// How the name of a database begins that is ready to take its place; the time of the restore follows.
    pub const RESTORED_PREFIX: &str = "strongroom.db.restored-";

    /// Where what was there before the restore of that time is kept.
    #[must_use]
    pub fn before_restore(&self, time: &str) -> PathBuf {
        self.root.join(format!("before-restore-{time}"))
    }

    /// Certificates and the server's key.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The CA's certificate, for clients that want a file.
    #[must_use]
    pub fn authority_certificate(&self) -> PathBuf {
        self.tls().join("ca.crt")
    }

    /// The client CA's certificate, for servers that want to know our clients, and for people.
    #[must_use]
    pub fn client_authority_certificate(&self) -> PathBuf {
        self.root.join("client-ca.crt")
    }

    /// The generated server certificate and its key, in one file so that one rename replaces both.
    #[must_use]
    pub fn server_pair(&self) -> PathBuf {
        self.tls().join("server.pem")
    }

    /// The chain that the running server presents, whichever it is.
    #[must_use]
    pub fn presented_certificate(&self) -> PathBuf {
        self.tls().join("presented.crt")
    }

    /// The key file that is used where no other way to unlock is configured.
    #[must_use]
    pub fn default_key_file(&self) -> &Path {
        &self.default_key_file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_home_holds_everything() {
        let paths = HomePaths::resolve(Some("/data".into()), &Environment::of(&[("HOME", "/home/u")])).unwrap();
        assert_eq!(paths.database(), Path::new("/data/strongroom.db"));
        assert_eq!(paths.default_key_file(), Path::new("/data/keys/unlock.key"));
        let paths = HomePaths::resolve(None, &Environment::of(&[("STRONGROOM_HOME", "/srv/s")])).unwrap();
        assert_eq!(paths.default_key_file(), Path::new("/srv/s/keys/unlock.key"));
    }

    #[test]
    fn by_default_the_key_lies_in_another_directory_than_the_database() {
        let paths = HomePaths::resolve(None, &Environment::of(&[("HOME", "/home/u")])).unwrap();
        assert_eq!(paths.root(), Path::new("/home/u/.local/share/strongroom"));
        assert_eq!(paths.default_key_file(), Path::new("/home/u/.config/strongroom/unlock.key"));
        let xdg = Environment::of(&[("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c")]);
        let paths = HomePaths::resolve(None, &xdg).unwrap();
        assert_eq!(paths.root(), Path::new("/d/strongroom"));
        assert_eq!(paths.default_key_file(), Path::new("/c/strongroom/unlock.key"));
    }

    #[test]
    fn a_relative_xdg_directory_is_ignored_and_no_home_at_all_is_an_error() {
        let relative = Environment::of(&[("HOME", "/home/u"), ("XDG_DATA_HOME", "data")]);
        let paths = HomePaths::resolve(None, &relative).unwrap();
        assert_eq!(paths.root(), Path::new("/home/u/.local/share/strongroom"));
        assert!(HomePaths::resolve(None, &Environment::of(&[])).is_err());
    }

    #[test]
    fn a_relative_home_is_made_absolute() {
        let paths = HomePaths::resolve(Some("here".into()), &Environment::of(&[])).unwrap();
        assert!(paths.root().is_absolute());
        assert!(paths.root().ends_with("here"));
    }
}

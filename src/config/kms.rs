//! The socket for the KMS plugin of a cluster, and as whom it acts.

use std::path::PathBuf;

use super::{ConfigError, Environment, UnixSocket};

const OWNER_ONLY: u32 = 0o600;

/// What was given, not yet looked at.
#[derive(Debug, Default)]
pub struct KmsFlags {
    /// `--kms-socket`
    pub socket: Option<PathBuf>,
    /// `--kms-key`
    pub key: Option<String>,
    /// `--kms-service-account`
    pub service_account: Option<String>,
    /// `--kms-allow-uid`, as often as given
    pub allow_uids: Vec<u32>,
}

/// A socket, the key behind it, and as whom it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsConfig {
    /// Where it is.
    pub socket: UnixSocket,
    /// Name of the KMSKey.
    pub key: String,
    /// Namespace of the service account.
    pub namespace: String,
    /// Its name.
    pub account: String,
    /// Users who may connect besides the owner and root.
    pub allow_uids: Vec<u32>,
}

impl KmsConfig {
    pub(super) fn resolve(flags: KmsFlags, environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let socket = flags.socket.or_else(|| environment.path("STRONGROOM_KMS_SOCKET"));
        let key = match flags.key {
            Some(key) => Some(key),
            None => environment.text("STRONGROOM_KMS_KEY")?,
        };
        let account = match flags.service_account {
            Some(account) => Some(account),
            None => environment.text("STRONGROOM_KMS_SERVICE_ACCOUNT")?,
        };
        let mut allow_uids = flags.allow_uids;
        if allow_uids.is_empty() {
            for uid in environment.list("STRONGROOM_KMS_ALLOW_UID")? {
                let wrong =
                    || ConfigError::new("STRONGROOM_KMS_ALLOW_UID", "give numbers of users, separated by commas");
                allow_uids.push(uid.trim().parse().map_err(|_| wrong())?);
            }
        }
        let Some(socket) = socket else {
            let stray = [("--kms-key", key.is_some()), ("--kms-service-account", account.is_some())];
            let stray = stray.into_iter().chain([("--kms-allow-uid", !allow_uids.is_empty())]);
            return match stray.into_iter().find(|(_, is_given)| *is_given) {
                Some((setting, _)) => Err(ConfigError::new(setting, "needs --kms-socket beside it")),
                None => Ok(None),
            };
        };
        let key = key.filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| ConfigError::new("--kms-key", "name the KMSKey that --kms-socket is for"))?;
        let account = account.unwrap_or_default();
        let (namespace, name) = account
            .split_once('/')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| {
                ConfigError::new(
                    "--kms-service-account",
                    "name the service account that --kms-socket acts as: NAMESPACE/NAME",
                )
            })?;
        Ok(Some(Self {
            socket: Self::socket("--kms-socket", &socket)?,
            key,
            namespace: namespace.to_owned(),
            account: name.to_owned(),
            allow_uids,
        }))
    }

    /// The socket at a path; `setting` is named in the error.
    pub fn socket(setting: &str, path: &std::path::Path) -> Result<UnixSocket, ConfigError> {
        UnixSocket::of_path(setting, path, OWNER_ONLY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: KmsFlags, variables: &[(&str, &str)]) -> Result<Option<KmsConfig>, String> {
        KmsConfig::resolve(flags, &Environment::of(variables)).map_err(|error| error.to_string())
    }

    fn flags() -> KmsFlags {
        KmsFlags {
            socket: Some("/run/kms.sock".into()),
            key: Some("etcd".into()),
            service_account: Some("kube-system/kms".into()),
            allow_uids: Vec::new(),
        }
    }

    #[test]
    fn a_socket_has_a_key_and_an_account_and_is_its_owners() {
        assert_eq!(resolve(KmsFlags::default(), &[]), Ok(None));
        let config = resolve(flags(), &[]).unwrap().unwrap();
        assert_eq!((config.socket.mode, config.key.as_str()), (0o600, "etcd"));
        assert_eq!((config.namespace.as_str(), config.account.as_str()), ("kube-system", "kms"));
        let config = resolve(KmsFlags { allow_uids: vec![1000], ..flags() }, &[]).unwrap().unwrap();
        assert_eq!((config.socket.mode, config.allow_uids), (0o600, vec![1000]));
        let variables = [
            ("STRONGROOM_KMS_SOCKET", "/run/kms.sock"),
            ("STRONGROOM_KMS_KEY", "etcd"),
            ("STRONGROOM_KMS_SERVICE_ACCOUNT", "kube-system/kms"),
        ];
        assert_eq!(resolve(KmsFlags::default(), &variables), resolve(flags(), &[]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |flags: KmsFlags| resolve(flags, &[]).unwrap_err();
        assert!(error(KmsFlags { key: None, ..flags() }).starts_with("--kms-key: "));
        for account in [None, Some("kms"), Some("/kms"), Some("a/"), Some("a/b/c")] {
            let account = account.map(str::to_owned);
            let error = error(KmsFlags { service_account: account, ..flags() });
            assert!(error.starts_with("--kms-service-account: "), "{error}");
        }
        assert!(error(KmsFlags { socket: None, ..flags() }).starts_with("--kms-key: needs --kms-socket"));
        let uids = KmsFlags { allow_uids: vec![1], ..KmsFlags::default() };
        assert!(error(uids).starts_with("--kms-allow-uid: needs"));
    }
}

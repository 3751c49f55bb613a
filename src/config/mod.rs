//! Settings: read once, from flags and `STRONGROOM_*` variables, into types that are handed down.
//!
//! A flag wins over its variable. What this never does: open a file, keep a setting as text that has a type, or
//! fall back to something weaker where a value is wrong.

pub mod audit;
pub mod backup;
pub mod cache;
pub mod client_certificates;
pub mod connection;
pub mod data_keys;
pub mod environment;
pub mod events;
pub mod history;
pub mod home;
pub mod kms;
pub mod limits;
pub mod listen;
pub mod log;
pub mod outside_issuers;
pub mod passwords;
pub mod tls;
pub mod tokens;
pub mod unix_socket;
pub mod unlock;

use std::fmt;
use std::path::PathBuf;

pub use audit::{AuditConfig, AuditFlags};
pub use backup::{BackupFlags, BackupKeep, BackupSchedule};
pub use cache::CacheSize;
pub use client_certificates::ClientCertificates;
pub use connection::{ConnectionFlags, ConnectionSource, ServerUrl};
pub use data_keys::DataKeyAge;
pub use environment::Environment;
pub use events::EventTtl;
pub use history::History;
pub use home::HomePaths;
pub use kms::{KmsConfig, KmsFlags};
pub use limits::Limits;
pub use listen::{Advertise, ListenAddress};
pub use outside_issuers::OutsideIssuer;
pub use passwords::PasswordMemory;
pub use tls::TlsFiles;
pub use tokens::TokenIssuer;
pub use unix_socket::UnixSocket;
pub use unlock::{PassphraseFromEnvironment, UnlockConfig};

pub use crate::model::length::Length;

/// A setting that cannot be used. Never shows a secret: passphrases are not validated here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// What was given on the command line of `serve` (and of the commands that open a home), not yet looked at.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that takes no value")]
pub struct ServeFlags {
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--advertise`, as often as given
    pub advertise: Vec<String>,
    /// `--tls-cert`
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`
    pub tls_key: Option<PathBuf>,
    /// `--client-certificates`
    pub client_certificates: bool,
    /// `--client-ca`, as often as given
    pub client_ca: Vec<PathBuf>,
    /// `--listen-unix`
    pub listen_unix: Option<PathBuf>,
    /// `--listen-unix-mode`
    pub listen_unix_mode: Option<String>,
    /// `--oidc-config`
    pub oidc_config: Option<PathBuf>,
    /// `--issuer`
    pub issuer: Option<String>,
    /// `--legacy-service-account-tokens`
    pub legacy_tokens: bool,
    /// `--argon2-memory`
    pub argon2_memory_mib: Option<u32>,
    /// `--swagger-ui`
    pub swagger_ui: bool,
    /// `--redact-lists`
    pub redact_lists: bool,
    /// `--key-file`
    pub key_file: Option<PathBuf>,
    /// `--passphrase-file`
    pub passphrase_file: Option<PathBuf>,
    /// `--passphrase-prompt`
    pub passphrase_prompt: bool,
    /// `--allow-env-passphrase`
    pub allow_env_passphrase: bool,
    /// `--max-connections`
    pub max_connections: Option<usize>,
    /// `--max-connections-per-address`
    pub max_connections_per_address: Option<u32>,
    /// `--max-requests-per-address`
    pub max_requests_per_address: Option<u32>,
    /// `--max-watches-per-user`
    pub max_watches_per_user: Option<usize>,
    /// `--cache-size`
    pub cache_size_mib: Option<usize>,
    /// `--event-ttl`
    pub event_ttl: Option<String>,
    /// `--data-key-max-age`
    pub data_key_max_age: Option<String>,
    /// `--history-limit`
    pub history_limit: Option<String>,
    /// `--history-max-age`
    pub history_max_age: Option<String>,
    /// `--audit-…`
    pub audit: AuditFlags,
    /// `--backup-…`
    pub backup: BackupFlags,
    /// `--no-sync`
    pub no_sync: bool,
    /// `--no-issuing`
    pub no_issuing: bool,
    /// `--kms-…`
    pub kms: KmsFlags,
    /// `--sealed`
    pub sealed: bool,
}

/// Everything `serve` needs to know.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct ServeConfig {
    /// Where the home's files are.
    pub home: HomePaths,
    /// Where to listen.
    pub listen: ListenAddress,
    /// Names and ports under which clients reach the server, first one first.
    pub advertise: Vec<Advertise>,
    /// The user's own certificate; `None` means one from the home's CA.
    pub tls: Option<TlsFiles>,
    /// Whether clients may authenticate by certificate.
    pub client_certificates: ClientCertificates,
    /// Where to listen besides the network.
    pub unix_socket: Option<UnixSocket>,
    /// A file that [`outside_issuers::parse`] understands.
    pub oidc_config: Option<PathBuf>,
    /// `iss` of the tokens that are signed.
    pub token_issuer: TokenIssuer,
    /// Whether Secrets of service accounts are filled with tokens that never end, and those accepted.
    pub legacy_tokens: bool,
    /// Memory for hashing a password.
    pub password_memory: PasswordMemory,
    /// Whether Swagger UI and its document are served.
    pub swagger_ui: bool,
    /// Whether lists and watches leave values out for callers who may not `get` the object.
    pub redact_lists: bool,
    /// Where the unlock secret comes from.
    pub unlock: UnlockConfig,
    /// Bounds on connections and time.
    pub limits: Limits,
    /// Bound on the memory that sealed objects are kept in.
    pub cache: CacheSize,
    /// How long Events are kept.
    pub event_ttl: EventTtl,
    /// How old the data key gets.
    pub data_key_age: DataKeyAge,
    /// How long former versions of Secrets are kept.
    pub history: History,
    /// How the audit log is kept.
    pub audit: AuditConfig,
    /// Backups by a schedule, if there is one.
    pub backup: Option<BackupSchedule>,
    /// Whether what SecretSyncs want is written into clusters.
    pub sync: bool,
    /// Whether certificates are issued and values generated.
    pub issuing: bool,
    /// Where a cluster's API server finds its KMS plugin.
    pub kms: Option<KmsConfig>,
    /// Whether the server waits for somebody to unseal the home.
    pub sealed: bool,
}

impl ServeConfig {
    /// Puts flags and environment together.
    pub fn resolve(flags: ServeFlags, environment: &Environment) -> Result<Self, ConfigError> {
        let home = HomePaths::resolve(flags.home, environment)?;
        let listen = match flags.listen {
            Some(text) => ListenAddress::parse("--listen", &text)?,
            None => match environment.text("STRONGROOM_LISTEN")? {
                Some(text) => ListenAddress::parse("STRONGROOM_LISTEN", &text)?,
                None => ListenAddress::DEFAULT,
            },
        };
        let advertise = if flags.advertise.is_empty() {
            Advertise::parse_list("STRONGROOM_ADVERTISE", &environment.list("STRONGROOM_ADVERTISE")?)?
        } else {
            Advertise::parse_list("--advertise", &flags.advertise)?
        };
        let tls = TlsFiles::resolve(flags.tls_cert, flags.tls_key, environment)?;
        let client_certificates = ClientCertificates::resolve(flags.client_certificates, flags.client_ca, environment)?;
        let unix_socket = UnixSocket::resolve(flags.listen_unix, flags.listen_unix_mode, environment)?;
        let oidc_config = flags.oidc_config.or_else(|| environment.path("STRONGROOM_OIDC_CONFIG"));
        let token_issuer = TokenIssuer::resolve(flags.issuer, &advertise, environment)?;
        let legacy_tokens = tokens::are_legacy_tokens_on(flags.legacy_tokens, environment)?;
        let password_memory = PasswordMemory::resolve(flags.argon2_memory_mib, environment)?;
        let swagger_ui =
            flags.swagger_ui || environment.switch("STRONGROOM_SWAGGER_UI")?.unwrap_or_else(|| listen.is_loopback());
        let redact_lists = flags.redact_lists || environment.switch("STRONGROOM_REDACT_LISTS")?.unwrap_or_default();
        let unlock = UnlockConfig::resolve(
            flags.key_file,
            flags.passphrase_file,
            flags.passphrase_prompt,
            flags.allow_env_passphrase,
            &home,
            environment,
        )?;
        let limits = Limits::resolve(
            flags.max_connections,
            flags.max_connections_per_address,
            flags.max_requests_per_address,
            flags.max_watches_per_user,
            environment,
        )?;
        let cache = CacheSize::resolve(flags.cache_size_mib, environment)?;
        let event_ttl = EventTtl::resolve(flags.event_ttl, environment)?;
        let data_key_age = DataKeyAge::resolve(flags.data_key_max_age, environment)?;
        let history = History::resolve(flags.history_limit, flags.history_max_age, environment)?;
        let audit = AuditConfig::resolve(flags.audit, environment)?;
        let backup = BackupSchedule::resolve(flags.backup, environment)?;
        let sync = !flags.no_sync && environment.switch("STRONGROOM_SYNC")?.unwrap_or(true);
        let issuing = !flags.no_issuing && environment.switch("STRONGROOM_ISSUING")?.unwrap_or(true);
        let kms = KmsConfig::resolve(flags.kms, environment)?;
        let sealed = flags.sealed || environment.switch("STRONGROOM_SEALED")?.unwrap_or_default();
        Ok(Self {
            home,
            listen,
            advertise,
            tls,
            client_certificates,
            unix_socket,
            oidc_config,
            token_issuer,
            legacy_tokens,
            password_memory,
            swagger_ui,
            redact_lists,
            unlock,
            limits,
            cache,
            event_ttl,
            data_key_age,
            history,
            audit,
            backup,
            sync,
            issuing,
            kms,
            sealed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: ServeFlags, variables: &[(&str, &str)]) -> Result<ServeConfig, ConfigError> {
        let mut all = vec![("HOME", "/home/u")];
        all.extend_from_slice(variables);
        ServeConfig::resolve(flags, &Environment::of(&all))
    }

    #[test]
    fn nothing_given_means_loopback_and_the_xdg_directories() {
        let config = resolve(ServeFlags::default(), &[]).unwrap();
        assert_eq!(config.listen.address().to_string(), "127.0.0.1:8443");
        assert_eq!(config.home.root(), std::path::Path::new("/home/u/.local/share/strongroom"));
        assert!(config.swagger_ui);
        assert!(config.tls.is_none() && config.unix_socket.is_none() && config.oidc_config.is_none());
        assert_eq!(config.client_certificates, ClientCertificates::Off);
        assert!(config.advertise.is_empty());
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let flags = ServeFlags { listen: Some("127.0.0.1:0".into()), ..ServeFlags::default() };
        let config = resolve(flags, &[("STRONGROOM_LISTEN", "0.0.0.0:1")]).unwrap();
        assert_eq!(config.listen.address().to_string(), "127.0.0.1:0");
        let config = resolve(ServeFlags::default(), &[("STRONGROOM_LISTEN", "0.0.0.0:1")]).unwrap();
        assert_eq!(config.listen.address().to_string(), "0.0.0.0:1");
    }

    #[test]
    fn swagger_ui_is_off_beyond_loopback_unless_asked_for() {
        let wide = || ServeFlags { listen: Some("0.0.0.0:8443".into()), ..ServeFlags::default() };
        assert!(!resolve(wide(), &[]).unwrap().swagger_ui);
        assert!(resolve(ServeFlags { swagger_ui: true, ..wide() }, &[]).unwrap().swagger_ui);
        assert!(resolve(wide(), &[("STRONGROOM_SWAGGER_UI", "true")]).unwrap().swagger_ui);
        assert!(!resolve(ServeFlags::default(), &[("STRONGROOM_SWAGGER_UI", "false")]).unwrap().swagger_ui);
    }

    #[test]
    fn advertised_addresses_come_from_a_list_too() {
        let config = resolve(ServeFlags::default(), &[("STRONGROOM_ADVERTISE", "vault.example:443, 10.0.0.1:8443")]);
        let shown: Vec<String> = config.unwrap().advertise.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["vault.example:443", "10.0.0.1:8443"]);
    }

    #[test]
    fn an_error_names_the_setting() {
        let problem = resolve(ServeFlags::default(), &[("STRONGROOM_LISTEN", "nowhere")]).err().unwrap();
        assert!(problem.to_string().starts_with("STRONGROOM_LISTEN: "), "{problem}");
    }
}

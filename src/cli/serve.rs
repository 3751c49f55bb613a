//! `strongroom serve`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::CliError;
use super::audit::AuditOptions;
use super::backup::BackupOptions;
use super::home_options::{HomeOption, UnlockOptions};
use super::output::print;
use crate::clock::SystemClock;
use crate::config::{Environment, KmsFlags, ServeConfig, ServeFlags};
use crate::server;

/// Options of `serve`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that takes no value")]
pub struct Serve {
    #[command(flatten)]
    home: HomeOption,
    /// Address to listen on; port 0 takes a free one [env: STRONGROOM_LISTEN] [default: 127.0.0.1:8443]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// Name and port under which clients reach the server; may be repeated [env: STRONGROOM_ADVERTISE, separated by commas]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Vec<String>,
    /// Certificate chain of your own, PEM; read again when it changes [env: STRONGROOM_TLS_CERT]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM [env: STRONGROOM_TLS_KEY]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Ask clients for a certificate, which they need not have; browsers that have one show a dialog then [env: STRONGROOM_CLIENT_CERTIFICATES]
    #[arg(long)]
    client_certificates: bool,
    /// Accept certificates of these authorities too, PEM; may be repeated, implies --client-certificates [env: STRONGROOM_CLIENT_CA, one file]
    #[arg(long, value_name = "FILE")]
    client_ca: Vec<PathBuf>,
    /// Listen on a Unix socket besides, without TLS [env: STRONGROOM_LISTEN_UNIX]
    #[arg(long, value_name = "PATH")]
    listen_unix: Option<PathBuf>,
    /// Who may connect to it, as octal permissions of its file [env: STRONGROOM_LISTEN_UNIX_MODE] [default: 0600]
    #[arg(long, value_name = "MODE")]
    listen_unix_mode: Option<String>,
    /// Accept tokens of the OpenID Connect issuers in this file, YAML or JSON [env: STRONGROOM_OIDC_CONFIG]
    #[arg(long, value_name = "FILE")]
    oidc_config: Option<PathBuf>,
    /// What this server's own tokens call it, an https URL; a change ends them all [env: STRONGROOM_ISSUER] [default: the first --advertise, else https://strongroom.local]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Fill secrets of type kubernetes.io/service-account-token with tokens that never end, and accept those [env: STRONGROOM_LEGACY_SERVICE_ACCOUNT_TOKENS]
    #[arg(long)]
    legacy_service_account_tokens: bool,
    /// Memory that hashing a password takes, in MiB [env: STRONGROOM_ARGON2_MEMORY] [default: 64]
    #[arg(long, value_name = "MIB")]
    argon2_memory: Option<u32>,
    /// Serve Swagger UI beyond loopback, where it is on anyway [env: STRONGROOM_SWAGGER_UI]
    #[arg(long)]
    swagger_ui: bool,
    /// Leave values out of lists and watches for callers who may not get the secret [env: STRONGROOM_REDACT_LISTS]
    #[arg(long)]
    redact_lists: bool,
    #[command(flatten)]
    unlock: UnlockOptions,
    /// Open connections in all [env: STRONGROOM_MAX_CONNECTIONS] [default: 10000]
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Open connections of one client address [env: STRONGROOM_MAX_CONNECTIONS_PER_ADDRESS] [default: 4096]
    #[arg(long, value_name = "N")]
    max_connections_per_address: Option<u32>,
    /// Unanswered requests of one client address [env: STRONGROOM_MAX_REQUESTS_PER_ADDRESS] [default: 1024]
    #[arg(long, value_name = "N")]
    max_requests_per_address: Option<u32>,
    /// Open watches of one user [env: STRONGROOM_MAX_WATCHES_PER_USER] [default: 2000]
    #[arg(long, value_name = "N")]
    max_watches_per_user: Option<usize>,
    /// Sealed objects kept in memory, in MiB [env: STRONGROOM_CACHE_SIZE] [default: 64]
    #[arg(long, value_name = "MIB")]
    cache_size: Option<usize>,
    /// How long an event is kept after its last change: 90s, 1h30m, 7d [env: STRONGROOM_EVENT_TTL] [default: 1h]
    #[arg(long, value_name = "DURATION")]
    event_ttl: Option<String>,
    /// After how long there is a new data key, 30d for example; 0: never [env: STRONGROOM_DATA_KEY_MAX_AGE] [default: 90d]
    #[arg(long, value_name = "DURATION")]
    data_key_max_age: Option<String>,
    /// How many former versions of a secret are kept; 0: none [env: STRONGROOM_HISTORY_LIMIT] [default: 10]
    #[arg(long, value_name = "N")]
    history_limit: Option<String>,
    /// How long a former version is kept after it was superseded; 0: not at all [env: STRONGROOM_HISTORY_MAX_AGE] [default: 90d]
    #[arg(long, value_name = "DURATION")]
    history_max_age: Option<String>,
    #[command(flatten)]
    audit: AuditOptions,
    #[command(flatten)]
    backup: BackupOptions,
    /// Do not write into clusters what SecretSyncs want: a job does it [env: STRONGROOM_SYNC=off]
    #[arg(long)]
    no_sync: bool,
    /// Do not issue what Certificates ask for, nor make what GeneratedSecrets ask for [env: STRONGROOM_ISSUING=off]
    #[arg(long)]
    no_issuing: bool,
    /// Serve the KMS plugin of a cluster's API server on this Unix socket [env: STRONGROOM_KMS_SOCKET]
    #[arg(long, value_name = "PATH")]
    kms_socket: Option<PathBuf>,
    /// The KMSKey behind it [env: STRONGROOM_KMS_KEY]
    #[arg(long, value_name = "NAME")]
    kms_key: Option<String>,
    /// The service account that it acts as, which needs verbs encrypt and decrypt on the key [env: STRONGROOM_KMS_SERVICE_ACCOUNT]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    kms_service_account: Option<String>,
    /// A user who may connect to it besides root and the one who serves; may be repeated [env: STRONGROOM_KMS_ALLOW_UID, separated by commas]
    #[arg(long, value_name = "UID")]
    kms_allow_uid: Vec<u32>,
    /// Start sealed, and wait for `strongroom unseal`, whatever could unlock the home [env: STRONGROOM_SEALED]
    #[arg(long)]
    sealed: bool,
}

impl Serve {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let flags = ServeFlags {
            home: self.home.home,
            listen: self.listen,
            advertise: self.advertise,
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
            client_certificates: self.client_certificates,
            client_ca: self.client_ca,
            listen_unix: self.listen_unix,
            listen_unix_mode: self.listen_unix_mode,
            oidc_config: self.oidc_config,
            issuer: self.issuer,
            legacy_tokens: self.legacy_service_account_tokens,
            argon2_memory_mib: self.argon2_memory,
            swagger_ui: self.swagger_ui,
            redact_lists: self.redact_lists,
            key_file: self.unlock.key_file,
            passphrase_file: self.unlock.passphrase_file,
            passphrase_prompt: self.unlock.passphrase_prompt,
            allow_env_passphrase: self.unlock.allow_env_passphrase,
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            max_requests_per_address: self.max_requests_per_address,
            max_watches_per_user: self.max_watches_per_user,
            cache_size_mib: self.cache_size,
            event_ttl: self.event_ttl,
            data_key_max_age: self.data_key_max_age,
            history_limit: self.history_limit,
            history_max_age: self.history_max_age,
            audit: self.audit.into_flags(),
            backup: self.backup.into_flags(),
            no_sync: self.no_sync,
            no_issuing: self.no_issuing,
            kms: KmsFlags {
                socket: self.kms_socket,
                key: self.kms_key,
                service_account: self.kms_service_account,
                allow_uids: self.kms_allow_uid,
            },
            sealed: self.sealed,
        };
        let config = ServeConfig::resolve(flags, environment)?;
        Ok(server::run(config, Arc::new(SystemClock), print)?)
    }
}

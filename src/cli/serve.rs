//! `strongroom serve`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::CliError;
use super::home_options::{HomeOption, UnlockOptions};
use super::output::print;
use crate::clock::SystemClock;
use crate::config::{Environment, ServeConfig, ServeFlags};
use crate::server;

/// Options of `serve`.
#[derive(Args)]
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
    /// Serve Swagger UI beyond loopback, where it is on anyway [env: STRONGROOM_SWAGGER_UI]
    #[arg(long)]
    swagger_ui: bool,
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
}

impl Serve {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let flags = ServeFlags {
            home: self.home.home,
            listen: self.listen,
            advertise: self.advertise,
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
            swagger_ui: self.swagger_ui,
            key_file: self.unlock.key_file,
            passphrase_file: self.unlock.passphrase_file,
            passphrase_prompt: self.unlock.passphrase_prompt,
            allow_env_passphrase: self.unlock.allow_env_passphrase,
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            max_requests_per_address: self.max_requests_per_address,
            max_watches_per_user: self.max_watches_per_user,
            cache_size_mib: self.cache_size,
        };
        let config = ServeConfig::resolve(flags, environment)?;
        Ok(server::run(config, Arc::new(SystemClock), print)?)
    }
}

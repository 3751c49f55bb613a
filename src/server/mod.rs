//! Builds everything from its configuration, serves it, and stops cleanly.
//!
//! The order of a start, in which each step may rely on those before it:
//!
//! 1. hygiene: umask, no core dumps, no debugger, no swap, quiet panics (before any thread; see [`harden`])
//! 2. the home's folders, then its lock: one process owns a home
//! 3. the wrapped keys are read; the unlock secret is found; the keys are opened (or made, at a first start)
//! 4. the store is opened, the API built over it; where that takes long, the server says so meanwhile
//! 5. the certificate, and whose client certificates count; addresses are bound, but nothing is accepted yet
//! 6. `admin.kubeconfig` says where, and the lock file too
//! 7. connections are accepted, the first steps are shown
//!
//! Without an unlock secret the server starts at the fifth step, and goes through the third and fourth when it is unsealed
//! (`serving`).
//!
//! The order of a stop: streams end and requests finish, then the Unix socket goes, the store is closed, and the lock
//! is released.
//!
//! What it never does: print (it hands text to its caller), or go on after a step that failed.

mod assembly;
mod audit_log;
pub mod backup;
mod bootstrap;
mod certificates;
mod client;
mod client_certificates;
mod connections;
mod edge;
mod error;
mod first_steps;
mod gate;
mod home;
mod hygiene;
mod incidents;
mod kms_socket;
mod kubeconfig;
mod lifecycle;
mod listen;
mod lock;
pub mod new_file;
mod offline;
mod outside_issuers;
mod peers;
pub mod private_files;
mod renewal;
mod root_key;
mod sealing;
mod serving;
mod tls;
pub mod unix_socket;
mod unlock;
pub mod unlock_files;
mod unread;
mod unsealing;
mod verify;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::config::{Advertise, HomePaths, ListenAddress, ServeConfig, TlsFiles, UnlockConfig};
use crate::pki::Names;
use crate::terminal::Terminal;

pub use crate::api::{SealState, SealStatus};
pub use audit_log::{AuditReport, verify_signatures as verify_audit_signatures};
pub use client::{ClientError, LocalServer, admin_kubeconfig};
pub use error::ServeError;
pub use hygiene::{Former, harden};
pub use kubeconfig::AdminKubeconfig;
pub use unsealing::{Secret as UnsealSecret, seal_status, unseal};
pub use verify::{Effect, Examination, Finding, Verified, verify};

use assembly::Settings;
use certificates::{CertificateError, OwnCertificate, Presented};
use lifecycle::Signals;
pub use lifecycle::survive_file_size_limit;
use offline::{Begun, UnlockedHome};
use renewal::Source;
use serving::{Serving, Turn};
use tokio::sync::Notify;

/// Threads besides the workers: what runs for an open home in the background.
const BACKGROUND_THREADS: usize = 2;
const ROTATE_TIMEOUT: Duration = Duration::from_secs(30);
const READY_PATH: &str = "/readyz";
const ROTATE_PATH: &str = "/strongroom/v1/admin/rotate";

/// Serves until a signal says stop. `announce` is given the first steps once connections are accepted.
///
/// Call from the main thread, before there are others, and after [`harden`].
pub fn run(config: ServeConfig, clock: SharedClock, announce: impl FnOnce(&str)) -> Result<(), ServeError> {
    hygiene::prepare_to_serve(config.limits.connections);
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config, clock, announce));
    // What is left is a home that was being opened when a signal came.
    runtime.shutdown_background();
    served
}

/// Asks the server that owns the home whether it is ready. If it is not, the error says which of its checks fail.
#[expect(clippy::disallowed_methods, reason = "the report names checks and advice, nothing secret")]
pub fn check_ready(paths: &HomePaths, timeout: Duration) -> Result<(), ServeError> {
    let answer = LocalServer::find(paths)?.get(READY_PATH, timeout)?;
    if answer.code == 200 {
        return Ok(());
    }
    let report = String::from_utf8_lossy(answer.body.expose());
    let failing = report.lines().filter(|line| line.starts_with("[-]")).collect::<Vec<_>>();
    Err(ServeError::NotReady(failing.join("; ")))
}

/// Replaces the administrator's token and writes the new one into `admin.kubeconfig`.
///
/// A running server is asked to do it; without one the home is opened here, for which `unlock` is needed.
pub fn rotate_admin_token(paths: &HomePaths, unlock: UnlockConfig, clock: SharedClock) -> Result<(), ServeError> {
    if lock::holder(&paths.lock())?.is_none() {
        return runtime()?.block_on(offline::rotate_admin_token(paths, unlock, clock, &mut Terminal));
    }
    let token = admin_kubeconfig(paths)?.token;
    let answer = LocalServer::find(paths)?.post(ROTATE_PATH, &token, ROTATE_TIMEOUT)?;
    match answer.code {
        200 => Ok(()),
        401 | 403 => Err(ServeError::TokenRefused(paths.kubeconfig())),
        code => Err(ServeError::Refused(code)),
    }
}

/// Checks the audit log and the records of mutations of a home that is not served now.
pub fn verify_audit(paths: &HomePaths, unlock: UnlockConfig, clock: SharedClock) -> Result<AuditReport, ServeError> {
    runtime()?.block_on(offline::verify_audit(paths, unlock, clock, &mut Terminal))
}

async fn serve(config: ServeConfig, clock: SharedClock, announce: impl FnOnce(&str)) -> Result<(), ServeError> {
    let signals = Signals::install()?;
    let ServeConfig {
        home: paths,
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
    } = config;
    let outside_issuers = oidc_config.as_deref().map_or(Ok(Vec::new()), outside_issuers::read)?;
    let seal = Arc::new(Notify::new());
    let asked = Arc::clone(&seal);
    let settings = Settings {
        cache_bytes: cache.bytes(),
        watches_per_user: limits.watches_per_user,
        swagger_ui,
        redact_lists,
        event_ttl,
        data_key_age,
        history,
        audit,
        backup,
        token_issuer,
        legacy_tokens,
        password_memory,
        outside_issuers,
        sync,
        issuing,
        seal: Arc::new(move || asked.notify_one()),
    };
    let (lock, turn) = match offline::begin(&paths, unlock, &clock, &mut Terminal, sealed).await? {
        Begun::Unlocked(UnlockedHome { lock, keys, opener }) => (lock, Turn::Keys(keys, opener)),
        Begun::Sealed(lock, why) => (lock, Turn::Sealed(why)),
    };
    let serving = Serving {
        signals,
        lock,
        paths,
        clock,
        listen,
        advertise,
        tls,
        client_certificates,
        unix_socket,
        kms,
        limits,
        settings,
        seal,
        bound: None,
    };
    serving.run(turn, announce).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Signals and renewal. What runs for an open home has one of its own.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The names clients may use: this machine's own, the address listened on, and what is advertised.
fn names(listen: ListenAddress, advertise: &[Advertise]) -> Names {
    let mut names = Names::local();
    names.add_address(listen.address().ip());
    for advertised in advertise {
        names.add(advertised.host());
    }
    names
}

fn present_own(
    files: TlsFiles,
    paths: &HomePaths,
    advertise: &[Advertise],
    now_unix_seconds: i64,
) -> Result<(Source, Presented), CertificateError> {
    let (own, presented) = OwnCertificate::present(files, paths, now_unix_seconds)?;
    if let Some(missing) = advertise.iter().find(|advertised| !presented.names.contains(advertised.host())) {
        tracing::warn!(host = missing.host(), "the certificate does not stand for an advertised name");
    }
    Ok((Source::Own(own), presented))
}

/// Where clients find the server: the first advertised address, else the one listened on.
fn server_url(address: SocketAddr, advertise: &[Advertise]) -> String {
    match advertise.first() {
        Some(first) => format!("https://{first}"),
        None => format!("https://{}", client::reachable(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, ServeFlags};

    fn config(listen: &str, advertise: &[&str]) -> ServeConfig {
        let flags = ServeFlags {
            home: Some("/h".into()),
            listen: Some(listen.into()),
            advertise: advertise.iter().map(|item| (*item).to_owned()).collect(),
            ..ServeFlags::default()
        };
        ServeConfig::resolve(flags, &Environment::of(&[])).unwrap()
    }

    #[test]
    fn names_come_from_the_address_and_from_what_is_advertised() {
        let names = |listen: &str, advertise: &[&str]| {
            let config = config(listen, advertise);
            names(config.listen, &config.advertise)
        };
        assert_eq!(names("127.0.0.1:0", &[]), Names::local());
        assert_eq!(names("0.0.0.0:0", &[]), Names::local());
        let more = names("10.0.0.1:1", &["Vault.Example:443"]);
        assert!(more.contains("10.0.0.1") && more.contains("vault.example") && more.contains("localhost"));
    }

    #[test]
    fn clients_are_sent_to_the_first_advertised_address_or_to_the_one_listened_on() {
        let url = |address: &str, advertise: &[&str]| {
            server_url(address.parse().unwrap(), &config("127.0.0.1:0", advertise).advertise)
        };
        assert_eq!(url("127.0.0.1:40001", &[]), "https://127.0.0.1:40001");
        assert_eq!(url("0.0.0.0:8443", &[]), "https://127.0.0.1:8443");
        assert_eq!(url("[::]:8443", &[]), "https://[::1]:8443");
        assert_eq!(url("0.0.0.0:8443", &["vault.example:443", "b:1"]), "https://vault.example:443");
    }
}

//! Builds everything from its configuration, serves it, and stops cleanly.
//!
//! The order of a start, in which each step may rely on those before it:
//!
//! 1. hygiene: umask, no core dumps, no debugger, quiet panics (before any thread)
//! 2. the home's folders, then its lock: one process owns a home
//! 3. the wrapped keys are read; the unlock secret is found; the keys are opened (or made, at a first start)
//! 4. the store is opened, the API built over it
//! 5. the certificate; the address is bound, but nothing is accepted yet
//! 6. `admin.kubeconfig` says where, and the lock file too
//! 7. connections are accepted, the first steps are shown
//!
//! The order of a stop: streams end and requests finish, then the store is closed, then the lock is released.
//!
//! What it never does: print (it hands text to its caller), or go on after a step that failed.

mod assembly;
mod certificates;
mod client;
mod connections;
mod edge;
mod first_steps;
mod home;
mod hygiene;
mod kubeconfig;
mod lifecycle;
mod listen;
mod lock;
mod offline;
mod private_files;
mod renewal;
mod root_key;
mod terminal;
mod tls;
mod unlock;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::config::{Advertise, HomePaths, ServeConfig, UnlockConfig};
use crate::pki::{Names, PkiError};

pub use client::ClientError;

use assembly::Assembly;
use certificates::{CertificateError, OwnCertificate, Presented, present_generated};
use client::LocalServer;
use edge::Hosts;
use first_steps::FirstSteps;
use lifecycle::{Signals, run_until_stopped};
use lock::LockError;
use offline::UnlockedHome;
use private_files::FileError;
use renewal::{Renewal, Source};
use root_key::RootKeyError;
use terminal::Terminal;
use tls::TlsError;
use unlock::{Form, UnlockSourceError};

/// Threads besides the workers: signals, renewal, what the store runs in the background.
const BACKGROUND_THREADS: usize = 2;
const ROTATE_TIMEOUT: Duration = Duration::from_secs(30);
const READY_PATH: &str = "/readyz";
const ROTATE_PATH: &str = "/strongroom/v1/admin/rotate";

/// Why the server did not start, or did not stop well. Each text says what to do next; none shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A file or folder of the home's.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process owns the home.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No unlock secret.
    #[error(transparent)]
    UnlockSource(#[from] UnlockSourceError),
    /// The unlock secret does not open the home.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The store or the API over it.
    #[error("the store: {0}")]
    Store(String),
    /// No certificate to present.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate authority.
    #[error("the certificate authority: {0}")]
    Pki(#[from] PkiError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source} (choose another with --listen)")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A command for an existing home was given another directory.
    #[error("{} is no home: check --home, or make one with `strongroom serve`", .0.display())]
    NoHome(PathBuf),
    /// There is no kubeconfig to write a new token into.
    #[error("{} cannot be read: start the server once, which writes it with a new token", .0.display())]
    NoKubeconfig(PathBuf),
    /// The running server was asked and did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The running server says that it cannot serve.
    #[error("the server is not ready: {0}")]
    NotReady(String),
    /// The running server refused.
    #[error("the server answered {0} and changed nothing: the token in admin.kubeconfig may be an old one")]
    Refused(u16),
    /// No randomness.
    #[error("the operating system gave no randomness")]
    Random,
    /// Threads, signals, the listener.
    #[error("the server: {0}")]
    Io(#[from] io::Error),
}

impl ServeError {
    fn store(error: impl std::fmt::Display) -> Self {
        Self::Store(error.to_string())
    }
}

/// Serves until a signal says stop. `announce` is given the first steps once connections are accepted.
///
/// Call from the main thread, before there are others.
pub fn run(config: ServeConfig, clock: SharedClock, announce: impl FnOnce(&str)) -> Result<(), ServeError> {
    hygiene::apply(config.limits.connections);
    runtime()?.block_on(serve(config, clock, announce))
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
pub fn rotate_admin_token(paths: &HomePaths, unlock: &UnlockConfig, clock: SharedClock) -> Result<(), ServeError> {
    hygiene::apply(0);
    if lock::holder(&paths.lock()).is_none() {
        return runtime()?.block_on(offline::rotate_admin_token(paths, unlock, clock, &mut Terminal));
    }
    let token = client::admin_token(paths)?;
    let answer = LocalServer::find(paths)?.post(ROTATE_PATH, &token, ROTATE_TIMEOUT)?;
    if answer.code != 200 {
        return Err(ServeError::Refused(answer.code));
    }
    Ok(())
}

async fn serve(config: ServeConfig, clock: SharedClock, announce: impl FnOnce(&str)) -> Result<(), ServeError> {
    let mut signals = Signals::install()?;
    let paths = config.home.clone();
    let UnlockedHome { mut lock, keyring, source, is_first_start } =
        offline::unlock(&paths, &config.unlock, &clock, &mut Terminal, true).await?;
    let assembly = Assembly::open(&paths, keyring, Arc::clone(&clock), config.cache.bytes(), config.swagger_ui).await?;

    let names = names(&config);
    let (certificate_source, presented) = present(&config, &assembly, &names, clock.unix_seconds()).await?;
    let tls = tls::server_config(Arc::clone(&presented.certificate))?;
    let wanted = config.listen.address();
    let bind_failed = |source| ServeError::Bind { address: wanted, source };
    let listener = listen::bind(wanted).map_err(bind_failed)?;
    let address = listener.local_addr().map_err(bind_failed)?;

    let server_url = server_url(address, &config.advertise);
    assembly.write_kubeconfig(&server_url, presented.trust.clone()).await?;
    lock.note(Some(address))?;
    let is_own = matches!(certificate_source, Source::Own(_));
    let text = FirstSteps {
        is_first_start,
        server: &server_url,
        home: paths.root(),
        kubeconfig: paths.kubeconfig(),
        trust: presented
            .trust
            .as_ref()
            .map(|_| if is_own { paths.presented_certificate() } else { paths.authority_certificate() }),
        key_file: source.path.as_deref().filter(|_| source.form == Form::Key),
        is_colocated: source.colocated,
        swagger_ui: config.swagger_ui,
    }
    .text();

    let hosts = Hosts { names, any_address: wanted.ip().is_unspecified() };
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server = listen::serve(listener, tls, &config.limits, hosts, assembly.clone(), workers)?;
    let renewal = Arc::new(Renewal { paths, source: certificate_source, presented, assembly: assembly.clone(), clock });
    let looking = tokio::spawn(Arc::clone(&renewal).run());
    tracing::info!(server.address = %address, "ready");
    announce(&text);

    let on_hangup = || {
        let renewal = Arc::clone(&renewal);
        tokio::spawn(async move { renewal.look(true).await });
    };
    let served = run_until_stopped(server, &assembly, &mut signals, on_hangup).await;
    looking.abort();
    assembly.close().await?;
    drop(lock);
    tracing::info!("stopped");
    Ok(served?)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(BACKGROUND_THREADS).enable_all().build()
}

/// The names clients may use: this machine's own, the address listened on, and what is advertised.
fn names(config: &ServeConfig) -> Names {
    let mut names = Names::local();
    names.add_address(config.listen.address().ip());
    for advertised in &config.advertise {
        names.add(advertised.host());
    }
    names
}

async fn present(
    config: &ServeConfig,
    assembly: &Assembly,
    names: &Names,
    now_unix_seconds: i64,
) -> Result<(Source, Presented), ServeError> {
    if let Some(files) = &config.tls {
        let (own, presented) = OwnCertificate::present(files.clone(), &config.home, now_unix_seconds)?;
        if let Some(missing) = config.advertise.iter().find(|advertised| !presented.names.contains(advertised.host())) {
            tracing::warn!(host = missing.host(), "the certificate does not stand for an advertised name");
        }
        return Ok((Source::Own(own), presented));
    }
    let authority = assembly.authority(now_unix_seconds).await?;
    Ok((Source::Generated, present_generated(&config.home, &authority, names, now_unix_seconds)?))
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
        assert_eq!(names(&config("127.0.0.1:0", &[])), Names::local());
        assert_eq!(names(&config("0.0.0.0:0", &[])), Names::local());
        let more = names(&config("10.0.0.1:1", &["Vault.Example:443"]));
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

//! `strongroom credentials`: gives keys of Secrets to systemd, for `LoadCredential=` of units.
//!
//! Each connection is one credential: who asks is looked at, the value is got from the server as by any client, so that roles and
//! the audit log see it, and written. Connections are threads of their own, so that none waits for another.
//!
//! What it never does: give a value to another user than root and its own, give what no option names, or log a value.

mod give;

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::give::{GiveOption, Given};
use super::CliError;
use super::connection::{ConnectionOptions, runtime};
use super::delivery::get;
use super::offline::OfflineOptions;
use super::output::{one_line, print};
use crate::config::{Environment, UnixSocket};
use crate::deliver::{Found, Requester};
use crate::sensitive::SecretBytes;
use crate::server::unix_socket::{SocketFile, bind};

const MODE: u32 = 0o600;
/// Connections at a time; others wait in the kernel's queue.
const AT_A_TIME: u32 = 32;
/// For a value to be taken, once it is there.
const TAKEN: Duration = Duration::from_secs(10);
/// Longer than a request and what is written may take: nobody is left with a part of a value.
const DRAIN: Duration = Duration::from_secs(75);
/// Before the next connection, where one could not be taken: descriptors may be used up.
const PAUSE: Duration = Duration::from_millis(200);
/// One byte more than systemd takes for a credential (`CREDENTIAL_SIZE_MAX`, 1 MiB), all of them zero.
///
/// That is how a unit is told that it gets nothing: systemd fails its start with "Argument list too long". A connection that is
/// closed without a byte would be an empty credential to it, and the unit would start with that.
const REFUSAL_BYTES: usize = 1024 * 1024 + 1;

/// Options of `credentials`.
#[derive(Args)]
pub struct Credentials {
    /// Where systemd connects to; - for the socket that standard input is, with StandardInput=socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// What a unit gets, under which name; * stands for anything in the name of the unit; may be repeated
    #[arg(long, value_name = "UNIT/CREDENTIAL=[NAMESPACE/]NAME:KEY", required = true, value_parser = GiveOption::parse)]
    give: Vec<GiveOption>,
    /// Namespace of what names none [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    offline: OfflineOptions,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Credentials {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        // What is wrong with the settings is told now, and not to the first unit.
        let connection = self.connection.connect(environment)?;
        drop(self.offline.open(environment, &connection)?);
        drop(connection);
        let (listener, _file) = self.listen()?;
        let runtime = runtime()?;
        let served = Arc::new(self);
        runtime.block_on(served.serve(listener))
    }

    fn listen(&self) -> Result<(UnixListener, Option<SocketFile>), CliError> {
        if self.socket == Path::new("-") {
            return Ok((of_standard_input()?, None));
        }
        let socket = UnixSocket::of_path("--socket", &self.socket, MODE)?;
        let (listener, file) = bind(&socket).map_err(|error| CliError::NotDone(error.to_string()))?;
        Ok((listener, Some(file)))
    }

    async fn serve(self: Arc<Self>, listener: UnixListener) -> Result<(), CliError> {
        let failed = |error: std::io::Error| CliError::NotDone(format!("connections cannot be waited for: {error}"));
        let mut signals = super::run::Signals::to_end().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
        let slots = Arc::new(Semaphore::new(usize::try_from(AT_A_TIME).unwrap_or(1)));
        print(&format!("{} credentials for systemd at {}\n", self.give.len(), self.socket.display()));
        loop {
            let next = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                _ = signals.next() => break,
                next = next => next,
            };
            // Nobody closes the semaphore.
            let Ok(slot) = slot else { break };
            let begun = accepted.and_then(|(stream, _)| Arc::clone(&self).begin(stream, slot));
            if let Err(error) = begun {
                tracing::warn!(%error, "a connection was not taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
        drop(listener);
        tokio::select! {
            _ = tokio::time::timeout(DRAIN, slots.acquire_many(AT_A_TIME)) => {}
            _ = signals.next() => {}
        }
        Ok(())
    }

    /// Has a thread see to a connection, if it is one of root's or of this user's.
    fn begin(self: Arc<Self>, stream: tokio::net::UnixStream, slot: OwnedSemaphorePermit) -> std::io::Result<()> {
        let peer = stream.peer_cred()?.uid();
        if peer != 0 && peer != rustix::process::geteuid().as_raw() {
            tracing::warn!(peer.uid = peer, "nothing is given to another user");
            return Ok(());
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let answer = move || {
            self.answer(stream);
            drop(slot);
        };
        std::thread::Builder::new().name("credential".to_owned()).spawn(answer).map(drop)
    }

    fn answer(&self, stream: UnixStream) {
        let Some(requester) = requester(&stream) else {
            tracing::warn!("nothing is given to who does not say, as systemd does, for which unit it asks");
            return;
        };
        let (unit, credential) = (one_line(&requester.unit), one_line(&requester.credential));
        let done = match self.value(&requester) {
            Ok((given, value)) => {
                let (namespace, name, key) = (&given.object.namespace, &given.object.name, &given.key);
                let written = write(stream, &value);
                if written.is_ok() {
                    tracing::info!(credential.unit = unit, credential.name = credential, object.namespace = %namespace, object.name = %name, object.key = key, "given");
                }
                written
            }
            Err(error) => {
                let why = one_line(&error.to_string().replace('\n', " "));
                tracing::warn!(credential.unit = unit, credential.name = credential, "not given: {why}");
                write(stream, &SecretBytes::new(vec![0; REFUSAL_BYTES]))
            }
        };
        // Who has read all that it takes closes the connection in the midst of a refusal.
        if let Err(error) = done
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            tracing::warn!(credential.unit = unit, credential.name = credential, %error, "the answer was not taken");
        }
    }

    /// What is to be given, got anew.
    fn value(&self, requester: &Requester) -> Result<(Given, SecretBytes), CliError> {
        // Each time, for a token is renewed in its file.
        let environment = Environment::of_process();
        let connection = self.connection.connect(&environment)?;
        let namespace = connection.namespace(self.namespace.as_deref());
        let none = || CliError::NotDone("no --give names it".to_owned());
        let given = GiveOption::find(&self.give, requester, namespace).ok_or_else(none)?;
        let kept = self.offline.open(&environment, &connection)?;
        let (objects, _) = get(&connection, &[given.object.clone()].into(), kept.as_ref())?;
        match objects.find(&given.object) {
            Found::Values(values) => match values.data.get(&given.key) {
                Some(value) => Ok((given, value.duplicate())),
                None => Err(CliError::NotDone(format!("{} has no key {}", given.object, given.key))),
            },
            Found::Absent => Err(CliError::NotDone(format!("{} is not there", given.object))),
            Found::Refused(why) => Err(CliError::NotDone(format!("{}: {why}", given.object))),
        }
    }
}

/// The socket that systemd listens on for this process.
fn of_standard_input() -> Result<UnixListener, CliError> {
    use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
    use rustix::net::{AddressFamily, SocketType};
    let input = rustix::stdio::stdin();
    let is_right = socket_domain(input) == Ok(AddressFamily::UNIX)
        && socket_type(input) == Ok(SocketType::STREAM)
        && socket_acceptconn(input) == Ok(true);
    let fail = |problem: String| CliError::NotDone(format!("--socket -: {problem}"));
    if !is_right {
        return Err(fail(
            "standard input is no Unix socket that is listened on: StandardInput=socket makes it one".to_owned(),
        ));
    }
    let owned: OwnedFd = input.as_fd().try_clone_to_owned().map_err(|error| fail(error.to_string()))?;
    Ok(UnixListener::from(owned))
}

#[cfg(target_os = "linux")]
fn requester(stream: &UnixStream) -> Option<Requester> {
    let address = rustix::net::getpeername(stream).ok()??;
    let address = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    Requester::of_address(address.abstract_name()?)
}

/// There is no systemd elsewhere, and no such address.
#[cfg(not(target_os = "linux"))]
fn requester(_: &UnixStream) -> Option<Requester> {
    None
}

/// Writes all of it, for as long as it is taken.
#[expect(clippy::disallowed_methods, reason = "the value is given to who may have it")]
fn write(mut stream: UnixStream, value: &SecretBytes) -> std::io::Result<()> {
    let end = Instant::now() + TAKEN;
    let mut rest = value.expose();
    while !rest.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

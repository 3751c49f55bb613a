//! From the first request to the last: signals, a stop that loses nothing, and the end of one application that another one
//! takes the place of.
//!
//! On SIGTERM or SIGINT requests in progress finish and streams get a clean end; a second signal stops at once.
//! SIGHUP has the certificate read again.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::gate::Gate;
use super::listen::Application;

/// The signals that the server heeds.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Caught so that a write beyond the file-size limit is an error of that write, and not the end of the process.
    _file_size: Signal,
}

/// Has a write beyond the file-size limit be an error of that write, and not the end of the process.
pub fn survive_file_size_limit() -> io::Result<Signal> {
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
}

/// What a signal asks for.
pub enum Heeded {
    /// To end: the signal's name.
    Stop(&'static str),
    /// To read the certificate again.
    Reload,
}

/// Why an application is no longer served.
pub enum Ended {
    /// The process is to end.
    Stopped,
    /// The home is to be sealed.
    Sealed,
}

/// How long requests may take to finish when an application is ended that another one takes the place of.
const FINISH: Duration = Duration::from_millis(700);
/// How long it may take to hand over the last bytes of an answer, and to finish a handshake that has begun.
const LINGER: Duration = Duration::from_millis(150);

impl Signals {
    /// Takes them over from the operating system's defaults.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: survive_file_size_limit()?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Heeded {
        tokio::select! {
            _ = self.terminate.recv() => Heeded::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Heeded::Stop("SIGINT"),
            _ = self.hangup.recv() => Heeded::Reload,
        }
    }

    /// Waits for a signal that says stop; its name.
    pub async fn stop(&mut self) -> &'static str {
        loop {
            if let Heeded::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// Serves until a signal says stop, then drains; or until `seal` is told, then ends within a second.
pub async fn run_until_stopped<A: Application>(
    server: Server,
    (application, gate): (&A, &Gate),
    signals: &mut Signals,
    on_hangup: impl Fn(),
    seal: &Notify,
) -> io::Result<Ended> {
    let handle = server.handle();
    let mut server = pin!(server);
    let name = loop {
        tokio::select! {
            ended = &mut server => return ended.map(|()| Ended::Stopped),
            () = seal.notified() => {
                tracing::warn!("sealing: streams end and requests finish");
                application.begin_shutdown();
                return close(server, &handle, gate).await.map(|()| Ended::Sealed);
            }
            heeded = signals.next() => match heeded {
                Heeded::Stop(name) => break name,
                Heeded::Reload => on_hangup(),
            },
        }
    };
    tracing::info!(signal = name, "stopping: requests in progress finish");
    application.begin_shutdown();
    // The command is on its way; the server itself does the draining, so it is the server that is awaited.
    drop(handle.stop(true));
    tokio::select! {
        ended = &mut server => ended?,
        name = signals.stop() => tracing::warn!(signal = name, "stopping at once"),
    }
    Ok(Ended::Stopped)
}

/// Ends a server within a second. New connections wait in the kernel's queue for whoever listens next; requests that take
/// longer are given up.
pub async fn close(mut server: Pin<&mut Server>, handle: &ServerHandle, gate: &Gate) -> io::Result<()> {
    // The commands are on their way; the server carries them out when it is polled.
    drop(handle.pause());
    gate.close();
    let finished = async {
        let _ = tokio::time::timeout(FINISH, gate.empty()).await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        ended = &mut server => return ended,
        () = finished => {}
    }
    drop(handle.stop(false));
    server.await
}

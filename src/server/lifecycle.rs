//! From the first request to the last: signals, and a stop that loses nothing.
//!
//! On SIGTERM or SIGINT requests in progress finish and streams get a clean end; a second signal stops at once.
//! SIGHUP has the certificate read again.

use std::io;
use std::pin::pin;

use actix_web::dev::Server;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

enum Heeded {
    Stop(&'static str),
    Reload,
}

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

    async fn next(&mut self) -> Heeded {
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

/// Serves until a signal says stop, then drains.
pub async fn run_until_stopped<A: Application>(
    server: Server,
    application: &A,
    signals: &mut Signals,
    on_hangup: impl Fn(),
) -> io::Result<()> {
    let handle = server.handle();
    let mut server = pin!(server);
    let name = loop {
        tokio::select! {
            ended = &mut server => return ended,
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
        ended = &mut server => ended,
        name = signals.stop() => {
            tracing::warn!(signal = name, "stopping at once");
            Ok(())
        }
    }
}

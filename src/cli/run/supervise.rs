//! Stays beside the command: passes signals on, masks what it prints, restarts it or tells it when a Secret has changed.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use super::child::Program;
use super::files::Files;
use super::output::Masked;
use super::signals::{Signals, pass_on};
use super::wanted::Wanted;
use crate::cli::offline::{Kept, witness};
use crate::cli::{CliError, warn};
use crate::deliver::{Begin, FetchError, Objects, Update, keep};
use crate::kube_client::Client;
use crate::server::Former;

/// Between SIGTERM and SIGKILL, as `docker stop` waits.
const STOP: Duration = Duration::from_secs(10);

/// A command, and what it is to be given.
pub struct Supervision<'a> {
    pub client: &'a Client,
    pub wanted: &'a Wanted,
    pub objects: Objects,
    /// Whence those are.
    pub begin: Begin,
    pub kept: Option<&'a Kept>,
    pub files: Option<&'a mut Files>,
    pub only: &'a [String],
    pub program: &'a Program,
    pub former: &'a Former,
    pub redacts: bool,
    pub watches: bool,
    /// Sent on a change, instead of a restart.
    pub signal: Option<Signal>,
}

/// What happens beside the command.
enum Next {
    Ended(io::Result<ExitStatus>),
    Signal(Signal),
    Update(Update),
    Sweep,
    Unheard(FetchError),
}

impl Supervision<'_> {
    /// Until the command has ended by itself, or was told to. What to end with.
    pub async fn run(mut self, told: impl Fn(FetchError) -> CliError) -> Result<u8, CliError> {
        let signals = Signals::for_command();
        let mut signals =
            signals.map_err(|error| CliError::NotDone(format!("signals cannot be passed on: {error}")))?;
        let (sender, mut updates) = unbounded_channel();
        let (known, client, begin) = (self.objects.states(), self.client, self.begin);
        let witness = witness(self.kept);
        // Without a Secret there is nothing that could change.
        let watches = self.watches && !known.is_empty();
        let mut keeping = Box::pin(async {
            if watches { keep(client, known, begin, &witness, sender).await } else { std::future::pending().await }
        });
        let mut masked = None;
        // With --watch, nothing is started before a change of what it gets would be heard of, if there is a server to hear it from.
        let mut child = if watches && begin == Begin::Got { None } else { Some(self.start(&mut masked)?) };
        let mut sweep = None;
        loop {
            let next = tokio::select! {
                status = ended(child.as_mut()) => Next::Ended(status),
                signal = signals.next() => Next::Signal(signal),
                Some(update) = updates.recv() => Next::Update(update),
                () = at(sweep) => Next::Sweep,
                Err(error) = &mut keeping => Next::Unheard(error),
            };
            match next {
                Next::Sweep => sweep = self.files.as_mut().and_then(|files| files.sweep()),
                Next::Ended(status) => {
                    if let Some(masked) = &mut masked {
                        masked.finish().await;
                    }
                    return Ok(code(&status));
                }
                Next::Signal(signal) => match &child {
                    Some(child) => pass_on(signal, pid(child)),
                    None => return Ok(code_of(signal)),
                },
                // Comes before there is a command.
                Next::Unheard(error) => return Err(told(error)),
                Next::Update(Update::Lost(why)) => warn(&format!("changes are not heard of at present: {why}")),
                Next::Update(Update::Back) => warn("changes are heard of again"),
                Next::Update(Update::Listening) if child.is_some() => {}
                Next::Update(Update::Listening) => child = Some(self.start(&mut masked)?),
                Next::Update(Update::Changed(objects)) => {
                    self.objects.extend(objects);
                    match self.deliver(masked.as_mut()) {
                        Ok(()) => sweep = self.files.as_mut().and_then(|files| files.sweep()),
                        Err(error) => {
                            warn(&format!("a Secret has changed; the command goes on with what it has: {error}"));
                            continue;
                        }
                    }
                    let Some(running) = &mut child else { continue };
                    if let Some(signal) = self.signal {
                        if let Some(pid) = pid(running) {
                            // A command that has just ended needs no signal.
                            let _ = kill_process(pid, signal);
                        }
                        continue;
                    }
                    warn("a Secret has changed: the command is restarted");
                    if let Some(code) = stop(running, &mut signals).await {
                        return Ok(code);
                    }
                    child = Some(self.start(&mut masked)?);
                }
            }
        }
    }

    /// Writes the files as they are to be now, and has the values in them masked before.
    fn deliver(&mut self, masked: Option<&mut Masked>) -> Result<(), CliError> {
        let delivery = self.wanted.make(&self.objects, self.only)?;
        if let Some(masked) = masked {
            masked.change(delivery.values())?;
        }
        self.files.as_mut().map_or(Ok(()), |files| files.write(&delivery))
    }

    /// Starts the command with what there is now.
    fn start(&self, masked: &mut Option<Masked>) -> Result<Child, CliError> {
        let delivery = self.wanted.make(&self.objects, self.only)?;
        if self.redacts && masked.is_none() {
            *masked = Some(Masked::new(delivery.values())?);
        }
        let volumes = self.files.as_ref().and_then(|files| files.variable());
        let mut command = Command::from(self.program.command(&delivery, volumes)?);
        if self.redacts {
            Masked::prepare(&mut command);
        }
        let mut child = self.former.lend(|| command.spawn()).map_err(|error| self.program.failed(&error))?;
        if let Some(masked) = masked {
            masked.attach(&mut child);
        }
        Ok(child)
    }
}

async fn at(time: Option<std::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

async fn ended(child: Option<&mut Child>) -> io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Asks the command to end, and makes it. What to end with, where this process was told to end meanwhile.
async fn stop(child: &mut Child, signals: &mut Signals) -> Option<u8> {
    let pid = pid(child);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    let until = Instant::now() + STOP;
    let mut told = None;
    loop {
        tokio::select! {
            status = child.wait() => return told.map(|()| code(&status)),
            signal = signals.next() => {
                pass_on(signal, pid);
                if matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT | Signal::HUP) {
                    told = Some(());
                }
            }
            () = tokio::time::sleep_until(until) => {
                let _ = child.start_kill();
            }
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
}

/// As shells have it.
fn code(status: &io::Result<ExitStatus>) -> u8 {
    let code = status.as_ref().ok().and_then(|status| {
        let by_signal = || status.signal().map(|signal| 128 + signal);
        status.code().or_else(by_signal)
    });
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}

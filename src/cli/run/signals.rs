//! Signals that are meant for the command.
//!
//! Those that a terminal sends, it sends to the command as well, which is in the same process group: passed on, it would get
//! them twice. What this process was told to ignore (`nohup`) is left alone, so that the command ignores it too.

use std::fs::File;
use std::io;

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const PASSED_ON: [Signal; 7] =
    [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::ALARM];

/// What arrives for this process.
pub struct Signals(UnboundedReceiver<Signal>);

impl Signals {
    /// Those of [`PASSED_ON`] that are not ignored. Call before the command is started, inside a runtime.
    pub fn for_command() -> io::Result<Self> {
        let ignored = ignored();
        Self::of(PASSED_ON.into_iter().filter(|signal| ignored >> (signal.as_raw() - 1) & 1 == 0))
    }

    /// Those that ask for an end, but for what is ignored.
    pub fn to_end() -> io::Result<Self> {
        let ignored = ignored();
        let all = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
        Self::of(all.into_iter().filter(|signal| ignored >> (signal.as_raw() - 1) & 1 == 0))
    }

    fn of(signals: impl Iterator<Item = Signal>) -> io::Result<Self> {
        let (sender, receiver) = unbounded_channel();
        for number in signals {
            let mut arrivals = signal(SignalKind::from_raw(number.as_raw()))?;
            let sender = sender.clone();
            tokio::spawn(async move { while arrivals.recv().await.is_some() && sender.send(number).is_ok() {} });
        }
        Ok(Self(receiver))
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// Passes a signal on, unless the command has it from the terminal.
pub fn pass_on(signal: Signal, to: Option<Pid>) {
    let Some(to) = to else { return };
    if matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground() {
        return;
    }
    // A command that has just ended needs no signal.
    let _ = kill_process(to, signal);
}

/// Whether keys that are typed reach this process's group.
fn is_in_foreground() -> bool {
    let Ok(terminal) = File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// The signals that are ignored, a bit each, from signal 1 on; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

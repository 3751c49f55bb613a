//! Processes that end with this one, whatever ends it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::failure::{Outcome, within};

/// Turns this program into another one, after it has asked the kernel to be killed when its parent is gone.
pub const LAUNCH: &str = "--launch";

const STOP_LIMIT: Duration = Duration::from_mins(1);
const LAST_LINES: usize = 8;

/// A server's process.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it prints goes to the file `log`.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Outcome<Self> {
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(LAUNCH).arg(program).args(arguments);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"STRONGROOM_")) {
            command.env_remove(name);
        }
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        Ok(Self { child, log })
    }

    /// The process's id, also after it has become another program.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error with its last words, if it has ended.
    pub fn check_alive(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("it ended ({status}): {}", self.last_words()).into()),
        }
    }

    /// Asks it to stop and waits. How long that took.
    pub async fn stop(mut self) -> Outcome<Duration> {
        let begun = Instant::now();
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).ok_or("a process without an id")?;
        kill_process(id, Signal::TERM)?;
        let status: ExitStatus = within(STOP_LIMIT, "a server that was told to stop", async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return Ok::<_, std::io::Error>(status);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await??;
        let took = begun.elapsed();
        if !status.success() {
            return Err(format!("it did not stop cleanly ({status}): {}", self.last_words()).into());
        }
        Ok(took)
    }

    /// The end of what it printed.
    pub fn last_words(&self) -> String {
        let text =
            std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n  ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `--launch PROGRAM ARGUMENT…`
pub fn launch() -> Outcome<()> {
    end_with_parent()?;
    let mut arguments = std::env::args_os().skip(2);
    let program = arguments.next().ok_or("no program to launch")?;
    Err(Command::new(&program).args(arguments).exec().into())
}

/// To be killed when the bench is gone.
pub fn end_with_parent() -> Outcome<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

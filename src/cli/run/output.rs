//! What the command prints, with values masked on the way.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch::{Receiver, Sender};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::deliver::Redactor;
use crate::sensitive::SecretBytes;

const PIECE_BYTES: usize = 16 * 1024;

/// Masks what commands print, with the values of now and all before them.
pub struct Masked {
    redactor: Sender<Arc<Redactor>>,
    known: Vec<SecretBytes>,
    pumps: Vec<JoinHandle<()>>,
}

impl Masked {
    /// With these values.
    pub fn new(values: Vec<SecretBytes>) -> Result<Self, CliError> {
        let redactor = redactor(&values)?;
        Ok(Self { redactor: Sender::new(redactor), known: values, pumps: Vec::new() })
    }

    /// Goes on with other values; those of before are still masked, for they are still known to whoever had them. The
    /// oldest are let go where all are too much to look for.
    #[expect(clippy::disallowed_methods, reason = "a value is known once, however often it is given")]
    pub fn change(&mut self, values: Vec<SecretBytes>) -> Result<(), CliError> {
        self.known.retain(|known| !values.iter().any(|value| value.expose() == known.expose()));
        let mut former = self.known.len();
        self.known.extend(values);
        let mut made = redactor(&self.known);
        while made.is_err() && former > 0 {
            let half = former.div_ceil(2);
            self.known.drain(..half);
            former -= half;
            made = redactor(&self.known);
        }
        self.redactor.send_replace(made?);
        Ok(())
    }

    /// Has the command print into pipes. It sees that it does not print to a terminal.
    pub fn prepare(command: &mut Command) {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Begins to pass on what the command prints.
    pub fn attach(&mut self, child: &mut Child) {
        if let Some(pipe) = child.stdout.take() {
            self.pumps.push(tokio::spawn(pump(pipe, std::io::stdout(), self.redactor.subscribe())));
        }
        if let Some(pipe) = child.stderr.take() {
            self.pumps.push(tokio::spawn(pump(pipe, std::io::stderr(), self.redactor.subscribe())));
        }
        self.pumps.retain(|pump| !pump.is_finished());
    }

    /// Until nobody prints any more: what a command leaves behind may still.
    pub async fn finish(&mut self) {
        for pump in self.pumps.drain(..) {
            let _ = pump.await;
        }
    }
}

fn redactor(values: &[SecretBytes]) -> Result<Arc<Redactor>, CliError> {
    Redactor::new(values).map(Arc::new).map_err(|error| CliError::NotDone(error.to_string()))
}

/// To the end of the pipe. Where nobody reads what comes out, the pipe is closed, as it would be without this between.
async fn pump(mut pipe: impl AsyncRead + Unpin, mut to: impl Write, mut redactor: Receiver<Arc<Redactor>>) {
    let mut stream = redactor.borrow_and_update().stream();
    let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
    let mut shown = Vec::with_capacity(PIECE_BYTES);
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        if redactor.has_changed().unwrap_or(false) {
            let next = Arc::clone(&redactor.borrow_and_update());
            stream = stream.go_on_with(&next, &mut shown);
        }
        stream.push(piece.get(..count).unwrap_or_default(), &mut shown);
        if to.write_all(&shown).and_then(|()| to.flush()).is_err() {
            return;
        }
        shown.clear();
    }
    stream.finish(&mut shown);
    let _ = to.write_all(&shown).and_then(|()| to.flush());
}

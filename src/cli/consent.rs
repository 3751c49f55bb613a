//! Questions that a person at the terminal is asked before something is done that cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::CliError;

/// Whether somebody is there to be asked.
pub fn is_asked() -> bool {
    io::stdin().is_terminal()
}

/// Asks a question that ends in `[y/N] `. Anything but yes is no.
pub fn agrees(question: &str) -> Result<bool, CliError> {
    let failed = |error: io::Error| CliError::NotDone(format!("the terminal: {error}"));
    let mut terminal = io::stderr();
    write!(terminal, "{question}").and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

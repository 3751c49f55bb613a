//! Options of `run` that are more than a word.

use rustix::process::Signal;

use crate::deliver::{Reference, is_variable_name};

/// `--env VARIABLE=[NAMESPACE/]NAME[?]:KEY`
#[derive(Debug, Clone)]
pub struct EnvOption {
    /// The variable.
    pub name: String,
    /// The Secret.
    pub secret: Reference,
    /// Which of its keys.
    pub key: String,
}

/// `--signal HUP`
#[derive(Debug, Clone, Copy)]
pub struct SignalOption(pub Signal);

impl EnvOption {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "give VARIABLE=NAMESPACE/NAME:KEY".to_owned();
        let (name, reference) = text.split_once('=').ok_or_else(wrong)?;
        let secret = Reference::parse(reference).map_err(|error| error.to_string())?;
        let key = secret.rest.clone().filter(|key| !key.is_empty()).ok_or_else(wrong)?;
        Ok(Self { name: variable_name(name)?, secret, key })
    }
}

impl SignalOption {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_uppercase();
        let signal = match name.strip_prefix("SIG").unwrap_or(&name) {
            "HUP" => Signal::HUP,
            "INT" => Signal::INT,
            "QUIT" => Signal::QUIT,
            "USR1" => Signal::USR1,
            "USR2" => Signal::USR2,
            "ALRM" => Signal::ALARM,
            "TERM" => Signal::TERM,
            "WINCH" => Signal::WINCH,
            _ => return Err("give HUP, INT, QUIT, USR1, USR2, ALRM, TERM or WINCH".to_owned()),
        };
        Ok(Self(signal))
    }
}

/// A Secret whose keys become variables, behind a prefix.
pub fn secret_option(text: &str) -> Result<Reference, String> {
    let reference = Reference::parse(text).map_err(|error| error.to_string())?;
    match &reference.rest {
        Some(prefix) if !prefix.is_empty() => variable_name(prefix).map(|_| reference.clone()),
        _ => Ok(reference),
    }
}

/// The name of a variable.
pub fn variable_name(text: &str) -> Result<String, String> {
    if is_variable_name(text) {
        Ok(text.to_owned())
    } else {
        Err("the name of a variable is of printable ASCII characters other than '='".to_owned())
    }
}

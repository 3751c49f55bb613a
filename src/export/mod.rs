//! Secrets as bytes of other formats.
//!
//! Pure: Secrets and options come in, bytes go out. What it never does: change a value so that it fits a
//! format (that is an error which names Secret and key), or put a value into an error.

mod environment;
mod manifests;
mod secret;

use std::fmt;
use std::str::FromStr;

use crate::sensitive::{SecretBuffer, SecretBytes};

pub use manifests::ManifestStream;
pub use secret::SecretDocument;

/// What Secrets can be turned into. The names of `Display` and `FromStr` are the ones users write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `yaml`: Secret manifests, as `kubectl create secret … --dry-run=client -o yaml` prints them.
    Yaml,
    /// `json`: the same with `-o json`.
    Json,
    /// `dotenv`: a `.env` file as python-dotenv reads it; where several readers agree on a form, that one.
    Dotenv,
    /// `shell`: `export` commands for a POSIX shell.
    Shell,
    /// `docker-env`: what `docker run --env-file` reads.
    DockerEnv,
    /// `systemd-env`: what `EnvironmentFile=` reads (systemd.exec(5)).
    SystemdEnv,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Yaml, Self::Json, Self::Dotenv, Self::Shell, Self::DockerEnv, Self::SystemdEnv];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Shell => "shell",
            Self::DockerEnv => "docker-env",
            Self::SystemdEnv => "systemd-env",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a format; formats are yaml, json, dotenv, shell, docker-env and systemd-env")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(UnknownFormat)
    }
}

/// What a format may need besides the Secrets.
#[derive(Default)]
pub struct Options {
    /// Manifests: values that are text stand under `stringData` as they are, the others under `data`.
    pub string_data: bool,
}

/// Why Secrets were not exported. Secrets are named as `namespace/name`; values never appear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// What was given is no Secret.
    #[error("not a Secret: {0}")]
    NotASecret(&'static str),
    /// A value under `data` that cannot be decoded.
    #[error("key {key} of Secret {secret} is not base64")]
    NotBase64 {
        /// `namespace/name`
        secret: String,
        /// The key of its `data`.
        key: String,
    },
    /// The format has no way to write a key or a value so that it is read back unchanged.
    #[error("format {format} cannot carry key {key} of Secret {secret}: {reason}")]
    NotCarried {
        /// The format that was asked for.
        format: Format,
        /// `namespace/name`
        secret: String,
        /// The key of its `data`.
        key: String,
        /// What stands in the way.
        reason: &'static str,
    },
    /// Two Secrets have a key in common, and the format has one name space.
    #[error("key {key} is in Secret {first} and in Secret {second}, and a file of this format can hold one of them")]
    KeyTwice {
        /// The key.
        key: String,
        /// `namespace/name`
        first: String,
        /// `namespace/name`
        second: String,
    },
}

/// Turns Secrets into one file of `format`. Secrets stay in the order in which they are given, keys are sorted.
pub fn render(secrets: &[SecretDocument], format: Format, options: &Options) -> Result<SecretBytes, ExportError> {
    match format {
        Format::Yaml | Format::Json => {
            let mut out = SecretBuffer::default();
            let mut stream = ManifestStream::new(format == Format::Json, secrets.len() != 1, options.string_data);
            for secret in secrets {
                stream.push(secret, &mut out);
            }
            stream.finish(&mut out);
            Ok(out.take())
        }
        Format::Dotenv | Format::Shell | Format::DockerEnv | Format::SystemdEnv => environment::render(secrets, format),
    }
}

#[cfg(test)]
mod tests;

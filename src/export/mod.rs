//! Secrets as bytes of other formats.
//!
//! Pure: Secrets, options, time and randomness come in, bytes go out. What it never does: change a value so that it fits a
//! format (that is an error which names Secret and key), or put a value into an error.

mod age;
mod age_file;
mod certificate;
mod environment;
mod manifests;
mod primitives;
mod references;
mod sealed_secret;
mod secret;
mod sops;
mod sops_read;

use std::fmt;
use std::str::FromStr;

use crate::sensitive::{SecretBuffer, SecretBytes};

pub use age::{AgeKeyError, Identity, Recipient};
pub use age_file::{AgeReader, AgeWriter, parse_identities};
pub use certificate::{CertificateError, SealingCertificate};
pub use manifests::ManifestStream;
pub use references::ExternalStore;
pub use sealed_secret::{
    EarlierError, EarlierSealedSecret, FINGERPRINTS, PREVIOUS_MAX_BYTES, Scope, Sealing, UnknownScope,
};
pub use secret::{SecretDocument, decode};
pub use sops_read::{SopsError, decrypt as decrypt_sops};

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
    /// `sealedsecret`: bitnami.com/v1alpha1, for the sealed-secrets controller.
    SealedSecret,
    /// `sops`: manifests whose values are encrypted to age recipients.
    Sops,
    /// `external-secret`: external-secrets.io/v1, by which an operator fetches the Secrets from this server.
    ExternalSecret,
    /// `pod`: the parts of a Pod that uses the Secrets.
    Pod,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 10] = [
        Self::Yaml,
        Self::Json,
        Self::Dotenv,
        Self::Shell,
        Self::DockerEnv,
        Self::SystemdEnv,
        Self::SealedSecret,
        Self::Sops,
        Self::ExternalSecret,
        Self::Pod,
    ];

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
            Self::SealedSecret => "sealedsecret",
            Self::Sops => "sops",
            Self::ExternalSecret => "external-secret",
            Self::Pod => "pod",
        }
    }

    /// Whether what it makes shows the values to whoever reads it.
    #[must_use]
    pub const fn shows_values(self) -> bool {
        !matches!(self, Self::SealedSecret | Self::Sops | Self::ExternalSecret | Self::Pod)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a format; formats are yaml, json, dotenv, shell, docker-env, systemd-env, sealedsecret, sops, external-secret and pod"
)]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(UnknownFormat)
    }
}

/// What a format may need besides the Secrets.
#[derive(Default)]
pub struct Options<'a> {
    /// Manifests and SOPS: values that are text stand under `stringData` as they are, the others under `data`.
    pub string_data: bool,
    /// The time that a SOPS file is marked with, in seconds since the epoch.
    pub now_seconds: i64,
    /// To whom SOPS encrypts.
    pub recipients: &'a [Recipient],
    /// How a SealedSecret is sealed.
    pub sealing: Option<Sealing<'a>>,
    /// How an operator in a cluster reaches this server.
    pub external_store: Option<ExternalStore<'a>>,
}

/// The source of randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no randomness is to be had")]
pub struct NoRandomness;

/// Fills its argument with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), NoRandomness>;

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
    /// A Secret that a format cannot hold as a whole.
    #[error("format {format} cannot hold Secret {secret}: {reason}")]
    NotHeld {
        /// The format that was asked for.
        format: Format,
        /// `namespace/name`
        secret: String,
        /// What stands in the way.
        reason: &'static str,
    },
    /// An option is missing.
    #[error("format {format} needs {what}")]
    Needs {
        /// The format that was asked for.
        format: Format,
        /// The option.
        what: &'static str,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A primitive refused its input.
    #[error("encryption failed")]
    Encryption,
}

/// Turns Secrets into one file of `format`. Secrets stay in the order in which they are given, keys are sorted.
///
/// `random` is asked by the formats that encrypt only. (The padding of RSA-OAEP draws its seed from the library that makes it.)
pub fn render(
    secrets: &[SecretDocument],
    format: Format,
    options: &Options<'_>,
    random: Random<'_>,
) -> Result<SecretBytes, ExportError> {
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
        Format::SealedSecret => {
            const NEEDS: ExportError =
                ExportError::Needs { format: Format::SealedSecret, what: "the certificate of a controller" };
            sealed_secret::render(secrets, options.sealing.as_ref().ok_or(NEEDS)?, random)
        }
        Format::Sops => sops::render(secrets, options, random),
        Format::ExternalSecret => {
            const NEEDS: ExportError =
                ExportError::Needs { format: Format::ExternalSecret, what: "the URL and authorities of this server" };
            Ok(references::external_secrets(secrets, options.external_store.as_ref().ok_or(NEEDS)?))
        }
        Format::Pod => references::pod(secrets),
    }
}

#[cfg(test)]
mod tests;

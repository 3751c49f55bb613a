//! `strongroom secret delete`

use clap::Args;

use super::place::SecretName;
use super::writing::WriteOptions;
use crate::cli::{CliError, completion};
use crate::config::Environment;

/// Options of `secret delete`.
#[derive(Args)]
pub struct Delete {
    /// The Secrets
    #[arg(value_name = "[NAMESPACE/]NAME", required = true, value_parser = SecretName::parse, add = completion::secrets())]
    secrets: Vec<SecretName>,
    #[command(flatten)]
    write: WriteOptions,
}

impl Delete {
    /// Each of them; what cannot be deleted is told, and the others are deleted all the same, as kubectl does it.
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let mut refused = Vec::new();
        let mut deleted = 0;
        for name in &self.secrets {
            let id = place.id(name);
            match self.write.delete(&place, &id, None) {
                Ok(true) => self.write.tell(&id, "deleted", ""),
                Ok(false) => self.write.tell(&id, "deleted", ", once its finalizers are gone"),
                Err(error) => {
                    // A server that is not there is asked once.
                    let error = error.or_unavailable();
                    if !matches!(error, CliError::Server(_)) {
                        return Err(if deleted == 0 { error } else { CliError::PartlyDone(error.to_string()) });
                    }
                    refused.push(error);
                    continue;
                }
            }
            deleted += 1;
        }
        match refused.len() {
            0 => Ok(()),
            1 if deleted == 0 => Err(refused.remove(0)),
            _ => {
                let told = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                Err(if deleted == 0 { CliError::NotDone(told) } else { CliError::PartlyDone(told) })
            }
        }
    }
}

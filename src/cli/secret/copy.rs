//! `strongroom secret copy` and `rename`.
//!
//! What it never does: write over a Secret that is there, or delete another state than the one that was copied.

use clap::Args;

use super::place::{Id, Place, SecretName};
use super::writing::{State, WriteOptions};
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::export::SecretDocument;
use crate::sensitive::Document;

/// Options of `secret copy` and `secret rename`.
#[derive(Args)]
pub struct Copy {
    /// The Secret
    #[arg(value_name = "FROM", value_parser = SecretName::parse, add = completion::secrets())]
    from: SecretName,
    /// Its new name; there may be none of that name yet
    #[arg(value_name = "TO", value_parser = SecretName::parse, add = completion::secrets())]
    to: SecretName,
    #[command(flatten)]
    write: WriteOptions,
}

impl Copy {
    /// Type, labels, annotations, values: what a person gave it.
    pub(super) fn copy(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let (from, to) = self.both(&place)?;
        let secret = place.get(&from)?;
        self.write_copy(&place, &secret, &to)?;
        self.write.tell(&from, "copied", &format!(" to {to}"));
        Ok(())
    }

    /// A copy, and then the deletion of what was copied, if it is still the same. What happens when that fails is told.
    pub(super) fn rename(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let (from, to) = self.both(&place)?;
        let secret = place.get(&from)?;
        self.write_copy(&place, &secret, &to)?;
        match self.write.delete(&place, &from, Some(&State::of(&secret))) {
            Ok(true) => {
                self.write.tell(&from, "renamed", &format!(" to {to}"));
                Ok(())
            }
            Ok(false) => Err(CliError::PartlyDone(format!(
                "{from} is copied to {to}, and is deleted as soon as its finalizers are gone"
            ))),
            Err(error) => Err(CliError::PartlyDone(half_done(&from, &to, error.or_unavailable()))),
        }
    }

    fn both(&self, place: &Place) -> Result<(Id, Id), CliError> {
        let (from, to) = (place.id(&self.from), place.id(&self.to));
        if from == to {
            return Err(CliError::NotDone(format!("{from} has that name already")));
        }
        Ok((from, to))
    }

    fn write_copy(&self, place: &Place, secret: &Document, to: &Id) -> Result<(), CliError> {
        let read = SecretDocument::read(secret);
        let read = read.map_err(|_| CliError::NotDone("the server did not answer with a Secret".to_owned()))?;
        self.write.create_object(place, to, &read.named(&to.namespace, &to.name).object())
    }
}

/// Both are there, or nobody knows.
fn half_done(from: &Id, to: &Id, error: CliError) -> String {
    let told = error.to_string();
    match error {
        CliError::Server(failure) if failure.code == 409 => format!(
            "{from} is copied to {to}, but was changed meanwhile and is kept: {to} has what it held before; compare the two, and delete one"
        ),
        CliError::Server(failure) if failure.code == 404 => {
            format!("{from} is copied to {to}; somebody else has deleted {from} meanwhile")
        }
        CliError::Server(_) => format!("{from} is copied to {to}, but is kept, for it was not deleted: {told}"),
        // The answer may have been lost on its way.
        _ => format!("{from} is copied to {to}; whether {from} is deleted is not known: {told}"),
    }
}

//! `strongroom secret unset`: takes keys away, and leaves the others as they are.

use clap::Args;
use serde_json::{Map, Value};

use super::place::{SecretName, key_option, values};
use super::set::listed;
use super::writing::{State, WriteOptions};
use crate::cli::{CliError, completion};
use crate::config::Environment;

/// Options of `secret unset`.
#[derive(Args)]
pub struct Unset {
    /// The Secret
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// The keys to take away
    #[arg(value_name = "KEY", required = true, value_parser = key_option, add = completion::keys())]
    keys: Vec<String>,
    #[command(flatten)]
    write: WriteOptions,
}

impl Unset {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = self.write.place(environment)?;
        let id = place.id(&self.secret);
        let secret = place.get(&id)?;
        let there = values(&secret)?;
        let missing = self.keys.iter().filter(|key| !there.contains_key(*key));
        let missing = listed(missing);
        if !missing.is_empty() {
            let keys = if there.is_empty() { "none".to_owned() } else { listed(there.keys()) };
            return Err(CliError::NotDone(format!(
                "Secret {id} has no key {missing}: it has {keys}; nothing was changed"
            )));
        }
        // This very Secret, in whatever state: keys that others change meanwhile are theirs.
        let mut metadata = State::of(&secret).metadata();
        metadata.remove("resourceVersion");
        let gone: Map<String, Value> = self.keys.iter().map(|key| (key.clone(), Value::Null)).collect();
        let patch = [("metadata", metadata), ("data", gone)];
        let patch = patch.into_iter().map(|(field, fields)| (field.to_owned(), Value::Object(fields)));
        self.write.patch(&place, &id, patch.collect())?;
        self.write.tell(&id, "changed", &format!(": {} taken away", listed(self.keys.iter())));
        Ok(())
    }
}

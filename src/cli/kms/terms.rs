//! `strongroom kms rotate` and `strongroom kms retire`: terms made and destroyed.

use clap::Args;
use serde_json::{Value, json};

use super::KEYS;
use crate::cli::CliError;
use crate::cli::connection::{ConnectionOptions, body};
use crate::cli::output::{one_line, print, text_at};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};
use crate::sensitive::Document;

/// Options of `kms rotate`.
#[derive(Args)]
pub struct Rotate {
    /// The KMSKey
    key: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// Options of `kms retire`.
#[derive(Args)]
pub struct Retire {
    /// The KMSKey
    key: String,
    /// Key id of the term, as `kms report` shows it
    key_id: String,
    /// For how long it must not have been seen, as Go writes a length of time [default: 49h]
    #[arg(long, value_name = "DURATION")]
    unseen_for: Option<String>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Rotate {
    #[expect(clippy::disallowed_methods, reason = "a key id is no secret")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let answer = connection.object(post(&self.key, "rotate", json!({})))?;
        let id = one_line(text_at(answer.expose(), "/status/currentKeyID"));
        print(&format!(
            "{} encrypts with {id} from now on.\nAn API server hears of it within a minute. What it stored before is still \
             read; `strongroom kms config` says how to have it encrypted anew.\n",
            one_line(&self.key)
        ));
        Ok(())
    }
}

impl Retire {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let connection = self.connection.connect(environment)?;
        let mut spec = json!({"keyID": self.key_id});
        if let (Some(unseen_for), Some(fields)) = (self.unseen_for, spec.as_object_mut()) {
            fields.insert("unseenFor".to_owned(), unseen_for.into());
        }
        connection.object(post(&self.key, "retire", json!({"spec": spec})))?;
        print(&format!("{} is destroyed.\n", one_line(&self.key_id)));
        Ok(())
    }
}

fn post(key: &str, subresource: &str, object: Value) -> Request {
    Request::post(format!("{KEYS}/{}/{subresource}", encode_segment(key)), body(&Document::new(object)))
}

//! Which Secret is meant, and the server that has it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::cli::CliError;
use crate::cli::connection::{Connection, ConnectionOptions};
use crate::config::Environment;
use crate::export::SecretDocument;
use crate::kube_client::{Request, encode_segment};
use crate::model::validation::names::{dns1123_label, dns1123_subdomain, secret_key};
use crate::sensitive::{Document, SecretBytes};

/// A Secret as it is named on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    namespace: Option<String>,
    name: String,
}

/// A Secret whose namespace is known. `Display` gives `prod/db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id {
    pub namespace: String,
    pub name: String,
}

/// A server, and the namespace of what names none.
pub struct Place {
    pub connection: Connection,
    namespace: String,
}

impl SecretName {
    /// For clap: `[NAMESPACE/]NAME`, by the rules of the API, before anything is asked.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace_option(namespace)?), name),
            None => (None, text),
        };
        match dns1123_subdomain(name).first() {
            None => Ok(Self { namespace, name: name.to_owned() }),
            Some(problem) => Err(format!("NAME: {problem}")),
        }
    }
}

/// For clap: a namespace.
pub fn namespace_option(text: &str) -> Result<String, String> {
    match dns1123_label(text).first() {
        None => Ok(text.to_owned()),
        Some(problem) => Err(format!("NAMESPACE: {problem}")),
    }
}

/// For clap: a key of a Secret.
pub fn key_option(text: &str) -> Result<String, String> {
    match secret_key(text).first() {
        None => Ok(text.to_owned()),
        Some(problem) => Err(format!("KEY: {problem}")),
    }
}

impl Id {
    /// Where its namespace's Secrets are.
    pub fn collection(&self) -> String {
        collection(&self.namespace)
    }

    /// Where it is.
    pub fn path(&self) -> String {
        format!("{}/{}", self.collection(), encode_segment(&self.name))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where the Secrets of a namespace are.
pub fn collection(namespace: &str) -> String {
    format!("/api/v1/namespaces/{}/secrets", encode_segment(namespace))
}

impl Place {
    /// The server that the options lead to. Nothing is sent yet.
    pub fn connect(
        options: &ConnectionOptions,
        namespace: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, CliError> {
        let connection = options.connect(environment)?;
        let namespace = connection.namespace(namespace).to_owned();
        Ok(Self { connection, namespace })
    }

    /// The namespace given, else that of the context.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The Secret that is meant.
    pub fn id(&self, name: &SecretName) -> Id {
        Id { namespace: name.namespace.clone().unwrap_or_else(|| self.namespace.clone()), name: name.name.clone() }
    }

    /// The Secret as the server shows it.
    pub fn get(&self, id: &Id) -> Result<Document, CliError> {
        self.connection.object(Request::get(id.path()))
    }
}

/// The values of a Secret, decoded.
pub fn values(secret: &Document) -> Result<BTreeMap<String, SecretBytes>, CliError> {
    let read = SecretDocument::read(secret);
    let read = read.map_err(|_| CliError::NotDone("the server did not answer with a Secret".to_owned()))?;
    Ok(read.into_values())
}

/// A field of the metadata, which is not secret.
#[expect(clippy::disallowed_methods, reason = "metadata names the object and holds no value")]
pub fn metadata<'a>(secret: &'a Document, field: &str) -> &'a str {
    secret.expose().pointer("/metadata").and_then(|all| all.get(field)).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_the_rules_of_the_api() {
        let parse = |text: &str| SecretName::parse(text).map(|name| (name.namespace, name.name));
        assert_eq!(parse("db"), Ok((None, "db".to_owned())));
        assert_eq!(parse("prod/db.v1"), Ok((Some("prod".to_owned()), "db.v1".to_owned())));
        for text in ["", "/db", "prod/", "a/b/c", "DB", "prod.x/db", "a_b", "..", "-a", "a?"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(key_option("tls.crt").is_ok() && key_option("a b").is_err() && key_option("..x").is_err());
    }
}

//! `strongroom token create`

use clap::{Args, Subcommand};
use serde_json::json;

use super::CliError;
use super::connection::{ConnectionOptions, body};
use super::duration::Length;
use super::output::{ObjectFormat, one_line, print, print_object, text_at};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};
use crate::sensitive::Document;

/// Tokens of service accounts.
#[derive(Args)]
pub struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Print a token of a service account, as `kubectl create token` does
    Create(Create),
}

/// Options of `token create`.
#[derive(Args)]
struct Create {
    /// Name of the service account
    #[arg(value_name = "SERVICEACCOUNT")]
    name: String,
    /// Its namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// For whom the token is meant; may be repeated [default: the server itself]
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// How long the token is valid, such as 10m or 12h [default: 1h; the server may give less]
    #[arg(long, value_name = "DURATION", value_parser = Length::parse)]
    duration: Option<Length>,
    /// Secret of the same namespace with which the token ends
    #[arg(long, value_name = "NAME")]
    bound_secret: Option<String>,
    /// Print the TokenRequest instead of the token
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Token {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let TokenCommand::Create(create) = self.command;
        create.run(environment)
    }
}

impl Create {
    #[expect(clippy::disallowed_methods, reason = "the token is what was asked for")]
    fn run(self, environment: &Environment) -> Result<(), CliError> {
        let asked = self.request();
        let connection = self.connection.connect(environment)?;
        let namespace = connection.namespace(self.namespace.as_deref());
        let path = format!(
            "/api/v1/namespaces/{}/serviceaccounts/{}/token",
            encode_segment(namespace),
            encode_segment(&self.name)
        );
        let answer = connection.object(Request::post(path, body(&asked)))?;
        match self.output {
            Some(format) => print_object(&answer, format),
            None => match text_at(answer.expose(), "/status/token") {
                "" => return Err(CliError::NotDone("the server did not answer with a token".to_owned())),
                token => print(&zeroize::Zeroizing::new(one_line(token) + "\n")),
            },
        }
        Ok(())
    }

    fn request(&self) -> Document {
        let mut spec = serde_json::Map::new();
        spec.insert("audiences".to_owned(), json!(self.audience));
        if let Some(duration) = self.duration {
            spec.insert("expirationSeconds".to_owned(), duration.seconds().into());
        }
        if let Some(secret) = &self.bound_secret {
            let reference = json!({"kind": "Secret", "apiVersion": "v1", "name": secret});
            spec.insert("boundObjectRef".to_owned(), reference);
        }
        Document::new(json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        token: Token,
    }

    #[expect(clippy::disallowed_methods, reason = "the test looks at the request it made")]
    fn spec(line: &str) -> serde_json::Value {
        let TokenCommand::Create(create) = Line::try_parse_from(line.split(' ')).unwrap().token.command;
        create.request().expose()["spec"].clone()
    }

    #[test]
    fn options_become_the_fields_of_a_token_request() {
        assert_eq!(spec("x create app"), json!({"audiences": []}));
        assert_eq!(
            spec("x create app -n prod --audience a --audience b --duration 1h30m --bound-secret db"),
            json!({"audiences": ["a", "b"], "expirationSeconds": 5400,
                "boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "db"}})
        );
    }
}

//! The server that a command asks, and the options that say which.
//!
//! The order: `--server`, `--kubeconfig` and `--context`, `--home`; then the variables; then the user's kubeconfig
//! where it has a context; then the default home.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use super::session::OwnContext;
use super::{CliError, warn};
use crate::config::{ConnectionFlags, ConnectionSource, Environment, HomePaths, ServerUrl};
use crate::kube_client::{Client, ConnectError, Endpoint, Failure, Lines, Request};
use crate::pki::read_blocks;
use crate::sensitive::{Document, SecretBytes};
use crate::server::admin_kubeconfig;

const TOKEN_FILE_MAX_BYTES: u64 = 64 * 1024;
const TRUST_FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Which server, and as whom.
#[derive(Args)]
pub struct ConnectionOptions {
    /// Server to ask, with --token-file [env: STRONGROOM_SERVER] [default: that of the kubeconfig]
    #[arg(long, value_name = "URL", conflicts_with_all = ["kubeconfig", "context", "home"], help_heading = "Connection")]
    server: Option<String>,
    /// Certificates to trust for it, PEM [env: STRONGROOM_CA_FILE] [default: those of the operating system]
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca_file: Option<PathBuf>,
    /// File that holds the bearer token [env: STRONGROOM_TOKEN_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    token_file: Option<PathBuf>,
    /// Kubeconfig to take server and credential from [env: KUBECONFIG] [default: ~/.kube/config]
    #[arg(long, value_name = "FILE", conflicts_with = "home", help_heading = "Connection")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", conflicts_with = "home", help_heading = "Connection")]
    context: Option<String>,
    /// Home whose admin.kubeconfig is used [default: the default home, where the kubeconfig has no context]
    #[arg(long, value_name = "DIR", help_heading = "Connection")]
    home: Option<PathBuf>,
}

/// A server that answers.
pub struct Connection {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// Where the connection comes from, for messages.
    origin: String,
}

impl ConnectionOptions {
    /// A context of a kubeconfig.
    pub(super) fn of_context(kubeconfig: PathBuf, context: String) -> Self {
        Self {
            server: None,
            ca_file: None,
            token_file: None,
            kubeconfig: Some(kubeconfig),
            context: Some(context),
            home: None,
        }
    }

    /// Those that `word` knows the value of.
    pub(super) fn of_words(word: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| word(name).map(PathBuf::from);
        Self {
            server: word("--server"),
            ca_file: path("--ca-file"),
            token_file: path("--token-file"),
            kubeconfig: path("--kubeconfig"),
            context: word("--context"),
            home: path("--home"),
        }
    }

    /// `--home`
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.home.clone()
    }

    /// `--kubeconfig`
    pub(super) fn kubeconfig(&self) -> Option<PathBuf> {
        self.kubeconfig.clone()
    }

    /// Finds the server. Nothing is sent yet.
    pub(super) fn connect(&self, environment: &Environment) -> Result<Connection, CliError> {
        let runtime = runtime()?;
        let source = self.source(environment)?;
        // The client's tasks belong to the runtime.
        let (client, origin) = runtime.block_on(async { find(source) })?;
        Ok(Connection { runtime, client, origin })
    }
}

impl ConnectionOptions {
    /// A client of the server, for who has a runtime and stays: to be made within it. Nothing is sent yet.
    pub(super) fn client(&self, environment: &Environment) -> Result<Client, CliError> {
        find(self.source(environment)?).map(|(client, _)| client)
    }

    /// The context of `strongroom login` that the connection is made by, if it is.
    pub(super) fn own_context(&self, environment: &Environment) -> Option<OwnContext> {
        match self.source(environment).ok()? {
            ConnectionSource::Kubeconfig { files, context } => OwnContext::find(&files, context.as_deref()).ok(),
            ConnectionSource::Ambient { files, .. } => OwnContext::find(&files, None).ok(),
            ConnectionSource::Server { .. } | ConnectionSource::Home(_) => None,
        }
    }

    /// The options that were given, as a command line that is run elsewhere takes them.
    pub(super) fn given(&self) -> Vec<String> {
        let path = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string();
        let options = [
            ("--server", self.server.clone()),
            ("--ca-file", self.ca_file.as_ref().map(path)),
            ("--token-file", self.token_file.as_ref().map(path)),
            ("--kubeconfig", self.kubeconfig.as_ref().map(path)),
            ("--context", self.context.clone()),
            ("--home", self.home.as_ref().map(path)),
        ];
        options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect()
    }

    fn source(&self, environment: &Environment) -> Result<ConnectionSource, CliError> {
        let flags = ConnectionFlags {
            server: self.server.clone(),
            ca_file: self.ca_file.clone(),
            token_file: self.token_file.clone(),
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            home: self.home.clone(),
        };
        Ok(ConnectionSource::resolve(flags, environment)?)
    }
}

impl Connection {
    /// A connection to a server that is known already.
    pub(super) fn to(endpoint: Endpoint) -> Result<Self, CliError> {
        let runtime = runtime()?;
        let origin = endpoint.server.to_string();
        let client = runtime.block_on(async { Client::new(endpoint) })?;
        Ok(Self { runtime, client, origin })
    }

    /// `https://HOST:PORT`
    pub(super) fn server(&self) -> &str {
        self.client.server()
    }

    /// The certificates that are trusted, DER; none means those of the operating system.
    pub(super) fn trust(&self) -> &[Vec<u8>] {
        self.client.trust()
    }

    /// The namespace given, else that of the context.
    pub(super) fn namespace<'a>(&'a self, given: Option<&'a str>) -> &'a str {
        given.unwrap_or_else(|| self.client.namespace())
    }

    /// Sends a request; the object that it is answered with.
    pub(super) fn object(&self, request: Request) -> Result<Document, CliError> {
        self.runtime.block_on(self.answer(request))
    }

    /// As [`Connection::object`], within [`Connection::wait_for`].
    pub(super) async fn answer(&self, request: Request) -> Result<Document, CliError> {
        let answer = self.client.request(request).await?;
        for warning in &answer.warnings {
            warn(warning);
        }
        if !(200..300).contains(&answer.code) {
            return Err(self.refusal(Failure::read(answer.code, &answer.body, answer.retry_after_seconds)));
        }
        document(&answer.body).ok_or_else(|| {
            CliError::NotDone(format!("{} did not answer with JSON: is it a Strongroom server?", self.server()))
        })
    }

    /// What the client is known by.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Client) -> T) -> T {
        look(&self.client)
    }

    /// Lets `work` ask the server, and waits for what comes of it.
    pub(super) fn wait_for<T>(&self, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.runtime.block_on(work(&self.client))
    }

    /// Hands each line of an answer that goes on to `take`, until that says no or the answer ends.
    pub(super) fn each_line(
        &self,
        request: Request,
        mut take: impl FnMut(&SecretBytes) -> bool,
    ) -> Result<(), CliError> {
        let opened: Result<Lines, Failure> = self.runtime.block_on(self.client.lines(request))?;
        let mut lines = opened.map_err(|failure| self.refusal(failure))?;
        while let Some(line) = self.runtime.block_on(lines.next())? {
            if !take(&line) {
                break;
            }
        }
        Ok(())
    }

    /// What the server refused, and what to do next.
    pub(super) fn refusal(&self, mut failure: Failure) -> CliError {
        match failure.code {
            401 => failure.hints.push(format!("Sign in with `strongroom login --server {}`.", self.server())),
            429 => {
                let wait = failure.retry_after_seconds.map_or_else(|| "later".into(), |wait| format!("in {wait} s"));
                failure.hints.push(format!("Try again {wait}."));
            }
            _ if failure.is_unknown_path() => {
                failure.hints.push(format!(
                    "Is {} a Strongroom server? It was taken from {}.",
                    self.server(),
                    self.origin
                ));
            }
            _ => {}
        }
        CliError::Server(failure)
    }
}

/// A JSON object as a body; what it holds is wiped.
#[expect(clippy::disallowed_methods, reason = "the object goes into a request, as a secret")]
pub(super) fn body(object: &Document) -> SecretBytes {
    // Room for the whole, so that growing leaves no copy behind.
    let mut bytes = Vec::with_capacity(length(object));
    // Writing a tree of text and numbers cannot fail.
    let _ = serde_json::to_writer(&mut bytes, object.expose());
    SecretBytes::new(bytes)
}

/// Bytes of an object as a body.
#[expect(clippy::disallowed_methods, reason = "the object is counted through")]
pub(super) fn length(object: &Document) -> usize {
    let mut length = Count(0);
    let _ = serde_json::to_writer(&mut length, object.expose());
    length.0
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads a JSON document.
#[expect(clippy::disallowed_methods, reason = "the document is parsed into a type that is wiped")]
pub(super) fn document(body: &SecretBytes) -> Option<Document> {
    serde_json::from_slice::<Value>(body.expose()).ok().map(Document::new)
}

/// The certificates of a PEM file, DER.
pub(super) fn trust_file(path: &Path) -> Result<Vec<Vec<u8>>, CliError> {
    let certificates = certificates(&read_bounded(path, TRUST_FILE_MAX_BYTES)?);
    if certificates.is_empty() {
        return Err(CliError::NotDone(format!("{} holds no certificate in PEM form", path.display())));
    }
    Ok(certificates)
}

/// The certificates of a PEM text, DER.
#[expect(clippy::disallowed_methods, reason = "certificates are public; blocks are secret because they may be keys")]
pub(super) fn certificates(pem: &SecretBytes) -> Vec<Vec<u8>> {
    read_blocks(pem.expose())
        .iter()
        .filter(|block| block.label == "CERTIFICATE")
        .map(|block| block.bytes.expose().to_vec())
        .collect()
}

/// A file of the user's choosing, which may be a link: what mounts tokens and certificates into containers uses them.
pub(super) fn read_bounded(path: &Path, max_bytes: u64) -> Result<SecretBytes, CliError> {
    let fail = |source| CliError::from(ConnectError::File { path: path.to_owned(), source });
    let file = std::fs::File::open(path).map_err(fail)?;
    // Room for the whole, so that growing leaves no copy behind; a pipe does not say how long it is.
    let length = file.metadata().map_err(fail)?.len().min(max_bytes);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(fail)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max_bytes {
        return Err(fail(std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::NotDone(format!("the client cannot be started: {error}")))
}

fn find(source: ConnectionSource) -> Result<(Client, String), CliError> {
    match source {
        ConnectionSource::Server { server, ca_file, token_file } => {
            let trust = ca_file.as_deref().map(trust_file).transpose()?.unwrap_or_default();
            let token = trimmed(&read_bounded(&token_file, TOKEN_FILE_MAX_BYTES)?);
            let endpoint = Endpoint { server, trust, server_name: None, token: Some(token), certificate: None };
            Ok((Client::new(endpoint)?, "--server or STRONGROOM_SERVER".to_owned()))
        }
        ConnectionSource::Kubeconfig { files, context } => {
            of_kubeconfig(&files, context.as_deref()).map_err(Into::into)
        }
        ConnectionSource::Home(paths) => of_home(&paths),
        ConnectionSource::Ambient { files, home } => {
            let none =
                "there is no server to ask: sign in with `strongroom login`, or give --server, --kubeconfig or --home";
            let of_home = |home: Option<HomePaths>| match home.filter(|home| home.kubeconfig().exists()) {
                Some(home) => of_home(&home),
                None => Err(CliError::NotDone(none.to_owned())),
            };
            if !files.iter().any(|file| file.exists()) {
                return of_home(home);
            }
            match of_kubeconfig(&files, None) {
                Err(ConnectError::NoContext) => of_home(home),
                other => other.map_err(Into::into),
            }
        }
    }
}

fn of_kubeconfig(files: &[PathBuf], context: Option<&str>) -> Result<(Client, String), ConnectError> {
    let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let context_name = context.map_or_else(|| "the current context".to_owned(), |name| format!("context {name:?}"));
    Ok((Client::of_kubeconfig(files, context)?, format!("{context_name} of {}", shown.join(", "))))
}

fn of_home(paths: &HomePaths) -> Result<(Client, String), CliError> {
    let path = paths.kubeconfig();
    let file = admin_kubeconfig(paths)?;
    let trust = file.trust.map(|pem| certificates(&SecretBytes::new(pem.into_bytes()))).unwrap_or_default();
    let server = ServerUrl::parse(&path.display().to_string(), &file.server)?;
    let endpoint = Endpoint { server, trust, server_name: None, token: Some(file.token), certificate: None };
    Ok((Client::new(endpoint)?, path.display().to_string()))
}

/// Without the line end that editors and `echo` put behind a token.
#[expect(clippy::disallowed_methods, reason = "the token moves into another secret")]
fn trimmed(token: &SecretBytes) -> SecretBytes {
    SecretBytes::new(token.expose().trim_ascii().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn a_body_is_the_compact_json_of_the_object() {
        let object = Document::new(serde_json::json!({"a": "\u{e4}\n", "b": [1, true]}));
        let body = body(&object);
        assert_eq!(body.expose(), "{\"a\":\"\u{e4}\\n\",\"b\":[1,true]}".as_bytes());
        assert_eq!(document(&body).unwrap().expose(), object.expose());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn a_token_has_no_line_end() {
        assert_eq!(trimmed(&SecretBytes::new(b" sr_x\r\n".to_vec())).expose(), b"sr_x");
    }
}

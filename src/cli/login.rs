//! `strongroom login`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::connection::{Connection, certificates, trust_file};
use super::kubeconfig::{self, Entry};
use super::output::print;
use super::session::{Cache, Pin, SessionKey, Tokens, log_in, pin_of, text};
use super::{CliError, password, warn};
use crate::clock::{Clock as _, SystemClock};
use crate::config::connection::kubeconfig_files;
use crate::config::{ConfigError, Environment, HomePaths, ServerUrl};
use crate::kube_client::{Endpoint, presented_chain, verifies};
use crate::pki::{CertificateFacts, encode_certificate};
use crate::sensitive::{Document, SecretBytes};
use crate::server::admin_kubeconfig;
use crate::terminal::Terminal;

/// Options of `login`. None of them takes the password.
#[derive(Args)]
#[command(after_help = "\
The server is known by --ca-file, by --ca-pin, by a former sign-in with the same kubeconfig, or because its home lies \
on this machine. Otherwise nothing is sent to it: the pin that it shows is printed, to be compared.

kubectl then gets its tokens from `strongroom credential`, which renews them; they lie in the cache directory, mode 0600.")]
pub struct Login {
    /// User to sign in as [default: the name on this machine, USER]
    #[arg(value_name = "USERNAME")]
    username: Option<String>,
    /// Server to sign in to [env: STRONGROOM_SERVER] [default: that of the home on this machine]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Certificate authority to know it by, PEM [env: STRONGROOM_CA_FILE]
    #[arg(long, value_name = "FILE", conflicts_with = "ca_pin")]
    ca_file: Option<PathBuf>,
    /// SHA-256 of the authority's public key, in hexadecimal digits or base64, to know it by
    #[arg(long, value_name = "SHA256", value_parser = Pin::parse)]
    ca_pin: Option<Pin>,
    /// Name of the context that is written; USERNAME@HOST:PORT where none is given
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Kubeconfig that is changed [env: KUBECONFIG] [default: ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Home on this machine whose server is meant [env: STRONGROOM_HOME] [default: the XDG data directory]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Write the token itself into the kubeconfig: for programs that cannot run `strongroom`. It is not renewed
    #[arg(long)]
    embed_token: bool,
}

impl Login {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let user = user(self.username, environment)?;
        let home = HomePaths::resolve(self.home, environment).ok();
        let server = server(self.server, environment, home.as_ref())?;
        let files = kubeconfig_files(self.kubeconfig.as_ref(), environment);
        let file = kubeconfig::file_to_change(&files)
            .ok_or_else(|| ConfigError::new("--kubeconfig", "give a file: HOME is not set"))?;
        let ca_file = self.ca_file.or_else(|| environment.path("STRONGROOM_CA_FILE").filter(|_| self.ca_pin.is_none()));
        let config = kubeconfig::read(file)?;
        let context = self.context.clone().unwrap_or_else(|| kubeconfig::context_name(&user, &server.authority()));
        check_context(&config, &context)?;
        let trust = match ca_file {
            Some(path) => trust_file(&path)?,
            None => trust(&server, self.ca_pin, &config, home.as_ref(), &user)?,
        };
        let key = SessionKey { server: server.clone(), trust, user: user.clone() };
        let cache = if self.embed_token { None } else { Some(Cache::open(environment)?) };

        let password = if self.password_stdin {
            let [password] = password::read(std::io::stdin())?;
            password
        } else {
            password::ask(&mut Terminal, &format!("Password for {user} at {server}: "))?
        };
        let connection = Connection::to(endpoint(&key))?;
        let tokens = log_in(&connection, &user, &password, SystemClock.unix_seconds())?;

        let credential = match &cache {
            Some(cache) => {
                cache.lock(&key)?.store(&tokens)?;
                exec_entry(&key)
            }
            None => embedded(&tokens)?,
        };
        let entry = Entry {
            authority: server.authority(),
            server: server.to_string(),
            trust: Some(key.trust.iter().map(|certificate| encode_certificate(certificate)).collect()),
            user: user.clone(),
            credential,
            context: Some(context),
        };
        kubeconfig::change(file, |config| kubeconfig::set(config, &entry))?;
        if cache.is_none() {
            warn(&format!(
                "the token lies in {}, readable to every program of yours, and ends in {} minutes",
                file.display(),
                tokens.access_ends.saturating_sub(SystemClock.unix_seconds()).max(0).saturating_add(59) / 60
            ));
        }
        print(&format!(
            "Signed in as {user} at {server}. The current context of {} is now {}.\n",
            file.display(),
            entry.context_name()
        ));
        Ok(())
    }
}

/// How to reach the server of a session before there is a token.
pub(super) fn endpoint(key: &SessionKey) -> Endpoint {
    Endpoint { server: key.server.clone(), trust: key.trust.clone(), server_name: None, token: None, certificate: None }
}

/// What kubectl runs for a token.
fn exec_entry(key: &SessionKey) -> Document {
    let own = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    Document::new(json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": own.unwrap_or_else(|| "strongroom".to_owned()),
        "args": [
            "credential",
            "--server", key.server.to_string(),
            "--user", key.user,
            "--ca-sha256", key.trust_digest(),
        ],
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": true,
        "installHint": "This context was written by `strongroom login`: put strongroom at the path in `command`, or \
            sign in again.",
    }}))
}

/// The token itself, as was asked for.
fn embedded(tokens: &Tokens) -> Result<Document, CliError> {
    Ok(Document::new(json!({"token": text(&tokens.access)?})))
}

fn user(given: Option<String>, environment: &Environment) -> Result<String, CliError> {
    let user = match given {
        Some(user) => Some(user),
        None => environment.text("USER")?,
    };
    let user = user.filter(|user| !user.is_empty() && !user.contains(char::is_control));
    user.ok_or_else(|| ConfigError::new("USERNAME", "say who signs in").into())
}

fn server(given: Option<String>, environment: &Environment, home: Option<&HomePaths>) -> Result<ServerUrl, CliError> {
    if let Some(server) = given {
        return Ok(ServerUrl::parse("--server", &server)?);
    }
    if let Some(server) = environment.text("STRONGROOM_SERVER")? {
        return Ok(ServerUrl::parse("STRONGROOM_SERVER", &server)?);
    }
    match home.and_then(|home| admin_kubeconfig(home).ok()) {
        Some(file) => Ok(ServerUrl::parse("admin.kubeconfig", &file.server)?),
        None => Err(ConfigError::new("--server", "give https://HOST:PORT: there is no home on this machine").into()),
    }
}

/// Before a password is asked for: a context of somebody else's is not replaced.
#[expect(clippy::disallowed_methods, reason = "the kubeconfig is searched for a context")]
fn check_context(config: &Document, name: &str) -> Result<(), CliError> {
    kubeconfig::may_set(config.expose(), name).map_err(CliError::NotDone)
}

/// How the server is known, without a file that says it.
fn trust(
    server: &ServerUrl,
    pin: Option<Pin>,
    config: &Document,
    home: Option<&HomePaths>,
    user: &str,
) -> Result<Vec<Vec<u8>>, CliError> {
    let now = SystemClock.unix_seconds();
    let chain = presented_chain(server)?;
    let vouches = |trust: &[Vec<u8>]| verifies(server, &chain, trust, now);
    if let Some(pin) = pin {
        let Some(certificate) = pin.find(&chain) else {
            let shown = shown_pin(&chain).map_or_else(|| "no pin that can be read".into(), |pin| pin.to_string());
            return Err(CliError::NotDone(format!("{server} shows {shown}, not {pin}: nothing was sent to it")));
        };
        let trust = vec![certificate.clone()];
        if vouches(&trust) {
            return Ok(trust);
        }
        return Err(CliError::NotDone(format!(
            "the certificate with this pin does not vouch for {server}: it is no authority's, or the server's \
             certificate is for another name or outside its dates; nothing was sent"
        )));
    }
    if let Some(known) = known(config, &server.authority()) {
        if vouches(&known) {
            return Ok(known);
        }
        return Err(CliError::NotDone(format!(
            "{server} is not of the authority by which it was known at a former sign-in; nothing was sent to it. If \
             the authority was replaced, sign in with --ca-file or --ca-pin"
        )));
    }
    if let Some(trust) = home.and_then(of_home).filter(|trust| vouches(trust)) {
        return Ok(trust);
    }
    Err(CliError::NotDone(unknown(server, &chain, user)))
}

#[expect(clippy::disallowed_methods, reason = "the kubeconfig is searched for a certificate")]
fn known(config: &Document, authority: &str) -> Option<Vec<Vec<u8>>> {
    use base64::Engine as _;
    let data = kubeconfig::known_trust(config.expose(), authority)?;
    let pem = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    Some(certificates(&SecretBytes::new(pem))).filter(|trust| !trust.is_empty())
}

/// The authority of a home on this machine: its own, or the end of the chain that its server presents.
pub(super) fn of_home(home: &HomePaths) -> Option<Vec<Vec<u8>>> {
    let read = |path: PathBuf| std::fs::read(path).ok().map(|pem| certificates(&SecretBytes::new(pem)));
    let presented = read(home.presented_certificate()).and_then(|chain| chain.into_iter().next_back());
    let presented = presented.filter(|last| CertificateFacts::read(last).is_ok_and(|facts| facts.is_self_issued()));
    let trust: Vec<Vec<u8>> = match presented {
        Some(last) => vec![last],
        None => read(home.authority_certificate())?,
    };
    Some(trust).filter(|trust| !trust.is_empty())
}

fn shown_pin(chain: &[Vec<u8>]) -> Option<Pin> {
    chain.last().and_then(|certificate| pin_of(certificate))
}

/// What is said of a server that nothing is known of.
fn unknown(server: &ServerUrl, chain: &[Vec<u8>], user: &str) -> String {
    let start = format!("{server} is not known here, so nothing was sent to it.");
    match shown_pin(chain).filter(|_| chain.len() > 1) {
        Some(pin) => format!(
            "{start} It shows an authority with the pin\n\n  {pin}\n\nCompare it with what `strongroom admin ca-pin` \
             prints on the server's machine. If it is the same:\n\n  strongroom login {user} --server {server} --ca-pin {pin}"
        ),
        None => format!("{start} It shows no authority: give that with --ca-file"),
    }
}

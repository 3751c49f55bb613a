//! The servers that are compared, and how each is asked for the same thing.

pub mod bare;
pub mod cluster;
mod openbao;
pub mod strongroom;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use crate::failure::Outcome;
use crate::fill;
use crate::http::Endpoint;
use crate::load::Expected;
use crate::objects::Objects;
use crate::options::Options;
use crate::process::Process;

/// Objects that are there before reads begin.
pub const OBJECTS: u64 = 512;
/// A body of ours, where ours is not there to be asked.
const USUAL_BODY_BYTES: usize = 1900;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    Strongroom,
    Bare,
    OpenBao,
}

/// A running server.
pub struct Server {
    /// How it is asked.
    pub api: Api,
    process: Process,
    home: Rc<TempDir>,
}

/// How a server is asked.
#[derive(Clone)]
pub struct Api {
    /// Whose it is.
    pub product: Product,
    /// Where it is.
    pub endpoint: Endpoint,
}

/// A server whose objects 0 to [`Comparable::count`] can be read.
pub struct Comparable {
    /// The process.
    pub server: Server,
    /// What it holds.
    pub objects: Objects,
    /// How many of them.
    pub count: u64,
    /// What a read of one is answered with.
    pub expected: Expected,
}

/// The three servers of a run, where they are needed and installed.
pub struct Servers {
    /// Strongroom.
    pub ours: Option<Comparable>,
    /// The bare handler.
    pub bare: Option<Comparable>,
    /// OpenBao.
    pub openbao: Option<Comparable>,
    /// Who is missing, and why.
    pub left_out: Vec<String>,
    /// Strongroom's program.
    pub program: Option<PathBuf>,
}

impl Servers {
    /// Starts and fills them.
    pub async fn start(options: &Options, needs_comparators: bool) -> Outcome<Self> {
        let mut servers = Self { ours: None, bare: None, openbao: None, left_out: Vec::new(), program: None };
        match strongroom::program() {
            Ok(program) => {
                println!("{}", version(&program, "--version")?);
                servers.program = Some(program);
            }
            Err(why) => servers.left_out.push(format!("Strongroom: {why}")),
        }
        if !needs_comparators {
            return Ok(servers);
        }
        let folder = options.folder();
        let mut body_bytes = USUAL_BODY_BYTES;
        if let Some(program) = &servers.program {
            let (server, _) = strongroom::start(program, home(&folder)?, None).await?;
            let ours = Comparable::fill(server, Objects::new("default", 1), OBJECTS).await?;
            body_bytes = ours.middle_body_bytes();
            servers.ours = Some(ours);
        }
        servers.bare = Some(Comparable::bare(bare::start(home(&folder)?, body_bytes).await?, body_bytes));
        println!(
            "bare: actix-web {} with rustls {}, a body of {body_bytes} bytes",
            crate::machine::locked_version("actix-web"),
            crate::machine::locked_version("rustls")
        );
        match openbao::program() {
            Ok(program) => {
                let audit = if options.openbao_audit { "with an audit file" } else { "without audit" };
                println!("{}; raft, TLS, KV version 2, {audit}", version(&program, "version")?);
                let server = openbao::start(&program, home(&folder)?, options.openbao_audit).await?;
                servers.openbao = Some(Comparable::fill(server, Objects::new("default", 1), OBJECTS).await?);
            }
            Err(why) => servers.left_out.push(format!("OpenBao: {why}")),
        }
        for left_out in &servers.left_out {
            println!("left out: {left_out}");
        }
        Ok(servers)
    }

    /// Those that are there.
    pub fn all(&self) -> impl Iterator<Item = &Comparable> {
        [&self.ours, &self.bare, &self.openbao].into_iter().flatten()
    }
}

impl Comparable {
    /// Creates objects 0 to `count` and reads a sample back.
    pub async fn fill(server: Server, objects: Objects, count: u64) -> Outcome<Self> {
        fill::fill(&server, &objects, count, 16).await?;
        Self::filled(server, objects, count).await
    }

    /// Of a server that has the objects already.
    pub async fn filled(server: Server, objects: Objects, count: u64) -> Outcome<Self> {
        let body_bytes = fill::check(&server, &objects, count).await?;
        Ok(Self { server, objects, count, expected: Expected { code: 200, body_bytes } })
    }

    fn bare(server: Server, body_bytes: usize) -> Self {
        let expected = Expected { code: 200, body_bytes: body_bytes..=body_bytes };
        Self { server, objects: Objects::new("default", 1), count: OBJECTS, expected }
    }

    fn middle_body_bytes(&self) -> usize {
        usize::midpoint(*self.expected.body_bytes.start(), *self.expected.body_bytes.end())
    }
}

impl Server {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where its files are.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Stops it; its files stay as long as the returned folder.
    pub async fn stop(self) -> Outcome<(Rc<TempDir>, std::time::Duration)> {
        let took = self.process.stop().await?;
        Ok((self.home, took))
    }
}

impl Api {
    /// Appends a read of one object.
    pub fn read(&self, objects: &Objects, at: u64, into: &mut Vec<u8>) {
        let path = match self.product {
            Product::OpenBao => format!("/v1/kv/data/{}/{}", objects.namespace, objects.name(at)),
            _ => format!("/api/v1/namespaces/{}/secrets/{}", objects.namespace, objects.name(at)),
        };
        self.endpoint.write_request("GET", &path, "", into);
    }

    /// Appends the creation of one object.
    pub fn create(&self, objects: &Objects, at: u64, into: &mut Vec<u8>) {
        let (name, value) = (objects.name(at), objects.value(at));
        if self.product == Product::OpenBao {
            let path = format!("/v1/kv/data/{}/{name}", objects.namespace);
            self.endpoint.write_request("PUT", &path, &format!(r#"{{"data":{{"value":"{value}"}}}}"#), into);
            return;
        }
        let path = format!("/api/v1/namespaces/{}/secrets", objects.namespace);
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}"}},"data":{{"value":"{value}"}}}}"#
        );
        self.endpoint.write_request("POST", &path, &body, into);
    }

    /// What a create is answered with. Strongroom returns the whole object, as Kubernetes does.
    pub fn created(&self) -> u16 {
        if self.product == Product::OpenBao { 200 } else { 201 }
    }

    /// Where in the body of a read the value is.
    pub fn value_pointer(&self) -> &'static str {
        if self.product == Product::OpenBao { "/data/data/value" } else { "/data/value" }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strongroom => "Strongroom",
            Self::Bare => "bare",
            Self::OpenBao => "OpenBao",
        })
    }
}

/// A folder for one server, removed with the last who holds it.
pub fn home(folder: &Path) -> Outcome<Rc<TempDir>> {
    Ok(Rc::new(tempfile::Builder::new().prefix("against-").tempdir_in(folder)?))
}

/// A self-signed certificate for `localhost` (P-256, as Strongroom's own) and its key, as files.
fn self_signed(folder: &Path) -> Outcome<(PathBuf, PathBuf)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((certificate, key))
}

/// An address that was free a moment ago.
fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn version(program: &Path, argument: &str) -> Outcome<String> {
    let output = std::process::Command::new(program).arg(argument).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

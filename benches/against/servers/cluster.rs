//! A genuine kube-apiserver with etcd, to send Secrets to: as `.ci/clients` brings them, or as envtest names them.
//!
//! etcd does not wait for the disk, so that the API server is as fast as it can be: whoever is compared with it has it the
//! harder.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use strongroom::clock::{Clock as _, SystemClock};
use strongroom::pki::{Names, encode_certificate, encode_private_key, make_authority, make_leaf};
use tempfile::TempDir;

use crate::failure::{Outcome, within};
use crate::http::Endpoint;
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_mins(2);
const TOKEN: &str = "the-token-of-the-administrator";

/// A running cluster.
pub struct Cluster {
    /// Speaks to it as a member of `system:masters`.
    pub endpoint: Endpoint,
    /// The authority of its certificate, PEM.
    pub authority: String,
    _server: Process,
    _etcd: Process,
    _home: Rc<TempDir>,
}

impl Cluster {
    /// Starts one with its files in `home`; why not, where the programs are missing.
    pub async fn start(home: Rc<TempDir>) -> Outcome<Self> {
        let program = |variable: &str, name: &str| {
            let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|assets| PathBuf::from(assets).join(name));
            let found = std::env::var_os(variable).map(PathBuf::from).or(assets).filter(|program| program.is_file());
            found.ok_or_else(|| format!("there is no {name}: eval \"$(.ci/clients)\" brings it"))
        };
        let server = program("STRONGROOM_TEST_KUBE_APISERVER", "kube-apiserver")?;
        let etcd = program("STRONGROOM_TEST_ETCD", "etcd")?;
        let path = |name: &str| home.path().join(name);
        let now = SystemClock.unix_seconds();
        let authority = make_authority(now)?;
        let leaf = make_leaf(&authority, &Names::local(), now)?;
        let accounts = make_authority(now)?;
        std::fs::write(path("server.crt"), encode_certificate(&leaf.certificate))?;
        std::fs::write(path("server.key"), key(&leaf.key))?;
        std::fs::write(path("accounts.crt"), encode_certificate(&accounts.certificate))?;
        std::fs::write(path("accounts.key"), key(&accounts.key))?;
        std::fs::write(path("tokens.csv"), format!("{TOKEN},root,root,\"system:masters\"\n"))?;
        let [address, clients, peers] = free_addresses()?;
        let (clients, peers) = (format!("http://{clients}"), format!("http://{peers}"));
        let arguments = [
            "--name=one".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=error".to_owned(),
            format!("--data-dir={}", path("etcd").display()),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=one={peers}"),
        ];
        let etcd = Process::start(&etcd, arguments, path("etcd.log"))?;
        let file = |option: &str, name: &str| format!("--{option}={}", path(name).display());
        let arguments = [
            format!("--etcd-servers={clients}"),
            format!("--bind-address={}", address.ip()),
            format!("--advertise-address={}", address.ip()),
            format!("--secure-port={}", address.port()),
            file("tls-cert-file", "server.crt"),
            file("tls-private-key-file", "server.key"),
            file("token-auth-file", "tokens.csv"),
            file("service-account-key-file", "accounts.crt"),
            file("service-account-signing-key-file", "accounts.key"),
            file("cert-dir", "certificates"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        let mut server = Process::start(&server, arguments, path("server.log"))?;
        let authority = encode_certificate(&authority.certificate);
        let credential = format!("Authorization: Bearer {TOKEN}\r\n");
        let endpoint = Endpoint::new(address, authority.as_bytes(), &credential)?;
        within(START_LIMIT, "kube-apiserver's start", async {
            while !matches!(endpoint.once("GET", "/readyz", "").await, Ok((200, _))) {
                server.check_alive()?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Outcome::Ok(())
        })
        .await??;
        Ok(Self { endpoint, authority, _server: server, _etcd: etcd, _home: home })
    }

    /// A kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> String {
        use base64::Engine as _;
        let authority = base64::engine::general_purpose::STANDARD.encode(&self.authority);
        format!(
            r#"{{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{{"name":"c","cluster":{{"server":"https://{}","certificate-authority-data":"{authority}"}}}}],"users":[{{"name":"c","user":{{"token":"{TOKEN}"}}}}],"contexts":[{{"name":"c","context":{{"cluster":"c","user":"c"}}}}]}}"#,
            self.endpoint.address
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "the key of a server of the bench's own")]
fn key(key: &strongroom::sensitive::SecretBytes) -> Vec<u8> {
    encode_private_key(key).expose().to_vec()
}

/// Addresses that nobody listens on now.
fn free_addresses() -> Outcome<[SocketAddr; 3]> {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let [a, b, c] = held;
    Ok([a?.local_addr()?, b?.local_addr()?, c?.local_addr()?])
}

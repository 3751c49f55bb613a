//! A genuine Kubernetes API server with etcd behind it and RBAC on, in this machine's own processes.
//!
//! No controllers run beside it: a namespace has no service account `default`, and one that is deleted stays. etcd does
//! not wait for the disk, for nothing here outlives the test.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom::clock::{Clock as _, SystemClock};
use strongroom::pki::{Names, encode_certificate, make_authority, make_leaf};
use tempfile::TempDir;

use super::clients::{drives, eventually, find, wait};
use super::http::Client;
use super::jwt::openssl;
use super::ports::HeldPort;

const START: Duration = Duration::from_mins(2);
const TOKEN: &str = "the-token-of-the-administrator";

/// A running cluster. Its processes end with it.
pub struct Cluster {
    home: TempDir,
    etcd: Option<Child>,
    server: Mutex<Option<Child>>,
    program: PathBuf,
    /// Of the API server, of etcd, and of etcd for its peers.
    ports: [HeldPort; 3],
    /// Further options of the API server.
    options: Vec<String>,
    /// Whether etcd speaks TLS, and to those with a certificate alone.
    has_closed_etcd: bool,
    /// The authority of its certificate, PEM.
    pub authority: String,
}

/// A request as the cluster's own audit log has it.
#[derive(Debug, Clone)]
pub struct Audited {
    /// `patch`
    pub verb: String,
    /// Name of the user.
    pub user: String,
    /// Plural, with the subresource.
    pub resource: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object; empty where the path has none.
    pub name: String,
    /// The code of the answer.
    pub code: u64,
}

impl Audited {
    /// Whether it was to change something.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.resource.contains("reviews")
    }
}

impl Cluster {
    /// The cluster that tests share; each has namespaces of its own there. `None` where the programs are missing.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: OnceLock<Mutex<Weak<Cluster>>> = OnceLock::new();
        let mut shared = SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Some(cluster);
        }
        let cluster = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&cluster);
        Some(cluster)
    }

    /// A cluster of the test's own.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// A cluster of the test's own, whose API server has further options.
    pub fn start_with(options: &[String]) -> Option<Self> {
        Self::start_as(options, false)
    }

    /// A cluster of the test's own, whose etcd speaks TLS and asks for client certificates, as one that kubeadm sets up.
    pub fn start_with_closed_etcd() -> Option<Self> {
        Self::start_as(&[], true)
    }

    fn start_as(options: &[String], has_closed_etcd: bool) -> Option<Self> {
        let assets = |name: &str| {
            std::env::var("KUBEBUILDER_ASSETS").map_or_else(|_| name.to_owned(), |at| format!("{at}/{name}"))
        };
        let server = find("STRONGROOM_TEST_KUBE_APISERVER", &[&assets("kube-apiserver"), "kube-apiserver"])?;
        let etcd = find("STRONGROOM_TEST_ETCD", &[&assets("etcd"), "etcd"])?;
        let version = Command::new(&server).arg("--version").output().unwrap();
        drives(&format!("kube-apiserver {}", String::from_utf8_lossy(&version.stdout).trim()));
        let home = tempfile::tempdir().unwrap();
        let now = SystemClock.unix_seconds();
        let authority = make_authority(now).unwrap();
        let leaf = make_leaf(&authority, &Names::local(), now).unwrap();
        let file = |name: &str, content: &[u8]| std::fs::write(home.path().join(name), content).unwrap();
        file("server.crt", encode_certificate(&leaf.certificate).as_bytes());
        file("server.key", private_key(&leaf.key).as_bytes());
        // Signs tokens of service accounts.
        let accounts = make_authority(now).unwrap();
        file("accounts.key", private_key(&accounts.key).as_bytes());
        file("accounts.crt", encode_certificate(&accounts.certificate).as_bytes());
        file("tokens.csv", format!("{TOKEN},root,root,\"system:masters\"\n").as_bytes());
        file(
            "audit-policy.yaml",
            b"apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n",
        );
        let ports: [HeldPort; 3] = std::array::from_fn(|_| HeldPort::take());
        let [_, etcd_address, peers] = ports.each_ref().map(|port| port.address);
        let mut etcd_command = Command::new(&etcd);
        if has_closed_etcd {
            let [authority, certificate, key] = etcd_files(home.path());
            make_etcd_files([&authority, &certificate, &key], etcd_address);
            etcd_command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(authority);
            etcd_command.arg("--cert-file").arg(certificate).arg("--key-file").arg(key);
        }
        let client_url = format!("{}://{etcd_address}", etcd_scheme(has_closed_etcd));
        let etcd_child = etcd_command
            .args(["--name", "test", "--unsafe-no-fsync", "--log-level", "error", "--socket-reuse-port"])
            .arg("--data-dir")
            .arg(home.path().join("etcd"))
            .args(["--listen-client-urls", &client_url])
            .args(["--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &format!("http://{peers}")])
            .args(["--initial-advertise-peer-urls", &format!("http://{peers}")])
            .args(["--initial-cluster", &format!("test=http://{peers}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(home.path().join("etcd.log")).unwrap())
            .spawn()
            .unwrap();
        let cluster = Self {
            home,
            etcd: Some(etcd_child),
            server: Mutex::new(None),
            program: server,
            ports,
            options: options.to_vec(),
            has_closed_etcd,
            authority: encode_certificate(&authority.certificate),
        };
        cluster.start_server();
        Some(cluster)
    }

    /// Where it listens, also after it was started again.
    pub fn address(&self) -> SocketAddr {
        self.ports[0].address
    }

    /// Starts the API server again, with all that it had.
    pub fn start_server(&self) {
        self.spawn_server();
        let ready = eventually(START, || {
            let ended = self.server.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the cluster ended: {}", self.log());
            let answer = self.admin().send("GET", "/readyz", &[], b"").ok()?;
            (answer.status == 200).then_some(())
        });
        ready.unwrap_or_else(|| panic!("the cluster does not start: {}", self.log()));
    }

    /// Starts the API server again, and does not wait until it is ready.
    pub fn spawn_server(&self) {
        let path = |name: &str| self.home.path().join(name);
        let option = |name: &str, file: &str| format!("--{name}={}", path(file).display());
        let address = self.address();
        let log = File::options().create(true).append(true).open(path("server.log")).unwrap();
        let mut command = Command::new(&self.program);
        if self.has_closed_etcd {
            let files = ["etcd-cafile", "etcd-certfile", "etcd-keyfile"].into_iter().zip(self.etcd_files());
            command.args(files.map(|(option, file)| format!("--{option}={}", file.display())));
        }
        let child = command
            .arg(format!("--etcd-servers={}", self.etcd_url()))
            .arg(format!("--bind-address={}", address.ip()))
            .arg(format!("--advertise-address={}", address.ip()))
            .arg(format!("--secure-port={}", address.port()))
            .arg("--permit-port-sharing")
            .arg(option("tls-cert-file", "server.crt"))
            .arg(option("tls-private-key-file", "server.key"))
            .arg(option("token-auth-file", "tokens.csv"))
            .arg(option("service-account-key-file", "accounts.crt"))
            .arg(option("service-account-signing-key-file", "accounts.key"))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg("--authorization-mode=RBAC")
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--enable-priority-and-fairness=false")
            .arg(option("audit-policy-file", "audit-policy.yaml"))
            .arg(option("audit-log-path", "audit.log"))
            .arg(option("cert-dir", "certificates"))
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.server.lock().unwrap() = Some(child);
    }

    /// Where etcd listens.
    pub fn etcd_address(&self) -> SocketAddr {
        self.ports[1].address
    }

    /// The same, as a URL.
    pub fn etcd_url(&self) -> String {
        format!("{}://{}", etcd_scheme(self.has_closed_etcd), self.etcd_address())
    }

    /// What a client of a closed etcd needs: the authority, a certificate, its key.
    pub fn etcd_files(&self) -> [PathBuf; 3] {
        etcd_files(self.home.path())
    }

    /// The folder in which etcd keeps its files.
    pub fn etcd_folder(&self) -> PathBuf {
        self.home.path().join("etcd")
    }

    /// Ends the API server at once; etcd goes on.
    pub fn stop_server(&self) {
        if let Some(mut child) = self.server.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Speaks to it as a member of `system:masters`.
    pub fn admin(&self) -> Client {
        self.client(TOKEN)
    }

    /// Speaks to it with a token.
    pub fn client(&self, token: &str) -> Client {
        Client::of(self.address(), self.authority.as_bytes()).with_token(token)
    }

    /// A kubeconfig, as a cluster's administrator hands it out.
    pub fn kubeconfig(&self, token: &str) -> String {
        kubeconfig(&format!("https://{}", self.address()), self.authority.as_bytes(), token)
    }

    /// The kubeconfig of a member of `system:masters`.
    pub fn admin_kubeconfig(&self) -> String {
        self.kubeconfig(TOKEN)
    }

    /// Makes a namespace with labels.
    pub fn namespace(&self, name: &str, labels: &Value) {
        let object = json!({"metadata": {"name": name, "labels": labels}});
        self.admin().json("POST", "/api/v1/namespaces", &object).ok();
    }

    /// Makes a service account, and a token of it.
    pub fn account(&self, namespace: &str, name: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.admin().json("POST", &path, &json!({"metadata": {"name": name}})).ok();
        self.token(namespace, name, 3_600)
    }

    /// A token of a service account.
    pub fn token(&self, namespace: &str, name: &str, seconds: u64) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"spec": {"expirationSeconds": seconds}});
        let answer = self.admin().json("POST", &path, &request).ok().json();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// What the API server was asked so far, as its audit log says.
    pub fn audited(&self) -> Vec<Audited> {
        let log = std::fs::read_to_string(self.home.path().join("audit.log")).unwrap_or_default();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["stage"] == "ResponseComplete")
            .map(|event| {
                let text =
                    |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                let sub = text("/objectRef/subresource");
                let resource = text("/objectRef/resource");
                Audited {
                    verb: text("/verb"),
                    user: text("/user/username"),
                    resource: if sub.is_empty() { resource } else { format!("{resource}/{sub}") },
                    namespace: text("/objectRef/namespace"),
                    name: text("/objectRef/name"),
                    code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
                }
            })
            .collect()
    }

    /// The changes to Secrets of a namespace that were asked for so far.
    pub fn writes(&self, namespace: &str) -> Vec<Audited> {
        let asked = self.audited().into_iter();
        asked.filter(|one| one.is_write() && one.resource == "secrets" && one.namespace == namespace).collect()
    }

    /// The changes that a user asked for so far, of whatever.
    pub fn writes_of(&self, user: &str) -> Vec<Audited> {
        self.audited().into_iter().filter(|one| one.is_write() && one.user == user).collect()
    }

    /// The end of what etcd and the API server have logged.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.home.path().join(name)).unwrap_or_default();
        let log = format!("{}{}", read("etcd.log"), read("server.log"));
        log.lines().rev().take(30).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_server();
        if let Some(mut etcd) = self.etcd.take() {
            let _ = etcd.kill();
            let _ = wait(&mut etcd, START);
        }
    }
}

fn etcd_scheme(is_closed: bool) -> &'static str {
    if is_closed { "https" } else { "http" }
}

fn etcd_files(home: &Path) -> [PathBuf; 3] {
    ["etcd-ca.crt", "etcd.crt", "etcd.key"].map(|name| home.join(name))
}

/// One certificate for both sides: etcd's own gateway presents that of the server.
fn make_etcd_files([authority, certificate, key]: [&PathBuf; 3], address: SocketAddr) {
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let authority_key = text(&authority.with_extension("key"));
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let of_authority = ["-subj", "/CN=etcd-ca", "-keyout", &authority_key, "-out", &text(authority)];
    openssl(&[&new[..], &of_authority[..]].concat(), b"");
    let names = format!("subjectAltName=IP:{},DNS:localhost", address.ip());
    let of_etcd = ["-subj", "/CN=etcd", "-keyout", &text(key), "-out", &text(certificate)];
    let signed = ["-CA", &text(authority), "-CAkey", &authority_key, "-addext", &names];
    let usages = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth,clientAuth"];
    openssl(&[&new[..], &of_etcd[..], &signed[..], &usages[..]].concat(), b"");
}

/// A kubeconfig of one context.
pub fn kubeconfig(server: &str, authority_pem: &[u8], token: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "main",
        "clusters": [{"name": "main", "cluster": {
            "server": server, "certificate-authority-data": STANDARD.encode(authority_pem),
        }}],
        "users": [{"name": "main", "user": {"token": token}}],
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
    })
    .to_string()
}

#[expect(clippy::disallowed_methods, reason = "the key of a server of the test's own")]
fn private_key(key: &strongroom::sensitive::SecretBytes) -> String {
    let pem = strongroom::pki::encode_private_key(key);
    String::from_utf8(pem.expose().to_vec()).unwrap()
}

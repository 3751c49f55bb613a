//! Strongroom's own binary, found and trusted the way its users do: by `admin.kubeconfig`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::failure::{Outcome, within};
use crate::http::Endpoint;
use crate::process::Process;

use super::{Api, Product, Server};

const START_LIMIT: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// `$STRONGROOM_BIN`, else what cargo has built along, else what lies beside this program.
pub fn program() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("STRONGROOM_BIN") {
        let given = PathBuf::from(given);
        return if given.is_file() {
            Ok(given)
        } else {
            Err(format!("$STRONGROOM_BIN is no file: {}", given.display()))
        };
    }
    let built_along = option_env!("CARGO_BIN_EXE_strongroom").map(PathBuf::from);
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("strongroom"));
    built_along
        .into_iter()
        .chain(beside)
        .find(|program| program.is_file())
        .ok_or_else(|| "there is no `strongroom`: build it with `cargo build --release`, or set $STRONGROOM_BIN".into())
}

/// Starts it on `home`; the time until it is ready. A later start is given the address of the first.
pub async fn start(program: &Path, home: Rc<TempDir>, address: Option<SocketAddr>) -> Outcome<(Server, Duration)> {
    start_with(program, home, address, &[]).await
}

/// As [`start`], with more arguments.
pub async fn start_with(
    program: &Path,
    home: Rc<TempDir>,
    address: Option<SocketAddr>,
    more: &[&str],
) -> Outcome<(Server, Duration)> {
    let folder = served(home.path());
    let kubeconfig = folder.join("admin.kubeconfig");
    let known = address.map(|_| read(&kubeconfig)).transpose()?;
    let listen = address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
    let arguments = ["serve".as_ref(), "--home".as_ref(), folder.as_os_str(), "--listen".as_ref(), listen.as_ref()];
    let arguments = arguments.into_iter().chain(more.iter().map(AsRef::as_ref));
    let begun = Instant::now();
    let mut process = Process::start(program, arguments, home.path().join("strongroom.log"))?;
    let endpoint = within(START_LIMIT, "Strongroom's start", async {
        let endpoint = if let Some(endpoint) = known {
            endpoint
        } else {
            // It appears whole, once the address is taken.
            while !kubeconfig.exists() {
                process.check_alive()?;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            read(&kubeconfig)?
        };
        while !matches!(endpoint.once("GET", "/readyz", "").await, Ok((200, _))) {
            process.check_alive()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Outcome::Ok(endpoint)
    })
    .await??;
    let took = begun.elapsed();
    Ok((Server { api: Api { product: Product::Strongroom, endpoint }, process, home }, took))
}

/// What `--home` names.
pub fn served(server_home: &Path) -> PathBuf {
    server_home.join("home")
}

/// Where its files are, in the folder it was given.
pub fn database(server_home: &Path) -> PathBuf {
    served(server_home).join("strongroom.db")
}

/// Address, trust and token of the file the server wrote: block YAML, one scalar a line.
fn read(kubeconfig: &Path) -> Outcome<Endpoint> {
    let text = std::fs::read_to_string(kubeconfig)?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(name));
        line.map(|value| value.trim().trim_matches('"')).ok_or_else(|| format!("admin.kubeconfig has no {name}"))
    };
    let address = field("server: https://")?.parse()?;
    let ca_pem = STANDARD.decode(field("certificate-authority-data:")?)?;
    Endpoint::new(address, &ca_pem, &format!("Authorization: Bearer {}\r\n", field("token:")?))
}

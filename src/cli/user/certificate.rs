//! `strongroom user certificate`: the key is made here and never leaves this machine.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::item;
use crate::cli::connection::{Connection, ConnectionOptions, body};
use crate::cli::duration::Length;
use crate::cli::kubeconfig::{self, Entry};
use crate::cli::output::{print, text_at};
use crate::cli::{CliError, kubeconfig::base64};
use crate::config::{Environment, ServerUrl};
use crate::kube_client::Request;
use crate::model::kinds::OWN_API_VERSION;
use crate::pki::client::{ClientRequest, make_csr};
use crate::pki::encode_certificate;
use crate::sensitive::{Document, SecretBytes};
use crate::server::private_files::create_new;

/// Options of `user certificate`.
#[derive(Args)]
pub struct Certificate {
    /// Name of the user
    #[arg(value_name = "NAME")]
    name: String,
    /// How long the certificate is valid, such as 12h or 30d [default: what the server gives]
    #[arg(long, value_name = "DURATION", value_parser = Length::parse)]
    expires: Option<Length>,
    /// Directory for NAME.key and NAME.crt, neither of which may be there yet
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "out_kubeconfig")]
    out_dir: PathBuf,
    /// Write a kubeconfig instead, with certificate and key in it; it may not be there yet
    #[arg(long, value_name = "FILE")]
    out_kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// A signed certificate and its key.
struct Signed {
    /// PEM.
    certificate: Vec<u8>,
    /// PEM.
    key: SecretBytes,
    /// RFC 3339.
    ends: String,
    /// Hexadecimal digits.
    serial: String,
}

impl Certificate {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        // Before anything is signed: what is there is not replaced.
        let files = match &self.out_kubeconfig {
            Some(file) => vec![file.clone()],
            None => in_directory(&self.out_dir, &self.name)?,
        };
        if let Some(taken) = files.iter().find(|file| file.symlink_metadata().is_ok()) {
            return Err(CliError::NotDone(format!("{} is there already: move it away first", taken.display())));
        }
        let connection = self.connection.connect(environment)?;
        let signed = sign(&connection, &self.name, self.expires)?;
        if self.out_kubeconfig.is_some() {
            let entry = entry(&connection, &self.name, &signed)?;
            create(&files, &[&kubeconfig::only(&entry)?])?;
        } else {
            create_pair(&files, &signed)?;
        }
        let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        print(&format!(
            "The certificate of {}, valid until {}, serial number {}, is in {}\n",
            self.name,
            signed.ends,
            signed.serial,
            shown.join(" and ")
        ));
        Ok(())
    }
}

fn in_directory(directory: &Path, name: &str) -> Result<Vec<PathBuf>, CliError> {
    if name.contains('/') || name.starts_with('.') {
        return Err(CliError::NotDone(format!("{name:?} cannot name a file: give --out-kubeconfig")));
    }
    Ok(vec![directory.join(format!("{name}.key")), directory.join(format!("{name}.crt"))])
}

#[expect(clippy::disallowed_methods, reason = "the certificate is taken from the answer; it is public")]
fn sign(connection: &Connection, name: &str, expires: Option<Length>) -> Result<Signed, CliError> {
    let made = make_csr(name).map_err(|error| CliError::NotDone(error.to_string()))?;
    let ClientRequest { key, csr } = made;
    let mut asked = json!({
        "apiVersion": OWN_API_VERSION,
        "kind": "CertificateRequest",
        "spec": {"request": base64(csr.as_bytes())},
    });
    if let (Some(expires), Some(spec)) = (expires, asked.pointer_mut("/spec").and_then(|spec| spec.as_object_mut())) {
        spec.insert("expirationSeconds".to_owned(), expires.seconds().into());
    }
    let answer =
        connection.object(Request::post(format!("{}/certificate", item(name)), body(&Document::new(asked))))?;
    let certificate = STANDARD.decode(text_at(answer.expose(), "/status/certificate")).ok();
    let certificate = certificate.filter(|pem| pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let certificate =
        certificate.ok_or_else(|| CliError::NotDone("the server did not answer with a certificate".to_owned()))?;
    let text = |pointer| text_at(answer.expose(), pointer).to_owned();
    Ok(Signed { certificate, key, ends: text("/status/expirationTimestamp"), serial: text("/status/serialNumber") })
}

#[expect(clippy::disallowed_methods, reason = "the key goes into its file, mode 0600")]
fn create_pair(files: &[PathBuf], signed: &Signed) -> Result<(), CliError> {
    create(files, &[signed.key.expose(), &signed.certificate])
}

fn create(files: &[PathBuf], contents: &[&[u8]]) -> Result<(), CliError> {
    files.iter().zip(contents).try_for_each(|(file, content)| Ok(create_new(&absolute(file), content)?))
}

/// With a folder to put it into, where a bare name was given.
fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the key goes into a kubeconfig, mode 0600")]
fn entry(connection: &Connection, user: &str, signed: &Signed) -> Result<Entry, CliError> {
    let key = Zeroizing::new(base64(signed.key.expose()));
    let trust: String = connection.trust().iter().map(|certificate| encode_certificate(certificate)).collect();
    let server = ServerUrl::parse("the server", connection.server())?;
    Ok(Entry {
        authority: server.authority(),
        server: server.to_string(),
        trust: Some(trust).filter(|trust| !trust.is_empty()),
        user: user.to_owned(),
        credential: Document::new(json!({
            "client-certificate-data": base64(&signed.certificate),
            "client-key-data": key.as_str(),
        })),
        context: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_names_no_file() {
        let at = |name: &str| in_directory(Path::new("/d"), name);
        assert_eq!(at("ada@x").unwrap(), [Path::new("/d/ada@x.key"), Path::new("/d/ada@x.crt")]);
        for name in ["../ada", "a/b", "..", ".ada"] {
            assert!(at(name).is_err(), "{name}");
        }
    }
}

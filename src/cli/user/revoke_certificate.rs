//! `strongroom user revoke-certificate`: ends one certificate of a user, and no other.

use clap::Args;
use serde_json::json;

use super::item;
use crate::cli::CliError;
use crate::cli::connection::{ConnectionOptions, body};
use crate::cli::output::{print, text_at};
use crate::config::Environment;
use crate::kube_client::Request;
use crate::model::kinds::OWN_API_VERSION;
use crate::sensitive::Document;

/// Options of `user revoke-certificate`.
#[derive(Args)]
pub struct RevokeCertificate {
    /// Name of the user
    #[arg(value_name = "NAME")]
    name: String,
    /// Serial number of the certificate, as `openssl x509 -noout -serial` and the audit log show it
    #[arg(long, value_name = "HEX")]
    serial: String,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl RevokeCertificate {
    #[expect(clippy::disallowed_methods, reason = "the serial number is taken from the answer; it is public")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let asked = Document::new(json!({
            "apiVersion": OWN_API_VERSION,
            "kind": "CertificateRevocation",
            "spec": {"serialNumber": self.serial},
        }));
        let request = Request::post(format!("{}/certificaterevocation", item(&self.name)), body(&asked));
        let answer = self.connection.connect(environment)?.object(request)?;
        print(&format!(
            "Certificate {} of {} is revoked\n",
            text_at(answer.expose(), "/status/serialNumber"),
            self.name
        ));
        Ok(())
    }
}

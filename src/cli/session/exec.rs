//! The protocol between kubectl and a credential plugin: `ExecInfo` in, `ExecCredential` out.
//!
//! Source: `client.authentication.k8s.io/v1`, KEP-541.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cache::SessionKey;
use super::tokens::{Tokens, text};
use crate::cli::CliError;
use crate::cli::connection::certificates;
use crate::clock::rfc3339;
use crate::config::ServerUrl;
use crate::sensitive::{Document, SecretBytes};

const V1: &str = "client.authentication.k8s.io/v1";
const KIND: &str = "ExecCredential";

/// What kubectl says in `KUBERNETES_EXEC_INFO`.
#[derive(Debug)]
pub struct ExecInfo {
    /// The server that the credential would be sent to.
    pub server: ServerUrl,
    /// The certificates by which kubectl knows it, DER.
    pub trust: Vec<Vec<u8>>,
    /// The name that the server's certificate must be for, where that is not the host.
    pub server_name: Option<String>,
    /// Whether a person can be asked.
    pub interactive: bool,
}

impl ExecInfo {
    /// Reads the variable's text.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let wrong = |problem: &str| CliError::NotDone(format!("KUBERNETES_EXEC_INFO: {problem}"));
        let info: Value = serde_json::from_str(text).map_err(|_| wrong("is not JSON"))?;
        let is = |pointer: &str, wanted: &str| info.pointer(pointer).is_some_and(|value| value == wanted);
        if !is("/kind", KIND) || !is("/apiVersion", V1) {
            return Err(wrong(&format!("is no {KIND} of {V1}: `strongroom login` writes the right `exec` entry")));
        }
        let cluster = info.pointer("/spec/cluster").filter(|cluster| cluster.is_object());
        let cluster = cluster.ok_or_else(|| {
            wrong(
                "names no cluster: the `exec` entry needs `provideClusterInfo: true`, as `strongroom login` writes it",
            )
        })?;
        if cluster.get("insecure-skip-tls-verify").is_some_and(|skips| *skips != false) {
            return Err(wrong("the cluster's certificate is not verified, so the token could go to anybody"));
        }
        let field = |name: &str| cluster.get(name).and_then(Value::as_str);
        let server = ServerUrl::parse("KUBERNETES_EXEC_INFO", field("server").unwrap_or_default())?;
        let authority = STANDARD.decode(field("certificate-authority-data").unwrap_or_default());
        let authority = authority.map_err(|_| wrong("the cluster's authority is not base64"))?;
        Ok(Self {
            server,
            trust: certificates(&SecretBytes::new(authority)),
            server_name: field("tls-server-name").map(str::to_owned),
            interactive: info.pointer("/spec/interactive").is_some_and(|is| *is == true),
        })
    }

    /// The session that the plugin was set up for, if kubectl is about to ask the server of that session.
    pub fn session(&self, server: &ServerUrl, trust_digest: &str, user: &str) -> Result<SessionKey, CliError> {
        let key = SessionKey { server: self.server.clone(), trust: self.trust.clone(), user: user.to_owned() };
        let other = if self.server != *server {
            format!("kubectl is about to ask {}, but this credential is for {server}", self.server)
        } else if key.trust_digest() != trust_digest {
            format!("kubectl knows {server} by another authority than the one that was pinned at sign-in")
        } else {
            return Ok(key);
        };
        Err(CliError::NotDone(format!("{other}: no token was given; sign in again with `strongroom login`")))
    }
}

/// What kubectl is answered.
pub fn exec_credential(tokens: &Tokens) -> Result<Document, CliError> {
    Ok(Document::new(json!({
        "apiVersion": V1,
        "kind": KIND,
        "status": {"expirationTimestamp": rfc3339(tokens.access_ends), "token": text(&tokens.access)?},
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{encode_certificate, make_authority};

    fn info(cluster: &Value, interactive: bool) -> String {
        json!({"kind": KIND, "apiVersion": V1, "spec": {"cluster": cluster, "interactive": interactive}}).to_string()
    }

    fn authority() -> (Vec<u8>, String) {
        let der = make_authority(1_790_000_000).unwrap().certificate;
        let data = STANDARD.encode(encode_certificate(&der));
        (der, data)
    }

    #[test]
    fn server_and_authority_are_read_from_what_kubectl_says() {
        let (der, data) = authority();
        let cluster = json!({"server": "https://h:1", "certificate-authority-data": data, "config": null});
        let read = ExecInfo::parse(&info(&cluster, true)).unwrap();
        assert_eq!((read.server.to_string().as_str(), read.interactive), ("https://h:1", true));
        assert_eq!(read.trust, [der]);
        assert!(!ExecInfo::parse(&info(&cluster, false)).unwrap().interactive);
    }

    #[test]
    fn what_would_not_be_safe_or_cannot_be_read_is_refused() {
        let (_, data) = authority();
        for (cluster, problem) in [
            (Value::Null, "provideClusterInfo"),
            (json!({"server": "http://h:1"}), "https://"),
            (json!({"server": "https://h:1", "certificate-authority-data": "!"}), "base64"),
            (
                json!({"server": "https://h:1", "certificate-authority-data": data, "insecure-skip-tls-verify": true}),
                "not verified",
            ),
        ] {
            let error = ExecInfo::parse(&info(&cluster, true)).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        for text in ["", "{", "[]", r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1alpha1"}"#]
        {
            assert!(ExecInfo::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_given_for_the_pinned_server_only() {
        let (der, data) = authority();
        let cluster = json!({"server": "https://h:1", "certificate-authority-data": data});
        let read = ExecInfo::parse(&info(&cluster, true)).unwrap();
        let url = |text: &str| ServerUrl::parse("server", text).unwrap();
        let pinned = SessionKey { server: url("https://h:1"), trust: vec![der], user: "ada".into() };
        let digest = pinned.trust_digest();
        assert_eq!(read.session(&url("https://h:1"), &digest, "ada").unwrap(), pinned);
        let error = read.session(&url("https://h:2"), &digest, "ada").unwrap_err().to_string();
        assert!(error.contains("https://h:1, but this credential is for https://h:2"), "{error}");
        let error = read.session(&url("https://h:1"), &"0".repeat(64), "ada").unwrap_err().to_string();
        assert!(error.contains("another authority"), "{error}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at the token it planted")]
    fn the_credential_says_when_it_ends() {
        let token = |text: &str| SecretBytes::new(text.into());
        let tokens = Tokens { access: token("a.b"), access_ends: 1_790_000_000, refresh: token("r"), refresh_ends: 0 };
        let expected = json!({"apiVersion": V1, "kind": KIND,
            "status": {"expirationTimestamp": "2026-09-21T14:13:20Z", "token": "a.b"}});
        assert_eq!(exec_credential(&tokens).unwrap().expose(), &expected);
    }
}

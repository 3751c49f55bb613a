//! `admin.kubeconfig`: how the administrator's clients find and trust the server.
//!
//! Block YAML with the token in it, mode 0600, replaced as a whole. Reading back looks for the fields that were
//! written, line by line, which also holds after `kubectl config` has rewritten the file; it is no YAML parser.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::sensitive::SecretBytes;

use super::private_files::{Access, FileError, SECRET_FILE_MAX_BYTES, read_secret, replace};

const TOKEN_MAX_BYTES: usize = 4096;

/// What the file says.
pub struct AdminKubeconfig {
    /// `https://HOST:PORT`
    pub server: String,
    /// What to trust, PEM; `None` leaves it to the client's system.
    pub trust: Option<String>,
    /// The administrator's token.
    pub token: SecretBytes,
}

impl AdminKubeconfig {
    /// Reads the file; `None` where it is not there, not private, or not of this shape.
    pub fn read(path: &Path) -> Option<Self> {
        Self::read_as(path, Access::OwnerOnly)
    }

    /// As [`AdminKubeconfig::read`], for somebody who is not the home's owner.
    #[expect(clippy::disallowed_methods, reason = "the file is searched for its token")]
    pub fn read_as(path: &Path, access: Access) -> Option<Self> {
        let content = read_secret(path, access, SECRET_FILE_MAX_BYTES).ok()?;
        Self::parse(std::str::from_utf8(content.expose()).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let server = scalar(text, "server")?.to_owned();
        let token = scalar(text, "token").filter(|token| is_token(token.as_bytes()))?;
        let trust = match scalar(text, "certificate-authority-data") {
            Some(encoded) => Some(String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?),
            None => None,
        };
        Some(Self { server, trust, token: SecretBytes::new(token.as_bytes().to_vec()) })
    }

    /// Puts the file in place unless it says the same already. Says whether it did.
    pub fn write(&self, path: &Path) -> Result<bool, FileError> {
        if Self::read(path).is_some_and(|stored| stored.says_the_same(self)) {
            return Ok(false);
        }
        replace(path, &self.encode())?;
        Ok(true)
    }

    #[expect(clippy::disallowed_methods, reason = "the file holds the token")]
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let trust = self
            .trust
            .as_ref()
            .map_or_else(String::new, |pem| format!("    certificate-authority-data: {}\n", STANDARD.encode(pem)));
        let before = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: strongroom\n  cluster:\n{trust}    server: {}\n\
             contexts:\n- name: strongroom\n  context:\n    cluster: strongroom\n    namespace: default\n    user: admin\n\
             current-context: strongroom\npreferences: {{}}\nusers:\n- name: admin\n  user:\n    token: ",
            self.server
        );
        let mut text = Zeroizing::new(Vec::with_capacity(before.len() + self.token.len() + 1));
        text.extend_from_slice(before.as_bytes());
        text.extend_from_slice(self.token.expose());
        text.push(b'\n');
        text
    }

    #[expect(clippy::disallowed_methods, reason = "two files of the same owner are compared")]
    fn says_the_same(&self, other: &Self) -> bool {
        self.server == other.server && self.trust == other.trust && self.token.expose() == other.token.expose()
    }
}

/// Whether a token can stand in YAML, in a header and on a line of a shell as it is.
pub fn is_token(token: &[u8]) -> bool {
    (1..=TOKEN_MAX_BYTES).contains(&token.len())
        && token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
}

fn scalar<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let line = line.trim_start();
        let value = line.strip_prefix("- ").unwrap_or(line).strip_prefix(key)?.strip_prefix(':')?.trim();
        let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(unquoted.unwrap_or(value)).filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at the token they planted")]
mod tests {
    use super::*;

    fn kubeconfig(server: &str) -> AdminKubeconfig {
        let trust = Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned());
        AdminKubeconfig { server: server.to_owned(), trust, token: SecretBytes::new(b"sr_Abc123".to_vec()) }
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.kubeconfig");
        let written = kubeconfig("https://[::1]:8443");
        assert!(written.write(&path).unwrap());
        let read = AdminKubeconfig::read(&path).unwrap();
        assert!(read.says_the_same(&written));
        assert!(!written.write(&path).unwrap(), "what says the same is left alone");
        assert!(kubeconfig("https://127.0.0.1:1").write(&path).unwrap());
        assert_eq!(AdminKubeconfig::read(&path).unwrap().server, "https://127.0.0.1:1");
    }

    #[test]
    fn the_file_is_the_block_yaml_that_kubernetes_clients_read() {
        let without_trust = AdminKubeconfig { trust: None, ..kubeconfig("https://127.0.0.1:8443") };
        let text = String::from_utf8(without_trust.encode().to_vec()).unwrap();
        assert_eq!(
            text,
            "apiVersion: v1\nkind: Config\nclusters:\n- name: strongroom\n  cluster:\n    \
             server: https://127.0.0.1:8443\ncontexts:\n- name: strongroom\n  context:\n    cluster: strongroom\n    \
             namespace: default\n    user: admin\ncurrent-context: strongroom\npreferences: {}\nusers:\n- name: admin\n  \
             user:\n    token: sr_Abc123\n"
        );
    }

    #[test]
    fn a_file_rewritten_by_kubectl_is_still_read() {
        let text = "apiVersion: v1\nclusters:\n- cluster:\n    server: \"https://h:1\"\n  name: strongroom\nusers:\n- name: admin\n  user:\n    token: sr_x\n";
        let read = AdminKubeconfig::parse(text).unwrap();
        assert_eq!((read.server.as_str(), read.token.expose()), ("https://h:1", &b"sr_x"[..]));
    }

    #[test]
    fn a_file_without_a_usable_token_is_no_kubeconfig_of_ours() {
        for token in ["", "a b", "x\\", "'x'"] {
            assert!(AdminKubeconfig::parse(&format!("server: https://h:1\ntoken: {token}\n")).is_none(), "{token}");
        }
        assert!(AdminKubeconfig::parse("token: sr_x\n").is_none());
    }
}

//! What a start says to the person who started it: addresses and file names, nothing secret.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Said of a key file that lies in the home, wherever it is mentioned.
pub const COLOCATED_KEY: &str = "The key file lies beside the database: it protects copies of the database and \
    backups, not against theft of this disk or against root.";

/// What there is to say.
pub struct FirstSteps<'a> {
    /// Whether the home was made just now.
    pub is_first_start: bool,
    /// `https://HOST:PORT`
    pub server: &'a str,
    /// The home.
    pub home: &'a Path,
    /// How the administrator connects.
    pub kubeconfig: PathBuf,
    /// What `curl` has to trust, where that is a file of the home's.
    pub trust: Option<PathBuf>,
    /// The key file, where there is one.
    pub key_file: Option<&'a Path>,
    /// Whether it lies in the home.
    pub is_colocated: bool,
    /// Whether Swagger UI is served.
    pub swagger_ui: bool,
}

impl FirstSteps<'_> {
    /// The text, with a line end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("Strongroom listens on {}\n\n", self.server);
        let mut field = |name: &str, path: &Path| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<11} {}", path.display());
        };
        field("home", self.home);
        field("kubeconfig", &self.kubeconfig);
        if let Some(path) = self.key_file {
            field("key file", path);
        }
        if self.is_first_start && self.key_file.is_some() {
            text.push_str("\nKeep a copy of the key file in another place: without it nothing can be read again.\n");
            if self.is_colocated {
                text.push_str(COLOCATED_KEY);
                text.push('\n');
            }
        }
        if self.is_first_start {
            self.add_examples(&mut text);
        } else if self.swagger_ui {
            let _ = writeln!(text, "  {:<11} {}/swagger-ui/", "Swagger UI", self.server);
        }
        text
    }

    fn add_examples(&self, text: &mut String) {
        let kubeconfig = shell_word(&self.kubeconfig);
        let trust = self.trust.as_ref().map_or_else(String::new, |path| format!("--cacert {} ", shell_word(path)));
        let server = self.server;
        let _ = write!(
            text,
            "\nTry next:\n\n  kubectl --kubeconfig {kubeconfig} create secret generic my-secret \
             --from-literal=username=admin\n  kubectl --kubeconfig {kubeconfig} get secrets\n\n  \
             sed -n 's/^ *token: /Authorization: Bearer /p' {kubeconfig} | curl {trust}-H @- \
             {server}/api/v1/namespaces/default/secrets\n"
        );
        if self.swagger_ui {
            let _ = writeln!(text, "\n  {server}/swagger-ui/");
        }
    }
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> FirstSteps<'static> {
        FirstSteps {
            is_first_start: true,
            server: "https://127.0.0.1:8443",
            home: Path::new("/h"),
            kubeconfig: "/h/admin.kubeconfig".into(),
            trust: Some("/h/tls/ca.crt".into()),
            key_file: Some(Path::new("/h/keys/unlock.key")),
            is_colocated: true,
            swagger_ui: true,
        }
    }

    #[test]
    fn a_first_start_shows_kubectl_curl_and_swagger_ui() {
        let text = steps().text();
        assert!(text.contains("kubectl --kubeconfig /h/admin.kubeconfig get secrets\n"));
        assert!(text.contains("| curl --cacert /h/tls/ca.crt -H @- https://127.0.0.1:8443/api/v1/namespaces/default/"));
        assert!(text.contains("\n  https://127.0.0.1:8443/swagger-ui/\n"));
        assert!(text.contains(COLOCATED_KEY));
    }

    #[test]
    fn a_later_start_is_brief() {
        let text = FirstSteps { is_first_start: false, ..steps() }.text();
        assert!(!text.contains("Try next") && text.contains("Swagger UI") && text.contains("admin.kubeconfig"));
    }

    #[test]
    fn what_is_off_or_elsewhere_is_not_shown() {
        let text = FirstSteps { swagger_ui: false, is_colocated: false, trust: None, ..steps() }.text();
        assert!(!text.contains("swagger") && !text.contains(COLOCATED_KEY) && !text.contains("--cacert"));
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(shell_word(Path::new("/a/b-c")), "/a/b-c");
        assert_eq!(shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}

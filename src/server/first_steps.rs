//! What a start says to the person who started it: addresses and file names, nothing secret.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Said of what lies in the home and opens it, wherever it is mentioned.
pub const IN_THE_HOME: &str = "What unlocks this home lies in it, beside the database: that protects a copy of the \
    database alone, not a copy of the whole home, and not against theft of this disk or against root.";
const OUTSIDE_THE_HOME: &str = "What unlocks this home lies outside it, on this machine: that protects copies of the \
    home and backups, not against theft of this machine or against root.";
const KEEP_A_COPY: &str =
    "Keep a copy of what unlocks this home in another place: without it nothing can be read again.";

/// What opened the home, as far as it may be told.
pub struct Opener {
    /// What it is called, and its file, where it stays there for the next start.
    pub file: Option<(&'static str, PathBuf)>,
    /// Whether that file lies in the home.
    pub is_in_home: bool,
}

/// What there is to say.
pub struct FirstSteps<'a> {
    /// Whether there was a kubeconfig before. Without one this start is the first that got as far as serving.
    pub is_first: bool,
    /// `https://HOST:PORT`
    pub server: &'a str,
    /// The home.
    pub home: &'a Path,
    /// How the administrator connects.
    pub kubeconfig: PathBuf,
    /// What `curl` has to trust, where that is a file of the home's.
    pub trust: Option<PathBuf>,
    /// What opened the home.
    pub opener: &'a Opener,
    /// The Unix socket, where there is one.
    pub socket: Option<&'a Path>,
    /// The certificate of the client authority, where client certificates are used.
    pub client_authority: Option<PathBuf>,
    /// Whether Swagger UI is served.
    pub swagger_ui: bool,
}

impl FirstSteps<'_> {
    /// The text, with a line end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("Strongroom listens on {}\n\n", self.server);
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<11} {value}");
        };
        field("home", &self.home.display());
        field("kubeconfig", &self.kubeconfig.display());
        if let Some((name, path)) = &self.opener.file {
            field(name, &path.display());
        }
        if let Some(path) = self.socket {
            field("socket", &path.display());
        }
        if let Some(path) = &self.client_authority {
            field("client CA", &path.display());
        }
        if self.swagger_ui {
            field("Swagger UI", &format_args!("{}/swagger-ui/", self.server));
        }
        if self.is_first {
            let _ = writeln!(text, "\n{KEEP_A_COPY}");
            if self.opener.file.is_some() {
                let sentence = if self.opener.is_in_home { IN_THE_HOME } else { OUTSIDE_THE_HOME };
                let _ = writeln!(text, "{sentence}");
            }
            self.add_examples(&mut text);
        }
        text
    }

    /// The token goes from the kubeconfig to `curl` through a pipe: other users may read a command line.
    fn add_examples(&self, text: &mut String) {
        let kubeconfig = shell_path(&self.kubeconfig);
        let trust = self.trust.as_ref().map_or_else(String::new, |path| format!("--cacert {} ", shell_path(path)));
        let secrets = shell_word(&format!("{}/api/v1/namespaces/default/secrets", self.server));
        let _ = write!(
            text,
            "\nTry next:\n\n  kubectl --kubeconfig {kubeconfig} create secret generic my-secret \
             --from-literal=username=admin\n  kubectl --kubeconfig {kubeconfig} get secrets\n\n  \
             sed -n 's/^ *token: /Authorization: Bearer /p' {kubeconfig} | curl {trust}-H @- {secrets}\n"
        );
        if self.swagger_ui {
            let _ = writeln!(text, "\n  {}/swagger-ui/", self.server);
        }
    }
}

/// What a start says that leaves the home sealed.
pub fn sealed_steps(server: &str, home: &Path) -> String {
    format!(
        "Strongroom listens on {server}\n\n  home        {}\n  state       sealed\n\nNothing is served until somebody \
         unseals it:\n\n  strongroom unseal --home {}\n",
        home.display(),
        shell_path(home)
    )
}

fn shell_path(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

/// A text as a shell takes it for one word. Brackets, as around an IPv6 address, are a pattern to some.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opener(is_in_home: bool) -> Opener {
        Opener { file: Some(("key file", "/h/keys/unlock.key".into())), is_in_home }
    }

    fn steps(opener: &Opener) -> FirstSteps<'_> {
        FirstSteps {
            is_first: true,
            server: "https://127.0.0.1:8443",
            home: Path::new("/h"),
            kubeconfig: "/h/admin.kubeconfig".into(),
            trust: Some("/h/tls/ca.crt".into()),
            opener,
            socket: None,
            client_authority: None,
            swagger_ui: true,
        }
    }

    #[test]
    fn a_first_start_shows_kubectl_curl_and_swagger_ui() {
        let text = steps(&opener(true)).text();
        assert!(text.contains("kubectl --kubeconfig /h/admin.kubeconfig get secrets\n"));
        assert!(text.contains("| curl --cacert /h/tls/ca.crt -H @- https://127.0.0.1:8443/api/v1/namespaces/default/"));
        assert!(text.contains("\n  https://127.0.0.1:8443/swagger-ui/\n"));
    }

    #[test]
    fn a_first_start_says_what_the_place_of_the_key_protects_and_what_not() {
        let text = steps(&opener(true)).text();
        assert!(text.contains("  key file    /h/keys/unlock.key\n") && text.contains(KEEP_A_COPY));
        assert!(text.contains(IN_THE_HOME) && !text.contains(OUTSIDE_THE_HOME));
        let text = steps(&opener(false)).text();
        assert!(text.contains(OUTSIDE_THE_HOME) && !text.contains(IN_THE_HOME));
        let typed = Opener { file: None, is_in_home: false };
        let text = steps(&typed).text();
        assert!(text.contains(KEEP_A_COPY) && !text.contains("lies") && !text.contains("key file"));
    }

    #[test]
    fn a_later_start_is_brief() {
        let text = FirstSteps { is_first: false, ..steps(&opener(true)) }.text();
        assert_eq!(
            text,
            "Strongroom listens on https://127.0.0.1:8443\n\n  home        /h\n  kubeconfig  /h/admin.kubeconfig\n  \
             key file    /h/keys/unlock.key\n  Swagger UI  https://127.0.0.1:8443/swagger-ui/\n"
        );
    }

    #[test]
    fn a_socket_and_a_client_authority_are_shown_where_they_are() {
        let opener = opener(true);
        let with = FirstSteps {
            socket: Some(Path::new("/run/s.sock")),
            client_authority: Some("/h/client-ca.crt".into()),
            ..steps(&opener)
        };
        assert!(with.text().contains("\n  socket      /run/s.sock\n  client CA   /h/client-ca.crt\n  Swagger UI  "));
    }

    #[test]
    fn what_is_off_or_elsewhere_is_not_shown() {
        let text = FirstSteps { swagger_ui: false, trust: None, ..steps(&opener(true)) }.text();
        assert!(!text.to_lowercase().contains("swagger") && !text.contains("--cacert"));
    }

    #[test]
    fn a_sealed_start_says_how_it_is_unsealed() {
        let text = sealed_steps("https://127.0.0.1:8443", Path::new("/my home"));
        assert!(text.starts_with("Strongroom listens on https://127.0.0.1:8443\n"), "{text}");
        assert!(text.ends_with("\n  strongroom unseal --home '/my home'\n"), "{text}");
    }

    #[test]
    fn paths_and_addresses_are_quoted_for_the_shell() {
        assert_eq!(shell_word("/a/b-c"), "/a/b-c");
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
        let text = FirstSteps { server: "https://[::1]:8443", ..steps(&opener(true)) }.text();
        assert!(text.contains(" -H @- 'https://[::1]:8443/api/v1/namespaces/default/secrets'\n"), "{text}");
    }
}

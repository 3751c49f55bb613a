//! Which server a command asks, and as whom. What was chosen explicitly wins over what merely lies there.

use std::fmt;
use std::path::PathBuf;

use super::{Advertise, ConfigError, Environment, HomePaths};

const HTTPS_PORT: u16 = 443;

/// Bytes of the path below which a server may be.
const PATH_MAX_BYTES: usize = 256;

/// The address of a server: `https://HOST[:PORT]`, without user or query; with a path only where one is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    address: Advertise,
    /// Empty, or with a slash before each of its parts.
    path: String,
}

impl ServerUrl {
    /// Reads one without a path; `setting` is named in the error.
    pub fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse_with_path(setting, text)
            .and_then(|server| if server.path.is_empty() { Ok(server) } else { Err(wrong(setting)) })
    }

    /// Reads one that may be reached below a path, as behind Rancher: `https://HOST:PORT/k8s/clusters/c-1`. The parts of
    /// the path are of letters, digits and `-._~`; none is empty, `.` or `..`.
    pub fn parse_with_path(setting: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = || wrong(setting);
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        let path = path.strip_suffix('/').unwrap_or(path);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
        if path.len() > PATH_MAX_BYTES || !path.split('/').skip(1).all(is_part) {
            return Err(wrong());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let whole = if has_port { authority.to_owned() } else { format!("{authority}:{HTTPS_PORT}") };
        let address = Advertise::parse(setting, &whole).map_err(|_| wrong())?;
        Ok(Self { address, path: path.to_owned() })
    }

    /// Lower-case name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address.host()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `HOST:PORT`
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.address, self.path)
    }
}

fn wrong(setting: &str) -> ConfigError {
    ConfigError::new(setting, "give https://HOST:PORT, for example https://vault.example.com:8443")
}

/// What was given on the command line, not yet looked at.
#[derive(Debug, Default)]
pub struct ConnectionFlags {
    /// `--server`
    pub server: Option<String>,
    /// `--ca-file`
    pub ca_file: Option<PathBuf>,
    /// `--token-file`
    pub token_file: Option<PathBuf>,
    /// `--kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// `--context`
    pub context: Option<String>,
    /// `--home`
    pub home: Option<PathBuf>,
}

/// Where the connection comes from.
pub enum ConnectionSource {
    /// An address and a token.
    Server {
        /// Where.
        server: ServerUrl,
        /// Certificates to trust, PEM; `None` leaves it to the operating system.
        ca_file: Option<PathBuf>,
        /// Holds the bearer token.
        token_file: PathBuf,
    },
    /// A kubeconfig: all of its files.
    Kubeconfig {
        /// The files, merged as kubectl does.
        files: Vec<PathBuf>,
        /// `None` is the current one.
        context: Option<String>,
    },
    /// The administrator's file of a home.
    Home(HomePaths),
    /// Nothing was chosen: the user's kubeconfig if there is one with a context, else the default home.
    Ambient {
        /// Where the kubeconfig would be.
        files: Vec<PathBuf>,
        /// The default home; `None` where there is no place for one.
        home: Option<HomePaths>,
    },
}

impl ConnectionSource {
    /// Puts flags and environment together.
    pub fn resolve(flags: ConnectionFlags, environment: &Environment) -> Result<Self, ConfigError> {
        let files = kubeconfig_files(flags.kubeconfig.as_ref(), environment);
        let (setting, server) = match flags.server {
            Some(server) => ("--server", Some(server)),
            None => ("STRONGROOM_SERVER", environment.text("STRONGROOM_SERVER")?),
        };
        let chose_another = flags.kubeconfig.is_some() || flags.context.is_some() || flags.home.is_some();
        match server {
            Some(server) if !(chose_another && setting == "STRONGROOM_SERVER") => {
                let token_file = flags.token_file.or_else(|| environment.path("STRONGROOM_TOKEN_FILE"));
                let needed = "is needed with --server: who has none signs in with `strongroom login` instead";
                return Ok(Self::Server {
                    server: ServerUrl::parse(setting, &server)?,
                    ca_file: flags.ca_file.or_else(|| environment.path("STRONGROOM_CA_FILE")),
                    token_file: token_file.ok_or_else(|| ConfigError::new("--token-file", needed))?,
                });
            }
            _ => {}
        }
        for (setting, given) in [("--ca-file", &flags.ca_file), ("--token-file", &flags.token_file)] {
            if given.is_some() {
                return Err(ConfigError::new(setting, "goes with --server"));
            }
        }
        if flags.home.is_some() {
            return HomePaths::resolve(flags.home, environment).map(Self::Home);
        }
        if flags.kubeconfig.is_some() || flags.context.is_some() {
            return Ok(Self::Kubeconfig { files, context: flags.context });
        }
        Ok(Self::Ambient { files, home: HomePaths::resolve(None, environment).ok() })
    }
}

/// The files that make up the user's kubeconfig: the one given, else those of `KUBECONFIG`, else `~/.kube/config`.
#[must_use]
pub fn kubeconfig_files(given: Option<&PathBuf>, environment: &Environment) -> Vec<PathBuf> {
    if let Some(file) = given {
        return vec![file.clone()];
    }
    let listed: Vec<PathBuf> = environment
        .raw("KUBECONFIG")
        .map(|list| std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if listed.is_empty() {
        environment.path("HOME").map(|home| home.join(".kube").join("config")).into_iter().collect()
    } else {
        listed
    }
}

/// Where tokens are kept between two commands; `None` where neither `XDG_CACHE_HOME` nor `HOME` says.
#[must_use]
pub fn credential_directory(environment: &Environment) -> Option<PathBuf> {
    cache_directory(environment, "credentials")
}

/// Where Secrets are kept, sealed, for when the server does not answer.
#[must_use]
pub fn offline_directory(environment: &Environment) -> Option<PathBuf> {
    cache_directory(environment, "offline")
}

/// Where the key to them is, if no other is chosen: in a place that is gone with the session. `None` where
/// `XDG_RUNTIME_DIR` does not say.
#[must_use]
pub fn offline_key_file(environment: &Environment) -> Option<PathBuf> {
    environment.absolute_path("XDG_RUNTIME_DIR").map(|folder| folder.join("strongroom").join("offline.key"))
}

fn cache_directory(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment
        .absolute_path("XDG_CACHE_HOME")
        .or_else(|| environment.path("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("strongroom").join(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port_and_nothing_else() {
        for (text, shown) in [
            ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
            ("https://Vault.Example/", "https://vault.example:443"),
            ("https://[::1]:1", "https://[::1]:1"),
            ("https://[::1]", "https://[::1]:443"),
        ] {
            assert_eq!(ServerUrl::parse("--server", text).unwrap().to_string(), shown);
        }
        for text in ["http://h:1", "h:1", "https://", "https://u@h:1", "https://h:1/p", "https://h:1?q", "https://h:0"]
        {
            assert!(ServerUrl::parse("--server", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_plain_and_where_it_is_allowed_only() {
        for (text, shown) in [
            ("https://h:1", "https://h:1"),
            ("https://h/", "https://h:443"),
            ("https://H:1/k8s/clusters/c-m-1x", "https://h:1/k8s/clusters/c-m-1x"),
            ("https://[::1]/A.b~c_d/", "https://[::1]:443/A.b~c_d"),
        ] {
            assert_eq!(ServerUrl::parse_with_path("server", text).unwrap().to_string(), shown);
        }
        let long = format!("/{}", "a".repeat(PATH_MAX_BYTES));
        for path in [
            "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/../b", "/a/./b", "/a/..", "/a?b", "/a#b", "/a%2fb",
            "/%2e%2e", "/a b", "/a\\b", "/a\r\nb", "/u@h", "/a;b", "/\u{e4}", &long,
        ] {
            assert!(ServerUrl::parse_with_path("server", &format!("https://h:1{path}")).is_err(), "{path:?}");
        }
        for text in ["https://u@h/p", "https:///p", "https://?/p", "https://h:1?q/p", "http://h/p"] {
            assert!(ServerUrl::parse_with_path("server", text).is_err(), "{text}");
        }
    }

    fn resolve(flags: ConnectionFlags, variables: &[(&str, &str)]) -> Result<ConnectionSource, ConfigError> {
        let mut all = vec![("HOME", "/home/u")];
        all.extend_from_slice(variables);
        ConnectionSource::resolve(flags, &Environment::of(&all))
    }

    #[test]
    fn a_server_is_asked_with_a_token_from_a_file() {
        let server = || ConnectionFlags { server: Some("https://h:1".into()), ..ConnectionFlags::default() };
        assert!(resolve(server(), &[]).is_err());
        let variables = [("STRONGROOM_TOKEN_FILE", "/t"), ("STRONGROOM_CA_FILE", "/c")];
        let Ok(ConnectionSource::Server { ca_file, token_file, .. }) = resolve(server(), &variables) else { panic!() };
        assert_eq!((ca_file.as_deref(), token_file.as_path()), (Some(Path::new("/c")), Path::new("/t")));
        let variables = [("STRONGROOM_TOKEN_FILE", "/t"), ("STRONGROOM_SERVER", "https://h:1")];
        let chosen = resolve(ConnectionFlags::default(), &variables);
        assert!(matches!(chosen, Ok(ConnectionSource::Server { .. })));
    }

    #[test]
    fn what_is_chosen_on_the_command_line_wins_over_the_environment() {
        let variables = [("STRONGROOM_SERVER", "https://h:1"), ("KUBECONFIG", "/k")];
        let home = ConnectionFlags { home: Some("/h".into()), ..ConnectionFlags::default() };
        assert!(matches!(resolve(home, &variables), Ok(ConnectionSource::Home(_))));
        let context = ConnectionFlags { context: Some("c".into()), ..ConnectionFlags::default() };
        let Ok(ConnectionSource::Kubeconfig { files, .. }) = resolve(context, &variables) else { panic!() };
        assert_eq!(files, [Path::new("/k")]);
        let ca = ConnectionFlags { ca_file: Some("/c".into()), ..ConnectionFlags::default() };
        assert!(resolve(ca, &[]).is_err());
    }

    #[test]
    fn without_a_choice_the_kubeconfig_comes_before_the_home() {
        let chosen = resolve(ConnectionFlags::default(), &[("KUBECONFIG", "/a::/b")]);
        let Ok(ConnectionSource::Ambient { files, home }) = chosen else { panic!() };
        assert_eq!(files, [Path::new("/a"), Path::new("/b")]);
        assert_eq!(home.unwrap().root(), Path::new("/home/u/.local/share/strongroom"));
        let Ok(ConnectionSource::Ambient { files, .. }) = resolve(ConnectionFlags::default(), &[]) else { panic!() };
        assert_eq!(files, [Path::new("/home/u/.kube/config")]);
    }

    #[test]
    fn tokens_are_kept_in_the_cache_directory() {
        let at = |variables: &[(&str, &str)]| credential_directory(&Environment::of(variables));
        assert_eq!(at(&[("HOME", "/u")]).unwrap(), Path::new("/u/.cache/strongroom/credentials"));
        assert_eq!(at(&[("HOME", "/u"), ("XDG_CACHE_HOME", "/c")]).unwrap(), Path::new("/c/strongroom/credentials"));
        assert!(at(&[]).is_none());
    }
}

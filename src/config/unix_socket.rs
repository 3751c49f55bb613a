//! A Unix socket to listen on besides the network.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};

const OWNER_ONLY: u32 = 0o600;
const PERMISSIONS: u32 = 0o777;
/// What the kernel has room for, less the zero at the end.
const PATH_MAX_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where the socket is, and who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Absolute.
    pub path: PathBuf,
    /// Permission bits; whoever may write may connect.
    pub mode: u32,
}

impl UnixSocket {
    pub(super) fn resolve(
        path: Option<PathBuf>,
        mode: Option<String>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let (setting, path) = match path {
            Some(path) => ("--listen-unix", Some(path)),
            None => ("STRONGROOM_LISTEN_UNIX", environment.path("STRONGROOM_LISTEN_UNIX")),
        };
        let (mode_setting, mode) = match mode {
            Some(mode) => ("--listen-unix-mode", Some(mode)),
            None => ("STRONGROOM_LISTEN_UNIX_MODE", environment.text("STRONGROOM_LISTEN_UNIX_MODE")?),
        };
        let Some(path) = path else {
            return match mode {
                Some(_) => Err(ConfigError::new(mode_setting, "needs --listen-unix beside it")),
                None => Ok(None),
            };
        };
        let mode = mode.map_or(Ok(OWNER_ONLY), |text| parse_mode(mode_setting, &text))?;
        Self::of_path(setting, &path, mode).map(Some)
    }

    /// One at a path; `setting` is named in the error.
    pub fn of_path(setting: &str, path: &Path, mode: u32) -> Result<Self, ConfigError> {
        let path = std::path::absolute(path)
            .map_err(|_| ConfigError::new(setting, "is empty or the working directory is gone"))?;
        let length = path.as_os_str().as_bytes().len();
        if length > PATH_MAX_BYTES {
            let problem = format!(
                "{} has {length} bytes, and the path of a Unix socket has {PATH_MAX_BYTES} at most: give a shorter one",
                path.display()
            );
            return Err(ConfigError::new(setting, problem));
        }
        if path.file_name().is_none() || SocketAddr::from_pathname(&path).is_err() {
            return Err(ConfigError::new(setting, "give the path of a file, for example /run/strongroom/api.sock"));
        }
        Ok(Self { path, mode })
    }
}

/// Octal, as `chmod` takes it. The owner keeps the right to connect.
fn parse_mode(setting: &str, text: &str) -> Result<u32, ConfigError> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && mode & !PERMISSIONS == 0);
    mode.filter(|mode| mode & OWNER_ONLY == OWNER_ONLY).ok_or_else(|| {
        ConfigError::new(setting, "give octal permissions with read and write for the owner, for example 0660")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        path: Option<&str>,
        mode: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Option<UnixSocket>, ConfigError> {
        UnixSocket::resolve(path.map(PathBuf::from), mode.map(str::to_owned), &Environment::of(variables))
    }

    #[test]
    fn without_a_path_there_is_no_socket_and_a_mode_alone_is_a_mistake() {
        assert_eq!(resolve(None, None, &[]).unwrap(), None);
        assert!(resolve(None, Some("0660"), &[]).is_err());
        assert!(resolve(None, None, &[("STRONGROOM_LISTEN_UNIX_MODE", "0660")]).is_err());
    }

    #[test]
    fn only_the_owner_may_connect_unless_a_mode_says_otherwise() {
        assert_eq!(resolve(Some("/r/s"), None, &[]).unwrap().unwrap(), UnixSocket { path: "/r/s".into(), mode: 0o600 });
        assert_eq!(resolve(Some("/r/s"), Some("666"), &[]).unwrap().unwrap().mode, 0o666);
        let variables = [("STRONGROOM_LISTEN_UNIX", "/v/s"), ("STRONGROOM_LISTEN_UNIX_MODE", "0660")];
        assert_eq!(resolve(None, None, &variables).unwrap().unwrap(), UnixSocket { path: "/v/s".into(), mode: 0o660 });
        for wrong in ["", "6", "0066", "0400", "4660", "0o660", "888", "+660", "rw"] {
            assert!(resolve(Some("/r/s"), Some(wrong), &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_with_its_length() {
        let fits = format!("/{}", "x".repeat(PATH_MAX_BYTES - 1));
        assert!(resolve(Some(&fits), None, &[]).is_ok());
        let error = resolve(Some(&(fits + "y")), None, &[]).unwrap_err().to_string();
        let expected =
            format!("has {} bytes, and the path of a Unix socket has {PATH_MAX_BYTES} at most", PATH_MAX_BYTES + 1);
        assert!(error.contains(&expected), "{error}");
        assert!(resolve(Some("/"), None, &[]).is_err() && resolve(Some("/r/.."), None, &[]).is_err());
        assert!(resolve(Some("relative.sock"), None, &[]).unwrap().unwrap().path.is_absolute());
    }
}

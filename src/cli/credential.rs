//! `strongroom credential`: what kubectl runs for a token.
//!
//! Standard output is the `ExecCredential` and nothing else.

use clap::Args;

use super::connection::Connection;
use super::login::endpoint;
use super::output::{ObjectFormat, print_object};
use super::session::{Cache, ExecInfo, Locked, SessionKey, Tokens, exec_credential, log_in, refresh};
use super::{CliError, password, warn};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Environment, ServerUrl};
use crate::terminal::{Prompt as _, Terminal};

/// A token that ends sooner is renewed.
const LEAST_SECONDS_LEFT: i64 = 60;

/// Options of `credential`, as `strongroom login` writes them.
#[derive(Args)]
#[command(after_help = "\
kubectl runs this, as the `exec` entry says that `strongroom login` writes. A token is given for that server and \
authority only. One that ends within a minute is renewed before; where that fails, the password is asked for if there \
is a terminal.")]
pub struct Credential {
    /// Server that the session is at
    #[arg(long, value_name = "URL")]
    server: String,
    /// User whose session it is
    #[arg(long, value_name = "USERNAME")]
    user: String,
    /// SHA-256 over the certificates by which the server is known
    #[arg(long, value_name = "SHA256")]
    ca_sha256: String,
}

impl Credential {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let server = ServerUrl::parse("--server", &self.server)?;
        let info = environment.text("KUBERNETES_EXEC_INFO")?.ok_or_else(|| {
            CliError::NotDone(
                "this is run by kubectl, which says in KUBERNETES_EXEC_INFO what it is about to ask".into(),
            )
        })?;
        let info = ExecInfo::parse(&info)?;
        let key = info.session(&server, &self.ca_sha256, &self.user)?;
        let tokens = tokens(&Cache::open(environment)?, &key, &info).map_err(|error| match error {
            // Who runs this can tell a server that is away from a session that has ended.
            CliError::Connect(error) if error.is_silence() => CliError::Unavailable(error.to_string()),
            other => other,
        })?;
        print_object(&exec_credential(&tokens)?, ObjectFormat::Json);
        Ok(())
    }
}

fn tokens(cache: &Cache, key: &SessionKey, info: &ExecInfo) -> Result<Tokens, CliError> {
    let connection = || {
        let server_name = info.server_name.clone();
        Connection::to(crate::kube_client::Endpoint { server_name, ..endpoint(key) })
    };
    let locked = cache.lock(key)?;
    let now = || SystemClock.unix_seconds();
    let renew = |before: &Tokens| refresh(&connection()?, &before.refresh, now());
    let reason = match kept(&locked, now(), renew)? {
        Kept::Tokens(tokens) => return Ok(tokens),
        Kept::None(reason) => reason,
    };
    // Nobody else waits while a person types.
    drop(locked);
    // Some clients say so without looking.
    if !(info.interactive && Terminal.is_available()) {
        return Err(CliError::NotDone(format!(
            "{reason}: sign in with `strongroom login {} --server {}`",
            key.user, key.server
        )));
    }
    let password = password::ask(&mut Terminal, &format!("Password for {} at {} ({reason}): ", key.user, key.server))?;
    let tokens = log_in(&connection()?, &key.user, &password, now())?;
    cache.lock(key)?.store(&tokens)?;
    Ok(tokens)
}

/// What comes of the tokens that are kept.
enum Kept {
    Tokens(Tokens),
    /// None that could be used, and why.
    None(&'static str),
}

/// The tokens that are kept, renewed where they must be. The caller holds the lock, so that a refresh token is spent
/// once, and whoever waited finds the new one.
fn kept(
    locked: &Locked,
    now_unix_seconds: i64,
    renew: impl FnOnce(&Tokens) -> Result<Tokens, CliError>,
) -> Result<Kept, CliError> {
    let Some(tokens) = locked.load()? else {
        return Ok(Kept::None("there is no session"));
    };
    let seconds_left = tokens.access_ends.saturating_sub(now_unix_seconds);
    if seconds_left >= LEAST_SECONDS_LEFT {
        return Ok(Kept::Tokens(tokens));
    }
    if tokens.refresh_ends <= now_unix_seconds {
        locked.remove()?;
        return Ok(Kept::None("the session has ended"));
    }
    match renew(&tokens) {
        Ok(renewed) => {
            // The old ones are spent: the new ones serve this once even where they cannot be kept.
            if let Err(error) = locked.store(&renewed) {
                warn(&format!("the session goes on, but cannot be kept: {error}"));
            }
            Ok(Kept::Tokens(renewed))
        }
        Err(CliError::Server(failure)) if failure.code == 401 => {
            locked.remove()?;
            Ok(Kept::None("the session has ended"))
        }
        // The server may be away for a moment.
        Err(_) if seconds_left > 0 => Ok(Kept::Tokens(tokens)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at the tokens they planted")]
mod tests {
    use super::*;
    use crate::kube_client::Failure;
    use crate::sensitive::SecretBytes;

    fn tokens_until(name: &str, access_ends: i64, refresh_ends: i64) -> Tokens {
        let token = |kind: &str| SecretBytes::new(format!("{kind}-{name}").into_bytes());
        Tokens { access: token("access"), access_ends, refresh: token("refresh"), refresh_ends }
    }

    struct Place {
        _directory: tempfile::TempDir,
        locked: Locked,
    }

    fn place(tokens: Option<&Tokens>) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().to_str().unwrap();
        let cache = Cache::open(&Environment::of(&[("XDG_CACHE_HOME", text)])).unwrap();
        let server = ServerUrl::parse("server", "https://h:1").unwrap();
        let locked = cache.lock(&SessionKey { server, trust: Vec::new(), user: "ada".into() }).unwrap();
        if let Some(tokens) = tokens {
            locked.store(tokens).unwrap();
        }
        Place { _directory: directory, locked }
    }

    fn refusal(code: u16) -> CliError {
        CliError::Server(Failure::read(code, &SecretBytes::new(Vec::new()), None))
    }

    fn access(kept: Kept) -> String {
        match kept {
            Kept::Tokens(tokens) => String::from_utf8(tokens.access.expose().to_vec()).unwrap(),
            Kept::None(reason) => reason.to_owned(),
        }
    }

    #[test]
    fn a_token_with_a_minute_left_is_used_as_it_is() {
        let place = place(Some(&tokens_until("old", 1060, 9000)));
        let kept = kept(&place.locked, 1000, |_| panic!("nothing is renewed")).unwrap();
        assert_eq!(access(kept), "access-old");
    }

    #[test]
    fn a_token_with_less_than_a_minute_left_is_renewed_and_kept() {
        let place = place(Some(&tokens_until("old", 1059, 9000)));
        let renew = |before: &Tokens| {
            assert_eq!(before.refresh.expose(), b"refresh-old");
            Ok(tokens_until("new", 1900, 9900))
        };
        assert_eq!(access(kept(&place.locked, 1000, renew).unwrap()), "access-new");
        assert_eq!(place.locked.load().unwrap().unwrap().refresh.expose(), b"refresh-new");
    }

    #[test]
    fn a_refused_renewal_ends_the_session() {
        let place = place(Some(&tokens_until("old", 1059, 9000)));
        assert_eq!(access(kept(&place.locked, 1000, |_| Err(refusal(401))).unwrap()), "the session has ended");
        assert!(place.locked.load().unwrap().is_none(), "a refused token is not sent again");
        let asked = kept(&place.locked, 1000, |_| panic!("there is nothing to renew")).unwrap();
        assert_eq!(access(asked), "there is no session");
    }

    #[test]
    fn a_session_that_was_not_used_for_too_long_is_not_renewed() {
        let place = place(Some(&tokens_until("old", 10, 1000)));
        let ended = kept(&place.locked, 1000, |_| panic!("it cannot be renewed")).unwrap();
        assert_eq!(access(ended), "the session has ended");
    }

    #[test]
    fn a_server_that_is_away_costs_nothing_while_the_token_is_valid() {
        let away = |_: &Tokens| Err(refusal(503));
        let valid = place(Some(&tokens_until("old", 1010, 9000)));
        assert_eq!(access(kept(&valid.locked, 1000, away).unwrap()), "access-old");
        let over = place(Some(&tokens_until("old", 1000, 9000)));
        assert!(kept(&over.locked, 1000, away).is_err());
        assert!(over.locked.load().unwrap().is_some(), "it is tried again later");
    }
}

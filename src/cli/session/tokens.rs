//! The tokens of a session, and the requests that get, renew and end them (RFC 6749, 4.3 and 6).

use serde_json::{Value, json};

use crate::cli::connection::{Connection, body};
use crate::cli::{CliError, password};
use crate::kube_client::{Failure, Request};
use crate::sensitive::{Document, SecretBytes};

const LOGIN: &str = "/strongroom/v1/login";
const REFRESH: &str = "/strongroom/v1/refresh";
const LOGOUT: &str = "/strongroom/v1/logout";
/// Longer than any of ours, and short enough for a header.
const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// What a session is continued with. Times are seconds since the epoch, by this machine's clock.
pub struct Tokens {
    /// Sent with each request.
    pub access: SecretBytes,
    /// When it ends.
    pub access_ends: i64,
    /// Exchanged, once, for new tokens.
    pub refresh: SecretBytes,
    /// When it ends, if it is not used before.
    pub refresh_ends: i64,
}

/// Begins a session.
pub fn log_in(
    connection: &Connection,
    user: &str,
    password: &SecretBytes,
    now_unix_seconds: i64,
) -> Result<Tokens, CliError> {
    let asked = Document::new(json!({"username": user, "password": password::text(password)?}));
    match exchange(connection, LOGIN, &asked, now_unix_seconds) {
        // Said by the server without a word on how it would go.
        Err(CliError::Server(failure)) if failure.code == 401 => Err(CliError::Server(Failure {
            message: format!("{}: the user name or the password is wrong, or the user is disabled", failure.message),
            hints: Vec::new(),
            ..failure
        })),
        other => other,
    }
}

/// Exchanges the refresh token, which is spent by it.
pub fn refresh(connection: &Connection, token: &SecretBytes, now_unix_seconds: i64) -> Result<Tokens, CliError> {
    let asked = Document::new(json!({"refresh_token": text(token)?}));
    exchange(connection, REFRESH, &asked, now_unix_seconds)
}

/// Ends the session. `None` ends that of the token which the connection carries. Says whether there was one.
pub fn log_out(connection: &Connection, token: Option<&SecretBytes>) -> Result<bool, CliError> {
    let asked = match token {
        Some(token) => json!({"refresh_token": text(token)?}),
        None => json!({}),
    };
    match connection.object(Request::post(LOGOUT, body(&Document::new(asked)))) {
        Ok(_) => Ok(true),
        Err(CliError::Server(failure)) if failure.code == 401 => Ok(false),
        Err(error) => Err(error),
    }
}

fn exchange(connection: &Connection, path: &str, asked: &Document, now: i64) -> Result<Tokens, CliError> {
    let answer = connection.object(Request::post(path, body(asked)))?;
    Tokens::of_answer(&answer, now).ok_or_else(|| {
        CliError::NotDone(format!("{} did not answer with tokens: is it a Strongroom server?", connection.server()))
    })
}

impl Tokens {
    /// Reads an answer that was received at `now`.
    #[expect(clippy::disallowed_methods, reason = "the tokens move into secrets of their own")]
    pub fn of_answer(answer: &Document, now_unix_seconds: i64) -> Option<Self> {
        let answer = answer.expose();
        let ends = |field: &str| Some(now_unix_seconds.saturating_add(answer.get(field)?.as_i64()?));
        Some(Self {
            access: token(answer.get("access_token")?)?,
            access_ends: ends("expires_in")?,
            refresh: token(answer.get("refresh_token")?)?,
            refresh_ends: ends("refresh_expires_in")?,
        })
    }
}

/// A token that can stand in a header, in YAML and in JSON as it is.
pub(super) fn token(value: &Value) -> Option<SecretBytes> {
    let text = value.as_str()?.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.~+/=".contains(byte);
    ((1..=TOKEN_MAX_BYTES).contains(&text.len()) && text.iter().all(is_plain)).then(|| SecretBytes::new(text.to_vec()))
}

/// A token as text; the caller puts it into a type that is wiped.
#[expect(clippy::disallowed_methods, reason = "the token goes into a document that is wiped")]
pub fn text(token: &SecretBytes) -> Result<&str, CliError> {
    std::str::from_utf8(token.expose()).map_err(|_| CliError::NotDone("the token is not text".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at the tokens it planted")]
    fn tokens_end_so_long_after_they_came() {
        let answer = json!({"access_token": "a.b-c_", "token_type": "Bearer", "expires_in": 900,
            "refresh_token": "sr_rt_x", "refresh_expires_in": 604_800});
        let tokens = Tokens::of_answer(&Document::new(answer), 1000).unwrap();
        assert_eq!((tokens.access.expose(), tokens.access_ends), (&b"a.b-c_"[..], 1900));
        assert_eq!((tokens.refresh.expose(), tokens.refresh_ends), (&b"sr_rt_x"[..], 605_800));
    }

    #[test]
    fn an_answer_without_usable_tokens_is_none() {
        for (access, refresh) in [(json!("a\nb"), json!("r")), (json!(""), json!("r")), (json!("a"), Value::Null)] {
            let answer =
                json!({"access_token": access, "expires_in": 1, "refresh_token": refresh, "refresh_expires_in": 1});
            assert!(Tokens::of_answer(&Document::new(answer), 0).is_none());
        }
        let without_end = json!({"access_token": "a", "refresh_token": "r", "refresh_expires_in": 1});
        assert!(Tokens::of_answer(&Document::new(without_end), 0).is_none());
    }
}

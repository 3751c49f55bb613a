//! Continue tokens: where the next page of a list begins, sealed, so that a client can neither read nor make one.
//!
//! A token is bound to the collection, the selectors and the user it was given to, and ends after an hour.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Error;
use crate::crypto::Keyring;

/// How long a token may be used, at the most; compaction usually ends it sooner.
const LIFETIME_SECONDS: i64 = 3600;
/// Longer ones are not looked at: names have at most 253 characters each.
const TOKEN_MAX_BYTES: usize = 4096;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The revision that the list shows; `None` shows the latest, where the list's own can no longer be had.
    pub revision: Option<u64>,
    /// Behind this namespace …
    pub namespace: String,
    /// … and name.
    pub name: String,
    /// How many objects follow, where nothing selects.
    pub remaining: Option<u64>,
}

impl Cursor {
    /// The token for this place in the list that `scope` stands for.
    pub fn seal(&self, keyring: &Keyring, scope: &str, now_unix_seconds: i64) -> Result<String, Error> {
        let plain = json!({
            "scope": scope,
            "revision": self.revision,
            "namespace": self.namespace,
            "name": self.name,
            "remaining": self.remaining,
            "expires": now_unix_seconds + LIFETIME_SECONDS,
        });
        let sealed = keyring.seal_cursor(plain.to_string().as_bytes());
        sealed.map(|sealed| URL_SAFE_NO_PAD.encode(sealed)).map_err(|_| Error::Internal("no randomness for a token"))
    }

    /// Reads a token that was made for `scope`. An old one is no error here: `expired` says so.
    pub fn open(keyring: &Keyring, token: &str, scope: &str, now_unix_seconds: i64) -> Result<(Self, bool), Error> {
        let refused =
            |why: &str| Error::BadRequest(format!("invalid continue token: continue key is not valid: {why}"));
        if token.len() > TOKEN_MAX_BYTES {
            return Err(refused("it is too long"));
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused("it is not base64"))?;
        let plain = keyring.open_cursor(&sealed).map_err(|_| refused("it was not issued by this server"))?;
        let plain: Value = serde_json::from_slice(&plain).map_err(|_| refused("it has another form"))?;
        let field = |name: &str| plain.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| plain.get(name).and_then(Value::as_u64);
        if field("scope") != scope {
            return Err(refused("it belongs to another request"));
        }
        let expired = plain.get("expires").and_then(Value::as_i64).is_none_or(|expires| expires < now_unix_seconds);
        let cursor = Self {
            revision: number("revision"),
            namespace: field("namespace"),
            name: field("name"),
            remaining: number("remaining"),
        };
        Ok((cursor, expired))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::make(0).unwrap());

    fn cursor() -> Cursor {
        Cursor { revision: Some(7), namespace: "n".into(), name: "s".into(), remaining: Some(3) }
    }

    fn refusal(token: &str, scope: &str) -> String {
        match Cursor::open(&KEYRING, token, scope, 0) {
            Err(Error::BadRequest(text)) => text,
            other => panic!("{:?}", other.map_err(|_| ())),
        }
    }

    #[test]
    fn a_token_leads_back_to_its_place_for_an_hour() {
        let token = cursor().seal(&KEYRING, "scope", 100).unwrap();
        assert!(!token.contains("scope"));
        assert_eq!(Cursor::open(&KEYRING, &token, "scope", 3700).ok().unwrap(), (cursor(), false));
        assert!(Cursor::open(&KEYRING, &token, "scope", 3701).ok().unwrap().1);
    }

    #[test]
    fn a_token_of_another_request_or_store_is_refused() {
        let token = cursor().seal(&KEYRING, "scope", 0).unwrap();
        assert!(refusal(&token, "other").ends_with("continue key is not valid: it belongs to another request"));
        let other = cursor().seal(&Keyring::make(0).unwrap(), "scope", 0).unwrap();
        assert!(refusal(&other, "scope").ends_with("it was not issued by this server"));
        assert!(refusal(&"A".repeat(5000), "scope").ends_with("it is too long"));
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_token(text in "\\PC{0,200}") {
            prop_assert!(refusal(&text, "scope").starts_with("invalid continue token: continue key is not valid: "));
        }

        #[test]
        fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), change in 1_u8..64) {
            let mut sealed = URL_SAFE_NO_PAD.decode(cursor().seal(&KEYRING, "scope", 0).unwrap()).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= change;
            refusal(&URL_SAFE_NO_PAD.encode(sealed), "scope");
        }
    }
}

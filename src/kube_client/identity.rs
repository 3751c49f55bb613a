//! Who asks a server, as a digest: the same for as long as it is the same user, by what this machine knows of it.
//!
//! A token that is a JWT counts by its issuer and subject, for it is renewed; any other by itself. A credential plugin counts by
//! what is run. Nothing here is verified: the digest tells users of one machine's files apart, and gives nobody a right.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::config::AuthInfo;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Over the names of a kubeconfig's context and user, and the credential. Hexadecimal digits.
pub(super) fn digest(credential: &AuthInfo, entries: [&str; 2]) -> String {
    let mut parts = Parts(Sha256::new());
    for entry in entries {
        parts.add(entry);
    }
    for text in [&credential.username, &credential.client_certificate, &credential.client_certificate_data] {
        parts.add(text.as_deref().unwrap_or_default());
    }
    parts.add(credential.impersonate.as_deref().unwrap_or_default());
    parts.add_all(credential.impersonate_groups.iter().flatten().map(String::as_str));
    match credential.token.as_ref().map(subject) {
        None => parts.add_all([]),
        Some(Subject::Of(issuer, subject)) => parts.add_all(["jwt", &issuer, &subject]),
        Some(Subject::Opaque(digest)) => parts.add_all(["token", &digest]),
    }
    if let Some(plugin) = &credential.exec {
        parts.add(plugin.command.as_deref().unwrap_or_default());
        parts.add_all(plugin.args.iter().flatten().map(String::as_str));
        for variable in plugin.env.iter().flatten() {
            let field = |name: &str| variable.get(name).map_or("", String::as_str);
            parts.add_all([field("name"), field("value")]);
        }
    }
    hex::encode(parts.0.finalize())
}

/// Texts, of which none runs into the next.
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, text: &str) {
        self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(text);
    }

    fn add_all<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<&str> = texts.into_iter().collect();
        self.0.update(u64::try_from(texts.len()).unwrap_or(u64::MAX).to_be_bytes());
        for text in texts {
            self.add(text);
        }
    }
}

enum Subject {
    /// Issuer and subject.
    Of(String, String),
    /// A digest of the whole.
    Opaque(String),
}

fn subject(token: &SecretString) -> Subject {
    let token = token.expose_secret();
    claims(token).unwrap_or_else(|| Subject::Opaque(hex::encode(Sha256::digest(token))))
}

/// The claims of a JWT, which are no secret without its signature.
fn claims(token: &str) -> Option<Subject> {
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Subject::Of(text("iss")?, text("sub")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_token(token: &str) -> String {
        digest(&AuthInfo { token: Some(SecretString::from(token)), ..AuthInfo::default() }, ["c", "u"])
    }

    fn jwt(claims: &str, signature: &str) -> String {
        format!("e30.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_renewed_token_is_the_same_user_and_another_subject_is_not() {
        let ada = of_token(&jwt(r#"{"iss":"i","sub":"ada","exp":1}"#, "one"));
        assert_eq!(ada, of_token(&jwt(r#"{"iss":"i","sub":"ada","exp":2}"#, "two")));
        assert_ne!(ada, of_token(&jwt(r#"{"iss":"i","sub":"eve","exp":1}"#, "one")));
        assert_ne!(ada, of_token(&jwt(r#"{"iss":"j","sub":"ada","exp":1}"#, "one")));
        assert_eq!(of_token("sr_a"), of_token("sr_a"));
        let others = [of_token("sr_b"), of_token("a.b.c"), of_token("a.b"), of_token(&jwt("{}", "s")), of_token("")];
        for (at, other) in others.iter().enumerate() {
            assert!(*other != of_token("sr_a") && !others[..at].contains(other), "{at}");
        }
    }

    #[test]
    fn every_entry_counts() {
        let none = AuthInfo::default();
        let mut all = vec![digest(&none, ["", ""]), digest(&none, ["a", ""]), digest(&none, ["", "a"])];
        all.push(digest(&AuthInfo { impersonate: Some("x".to_owned()), ..none.clone() }, ["", ""]));
        all.push(digest(&AuthInfo { client_certificate_data: Some("x".to_owned()), ..none.clone() }, ["", ""]));
        all.push(digest(&AuthInfo { username: Some("x".to_owned()), ..none.clone() }, ["", ""]));
        let groups = |names: &[&str]| AuthInfo {
            impersonate_groups: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..AuthInfo::default()
        };
        all.push(digest(&groups(&["ab"]), ["", ""]));
        all.push(digest(&groups(&["a", "b"]), ["", ""]));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
